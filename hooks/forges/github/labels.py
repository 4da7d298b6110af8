"""The one label of ours on a pull request: where it is. https://docs.github.com/en/rest/issues/labels"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hooks.forges.github.connection import Connection
from hooks.forges.github.failures import AnsweredError

PREFIX = "waas: "
_LONGEST = 50  # characters of a label's name
_COLOURS = {
    "failed": "d73a4a",
    "build failed": "d73a4a",
    "validating": "fbca04",
    "building": "fbca04",
    "needs approval": "d4c5f9",
    "validated": "0e8a16",
    "built": "0e8a16",
}
_OTHER = "ededed"


class Labels:
    """Labels of a repository's pull requests, as far as they are ours."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._repository = connection, f"/repos/{slug}"
        self._made: set[str] = set()  # labels that the repository is known to have

    def put(self, pull: int, state: str) -> None:
        """Have exactly the label of this state, or none of ours for an empty one."""
        wanted = f"{PREFIX}{state}"[:_LONGEST] if state else ""
        there: set[str] = set()
        for page in self._connection.pages(f"{self._repository}/issues/{pull}/labels", _names):
            there |= {name for name in page if name.lower().startswith(PREFIX)}
        if wanted and wanted.lower() not in {name.lower() for name in there}:
            self._make(wanted, state)
            path = f"{self._repository}/issues/{pull}/labels"
            self._connection.send("POST", path, {"labels": [wanted]})
        for name in sorted(there):
            if name.lower() != wanted.lower():
                self._remove(pull, name)

    def _make(self, name: str, state: str) -> None:
        """GitHub would make a grey one by itself."""
        if name in self._made:
            return
        colour = _COLOURS.get(state, _OTHER)
        try:
            self._connection.send(
                "POST", f"{self._repository}/labels", {"name": name, "color": colour}
            )
        except AnsweredError as error:
            if error.status != 422 or "already_exists" not in error.message:
                raise
        self._made.add(name)

    def _remove(self, pull: int, name: str) -> None:
        path = f"{self._repository}/issues/{pull}/labels/{quote(name, safe='')}"
        try:
            self._connection.send("DELETE", path)
        except AnsweredError as error:
            if error.status != 404:  # somebody was faster
                raise


def _names(labels: Any) -> list[str]:
    return [str(label["name"]) for label in labels]
