"""Functions and references in the values of a topology.

``{get_input: x}`` reads an input of the topology, ``{get_property: [node, …]}`` another property,
``{concat: […]}`` joins text; ``${name}`` inside text is an input of the TOSCA workflow that runs.
``{get_secret: …}``, ``{get_attribute: …}`` and what else is known only while something runs stay as
they are: only who needs a secret reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ci.located import Located, nearest
from ci.tosca.library import library_of
from ci.tosca.model import NodeTemplate, Topology

KEPT = (
    "get_secret",
    "get_attribute",
    "get_operation_output",
    "get_nodes_of_type",
    "get_artifact",
)
TEXTS = ("concat", "join", "token")
FUNCTIONS = ("get_input", "get_property", *TEXTS, *KEPT)
_WITH_LISTS = ("token", "join")
_INPUT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}", re.ASCII)
_LONGEST = 65_536  # characters of a resolved text
_MOST = 20_000  # values looked at for one property
_FEW = 50  # characters that a text is split at
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
            for name in _input_names(item.value):
                yield Reference("workflow input", name, item)
        elif (call := call_of(item)) and call[0] == "get_input":
            first = call[1].value[0] if call[1].is_list and call[1].value else call[1]
            if first.text:  # else it has the wrong form
                yield Reference("get_input", first.text, first)


def is_call(value: Located) -> bool:
    """Whether a value is a function: what it gives is not known before an execution."""
    return call_of(value) is not None


def has_references(value: Located) -> bool:
    """Whether a text holds ``${…}``."""
    return value.is_text and bool(_input_names(value.value))


@lru_cache(maxsize=64)
def _input_names(text: str) -> tuple[str, ...]:
    """The inputs that a text names; kept, since one long text may be in a document many times."""
    return tuple(_INPUT.findall(text)) if "${" in text else ()


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
        call = call_of(value)
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
        if function in TEXTS:
            parts = [self._resolve(part, node) for part in argument.sequence(function)]
            return _limited(_text_of(function, parts, argument), value)
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
        value = self._given(owner, key, path[1])
        self._depth += 1
        try:
            return _inside(self._resolve(value, owner.name), path[2:])
        finally:
            self._depth -= 1

    def _given(self, owner: NodeTemplate, key: str, place: Located) -> Located:
        """The property as the node sets it, else its type's default."""
        if key in owner.properties:
            return owner.properties[key]
        kind = library_of(self.topology).usable_node_type(owner.type)
        default = kind.properties[key].default if kind and key in kind.properties else None
        if default is None:
            hint = nearest(key, owner.properties)
            raise place.error(f"node {owner.name} sets no property {key!r}", hint=hint)
        return default

    def _substituted(self, value: Located) -> str:
        def given(found: re.Match[str]) -> str:
            if found[1] not in self.inputs:
                hint = nearest(found[1], self.inputs)
                raise value.error(f"the workflow has no input {found[1]!r}", hint=hint)
            return as_text(self.inputs[found[1]])

        return _limited(_INPUT.sub(given, value.value), value)


def _text_of(function: str, parts: list[Any], argument: Located) -> str:
    """What concat, join and token give (Simple Profile 1.3, 4.3)."""
    if function == "concat":
        return "".join(as_text(part) for part in parts)
    if function == "join":
        if not 1 <= len(parts) <= 2 or not isinstance(parts[0], list):
            raise argument.error("join takes [list, delimiter]")
        return as_text(parts[1] if len(parts) > 1 else "").join(as_text(p) for p in parts[0])
    if len(parts) != 3 or type(parts[2]) is not int or not parts[1]:
        raise argument.error("token takes [text, characters, number]")
    delimiters = re.escape(as_text(parts[1])[:_FEW])
    found = re.split(f"[{delimiters}]", as_text(parts[0]))
    if not 0 <= parts[2] < len(found):
        raise argument.error(f"token: there are {len(found)} parts, no {parts[2]}")
    return found[parts[2]]


def as_text(value: Any) -> str:
    """A value as it appears inside text: ``true``, ``3``, nothing as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def call_of(value: Located) -> tuple[str, Located] | None:
    """Function and argument, if a value is a call."""
    if not value.is_mapping or len(value.value) != 1:
        return None
    name, argument = next(iter(value.value.items()))
    if name in _WITH_LISTS and not argument.is_list:
        return None  # a mapping that has such a key: a credential has a token
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
