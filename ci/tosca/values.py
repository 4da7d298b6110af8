"""Types of values: checking what a file says, and completing what was resolved.

TOSCA's types (Simple Profile 1.3, 3.3): string, integer, float, boolean, timestamp, version,
range, ``scalar-unit.*``, list, map, and the data types of a library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.functions import KEPT, has_references, is_call
from ci.tosca.library import Library
from ci.tosca.model import Definition

_TEXTS = ("string", "timestamp", "version")
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORDS = {"integer": "a whole number", "float": "a number", "boolean": "true or false"}


class Problem(NamedTuple):
    """What is wrong with a value: ``kind`` is missing, unknown or type."""

    kind: str
    place: Located
    message: str
    hint: str = ""


def problems(
    holder: Located,
    definitions: Mapping[str, Definition],
    library: Library,
    place: Located,
    what: str,
) -> Iterator[Problem]:
    """What is wrong with the properties in a mapping; ``place`` is the name of what has them."""
    values = holder.mapping(what)
    for definition in definitions.values():
        if definition.required and definition.default is None and definition.name not in values:
            message = f"{what}: property {definition.name!r} is missing"
            yield Problem("missing", place, message, f"type: {definition.type}")
    for name, value in values.items():
        known = definitions.get(name)
        if known is None:
            message = f"{what}: unknown property {name!r}"
            yield Problem("unknown", holder.key(name), message, nearest(name, definitions))
        else:
            yield from _value_problems(value, known, library, holder.key(name), f"{what}: {name}")


def _value_problems(
    value: Located, definition: Definition, library: Library, place: Located, what: str
) -> Iterator[Problem]:
    kind = definition.type
    if is_call(value) or value.value is None:
        return
    if kind in {"list", "map"}:
        yield from _entries_problems(value, definition, library, what)
    elif (fields := library.data_type(kind)) is not None:
        if value.is_mapping:
            yield from problems(value, fields, library, place, what)
        else:
            yield Problem("type", value, f"{what} must be a mapping, not {value.kind}")
    elif not has_references(value):
        try:
            coerced(value.value, kind, what)
        except EntryError as error:
            yield Problem("type", value, error.message, error.hint)


def _entries_problems(
    value: Located, definition: Definition, library: Library, what: str
) -> Iterator[Problem]:
    kind = definition.type
    entry = Definition(what, definition.entry_type, True, definition.place)
    wanted = list if kind == "list" else dict
    if not isinstance(value.value, wanted):
        word = "list" if kind == "list" else "mapping"
        yield Problem("type", value, f"{what} must be a {word}, not {value.kind}")
        return
    items = value.sequence(what) if kind == "list" else value.mapping(what).values()
    for item in items:
        if entry.type:
            yield from _value_problems(item, entry, library, item, f"an item of {what}")


def completed(
    values: Mapping[str, Any], definitions: Mapping[str, Definition], library: Library, what: str
) -> dict[str, Any]:
    """Resolved properties with defaults filled in and every value of its type.

    Raises ``EntryError`` (without a place) for a missing or unknown property or a wrong type.
    """
    found: dict[str, Any] = {}
    for name in values:
        if name not in definitions:
            hint = nearest(name, definitions)
            raise EntryError(f"{what}: unknown property {name!r}", hint=hint)
    for name, definition in definitions.items():
        value = values.get(name)
        if value is None and definition.default is not None:
            value = definition.default.plain()
        if value is None and definition.required:
            raise EntryError(f"{what}: property {name!r} has no value")
        if value is not None:
            found[name] = _complete(value, definition, library, f"{what}: {name}")
    return found


def _complete(value: Any, definition: Definition, library: Library, what: str) -> Any:
    fields = library.data_type(definition.type)
    if _is_kept(value):
        return value
    if fields is not None:
        if not isinstance(value, dict):
            raise EntryError(f"{what} must be a mapping")
        return completed(value, fields, library, what)
    entry = Definition(what, definition.entry_type, True, definition.place)
    if definition.type == "list" and isinstance(value, list) and entry.type:
        return [_complete(item, entry, library, f"an item of {what}") for item in value]
    if definition.type == "map" and isinstance(value, dict) and entry.type:
        return {key: _complete(item, entry, library, what) for key, item in value.items()}
    return coerced(value, definition.type, what)


def _is_kept(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KEPT


def coerced(value: Any, kind: str, what: str) -> Any:
    """A value of a simple type; text such as ``"3"`` or ``"true"`` becomes what it says.

    Values of types that are not known here are passed on. Raises ``EntryError`` (no place).
    """
    if kind in _TEXTS:
        if isinstance(value, (dict, list)):
            raise EntryError(f"{what} must be text")
        return value if isinstance(value, str) else _written(value)
    if kind in _WORDS:
        number = _from_text(value, kind) if isinstance(value, str) else value
        if not _fits(number, kind):
            raise EntryError(f"{what} must be {_WORDS[kind]}, not {str(value)[:60]!r}")
        return float(number) if kind == "float" else number
    if kind in {"list", "map"} and not isinstance(value, list if kind == "list" else dict):
        raise EntryError(f"{what} must be a {'list' if kind == 'list' else 'mapping'}")
    return value


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_text(text: str, kind: str) -> Any:
    if kind == "boolean":
        return _TRUTH.get(text.strip().lower(), text)
    try:
        return int(text) if kind == "integer" and len(text) < 20 else float(text)
    except ValueError:
        return text


def _fits(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and (kind == "float" or isinstance(value, int))
