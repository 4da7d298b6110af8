"""What a deployment depends on: a change of it is a new deployment, any other is none."""

from pathlib import Path

from ci.folder_tree import FolderTree
from hooks.dispatch.needs import content_of

HEAD = "tosca_definitions_version: alien_dsl_3_0_0\n"
FILES = {
    "w/tosca/topology.yaml": HEAD + "imports: [mine:1.0.0]\ntopology_template: {}\n",
    "w/s/run.sh": "true\n",
    "types/mine.yaml": HEAD + "metadata: {template_name: mine, template_version: 1.0.0}\n",
    "types/other.yaml": HEAD,
    "x/s/run.sh": "true\n",
}


def content(folder: Path, changed: dict[str, str] = {}) -> str:  # noqa: B006 only read
    for path, text in (FILES | changed).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return content_of(FolderTree(folder), "w", ["key"])


def test_files_of_the_workflow_and_types_that_it_imports_count(tmp_path: Path) -> None:
    before = content(tmp_path / "a")
    assert content(tmp_path / "b") == before
    assert content(tmp_path / "c", {"x/s/run.sh": "false\n"}) == before
    assert content(tmp_path / "d", {"types/other.yaml": HEAD + "# other\n"}) == before
    assert content(tmp_path / "e", {"w/s/run.sh": "false\n"}) != before
    new = FILES["types/mine.yaml"] + "data_types: {}\n"
    assert content(tmp_path / "f", {"types/mine.yaml": new}) != before
