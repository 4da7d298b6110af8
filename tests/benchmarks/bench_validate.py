"""How long validation takes, and the memory it needs. Prints figures, asserts none.

Each figure is a whole process, ``waas validate`` as a user starts it, so start-up is in it.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEED = ROOT / "workflow-registry"
CATALOG = ROOT / "software-catalog"
RUNS = 5


def registry_of(folder: Path, count: int) -> Path:
    """A git repository with copies of the two workflows that come with the project."""
    folder.mkdir()
    for number in range(count):
        name = ("reduced_order_model", "minimal_workflow")[number % 2]
        copy = folder / f"{name}_{number}"
        shutil.copytree(SEED / name, copy)
        topology = copy / "tosca" / "topology.yml"
        text = topology.read_text()
        topology.write_text(text.replace(f'workflow: "{name}"', f'workflow: "{copy.name}"'))
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", str(folder), *names, *words], check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "-m", "change")


def measured(*arguments: str) -> tuple[float, float, int]:
    """Seconds and MiB (the largest of the process and of git, not their sum), and exit code."""
    program = [sys.executable, "-m", "hooks.cli.main", "validate", *arguments]
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
    begin = time.perf_counter()
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, process.returncode


def show(what: str, *arguments: str, runs: int = RUNS) -> None:
    measured("--explain", "topology/cycle")  # the bytecode is there now
    found = [measured(*arguments) for _ in range(runs)]
    seconds = statistics.median(second for second, _, _ in found)
    memory = max(memory for _, memory, _ in found)
    print(f"{what:58s} {seconds:7.2f} s  {memory:6.0f} MiB  exit {found[0][2]}")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("registry") / "large"
    yield registry_of(folder, 1000)
    shutil.rmtree(folder)


def test_a_registry_of_public_size(tmp_path: Path) -> None:
    folder = registry_of(tmp_path / "registry", 15)
    show("15 workflows, whole, with start-up", str(folder), "--catalog", str(CATALOG))


def test_a_thousand_workflows(large: Path) -> None:
    show("1,000 workflows, whole", str(large), "--catalog", str(CATALOG), runs=1)
    file = large / "minimal_workflow_501" / "waas.yaml"
    file.write_text(file.read_text() + "# changed\n")
    commit(large)
    for count in (15, 1000):
        folder = large if count == 1000 else registry_of(large.parent / "small", 15)
        if count == 15:
            file = folder / "minimal_workflow_1" / "waas.yaml"
            file.write_text(file.read_text() + "# changed\n")
            commit(folder)
        arguments = [str(folder), "--catalog", str(CATALOG), "--base", "HEAD~1", "--head", "HEAD"]
        show(f"one changed entry of {count:,}", *arguments)
        if count == 15:
            shutil.rmtree(folder)


def test_a_changed_package_that_a_thousand_workflows_may_use(large: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(CATALOG, catalog)
    git(catalog, "init", "--quiet", "--initial-branch=main")
    commit(catalog)
    recipe = catalog / "packages" / "py-ezyrb" / "package.py"
    recipe.write_text(recipe.read_text() + "\n# changed\n")
    commit(catalog)
    arguments = [str(catalog), "--registry", str(large), "--base", "HEAD~1", "--head", "HEAD"]
    show("one changed package, 1,000 workflows looked through", *arguments, runs=1)
