"""kill -9 at every change of the disk: the next open finds the old or the new, whole."""

import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from store_images import make_image, publish_image

from builder.store import ImageStore
from ci.errors import SettingsError

Program = Callable[..., subprocess.CompletedProcess[str]]
KEY, OTHER = "a" * 64, "b" * 64
SOFTWARE = "5" * 64

# The process counts whatever changes the disk or the index, and dies before the n-th of them.
KILLED = """
import os, pathlib, shutil, signal, sqlite3, sys
count, fatal = 0, int(sys.argv[3])
def counted(act):
    def acting(*arguments, **named):
        global count
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*arguments, **named)
    return acting

from builder.store import ImageStore, index
from store_images import make_image, publish_image
store = ImageStore(pathlib.Path(sys.argv[1])) if sys.argv[2] != "open" else None
for module, names in ((os, ["fsync", "mkdir", "rmdir", "rename", "unlink", "utime", "open"]),
                      (index.Index, ["_connect", "_remove_files", "_ask"])):
    for name in names:
        setattr(module, name, counted(getattr(module, name)))
KEY, OTHER = "a" * 64, "b" * 64
act = {
    "publish": lambda: publish_image(store, make_image(KEY), "new"),
    "promote": lambda: store.promote(KEY, "pull-7"),
    "replace": lambda: publish_image(store, make_image(KEY), "new", replace=True),
    "remove": lambda: store.remove(KEY, "main"),
    "open": lambda: ImageStore(pathlib.Path(sys.argv[1])),
}[sys.argv[2]]
act()
print(count)
"""


def prepared(folder: Path, act: str) -> ImageStore:
    shutil.rmtree(folder, ignore_errors=True)
    store = ImageStore(folder)
    publish_image(store, make_image(OTHER), "other")
    if act in {"replace", "remove"}:
        publish_image(store, make_image(KEY), "old")
    if act == "promote":
        publish_image(store, make_image(KEY, "pull-7"), "old")
    if act == "open":
        shutil.rmtree(folder / ".index")
    return store


def whole(store: ImageStore) -> dict[tuple[str, str], str]:
    return {(image.scope, image.key): image.sif.read_text() for image in store.list()}


BEFORE: dict[str, dict[tuple[str, str], str]] = {
    "publish": {},
    "promote": {("pull-7", KEY): "old"},
    "replace": {("main", KEY): "old"},
    "remove": {("main", KEY): "old"},
    "open": {},
}
AFTER: dict[str, dict[tuple[str, str], str]] = {
    "publish": {("main", KEY): "new"},
    "promote": {("main", KEY): "old"},
    "replace": {("main", KEY): "new"},
    "remove": {},
    "open": {},
}


@pytest.mark.parametrize("act", list(BEFORE))
def test_a_kill_anywhere_leaves_the_old_or_the_new(
    act: str, tmp_path: Path, program: Program
) -> None:
    folder = tmp_path / "images"
    prepared(folder, act)
    done = program(KILLED, folder, act, 0)
    points = int(done.stdout)
    assert points >= 5, done.stderr
    seen = set()
    for point in range(1, points + 1, 1):
        bystander = prepared(folder, act)
        killed = program(KILLED, folder, act, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        for store in (bystander, ImageStore(folder)):
            store.find(KEY)
            there = whole(store)
            assert there.pop(("main", OTHER)) == "other"
            assert there in (BEFORE[act], AFTER[act]), point
        seen.add(there == AFTER[act])
        known = {i.key for i in store.candidates(SOFTWARE, "pull-7")}
        assert known == {OTHER, *(key for _, key in there)}, point
        assert store.bytes_used() == 3 * len(known)
        for left in (".parts", ".trash", ".replaced"):
            assert not list((folder / left).iterdir()), (point, left)
        with store.lock(KEY, timeout=0):
            publish_image(store, make_image(KEY), "again", replace=True)
        assert whole(store)["main", KEY] == "again"
    assert seen == {True, False} or act == "open"


def test_an_image_is_never_missed_while_it_is_replaced(tmp_path: Path, program: Program) -> None:
    store = prepared(tmp_path / "images", "replace")
    (store.root / KEY).rename(store.root / ".replaced" / f"main_{KEY}")  # as a killed one leaves it
    found = store.find(KEY)
    assert found is not None
    assert found.sif.read_text() == "old"


FULL = """
import pathlib, resource, sys
from builder.store import ImageStore
from ci.errors import SettingsError
from store_images import make_image
store = ImageStore(pathlib.Path(sys.argv[1]))
part = store.begin("a" * 64)
(part / "image.sif").write_text("new")
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    store.publish(part, make_image(), replace=True)
except SettingsError as error:
    print(error)
else:
    print("published", [i.sif.read_text() for i in store.candidates("5" * 64)])
"""


@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_is_told_and_leaves_nothing_half(
    tmp_path: Path, program: Program, old: bool
) -> None:
    store = prepared(tmp_path / "images", "replace" if old else "publish")
    before = whole(store)
    done = program(FULL, store.root, 100)
    assert done.stdout == (
        f"cannot change image {KEY[:12]} in {store.root}: File too large "
        "(free some space: waas images gc)\n"
    ), done.stderr
    again = ImageStore(store.root)
    assert whole(again) == before
    assert not list((store.root / ".parts").iterdir())


def test_an_image_is_published_though_the_index_has_no_room(
    tmp_path: Path, program: Program
) -> None:
    store = prepared(tmp_path / "images", "publish")
    done = program(FULL, store.root, 2000)
    assert done.stdout == "published ['new', 'other']\n", done.stderr
    assert len(ImageStore(store.root).candidates(SOFTWARE)) == 2


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limits on files")
def test_a_store_opens_on_a_full_disk_so_that_space_can_be_made(
    tmp_path: Path, program: Program
) -> None:
    store = prepared(tmp_path / "images", "replace")
    shutil.rmtree(store.root / ".index")
    text = """
import pathlib, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from builder.store import ImageStore
store = ImageStore(pathlib.Path(sys.argv[1]))
store.remove("a" * 64, "main")
print([i.key[0] for i in store.candidates("5" * 64)], store.bytes_used())
"""
    done = program(text, store.root)
    assert done.stdout == "['b'] 3\n", done.stderr


def test_a_folder_that_may_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file")
    with pytest.raises(SettingsError, match="cannot open the image store"):
        ImageStore(tmp_path / "images")


def test_the_index_knows_nothing_that_the_folders_do_not(tmp_path: Path) -> None:
    """A note without its folder, as of a machine that lost power, is not believed."""
    store = prepared(tmp_path / "images", "publish")
    connection = sqlite3.connect(store.root / ".index" / "images.db")
    connection.execute("INSERT INTO images VALUES ('main', ?, ?, 3)", [KEY, SOFTWARE])
    connection.commit()
    connection.close()
    assert [i.key for i in store.candidates(SOFTWARE)] == [OTHER]
