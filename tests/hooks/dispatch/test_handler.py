"""What a push means depends on what the forge says now, however often and late it is told."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from hooks.db import Database
from hooks.dispatch.handler import Dispatcher
from hooks.dispatch.judgements import Judgements
from hooks.dispatch.pulls import PullRequests
from hooks.engine.locks import alone
from hooks.forge_choice import SOFTWARE
from hooks.forges.marks import Marks
from hooks.forges.seams import Ending, Proposal, Snapshot
from hooks.registries import Registries

REPO = "workflow-registry"
MAIN, A, B, C = ("m" * 40, "a" * 40, "b" * 40, "c" * 40)


class FakeForge:
    """Bare git, as ``BareGitForge`` sees it: commits are letters, in ``merged`` those of main."""

    def __init__(self) -> None:
        self.branches = {"main": MAIN}
        self.merged = {MAIN}

    def look(self):
        main = self.branches.get("main", "")
        open_ = [(b, c) for b, c in sorted(self.branches.items()) if c not in self.merged]
        return Snapshot(main, tuple(Proposal(b, c) for b, c in open_ if b != "main"))

    def merge(self, commit):
        self.merged.add(commit)
        self.branches["main"] = commit

    def ending(self, number, head):
        return Ending(head in self.merged, head if head in self.merged else "")


class FakeGitHub:
    """Numbers are the forge's, and a merge is a commit of its own."""

    def __init__(self) -> None:
        self.main, self.open = MAIN, {}
        self.endings: dict[int, Ending] = {}

    def look(self):
        return Snapshot(self.main, tuple(self.open.values()))

    def ending(self, number, head):
        return self.endings.get(number)


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
        self.kept: list[str] = []
        self.adopted: list[tuple[str, str, str]] = []

    def unwanted(self, pull, *, before=None, keep=""):
        self.told.append((pull, before))
        self.kept.append(keep)

    def adopt(self, scope, commit, flow):
        assert (f"{REPO}:{scope.removeprefix('pull-')}", None) not in self.told
        self.adopted.append((scope, commit, flow))


@pytest.fixture
def builds():
    return FakeBuilds()


@pytest.fixture
def parts(tmp_path, builds):
    return made(tmp_path, builds, FakeForge())


@pytest.fixture
def hosted(tmp_path, builds):
    return made(tmp_path, builds, FakeGitHub())


def made(tmp_path, builds, forge):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    pulls, engine, marks = PullRequests(database), FakeEngine(), Marks(database)
    forges = {REPO: forge, SOFTWARE: FakeForge()}
    listener = FakeListener()
    registries = Registries.single()
    judgements = Judgements(engine, builds)
    turn = partial(alone, database.url, seconds=10)
    dispatcher = Dispatcher(
        forges, registries, pulls, marks, engine, builds, judgements, listener, turn
    )
    return forge, pulls, engine, dispatcher


class FakeListener:
    def __init__(self) -> None:
        self.listened: list[str] = []

    def listen(self, repository):
        self.listened.append(repository)


def push(dispatcher, branch, by="ada"):
    new = dispatcher.forges[REPO].branches.get(branch, "0" * 40)
    return dispatcher.handle(REPO, {"ref": f"refs/heads/{branch}", "new": new, "pusher": by})


def test_a_branch_is_a_pull_request_with_a_number(parts):
    forge, pulls, engine, dispatcher = parts
    forge.branches["topic"] = A
    assert push(dispatcher, "topic") == ""
    [pull] = pulls.of(REPO)
    assert (pull.number, pull.branch, pull.base, pull.head) == (1, "topic", MAIN, A)
    assert pull.author == "ada"
    [payload] = engine.of("pull-request")
    assert (payload["base"], payload["head"]) == (MAIN, A)


def test_a_branch_that_was_seen_before_its_delivery_is_judged_again_for_its_pusher(parts):
    """The reconciler came first, after a crash: nobody's branch may not build."""
    forge, pulls, engine, dispatcher = parts
    forge.branches["topic"] = A
    dispatcher.reconcile(REPO)
    [pull] = pulls.of(REPO)
    assert (pull.author, pull.pusher) == ("", "")
    for _ in range(3):
        push(dispatcher, "topic")
    dispatcher.reconcile(REPO)
    [pull] = pulls.of(REPO)
    assert (pull.number, pull.author, pull.revision) == (1, "ada", 2)
    assert len(engine.of("pull-request")) == 2


def test_the_same_push_told_many_times_is_judged_once(parts):
    forge, _, engine, dispatcher = parts
    forge.branches["topic"] = A
    for _ in range(5):
        push(dispatcher, "topic")
    dispatcher.reconcile(REPO)
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
    dispatcher.reconcile(REPO)
    assert [p.branch for p in pulls.of(REPO)] == ["one", "two"]
    del forge.branches["one"]
    dispatcher.reconcile(REPO)
    assert [p.branch for p in pulls.of(REPO)] == ["two"]
    assert len(engine.of("merge")) == 1


def test_a_merge_ends_its_pull_request_and_has_the_others_judged_anew(parts):
    forge, pulls, engine, dispatcher = parts
    forge.branches |= {"one": A, "two": B}
    dispatcher.reconcile(REPO)
    forge.merge(A)
    push(dispatcher, "main")
    assert [p.branch for p in pulls.of(REPO, "MERGED")] == ["one"]
    [other] = pulls.of(REPO)
    assert (other.branch, other.base, other.verdict) == ("two", A, "PENDING")
    assert engine.of("merge")[-1] == {"registry": "main", "commit": A}
    dispatcher.reconcile(REPO)  # the merged branch still lies about: it is no new pull request
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
        ("", {"event": "push", "unknown": "a/b"}, "no repository 'a/b' here"),
        (REPO, {"event": "ping"}, "nothing is to be done for 'ping'"),
        (REPO, {"event": "check_run", "action": "created"}, "only a request to run it again"),
        (REPO, {"event": "check_run", "action": "rerequested", "number": 7}, "no open pull"),
        (REPO, {"ref": "refs/tags/v1"}, "refs/tags/v1: only branches are looked at"),
        (REPO, {}, "no ref: only branches are looked at"),
    ],
)
def test_what_means_nothing_here_is_ignored_with_a_reason(parts, repository, event, reason):
    *_, dispatcher = parts
    assert dispatcher.handle(repository, event).startswith(reason)


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


def test_builds_of_a_commit_go_on_when_main_moves(parts, builds):
    forge, _, _, dispatcher = parts
    forge.branches["one"] = A
    push(dispatcher, "one")
    forge.merge(C)
    push(dispatcher, "main")
    assert (builds.told, builds.kept) == ([(f"{REPO}:1", 1), (f"{REPO}:1", 2)], [A, A])


def test_a_push_a_merge_and_a_close_want_the_builds_of_before_no_longer(parts, builds):
    forge, _, _, dispatcher = parts
    for head in (A, B):
        forge.branches |= {"one": head, "two": C}
        push(dispatcher, "one")
    push(dispatcher, "two")
    assert {(f"{REPO}:1", 2), (f"{REPO}:2", 1)} <= set(builds.told)
    forge.merge(B)
    push(dispatcher, "main")
    assert (f"{REPO}:1", None) in builds.told
    assert builds.adopted == [("pull-1", B, f"merge:main:{B[:20]}:{MAIN[:20]}")]
    del forge.branches["two"]
    push(dispatcher, "two")
    assert (f"{REPO}:2", None) in builds.told


def test_each_push_is_its_pushers_and_the_author_stays_the_first(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = A
    push(dispatcher, "topic", by="ada")
    forge.branches["topic"] = B
    push(dispatcher, "topic", by="eve")
    [pull] = pulls.of(REPO)
    assert (pull.author, pull.pusher) == ("ada", "eve")


def test_an_older_push_is_not_taken_for_the_pusher_of_the_newest_commit(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = B
    dispatcher.handle(REPO, {"ref": "refs/heads/topic", "new": A, "pusher": "ada"})
    assert pulls.of(REPO)[0].pusher == ""


def test_title_and_draft_come_with_a_push(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = A
    event = {"ref": "refs/heads/topic", "new": A, "pusher": "ada"}
    dispatcher.handle(REPO, event | {"options": {"title": "A\x1b[31m title", "draft": True}})
    [pull] = pulls.of(REPO)
    assert (pull.title, pull.draft) == ("A [31m title", True)


def test_two_merges_seen_at_once_end_both_pull_requests(parts):
    forge, pulls, _, dispatcher = parts
    forge.branches |= {"one": A, "two": B}
    dispatcher.reconcile(REPO)
    forge.merge(A)
    forge.merge(B)
    push(dispatcher, "main")
    assert [p.branch for p in pulls.of(REPO, "MERGED")] == ["one", "two"]


def test_what_people_write_is_listened_to_when_told_and_when_not(parts):
    *_, dispatcher = parts
    assert dispatcher.handle(REPO, {"event": "issue_comment", "number": 1}) == ""
    dispatcher.reconcile(REPO)
    assert dispatcher.listener.listened == [REPO, REPO]


def test_a_change_of_the_catalogue_is_a_merge_of_the_registry_too(parts):
    _, _, engine, dispatcher = parts
    dispatcher.reconcile(REPO)
    dispatcher.forges[SOFTWARE].merge(B)
    dispatcher.reconcile(SOFTWARE)
    assert len(engine.of("merge")) == 2
    assert engine.of("merge")[-1] == {"registry": "main", "commit": MAIN}


def test_on_github_the_number_and_the_merge_commit_are_the_forges(hosted, builds):
    forge, pulls, _, dispatcher = hosted
    forge.open[12] = Proposal("ada:topic", A, 12, "Add x", "ada", "ada", trusted=False)
    dispatcher.handle(REPO, {"event": "pull_request", "number": 12})
    [pull] = pulls.of(REPO)
    assert (pull.number, pull.title, pull.author, pull.trusted) == (12, "Add x", "ada", False)
    del forge.open[12]
    forge.main, forge.endings[12] = C, Ending(True, C)
    dispatcher.handle(REPO, {"event": "push", "ref": "refs/heads/main"})
    [pull] = pulls.of(REPO, "MERGED")
    assert (pull.number, pull.merge_commit) == (12, C)
    assert builds.adopted == [("pull-12", A, f"merge:main:{C[:20]}:{MAIN[:20]}")]
    assert pulls.merged_as(REPO, C) == [12]


def test_a_reopened_pull_request_keeps_its_number(hosted):
    forge, pulls, _, dispatcher = hosted
    proposal = forge.open[3] = Proposal("topic", A, 3, "T", "ada", "ada")
    dispatcher.reconcile(REPO)
    del forge.open[3]
    forge.endings[3] = Ending(False)
    dispatcher.reconcile(REPO)
    assert pulls.of(REPO) == []
    forge.open[3] = proposal
    dispatcher.reconcile(REPO)
    assert [p.number for p in pulls.of(REPO)] == [3]


def test_one_that_the_forge_lists_late_is_not_ended(hosted):
    """The list lags behind: the pull request itself says that it is open."""
    forge, pulls, _, dispatcher = hosted
    forge.open[3] = Proposal("topic", A, 3, "T", "ada", "ada")
    dispatcher.reconcile(REPO)
    del forge.open[3]
    dispatcher.reconcile(REPO)
    assert [p.number for p in pulls.of(REPO)] == [3]


def test_a_check_that_is_asked_for_again_is_made_again(hosted):
    forge, _, engine, dispatcher = hosted
    forge.open[3] = Proposal("topic", A, 3, "T", "ada", "ada")
    dispatcher.reconcile(REPO)
    event = {"event": "check_run", "action": "rerequested", "head": A}
    assert dispatcher.handle(REPO, event | {"head": B}) != ""
    assert dispatcher.handle(REPO, event) == ""
    assert dispatcher.handle(REPO, event | {"number": 3}) == ""
    assert dispatcher.handle(REPO, event | {"number": 4}) != ""
    assert len(engine.of("pull-request")) == 3


def test_what_did_not_change_costs_no_flow(hosted):
    forge, pulls, engine, dispatcher = hosted
    for n in range(1, 6):
        forge.open[n] = Proposal(f"t{n}", A, n, "T", "ada", "ada")
    dispatcher.reconcile(REPO)
    for pull in pulls.of(REPO):
        pulls.judged(pull.id, (MAIN, A), {"verdict": "PASSED"})
    engine.start = None  # would fail
    dispatcher.reconcile(REPO)


def test_what_was_looked_up_earlier_does_not_overwrite_what_is_newer(parts, tmp_path):
    """Two workers: one has asked the forge and is slow to write down what it heard."""
    forge, pulls, _, dispatcher = parts
    forge.branches["topic"] = A
    asked, go_on, looked = threading.Event(), threading.Event(), threading.Event()

    class SlowForge(FakeForge):
        def look(self):
            then = forge.look()
            asked.set()
            go_on.wait(10)
            return then

    class Forge(FakeForge):
        def look(self):
            looked.set()
            return forge.look()

    def worker(its_forge):
        its = replace(dispatcher, forges={**dispatcher.forges, REPO: its_forge})
        thread = threading.Thread(target=its.reconcile, args=(REPO,))
        thread.start()
        return thread

    slow = worker(SlowForge())
    asked.wait(10)
    forge.branches["topic"] = B
    other = worker(Forge())
    looked.wait(0.3)
    go_on.set()
    slow.join()
    other.join()
    [pull] = pulls.of(REPO)
    assert pull.head == B


@pytest.mark.parametrize("action", ["labeled", "assigned"])
def test_what_proposes_nothing_new_is_not_asked_about(hosted, action):
    """Each label of ours comes back as an event, and each look costs of GitHub's rate limit."""
    forge, _, _, dispatcher = hosted
    forge.look = None
    event = {"event": "pull_request", "action": action, "number": 1, "head": A}
    assert action in dispatcher.handle(REPO, event)
