"""YAML with the place of every value, from the parser's events.

One document per file; scalars as in the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/,
10.3.2): ``yes``, ``12:30`` and dates are text. Tags other than those of JSON's types are refused,
so nothing is ever constructed. Merge keys (``<<``) work, as YAML 1.1 has them. Keys are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from ci.errors import EntryError
from ci.located import MAX_DEPTH, MAX_VALUES, Located

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
# libyaml compares each with each before it, so that 2 MiB of them would take half a minute
_MOST_DIRECTIVES = 16
_DIRECTIVE = re.compile("(?:\\A|[\n\r\x85\u2028\u2029])\ufeff?%TAG")
_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?", re.ASCII
)
_NUMERIC = frozenset("0123456789+-.")  # what a number begins with
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BY_TAG: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in {int, float},
}


def read_yaml(text: str, path: str) -> Located:
    """Read a document. Raises ``EntryError`` with the place."""
    if too_many_directives(text):
        raise EntryError(f"more than {_MOST_DIRECTIVES} `%TAG` directives", path=path, line=1)
    reader = _Reader(path)
    try:
        loader = _LOADER(text)
        while (event := loader.get_event()) is not None:
            reader.take(event)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise EntryError("not YAML: half a character", path=path, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1  # libyaml counts bytes
        raise EntryError(f"not YAML: {error.reason}", path=path, line=line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = error.problem or error.context or "cannot be parsed"
        raise EntryError(f"not YAML: {what}", path=path, line=line, column=column) from None
    return reader.document or Located(None, path, 1, 1)


def too_many_directives(text: str) -> bool:
    """Whether a text would keep the parser busy with ``%TAG`` directives."""
    found = islice(_DIRECTIVE.finditer(text), _MOST_DIRECTIVES + 1)
    return "%TAG" in text and len(list(found)) > _MOST_DIRECTIVES


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    value: Located
    anchor: str | None
    before: int  # values of the document before it
    pending: Located | None = None  # a key that waits for its value
    merged: list[Located] = field(default_factory=list)


class _Reader:
    """Takes events in and builds the document; it never recurses."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.document: Located | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Located, int]] = {}  # with the number of values in it
        self._count = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._add(self._scalar(event), event.anchor, 1)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._start(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent and self.document is not None:
            raise self._at(event, None).error("a second document; one file holds one")

    def _at(self, event: yaml.Event, value: Any, text: str = "") -> Located:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return Located(value, self.path, line, column, text, {})

    def _scalar(self, event: yaml.ScalarEvent) -> Located:
        text, tag = event.value, event.tag
        if tag is None:
            if not event.implicit[0]:
                return self._at(event, text, text)
            return self._at(event, _MERGE if text == "<<" else _plain_value(text), text)
        if tag in {"!", _TAG + "str"}:
            return self._at(event, text, text)
        value = _plain_value(text)
        fits = _BY_TAG.get(tag.removeprefix(_TAG))
        if fits is None or not fits(value):
            raise self._at(event, None).error(f"tag {tag[:80]!r} is not supported here")
        return self._at(event, value, text)

    def _start(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in {None, "!", _TAG + ("seq" if is_list else "map")}:
            raise self._at(event, None).error(
                f"tag {(event.tag or '')[:80]!r} is not supported here"
            )
        value = self._at(event, [] if is_list else {})
        if len(self._open) >= MAX_DEPTH:
            raise value.error(f"nested more than {MAX_DEPTH} deep")
        self._anchors.pop(event.anchor or "", None)
        self._open.append(_Open(value, event.anchor, self._count))

    def _end(self) -> None:
        top = self._open.pop()
        if top.merged:
            _merge(top)
        self._add(top.value, top.anchor, 1)
        if top.anchor:
            self._anchors[top.anchor] = (top.value, self._count - top.before)

    def _alias(self, event: yaml.AliasEvent) -> None:
        place = self._at(event, None)
        if event.anchor not in self._anchors:
            raise place.error(f"alias *{event.anchor:.80} has no anchor before it")
        value, count = self._anchors[event.anchor]
        self._add(value, None, count)
        if len(self._open) + _depth(value) > MAX_DEPTH:
            raise place.error(f"nested more than {MAX_DEPTH} deep")

    def _add(self, value: Located, anchor: str | None, count: int) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise value.error(f"more than {MAX_VALUES} values, counting aliases")
        if anchor:
            self._anchors[anchor] = (value, count)
        if not self._open:
            self.document = value
            return
        top = self._open[-1]
        if isinstance(top.value.value, list):
            top.value.value.append(_not_merge(value))
        elif top.pending is None:
            top.pending = self._checked_key(top, value)
        else:
            key, top.pending = top.pending, None
            if key.value is _MERGE:
                top.merged.extend(_mergeable(key, value))
            else:
                top.value.value[key.text] = _not_merge(value)

    def _checked_key(self, top: _Open, key: Located) -> Located:
        if isinstance(key.value, (dict, list)):
            raise key.error("a key must be text")
        if key.value is _MERGE:
            return key
        if key.text in top.value.value:
            raise key.error(f"key {key.text[:80]!r} appears twice")
        keys: Any = top.value.keys
        keys[key.text] = (key.line, key.column)
        return key


class _MergeKey:
    """What a plain ``<<`` means until it is known to be a key."""


_MERGE = _MergeKey()


def _not_merge(value: Located) -> Located:
    if value.value is not _MERGE:
        return value
    return Located("<<", value.path, value.line, value.column, "<<")


def _mergeable(key: Located, value: Located) -> Iterator[Located]:
    for source in value.value if isinstance(value.value, list) else [value]:
        if not isinstance(source.value, dict):
            raise key.error("`<<` takes a mapping or a list of mappings")
        yield source


def _merge(top: _Open) -> None:
    keys: Any = top.value.keys
    for source in top.merged:
        for name, value in source.value.items():
            if name not in top.value.value:
                top.value.value[name] = value
                keys[name] = source.keys.get(name, (value.line, value.column))


def _depth(value: Located) -> int:
    """How deep a value is nested: 0 for one that holds no others."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item.value, (dict, list))]:
        depth += 1
        level = [
            inner
            for item in level
            for inner in (item.value.values() if item.is_mapping else item.value)
        ]
    return depth


def _plain_value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
