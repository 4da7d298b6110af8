"""Reads the corpus: broken entries as small changes to good ones. Format: ``corpus/README.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ci.trees import Entry, below, check_readable, names_in

CORPUS = Path(__file__).parent / "corpus"
KEYS = {
    "rule",
    "name",
    "file",
    "good",
    "bad",
    "hex",
    "every",
    "remove",
    "mode",
    "size",
    "also",
    "path",
    "line",
}


@dataclass
class Files:
    """A tree in memory."""

    files: Mapping[str, bytes]
    modes: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    id: str = "memory"

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        paths = sorted(self.files)
        return tuple(
            Entry(p, self.modes.get(p, 0o100644), self.sizes.get(p, len(self.files[p])))
            for p in paths[below(paths, folder)]
        )

    def names(self, folder: str = "") -> tuple[str, ...]:
        return names_in(sorted(self.files), folder)

    def find(self, path: str) -> Entry | None:
        return {entry.path: entry for entry in self.entries()}.get(path)

    def read(self, path: str) -> bytes:
        listed = {entry.path: entry for entry in self.entries()}
        check_readable(listed.get(path), path)
        return self.files[path]


def good_tree(name: str) -> dict[str, bytes]:
    """The files of ``corpus/good/<name>``: a registry or a catalog with nothing wrong in it."""
    root = CORPUS / "good" / name
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@dataclass
class Case:
    """One broken entry and the finding that it must give."""

    rule: str
    name: str
    data: dict[str, Any]

    @property
    def file(self) -> str:
        return str(self.data.get("file", self.data.get("remove", "")))

    @property
    def in_catalog(self) -> bool:
        return self.file.startswith(("packages/", "cfg/", "repo.yaml"))

    def trees(self) -> tuple[Files, Files]:
        """The tree without the mistake and the one with it."""
        base = good_tree("catalog" if self.in_catalog else "registry")
        base |= {path: text.encode() for path, text in self.data.get("also", {}).items()}
        good, bad = dict(base), dict(base)
        if "remove" in self.data:
            del bad[self.data["remove"]]
        elif "hex" in self.data:
            bad[self.file] = bytes.fromhex(self.data["hex"])
        elif self.is_replacement:
            text = base[self.file].decode()
            once = self.data.get("every") or text.count(self.data["good"]) == 1
            assert once, f"{self.name}: `good` must occur once (or say `every: true`)"
            bad[self.file] = text.replace(self.data["good"], self.data["bad"]).encode()
        else:
            bad[self.file] = self.data["bad"].encode()
            if "good" in self.data:
                good[self.file] = self.data["good"].encode()
        modes = {self.file: int(self.data["mode"], 8)} if "mode" in self.data else {}
        sizes = {self.file: self.data["size"]} if "size" in self.data else {}
        return Files(good), Files(bad, modes, sizes)

    @property
    def is_replacement(self) -> bool:
        base = good_tree("catalog" if self.in_catalog else "registry")
        there = base | {path: text.encode() for path, text in self.data.get("also", {}).items()}
        return self.file in there and "good" in self.data

    def expected(self, bad: Files) -> tuple[str, str, int]:
        """Rule, path and line of the finding."""
        path = self.data.get("path", self.file)
        wanted = self.data.get("line")
        if isinstance(wanted, int):
            return self.rule, path, wanted
        if wanted is None and not self.is_replacement:
            return self.rule, path, 1 if "bad" in self.data else 0
        text = bad.files[path].decode("utf-8", "replace")
        start = text.index(str(wanted) if wanted is not None else self.data["bad"])
        return self.rule, path, text.count("\n", 0, start) + 1


def cases() -> list[Case]:
    """Every case of the corpus, in the order of the files."""
    found = []
    for file in sorted(CORPUS.glob("*.yaml")):
        for number, data in enumerate(yaml.safe_load(file.read_text("utf-8")) or [], 1):
            assert data.keys() <= KEYS, f"{file.name}, case {number}: {data.keys() - KEYS}"
            name = data.get("name", "")
            found.append(Case(data["rule"], f"{data['rule']} {name or number}".strip(), data))
    return found
