"""JSON (RFC 8259) with the place of every value; strict, and never recursive.

Duplicate keys, ``NaN`` and lone surrogates are errors. Whole numbers of more than 18 digits and
numbers beyond a double's range are refused, since programs read them differently.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ci.errors import EntryError
from ci.located import MAX_DEPTH, MAX_VALUES, Located

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"true|false|null")


def read_json(text: str, path: str) -> Located:
    """Read a document. Raises ``EntryError`` with the place."""
    return _Reader(text, path).document()


class _Reader:
    """A cursor over the text, and the lists and mappings that are open at it."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.at = 0
        self.count = 0
        self.line, self.line_start = 1, 0
        self.open: list[Located] = []

    def document(self) -> Located:
        self.skip()
        root = self.value()
        while self.open:
            self.item(self.open[-1])
        self.skip()
        if self.at < len(self.text):
            raise self.error("something follows the end of the document")
        return root

    def item(self, holder: Located) -> None:
        """Read the next item of the innermost open list or mapping, or its end."""
        end = "]" if holder.is_list else "}"
        self.skip()
        if self.taken(end):
            self.open.pop()
            return
        if holder.value and not self.taken(","):
            raise self.error(f"expected `,` or `{end}`")
        self.skip()
        if holder.is_list:
            holder.value.append(self.value())
            return
        place = self.here(None)
        key = self.string("a key in double quotes")
        if key in holder.value:
            raise place.error(f"key {key[:80]!r} appears twice")
        self.skip()
        if not self.taken(":"):
            raise self.error("expected `:` after the key")
        self.skip()
        keys: Any = holder.keys
        keys[key] = (place.line, place.column)
        holder.value[key] = self.value()

    def value(self) -> Located:
        """Read a scalar, or the beginning of a list or mapping, which stays open."""
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.error(f"more than {MAX_VALUES} values")
        start = self.text[self.at : self.at + 1]
        if start in {"{", "["} and start:
            located = self.here({} if start == "{" else [])
            if len(self.open) >= MAX_DEPTH:
                raise located.error(f"nested more than {MAX_DEPTH} deep")
            self.at += 1
            self.open.append(located)
            return located
        place = self.here(None)
        begin = self.at
        value = self.scalar(start)
        written = value if isinstance(value, str) else self.text[begin : self.at]
        return Located(value, self.path, place.line, place.column, written)

    def scalar(self, start: str) -> Any:
        if start == '"':
            return self.string("text")
        if found := _WORD.match(self.text, self.at):
            self.at = found.end()
            return _WORDS[found[0]]
        if found := _NUMBER.match(self.text, self.at):
            return self.number(found)
        raise self.error("expected a value")

    def number(self, found: re.Match[str]) -> int | float:
        whole = found[1] is None and found[2] is None
        value = float(found[0]) if len(found[0]) < 400 else math.inf
        if not math.isfinite(value) or (whole and len(found[0].lstrip("-")) > 18):
            raise self.error("this number is too large")
        self.at = found.end()
        return int(found[0]) if whole else value

    def string(self, what: str) -> str:
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self.error(f"expected {what}")
        try:
            value: str = json.loads(found[0])
            value.encode("utf-8")
        except ValueError:
            raise self.error("this text has an escape that is not allowed in JSON") from None
        self.at = found.end()
        return value

    def skip(self) -> None:
        """Pass over blanks and count lines."""
        found = _SPACE.match(self.text, self.at)
        end = found.end() if found else self.at
        breaks = self.text.count("\n", self.at, end)
        if breaks:
            self.line += breaks
            self.line_start = self.text.rindex("\n", self.at, end) + 1
        self.at = end

    def taken(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def here(self, value: Any) -> Located:
        return Located(value, self.path, self.line, self.at - self.line_start + 1, "", {})

    def error(self, message: str) -> EntryError:
        return self.here(None).error(f"not JSON: {message}")
