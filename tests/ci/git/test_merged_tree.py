from collections.abc import Iterator

import pytest

from ci.errors import EntryError
from ci.git.merged_tree import merged
from ci.git.store import GitStore


@pytest.fixture
def store(repository) -> Iterator[GitStore]:
    repository.commit({"a/one": "1", "a/two": "2", "b/three": "3", "c": "4"})
    made = GitStore(repository.git_dir)
    yield made
    made.close()


def branch(repository, name: str, start: str = "main") -> None:
    repository.git("checkout", "--quiet", "-b", name, start)


def content(tree) -> dict[str, bytes]:
    return {entry.path: tree.read(entry.path) for entry in tree.entries()}


def test_a_branch_of_main_as_it_is_needs_no_merge(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit({"d": "5"})
    tree, changed = merged(store, base, head)
    assert (tree.id, changed) == (head, ("d",))


def test_the_merge_is_what_git_would_make(repository, store: GitStore) -> None:
    branch(repository, "topic")
    repository.git("rm", "--quiet", "-r", "b")
    head = repository.commit({"a/one": "branch", "new/x": "1", "same": "1"})
    repository.git("checkout", "--quiet", "main")
    repository.git("rm", "--quiet", "c")
    base = repository.commit({"a/two": "main", "main/y": "1", "same": "1"})
    tree, changed = merged(store, base, head)
    made = repository.git("merge-tree", "--write-tree", "main", "topic")
    wanted = store.tree(repository.git("commit-tree", "-m", "merge", made))
    assert content(tree) == content(wanted)
    assert changed == ("a/one", "b/three", "new/x")
    for folder in ("", "a", "b", "new", "main", "none"):
        assert tree.names(folder) == wanted.names(folder)
        assert tree.entries(folder) == wanted.entries(folder)
    for path in ("a/one", "b/three", "c", "new/x", "none", "a"):
        assert tree.find(path) == wanted.find(path)


def test_a_file_that_both_changed_is_a_conflict(repository, store: GitStore) -> None:
    branch(repository, "topic")
    head = repository.commit({"a/one": "branch"})
    repository.git("checkout", "--quiet", "main")
    base = repository.commit({"a/one": "main"})
    with pytest.raises(EntryError, match=r"a/one: was changed on main too") as caught:
        merged(store, base, head)
    assert "merge main" in caught.value.hint


def test_histories_without_a_common_commit_cannot_be_merged(repository, store: GitStore) -> None:
    base = repository.git("rev-parse", "HEAD")
    lone = repository.commit_tree(f"100644 blob {repository.blob(b'x')}\tx\0".encode())
    with pytest.raises(EntryError, match="no history in common"):
        merged(store, base, lone)


def test_a_file_where_the_other_has_a_folder_is_a_conflict(repository, store: GitStore) -> None:
    branch(repository, "topic")
    head = repository.commit({"new/x": "1"})
    repository.git("checkout", "--quiet", "main")
    base = repository.commit({"new": "a file"})
    with pytest.raises(EntryError, match="was changed on main too"):
        merged(store, base, head)
    with pytest.raises(EntryError, match="was changed on main too"):
        merged(store, head, base)
