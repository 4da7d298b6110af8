"""The builds of a pull request: asked for in its name, told on it, and let go with it."""

from contextlib import nullcontext

import pytest

from ci.errors import EntryError
from ci.findings import Report
from ci.target import Target
from hooks.builds.records import CANCELLED, BuildRecords
from hooks.builds.service import Builds
from hooks.builds.spec import BuildSpec
from hooks.db import Database
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.dispatch.untold import Untold
from hooks.forges.marks import Marks
from hooks.forges.seams import Ending, Proposal
from hooks.journal import Journal
from hooks.registries import Registries

REPO, ASKER = "workflow-registry", "pull:workflow-registry:1:1"
MAIN, HEAD = "m" * 40, "a" * 40


def wanted(step, site="alpha", microarchitecture="zen3"):
    target = Target(microarchitecture=microarchitecture)
    spec = BuildSpec("rom", step, HEAD, "", target, "pull-1", site)
    about = {"id": f"rom/{step}@{site}", "workflow": "rom", "step": step, "site": site}
    return about | {"key": "k", "spec": spec.to_dict()}


def row(image):
    more = {"owner": "rom", "action": "build", "why": "none yet"}
    target = {"microarchitecture": "zen3"}
    return image | more | {"id": f"{image['step']}@{image['site']}", "target": target}


class FakeNotices:
    def __init__(self):
        self.comments, self.statuses, self.labels = [], {}, []

    def upsert_comment(self, _number, comment):
        self.comments.append(comment.text)

    def show(self, status):
        assert status.state == "PENDING" or self.comments, "the verdict came before its reasons"
        self.statuses[status.name] = status

    def label(self, _number, state):
        self.labels.append(state)


class World:
    def __init__(self, tmp_path, images, engine, requests):
        database = Database(f"sqlite:///{tmp_path}/waas.db")
        database.migrate()
        records = BuildRecords(database, Journal(database))
        self.images, self.engine = images, engine
        self.builds = Builds(records, engine, lambda: images, requests)
        self.pulls = PullRequests(database)
        self.told = FakeNotices()
        untold = Untold(Marks(database))
        telling = Telling(
            {REPO: self.told}, self.pulls, lambda *_: (), lambda *_: (), untold, nullcontext
        )
        self.effects = DispatchEffects(
            Registries.single(), self.pulls, None, None, telling, self.builds, None, tmp_path
        )
        pull = self.pulls.seen(REPO, Proposal("topic", HEAD), MAIN)
        self.pull = {"id": pull.id, "repository": REPO, "number": 1, "base": MAIN, "head": HEAD}

    def judged(self, *images):
        self.planned(*images)
        asked = self.effects.ask_builds(ASKER, list(images))
        self.effects.show_builds(self.pull, asked)
        self.effects.tell(self.pull)
        return asked

    def planned(self, *images):
        plan = {"builds": [row(image) for image in images]}
        values = {"verdict": "PASSED", "report": Report.of([]).to_dict(), "plan": plan}
        assert self.pulls.judged(self.pull["id"], (MAIN, HEAD), values)

    def ended(self, asked):
        self.engine.run(self.builds)
        results = self.effects.await_builds(asked)
        self.effects.report_builds(self.pull, results)
        self.effects.tell(self.pull)
        return results


@pytest.fixture
def world(tmp_path, fake_images, build_engine, fake_requests):
    return World(tmp_path, fake_images, build_engine, fake_requests)


def test_two_sites_that_one_image_serves_share_a_build(world):
    results = world.ended(world.judged(wanted("solve"), wanted("solve", "beta")))
    assert len({result["build"] for result in results}) == 1
    assert [result["reused"] for result in results] == [False, True]
    assert len(world.images.made) == 1
    assert world.told.comments[-1].count("built, sha256:") == 1
    assert world.told.comments[-1].count("from the store, sha256:") == 1


def test_the_first_error_is_quoted_and_the_others_are_built(world):
    def act(request, *_):
        if request.step == "bad":
            raise EntryError("E: Unable to locate package libfoo", hint="libfoo-dev?")

    world.images.act = act
    asked = world.judged(wanted("bad"), wanted("good"), wanted("wrong"))
    assert "follow it with: waas builds logs -f" in world.told.comments[-1]
    results = world.ended(asked)
    assert [bool(result["error"]) for result in results] == [True, False, True]
    assert "E: Unable to locate package libfoo (libfoo-dev?)" in world.told.comments[-1]
    assert "w/wrong/eflows4hpc.yaml:2: there is no package 'nunpy'" in world.told.comments[-1]
    found = world.pulls.get(world.pull["id"])
    assert found.build_state == "FAILED"
    assert [r["build"] for r in found.plan["results"]] == [r["build"] for r in results]
    assert "spec" not in found.plan["results"][0]


def test_a_step_that_runs_twice_asks_for_nothing_new(world):
    first = world.judged(wanted("solve"))
    world.ended(first)
    assert world.effects.ask_builds(ASKER, [wanted("solve")])[0]["build"] == first[0]["build"]
    assert world.builds.records.page()[1] == 1


@pytest.mark.parametrize("how", ["closed", "merged", "pushed"])
def test_a_pull_request_that_moved_on_meanwhile_builds_nothing(world, how):
    """Its flow asks after the dispatcher has let go of what it wanted."""
    world.planned(wanted("solve"))
    asked = world.effects.ask_builds(ASKER, [wanted("solve")])
    if how == "closed":
        world.pulls.ended(world.pull["id"], Ending(False))
    elif how == "merged":
        world.pulls.ended(world.pull["id"], Ending(True, HEAD))
    else:
        world.pulls.seen(REPO, Proposal("topic", "b" * 40), MAIN)
    world.effects.show_builds(world.pull, asked)
    [result] = world.ended(asked)
    assert result["state"] == CANCELLED
    assert world.images.made == []


def test_each_site_has_a_status_and_the_pull_request_a_label(world):
    asked = world.judged(wanted("solve"), wanted("solve", "beta"))
    assert world.told.labels[-1] == "building"
    assert world.told.statuses["build alpha"].state == "PENDING"
    world.ended(asked)
    assert world.told.labels[-1] == "built"
    assert {n: s.state for n, s in world.told.statuses.items()} == {
        "validate": "PASSED",
        "build alpha": "PASSED",
        "build beta": "PASSED",
    }


def test_nothing_is_told_of_a_commit_that_is_not_the_head_any_more(world):
    world.planned(wanted("solve"))
    world.pulls.seen(REPO, Proposal("topic", "b" * 40), MAIN)
    world.effects.tell(world.pull)
    world.effects.announce(world.pull)
    assert (world.told.comments, world.told.statuses) == ([], {})
