from collections.abc import Iterator

import pytest

from ci.errors import EntryError
from ci.git.store import GitStore


@pytest.fixture
def store(repository) -> Iterator[GitStore]:
    made = GitStore(repository.git_dir)
    yield made
    made.close()


def test_a_folder_is_listed_by_itself(repository, store: GitStore) -> None:
    tree = store.tree(repository.commit({"a/b/c": "1", "a/d": "22", "ab": "", "z/y": ""}))
    assert tree.names() == ("a/", "ab", "z/")
    assert tree.names("a") == ("b/", "d")
    assert tree.names("none") == ()
    assert [(e.path, e.size) for e in tree.entries("a")] == [("a/b/c", 1), ("a/d", 2)]
    assert tree.entries("ab") == tree.entries("a/d") == tree.entries("none") == ()
    assert [e.path for e in tree.entries()] == ["a/b/c", "a/d", "ab", "z/y"]


def test_an_entry_is_found_without_a_listing(repository, store: GitStore) -> None:
    tree = store.tree(repository.commit({"a/b": "123"}))
    found = tree.find("a/b")
    assert found is not None
    assert (found.path, found.size) == ("a/b", 3)
    for path in ("a", "", "a/b/c", "b", "/a/b", "a//b"):
        assert tree.find(path) is None
        with pytest.raises(EntryError, match="no such file"):
            tree.read(path)


def test_only_folders_that_are_asked_for_are_read(repository, store: GitStore) -> None:
    files = {f"w{number}/tosca/topology.yaml": "x" for number in range(50)}
    base = repository.commit(files)
    head = repository.commit({"w7/tosca/topology.yaml": "y"})
    tree = store.tree(head)
    assert store.tree(base).differs(tree) == ("w7/tosca/topology.yaml",)
    assert tree.read("w7/tosca/topology.yaml") == b"y"
    assert len(tree._folders) == 3  # the root, w7 and w7/tosca


def test_a_file_that_becomes_a_folder_has_changed_with_what_is_in_it(
    repository, store: GitStore
) -> None:
    base = repository.commit({"a": "1"})
    (repository.folder / "a").unlink()
    head = repository.commit({"a/b": "1"})
    assert store.tree(base).differs(store.tree(head)) == ("a", "a/b")
    assert store.tree(head).differs(store.tree(base)) == ("a", "a/b")


def test_a_bomb_in_a_change_is_stopped_and_what_lies_beside_it_is_read(
    repository, store: GitStore
) -> None:
    base = repository.commit({"demo/a": "1"})
    made = repository.git("write-tree")
    for _ in range(12):
        listing = b"".join(f"040000 tree {made}\td{n}\0".encode() for n in range(12))
        made = repository.git("mktree", "-z", stdin=listing)
    demo = repository.git("rev-parse", f"{base}:demo")
    listing = f"040000 tree {demo}\tdemo\x00040000 tree {made}\tevil\0"
    tree = store.tree(repository.commit_tree(listing.encode()))
    with pytest.raises(EntryError, match="more than"):
        store.tree(base).differs(tree)
    assert tree.read("demo/a") == b"1"


def test_empty_folders_without_end_are_stopped_too(repository, store: GitStore) -> None:
    made = repository.git("mktree", stdin=b"")
    for _ in range(10):
        listing = b"".join(f"040000 tree {made}\td{n}\0".encode() for n in range(20))
        made = repository.git("mktree", "-z", stdin=listing)
    tree = store.tree(repository.git("commit-tree", "-m", "empty", made))
    with pytest.raises(EntryError, match="more than"):
        tree.entries()
