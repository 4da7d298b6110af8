import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import trees
from ci.errors import EntryError, SettingsError
from ci.git.store import GitStore, find_git_dir


@pytest.fixture
def store(repository) -> Iterator[GitStore]:
    repository.commit({"start": "1"})
    made = GitStore(repository.git_dir)
    yield made
    made.close()


def test_a_commit_is_a_tree(repository, store: GitStore) -> None:
    commit = repository.commit({"a.txt": "old", "ünder/näme.txt": b"\x00\xff"})
    repository.commit({"a.txt": "new"})
    tree = store.tree(commit)
    assert tree.id == commit
    assert [(e.path, e.size) for e in tree.entries()] == [
        ("a.txt", 3),
        ("start", 1),
        ("ünder/näme.txt", 2),
    ]
    assert tree.read("a.txt") == b"old"
    assert tree.read("ünder/näme.txt") == b"\x00\xff"


def test_links_and_submodules_are_listed_and_not_read(repository, store: GitStore) -> None:
    blob = repository.blob(b"/etc/passwd")
    commit = repository.commit_tree(
        f"120000 blob {blob}\tlink\x00160000 commit {'1' * 40}\tmodule\0".encode()
    )
    tree = store.tree(commit)
    assert [(e.path, e.is_symlink, e.is_file) for e in tree.entries()] == [
        ("link", True, False),
        ("module", False, False),
    ]
    for path in ("link", "module"):
        with pytest.raises(EntryError, match="not a file"):
            tree.read(path)


def test_names_are_resolved_but_never_become_options(repository, store: GitStore) -> None:
    commit = repository.git("rev-parse", "HEAD")
    for ref in ("main", "HEAD", commit, commit[:10], "refs/heads/main"):
        assert store.resolve(ref) == commit
    for ref in ("--help", "-n1", "main..HEAD", "main@{0}", "^main", ":start", "a b", "", "x\n"):
        with pytest.raises(EntryError, match="not the name"):
            store.resolve(ref)
    later = repository.commit({"a": "1"})
    assert store.resolve("HEAD~1") == store.resolve(f"{later}^") == commit
    for ref in ("none", "HEAD~9", "HEAD^2"):
        with pytest.raises(EntryError, match="no commit"):
            store.resolve(ref)


@pytest.mark.parametrize("commit", ["main", "--help", "a" * 39, "A" * 40, "a" * 40 + "\n"])
def test_everything_else_takes_40_hex_digits_only(store: GitStore, commit: str) -> None:
    for ask in (store.tree, store.log, lambda c: store.is_ancestor(c, c)):
        with pytest.raises(EntryError, match="40 hex digits"):
            ask(commit)


def test_a_commit_that_is_not_there_is_an_error(store: GitStore) -> None:
    for ask in (store.tree, store.log, lambda c: store.is_ancestor(c, c)):
        with pytest.raises(EntryError, match="no commit"):
            ask("1" * 40)


def test_history(repository, store: GitStore) -> None:
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit({"a": "1"}, "add a\n\nbody\x1b[31m")
    repository.git("checkout", "--quiet", "-b", "topic", first)
    other = repository.commit({"b": "1"}, "add \x1b[31mb")
    assert store.is_ancestor(first, second)
    assert store.is_ancestor(first, first)
    assert not store.is_ancestor(second, first)
    assert store.merge_bases(second, other) == (first,)
    assert store.heads() == {"main": second, "topic": other}
    assert [(c.subject, c.author) for c in store.log(second, limit=9)] == [
        ("add a", "Ada"),
        ("change", "Ada"),
    ]
    assert store.log(other)[0].subject == "add  [31mb"


def test_unrelated_histories_have_no_merge_base(repository, store: GitStore) -> None:
    lone = repository.commit_tree(f"100644 blob {repository.blob(b'x')}\tx\0".encode())
    assert store.merge_bases(store.heads()["main"], lone) == ()


def test_changed_paths_are_those_added_removed_and_changed(repository, store: GitStore) -> None:
    base = repository.commit({"same": "1", "gone": "1", "content": "1", "mode": "1"})
    (repository.folder / "gone").unlink()
    (repository.folder / "mode").chmod(0o755)
    head = repository.commit({"content": "2", "new/file": "1"})
    assert store.changed_paths(base, head) == ("content", "gone", "mode", "new/file")
    assert store.changed_paths(head, head) == ()


def test_a_tree_bomb_is_stopped_while_it_is_listed(repository, store: GitStore) -> None:
    """10^12 files of a few kilobytes of objects."""
    blob = repository.blob(b"x")
    made = repository.git(
        "mktree", "-z", stdin=b"".join(f"100644 blob {blob}\tf{n}\0".encode() for n in range(10))
    )
    for _ in range(11):
        listing = b"".join(f"040000 tree {made}\td{n}\0".encode() for n in range(10))
        made = repository.git("mktree", "-z", stdin=listing)
    commit = repository.git("commit-tree", "-m", "bomb", made)
    begin = time.monotonic()
    with pytest.raises(EntryError, match="more than"):
        store.tree(commit).entries()
    assert time.monotonic() - begin < 20


def test_deep_heavy_and_unreadable_names_are_stopped(
    repository, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = repository.blob(b"x" * 50)
    deep = repository.git("mktree", stdin=f"100644 blob {blob}\tf\n".encode())
    for _ in range(200):
        deep = repository.git("mktree", stdin=f"040000 tree {deep}\td\n".encode())
    with pytest.raises(EntryError, match="deep"):
        store.tree(repository.git("commit-tree", "-m", "deep", deep)).entries()
    name = repository.commit_tree(f"100644 blob {blob}\t".encode() + b"\xff\0")
    with pytest.raises(EntryError, match="not UTF-8"):
        store.tree(name)
    long = repository.commit_tree(f"100644 blob {blob}\t{'n' * 100_000}\0".encode())
    with pytest.raises(EntryError, match="too long"):
        store.tree(long)
    monkeypatch.setattr(trees, "MAX_TOTAL", 40)
    with pytest.raises(EntryError, match="larger than 40"):
        store.tree(repository.commit({"heavy": "x" * 41})).entries()


def test_export_writes_files_of_the_commit_and_no_repository(
    repository, store: GitStore, tmp_path: Path
) -> None:
    commit = repository.commit({"w/step/run.py": "1", ".gitattributes": "* export-ignore"})
    repository.commit({"w/step/run.py": "2"})
    store.export(commit, ["w/step"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["w"]
    assert (tmp_path / "out/w/step/run.py").read_text() == "1"


def test_a_hostile_configuration_of_the_environment_is_not_read(
    repository, store: GitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit({"a": "1"})
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "not a boolean")
    config = tmp_path / "gitconfig"
    config.write_text("[broken")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    fresh = GitStore(repository.git_dir)
    assert fresh.tree(commit).read("a") == b"1"
    fresh.close()


def test_replaced_objects_do_not_replace(repository, store: GitStore) -> None:
    commit = repository.commit({"a": "true"})
    blob, lie = repository.git("rev-parse", "HEAD:a"), repository.blob(b"lie!")
    repository.git("replace", blob, lie)
    assert store.tree(commit).read("a") == b"true"


def test_reading_goes_on_after_the_reader_was_ended(repository, store: GitStore) -> None:
    tree = store.tree(repository.commit({"a": "1", "b": "2"}))
    assert tree.read("a") == b"1"
    process = store._objects._contents._process
    assert process is not None
    process._process.kill()
    assert tree.read("b") == b"2"


def test_a_missing_blob_is_an_error_and_reading_goes_on(repository, store: GitStore) -> None:
    there = repository.blob(b"x")
    commit = repository.commit_tree(f"100644 blob {there}\tthere\0".encode())
    tree = store.tree(commit)
    gone = repository.git_dir / "objects" / there[:2] / there[2:]
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(EntryError, match="missing"):
        tree.read("there")
    gone.write_bytes(content)
    assert tree.read("there") == b"x"


def test_the_repository_of_a_checkout_is_found(repository, tmp_path: Path) -> None:
    repository.commit({"w/a": "1"})
    assert find_git_dir(repository.folder / "w") == (repository.git_dir, "w")
    assert find_git_dir(repository.folder) == (repository.git_dir, "")
    assert find_git_dir(repository.git_dir) == (repository.git_dir, "")
    repository.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    found = find_git_dir(tmp_path / "other")
    assert found is not None
    assert "main" in GitStore(found[0]).heads()
    bare = tmp_path / "bare.git"
    repository.git("clone", "--quiet", "--bare", str(repository.folder), str(bare))
    assert find_git_dir(bare) == (bare, "")
    with pytest.raises(SettingsError, match="not a git repository"):
        GitStore(tmp_path)


def test_files_of_a_checkout_are_not_taken_for_its_repository(repository) -> None:
    """A pull request may bring them along, to be judged in a history of its own."""
    fake = {"HEAD": "ref: refs/heads/main\n", "objects/info/x": "", "refs/heads/main": "0" * 40}
    repository.commit({**fake, **{f"w/{path}": text for path, text in fake.items()}})
    assert find_git_dir(repository.folder) == (repository.git_dir, "")
    with pytest.raises(SettingsError, match="may be a repository"):
        find_git_dir(repository.folder / "w")
