"""Calls of functions in a topology: their form, and what they refer to.

Simple Profile 1.3, section 4; ``get_secret`` is Alien4Cloud's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ci.located import Located, nearest
from ci.tosca.functions import call_of
from ci.tosca.library import library_of
from ci.tosca.model import NodeTemplate, Topology
from ci.tosca.values import Problem

_WORDS = ("SELF", "HOST")
_ELSEWHERE = ("SOURCE", "TARGET", "REQ_TARGET", "ORCHESTRATOR", "R_TARGET")
_MOST_PARTS = 3  # of get_secret: path, data=key, version


def _names(argument: Located, least: int, most: int) -> bool:
    parts = argument.value if argument.is_list else [argument]
    is_text = all(part.value is not None and bool(part.text) for part in parts[:least])
    return least <= len(parts) <= most and is_text


def _is_join(argument: Located) -> bool:
    parts = argument.value if argument.is_list else []
    return len(parts) in {1, 2} and (parts[0].is_list or call_of(parts[0]) is not None)


# whether the argument has the form that the function takes, and that form
_FORMS: dict[str, tuple[Callable[[Located], bool], str]] = {
    "get_input": (lambda a: _names(a, 1, 99), "the name of an input"),
    "get_property": (lambda a: a.is_list and _names(a, 2, 99), "[node, property]"),
    "get_attribute": (lambda a: a.is_list and _names(a, 2, 99), "[node, attribute]"),
    "get_secret": (lambda a: _names(a, 1, _MOST_PARTS), "[path, data=<key>]"),
    "concat": (lambda a: a.is_list and bool(a.value), "a list of texts"),
    "join": (_is_join, "[list, delimiter]"),
    "token": (lambda a: a.is_list and len(a.value) == 3, "[text, characters, number]"),
    "get_operation_output": (
        lambda a: a.is_list and _names(a, 4, 99),
        "[node, interface, operation, output]",
    ),
    "get_nodes_of_type": (lambda a: _names(a, 1, 1), "the name of a node type"),
    "get_artifact": (lambda a: a.is_list and _names(a, 2, 4), "[node, artifact]"),
}


def values_of(topology: Topology) -> Iterator[tuple[NodeTemplate | None, Located]]:
    """Every property of every node, and every output, which is of no node."""
    for node in topology.nodes.values():
        for value in node.properties.values():
            yield node, value
    for value in topology.outputs.values():
        yield None, value


def malformed(value: Located) -> Iterator[Problem]:
    """The calls in a value whose argument has not the form that the function takes."""
    for item in value.walk():
        call = call_of(item)
        if call is not None and not _FORMS[call[0]][0](call[1]):
            yield Problem("call", call[1], f"{call[0]} takes {_FORMS[call[0]][1]}")


def unknown(value: Located, node: NodeTemplate | None, topology: Topology) -> Iterator[Problem]:
    """The calls in a value that name a node, property or attribute which there is not.

    ``kind`` of a problem is the type of the node whose property is not known, or empty.
    """
    for item in value.walk():
        call = call_of(item)
        if call is None or call[0] not in {"get_property", "get_attribute"}:
            continue
        if not _FORMS[call[0]][0](call[1]) or call[1].value[0].text in _ELSEWHERE:
            continue
        yield from _unknown(call[0], call[1].value, node, topology)


def _unknown(
    function: str, path: list[Located], node: NodeTemplate | None, topology: Topology
) -> Iterator[Problem]:
    name = path[0].text
    owner = node if name in _WORDS else topology.nodes.get(name)
    if name == "HOST" and node is not None:
        hosts = [topology.nodes.get(need.node) for need in node.needed("host")]
        owner = hosts[0] if hosts else None
        if owner is None:
            return  # no host in this topology: its orchestrator may know one
    if owner is None:
        hint = nearest(name, [*topology.nodes, *_WORDS])
        yield Problem("", path[0], f"there is no node {name!r}", hint)
        return
    known = _known(function, owner, topology)
    if known is not None and path[1].text not in known:
        word = function.removeprefix("get_")
        message = f"node {owner.name} ({owner.type}) has no {word} {path[1].text!r}"
        yield Problem(owner.type, path[1], message, nearest(path[1].text, known))


def _known(function: str, owner: NodeTemplate, topology: Topology) -> set[str] | None:
    """What may follow the node's name; None if its type is not known."""
    kind = library_of(topology).usable_node_type(owner.type)
    if kind is None:
        return None
    needs = {need.name for need in owner.requirements}
    known = {*kind.properties, *owner.properties, *kind.capabilities, *kind.needs, *needs}
    return known | kind.attributes if function == "get_attribute" else known
