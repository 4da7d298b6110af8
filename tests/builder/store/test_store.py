import threading

import pytest
from store_images import make_image as image
from store_images import publish_image as publish

from builder.store import ImageStore
from ci.errors import EntryError, SettingsError

KEY, OTHER = "a" * 64, "b" * 64


def test_a_published_image_is_found_as_it_was(store: ImageStore) -> None:
    made = publish(store, image())
    assert store.find(KEY) == made
    assert made.to_dict() == image().to_dict()
    assert made.sif.read_text() == "SIF"
    assert made.sif == store.root / KEY / "image.sif"
    assert ImageStore(store.root).find(KEY) == made


def test_nothing_is_found_before_it_is_published(store: ImageStore) -> None:
    (store.begin(KEY) / "image.sif").write_text("half")
    assert store.find(KEY) is None
    assert store.list() == ()


def test_an_image_that_is_there_stays(store: ImageStore) -> None:
    publish(store, image())
    assert publish(store, image(), "another").sif.read_text() == "SIF"
    assert not list((store.root / ".parts").iterdir())


def test_an_image_of_a_pull_request_answers_only_it(store: ImageStore) -> None:
    publish(store, image(scope="pull-7"))
    found = store.find(KEY, "pull-7")
    assert found is not None
    assert found.scope == "pull-7"
    assert store.find(KEY) is None
    assert store.find(KEY, "pull-8") is None


def test_a_pull_request_may_use_images_of_main(store: ImageStore) -> None:
    made = publish(store, image())
    assert store.find(KEY, "pull-7") == made


def test_promotion_gives_an_image_to_main_and_may_be_repeated(store: ImageStore) -> None:
    publish(store, image(scope="pull-7"))
    promoted = store.promote(KEY, "pull-7")
    assert promoted == store.find(KEY) == store.promote(KEY, "pull-7") == store.find(KEY, "pull-7")
    assert promoted.scope == "main"
    with pytest.raises(EntryError, match="no image"):
        store.promote(OTHER, "pull-7")


def test_promotion_of_what_main_has_keeps_mains(store: ImageStore) -> None:
    publish(store, image(scope="pull-7"), "theirs")
    publish(store, image(), "main's")
    assert store.promote(KEY, "pull-7").sif.read_text() == "main's"
    assert [i.scope for i in store.list()] == ["main"]


def test_all_images_are_listed_newest_first(store: ImageStore) -> None:
    publish(store, image(created="2026-01-01"))
    publish(store, image(OTHER, "pull-7", created="2026-01-02"))
    assert [(i.key, i.scope) for i in store.list()] == [(OTHER, "pull-7"), (KEY, "main")]


@pytest.mark.parametrize("key", ["", "..", "A" * 64, "a" * 63, "a" * 63 + "/", "a" * 64 + "\n"])
def test_a_key_is_no_path(store: ImageStore, key: str) -> None:
    with pytest.raises(EntryError):
        store.find(key)


@pytest.mark.parametrize("scope", ["", "..", "pull-", "pull-0", "pull-1/x", "Main", ".parts"])
def test_a_scope_is_no_path(store: ImageStore, scope: str) -> None:
    with pytest.raises(EntryError):
        store.find(KEY, scope)


def test_leftovers_are_swept_unless_somebody_works_on_them(store: ImageStore) -> None:
    mine, dead = store.begin(KEY), store.begin(OTHER)
    with store.lock(KEY, timeout=1):
        again = ImageStore(store.root)
        assert mine.exists()
        assert not dead.exists()
    ImageStore(store.root)
    assert not mine.exists()
    assert again.find(KEY) is None


def test_one_holds_a_key_at_a_time(store: ImageStore) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def hold() -> None:
        nonlocal inside, most
        with store.lock(KEY, timeout=30):
            with guard:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.02)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_waiting_for_a_key_has_an_end(store: ImageStore) -> None:
    with (
        store.lock(KEY, timeout=1),
        pytest.raises(SettingsError, match="does not come to its end"),
        store.lock(KEY, timeout=0.2),
    ):
        pass


def test_damage_is_reported_with_the_file(store: ImageStore) -> None:
    made = publish(store, image())
    (made.folder / "metadata.json").write_text("{")
    with pytest.raises(SettingsError, match=r"metadata\.json is damaged"):
        store.find(KEY)
