import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.git.store import GitStore
from ci.trees import Entry
from ci.validate import validate


def rules(report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.path) for finding in report.findings]


def test_only_what_changed_is_judged(tree, registry_files) -> None:
    files = registry_files | {"other/step/a": "", "third/step/a": "", "-x": ""}
    everything = validate(tree(files))
    assert {path.split("/")[0] for _, path in rules(everything)} == {"other", "third", "-x"}
    some = validate(tree(files), changed=["other/step/a", "gone/file"])
    assert {path.split("/")[0] for _, path in rules(some)} == {"other"}
    assert some.summary["workflows"] == 1
    assert validate(tree(files), changed=["README.md"]).findings == ()
    assert validate(tree(files), changed=[]).findings == ()


def test_only_the_package_that_changed_is_judged(tree) -> None:
    files = {f"packages/{name}/package.py": "x" for name in ("a", "b")}
    files |= {f"packages/{name}/x.json": '{"execution": {"type": "task"}}' for name in ("a", "b")}
    assert len(validate(tree(files)).findings) == 2
    report = validate(tree(files), changed=["packages/a/package.py", "repo.yaml"])
    assert [f.path for f in report.findings] == ["packages/a/package.py"]


def test_what_is_not_known_is_not_judged(tree, registry_files) -> None:
    report = validate(tree(registry_files), catalog=None, sites=None)
    assert report.findings == ()


def test_an_error_met_while_reading_is_said_once(tree, registry_files) -> None:
    report = validate(tree(registry_files | {"demo/waas.yaml": "titel: x"}), sites=["alpha"])
    assert rules(report) == [("workflow/invalid-settings", "demo/waas.yaml")]


def test_a_tree_that_cannot_be_listed_is_a_finding(tree) -> None:
    class Endless(tree):
        def entries(self, folder: str = "") -> list[Entry]:
            return [self.gate.passed(Entry(f"w/{n}", 0o100644, 1)) for n in range(10**6)]

    from ci.trees import Gate

    Endless.gate = Gate()
    report = validate(Endless({}))
    assert rules(report) == [("entry/unreadable", "")]
    assert not report.passed


def test_an_empty_tree_has_nothing_to_report(tree) -> None:
    assert validate(tree({})).findings == ()


def test_one_rule_does_not_flood_the_report(tree, registry_files) -> None:
    names = "".join(f"    N{n}: {{type: none.{n}}}\n" for n in range(500))
    text = f"{HEAD.decode()}  node_templates:\n{names}"
    begin = time.monotonic()
    report = validate(tree({"w/tosca/t.yaml": text}))
    assert len([f for f in report.findings if f.rule == "topology/unknown-type"]) == 100
    assert time.monotonic() - begin < 5


def test_a_commit_is_judged_straight_from_the_object_store(repository, registry_files) -> None:
    good = repository.commit(registry_files)
    bad = repository.commit({"demo/waas.yaml": "titel: x"})
    store = GitStore(repository.git_dir)
    assert validate(store.tree(good), sites=["alpha"]).passed
    changed = store.changed_paths(good, bad)
    report = validate(store.tree(bad), sites=["alpha"], changed=changed)
    assert rules(report) == [("workflow/invalid-settings", "demo/waas.yaml")]
    store.close()


PATHS = st.sampled_from(
    [
        "w/tosca/t.yaml",
        "w/waas.yaml",
        "w/s/eflows4hpc.yaml",
        "w/s/spack.yaml",
        "w/s/requirements.txt",
        "w/data/a.yaml",
        "packages/a/package.py",
        "packages/a/a.eb",
        "packages/a/a.json",
        "w/s",
        "",
        "//",
        "-\n",
    ]
)
HEAD = b"tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n"
LINES = st.sampled_from(
    [
        b"  node_templates:\n",
        b"    A: {type: hpcwaas.nodes.ContainerJob, properties: {application: [x]}}\n",
        b"    A: {type: imagecreation.ansible.nodes.ImageCreation, properties: {workflow: {}}}\n",
        b"    B: {type: hpcwaas.nodes.StageIn, properties: {source: {get_input: [[]]}}}\n",
        b"    C: {type: C, properties: [], requirements: [{a: {node: [x]}}]}\n",
        b"  workflows:\n    exec_job:\n      steps:\n        s: {target: A, activities: [{}]}\n",
        b"  inputs: {a: {type: [], default: {get_input: a}}}\n",
        b"node_types:\n  C: {derived_from: C, properties: {x: [y]}}\n",
    ]
)
CONTENTS = st.binary(max_size=60) | st.lists(LINES, max_size=6).map(lambda x: HEAD + b"".join(x))


@given(files=st.dictionaries(PATHS, CONTENTS, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_gives_a_report(tree, files: dict[str, bytes]) -> None:
    report = validate(tree(files), catalog=tree(files), sites=[])
    assert report.summary["errors"] + report.summary["warnings"] == len(report.findings)


@pytest.mark.parametrize("heavy", ["jsonschema", "git", "requests", "jinja2"])
def test_starting_up_is_cheap(heavy: str) -> None:
    code = f"import sys, ci.validate; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
