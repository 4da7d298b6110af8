"""A rule on the keys of a topology: TOSCA leaves out silently what it does not know."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import TopologyOf, TopologyRule

# TOSCA Simple Profile 1.3, 3.8 to 3.10, and what Alien4Cloud writes beside it
_TOP = (
    *("tosca_definitions_version", "namespace", "metadata", "description", "dsl_definitions"),
    *("repositories", "imports", "artifact_types", "data_types", "capability_types"),
    *("interface_types", "relationship_types", "node_types", "group_types", "policy_types"),
    *("topology_template", "template_name", "template_author", "template_version", "tags"),
)
_TEMPLATE = (
    *("description", "metadata", "inputs", "node_templates", "relationship_templates", "groups"),
    *("policies", "outputs", "substitution_mappings", "workflows"),
)
_NODE = (
    *("type", "description", "metadata", "directives", "properties", "attributes"),
    *("requirements", "capabilities", "interfaces", "artifacts", "node_filter", "copy"),
)
_DEFINITION = (
    *("type", "description", "required", "default", "status", "constraints", "key_schema"),
    *("entry_schema", "metadata", "external-schema", "value"),
)
_WORKFLOW = ("description", "metadata", "inputs", "preconditions", "steps", "implementation")


class UnknownKey(TopologyRule):
    """A topology has the keys that TOSCA gives it: any other is left out without a word.

    With ``porperties:`` a node has no properties, and with ``requierd:`` an input is required. A
    key that is nearly one of TOSCA's is an error; any other is a warning.
    """

    id = "topology/unknown-key"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look at the file, the template, its nodes, inputs and workflows."""
        for holder, known, what in _holders(subject.topology.document):
            for key in holder.value if holder.is_mapping else ():
                if key not in known:
                    hint = nearest(key, known)
                    plain = hint.startswith("did you mean")
                    level = Severity.ERROR if plain else Severity.WARNING
                    message = f"{what}: unknown key {key[:80]!r}"
                    yield self.at(holder.key(key), message, hint, level)


def _holders(document: Located) -> Iterator[tuple[Located, tuple[str, ...], str]]:
    template = _of(document, "topology_template")
    yield document, _TOP, "the file"
    yield template, _TEMPLATE, "topology_template"
    for name, node in _items(template, "node_templates"):
        yield node, _NODE, f"node {name}"
    for name, definition in _items(template, "inputs"):
        yield definition, _DEFINITION, f"input {name}"
    for name, workflow in _items(template, "workflows"):
        yield workflow, _WORKFLOW, f"workflow {name}"
        for inner, definition in _items(workflow, "inputs"):
            yield definition, _DEFINITION, f"input {inner}"


def _of(holder: Located, key: str) -> Located:
    found = holder.value.get(key) if holder.is_mapping else None
    return found if isinstance(found, Located) else Located(None)


def _items(holder: Located, key: str) -> Iterator[tuple[str, Located]]:
    items = _of(holder, key)
    yield from items.value.items() if items.is_mapping else ()


RULES = (UnknownKey,)
