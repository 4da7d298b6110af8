"""One attempt at an image at a time, shared by all who want it, gone when nobody does."""

import threading
from dataclasses import replace

import pytest

from ci.errors import EntryError, SiteError
from hooks.builds.records import CANCELLED, FAILED, FINISHED, PENDING
from hooks.builds.service import outcome
from hooks.builds.spec import Asker, BuildSpec
from hooks.engine import Stopping
from hooks.errors import ForbiddenError, NotFoundError
from hooks.tokens import Caller

ALICE, BOB, ROOT = Caller("alice", "user"), Caller("bob", "user"), Caller("root", "operator")
PULL, MERGE = Asker.flow("pull:reg:3:1"), Asker.flow("merge:a:b")
USER = Asker.user("alice")


def test_whoever_asks_while_an_attempt_goes_on_joins_it(builds, engine, images, spec):
    asked = {builds.ask(spec(), who).build for who in (PULL, USER, MERGE, Asker.user("bob"))}
    assert len(asked) == 1
    engine.run(builds)
    assert len(images.made) == 1
    [build] = asked
    row = builds.records.get(build)
    assert (row.state, row.reused, row.image) == (FINISHED, False, images.made[0])


def test_many_at_once_are_one_attempt(builds, engine, images, spec):
    found, barrier = [], threading.Barrier(30)

    def ask(number):
        barrier.wait()
        found.append(builds.ask(spec(), Asker.user(f"u{number}")).build)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (30, 1)
    assert len(builds.records.askers(found[0])) == 30
    engine.run(builds)
    assert len(images.made) == 1


@pytest.mark.parametrize("other", [{"scope": "pull-3"}, {"microarchitecture": "zen3"}])
def test_another_scope_or_key_is_another_attempt(builds, spec, other):
    assert builds.ask(spec(), USER).build != builds.ask(spec(**other), USER).build


def test_an_image_in_the_store_answers_at_once(builds, engine, images, spec):
    first = builds.ask(spec(), USER)
    engine.run(builds)
    again = builds.ask(spec(), Asker.user("bob"))
    assert (first.there, again.there) == (False, True)
    assert again.build == first.build  # its record
    assert images.used == images.made  # which keeps it from being removed
    images.publish(images.key(spec("other")), "main")  # of which there is no record
    there = builds.ask(spec("other"), USER)
    row = builds.records.get(there.build)
    assert (there.there, row.state, row.reused) == (True, FINISHED, True)
    assert builds.ask(spec("other"), MERGE).build == there.build
    assert engine.run(builds) == []


def test_what_only_a_registry_has_is_fetched_by_a_build_that_builds_nothing(
    builds, engine, images, spec
):
    images.publish(images.key(spec()), "main").here = False
    asked = builds.ask(spec(), USER)
    assert not asked.there
    engine.run(builds)
    row = builds.records.get(asked.build)
    assert (row.state, row.reused, images.made) == (FINISHED, True, [])


def test_what_was_published_meanwhile_is_taken(builds, engine, images, spec):
    asked = builds.ask(spec(), USER)
    images.publish(images.key(spec()), "main")
    engine.run(builds)
    row = builds.records.get(asked.build)
    assert (row.state, row.reused, images.made) == (FINISHED, True, [])


def test_failures_are_not_kept_for_the_next(builds, engine, images, spec):
    def broken(*_):
        raise EntryError("apt: no such package", hint="did you mean libopenmpi-dev?")

    images.act = broken
    first = builds.ask(spec(), USER).build
    engine.run(builds)
    row = builds.records.get(first)
    text = "apt: no such package (did you mean libopenmpi-dev?)"
    assert (row.state, row.message, row.active) == (FAILED, text, None)
    assert outcome(row)["error"] == text
    images.act = lambda *_: None
    second = builds.ask(spec(), USER).build
    assert second != first
    engine.run(builds)
    assert builds.records.get(second).state == FINISHED


def test_a_flow_that_asks_again_gets_its_own_answer(builds, engine, images, spec):
    """Its step ran twice: a failure in between is the answer, not a reason for a new attempt."""
    images.act = lambda *_: (_ for _ in ()).throw(EntryError("broken"))
    first = builds.ask(spec(), PULL).build
    engine.run(builds)
    assert builds.ask(spec(), PULL).build == first
    assert builds.ask(spec(), Asker.flow("pull:reg:3:2")).build != first


def test_what_cannot_be_asked_for_makes_no_row(builds, images, spec):
    with pytest.raises(EntryError, match="nunpy"):
        builds.ask(spec("wrong"), USER)
    images.away = "the engine is down"
    with pytest.raises(SiteError):
        builds.ask(spec(), USER)
    assert builds.records.page()[1] == 0


def test_merges_go_before_users_before_pull_requests_and_the_oldest_first(builds, engine, spec):
    names = {}
    for step, asker in [("a", PULL), ("b", USER), ("c", PULL), ("d", MERGE), ("e", USER)]:
        names[f"build:{builds.ask(spec(step), asker).build}"] = step
    assert "".join(names[i] for i in engine.run(builds)) == "dbeac"


def test_a_build_is_as_urgent_as_its_most_urgent_asker(builds, engine, images, spec):
    for step in "ab":
        builds.ask(spec(step), PULL)
    builds.ask(spec("u"), USER)
    builds.ask(spec("b"), MERGE)
    order = []
    images.act = lambda request, *_: order.append(request.step)
    engine.run(builds)
    assert order == ["b", "u", "a"]
    assert len(images.made) == 3


def test_one_asker_less_does_not_end_what_others_want(builds, engine, images, spec):
    build = builds.ask(spec(), USER).build
    builds.ask(spec(), Asker.user("bob"))
    assert builds.cancel(build, ALICE) is False
    assert builds.records.askers(build) == ["user:bob"]
    assert builds.cancel(build, BOB) is True
    row = builds.records.get(build)
    assert (row.state, row.message) == (CANCELLED, "nobody wants it any more")
    assert engine.cancelled == [f"build:{build}"]
    engine.run(builds)
    assert (builds.records.get(build).state, images.made) == (CANCELLED, [])


def test_an_operator_ends_it_for_all_and_others_may_not(builds, spec):
    build = builds.ask(spec(), USER).build
    with pytest.raises(ForbiddenError, match="not asked for by bob"):
        builds.cancel(build, BOB)
    assert builds.cancel(build, ROOT) is True
    assert builds.records.get(build).message == "cancelled by root"
    assert outcome(builds.records.get(build))["error"] == "cancelled: cancelled by root"
    assert builds.cancel(build, ROOT) is False  # ended already
    with pytest.raises(NotFoundError):
        builds.cancel("none", ROOT)


def test_after_a_cancel_the_key_is_free(builds, engine, images, spec):
    first = builds.ask(spec(), USER).build
    builds.cancel(first, ALICE)
    second = builds.ask(spec(), USER).build
    assert second != first
    engine.run(builds)
    assert builds.records.get(second).state == FINISHED
    assert len(images.made) == 1


def test_a_running_build_hears_of_its_cancel(builds, engine, images, spec):
    build = builds.ask(spec(), USER).build
    heard = []

    def act(_request, _progress, cancelled):
        assert not cancelled()
        builds.cancel(build, ROOT)
        while not cancelled():
            pass
        heard.append(True)

    images.act = act
    engine.run(builds)
    assert (heard, images.made) == ([True], [])
    assert builds.records.get(build).state == CANCELLED


def test_a_newer_push_wants_what_it_wants_and_the_older_nothing(builds, engine, images, spec):
    shared, old, others = spec("shared"), spec("old"), spec("others")
    for wanted in (shared, old, others):
        builds.ask(wanted, Asker.flow("pull:reg:3:1"))
    builds.ask(others, Asker.flow("pull:reg:31:1"))
    builds.ask(shared, Asker.flow("pull:reg:3:2"))
    builds.unwanted("reg:3", before=2)
    rows, _ = builds.records.page()
    states = {row.step: row.state for row in rows}
    assert states == {"shared": PENDING, "old": CANCELLED, "others": PENDING}
    builds.unwanted("reg:3")
    rows, _ = builds.records.page(state=PENDING)
    assert [row.step for row in rows] == ["others"]


def test_another_judgement_of_a_commit_does_not_end_its_builds(builds, engine, images, spec):
    """Main moves, and everybody may ask for another judgement: builds must come to an end."""
    now, other = spec("now"), replace(spec("other"), commit="e" * 40)
    for wanted in (now, other):
        builds.ask(wanted, Asker.flow("pull:reg:3:1"))
    builds.unwanted("reg:3", before=2, keep=now.commit)
    rows, _ = builds.records.page()
    assert {row.step: row.state for row in rows} == {"now": PENDING, "other": CANCELLED}
    builds.unwanted("reg:3", before=2)
    assert builds.records.page(state=PENDING)[1] == 0


def test_force_builds_what_is_there_once_more_and_only_once(builds, engine, images, spec):
    builds.ask(spec(), USER)
    engine.run(builds)
    forced = builds.ask(spec(), USER, force=True)
    assert not forced.there
    images.act = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # killed
    with pytest.raises(KeyboardInterrupt):
        engine.run(builds)
    images.act = lambda *_: None
    engine.run(builds)
    assert len(images.made) == 2
    # killed right after publishing: what is there is its own
    killed = builds.ask(spec(), USER, force=True).build
    images.publish(images.key(spec()), "main")
    engine.run(builds)
    assert builds.records.get(killed).state == FINISHED
    assert len(images.made) == 2


def test_a_row_without_a_flow_is_started_and_one_whose_flow_died_is_ended(builds, engine, spec):
    one, two = builds.ask(spec("one"), USER).build, builds.ask(spec("two"), USER).build
    engine.queue.clear()  # the service died between row and flow
    engine.over.add(f"build:{two}")  # and this flow broke by a defect
    builds.resume()
    assert list(engine.queue) == [f"build:{one}"]
    assert builds.records.get(two).state == FAILED
    assert f"build:{two}" in builds.records.get(two).message


def test_waiting_ends_with_the_builds_and_with_the_process(builds, engine, images, spec):
    asked = [builds.ask(spec(step), PULL).build for step in "ab"]
    found = []
    waiting = threading.Thread(target=lambda: found.append(builds.wait(asked)))
    waiting.start()
    engine.run(builds)
    waiting.join(20)
    assert {row.state for row in found[0].values()} == {FINISHED}
    pending = builds.ask(spec("c"), PULL).build
    builds.stop()
    with pytest.raises(Stopping):
        builds.wait([pending])
    with pytest.raises(Stopping):
        engine.run(builds)
    assert builds.records.get(pending).state == PENDING


def test_a_stop_ends_a_running_build_without_a_verdict(builds, engine, images, spec):
    build = builds.ask(spec(), USER).build
    images.act = lambda *_: builds.stop()
    with pytest.raises(Stopping):
        engine.run(builds)
    assert builds.records.get(build).active is not None


def test_rows_are_shown_by_page_the_newest_first(builds, spec):
    for step in "abcde":
        builds.ask(spec(step), USER)
    page = lambda **w: [row.step for row in builds.records.page(**w)[0]]  # noqa: E731
    assert page(size=2) == ["e", "d"]
    assert page(start=4, size=2) == ["a"]
    assert page(workflow="other") == page(state=FAILED) == []


def test_a_spec_is_the_same_after_it_was_kept(spec):
    made = spec(microarchitecture="zen3", mpi="openmpi@4")
    assert BuildSpec.from_dict(made.to_dict()) == made


def test_a_merge_takes_over_what_goes_on_for_its_commit(builds, engine, images, spec):
    """All but what may have taken something from the pull request's caches."""
    scope, pull = "pull-3", Asker.flow("pull:reg:3:1")
    kept, poisoned = (builds.ask(spec(step, scope=scope), pull) for step in ("solve", "spack"))
    builds.adopt(scope, "e" * 40, "merge:x")  # another commit: nothing
    builds.adopt(scope, "c" * 40, "merge:x")
    builds.unwanted("reg:3")
    assert builds.records.get(kept.build).active is not None
    assert builds.records.get(poisoned.build).state == "CANCELLED"
    assert builds.records.wanted_by("merge:x") == [kept.build]
    engine.run(builds)
    assert builds.wait([kept.build])[kept.build].state == "FINISHED"


def test_without_images_a_merge_takes_nothing_over(builds, images, spec):
    asked = builds.ask(spec(scope="pull-3"), Asker.flow("pull:reg:3:1"))
    images.away = "no engine"
    builds.adopt("pull-3", "c" * 40, "merge:x")
    assert builds.records.wanted_by("merge:x") == []
    assert builds.records.get(asked.build).active is not None
