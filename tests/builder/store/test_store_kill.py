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

Forked = Callable[[str, list[tuple[object, ...]]], list[int]]
Program = Callable[..., subprocess.CompletedProcess[str]]
KEY, OTHER = "a" * 64, "b" * 64
SOFTWARE = "5" * 64

# Each child counts what changes the disk or the index, and dies before the n-th of them.
KILLED = """
import os, pathlib, signal, sys
from builder.store import ImageStore, index
from store_images import make_image, publish_image
KEY = "a" * 64

def run(root, act, fatal):
    count = 0
    def counted(method):
        def acting(*arguments, **named):
            nonlocal count
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)
        return acting
    root = pathlib.Path(root)
    store = ImageStore(root) if act != "open" else None
    names = ["fsync", "mkdir", "rmdir", "rename", "unlink", "utime", "open"]
    for module, names in ((os, names), (index.Index, ["_connect", "_remove_files", "_ask"])):
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
    if act == "publish":
        publish_image(store, make_image(KEY), "new")
    elif act == "promote":
        store.promote(KEY, "pull-7")
    elif act == "replace":
        publish_image(store, make_image(KEY), "new", replace=True)
    elif act == "remove":
        store.remove(KEY, "main")
    else:
        ImageStore(root)
    return count
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
    act: str, tmp_path: Path, forked: Forked
) -> None:
    prepared(tmp_path / "0", act)
    (points,) = forked(KILLED, [(tmp_path / "0", act, 0)])
    assert points >= 5
    folders = [tmp_path / str(point) for point in range(1, points + 1)]
    bystanders = [prepared(folder, act) for folder in folders]
    jobs = [(folder, act, number) for number, folder in enumerate(folders, 1)]
    assert set(forked(KILLED, jobs)) == {-signal.SIGKILL}
    seen = set()
    for folder, bystander in zip(folders, bystanders, strict=True):
        bystander.find(KEY)
        for store in (bystander, ImageStore(folder)):
            there = whole(store)
            assert there.pop(("main", OTHER)) == "other"
            assert there in (BEFORE[act], AFTER[act]), folder
        seen.add(there == AFTER[act])
        known = {i.key for i in store.candidates(SOFTWARE, "pull-7")}
        assert known == {OTHER, *(key for _, key in there)}, folder
        assert store.bytes_used() == 3 * len(known)
        for left in (".parts", ".trash", ".replaced"):
            assert not list((folder / left).iterdir()), (folder, left)
        with store.lock(KEY, timeout=0):
            publish_image(store, make_image(KEY), "again", replace=True)
        assert whole(store)["main", KEY] == "again"
    assert seen == {True, False} or act == "open"


def test_an_image_is_never_missed_while_it_is_replaced(tmp_path: Path) -> None:
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
    connection.execute("INSERT INTO images VALUES ('main', ?, ?, 3, '')", [KEY, SOFTWARE])
    connection.commit()
    connection.close()
    assert [i.key for i in store.candidates(SOFTWARE)] == [OTHER]
