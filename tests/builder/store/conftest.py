import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.store import ImageStore
from hooks.testbed.registry import Registry, ensure_registry
from hooks.testbed.setup import Tools

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python text in a process of its own: ``program(text, *arguments)``."""

    def run(text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", text, *map(str, arguments)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    map(str, (ROOT, ROOT / "tests", Path(__file__).parent))
                ),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


_FORKS = """
import json, traceback
results = []
for job in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(run(*job)).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    results.append(int(os.read(reading, 20)) if status == 0 else status)
    os.close(reading)
print(json.dumps(results))
"""


@pytest.fixture
def forked(
    program: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[[str, list[tuple[object, ...]]], list[int]]:
    """Calls ``run(*job)`` of a program in a child for each job: its number, or what killed it."""

    def run(text: str, jobs: list[tuple[object, ...]]) -> list[int]:
        words = [[word if isinstance(word, int) else str(word) for word in job] for job in jobs]
        done = program(text + _FORKS, json.dumps(words))
        results = json.loads(done.stdout)
        assert 1 not in results, done.stderr
        return list(map(int, results))

    return run


@pytest.fixture(scope="session")
def registry_program(testbed_tools: Tools) -> Path:
    """The folder of Debian's docker-registry."""
    return ensure_registry(testbed_tools.cache)


@pytest.fixture(scope="session")
def registry(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A real registry on loopback; tests share it, each with a repository of its own."""
    with Registry(registry_program, tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture
def own_registry(registry_program: Path, tmp_path: Path) -> Iterator[Registry]:
    """A real registry of one test, which may stop and start it."""
    with Registry(registry_program, tmp_path / "registry") as made:
        yield made
