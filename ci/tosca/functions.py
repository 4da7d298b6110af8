"""Functions and references in the values of a topology.

``{get_input: x}`` reads an input of the topology, ``{get_property: [node, …]}`` another property,
``{concat: […]}`` joins text; ``${name}`` inside text is an input of the TOSCA workflow that runs.
``{get_secret: …}`` and ``{get_attribute: …}`` stay as they are: only who needs a secret reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.located import Located, nearest
from ci.tosca.model import Topology

KEPT = ("get_secret", "get_attribute")
FUNCTIONS = ("get_input", "get_property", "concat", *KEPT)
_INPUT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}", re.ASCII)
_LONGEST = 65_536  # characters of a resolved text
_MOST = 20_000  # values looked at for one property
_DEEPEST = 30  # properties that refer to each other


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that a value refers to: ``kind`` is ``get_input`` or ``workflow input``."""

    kind: str
    name: str
    place: Located


def references(value: Located) -> Iterator[Reference]:
    """Every input that a value refers to, of the topology and of the workflow."""
    for item in value.walk():
        if item.is_text:
            for name in _INPUT.findall(item.value):
                yield Reference("workflow input", name, item)
        elif (call := _call(item)) and call[0] == "get_input":
            first = call[1].value[0] if call[1].is_list and call[1].value else call[1]
            yield Reference("get_input", first.text, first)


def is_call(value: Located) -> bool:
    """Whether a value is a function: what it gives is not known before an execution."""
    return _call(value) is not None


def has_references(value: Located) -> bool:
    """Whether a text holds ``${…}``."""
    return value.is_text and bool(_INPUT.search(value.value))


@dataclass(slots=True)
class Scope:
    """What names mean while values are resolved."""

    topology: Topology
    inputs: Mapping[str, Any]  # of the workflow that runs
    topology_inputs: Mapping[str, Any] = field(default_factory=dict)
    _left: int = _MOST
    _depth: int = 0

    def resolve(self, value: Located, node: str) -> Any:
        """The plain value of a property of ``node``. Raises ``EntryError`` with the place.

        An input without a value gives None.
        """
        self._left = _MOST
        return self._resolve(value, node)

    def _resolve(self, value: Located, node: str) -> Any:
        self._left -= 1
        if self._left < 0 or self._depth > _DEEPEST:
            raise value.error("this value refers to others without end")
        call = _call(value)
        if call is not None:
            return self._called(call[0], call[1], value, node)
        if value.is_mapping:
            return {key: self._resolve(item, node) for key, item in value.value.items()}
        if value.is_list:
            return [self._resolve(item, node) for item in value.value]
        if isinstance(value.value, float):
            return value.text  # as written: 0.10 in an argument stays 0.10
        return self._substituted(value) if value.is_text else value.value

    def _called(self, function: str, argument: Located, value: Located, node: str) -> Any:
        if function == "get_input":
            return self._input(argument, node)
        if function == "get_property":
            return self._property(argument, node)
        if function == "concat":
            parts = [self._resolve(part, node) for part in argument.sequence("concat")]
            return _limited("".join(as_text(part) for part in parts), value)
        return value.plain()

    def _input(self, argument: Located, node: str) -> Any:
        path = argument.value if argument.is_list else [argument]
        if not path:
            raise argument.error("get_input names no input")
        name = path[0].string("the name of an input")
        definition = self.topology.inputs.get(name)
        if definition is None:
            hint = nearest(name, self.topology.inputs)
            raise path[0].error(f"the topology has no input {name!r}", hint=hint)
        if name in self.topology_inputs:
            found = self.topology_inputs[name]
        else:
            default = definition.default
            found = None if default is None else self._resolve(default, node)
        return _inside(found, path[1:])

    def _property(self, argument: Located, node: str) -> Any:
        path = argument.sequence("get_property")
        if len(path) < 2:
            raise argument.error("get_property takes [node, property]")
        name = path[0].string("a node")
        owner = self.topology.nodes.get(node if name == "SELF" else name)
        if owner is None:
            hint = nearest(name, self.topology.nodes)
            raise path[0].error(f"there is no node {name!r}", hint=hint)
        key = path[1].string("a property")
        if key not in owner.properties:
            hint = nearest(key, owner.properties)
            raise path[1].error(f"node {owner.name} sets no property {key!r}", hint=hint)
        self._depth += 1
        try:
            return _inside(self._resolve(owner.properties[key], owner.name), path[2:])
        finally:
            self._depth -= 1

    def _substituted(self, value: Located) -> str:
        def given(found: re.Match[str]) -> str:
            if found[1] not in self.inputs:
                hint = nearest(found[1], self.inputs)
                raise value.error(f"the workflow has no input {found[1]!r}", hint=hint)
            return as_text(self.inputs[found[1]])

        return _limited(_INPUT.sub(given, value.value), value)


def as_text(value: Any) -> str:
    """A value as it appears inside text: ``true``, ``3``, nothing as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _call(value: Located) -> tuple[str, Located] | None:
    if not value.is_mapping or len(value.value) != 1:
        return None
    name, argument = next(iter(value.value.items()))
    return (name, argument) if name in FUNCTIONS else None


def _inside(value: Any, path: list[Located]) -> Any:
    for step in path:
        key = step.value
        if isinstance(value, dict) and step.text in value:
            value = value[step.text]
        elif isinstance(value, list) and type(key) is int and 0 <= key < len(value):
            value = value[key]
        else:
            raise step.error(f"there is no {step.text!r} in that value")
    return value


def _limited(text: str, place: Located) -> str:
    if len(text) > _LONGEST:
        raise place.error(f"longer than {_LONGEST} characters once it is resolved")
    return text
