"""Values of a document that know where they stand.

A document becomes a tree of ``Located``: a mapping (``dict`` of text to ``Located``), a list, or
one of text, whole number, number, true/false, nothing. Accessors raise ``EntryError`` with the
place, so that a reader is written as if everything were right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.errors import EntryError

MAX_BYTES = 2 * 1024 * 1024  # of one document
MAX_VALUES = 100_000  # with every alias written out, so a "YAML bomb" ends here
MAX_DEPTH = 60
_FEW = 200  # names that a misspelt one is compared with
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
}


@dataclass(slots=True)  # never assigned to; "frozen" would make a document three times as slow
class Located:
    """One value; lines and columns count from 1.

    ``text`` is a scalar as it is written (``3.10`` stays ``3.10``); ``keys`` says where the keys of
    a mapping stand.
    """

    value: Any
    path: str = ""
    line: int = 0
    column: int = 0
    text: str = ""
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def error(self, message: str, *, hint: str = "") -> EntryError:
        """An error at this place."""
        return EntryError(message, path=self.path, line=self.line, column=self.column, hint=hint)

    def key_error(self, key: str, message: str, *, hint: str = "") -> EntryError:
        """An error at a key of this mapping."""
        line, column = self.keys.get(key, (self.line, self.column))
        return EntryError(message, path=self.path, line=line, column=column, hint=hint)

    def key(self, key: str) -> Located:
        """The key itself as a value, for its place."""
        line, column = self.keys.get(key, (self.line, self.column))
        return Located(key, self.path, line, column, text=key)

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return _KINDS[type(self.value)]

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.value, list)

    @property
    def is_text(self) -> bool:
        """Whether it is text."""
        return isinstance(self.value, str)

    def mapping(self, what: str) -> dict[str, Located]:
        """Its items, if it is a mapping (nothing counts as an empty one)."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error(f"{what} must be a mapping, not {self.kind}")
        return self.value

    def sequence(self, what: str) -> list[Located]:
        """Its items, if it is a list (nothing counts as an empty one)."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.error(f"{what} must be a list, not {self.kind}")
        return self.value

    def string(self, what: str) -> str:
        """The text; numbers count as written."""
        if isinstance(self.value, str):
            return self.value
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            return self.text
        raise self.error(f"{what} must be text, not {self.kind}")

    def integer(self, what: str, *, at_least: int, at_most: int) -> int:
        """A whole number within bounds."""
        if type(self.value) is not int:
            raise self.error(f"{what} must be a whole number, not {self.kind}")
        if not at_least <= self.value <= at_most:
            raise self.error(f"{what} must be between {at_least} and {at_most}")
        return self.value

    def boolean(self, what: str) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"{what} must be true or false, not {self.kind}")
        return self.value

    def only(self, known: Iterable[str], what: str) -> dict[str, Located]:
        """Its items, if it is a mapping without other keys than these."""
        items = self.mapping(what)
        names = list(known)
        for key in items:
            if key not in names:
                raise self.key_error(key, f"{what}: unknown key {key!r}", hint=nearest(key, names))
        return items

    def plain(self) -> Any:
        """The plain Python value."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def walk(self) -> Iterator[Located]:
        """This value and every value inside it, in the order of the document."""
        yield self
        inner = self.value.values() if isinstance(self.value, dict) else self.value
        if isinstance(self.value, (dict, list)):
            for item in inner:
                yield from item.walk()


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is not known: the one that was probably meant, else all."""
    names = sorted(set(known))
    likely = names if len(names) <= _FEW else [other for other in names if _alike(name, other)]
    near = difflib.get_close_matches(name[:80], likely[:_FEW], n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none"
    more = " …" if len(names) > 20 else ""
    return f"known: {', '.join(names[:20])}{more}"


def _alike(name: str, other: str) -> bool:
    """A cheap look before the close one, where there are many names."""
    return abs(len(name) - len(other)) <= 3 and (name[:2] == other[:2] or name[-2:] == other[-2:])
