"""All rules on any topology: findings, never a traceback, in little time."""

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.rules import TOPOLOGIES
from ci.validate import validate

RUN = "{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}"
WORDS = st.sampled_from(
    [
        "topology_template:",
        "imports: ['hpcwaas:1.0.0', 'a:1', 'b: 2', types.yaml, 'hpcwaas:2']",
        "node_types: {N: {derived_from: tosca.nodes.Root, properties: {p: {type: D}}}}",
        "data_types: {D: {properties: {d: {type: D, default: {}}}}}",
        "inputs: {i: {type: list, constraints: [{max_length: 1}], default: [1, 2]}, j: integer}",
        "node_templates:",
        "A: {type: hpcwaas.nodes.StageIn, properties: {source: '${i}', target: {get_input: i}}}",
        "B: {type: N, properties: {p: {d: {get_property: [SELF, p]}}, requirements: }",
        "C: {type: hpcwaas.nodes.StageOut, requirements: [{dependency: A}, {host: {node: C}}]}",
        "D: {type: x, properties: {a: {token: [a, b]}, b: {get_secret: }, c: {concat: }}}",
        "outputs: {o: {value: {get_attribute: [B, state]}}, p: x}",
        "workflows:",
        "exec_job:",
        "other:",
        "inputs: {k: {type: version, default: x}}",
        "steps:",
        f"s: {{target: A, activities: [{RUN}], on_success: [t], on_failure: s}}",
        f"t: {{target: C, activities: [{RUN}, {{inline: other}}], on_success: [s]}}",
        "u: {activities: [{inline: exec_job}, {delegate: install}]}",
        "v: {target: B}",
    ]
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.tuples(st.integers(0, 4), WORDS), max_size=14), types=st.booleans())
def test_any_topology_has_findings_or_not(tree, lines: list[tuple[int, str]], types: bool) -> None:
    text = "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n"
    text += "\n".join("  " * indent + word for indent, word in lines)
    files = {"wf/tosca/topology.yaml": text}
    if types:
        files["types/a.yaml"] = text
    for finding in validate(tree(files)).findings:
        assert finding.path
        assert finding.message


def big_topology(count: int) -> str:
    nodes = "".join(
        f"    N{n}:\n      type: hpcwaas.nodes.StageOut\n"
        f"      properties: {{source: '${{x}}', name: n{n}}}\n"
        f"      requirements: [{{dependency: N{max(n - 1, 0)}}}]\n"
        for n in range(count)
    )
    steps = "".join(
        f"        s{n}: {{target: N{n}, activities: [{RUN}], on_success: [s{n + 1}]}}\n"
        for n in range(count - 1)
    )
    last = f"        s{count - 1}: {{target: N{count - 1}, activities: [{RUN}]}}\n"
    return (
        "tosca_definitions_version: alien_dsl_3_0_0\nimports: ['hpcwaas:1.0.0']\n"
        f"topology_template:\n  node_templates:\n{nodes}"
        f"  workflows:\n    exec_job:\n      inputs: {{x: string}}\n      steps:\n{steps}{last}"
    )


def test_the_largest_topology_takes_little_time(tree) -> None:
    files = {"wf/tosca/topology.yaml": big_topology(2000)}
    begin = time.monotonic()
    report = validate(tree(files))
    taken = time.monotonic() - begin
    ours = {rule.id for rule in TOPOLOGIES}
    assert not [finding for finding in report.findings if finding.rule in ours]
    assert taken < 5  # about half a second where nothing else runs
