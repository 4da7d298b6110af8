"""``requirements.txt`` and ``requirements.lock``, as pip documents the format.

https://pip.pypa.io/en/stable/reference/requirements-file-format/: a requirement a line, ``#``
comments, a backslash at a line's end to go on in the next, and after a requirement ``--hash``
options (https://pip.pypa.io/en/stable/topics/secure-installs/). Other options, URLs and paths are
refused: where packages come from is not for a step to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import EntryError

if TYPE_CHECKING:  # imported when a requirement is there: it takes 20 ms
    from packaging.requirements import Requirement

REQUIREMENTS = "requirements.txt"
LOCK = "requirements.lock"
MAX_BYTES = 1024 * 1024  # of a file: a lock of 200 packages with all their hashes has 0.5 MiB
MAX_TEXT = 4000  # characters of a requirement without its hashes
MAX_HASHES = 250  # of one requirement: a release of grpcio has 60 files, of pydantic-core 120

_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}  # those that pip calls strong
_COMMENT = re.compile(r"(^|\s)#.*$")  # pip's rule
_COMMENT_LINE = re.compile(r"\s*#")
_OPTION = re.compile(r"\s(?=-)")
_WORD = re.compile(r"\S+")
_SEPARATORS = re.compile(r"[-_.]+")  # alike in names of projects (PEP 503)
_RELEASED = "name a released version"
_OPERATOR = "where packages come from is a setting of the operator"
_HINTS = {  # what to do instead, by option
    "-r": "write its requirements here",
    "--requirement": "write its requirements here",
    "-c": "write the versions here, or all of them into requirements.lock",
    "--constraint": "write the versions here, or all of them into requirements.lock",
    "-e": f"{_RELEASED}; the step's own code is in the image anyway",
    "--editable": f"{_RELEASED}; the step's own code is in the image anyway",
    "--require-hashes": "leave it out: once one requirement has hashes, all must",
    "--no-binary": "one requirement per line",
    **dict.fromkeys(["-i", "--index-url", "--extra-index-url", "--no-index"], _OPERATOR),
    **dict.fromkeys(["-f", "--find-links", "--trusted-host"], _OPERATOR),
}


@dataclass(frozen=True, slots=True)
class RequirementLine:
    """A requirement as it is written, without comments and continuations.

    ``starts`` says where its pieces begin: offset in ``text``, line and column (both from 1).
    """

    text: str
    starts: tuple[tuple[int, int, int], ...]

    @property
    def line(self) -> int:
        """The line that it begins in."""
        return self.starts[0][1]

    @property
    def column(self) -> int:
        """The column that it begins in."""
        return self.starts[0][2]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of a character of ``text``."""
        begun = [start for start in self.starts if start[0] <= offset] or [self.starts[0]]
        start, line, column = begun[-1]
        return line, column + offset - start


@dataclass(frozen=True, slots=True)
class PipRequirement:
    """A requirement, and the hashes that one of its files must have."""

    requirement: Requirement
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """All of it in a line, as pip reads it; what means the same is the same text."""
        return " ".join([str(self.requirement), *(f"--hash={value}" for value in self.hashes)])

    @property
    def key(self) -> str:
        """The project's name in the form that is the same for all its spellings."""
        return project_key(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version that it allows; empty if it allows several."""
        wanted = list(self.requirement.specifier)
        one = len(wanted) == 1 and wanted[0].operator in {"==", "==="}
        return wanted[0].version if one and not wanted[0].version.endswith(".*") else ""


def project_key(name: str) -> str:
    """A project's name as PEP 503 normalises it."""
    return _SEPARATORS.sub("-", name).lower()


def requirement_lines(text: str) -> Iterator[RequirementLine]:
    """The requirements of a file, one each, joined where a backslash says so.

    As in pip, a line that is a comment ends a continuation, and comments are taken off last.
    """
    pieces: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        plain = line.removesuffix("\r")
        is_comment = _COMMENT_LINE.match(plain) is not None
        goes_on = plain.endswith("\\") and not is_comment
        pieces.append((number, plain.rstrip("\\") if goes_on else " " * is_comment + plain))
        if not goes_on:
            yield from _joined(pieces)
            pieces = []
    yield from _joined(pieces)


def _joined(pieces: list[tuple[int, str]]) -> Iterator[RequirementLine]:
    whole = "".join(piece for _, piece in pieces)
    text = _COMMENT.sub("", whole)
    begin = len(text) - len(text.lstrip())
    starts, offset = [], 0
    for number, piece in pieces:
        end = offset + len(piece)
        if begin < end:
            first = max(offset, begin)
            starts.append((first - begin, number, first - offset + 1))
        offset = end
    if text.strip():
        yield RequirementLine(text.strip(), tuple(starts))


def parse_requirement(text: str) -> PipRequirement:
    """Read a requirement with its hashes.

    Raises ``EntryError`` without a path; its column is that of the text.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    if text.startswith("-"):
        raise _no_option(text, 0)
    before = _OPTION.search(text)
    plain = text[: before.start()].rstrip() if before else text
    if len(plain) > MAX_TEXT:
        raise EntryError(f"longer than {MAX_TEXT} characters", column=1)
    try:
        requirement = Requirement(plain)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise EntryError(f"{plain!r} is no pip requirement: {reason}", column=1) from None
    if requirement.url:
        message = f"{requirement.name!r} comes from a URL or a file"
        raise EntryError(message, column=1, hint=_RELEASED)
    return PipRequirement(requirement, _hashes(text, before.end()) if before else ())


def _hashes(text: str, start: int) -> tuple[str, ...]:
    """The values of ``--hash=…`` or ``--hash …``, each once, in the order of the alphabet."""
    found: set[str] = set()
    words = iter(_WORD.finditer(text, start))
    for word in words:
        if len(found) == MAX_HASHES:
            raise EntryError(f"more than {MAX_HASHES} hashes of one requirement", column=1)
        option, equals, value = word[0].partition("=")
        if option != "--hash":
            raise _no_option(word[0], word.start())
        start = word.start() + len(word[0]) - len(value) if equals else word.start()
        following = None if equals else next(words, None)
        if following:
            value, start = following[0], following.start()
        found.add(_hash(value, start + 1))
    return tuple(sorted(found))


def _hash(value: str, column: int) -> str:
    kind, _, digits = value.partition(":")
    if kind not in _DIGITS:
        message = f"{kind[:40]!r} is no kind of hash that pip takes"
        raise EntryError(message, column=column, hint=f"--hash={':… or '.join(_DIGITS)}:…")
    if not re.fullmatch(r"[0-9a-f]+", digits.lower(), re.ASCII) or len(digits) != _DIGITS[kind]:
        message = f"a {kind} hash has {_DIGITS[kind]} hexadecimal digits"
        raise EntryError(message, column=column, hint="copy it whole; pip-compile writes them")
    return f"{kind}:{digits.lower()}"


def _no_option(text: str, offset: int) -> EntryError:
    option = re.split(r"[=\s]", text, maxsplit=1)[0]
    option = option if option.startswith("--") else option[:2]
    hint = _HINTS.get(option, "one requirement per line, with hashes at most")
    message = f"pip options are not supported: {text[:80]!r}"
    return EntryError(message, column=offset + 1, hint=hint)
