import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_images import make_image, publish_image

from builder.store import Image, ImageStore, known
from ci.errors import EntryError

Program = Callable[..., subprocess.CompletedProcess[str]]
KEYS = [digit * 64 for digit in "abcdef"]
SOFTWARE, OTHER = "5" * 64, "6" * 64


def index_file(store: ImageStore) -> Path:
    return store.root / ".index" / "images.db"


def rows(store: ImageStore) -> list[tuple[str, str]]:
    connection = sqlite3.connect(index_file(store))
    try:
        return sorted(connection.execute("SELECT scope, key FROM images"))
    finally:
        connection.close()


def names(images: tuple[Image, ...]) -> list[tuple[str, str]]:
    return [(image.scope, image.key) for image in images]


def test_candidates_are_mains_and_the_scopes_own_of_this_software(store: ImageStore) -> None:
    publish_image(store, make_image(KEYS[0]))
    publish_image(store, make_image(KEYS[1], "pull-7"))
    publish_image(store, make_image(KEYS[2], "pull-8"))
    publish_image(store, make_image(KEYS[3], software_key=OTHER))
    assert names(store.candidates(SOFTWARE, "main")) == [("main", KEYS[0])]
    assert names(store.candidates(SOFTWARE, "pull-7")) == [("pull-7", KEYS[1]), ("main", KEYS[0])]
    assert names(store.candidates(OTHER, "pull-7")) == [("main", KEYS[3])]
    with pytest.raises(EntryError):
        store.candidates(SOFTWARE, "../x")


def test_images_of_before_there_were_software_keys_answer_by_key_only(store: ImageStore) -> None:
    made = publish_image(store, make_image(software_key=""))
    text = (made.folder / "metadata.json").read_text()
    (made.folder / "metadata.json").write_text(text.replace('"software_key": "",\n', ""))
    found = ImageStore(store.root)
    assert found.find(made.key) == made
    assert found.candidates("") == ()


def test_a_key_in_both_scopes_is_one_candidate(store: ImageStore) -> None:
    publish_image(store, make_image())
    publish_image(store, make_image(scope="pull-7"))
    assert names(store.candidates(SOFTWARE, "pull-7")) == [("pull-7", KEYS[0])]


def test_promoted_and_removed_images_change_the_candidates(store: ImageStore) -> None:
    publish_image(store, make_image(scope="pull-7"))
    store.promote(KEYS[0], "pull-7")
    assert names(store.candidates(SOFTWARE)) == [("main", KEYS[0])]
    assert store.remove(KEYS[0], "main")
    assert not store.remove(KEYS[0], "main")
    assert store.candidates(SOFTWARE) == ()
    assert store.find(KEYS[0]) is None
    assert not list((store.root / ".trash").iterdir())


def test_the_last_image_of_a_pull_request_takes_its_folder_along(store: ImageStore) -> None:
    publish_image(store, make_image(scope="pull-7"))
    store.remove(KEYS[0], "pull-7")
    assert not (store.root / "pull-7").exists()


def delete_index(store: ImageStore) -> None:
    index_file(store).unlink()


def delete_all_of_it(store: ImageStore) -> None:
    shutil.rmtree(index_file(store).parent)


def overwrite(store: ImageStore) -> None:
    for path in index_file(store).parent.iterdir():
        path.write_bytes(b"no database" * 1000)


def scribble(store: ImageStore) -> None:
    """Damage everything behind the first page, so that it opens well and fails when it is read."""
    connection = sqlite3.connect(index_file(store))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = index_file(store).read_bytes()
    index_file(store).write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def another_version(store: ImageStore) -> None:
    connection = sqlite3.connect(index_file(store))
    connection.execute("PRAGMA user_version = 99")
    connection.close()


HARM = [delete_index, delete_all_of_it, overwrite, scribble, another_version]


@pytest.mark.parametrize("harm", HARM)
def test_an_index_that_is_lost_or_damaged_is_made_anew(
    store: ImageStore, harm: Callable[[ImageStore], None]
) -> None:
    for key in KEYS:
        publish_image(store, make_image(key))
    del store._known
    store = ImageStore(store.root)
    harm(store)
    del store._known
    again = ImageStore(store.root)
    assert [key for _, key in names(again.candidates(SOFTWARE))] == KEYS
    assert again.bytes_used() == 3 * len(KEYS)
    assert rows(again) == [("main", key) for key in KEYS]


@pytest.mark.parametrize("harm", [delete_index, delete_all_of_it])
def test_the_index_may_be_deleted_while_others_use_it(
    store: ImageStore, harm: Callable[[ImageStore], None]
) -> None:
    publish_image(store, make_image(KEYS[0]))
    harm(store)
    other = ImageStore(store.root)
    publish_image(other, make_image(KEYS[1]))
    assert len(store.candidates(SOFTWARE)) == 2
    publish_image(store, make_image(KEYS[2]))
    assert len(other.candidates(SOFTWARE)) == 3


def test_without_a_usable_index_the_folders_answer(
    store: ImageStore, program: Program, tmp_path: Path
) -> None:
    publish_image(store, make_image(KEYS[0]))
    shutil.rmtree(index_file(store).parent)
    index_file(store).parent.write_text("in the way")
    with pytest.raises(Exception, match="cannot open the image store"):
        ImageStore(store.root)
    assert names(store.candidates(SOFTWARE)) == [("main", KEYS[0])]
    publish_image(store, make_image(KEYS[1]))
    assert len(store.candidates(SOFTWARE)) == 2
    assert store.bytes_used() == 6
    index_file(store).parent.unlink()
    assert len(store.candidates(SOFTWARE)) == 2
    assert len(rows(store)) == 2


def test_what_was_done_by_hand_is_noticed_at_the_next_open(store: ImageStore) -> None:
    for key in KEYS[:3]:
        publish_image(store, make_image(key))
    publish_image(store, make_image(KEYS[3], "pull-7"))
    shutil.rmtree(store.root / KEYS[0])
    shutil.copytree(store.root / KEYS[1], store.root / "pull-7" / KEYS[4])
    shutil.rmtree(store.root / "pull-7" / KEYS[3])
    again = ImageStore(store.root)
    assert rows(again) == [("main", KEYS[1]), ("main", KEYS[2]), ("pull-7", KEYS[4])]
    shutil.rmtree(store.root / "pull-7")
    again = ImageStore(store.root)
    assert rows(again) == [("main", KEYS[1]), ("main", KEYS[2])]


def test_a_row_whose_folder_is_gone_is_dropped_when_it_is_met(store: ImageStore) -> None:
    publish_image(store, make_image())
    shutil.rmtree(store.root / KEYS[0])
    assert store.candidates(SOFTWARE) == ()
    assert rows(store) == []


def test_an_open_after_quiet_reads_no_folder(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_image(store, make_image(KEYS[0]))
    publish_image(store, make_image(KEYS[1], "pull-7"))
    threading.Event().wait(0.1)
    ImageStore(store.root)  # what was changed within a tick of the clock is looked at once more
    monkeypatch.setattr(known, "_names", None)
    again = ImageStore(store.root)
    monkeypatch.undo()
    assert names(again.candidates(SOFTWARE, "pull-7")) == [("pull-7", KEYS[1]), ("main", KEYS[0])]


def test_a_damaged_image_does_not_keep_the_store_from_opening(store: ImageStore) -> None:
    publish_image(store, make_image(KEYS[0]))
    made = publish_image(store, make_image(KEYS[1]))
    (made.folder / "metadata.json").write_text("{}")
    delete_index(store)
    assert names(ImageStore(store.root).candidates(SOFTWARE)) == [("main", KEYS[0])]


def test_use_is_remembered_without_the_index_and_never_goes_back(store: ImageStore) -> None:
    made = publish_image(store, make_image())
    assert made.last_used > 0
    later = made.last_used + 1000.0
    store.used(KEYS[0], "main", later)
    store.used(KEYS[0], "main", later - 500.0)
    store.used(KEYS[1], "main", later)
    delete_all_of_it(store)
    found = ImageStore(store.root).find(KEYS[0])
    assert found == made
    assert found is not None
    assert found.last_used == later


def test_processes_and_threads_change_it_at_once(store: ImageStore, program: Program) -> None:
    text = """
import sys, pathlib
from builder.store import ImageStore
from store_images import make_image, publish_image
store = ImageStore(pathlib.Path(sys.argv[1]))
for n in range(20):
    key = sys.argv[2] * 32 + f"{n:032x}"
    with store.lock(key, timeout=0):
        publish_image(store, make_image(key, "pull-7" if n % 2 else "main"))
    assert key in [i.key for i in store.candidates("5" * 64, "pull-7")]
    if n % 4 == 1: store.promote(key, "pull-7")
    if n % 4 == 2: store.remove(key, "main")
"""
    failures: list[str] = []

    def work(digit: str) -> None:
        done = program(text, store.root, digit)
        if done.returncode:
            failures.append(done.stderr)

    threads = [threading.Thread(target=work, args=(digit,)) for digit in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(store.candidates(SOFTWARE, "pull-7")) == 3 * 15
    assert sorted(rows(store)) == sorted(names(store.list()))
    assert store.bytes_used() == 3 * 3 * 15


def test_a_forked_child_opens_the_index_anew(store: ImageStore) -> None:
    publish_image(store, make_image())
    child = os.fork()
    if child == 0:
        os._exit(0 if names(store.candidates(SOFTWARE)) == [("main", KEYS[0])] else 1)
    assert os.waitpid(child, 0)[1] == 0
    publish_image(store, make_image(KEYS[1]))
    assert len(store.candidates(SOFTWARE)) == 2


class Stores(RuleBasedStateMachine):
    """Two views of one store do what a dict does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[tuple[str, str], str] = {}

    @initialize()
    def open(self) -> None:
        self.views = [ImageStore(self.folder), ImageStore(self.folder)]

    view = st.integers(0, 1)
    key = st.sampled_from(KEYS[:3])
    scope = st.sampled_from(["main", "pull-7"])

    @rule(view=view, key=key, scope=scope, replace=st.booleans(), text=st.text(max_size=2))
    def publish(self, view: int, key: str, scope: str, replace: bool, text: str) -> None:
        publish_image(self.views[view], make_image(key, scope), text, replace=replace)
        if replace or (scope, key) not in self.model:
            self.model[scope, key] = text

    @rule(view=view, key=key)
    def promote(self, view: int, key: str) -> None:
        if ("pull-7", key) in self.model or ("main", key) in self.model:
            self.views[view].promote(key, "pull-7")
            theirs = self.model.pop(("pull-7", key), "")
            self.model.setdefault(("main", key), theirs)

    @rule(view=view, key=key, scope=scope)
    def remove(self, view: int, key: str, scope: str) -> None:
        there = self.model.pop((scope, key), None) is not None
        assert self.views[view].remove(key, scope) is there

    @rule(view=view)
    def reopen(self, view: int) -> None:
        self.views[view] = ImageStore(self.folder)

    @rule(view=view)
    def lose_the_index(self, view: int) -> None:
        delete_index(self.views[view])
        self.views[view].bytes_used()

    @invariant()
    def they_agree(self) -> None:
        for view in getattr(self, "views", []):
            contents = {(i.scope, i.key): i.sif.read_bytes().decode() for i in view.list()}
            assert contents == self.model
            seen = {(i.scope, i.key) for i in view.candidates(SOFTWARE, "pull-7")}
            own = {
                (s, k) for s, k in self.model if s == "pull-7" or ("pull-7", k) not in self.model
            }
            assert seen == own
            assert view.bytes_used() == 3 * len(self.model)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
