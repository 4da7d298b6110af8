from collections.abc import Iterator

import pytest

from ci.errors import EntryError
from ci.git import objects as git_objects
from ci.git.objects import ObjectReader


@pytest.fixture
def objects(repository) -> Iterator[ObjectReader]:
    reader = ObjectReader(repository.git_dir)
    yield reader
    reader.close()


def write_tree(repository, data: bytes) -> str:
    """A tree object as it is given, which git's own commands would refuse to write."""
    arguments = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    return str(repository.git(*arguments, stdin=data))


def test_contents_and_sizes_of_many_in_their_order(repository, objects: ObjectReader) -> None:
    blobs = [repository.blob(b"x" * number) for number in range(300)]
    assert objects.sizes([*blobs, *blobs]) == {b: n for n, b in enumerate(blobs)}
    assert objects.blob(blobs[7]) == b"x" * 7
    assert objects.sizes(["1" * 40]) == {"1" * 40: 0}


def test_a_tree_is_taken_apart(repository, objects: ObjectReader) -> None:
    commit = repository.commit({"a/b": "1", "c": "2"})
    (root,) = objects.trees([f"{commit}^{{tree}}"])
    assert [(item.name, item.is_folder) for item in root] == [("a", True), ("c", False)]
    assert objects.trees([root[0].id])[0][0].name == "b"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"", "no file can have"),
        (b".", "no file can have"),
        (b"..", "no file can have"),
        (b"../../etc/passwd", "no file can have"),
        (b"/etc/passwd", "no file can have"),
        (b"\xff", "not UTF-8"),
        (b"n" * 5000, "too long"),
    ],
)
def test_names_that_no_file_can_have_are_refused(
    repository, objects: ObjectReader, name: bytes, said: str
) -> None:
    tree = write_tree(repository, b"100644 " + name + b"\0" + b"1" * 20)
    with pytest.raises(EntryError, match=said):
        objects.trees([tree])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"100644 a\0short", "damaged"),
        (b"garbage without any structure at all", "damaged"),
        (b"10064x a\0" + b"1" * 20, "unknown mode"),
        (b"140000 a\0" + b"1" * 20, "unknown mode"),
        ((b"100644 a\0" + b"1" * 20) * 2, "twice"),
    ],
)
def test_damaged_trees_are_refused(
    repository, objects: ObjectReader, data: bytes, said: str
) -> None:
    tree = write_tree(repository, data)
    with pytest.raises(EntryError, match=said):
        objects.trees([tree])
    assert objects.blob(repository.blob(b"and it goes on")) == b"and it goes on"


def test_what_is_too_large_is_not_read(
    repository, objects: ObjectReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_objects, "MAX_READ", 10)
    with pytest.raises(EntryError, match="too large"):
        objects.blob(repository.blob(b"x" * 11))
    monkeypatch.setattr(git_objects, "_MAX_TREES", 50)
    tree = write_tree(repository, b"100644 a\0" + b"1" * 20)
    assert len(objects.trees([tree])) == 1
    with pytest.raises(EntryError, match="too large"):
        objects.trees([tree, tree])


def test_a_blob_is_no_tree_and_a_tree_no_blob(repository, objects: ObjectReader) -> None:
    blob, tree = repository.blob(b"x"), write_tree(repository, b"")
    with pytest.raises(EntryError, match="no tree"):
        objects.trees([blob])
    with pytest.raises(EntryError, match="no blob"):
        objects.blob(tree)
