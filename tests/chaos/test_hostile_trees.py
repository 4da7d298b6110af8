"""Hostile trees are refused, in little time and memory, and nothing is written anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_trees import COMMITS, FOLDERS, INNOCENT, Plumbing

pytestmark = pytest.mark.xdist_group("hostile-trees")
DRIVER = Path(__file__).with_name("judge_hostile_trees.py")
ROOT = Path(__file__).parents[2]
LONGEST = 60  # seconds for all: far above what it takes, for a loop without end


def listing(folder: Path) -> bytes:
    """Names, times and sizes of everything; ``find`` goes where paths are too long for Python."""
    argv = ["find", str(folder), "-printf", r"%P %T@ %s\0"]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    top = tmp_path_factory.mktemp("hostile")
    for name, make in FOLDERS.items():
        (top / "folders" / name).mkdir(parents=True)
        make(top / "folders" / name)
    git = Plumbing(top / "repository.git")
    commits = {git.commit(make(git)): name for name, make in COMMITS.items()}
    (top / "empty").mkdir()
    before = listing(top)
    done = subprocess.run(
        [sys.executable, "-B", str(DRIVER), str(top / "folders"), str(git.git_dir), git.base,
         *commits],
        stdout=subprocess.PIPE,
        cwd=top / "empty",
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(top / "empty"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "TMPDIR": str(top / "empty"),
        },
        timeout=LONGEST,
        check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it ended at the tree after {found[-1:]}"
    assert listing(top) == before
    results = {commits.get(row["name"], row["name"]): row for row in found}
    slowest = sorted((row.get("seconds", 0), name) for name, row in results.items())[-5:]
    print("slowest:", *(f"{name} {seconds:.2f} s" for seconds, name in slowest), sep="\n  ")
    print("memory:", results["memory"])  # pytest -s shows it
    yield results
    subprocess.run(["rm", "-rf", str(top)], check=False)  # paths too long for shutil


@pytest.mark.parametrize("name", [*FOLDERS, *COMMITS])
def test_it_is_refused(results: dict[str, Any], name: str) -> None:
    assert results[name]["passed"] == (name == INNOCENT), results[name]["said"]
    assert all(said.strip() for said in results[name]["said"])
    assert not any("Traceback" in said for said in results[name]["said"])


def test_there_are_more_than_fifty_and_they_need_little_memory(results: dict[str, Any]) -> None:
    assert len(FOLDERS) + len(COMMITS) > 50
    assert results["memory"]["MiB"] < 300
    assert results["memory"]["MiB of git and bash"] < 300
