from collections.abc import Iterator, Mapping

import pytest

from ci.errors import EntryError
from ci.git.store import GitStore
from ci.pull_request import validate_pull_request

GOOD = "spack:\n  specs:\n    - openmpi@4.1.6\n"


@pytest.fixture
def store(repository, registry_files: Mapping[str, str]) -> Iterator[GitStore]:
    files = {"waas.yaml": "", **registry_files}
    files |= {f"bad/{name}": text for name, text in registry_files.items() if "/" not in name}
    files["bad/run/eflows4hpc.yaml"] = "spak: 1\n"  # wrong for long, and nobody's change
    repository.commit(files)
    made = GitStore(repository.git_dir)
    yield made
    made.close()


def found(report) -> list[tuple[str, str]]:
    return [(finding.rule, finding.path) for finding in report.findings]


def test_only_what_changes_is_judged(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"demo/simulate/eflows4hpc.yaml": "spack: [1]\n"})
    report = validate_pull_request(store, base, head)
    assert found(report) == [("environment/invalid", "demo/simulate/eflows4hpc.yaml")]


def test_a_workflow_whose_image_another_uses_is_judged_with_it(repository, store: GitStore) -> None:
    base = repository.commit({"lib/step/eflows4hpc.yaml": GOOD, "lib/tosca/inputs.yaml": "a: 1\n"})
    topology = (repository.folder / "demo/tosca/topology.yaml").read_text()
    other = topology.replace("workflow: demo", "workflow: lib").replace(
        "step_id: simulate", "step_id: step"
    )
    base = repository.commit({"user/tosca/topology.yaml": other, "user/data/mesh.txt": "1"})
    repository.git("rm", "--quiet", "-r", "lib/step")
    head = repository.commit({})
    report = validate_pull_request(store, base, head)
    assert ("image/unknown-step", "user/tosca/topology.yaml") in found(report)


def test_rules_are_switched_off_on_main_and_not_by_the_branch(repository, store: GitStore) -> None:
    off = "disabled:\n  workflow/no-maintainers: entries of courses have none\n"
    settings = (repository.folder / "demo/waas.yaml").read_text()
    nobody = settings.replace("maintainers: [alice]\n", "")
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"demo/waas.yaml": nobody, "validation.yaml": off})
    assert found(validate_pull_request(store, base, head)) == [
        ("workflow/no-maintainers", "demo/waas.yaml")
    ]
    later = repository.commit({"demo/waas.yaml": nobody + "description: x\n"})
    assert found(validate_pull_request(store, head, later)) == []


def test_what_main_has_meanwhile_counts(repository, store: GitStore) -> None:
    """The branch was right when it began; main has lost what it names since."""
    repository.git("checkout", "--quiet", "-b", "topic")
    topology = (repository.folder / "demo/tosca/topology.yaml").read_text()
    head = repository.commit({"demo/tosca/topology.yaml": topology + "\n# better\n"})
    repository.git("checkout", "--quiet", "main")
    repository.git("rm", "--quiet", "demo/data/mesh.txt")
    base = repository.commit({})
    assert ("data/missing-file", "demo/tosca/topology.yaml") in found(
        validate_pull_request(store, base, head)
    )


def test_a_registry_in_a_folder_of_a_repository(repository, registry_files) -> None:
    base = repository.commit({f"sub/{path}": text for path, text in registry_files.items()})
    head = repository.commit({"sub/demo/waas.yaml": "titel: x\n", "demo/waas.yaml": "titel: x\n"})
    store = GitStore(repository.git_dir)
    report = validate_pull_request(store, base, head, folder="sub")
    assert found(report) == [("workflow/invalid-settings", "demo/waas.yaml")]
    store.close()


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAA\n" * 9


def test_what_crossed_merges_would_bring_back_is_not_let_pass(repository, store: GitStore) -> None:
    """git merges with all common ancestors; one of them alone hides the key."""
    repository.git("checkout", "--quiet", "-b", "topic")
    with_key = repository.commit({"demo/simulate/key.txt": KEY})
    repository.git("checkout", "--quiet", "main")
    other = repository.commit({"demo/data/b.txt": "1"})

    def merge(kept: str, dropped: str) -> str:
        parents = ("-p", kept, "-p", dropped)
        return repository.git("commit-tree", *parents, "-m", "merge", f"{kept}^{{tree}}")

    with pytest.raises(EntryError, match="crosswise"):
        validate_pull_request(store, merge(other, with_key), merge(with_key, other))


def test_a_registry_does_not_become_a_catalogue(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"packages/README.md": "x", "demo/waas.yaml": "titel: x"})
    with pytest.raises(EntryError, match="a Workflow Registry has no packages/"):
        validate_pull_request(store, base, head)
    repository.git("rm", "--quiet", "-r", "packages")
    gone = repository.commit({})
    with pytest.raises(EntryError, match="keeps its packages"):
        validate_pull_request(store, head, gone)


def test_a_folder_that_is_replaced_is_no_folder_any_more(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.git("rm", "--quiet", "-r", "demo")
    (repository.folder / "demo").symlink_to("/etc")
    head = repository.commit({})
    with pytest.raises(EntryError, match="no folder any more"):
        validate_pull_request(store, base, head, folder="demo")
    with pytest.raises(EntryError, match="no such folder"):
        validate_pull_request(store, base, head, folder="none")


def test_a_key_in_a_large_file_is_found(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"demo/simulate/id": KEY + "# text\n" * 200_000})
    assert ("secrets/private-key", "demo/simulate/id") in found(
        validate_pull_request(store, base, head)
    )
