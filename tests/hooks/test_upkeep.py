"""Which images the service lets go: none that a deployment has, waits for, or just got."""

import os
from dataclasses import replace

import pytest

from builder.store import METADATA, SIF, Image, ImageStore
from ci.target import Target
from hooks.builder_choice import BuilderChoice
from hooks.db import Database
from hooks.db.tables import Deployment, PullRequest
from hooks.upkeep import Upkeep

DAY = 86400


@pytest.fixture
def database(tmp_path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/waas.db")
    made.migrate()
    return made


@pytest.fixture
def store(tmp_path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def published(store: ImageStore, name: str, *, days_old: float = 100, scope: str = "main") -> Image:
    key = name * 64
    part = store.begin(key)
    (part / SIF).write_bytes(b"x" * 1000)
    image = Image(
        key=key,
        digest=f"sha256:{name * 64}",
        oci_digest="",
        base_digest="",
        workflow="w",
        step="s",
        target=Target(),
        environment={},
        created="2026-01-01T00:00:00.000+00:00",
        size=1000,
        duration=1.0,
        builder="test",
        scope=scope,
    )
    made = store.publish(part, image)
    metadata = made.folder / METADATA
    then = metadata.stat().st_mtime - days_old * DAY
    os.utime(metadata, (then, then))  # when it was used last
    return made


def keys(images) -> str:
    return "".join(sorted(image.key[0] for image in images))


def test_only_what_nobody_needs_goes(store, database):
    for name in "abcde":
        published(store, name, days_old=0 if name == "e" else 100)
    with database.session() as session:
        row = Deployment(id="w@s", workflow="w", site="s", commit="1" * 40)
        row.images = {"s": "a" * 64}  # waits for its site
        row.manifest = {"steps": {"s": {"sha256": "b" * 64}}}  # what serves there
        gone = Deployment(id="w@t", workflow="w", site="t", commit="1" * 40, state="REMOVED")
        gone.images = {"s": "c" * 64}
        session.add_all([row, gone])
    upkeep = Upkeep(database, store, BuilderChoice(keep_days=30))
    assert keys(image for image, _ in upkeep.plan()) == "cd"
    assert keys(store.list()) == "abcde"
    assert keys(image for image, _ in upkeep.apply()) == "cd"
    assert keys(store.list()) == "abe"
    assert upkeep.apply() == ()


def test_the_quota_takes_what_was_used_longest_ago(store, database):
    for name, days in (("a", 1), ("b", 3), ("c", 2)):
        published(store, name, days_old=days)
    upkeep = Upkeep(database, store, BuilderChoice())
    assert upkeep.plan() == ()
    assert keys(image for image, _ in upkeep.plan(max_gb=1.5e-6)) == "bc"
    limited = Upkeep(database, store, replace(BuilderChoice(), quota_gb=2.5e-6))
    assert keys(image for image, _ in limited.plan()) == "b"


def test_images_of_closed_pull_requests_go_first(store, database):
    published(store, "a", days_old=1, scope="pull-1")
    published(store, "b", days_old=1, scope="pull-2")
    with database.session() as session:
        for number, state in ((1, "OPEN"), (2, "MERGED")):
            session.add(
                PullRequest(
                    repository="workflow-registry",
                    number=number,
                    branch=f"b{number}",
                    head="1" * 40,
                    state=state,
                )
            )
    assert keys(i for i, _ in Upkeep(database, store, BuilderChoice()).plan()) == "b"
