"""Our one comment on a pull request: found by its marker and its author, and edited in place.

https://docs.github.com/en/rest/issues/comments
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from hooks.forges.github.connection import Connection
from hooks.forges.github.failures import AnsweredError
from hooks.forges.github.markdown import MARKER, body


class _Ours(NamedTuple):
    id: int
    author: str
    digest: str  # of the text: a memory of texts would be large


class Comments:
    """The comments of a repository's pull requests, as far as they are ours."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._repository = connection, f"/repos/{slug}"

    def put(self, pull: int, markdown: str) -> None:
        """Have exactly one comment that says this. Unchanged, it is only read.

        Two processes may both find none: each looks again after it has written, and both keep the
        oldest.
        """
        text = body(markdown)
        found = self._found(pull)
        if not found:
            self._connection.send(
                "POST", f"{self._repository}/issues/{pull}/comments", {"body": text}
            )
            found = self._found(pull)
        if not found:
            return
        for surplus in found[1:]:
            self._delete(surplus.id)
        if found[0].digest != _digest(text):
            path = f"{self._repository}/issues/comments/{found[0].id}"
            self._connection.send("PATCH", path, {"body": text})

    def _found(self, pull: int) -> list[_Ours]:
        """Ours, the oldest first: those of the first page that has one."""
        us = self._connection.login()
        path = f"{self._repository}/issues/{pull}/comments"
        for page in self._connection.pages(path, _marked):
            ours = sorted(comment for comment in page if comment.author == us)
            if ours:
                return ours
        return []

    def _delete(self, comment: int) -> None:
        try:
            self._connection.send("DELETE", f"{self._repository}/issues/comments/{comment}")
        except AnsweredError as error:
            if error.status != 404:  # the other process was faster
                raise


def is_marked(text: str) -> bool:
    """Whether a comment claims to be our one comment."""
    return text.startswith(MARKER)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _marked(comments: Any) -> list[_Ours]:
    """Our comments; one that was edited on GitHub's page has other line ends."""
    found = []
    for comment in comments:
        text, user = str(comment.get("body") or "").replace("\r\n", "\n"), comment["user"]
        if is_marked(text) and user:
            found.append(_Ours(int(comment["id"]), str(user["login"]), _digest(text)))
    return found
