"""The words of a Spack spec: names, ``@version``, ``+variant``, ``key=value``, ``%``, ``^``, ``/``.

Grammar: https://spack.readthedocs.io, "Spec syntax"; every pattern takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ci.errors import EntryError

_EDGE_KEYS = frozenset({"deptypes", "virtuals", "when"})

_ID = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_KEY = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_TWICE = r"""(?:''[^'"\s][^'"]*''|""[^'"\s][^'"]*"")"""  # Spack 0.21 takes ''-Wl,a'' too
_VALUE = r"[A-Za-z0-9_+*.,:=~/\\-]+"
_PAIR = rf"(?P<key>{_KEY})\s*:?(?P<equals>==?)\s*(?P<value>{_TWICE}|{_QUOTED}|{_VALUE})"
_ONE = r"=?[A-Za-z0-9_][A-Za-z0-9_.-]*\b"
_SOME = rf"(?:(?:{_ONE})?:(?:{_ONE}(?!\s*=))?|{_ONE})"
_GIT = rf"(?:git\.[A-Za-z0-9_][A-Za-z0-9_./-]*|[A-Fa-f0-9]{{40}})(?:={_ONE})?"
_TOKEN = re.compile(
    rf"""
    (?P<space>\s+)
    | (?P<sign>\^|%%?) (?: \[ (?P<edge>(?:[^\]"']|{_QUOTED})*) \] )?
        (?: \s* (?P<virtuals>{_ID}(?:,{_ID})*) = (?=[a-z][a-z0-9_.-]*(?![\w,])) )?
    | @ \s* (?P<version> {_GIT} | {_SOME}(?:\s*,\s*{_SOME})* )
    | (?P<switch>\+\+|~~|--|[+~-]) \s* (?P<variant>{_KEY})
    | {_PAIR}
    | (?P<name>{_ID}(?:\.{_ID})*)
    | / (?P<hash>[A-Za-z0-9_]+)
    """,
    re.VERBOSE | re.ASCII,
)
_EDGE_PAIR = re.compile(rf"\s*({_KEY})\s*:?=\s*(?:{_QUOTED}|[^\s\]\"']+)\s*", re.ASCII)


def tokens(text: str) -> Iterator[re.Match[str]]:
    """The words of a spec, without the space between them. Raises ``EntryError``."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise _unexpected(text, position)
        position = token.end()
        if token.lastgroup != "space":
            yield token


def _unexpected(text: str, position: int) -> EntryError:
    what = text[position]
    hint = "name@version +variant key=value %compiler ^dependency"
    if what == "@":
        hint = "after @ comes a version, such as name@1.2"
    elif what in "=<>":
        hint = "versions are written name@1.2, name@1.2: (or later), name@:1.2 (or earlier)"
    return refused(text, position + 1, f"{what!r} at character {position + 1}", hint)


def refused(text: str, column: int, reason: str, hint: str) -> EntryError:
    """The error that a spec is none; the column counts from 1."""
    message = f"{text[:80]!r} is not a Spack spec: {reason}"
    return EntryError(message, column=column, hint=hint)


def check_edge(token: re.Match[str], text: str) -> None:
    """What stands in ``^[…]`` is known. Raises ``EntryError``."""
    edge, position = token["edge"] or "", 0
    while position < len(edge):
        pair = _EDGE_PAIR.match(edge, position)
        if pair is None or pair[1] not in _EDGE_KEYS:
            hint = f"in [ ] stand {', '.join(sorted(_EDGE_KEYS))}"
            raise refused(text, token.start("edge") + position + 1, "what stands in [ ]", hint)
        position = pair.end()


def unquoted(value: str) -> str:
    """A value without the quotes around it."""
    quote = value[0]
    return value.strip(quote).replace(f"\\{quote}", quote) if quote in "\"'" else value
