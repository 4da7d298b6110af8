import os
import stat
from pathlib import Path

import pytest

from ci import trees
from ci.errors import EntryError, SettingsError
from ci.folder_tree import FolderTree
from ci.trees import Entry, Gate, SubTree, export


def test_a_folder_lists_files_and_links_but_not_what_tools_leave(tmp_path: Path) -> None:
    (tmp_path / "step/src").mkdir(parents=True)
    (tmp_path / "step/src/run.sh").write_text("x")
    (tmp_path / "step/src/run.sh").chmod(0o755)
    (tmp_path / "step/link").symlink_to("/etc")
    for name in (".git", ".venv", "step/__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    assert FolderTree(tmp_path).entries() == (
        Entry("step/link", 0o120000, 4),
        Entry("step/src/run.sh", 0o100755, 1),
    )


def test_only_listed_regular_files_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "tree"
    inside.mkdir()
    (inside / "file").write_text("text")
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "folder-link").symlink_to(tmp_path)
    tree = FolderTree(inside)
    assert tree.read("file") == b"text"
    for path in ("link", "folder-link/secret", "../secret", str(tmp_path / "secret"), "none"):
        with pytest.raises(EntryError):
            tree.read(path)


def test_a_file_that_became_a_link_after_the_listing_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "tree"
    inside.mkdir()
    (inside / "file").write_text("text")
    (tmp_path / "secret").write_text("secret")
    tree = FolderTree(inside)
    tree.entries()
    (inside / "file").unlink()
    (inside / "file").symlink_to(tmp_path / "secret")
    with pytest.raises(EntryError, match="cannot be read"):
        tree.read("file")


def test_the_id_changes_with_content_name_and_mode_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = FolderTree(tmp_path).id
    os.utime(tmp_path / "a", (1, 1))
    assert FolderTree(tmp_path).id == first
    (tmp_path / "a").chmod(0o755)
    assert FolderTree(tmp_path).id != first
    (tmp_path / "a").chmod(0o644)
    (tmp_path / "a").write_text("2")
    assert FolderTree(tmp_path).id != first


def test_a_pipe_and_a_name_that_is_not_utf8_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EntryError, match="neither a file nor a folder"):
        FolderTree(tmp_path).entries()
    (tmp_path / "pipe").unlink()
    with open(os.fsencode(tmp_path) + b"/\xff", "w"):
        pass
    with pytest.raises(EntryError, match="not UTF-8") as caught:
        FolderTree(tmp_path).entries()
    caught.value.path.encode()


def test_what_is_no_folder_is_the_operators_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        FolderTree(tmp_path / "none")


def test_the_gate_stops_count_weight_and_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_ENTRIES", 3)
    monkeypatch.setattr(trees, "MAX_TOTAL", 100)
    gate = Gate()
    for name in "abc":
        gate.passed(Entry(name, 0o100644, 1))
    with pytest.raises(EntryError, match="more than 3 files"):
        gate.passed(Entry("d", 0o100644, 1))
    with pytest.raises(EntryError, match="larger than 100 bytes"):
        Gate().passed(Entry("a", 0o100644, 101))
    with pytest.raises(EntryError, match="deep"):
        Gate().passed(Entry("a/" * 40 + "b", 0o100644, 1))


def test_too_large_a_file_is_not_read(tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_READ", 3)
    with pytest.raises(EntryError, match="4 bytes"):
        tree({"a": "1234"}).read("a")


def test_a_part_of_a_tree_is_a_tree(tree) -> None:
    part = SubTree(tree({"a/b/c": "1", "ab": "2"}), "a")
    assert [entry.path for entry in part.entries()] == ["b/c"]
    assert part.read("b/c") == b"1"
    with pytest.raises(EntryError):
        part.read("../ab")


class TestExport:
    def test_writes_what_is_below_the_prefixes_with_plain_modes(self, tree, tmp_path: Path) -> None:
        source = tree(
            {"w/s/run.sh": "x", "w/s/a.txt": "y", "w/st": "no", "v": "no"},
            modes={"w/s/run.sh": 0o100755},
        )
        export(source, ["w/s"], tmp_path / "out")
        written = {
            p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")
        }
        assert written == {"w", "w/s", "w/s/run.sh", "w/s/a.txt"}
        assert stat.S_IMODE((tmp_path / "out/w/s/run.sh").stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / "out/w/s/a.txt").stat().st_mode) == 0o644

    def test_an_empty_folder_may_be_there_but_no_full_one(self, tree, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        export(tree({"a": "1"}), [], tmp_path / "out")
        assert (tmp_path / "out/a").read_text() == "1"
        with pytest.raises(SettingsError):
            export(tree({"b": "1"}), [], tmp_path / "out")
        assert [p.name for p in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("name", ["../x", "a/../x", "/x", "a//b", ".git/hooks/x", "a/.GIT/x"])
    def test_no_name_leaves_the_folder_or_means_something_to_git(
        self, tree, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(EntryError, match="cannot be written"):
            export(tree({name: "1"}), [], tmp_path / "out")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("mode", [0o120000, 0o160000])
    def test_links_and_submodules_are_refused(self, tree, tmp_path: Path, mode: int) -> None:
        with pytest.raises(EntryError, match="not a file"):
            export(tree({"a": "1"}, modes={"a": mode}), [], tmp_path / "out")

    def test_a_prefix_without_files_is_an_error(self, tree, tmp_path: Path) -> None:
        with pytest.raises(EntryError, match="no such files"):
            export(tree({"step-two/a": "1"}), ["step"], tmp_path / "out")
