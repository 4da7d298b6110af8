"""What a push means depends on what the forge says now, however often and late it is told."""

import pytest

from hooks.db import Database
from hooks.dispatch.handler import Dispatcher
from hooks.dispatch.pulls import PullRequests
from hooks.forges.seams import Status

REPO = "workflow-registry"
MAIN, A, B, C = ("m" * 40, "a" * 40, "b" * 40, "c" * 40)


class FakeForge:
    def __init__(self) -> None:
        self.branches = {"main": MAIN}
        self.statuses: list[Status] = []

    def heads(self):
        return dict(self.branches)

    def set_status(self, status):
        self.statuses.append(status)


class FakeEngine:
    """As the real one: the same id starts one flow."""

    def __init__(self) -> None:
        self.flows: dict[str, tuple[str, dict]] = {}

    def start(self, flow, payload, *, id):
        self.flows.setdefault(id, (flow, payload))

    def of(self, name):
        return [payload for flow, payload in self.flows.values() if flow == name]


class FakeBuilds:
    def __init__(self) -> None:
        self.told: list[tuple[str, int | None]] = []
        self.adopted: list[tuple[str, str, str]] = []

    def unwanted(self, pull, *, before=None):
        self.told.append((pull, before))

    def adopt(self, scope, commit, flow):
        assert (f"{REPO}:{scope.removeprefix('pull-')}", None) not in self.told
        self.adopted.append((scope, commit, flow))


@pytest.fixture
def builds():
    return FakeBuilds()


@pytest.fixture
def parts(tmp_path, builds):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    forge, pulls, engine = FakeForge(), PullRequests(database), FakeEngine()
    return forge, pulls, engine, Dispatcher({REPO: forge}, pulls, engine, builds)


def push(dispatcher, branch):
    return dispatcher.handle(REPO, {"ref": f"refs/heads/{branch}", "pusher": "ada"})


def test_a_branch_is_a_pull_request_with_a_number(parts):
    forge, pulls, engine, dispatcher = parts
    forge.branches["topic"] = A
    assert push(dispatcher, "topic") == ""
    [pull] = pulls.of(REPO)
    assert (pull.number, pull.branch, pull.base, pull.head) == (1, "topic", MAIN, A)
    assert pull.author == "ada"
    [payload] = engine.of("pull-request")
    assert (payload["base"], payload["head"]) == (MAIN, A)
    assert forge.statuses[-1].state == "PENDING"


def test_a_branch_that_was_seen_before_its_delivery_is_judged_again_for_its_pusher(parts):
    """The reconciler came first, after a crash: nobody's branch may not build."""
    forge, pulls, engine, dispatcher = parts
    forge.branches["topic"] = A
    dispatcher.reconcile()
    [pull] = pulls.of(REPO)
    assert pull.author == ""
    for _ in range(3):
        push(dispatcher, "topic")
    dispatcher.reconcile()
    [pull] = pulls.of(REPO)
    assert (pull.number, pull.author, pull.revision) == (1, "ada", 2)
    assert len(engine.of("pull-request")) == 2


def test_the_same_push_told_many_times_is_judged_once(parts):
    forge, _, engine, dispatcher = parts
    forge.branches["topic"] = A
    for _ in range(5):
        push(dispatcher, "topic")
    dispatcher.reconcile()
    assert len(engine.of("pull-request")) == 1


def test_a_branch_that_goes_back_to_an_earlier_commit_is_judged_again(parts):
    forge, _, engine, dispatcher = parts
    for head in (A, B, A):
        forge.branches["topic"] = head
        push(dispatcher, "topic")
    assert [p["head"] for p in engine.of("pull-request")] == [A, B, A]


def test_what_was_never_told_is_found(parts):
    forge, pulls, engine, dispatcher = parts
    forge.branches |= {"one": A, "two": B}
    dispatcher.reconcile()
    assert [p.branch for p in pulls.of(REPO)] == ["one", "two"]
    del forge.branches["one"]
    dispatcher.reconcile()
    assert [p.branch for p in pulls.of(REPO)] == ["two"]
    assert len(engine.of("merge")) == 1


def test_a_merge_ends_its_pull_request_and_has_the_others_judged_anew(parts):
    forge, pulls, engine, dispatcher = parts
    forge.branches |= {"one": A, "two": B}
    dispatcher.reconcile()
    forge.branches["main"] = A
    push(dispatcher, "main")
    assert [p.branch for p in pulls.of(REPO, "MERGED")] == ["one"]
    [other] = pulls.of(REPO)
    assert (other.branch, other.base, other.verdict) == ("two", A, "PENDING")
    assert engine.of("merge")[-1] == {"commit": A}
    dispatcher.reconcile()  # the merged branch still lies about: it is no new pull request
    assert [p.branch for p in pulls.of(REPO)] == ["two"]


def test_a_deleted_branch_closes_its_pull_request(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = A
    push(dispatcher, "topic")
    del forge.branches["topic"]
    push(dispatcher, "topic")
    assert pulls.of(REPO) == []
    assert [p.branch for p in pulls.of(REPO, "CLOSED")] == ["topic"]


@pytest.mark.parametrize(
    ("repository", "event", "reason"),
    [
        ("other", {"ref": "refs/heads/x"}, "no repository 'other' here"),
        (REPO, {"ref": "refs/tags/v1"}, "refs/tags/v1: only branches are looked at"),
        (REPO, {}, "no ref: only branches are looked at"),
    ],
)
def test_what_means_nothing_here_is_ignored_with_a_reason(parts, repository, event, reason):
    *_, dispatcher = parts
    assert dispatcher.handle(repository, event) == reason


def test_a_verdict_on_a_head_that_is_gone_is_not_recorded(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = A
    push(dispatcher, "topic")
    [pull] = pulls.of(REPO)
    forge.branches["topic"] = C
    push(dispatcher, "topic")
    assert pulls.judged(pull.id, (MAIN, A), {"verdict": "PASSED"}) is False
    assert pulls.get(pull.id).verdict == "PENDING"
    assert pulls.judged(pull.id, (MAIN, C), {"verdict": "PASSED"}) is True


def test_a_push_a_merge_and_a_close_want_the_builds_of_before_no_longer(parts, builds):
    forge, _, _, dispatcher = parts
    for head in (A, B):
        forge.branches |= {"one": head, "two": C}
        push(dispatcher, "one")
    push(dispatcher, "two")
    assert builds.told[-2:] == [(f"{REPO}:1", 2), (f"{REPO}:2", 1)]
    forge.branches["main"] = B
    push(dispatcher, "main")
    assert (f"{REPO}:1", None) in builds.told
    assert builds.adopted == [("pull-1", B, f"merge:{B[:20]}")]
    del forge.branches["two"]
    push(dispatcher, "two")
    assert builds.told[-1] == (f"{REPO}:2", None)
