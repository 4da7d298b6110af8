import pytest

from ci.errors import EntryError
from ci.registry import Registry
from ci.software.environment import SoftwareEnvironment
from ci.workflow_settings import WorkflowSettings


def test_workflows_and_steps_are_folders(tree, registry_files) -> None:
    files = registry_files | {
        ".github/workflows/x.yaml": "",
        "schemas/a.json": "{}",
        "demo/.hidden/a": "",
        "demo/docs/a": "",
        "other/README.md": "",
    }
    registry = Registry(tree(files))
    assert list(registry.workflows) == ["demo", "other"]
    assert list(registry.workflow("demo").steps) == ["simulate"]
    assert list(registry.workflow("other").steps) == []


def test_a_step_has_files_and_an_environment(tree, registry_files) -> None:
    step = Registry(tree(registry_files)).workflow("demo").step("simulate")
    assert step.path == "demo/simulate"
    assert step.files == {
        "eflows4hpc.yaml": registry_files["demo/simulate/eflows4hpc.yaml"].encode(),
        "src/run.py": b"print('hello')\n",
    }
    assert step.environment == SoftwareEnvironment(spack=("openmpi@4.1.6",))


def test_a_link_is_no_file_of_a_step(tree, registry_files) -> None:
    files = registry_files | {"demo/simulate/link": "/etc/passwd"}
    step = (
        Registry(tree(files, modes={"demo/simulate/link": 0o120000}))
        .workflow("demo")
        .step("simulate")
    )
    assert "link" not in step.files


def test_names_that_are_not_there_come_with_those_that_are(tree, registry_files) -> None:
    registry = Registry(tree(registry_files))
    with pytest.raises(EntryError, match="did you mean 'demo'"):
        registry.workflow("dem")
    with pytest.raises(EntryError, match="did you mean 'simulate'"):
        registry.workflow("demo").step("simulat")


@pytest.mark.parametrize(
    "path",
    ["tosca/topology.yaml", "tosca/classic/types.yml", "toska/a.yaml", "topology.yml"],
)
def test_topologies_are_found_where_the_public_registry_has_them(
    tree, topology_text: str, path: str
) -> None:
    workflow = Registry(tree({f"w/{path}": topology_text, "w/tosca/inputs.yml": "a: 1"})).workflow(
        "w"
    )
    assert [t.path for t in workflow.topologies] == [f"w/{path}"]
    assert workflow.topology.name == "Demo"


def test_a_file_called_topology_goes_before_others(tree, topology_text: str) -> None:
    files = {f"w/tosca/{name}.yaml": topology_text for name in ("a", "topology", "z")}
    assert Registry(tree(files)).workflow("w").topology.path == "w/tosca/topology.yaml"


def test_a_workflow_that_cannot_be_run_says_so(tree) -> None:
    with pytest.raises(EntryError, match="no topology"):
        _ = Registry(tree({"w/step/a": ""})).workflow("w").topology


def test_settings_are_optional_and_not_written_twice(tree) -> None:
    registry = Registry(
        tree({"a/x": "", "b/waas.yml": "title: B", "c/waas.yaml": "", "c/waas.yml": ""})
    )
    assert registry.workflow("a").settings == WorkflowSettings()
    assert registry.workflow("b").settings.title == "B"
    with pytest.raises(EntryError, match="twice"):
        _ = registry.workflow("c").settings


def test_nothing_is_read_before_it_is_asked_for_and_nothing_twice(tree, registry_files) -> None:
    reads: list[str] = []
    counted = tree(registry_files)
    plain = counted.read
    counted.read = lambda path: (reads.append(path), plain(path))[1]
    registry = Registry(counted)
    workflow = registry.workflow("demo")
    assert reads == []
    for _ in range(2):
        _ = (workflow.topology, workflow.settings, workflow.step("simulate").environment)
    assert sorted(reads) == sorted(set(reads))


def test_what_failed_once_fails_the_same_way_again(tree) -> None:
    registry = Registry(tree({"w/tosca/t.yaml": "a: [", "w/waas.yaml": "titel: x"}))
    for _ in range(2):
        with pytest.raises(EntryError, match="not YAML"):
            _ = registry.workflow("w").topologies
        with pytest.raises(EntryError, match="unknown key 'titel'"):
            _ = registry.workflow("w").settings
