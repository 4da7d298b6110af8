"""Commands are done once, by those who may, and answered where they were given."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from ci.errors import EntryError
from ci.findings import Report
from ci.policy import Policy
from hooks.commands.records import CommandRecords
from hooks.db import Database
from hooks.dispatch.commanding import Commanding, answers_of, run_command
from hooks.dispatch.judgements import Judgements
from hooks.dispatch.listening import Listening
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.dispatch.untold import Untold
from hooks.forges.marks import Marks
from hooks.forges.seams import Ending, Proposal, Remark

REPO, MAIN, HEAD, NEXT = "workflow-registry", "m" * 40, "a" * 40, "b" * 40


class FakeForge:
    def __init__(self):
        self.rights = {"ada": {"build", "deploy"}}
        self.written: list[Remark] = []
        self.comments, self.answered = [], []

    def may(self, user, right):
        return right in self.rights.get(user, ())

    def remarks(self, since):
        return self.written, "later"

    def upsert_comment(self, _number, comment):
        self.comments.append(comment.text)

    def answer(self, remark, pull, *, accepted):
        self.answered.append((remark, accepted))


class FakeFlow:
    def step(self, _name, act, *args):
        return act(*args)


@dataclass
class FakeEngine:
    flows: dict = field(default_factory=dict)

    def start(self, flow, payload, *, id):
        self.flows.setdefault(id, (flow, payload))

    def of(self, name):
        return [payload for flow, payload in self.flows.values() if flow == name]


class FakeBuilds:
    def __init__(self):
        self.let_go = []

    def unwanted(self, pull, *, before=None, keep=""):
        self.let_go.append((pull, before))


class FakeDeploying:
    def __init__(self):
        self.asked = {}

    def request(self, action, workflow, site, *, commit="", by, id):
        self.asked.setdefault(id, (action, workflow, site, commit, by))
        return f"{workflow} goes to {site}"


class World:
    def __init__(self, tmp_path):
        database = Database(f"sqlite:///{tmp_path}/waas.db")
        database.migrate()
        self.forge, self.engine, self.builds = FakeForge(), FakeEngine(), FakeBuilds()
        self.pulls, self.records = PullRequests(database), CommandRecords(database)
        self.deploying, self.ran = FakeDeploying(), set()
        forges = {REPO: self.forge}
        telling = Telling(
            forges,
            self.pulls,
            lambda *key: answers_of(self.records, *key),
            lambda *_: (),
            Untold(Marks(database)),
            nullcontext,
        )
        sites = type("Sites", (), {"names": lambda _: ("alpha",)})()
        self.commanding = Commanding(
            self.records, self.pulls, forges, forges, lambda _: Policy(), sites,
            Judgements(self.engine, self.builds), self.deploying, telling, self.engine,
        )  # fmt: skip
        self.listening = Listening(forges, Marks(database), self.commanding.take)
        self.row = self.pulls.seen(REPO, Proposal("t", HEAD, 3, "T", "eve", "eve"), MAIN)

    def write(self, text, by="ada", id="17"):
        self.forge.written = [Remark(id, 3, by, text)]
        self.listening.listen(REPO)
        for name, (flow, payload) in list(self.engine.flows.items()):
            if flow == "command" and name not in self.ran:
                self.ran.add(name)
                run_command(self.commanding, FakeFlow(), payload)

    def planned(self):
        row = {"workflow": "rom", "owner": "rom", "step": "solve", "site": "alpha"}
        row |= {"target": {"microarchitecture": "zen3"}, "action": "build", "why": "none"}
        values = {"plan": {"builds": [row]}, "report": Report.of([]).to_dict()}
        assert self.pulls.judged(self.row.id, (MAIN, HEAD), values)

    def answer(self):
        return self.records.of(REPO, 3)[-1].answer


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_what_was_asked_is_judged_again_and_answered(world):
    world.write("/validate")
    assert [p["head"] for p in world.engine.of("pull-request")] == [HEAD]
    assert world.forge.answered == [("17", True)]
    assert "/validate" in world.forge.comments[-1]
    assert "is validated and planned again" in world.forge.comments[-1]


def test_a_remark_that_comes_again_or_is_edited_is_not_done_again(world):
    world.write("/validate")
    world.engine.flows.clear()
    world.write("/build")
    assert world.engine.flows == {}


def test_prose_is_left_alone(world):
    world.write("nice work, /build is not needed")
    assert world.engine.flows == {}
    assert world.records.of(REPO, 3) == []


def test_a_build_approves_this_commit_alone(world):
    world.write("/build alpha")
    assert world.records.approved(REPO, 3, HEAD) == {"alpha"}
    assert world.records.approved(REPO, 3, NEXT) is None
    assert len(world.engine.of("pull-request")) == 1


def test_who_may_not_is_told_and_nothing_is_done(world):
    world.write("/build", by="eve")
    assert world.records.approved(REPO, 3, HEAD) is None
    assert world.engine.of("pull-request") == []
    assert world.forge.answered == [("17", False)]
    assert "may not have images built" in world.forge.comments[-1]


def test_a_cancel_lets_all_builds_go(world):
    world.write("/cancel", by="eve")  # the author
    assert (f"{REPO}:3", None) in world.builds.let_go


def test_what_was_merged_is_deployed_where_it_goes(world):
    world.planned()
    world.write("/deploy alpha")
    assert "merge it first" in world.answer()
    world.pulls.ended(world.row.id, Ending(True, NEXT))
    world.write("/deploy alpha", id="18")
    world.write("/rollback alpha 0123abc", id="19")
    assert list(world.deploying.asked.values()) == [
        ("deploy", "rom", "alpha", "", "ada"),
        ("rollback", "rom", "alpha", "0123abc", "ada"),
    ]
    assert world.answer() == "rom goes to alpha"


def test_a_step_that_runs_twice_deploys_once(world):
    world.planned()
    world.pulls.ended(world.row.id, Ending(True, NEXT))
    remark = Remark("18", 3, "ada", "/deploy alpha")
    world.records.take(REPO, remark, remark.text)
    for _ in range(2):
        world.commanding.do(REPO, remark)
    assert len(world.deploying.asked) == 1


def test_several_commands_are_answered_together(world):
    world.write("/help\n/biuld")
    assert "did you mean /build?" in world.answer()
    assert "/rollback SITE" in world.answer()
    assert world.forge.answered == [("17", False)]


def test_a_button_is_a_command_too(world):
    assert "is validated" in world.commanding.give(REPO, 3, "bob", "/validate")
    with pytest.raises(EntryError, match="no command"):
        world.commanding.give(REPO, 3, "bob", "hello")


def test_a_remark_on_something_else_is_left_alone(world):
    world.commanding.take(REPO, Remark("9", 99, "ada", "/build"))
    assert world.engine.flows == {}


def test_before_the_verdict_the_comment_claims_none(world):
    world.write("/help")
    assert "is being validated" in world.forge.comments[-1]
    assert "can be merged" not in world.forge.comments[-1]
