"""Broken entries, each with the one finding that it must give; one for every rule at least."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ci.rules import all_rules
from ci.tosca.model import RUNNABLE
from ci.trees import MAX_READ, Entry
from ci.validate import validate

TOPOLOGY = "demo/tosca/topology.yaml"
ENVIRONMENT = "demo/simulate/eflows4hpc.yaml"
SUBMIT = f"{RUNNABLE}.submit"
SETTINGS = "demo/waas.yaml"
RECIPE = "packages/kratos/package.py"
GOOD_PACKAGES = {
    "repo.yaml": "repo: {namespace: demo}",
    RECIPE: f'class Kratos(CMakePackage):\n    version("9.4", sha256="{"a" * 64}")\n',
    "packages/kratos/model.json": '{\n "execution": {\n  "type": "task"\n }\n}',
    "packages/kratos/Kratos-9.4.eb": "name = 'Kratos'\nversion = '9.4'\n",
}


@dataclass
class Broken:
    """What is changed in good files, and the finding: rule, path, and what its line begins with."""

    rule: str
    path: str
    at: str = ""
    replace: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)

    def applied(self, good: dict[str, str | bytes]) -> dict[str, str | bytes]:
        files = dict(good)
        for path, (old, new) in self.replace.items():
            assert old in files[path]
            files[path] = files[path].replace(old, new)
        changed = {**files, **self.files}
        return {path: content for path, content in changed.items() if content is not None}

    def expected(self, files: dict[str, str | bytes]) -> tuple[str, str, int]:
        if not self.at:
            return self.rule, self.path, 0
        lines = files[self.path].splitlines()
        starts = [n for n, line in enumerate(lines, 1) if line.lstrip(" -").startswith(self.at)]
        assert len(starts) == 1, f"{self.at!r} begins lines {starts}"
        return self.rule, self.path, starts[0]


def topology(rule: str, at: str, old: str, new: str) -> Broken:
    return Broken(rule, TOPOLOGY, at, {TOPOLOGY: (old, new)})


def changed(rule: str, path: str, at: str, old: str, new: str) -> Broken:
    return Broken(rule, path, at, {path: (old, new)})


def added(rule: str, path: str, at: str = "", content: str = "", file: str = "") -> Broken:
    return Broken(rule, path, at, files={file or path: content})


WORKFLOWS = [
    topology("workflow/unreadable-document", "metadata", "metadata:", "metadata:: :"),
    added("workflow/unreadable-document", "demo/data/sets.yaml", "b", "a: 1\nb: *x"),
    added("workflow/unreadable-document", "demo/tosca/inputs.yml", "'a'", "a: 1\n'a': 2"),
    topology("topology/invalid", "tosca_def", "alien_dsl_3_0_0", "alien_dsl_4_0_0"),
    topology("topology/invalid", "on_succes:", "on_success: [keep]", "on_succes: [keep]"),
    Broken("workflow/no-topology", "demo", files={TOPOLOGY: None, "demo/tosca/a.yaml": "a: 1"}),
    added("workflow/unusable-name", "demo/two words", file="demo/two words/eflows4hpc.yaml"),
    changed("workflow/invalid-settings", SETTINGS, "titel", "title", "titel"),
    changed("workflow/unknown-site", SETTINGS, "sites", "[alpha]", "[alhpa]"),
    changed(
        "workflow/smoke-test-inputs",
        SETTINGS,
        "",
        "title",
        "smoke_test: {inputs: {size: much}}\ntitle",
    ),
    changed("workflow/no-maintainers", SETTINGS, "", "maintainers: [alice]\n", ""),
]
TOPOLOGIES = [
    topology("topology/unknown-type", "type: hpcwaas.nodes.StageOff", "StageOut", "StageOff"),
    topology("topology/missing-property", "Keep:", "name: results", "nam: results"),
    topology("topology/missing-property", "application", "command: /sim", "comand: /sim"),
    topology("topology/unknown-property", "stp", "step_id:", "stp: x\n        step_id:"),
    topology("topology/unknown-property", "debg", "debug: {get", "debg: {get"),
    topology("topology/wrong-type", "submission", "num_nodes: 2", "num_nodes: two"),
    topology("topology/wrong-type", "arguments", '["--size", "${size}", 0.10]', "--size"),
    topology("topology/unknown-input", "debug: {get", "get_input: debug", "get_input: debgu"),
    topology("topology/unknown-workflow-input", "arguments", "${size}", "${sise}"),
    topology("topology/unknown-node", "dependency: F", "dependency: Fetch", "dependency: Fecth"),
    topology("topology/unknown-requirement", "image: {", "requirement: dep", "requirement: d"),
    topology("topology/unknown-target", "target: Fecth", "target: Fetch", "target: Fecth"),
    topology("topology/unknown-step", "on_success: [kep]", "[keep]", "[kep]"),
    topology("topology/unknown-operation", "activities: [{call_operation: x", SUBMIT, "x"),
    topology("topology/cycle", "fetch:", "on_success: [keep]", "on_success: [keep, fetch]"),
    topology("topology/nothing-runs", "", "call_operation: tosca", "set_state: tosca"),
    topology("image/unknown-step", "workflow: dmeo", "workflow: demo", "workflow: dmeo"),
    topology("image/unknown-step", "step_id", "step_id: simulate", "step_id: simulat"),
    topology("image/job-without-image", "Job:", "r, node: Transfer", "r, node: Image"),
    topology("image/missing-command", "command", "/simulate/src/run.py", "/simulate/src/rnu.py"),
    topology("image/missing-command", "arguments", '"--size"', '"/simulate/src/rnu.py"'),
    topology("data/missing-file", "properties: {source: \"reg", "data/mesh.txt", "data/mehs.txt"),
    topology("image/insecure-tls", "insecure", "step_id", "insecure_tls: true\n        step_id"),
    Broken(
        "image/no-environment",
        TOPOLOGY,
        "step_id",
        files={ENVIRONMENT: None, "demo/simulate/README.md": ""},
    ),
]  # fmt: skip
STEPS = [
    changed("environment/invalid", ENVIRONMENT, "spak", "spack:", "spak:"),
    added("environment/invalid", "demo/simulate/requirements.txt", "r /", "numpy\n-r /etc/passwd"),
    added("environment/missing", "demo/report", file="demo/report/src/report.py"),
    changed("environment/invalid-spec", ENVIRONMENT, "Openmpi", "openmpi@", "Openmpi@"),
    changed("environment/no-version", ENVIRONMENT, "openmpi", "@4.1.6", ""),
    changed("environment/unknown-package", ENVIRONMENT, "opnmpi", "openmpi", "opnmpi"),
    added(
        "environment/double", "demo/simulate/spack.yaml", content="spack: {specs: [openmpi@4.1.6]}"
    ),
]
FILES = [
    Broken("files/symbolic-link", "demo/l", files={"demo/l": "x"}, modes={"demo/l": 0o120000}),
    Broken("files/submodule", "demo/m", files={"demo/m": ""}, modes={"demo/m": 0o160000}),
    *(
        added("files/unportable-name", f"demo/data/{name}")
        for name in ("-rf", "a\nb", "a:b", "e\u0301", "n" * 201, "a.", " a", "a\\b", "a\u202eb")
    ),
]
PACKAGES = [
    added("package/unusable-name", "packages/Kratos Two", file="packages/Kratos Two/x.eb"),
    added("package/empty", "packages/empty", file="packages/empty/README.md"),
    changed("package/invalid-recipe", RECIPE, "class", "(CMakePackage):", "(CMakePackage:"),
    changed("package/wrong-class", RECIPE, "class", "class Kratos", "class KRATOS"),
    changed("package/no-version", RECIPE, "class", "version(", "depends_on("),
    changed("package/unpinned-version", RECIPE, "version", "sha256", "branch"),
    changed("package/unpinned-version", RECIPE, "version", "sha256", "expand"),
    changed("package/invalid-checksum", RECIPE, "version", "a" * 64, ""),
    changed("package/invalid-checksum", RECIPE, "version", "aaa", "aaaa"),
    added("package/invalid-easyconfig", "packages/kratos/x.eb", "import", "a = 1\nimport os"),
    added("package/invalid-invocation", "packages/kratos/x.json", "{,}", "{,}"),
    added("package/invalid-invocation", "packages/kratos/x.json", '"e', '{\n"execution": []}'),
    added("package/invocation-type", "packages/kratos/x.json", "{", '{"execution": {}}'),
    added("package/invocation-type", "packages/kratos/x.json", '"t', '{"execution":{\n"type":0}}'),
]  # fmt: skip


def named(cases: list[Broken]) -> list[object]:
    return [pytest.param(case, id=f"{n}-{case.rule}") for n, case in enumerate(cases)]


@pytest.mark.parametrize("broken", named([*WORKFLOWS, *TOPOLOGIES, *STEPS, *FILES]))
def test_a_broken_registry_gives_its_finding(tree, registry_files, broken: Broken) -> None:
    files = broken.applied(registry_files)
    catalog = tree({"packages/openmpi/package.py": ""})
    report = validate(tree(files, modes=broken.modes), catalog=catalog, sites=["alpha"])
    found = {(f.rule, f.path, f.line) for f in report.findings}
    assert broken.expected(files) in found
    assert {rule for rule, _, _ in found} <= {broken.rule, *FOLLOWS.get(broken.rule, ())}


# what else is rightly said of the same mistake
FOLLOWS: dict[str, set[str]] = {
    "topology/missing-property": {"topology/unknown-property"},
    "image/no-environment": {"environment/missing"},
}


@pytest.mark.parametrize("broken", named(PACKAGES))
def test_a_broken_catalogue_gives_its_finding(tree, broken: Broken) -> None:
    files = broken.applied(GOOD_PACKAGES)
    report = validate(tree(files, modes=broken.modes))
    assert [(f.rule, f.path, f.line) for f in report.findings] == [broken.expected(files)]


def test_the_good_ones_have_nothing_to_report(tree, registry_files) -> None:
    catalog = tree({"packages/openmpi/package.py": ""})
    report = validate(tree(registry_files), catalog=catalog, sites=["alpha"])
    assert report.findings == ()
    assert report.summary == {
        "errors": 0,
        "warnings": 0,
        "workflows": 1,
        "steps": 1,
        "files": len(registry_files),
    }
    assert validate(tree(GOOD_PACKAGES)).findings == ()


def test_large_files_are_warned_of_and_then_refused(tree) -> None:
    class Heavy(tree):
        def entries(self, folder: str = "") -> list[Entry]:
            sizes = {"demo/data/a": 6 * 2**20, "demo/data/b": MAX_READ + 1}
            return [Entry(path, 0o100644, sizes.get(path, 1)) for path in sorted(self.files)]

    report = validate(Heavy({"demo/data/a": "", "demo/data/b": "", "demo/data/c": ""}))
    found = [(f.path, str(f.severity)) for f in report.findings if f.rule == "files/too-large"]
    assert found == [("demo/data/a", "warning"), ("demo/data/b", "error")]


def test_names_that_differ_in_case_only_collide(tree, registry_files) -> None:
    files = registry_files | {"demo/data/MESH.txt": ""}
    report = validate(tree(files))
    assert [(f.rule, f.path) for f in report.findings] == [
        ("files/case-collision", "demo/data/MESH.txt"),
        ("files/case-collision", "demo/data/mesh.txt"),
    ]


def test_a_command_in_a_folder_that_is_not_there_may_come_from_a_package(
    tree, registry_files
) -> None:
    del registry_files["demo/simulate/src/run.py"]
    report = validate(tree(registry_files))
    assert [(f.rule, str(f.severity)) for f in report.findings] == [
        ("image/missing-command", "warning")
    ]


def test_every_rule_has_an_id_documentation_and_a_broken_entry() -> None:
    rules = all_rules()
    ids = [rule.id for rule in rules]
    assert len(set(ids)) == len(ids)
    for rule in rules:
        assert rule.documentation()
        subject, _, what = rule.id.partition("/")
        assert subject
        assert what
    cases = [*WORKFLOWS, *TOPOLOGIES, *STEPS, *FILES, *PACKAGES]
    covered = {case.rule for case in cases} | {"files/too-large", "files/case-collision"}
    assert set(ids) == covered
