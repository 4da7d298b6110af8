"""``.gitattributes``: settings under which git hands out other bytes than are in the commit.

Format: https://git-scm.com/docs/gitattributes. A line is a pattern (in double quotes if it has
blanks) or ``[attr]name``, then attributes: ``name``, ``-name``, ``!name`` or ``name=value``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r'[ \t]*(?:"(?:[^"\\]|\\.)*"|[^ \t]+)[ \t]+(.*)')
_REWRITES = frozenset(["filter", "ident", "working-tree-encoding", "export-subst"])
_DRIVERS = frozenset(["merge", "diff"])
# https://git-scm.com/docs/gitattributes#_defining_a_custom_hunk_header
_DIFF_DRIVERS = (
    "ada bash bibtex cpp csharp css dts elixir fortran fountain golang html ini java kotlin "
    "markdown matlab objc pascal perl php python ruby rust scheme tex"
)
_BUILT_IN = frozenset([*_DIFF_DRIVERS.split(), "text", "binary", "union"])


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that is set; ``rewrites``: git changes content, else it runs a driver."""

    line: int
    column: int
    text: str
    rewrites: bool


def risky_attributes(text: str) -> Iterator[Attribute]:
    """Attributes with which a checkout differs from the commit, or that call programs."""
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.match(line[:4000])
        if found is None or line.lstrip().startswith("#"):
            continue
        for word in re.finditer(r"[^ \t\r]+", found[1]):
            name, _, value = word[0].partition("=")
            column = found.start(1) + word.start() + 1
            if name in _REWRITES:
                yield Attribute(number, column, word[0][:60], rewrites=True)
            elif name in _DRIVERS and value and value not in _BUILT_IN and value != "lfs":
                yield Attribute(number, column, word[0][:60], rewrites=False)
