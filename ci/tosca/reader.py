"""From a document to a topology: shape and vocabulary. What the names mean is for the rules."""

from __future__ import annotations

from ci.located import Located, nearest
from ci.tosca.model import (
    INTERFACES,
    Activity,
    Definition,
    Import,
    NodeTemplate,
    Requirement,
    Topology,
    ToscaWorkflow,
    WorkflowStep,
)

DIALECTS = ("alien_dsl_3_0_0", *(f"tosca_simple_yaml_1_{minor}" for minor in range(4)))
VERSION_KEY = "tosca_definitions_version"
TEMPLATE_KEY = "topology_template"
_STEP_KEYS = (
    "target",
    "target_relationship",
    "operation_host",
    "filter",
    "activities",
    "on_success",
    "on_failure",
    "description",
    "metadata",
)
_MOST = 2000  # nodes of a topology, steps of a workflow
_ACTIVITIES = ("call_operation", "set_state", "delegate", "inline")


def is_topology(document: Located) -> bool:
    """Whether a document of a ``tosca`` folder is a topology: inputs and types lie there too."""
    return document.is_mapping and TEMPLATE_KEY in document.value


def read_topology(document: Located) -> Topology:
    """Read a topology. Raises ``EntryError`` for the first thing that has the wrong shape."""
    items = document.mapping("a topology")
    dialect = _dialect(document, items)
    metadata = items.get("metadata", Located(None)).mapping("metadata")
    template = items.get(TEMPLATE_KEY, Located(None)).mapping(TEMPLATE_KEY)
    workflows = template.get("workflows", Located(None))
    relations = template.get("relationship_templates", Located(None))
    return Topology(
        path=document.path,
        dialect=dialect,
        document=document,
        name=_text(metadata, "template_name"),
        version=_text(metadata, "template_version"),
        description=_text(items, "description"),
        imports=read_imports(items.get("imports", Located(None))),
        inputs=read_definitions(template.get("inputs", Located(None)), "inputs"),
        nodes=_nodes(template.get("node_templates", Located(None))),
        workflows={
            name: _workflow(workflows.key(name), value)
            for name, value in workflows.mapping("workflows").items()
        },
        outputs=_outputs(template.get("outputs", Located(None))),
        relationships=frozenset(relations.mapping("relationship_templates")),
    )


def read_definitions(holder: Located, what: str) -> dict[str, Definition]:
    """Inputs or properties: name to type, required, default (TOSCA 1.3, 3.6.10 and 3.6.14)."""
    return {
        name: _definition(holder.key(name), value, f"{what}: {name}")
        for name, value in holder.mapping(what).items()
    }


def _definition(place: Located, value: Located, what: str) -> Definition:
    if value.is_text:  # the short form: only a type
        return Definition(place.text, value.text, True, place, type_place=value)
    items = value.mapping(what)
    required = items["required"].boolean(f"{what}: required") if "required" in items else True
    entry = items.get("entry_schema")
    return Definition(
        name=place.text,
        type=items["type"].string(f"{what}: type") if "type" in items else "string",
        required=required,
        place=place,
        default=items.get("default"),
        entry=None if entry is None else _entry(entry, what),
        description=_text(items, "description"),
        constraints=items.get("constraints"),
        type_place=items.get("type"),
    )


def _entry(schema: Located, what: str) -> Definition | None:
    """What the items of a list or map are, lists of lists too (as deep as a document may be)."""
    what = f"an item of {what}" if len(what) < 200 else what
    place = Located(what, schema.path, schema.line, schema.column, text=what)
    if schema.value is None or (schema.is_mapping and "type" not in schema.value):
        return None
    return _definition(place, schema, what)


def _dialect(document: Located, items: dict[str, Located]) -> str:
    if VERSION_KEY not in items:
        hint = f"begin the file with `{VERSION_KEY}: alien_dsl_3_0_0`"
        raise document.error(f"{VERSION_KEY} is missing", hint=hint)
    dialect = items[VERSION_KEY].string(VERSION_KEY)
    if dialect not in DIALECTS:
        hint = nearest(dialect, DIALECTS)
        raise items[VERSION_KEY].error(f"unknown dialect {dialect!r}", hint=hint)
    return dialect


def read_imports(holder: Located) -> tuple[Import, ...]:
    """TOSCA 1.x: ``- text``, ``- file: …``, ``- name: path`` or ``- name: {file: …}``."""
    found = []
    for item in holder.sequence("imports"):
        value, alias = item, ""
        if item.is_mapping and "file" not in item.value and item.value:
            alias, value = next(iter(item.value.items()))
        if value.is_mapping:
            value = value.value.get("file", value)
        value.string("an import")
        found.append(Import(value, alias))
    return tuple(found)


def _nodes(holder: Located) -> dict[str, NodeTemplate]:
    found = {}
    if len(holder.mapping("node_templates")) > _MOST:
        raise holder.error(f"more than {_MOST} nodes")
    for name, value in holder.mapping("node_templates").items():
        items = value.mapping(f"node {name}")
        if "type" not in items:
            raise holder.key_error(name, f"node {name} has no type")
        items["type"].string(f"node {name}: type")
        properties = items.get("properties", Located({}))
        properties.mapping(f"node {name}: properties")
        needs = items.get("requirements", Located(None)).sequence(f"node {name}: requirements")
        listed = [pair for need in needs for pair in _requirement(name, need)]
        found[name] = NodeTemplate(
            name=name,
            type=items["type"].text,
            place=holder.key(name),
            type_place=items["type"],
            given=properties,
            requirements=tuple(given for _, given in listed if given is not None),
            unmatched=frozenset(kind for kind, given in listed if given is None),
        )
    return found


def _requirement(node: str, need: Located) -> list[tuple[str, Requirement | None]]:
    """Name and requirement; no requirement if it is to be matched by a filter."""
    found: list[tuple[str, Requirement | None]] = []
    for name, value in need.mapping(f"node {node}: a requirement").items():
        items = {"node": value} if value.is_text else value.mapping(f"requirement {name}")
        target = items.get("node")
        kind = items["type_requirement"] if "type_requirement" in items else need.key(name)
        kind.string("type_requirement")
        if target is None:
            found.append((kind.text, None))
            continue
        text = target.string(f"requirement {name}: node")
        relation = items.get("relationship")
        if relation is not None and relation.is_mapping:
            relation = relation.value.get("type")
        wanted = _name(items.get("capability"))
        given = Requirement(kind.text, text, target, wanted, _name(relation))
        found.append((kind.text, given))
    return found


def _outputs(holder: Located) -> dict[str, Located]:
    """Outputs that have a value (Simple Profile 1.3, 3.6.14; Alien4Cloud has lists of names)."""
    items = holder.value if holder.is_mapping else {}
    values = {name: item.value.get("value") for name, item in items.items() if item.is_mapping}
    return {name: value for name, value in values.items() if value is not None}


def _name(value: Located | None) -> Located | None:
    return value if value is not None and value.is_text else None


def _workflow(place: Located, value: Located) -> ToscaWorkflow:
    items = value.mapping(f"workflow {place.text}")
    steps = items.get("steps", Located(None))
    if len(steps.mapping(f"steps of {place.text}")) > _MOST:
        raise steps.error(f"more than {_MOST} steps")
    return ToscaWorkflow(
        name=place.text,
        place=place,
        inputs=read_definitions(items.get("inputs", Located(None)), f"inputs of {place.text}"),
        steps={
            name: _step(steps.key(name), step)
            for name, step in steps.mapping(f"steps of {place.text}").items()
        },
    )


def _step(place: Located, value: Located) -> WorkflowStep:
    what = f"step {place.text}"
    items = value.only(_STEP_KEYS, what)
    target = items.get("target", Located("", place.path, place.line, place.column))
    if target.value != "":
        target.string(f"{what}: target")
    activities = items.get("activities", Located(None)).sequence(f"{what}: activities")
    return WorkflowStep(
        name=place.text,
        target=target,
        place=place,
        activities=tuple(a for item in activities for a in _activity(what, item)),
        on_success=_names(items, "on_success", what),
        on_failure=_names(items, "on_failure", what),
        on_relationship="target_relationship" in items,
    )


def _activity(what: str, item: Located) -> list[Activity]:
    found = []
    for kind, value in item.only(_ACTIVITIES, f"{what}: an activity").items():
        inner = value.value if value.is_mapping else {}
        operation = inner.get("operation", inner.get("workflow", value))
        name = operation.string(f"{what}: {kind}")
        interface, dot, last = name.rpartition(".")
        if kind == "call_operation" and interface in INTERFACES:
            name = INTERFACES[interface] + dot + last
        found.append(Activity(kind, name, operation))
    return found


def _names(items: dict[str, Located], key: str, what: str) -> tuple[Located, ...]:
    holder = items.get(key, Located(None))
    names = [holder] if holder.is_text else holder.sequence(f"{what}: {key}")
    for name in names:
        name.string(f"{what}: {key}")
    return tuple(names)


def _text(items: dict[str, Located], key: str) -> str:
    return items[key].text if key in items else ""
