"""Deliveries are kept before they are answered, handled to an end, and never block each other."""

from datetime import timedelta

import pytest

from ci.errors import EntryError, SettingsError, SiteError
from hooks.db import Database
from hooks.inbox import ATTEMPTS, Accepted, Inbox
from hooks.inbox.inbox import LARGEST_EVENT


def fails(*_):
    raise EntryError("no such thing")


def away(*_):
    raise SiteError("the forge is away", transient=True)


def until_set_aside(inbox, clock, handler) -> None:
    for _ in range(ATTEMPTS):
        inbox.handle_pending(handler)
        clock.go_on(minutes=1)


def test_a_delivery_is_handled_once_however_often_it_comes(inbox):
    seen = []
    assert inbox.accept("d1", "git", "registry", {"ref": "a"}) is Accepted.NEW
    assert not inbox.accept("d1", "git", "registry", {"ref": "a"})
    inbox.handle_pending(lambda registry, event: seen.append((registry, event["ref"])) or "")
    assert inbox.accept("d1", "git", "registry", {"ref": "a"}) is Accepted.KNOWN
    inbox.handle_pending(lambda registry, event: seen.append("again") or "")
    assert seen == [("registry", "a")]


def test_it_survives_the_process_that_accepted_it(tmp_path, inbox):
    inbox.accept("d1", "git", "registry", {"ref": "a"})
    seen = []
    other = Inbox(Database(f"sqlite:///{tmp_path}/waas.db"))
    other.handle_pending(lambda _, event: seen.append(event) or "")
    assert seen == [{"ref": "a"}]


def test_they_are_handled_in_the_order_they_came(inbox):
    for name in "cab":
        inbox.accept(name, "git", "r", {"n": name})
    seen = []
    assert inbox.handle_pending(lambda _, event: seen.append(event["n"]) or "") == 3
    assert seen == ["c", "a", "b"]


def test_its_fate_is_written_down(inbox, delivery, clock):
    inbox.accept("done", "github", "r", {"event": "push"})
    inbox.accept("other", "mailbox", "r", {"event": 7})
    clock.go_on(seconds=5)
    inbox.handle_pending(lambda _, event: "" if event["event"] == "push" else "not a push")
    done, other = delivery("done"), delivery("other")
    assert (done.state, done.reason, done.attempts, done.event) == ("HANDLED", "", 1, "push")
    assert (other.state, other.reason) == ("IGNORED", "not a push")
    assert done.handled_at - done.received_at == timedelta(seconds=5)


def test_one_that_fails_steps_aside_and_the_next_goes_on(inbox, delivery):
    inbox.accept("bad", "git", "r", {"n": 1})
    inbox.accept("good", "git", "r", {"n": 2})
    inbox.handle_pending(lambda _, event: fails() if event["n"] == 1 else "")
    assert (delivery("bad").state, delivery("bad").attempts) == ("RECEIVED", 1)
    assert delivery("bad").reason == "no such thing"
    assert delivery("good").state == "HANDLED"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EntryError("no", path="a.yaml", line=3), "a.yaml:3: no"),
        (SettingsError("no key", hint="make one"), "no key (make one)"),
        (SiteError("refused"), "refused"),
        (KeyError("ref"), "KeyError: 'ref'"),
        (RecursionError("too deep\x00"), "RecursionError: too deep\ufffd"),
    ],
)
def test_after_its_last_try_it_is_set_aside(inbox, delivery, clock, error, reason, caplog):
    inbox.accept("d", "git", "r", {})
    tries = []

    def handler(*_):
        tries.append(clock.now)
        raise error

    for attempt in range(1, ATTEMPTS + 1):
        assert delivery("d").state == "RECEIVED"
        inbox.handle_pending(handler)
        assert len(tries) == attempt
        inbox.handle_pending(handler)  # not yet
        assert len(tries) == attempt
        clock.go_on(minutes=1)
    inbox.handle_pending(handler)
    assert len(tries) == ATTEMPTS
    row = delivery("d")
    assert (row.state, row.reason, row.attempts) == ("FAILED", reason, ATTEMPTS)
    defect = not isinstance(error, EntryError | SettingsError | SiteError)
    assert ("Traceback" in caplog.text) == defect


def test_a_defect_is_logged_with_its_place(inbox, caplog):
    inbox.accept("d", "git", "r", {})
    inbox.handle_pending(lambda *_: {}["missing"])
    [record] = [r for r in caplog.records if r.exc_info]
    assert record.delivery == "d"
    assert record.exc_info[0] is KeyError


def test_a_failed_one_is_taken_up_again_when_it_is_delivered_again(inbox, delivery, clock):
    inbox.accept("d", "git", "r", {})
    until_set_aside(inbox, clock, fails)
    assert delivery("d").state == "FAILED"
    assert inbox.accept("d", "git", "r", {}) is Accepted.AGAIN
    row = delivery("d")
    assert (row.state, row.attempts, row.reason, row.handled_at) == ("RECEIVED", 0, "", None)
    inbox.handle_pending(lambda *_: "")
    assert delivery("d").state == "HANDLED"


def test_a_redelivery_of_one_that_waits_for_its_next_try_changes_nothing(inbox, delivery):
    inbox.accept("d", "git", "r", {})
    inbox.handle_pending(fails)
    assert inbox.accept("d", "git", "r", {}) is Accepted.KNOWN
    assert delivery("d").attempts == 1
    assert delivery("d").next_at is not None


def test_any_that_is_over_can_be_replayed(inbox, delivery, clock):
    for name, handler in (("a", lambda *_: ""), ("b", lambda *_: "why"), ("c", fails)):
        inbox.accept(name, "git", "r", {})
        assert not inbox.replay(name)
        until_set_aside(inbox, clock, handler)
        assert inbox.replay(name)
        assert (delivery(name).state, delivery(name).handled_at) == ("RECEIVED", None)
        inbox.handle_pending(lambda *_: "")
    assert not inbox.replay("unknown")


def test_while_the_forge_is_away_its_lane_waits_in_order_and_nothing_is_counted(
    inbox, delivery, clock
):
    for name in ("first", "second"):
        inbox.accept(name, "git", "r", {"n": name})
    inbox.accept("other", "git", "elsewhere", {"n": "other"})
    seen = []

    def handler(repository, event):
        seen.append(event["n"])
        return away() if repository == "r" else ""

    pauses = []
    for _ in range(ATTEMPTS * 3):
        inbox.handle_pending(handler)
        pauses.append((delivery("first").next_at - clock.now).total_seconds())
        clock.go_on(seconds=pauses[-1] + 0.001)
    assert seen.count("other") == 1
    assert set(seen) == {"first", "other"}
    assert 0.5 <= pauses[0] <= 1
    assert all(30 <= pause <= 60 for pause in pauses[8:])
    assert (delivery("first").state, delivery("first").attempts) == ("RECEIVED", 0)
    assert delivery("first").reason == "the forge is away"
    seen.clear()
    inbox.handle_pending(lambda _, event: seen.append(event["n"]) or "")
    assert seen == ["first", "second"]
    assert delivery("first").reason == ""


def test_a_forge_that_stays_away_for_more_than_a_day_counts(inbox, delivery, clock):
    inbox.accept("d", "git", "r", {})
    for _ in range(24):
        inbox.handle_pending(away)
        assert (delivery("d").state, delivery("d").attempts) == ("RECEIVED", 0)
        clock.go_on(hours=1)
    until_set_aside(inbox, clock, away)
    assert (delivery("d").state, delivery("d").reason) == ("FAILED", "the forge is away")


def test_trouble_of_this_machine_holds_back_nothing_else_and_is_not_counted(inbox, delivery, clock):
    inbox.accept("d", "git", "r", {"n": 1})
    inbox.accept("e", "git", "r", {"n": 2})

    def full(_, event):
        if event["n"] == 1:
            raise OSError(28, "No space left on device")
        return ""

    for _ in range(ATTEMPTS * 2):
        inbox.handle_pending(full)
        clock.go_on(minutes=1)
    assert delivery("e").state == "HANDLED"
    assert (delivery("d").state, delivery("d").attempts) == ("RECEIVED", 1)


def test_one_that_ends_its_process_is_set_aside_too(inbox, delivery):
    inbox.accept("d", "git", "r", {})
    inbox.accept("e", "git", "r", {})

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    for attempt in range(1, ATTEMPTS + 1):
        with pytest.raises(Killed):
            inbox.handle_pending(killed)
        assert delivery("d").attempts == attempt
        assert delivery("e").attempts == 0
    inbox.handle_pending(lambda *_: "")
    assert delivery("d").state == "FAILED"
    assert "was ended 5 times" in delivery("d").reason
    assert delivery("e").state == "HANDLED"


@pytest.mark.parametrize(
    ("name", "source", "repository", "event"),
    [
        ("", "git", "r", {}),
        ("a b", "git", "r", {}),
        ("é", "git", "r", {}),
        ("x" * 201, "git", "r", {}),
        ("d\n", "git", "r", {}),
        ("d", "Git!", "r", {}),
        ("d", "git", "r\x00", {}),
        ("d", "git", "\ud800", {}),
        ("d", "git", "r" * 101, {}),
        ("d", "git", "r", {"ref": "x" * LARGEST_EVENT}),
    ],
)
def test_what_no_database_would_take_is_refused(inbox, name, source, repository, event):
    with pytest.raises(EntryError):
        inbox.accept(name, source, repository, event)
    assert inbox.handle_pending(lambda *_: "") == 0


def test_odd_names_of_repositories_are_lanes_like_others(inbox):
    odd = ["", "..", "a/b", "../../etc", "ü" * 100, "a b", "%2F"]
    for repository in odd:
        inbox.accept(f"d{odd.index(repository)}", "git", repository, {})
    seen = []
    inbox.handle_pending(lambda repository, _: seen.append(repository) or "")
    assert seen == odd


def test_what_is_set_aside_stays_readable_whatever_a_stranger_wrote(inbox, delivery, clock):
    inbox.accept("d", "git", "r", {})

    def long(*_):
        raise EntryError("x" * 100_000)

    until_set_aside(inbox, clock, long)
    assert len(delivery("d").reason) < 5_000
    assert delivery("d").reason.endswith("… (100000 characters)")


def test_a_closed_inbox_refuses(inbox, delivery):
    inbox.accept("d", "git", "r", {})
    inbox.stop()
    with pytest.raises(SiteError) as refused:
        inbox.accept("e", "git", "r", {})
    assert refused.value.transient
    assert delivery("d").state == "RECEIVED"


def test_the_database_file_can_be_read_by_its_owner_alone(tmp_path, database):
    assert (tmp_path / "waas.db").stat().st_mode & 0o777 == 0o600
