"""The builds of a pull request: asked for in its name, told on it, and let go with it."""

from types import SimpleNamespace

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
from hooks.journal import Journal

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


class World:
    def __init__(self, tmp_path, images, engine, requests):
        database = Database(f"sqlite:///{tmp_path}/waas.db")
        database.migrate()
        records = BuildRecords(database, Journal(database))
        self.images, self.engine = images, engine
        self.builds = Builds(records, engine, lambda: images, requests)
        self.pulls = PullRequests(database)
        self.comments = []
        forge = SimpleNamespace(upsert_comment=lambda _number, text: self.comments.append(text))
        self.effects = DispatchEffects(
            {REPO: forge}, self.pulls, None, lambda: images, self.builds, None, tmp_path
        )
        pull = self.pulls.seen(REPO, "topic", MAIN, HEAD, "ada")
        self.pull = {"id": pull.id, "repository": REPO, "number": 1, "base": MAIN, "head": HEAD}

    def judged(self, *images):
        self.planned(*images)
        asked = self.effects.ask_builds(ASKER, list(images))
        self.effects.show_builds(self.pull, asked)
        return asked

    def planned(self, *images):
        plan = {"builds": [row(image) for image in images]}
        values = {"verdict": "PASSED", "report": Report.of([]).to_dict(), "plan": plan}
        assert self.pulls.judged(self.pull["id"], (MAIN, HEAD), values)

    def ended(self, asked):
        self.engine.run(self.builds)
        results = self.effects.await_builds(asked)
        self.effects.report_builds(self.pull, results)
        return results


@pytest.fixture
def world(tmp_path, fake_images, build_engine, fake_requests):
    return World(tmp_path, fake_images, build_engine, fake_requests)


def test_two_sites_that_one_image_serves_share_a_build(world):
    results = world.ended(world.judged(wanted("solve"), wanted("solve", "beta")))
    assert len({result["build"] for result in results}) == 1
    assert [result["reused"] for result in results] == [False, True]
    assert len(world.images.made) == 1
    assert world.comments[-1].count("built, sha256:") == 1
    assert world.comments[-1].count("from the store, sha256:") == 1


def test_the_first_error_is_quoted_and_the_others_are_built(world):
    def act(request, *_):
        if request.step == "bad":
            raise EntryError("E: Unable to locate package libfoo", hint="libfoo-dev?")

    world.images.act = act
    asked = world.judged(wanted("bad"), wanted("good"), wanted("wrong"))
    assert "follow it with: waas builds logs -f" in world.comments[-1]
    results = world.ended(asked)
    assert [bool(result["error"]) for result in results] == [True, False, True]
    assert "E: Unable to locate package libfoo (libfoo-dev?)" in world.comments[-1]
    assert "w/wrong/eflows4hpc.yaml:2: there is no package 'nunpy'" in world.comments[-1]
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
        world.pulls.closed(REPO, "topic")
    elif how == "merged":
        world.pulls.merged(REPO, HEAD)
    else:
        world.pulls.seen(REPO, "topic", MAIN, "b" * 40, "ada")
    world.effects.show_builds(world.pull, asked)
    [result] = world.ended(asked)
    assert result["state"] == CANCELLED
    assert world.images.made == []
