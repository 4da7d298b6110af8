"""What BuildKit tells while it builds (``--progress=rawjson``), as lines for people. Pure.

The format is a stream of JSON objects, one after the other, of BuildKit's ``SolveStatus``
(https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus): ``vertexes`` are the steps of
the recipe, ``logs`` their output in base64. Text that is not JSON follows when a build fails.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()
_ERROR_LINE = re.compile(
    r"^E: |^\s*(\S+: )*(?i:fatal |internal )?(?i:error|fatal)\b"
    r"|not found$|No such file or directory"
)
_INSTRUCTION = re.compile(r"\[(\S+ )?\d+/\d+\] ")
_KEPT_LINES = 200
_STEP_CHARACTERS = 160


class Progress:
    """Reads the stream; remembers what it takes to say why a build failed."""

    def __init__(self) -> None:
        self._rest = ""
        self._in_text = False
        self._names: dict[str, str] = {}
        self._told: set[str] = set()
        self._lines: dict[str, list[str]] = {}
        self._text: list[str] = []
        self.failed_step = ""
        self.failure = ""

    def feed(self, piece: str) -> Iterator[str]:
        """Take a piece of the stream, of any length; yield the lines that it completes."""
        self._rest += piece
        while rest := self._rest.lstrip():
            if self._in_text or not rest.startswith("{"):
                yield from self._take_text()
                return
            try:
                status, end = _DECODER.raw_decode(rest)
            except json.JSONDecodeError:
                return  # not complete yet
            self._rest = rest[end:]
            yield from self._status(status)

    def _take_text(self) -> Iterator[str]:
        """From the first line that is no JSON on, everything is text."""
        self._in_text = True
        *lines, self._rest = self._rest.split("\n")
        self._text += [line for line in lines if line.strip()]
        yield from (line for line in lines if line.strip())

    def _status(self, status: Any) -> Iterator[str]:
        for vertex in status.get("vertexes") or ():
            yield from self._vertex(vertex)
        for log in status.get("logs") or ():
            yield from self._log(str(log.get("vertex", "")), str(log.get("data", "")))

    def _vertex(self, vertex: Any) -> Iterator[str]:
        digest, name = str(vertex.get("digest", "")), str(vertex.get("name", ""))
        self._names[digest] = name
        if vertex.get("started") and digest not in self._told and not name.startswith("[internal]"):
            self._told.add(digest)
            yield f"{name} (cached)" if vertex.get("cached") else name
        error = str(vertex.get("error", ""))
        if error and not self.failure and not error.endswith("context canceled"):
            self.failed_step, self.failure = digest, error
            yield error

    def _log(self, digest: str, data: str) -> Iterator[str]:
        try:
            text = base64.b64decode(data).decode("utf-8", errors="replace")
        except binascii.Error:
            return
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        kept = self._lines.setdefault(digest, [])
        kept += lines
        del kept[:-_KEPT_LINES]
        yield from lines

    def reason(self) -> str:
        """Say why the build failed: the failing step's own first error line, or what is known."""
        lines = self._lines.get(self.failed_step, [])
        first = next((line for line in lines if _ERROR_LINE.search(line)), "")
        told = next((line for line in reversed(self._text) if line.startswith("ERROR")), "")
        return first or (lines[-1] if lines else "") or self.failure or told or "no reason given"

    def step_name(self) -> str:
        """Return the instruction that failed, or nothing if the failure was in no instruction.

        Mounts are left out, and of a long one the beginning: the end says what it is for.
        """
        name = self._names.get(self.failed_step, "")
        found = _INSTRUCTION.match(name)
        if not found:
            return ""
        words = [word for word in name[found.end() :].split() if not word.startswith("--mount=")]
        text = " ".join(words)
        return text if len(text) <= _STEP_CHARACTERS else f"… {text[-_STEP_CHARACTERS:]}"
