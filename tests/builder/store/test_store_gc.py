import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_images import make_image, publish_image

from builder.store import Image, ImageStore
from builder.store.gc import collect, plan_gc

DAY = 86400.0
NOW = 1000 * DAY
KEYS = [digit * 64 for digit in "abcdef"]
NO_LIMIT = 10**18


def aged(number: int, days: float, scope: str = "main", size: int = 10) -> Image:
    return make_image(
        KEYS[number],
        scope,
        last_used=NOW - days * DAY,
        size=size,
        digest=f"sha256:{number}",
    )


def test_what_was_not_used_for_long_goes() -> None:
    images = [aged(0, 1), aged(1, 31), aged(2, 40)]
    planned = plan_gc(images, now=NOW, keep_days=30, max_bytes=NO_LIMIT, in_use=())
    assert [(i.key, why) for i, why in planned] == [
        (KEYS[2], "not used for 40 days"),
        (KEYS[1], "not used for 31 days"),
    ]


@pytest.mark.parametrize("name", [KEYS[2], "sha256:2"])
def test_what_is_in_use_stays_whatever_its_age_and_size(name: str) -> None:
    images = [aged(0, 1), aged(1, 31), aged(2, 40)]
    planned = plan_gc(images, now=NOW, keep_days=30, max_bytes=0, in_use=[name])
    assert [i.key for i, _ in planned] == [KEYS[1], KEYS[0]]


def test_the_longest_unused_go_until_the_rest_fits() -> None:
    images = [aged(0, 1), aged(1, 3), aged(2, 2)]
    planned = plan_gc(images, now=NOW, keep_days=30, max_bytes=15, in_use=())
    assert [i.key for i, _ in planned] == [KEYS[1], KEYS[2]]
    assert not plan_gc(images, now=NOW, keep_days=30, max_bytes=30, in_use=())


def test_what_goes_by_age_makes_room_for_the_rest() -> None:
    images = [aged(0, 1), aged(1, 90)]
    planned = plan_gc(images, now=NOW, keep_days=30, max_bytes=10, in_use=())
    assert [i.key for i, _ in planned] == [KEYS[1]]


def test_images_of_closed_pull_requests_go_first() -> None:
    images = [aged(0, 90), aged(1, 1, "pull-7"), aged(2, 1, "pull-8")]
    planned = plan_gc(
        images, now=NOW, keep_days=30, max_bytes=NO_LIMIT, in_use=(), open_scopes={"pull-8"}
    )
    assert [(i.key, why) for i, why in planned] == [
        (KEYS[1], "pull request 7 is closed"),
        (KEYS[0], "not used for 90 days"),
    ]
    unknown = plan_gc(images, now=NOW, keep_days=30, max_bytes=NO_LIMIT, in_use=())
    assert [i.key for i, _ in unknown] == [KEYS[0]]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.sampled_from(["main", "pull-7", "pull-8"]), st.integers(0, 50)
        ),
        max_size=6,
    ),
    st.floats(0, 100),
    st.integers(0, 200),
    st.sets(st.integers(0, 5)),
)
def test_any_plan_is_enough_and_touches_nothing_in_use(
    facts: list[tuple[float, str, int]], keep_days: float, most: int, used: set[int]
) -> None:
    images = [aged(n, days, scope, size) for n, (days, scope, size) in enumerate(facts)]
    in_use = {KEYS[n] for n in used}
    planned = plan_gc(
        images, now=NOW, keep_days=keep_days, max_bytes=most, in_use=in_use, open_scopes={"pull-8"}
    )
    gone = {i.key for i, _ in planned}
    assert len(gone) == len(planned)
    assert not gone & in_use
    left = [i for i in images if i.key not in gone]
    free = [i for i in left if i.key not in in_use]
    assert sum(i.size for i in left) <= most or not free
    assert all(i.scope != "pull-7" and i.last_used >= NOW - keep_days * DAY - 1e-3 for i in free)


def test_collecting_removes_images_and_old_logs(store: ImageStore) -> None:
    for key, days in zip(KEYS[:3], (90, 80, 1), strict=True):
        made = publish_image(store, make_image(key))
        os.utime(made.folder / "metadata.json", (NOW, NOW - days * DAY))
    for name, days in ((KEYS[4], 90), (KEYS[5], 1)):
        log = store.fail(name, failed_part(store, name))
        os.utime(log, (NOW, NOW - days * DAY))
    gone = collect(store, now=NOW, keep_days=30, max_bytes=NO_LIMIT, in_use={KEYS[1]})
    assert [image.key for image, _ in gone] == [KEYS[0]]
    assert [i.key for i in store.candidates("5" * 64)] == [KEYS[1], KEYS[2]]
    assert [path.name for path in (store.root / ".failed").iterdir()] == [f"{KEYS[5]}.log"]


def failed_part(store: ImageStore, key: str) -> Path:
    part = store.begin(key)
    (part / "build.log").write_text("E: no such package")
    return part


def test_an_image_taken_meanwhile_stays(store: ImageStore) -> None:
    made = publish_image(store, make_image())
    store.used(made.key, "main", made.last_used + 10)
    assert not store.remove(made.key, "main", unused_since=made.last_used)
    assert store.find(made.key) == made
    assert store.remove(made.key, "main", unused_since=made.last_used + 10)
