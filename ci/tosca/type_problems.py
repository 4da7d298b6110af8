"""What is wrong with definitions: inputs, and the types that a document defines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.constraints import Limits
from ci.tosca.model import Definition
from ci.tosca.reader import read_definitions
from ci.tosca.scalars import SIMPLE
from ci.tosca.type_library import (
    CAPABILITIES,
    DATA,
    NODES,
    RELATIONSHIPS,
    SECTIONS,
    Library,
)
from ci.tosca.values import Problem, value_problems

_SHORT = ("", "tosca.datatypes.", "tosca.datatypes.network.")  # names may leave these out


def definition_problems(
    definition: Definition, library: Library, what: str, limits: Limits
) -> Iterator[Problem]:
    """An unknown type, a constraint that cannot be read, a default that does not fit.

    ``what`` is the name of what is defined, in words: «input n».
    """
    place = definition.type_place or definition.place
    if not _is_known(definition.type, library):
        known = [*SIMPLE, *library.names(DATA)]
        message = f"{what}: unknown type {definition.type!r}"
        yield Problem("type", place, message, nearest(definition.type, known))
        return
    data = library.usable_data(definition.type)
    kind = data.base if data is not None else definition.type if definition.type in SIMPLE else ""
    wrong = _refused(lambda: limits.read(definition.constraints, kind))
    if wrong is not None:
        yield wrong._replace(message=f"{what}: {wrong.message}")
    if definition.entry is not None:
        inner = f"an item of {what}"[:200]
        yield from definition_problems(definition.entry, library, inner, limits)
    if definition.default is not None:
        named = f"the default of {what}"
        problems = value_problems(definition.default, definition, library, named, limits)
        yield from (problem for problem in problems if problem.kind != "call")


def type_problems(document: Located, library: Library) -> Iterator[Problem]:
    """What is wrong with the types that a document defines; ``library`` has them too."""
    said: set[tuple[int, int]] = set()
    limits = Limits()
    items = document.value if document.is_mapping else {}
    for section in SECTIONS:
        holder = items.get(section, Located(None))
        if holder.value is not None and not holder.is_mapping:
            message = f"{section} must be a mapping, not {holder.kind}"
            yield Problem("type", holder, message)
            continue
        for name, definition in (holder.value or {}).items():
            for problem in _problems_of(section, name, definition, library, limits):
                place = (problem.place.line, problem.place.column)
                if problem.place.path == document.path and place not in said:
                    said.add(place)
                    yield problem


def _problems_of(
    section: str, name: str, definition: Located, library: Library, limits: Limits
) -> Iterator[Problem]:
    if definition.value is None:  # a type without anything of its own
        return
    wrong = _refused(lambda: definition.mapping(f"type {name}"))
    if wrong is None:
        wrong = _circle(section, name, library)
    if wrong is not None:
        yield wrong
        return
    holder = definition.value.get("properties", Located(None))
    yield from _property_problems(holder, name, library, limits)
    if section == DATA:
        data = library.usable_data(name)
        own = definition.value.get("constraints")
        wrong = _refused(lambda: limits.read(own, data.base if data is not None else ""))
        if wrong is not None:
            yield wrong
    elif section == NODES:
        yield from _node_type_problems(name, library)


def _circle(section: str, name: str, library: Library) -> Problem | None:
    """What is wrong with what a type derives from; of a circle, only its first type tells it."""
    wrong = _refused(lambda: library.ancestors(section, name))
    if wrong is None or "circle" not in wrong.message:
        return wrong
    line, parent = [name], name
    while parent not in line[:-1]:
        definition = library.definition(section, parent)
        derived = definition.value.get("derived_from") if definition is not None else None
        parent = derived.text if derived is not None else ""
        line.append(parent)
    ring = line[line.index(parent) : -1]
    if name != min(ring):
        return None
    return wrong


def _property_problems(
    holder: Located, name: str, library: Library, limits: Limits
) -> Iterator[Problem]:
    wrong = _refused(lambda: holder.mapping(f"properties of {name}"))
    if wrong is not None:
        yield wrong
        return
    for key, value in (holder.value or {}).items():
        one = Located({key: value}, holder.path, holder.line, holder.column, keys=holder.keys)
        wrong = _refused(partial(read_definitions, one, f"properties of {name}"))
        if wrong is not None:
            yield wrong
            continue
        for definition in read_definitions(one, f"properties of {name}").values():
            what = f"property {key[:100]} of {name[:100]}"
            yield from definition_problems(definition, library, what, limits)


def _node_type_problems(name: str, library: Library) -> Iterator[Problem]:
    wrong = _refused(lambda: library.node_type(name))
    if wrong is not None:
        yield wrong
        return
    kind = library.node_type(name)
    used = [(CAPABILITIES, place) for place in kind.capabilities.values()]
    used += [(CAPABILITIES, need.capability) for need in kind.needs.values()]
    used += [(RELATIONSHIPS, need.relationship) for need in kind.needs.values()]
    for section, place in used:
        if place.text and library.definition(section, place.text) is None:
            word = section.removesuffix("_types")
            hint = nearest(place.text, library.names(section))
            yield Problem("type", place, f"type {name}: unknown {word} type {place.text!r}", hint)


def _is_known(name: str, library: Library) -> bool:
    return any(library.has_data_type(prefix + name) for prefix in _SHORT)


def _refused(read: Callable[[], object]) -> Problem | None:
    """The problem that says why something cannot be read, if it cannot."""
    try:
        read()
    except EntryError as error:
        place = Located(None, error.path, error.line, error.column)
        return Problem("type", place, error.message, error.hint)
    return None
