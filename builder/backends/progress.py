"""What BuildKit and Buildah tell while they build, as lines for people. Pure.

BuildKit's (``--progress=rawjson``) is a stream of JSON objects, one after the other, of its
``SolveStatus`` (https://pkg.go.dev/github.com/moby/buildkit/client#SolveStatus): ``vertexes`` are
the steps of the recipe, ``logs`` their output in base64. Text that is not JSON follows when a
build fails.
Buildah writes plain lines: ``STEP 2/7: RUN …`` before a step, and in the end ``Error: building
at STEP "…": …`` (imagebuildah/stage_executor.go).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_DECODER = json.JSONDecoder()
_ERROR_LINE = re.compile(
    r"^E: |^\w*(Error|Exception): |^\s*(\S+: )*(?i:fatal |internal )?(?i:error|fatal)\b"
    r"|not found$|No such file or directory"
)
# of a script that begins with its title, as ``builder.recipe.dockerfile`` writes it
_TITLED = re.compile(r"RUN (?:--\S+\s+)*: '([^']*)';.*", re.DOTALL)
_INSTRUCTION = re.compile(r"\[(\S+ )?\d+/\d+\] ")
_BUILDAH_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: ")
_BUILDAH_ERROR = re.compile(r"(?:^Error: |Error: (?=building at STEP))(.*)")
_BUILDAH_NOISE = re.compile(r"subprocess exited |time=\"[^\"]*\" level=")
_KEPT_LINES = 200
_LINE_CHARACTERS = 8000  # a line that goes on for longer is cut
_STEP_CHARACTERS = 160


class Progress:
    """Reads the stream; remembers what it takes to say why a build failed."""

    def __init__(self) -> None:
        self._rest = ""
        self._in_text = False
        self._names: dict[str, str] = {}
        self._told: set[str] = set()
        self._lines: dict[str, list[str]] = {}
        self._begun: dict[tuple[str, int], str] = {}  # lines that go on, by step and stream
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
        vertexes = status.get("vertexes") or ()
        for vertex in vertexes:
            yield from self._vertex(vertex)
        ended = [vertex for vertex in vertexes if vertex.get("completed") or vertex.get("error")]
        for log in status.get("logs") or ():
            stream = log.get("stream") if isinstance(log.get("stream"), int) else 0
            yield from self._log(str(log.get("vertex", "")), stream, str(log.get("data", "")))
        for vertex in ended:
            yield from self._finish(str(vertex.get("digest", "")))

    def _vertex(self, vertex: Any) -> Iterator[str]:
        digest, name = str(vertex.get("digest", "")), str(vertex.get("name", ""))
        self._names[digest] = name
        if vertex.get("started") and digest not in self._told and not name.startswith("[internal]"):
            self._told.add(digest)
            shown = _TITLED.sub(r"\1", name)
            yield f"{shown} (cached)" if vertex.get("cached") else shown
        error = str(vertex.get("error", ""))
        if error and not self.failure and not error.endswith("context canceled"):
            self.failed_step, self.failure = digest, error
            yield _short(error)

    def _log(self, digest: str, stream: int, data: str) -> Iterator[str]:
        """Take a piece of a step's output, which ends anywhere; yield the lines that it ends."""
        try:
            piece = base64.b64decode(data).decode("utf-8", errors="replace")
        except binascii.Error:
            return
        *whole, rest = (self._begun.pop((digest, stream), "") + piece).split("\n")
        if len(rest) > _LINE_CHARACTERS:
            whole, rest = [*whole, rest], ""
        if rest:
            self._begun[digest, stream] = rest
        yield from self._keep(digest, whole)

    def _finish(self, digest: str) -> Iterator[str]:
        """Take what a step that has ended left without a line end."""
        for key in [key for key in self._begun if key[0] == digest]:
            yield from self._keep(digest, [self._begun.pop(key)])

    def _keep(self, digest: str, lines: Sequence[str]) -> list[str]:
        # of what a program wrote over itself, as progress bars do, the last counts
        shown = [line.rstrip().rpartition("\r")[2] for line in lines]
        shown = [line for line in shown if line.strip()]
        kept = self._lines.setdefault(digest, [])
        kept += shown
        del kept[:-_KEPT_LINES]
        return shown

    def reason(self) -> str:
        """Say why the build failed: the failing step's own first error line, or what is known."""
        told = next((line for line in reversed(self._text) if line.startswith("ERROR")), "")
        return _reason(self.lines()) or self.failure or told or "no reason given"

    def lines(self) -> list[str]:
        """Return the last lines of the step that failed."""
        return self._lines.get(self.failed_step, [])

    def step_name(self) -> str:
        """Return the instruction that failed, or nothing if the failure was in no instruction."""
        name = self._names.get(self.failed_step, "")
        found = _INSTRUCTION.match(name)
        return _short(name[found.end() :]) if found else ""


class PlainProgress:
    """Reads Buildah's lines; remembers what it takes to say why a build failed."""

    def __init__(self) -> None:
        self._step = ""
        self._kept: list[str] = []
        self._error = ""

    def feed(self, piece: str) -> Iterator[str]:
        """Take whole lines; yield them for people."""
        for line in map(str.rstrip, piece.splitlines()):
            if not line or _BUILDAH_NOISE.match(line):
                continue
            step = _BUILDAH_STEP.match(line)
            if step:
                self._step, self._kept = line[step.end() :], []
            elif end := _BUILDAH_ERROR.search(line):  # also after a line of a step without an end
                self._error = end[1]
            else:
                self._kept.append(line)
                del self._kept[:-_KEPT_LINES]
            yield _TITLED.sub(r"\1", line) if step else line

    def reason(self) -> str:
        """Say why the build failed: the failing step's own first error line, or what is known."""
        own = _reason(self.lines())
        return own or self._error.rpartition('": ')[2] or "no reason given"

    def lines(self) -> list[str]:
        """Return the last lines of the step that failed."""
        return self._kept

    def step_name(self) -> str:
        """Return the instruction that failed, or nothing if the failure was in no instruction."""
        return _short(self._step) if self._error.startswith("building at STEP") else ""


def _reason(lines: Sequence[str]) -> str:
    """Return the first line that looks like an error, else the last."""
    first = next((line for line in lines if _ERROR_LINE.search(line)), "")
    return first or (lines[-1] if lines else "")


def _short(instruction: str) -> str:
    """The title; without one, leave mounts out, and of a long text the beginning."""
    titled = _TITLED.fullmatch(instruction)
    if titled:
        return titled[1]
    text = " ".join(word for word in instruction.split() if not word.startswith("--mount="))
    return text if len(text) <= _STEP_CHARACTERS else f"… {text[-_STEP_CHARACTERS:]}"
