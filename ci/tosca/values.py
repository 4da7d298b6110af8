"""Types of values: checking what a file says, and completing what was resolved.

TOSCA's types (Simple Profile 1.3, 3.3): string, integer, float, boolean, timestamp, version,
range, ``scalar-unit.*``, list, map, and the data types of a library, with their constraints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.constraints import Limits
from ci.tosca.functions import FUNCTIONS, KEPT, has_references, is_call
from ci.tosca.model import Definition
from ci.tosca.scalars import example, has_form
from ci.tosca.type_library import DataType, Library

_DEEPEST = 60  # data types inside each other
_LONG = 200  # characters of a name in a message
_MOST = 100_000  # values that are completed at once
_LARGEST = 10**19  # whole numbers
_TEXTS = ("string", "timestamp", "version")
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORDS = {"integer": "a whole number", "float": "a number", "boolean": "true or false"}


class Problem(NamedTuple):
    """What is wrong with a value: ``kind`` is missing, unknown, type or constraint.

    Of kind «call» is what is not wrong: a function stands for a value of the type in ``hint``.
    """

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
    limits: Limits | None = None,
) -> Iterator[Problem]:
    """What is wrong with the properties in a mapping; ``place`` is the name of what has them.

    ``limits`` keeps the constraints that were read, for several calls.
    """
    return _Judge(library, limits or Limits()).fields(holder, definitions, place, what)


def value_problems(
    value: Located, definition: Definition, library: Library, what: str, limits: Limits
) -> Iterator[Problem]:
    """What is wrong with one value."""
    return _Judge(library, limits).value(value, definition, definition.place, what)


@dataclass(frozen=True, slots=True)
class _Judge:
    library: Library
    limits: Limits

    def fields(
        self,
        holder: Located,
        definitions: Mapping[str, Definition],
        place: Located,
        what: str,
    ) -> Iterator[Problem]:
        values = holder.mapping(what)
        for definition in definitions.values():
            if definition.required and definition.default is None and definition.name not in values:
                message = f"{what}: property {definition.name[:_LONG]!r} is missing"
                yield Problem("missing", place, message, f"type: {definition.type[:_LONG]}")
        for name, value in values.items():
            known = definitions.get(name)
            if known is None:
                message = f"{what}: unknown property {name[:_LONG]!r}"
                yield Problem("unknown", holder.key(name), message, nearest(name, definitions))
            else:
                inner = f"{what[:_LONG]}: {name[:_LONG]}"
                yield from self.value(value, known, holder.key(name), inner)

    def value(
        self, value: Located, definition: Definition, place: Located, what: str
    ) -> Iterator[Problem]:
        if value.value is None:
            return
        data = self.library.usable_data(definition.type)
        kind = data.base if data is not None and data.base else definition.type
        if is_call(value):
            yield Problem("call", value, what, kind)
            return
        if data is not None and not data.base:
            found = self._inner(value, data, place, what)
        elif kind in {"list", "map"}:
            found = self._entries(value, definition, kind, what)
        else:
            found = _simple_problems(value, kind, what)
        wrong = False
        for problem in found:
            wrong = wrong or problem.kind != "call"
            yield problem
        if not wrong and not has_references(value):
            yield from self._broken(value, definition, data, kind, what)

    def _broken(
        self, value: Located, definition: Definition, data: DataType | None, kind: str, what: str
    ) -> Iterator[Problem]:
        inherited = data.constraints if data is not None else ()
        for holder in (definition.constraints, *inherited):
            if holder is not None:
                for demand in self.limits.violations(_literal(value, kind), holder, kind):
                    yield Problem("constraint", value, f"{what} {demand}, not {_shown(value)}")

    def _inner(
        self, value: Located, data: DataType, place: Located, what: str
    ) -> Iterator[Problem]:
        if value.is_mapping:
            yield from self.fields(value, data.fields, place, what)
        else:
            yield Problem("type", value, f"{what} must be a mapping, not {value.kind}")

    def _entries(
        self, value: Located, definition: Definition, kind: str, what: str
    ) -> Iterator[Problem]:
        if not isinstance(value.value, list if kind == "list" else dict):
            word = "list" if kind == "list" else "mapping"
            yield Problem("type", value, f"{what} must be a {word}, not {value.kind}")
            return
        entry = definition.entry
        if entry is None:
            return
        inner = f"an item of {what}"
        items = value.sequence(what) if kind == "list" else value.mapping(what).values()
        for item in items:
            yield from self.value(item, entry, item, inner)


def _simple_problems(value: Located, kind: str, what: str) -> Iterator[Problem]:
    if has_references(value):
        return
    try:
        coerced(_literal(value, kind), kind, what)
    except EntryError as error:
        yield Problem("type", value, error.message, _function_meant(value))


def _function_meant(value: Located) -> str:
    """The hint for a mapping that looks like a call of a function that there is not."""
    if not value.is_mapping or len(value.value) != 1:
        return ""
    hint = nearest(next(iter(value.value)), FUNCTIONS)
    return hint if hint.startswith("did you mean") else ""


def _literal(value: Located, kind: str) -> Any:
    """A value of a file as Python has it: text as it is written where text is meant."""
    if kind in _TEXTS and isinstance(value.value, (int, float)):
        return value.text
    if isinstance(value.value, (dict, list)):
        return value.plain()
    if isinstance(value.value, str) and kind in _WORDS:
        return _from_text(value.value, kind)
    return value.value


def _shown(value: Located) -> str:
    return repr(value.text[:60]) if value.text else value.kind


def completed(
    values: Mapping[str, Any], definitions: Mapping[str, Definition], library: Library, what: str
) -> dict[str, Any]:
    """Resolved properties with defaults filled in and every value of its type.

    Raises ``EntryError`` (without a place) for a missing or unknown property, a wrong type, and a
    value that breaks a constraint.
    """
    return _Completion(library).fields(values, definitions, what)


def complete(value: Any, definition: Definition, library: Library, what: str) -> Any:
    """One value of its type, with defaults filled in. Raises ``EntryError`` without a place."""
    return _Completion(library).value(value, definition, what)


@dataclass(slots=True)
class _Completion:
    """Fills defaults in; those of data types that hold themselves would have no end."""

    library: Library
    left: int = _MOST
    depth: int = 0
    limits: Limits = field(default_factory=Limits)

    def fields(
        self, values: Mapping[str, Any], definitions: Mapping[str, Definition], what: str
    ) -> dict[str, Any]:
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
                found[name] = self.value(value, definition, f"{what[:_LONG]}: {name[:_LONG]}")
        return found

    def value(self, value: Any, definition: Definition, what: str) -> Any:
        if _is_kept(value):
            return value
        self.left -= 1
        self.depth += 1
        if self.left < 0 or self.depth > _DEEPEST:
            raise EntryError(f"{what[:200]}: the defaults of its type have no end")
        data = self.library.data(definition.type)
        kind = data.base if data is not None and data.base else definition.type
        if data is None or data.base:
            found = self._simple(value, definition, kind, what)
        elif isinstance(value, dict):
            found = self.fields(value, data.fields, what)
        else:
            raise EntryError(f"{what} must be a mapping")
        self.depth -= 1
        for holder in (definition.constraints, *(data.constraints if data is not None else ())):
            for demand in self.limits.violations(found, holder, kind):
                raise EntryError(f"{what} {demand}, not {str(found)[:60]!r}")
        return found

    def _simple(self, value: Any, definition: Definition, kind: str, what: str) -> Any:
        entry = definition.entry
        if kind == "list" and isinstance(value, list) and entry is not None:
            return [self.value(item, entry, f"an item of {what}"[:_LONG]) for item in value]
        if kind == "map" and isinstance(value, dict) and entry is not None:
            return {key: self.value(item, entry, what) for key, item in value.items()}
        return coerced(value, kind, what)


def _is_kept(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KEPT


def coerced(value: Any, kind: str, what: str) -> Any:
    """A value of a simple type; text such as ``"3"`` or ``"true"`` becomes what it says.

    Values of types that are not known here are passed on. Raises ``EntryError`` (no place).
    """
    if kind in _TEXTS:
        if isinstance(value, (dict, list)):
            raise EntryError(f"{what} must be text")
        value = value if isinstance(value, str) else _written(value)
    elif kind in _WORDS:
        number = _from_text(value, kind) if isinstance(value, str) else value
        if not _fits(number, kind):
            raise EntryError(f"{what} must be {_WORDS[kind]}, not {str(value)[:60]!r}")
        return float(number) if kind == "float" else number
    elif kind in {"list", "map"} and not isinstance(value, list if kind == "list" else dict):
        raise EntryError(f"{what} must be a {'list' if kind == 'list' else 'mapping'}")
    if value != "" and not has_form(value, kind):
        raise EntryError(f"{what} must be {example(kind)}, not {str(value)[:60]!r}")
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
    if isinstance(value, int):
        return abs(value) < _LARGEST
    return math.isfinite(value) and kind == "float"
