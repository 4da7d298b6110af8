"""A folder in front, a real registry behind, and two services that share it."""

import logging
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from store_images import make_image, publish_image, publish_real

from builder.store import SIF, Image, shared
from builder.store.registry import RegistryStore
from builder.store.shared import SharedStore
from ci.errors import SettingsError, SiteError
from ci.target import Target
from hooks.testbed.registry import Registry

pytestmark = pytest.mark.engine

Forked = Callable[[str, list[tuple[object, ...]]], list[int]]
KEY, OTHER = "a" * 64, "b" * 64
SOFTWARE = "5" * 64


def trusting(_folder: Path) -> None:
    """Takes every image; the signatures of real ones are checked in their own tests."""


@pytest.fixture
def repository(tmp_path: Path) -> str:
    return f"shared/{tmp_path.name.lower().strip('_')}"


@pytest.fixture
def behind(registry: Registry, repository: str) -> RegistryStore:
    return RegistryStore(registry.url, repository)


@pytest.fixture
def mine(behind: RegistryStore, tmp_path: Path) -> SharedStore:
    return SharedStore(tmp_path / "mine", behind, trusting)


@pytest.fixture
def theirs(behind: RegistryStore, tmp_path: Path) -> SharedStore:
    return SharedStore(tmp_path / "theirs", behind, trusting)


def keys(images: tuple[Image, ...]) -> list[str]:
    return [image.key for image in images]


def test_what_one_builds_the_other_finds_and_fetches(
    mine: SharedStore, theirs: SharedStore
) -> None:
    made = publish_real(mine)
    found = theirs.find(KEY, "pull-7")
    assert found is not None
    assert not found.here
    assert found.scope == "main"
    assert found.to_dict() == made.to_dict()
    assert theirs.list() == ()
    assert theirs.bytes_used() == 0
    fetched = theirs.fetch(found)
    assert fetched.here
    assert fetched.sif.read_bytes() == made.sif.read_bytes()
    assert (fetched.folder / "records" / "dpkg.txt").is_file()
    assert theirs.find(KEY) == fetched == theirs.fetch(fetched)
    assert theirs.list() == (fetched,)
    assert theirs.bytes_used() == made.size


def test_what_others_pushed_is_a_candidate_after_sync(
    mine: SharedStore, theirs: SharedStore
) -> None:
    publish_real(mine)
    publish_real(mine, OTHER, b"another")
    publish_real(theirs, OTHER, b"another")
    assert keys(theirs.candidates(SOFTWARE, "pull-7")) == [OTHER]
    assert theirs.sync() == (0, 1)
    assert theirs.sync() == (0, 0)
    assert keys(theirs.candidates(SOFTWARE, "pull-7")) == [OTHER, KEY]
    assert [image.here for image in theirs.candidates(SOFTWARE)] == [True, False]
    shutil.rmtree(theirs.root / ".index")
    again = SharedStore(theirs.root, theirs._registry, trusting)
    assert keys(again.candidates(SOFTWARE)) == [OTHER, KEY]


def test_images_of_pull_requests_go_there_when_they_are_promoted(
    mine: SharedStore, behind: RegistryStore
) -> None:
    publish_real(mine, scope="pull-7")
    mine.sync()
    assert not behind.has(KEY)
    mine.promote(KEY, "pull-7")
    assert behind.has(KEY)


def test_an_image_is_not_lost_because_the_registry_is_away(
    own_registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    behind = RegistryStore(own_registry.url, "images")
    own_registry.stop()
    store = SharedStore(tmp_path / "images", behind, trusting)
    assert store.find(OTHER) is None
    made = publish_real(store)
    publish_real(store, OTHER, scope="pull-7")
    store.promote(OTHER, "pull-7")
    assert "cannot reach the registry" in caplog.text
    assert store.find(KEY) == made == store.fetch(made)
    with pytest.raises(SiteError) as caught:
        store.sync()
    assert caught.value.transient
    own_registry.start()
    again = SharedStore(tmp_path / "images", behind, trusting)
    assert again.sync() == (2, 0)
    assert sorted(behind.keys()) == [KEY, OTHER]


def test_a_registry_that_did_not_answer_is_not_asked_by_the_way(
    own_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SharedStore(tmp_path / "images", RegistryStore(own_registry.url, "images"), trusting)
    other = SharedStore(tmp_path / "other", RegistryStore(own_registry.url, "images"), trusting)
    publish_real(other)
    own_registry.stop()
    assert store.find(KEY) is None
    own_registry.start()
    assert store.find(KEY) is None
    monkeypatch.setattr(shared.time, "monotonic", lambda: 1e12)
    assert store.find(KEY) is not None


def test_a_rebuilt_image_takes_the_place_of_the_registrys(
    own_registry: Registry, tmp_path: Path
) -> None:
    behind = RegistryStore(own_registry.url, "images")
    store = SharedStore(tmp_path / "images", behind, trusting)
    publish_real(store, content=b"old")
    publish_real(store, content=b"new", replace=True)
    assert b'"size": 3' in (behind.metadata(KEY) or b"")
    assert (behind.metadata(KEY) or b"") == (store.root / KEY / "metadata.json").read_bytes()
    own_registry.stop()
    publish_real(store, content=b"newest", replace=True)
    own_registry.start()
    assert SharedStore(tmp_path / "images", behind, trusting).sync() == (1, 0)
    assert (behind.metadata(KEY) or b"") == (store.root / KEY / "metadata.json").read_bytes()
    assert not list((store.root / ".unpushed").iterdir())


def test_what_the_registry_has_lost_is_forgotten(mine: SharedStore, theirs: SharedStore) -> None:
    publish_real(mine)
    theirs.sync()
    (found,) = theirs.candidates(SOFTWARE)
    empty = RegistryStore(f"http://{mine._registry.name.partition('/')[0]}", "shared/empty")
    theirs._registry = empty
    with pytest.raises(SiteError, match="no longer has"):
        theirs.fetch(found)
    assert theirs.candidates(SOFTWARE) == ()
    again = SharedStore(theirs.root, mine._registry, trusting)
    again.sync()
    again._registry = empty
    again.sync()
    assert again.candidates(SOFTWARE) == ()


def test_an_image_removed_here_is_still_known(mine: SharedStore) -> None:
    publish_real(mine)
    mine.remove(KEY, "main")
    mine.sync()
    (found,) = mine.candidates(SOFTWARE)
    assert not found.here
    assert mine.fetch(found).here


def test_a_tag_of_a_stranger_is_no_image(
    mine: SharedStore, behind: RegistryStore, tmp_path: Path
) -> None:
    publish_real(mine)
    manifest = behind._remote.manifest(KEY)
    assert manifest is not None
    behind._remote.put_manifest(OTHER, manifest)  # the same image by the name of another
    with pytest.raises(SiteError, match="another content key"):
        behind.pull(OTHER, tmp_path)
    assert SharedStore(tmp_path / "other", behind, trusting).find(OTHER) is None


def test_many_fetch_an_image_once(
    mine: SharedStore, theirs: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_real(mine)
    found = theirs.find(KEY)
    assert found is not None
    pulls: list[str] = []
    pull = RegistryStore.pull

    def counted(self: RegistryStore, key: str, folder: Path) -> bool:
        pulls.append(key)
        return pull(self, key, folder)

    monkeypatch.setattr(RegistryStore, "pull", counted)
    fetched: list[Image] = []
    threads = [
        threading.Thread(target=lambda: fetched.append(theirs.fetch(found))) for _ in range(5)
    ]
    with theirs.lock(KEY, timeout=1):  # whoever builds this key may fetch it
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(fetched) == 5
    assert pulls == [KEY]


# Each child counts its requests and its changes of the disk, and dies before the n-th of them.
KILLED = """
import os, pathlib, signal, sys
from builder.store import distribution
from builder.store.registry import RegistryStore
from builder.store.shared import SharedStore
from store_images import publish_real

def run(act, root, url, repository, fatal):
    store = SharedStore(pathlib.Path(root), RegistryStore(url, repository), lambda _: None)
    count = 0
    def counted(method):
        def acting(*arguments, **named):
            nonlocal count
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)
        return acting
    for module, names in ((os, ["mkdir", "rename", "replace", "unlink"]),
                          (distribution.Distribution, ["_send"])):
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
    if act == "fetch":
        store.fetch(store.find("a" * 64))
    elif act == "sync":
        store.sync()
    else:
        publish_real(store, "b" * 64, b"another", replace=True)
    return count
"""


@pytest.mark.parametrize("act", ["fetch", "sync", "publish"])
def test_a_kill_leaves_nothing_half_here_or_there(
    act: str, mine: SharedStore, registry: Registry, tmp_path: Path, forked: Forked
) -> None:
    publish_real(mine)
    name = mine._registry.name.partition("/")[2]
    (points,) = forked(KILLED, [(act, tmp_path / "0", registry.url, f"{name}", 0)])
    assert points >= 5
    names = [f"{name}/{n}" if act == "publish" else name for n in range(1, points + 1)]
    jobs: list[tuple[object, ...]] = [
        (act, tmp_path / str(number), registry.url, name, number)
        for number, name in enumerate(names, 1)
    ]
    assert set(forked(KILLED, jobs)) == {-signal.SIGKILL}
    for number, name in enumerate(names, 1):
        behind, root = RegistryStore(registry.url, name), tmp_path / str(number)
        store = SharedStore(root, behind, trusting)
        for left in (".parts", ".pulls", ".trash"):
            assert not list((root / left).iterdir()), (number, left)
        assert all(image.sif.read_bytes() in (b"SIF", b"another") for image in store.list())
        store.sync()
        assert set(keys(store.list())) <= set(behind.keys())
        if act != "publish":
            found = store.find(KEY)
            assert found is not None
            assert store.fetch(found).sif.read_bytes() == b"SIF"
        with store.lock(OTHER, timeout=0):
            assert publish_real(store, OTHER, b"another").here


def test_an_image_of_main_that_was_there_before_the_registry_goes_there(
    behind: RegistryStore, tmp_path: Path
) -> None:
    publish_real(shared.ImageStore(tmp_path / "images"))
    assert SharedStore(tmp_path / "images", behind, trusting).sync() == (1, 0)
    assert behind.has(KEY)


def test_a_damaged_image_is_told_and_does_not_reach_the_registry(
    mine: SharedStore, behind: RegistryStore
) -> None:
    publish_image(mine, make_image())  # its digest is wrong
    assert not behind.has(KEY)


def test_an_image_that_is_not_what_was_signed_is_not_taken(
    mine: SharedStore, behind: RegistryStore, tmp_path: Path
) -> None:
    def refusing(folder: Path) -> None:
        assert (folder / SIF).is_file()
        raise SettingsError("image.sif is not what was signed")

    made = publish_real(mine)
    store = SharedStore(tmp_path / "careful", behind, refusing)
    found = store.find(made.key)
    assert found is not None
    for _ in range(2):
        with pytest.raises(SettingsError, match="not what was signed"):
            store.fetch(found)
    assert not (store.root / made.key).exists()
    assert not list((store.root / ".pulls").iterdir())


@pytest.mark.parametrize("lie", [{"software_key": "6" * 64}, {"target": Target()}])
def test_an_image_is_not_taken_for_what_the_registry_said_of_it(
    mine: SharedStore, theirs: SharedStore, lie: dict[str, object]
) -> None:
    made = publish_real(mine)
    said = replace(made, **lie)  # type: ignore[arg-type]
    theirs._remember(KEY, said.to_json().encode())
    [chosen] = theirs.candidates(said.software_key)
    for _ in range(2):  # before its files are here, and after
        with pytest.raises(SiteError, match="is another than the registry said"):
            theirs.fetch(chosen)
    assert [i.target for i in theirs.candidates(SOFTWARE)] == [made.target]
