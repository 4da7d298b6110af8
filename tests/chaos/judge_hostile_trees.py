"""Judges hostile trees in a process of little memory; one line of JSON each.

``python judge_hostile_trees.py FOLDER REPOSITORY BASE COMMIT…``: the folders in FOLDER by
themselves, the commits as pull requests.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peak_memory import peak

from ci.errors import EntryError
from ci.findings import Finding, Report
from ci.folder_tree import FolderTree
from ci.git.store import GitStore
from ci.pull_request import validate_pull_request
from ci.validate import validate

MEMORY = 300 * 2**20  # bytes
LARGEST_FILE = 2 * 2**20  # bytes: scripts go to bash through a file in memory


def judged(judge: Callable[[], Report]) -> dict[str, object]:
    begin = time.perf_counter()
    try:
        found = judge()
    except EntryError as error:
        found = Report.of([Finding.of(error, "pull/refused")])
    said = [f"{finding.rule}: {finding.message}" for finding in found.findings]
    return {"passed": found.passed, "said": said, "seconds": time.perf_counter() - begin}


def main(folders: Path, repository: Path, base: str, commits: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # of this process, not of git
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    store = GitStore(repository)
    for folder in sorted(folders.iterdir()):
        result = judged(lambda folder=folder: validate(FolderTree(folder)))
        print(json.dumps({"name": folder.name, **result}), flush=True)
    for commit in commits:
        fresh = GitStore(repository)  # nothing is known from before
        result = judged(
            lambda commit=commit, fresh=fresh: validate_pull_request(fresh, base, commit)
        )
        fresh.close()
        print(json.dumps({"name": commit, **result}), flush=True)
    store.close()
    mine = peak() // 1024
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(json.dumps({"name": "memory", "MiB": mine, "MiB of git and bash": others}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
