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
                "PYTHONPATH": os.pathsep.join(map(str, (ROOT, Path(__file__).parent))),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

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
