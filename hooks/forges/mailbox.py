"""The files that a bare repository's hooks and the service leave for each other.

They lie in the ``waas/`` folder of the repository, so that the git side needs neither the
database nor any secret of the service: ``deliveries/`` (hooks write, the service takes),
``status/<commit>.json`` and ``comments/<pull>.txt`` (the service writes, hooks read). Each file
appears whole or not at all. Standard library only: this runs inside ``git push``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAIN = "refs/heads/main"
NONE = "0" * 40  # git's name for no commit
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


class Mailbox:
    """The ``waas/`` folder of one bare repository."""

    def __init__(self, repository: Path) -> None:
        self.root = repository / "waas"

    def make(self) -> None:
        """Make the folders."""
        for name in ("deliveries", "status", "comments"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def send(self, event: dict[str, Any]) -> str:
        """Store a delivery; durable when this returns. Its id is new each time."""
        name = f"push-{secrets.token_hex(12)}"
        _write(self.root / "deliveries" / f"{name}.json", json.dumps(event))
        return name

    def received(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Deliveries in waiting, oldest first. One that cannot be read is passed over."""
        files = [p for p in (self.root / "deliveries").iterdir() if p.suffix == ".json"]
        for file in sorted(files, key=lambda p: (p.stat().st_mtime_ns, p.name)):
            try:
                event = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield file.stem, event

    def taken(self, name: str) -> None:
        """Remove a delivery that is stored elsewhere now."""
        (self.root / "deliveries" / f"{name}.json").unlink(missing_ok=True)

    def write_status(self, commit: str, status: dict[str, Any]) -> None:
        """Say what is known of a commit."""
        _write(self.root / "status" / f"{_checked(commit)}.json", json.dumps(status))

    def status(self, commit: str) -> dict[str, Any] | None:
        """What the service last said of a commit."""
        try:
            text = (self.root / "status" / f"{_checked(commit)}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        status: dict[str, Any] = json.loads(text)
        return status

    def write_comment(self, pull: int, text: str) -> None:
        """Leave the report for the pusher."""
        _write(self.root / "comments" / f"{int(pull)}.txt", text)

    def comment(self, pull: int) -> str:
        """The report on a pull request, empty if there is none yet."""
        try:
            return (self.root / "comments" / f"{int(pull)}.txt").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def _checked(commit: str) -> str:
    if not _COMMIT.match(commit):
        raise ValueError(f"not a commit: {commit!r}")
    return commit


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
