"""What a forge refuses to be told holds up nothing, and is told again once it takes it."""

import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest

from ci.errors import SettingsError, SiteError
from ci.findings import Report
from hooks.db import Database
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.dispatch.untold import AGAIN_SECONDS, Untold
from hooks.engine.locks import alone
from hooks.forges.marks import Marks
from hooks.forges.seams import DeploymentNotice, Ending, Proposal

REPO, MAIN, HEAD = "workflow-registry", "m" * 40, "a" * 40


class Forge:
    """Notices that are refused while they are in ``refused``."""

    def __init__(self):
        self.told, self.refused = [], {}

    def _tell(self, what):
        if what in self.refused:
            raise self.refused[what]
        self.told.append(what)

    def upsert_comment(self, *_):
        self._tell("comment")

    def show(self, status):
        self._tell(f"status {status.state}")

    def label(self, *_):
        self._tell("label")

    def show_deployment(self, _notice):
        self._tell("deployment")


class World:
    def __init__(self, folder):
        database = Database(f"sqlite:///{folder}/waas.db")
        database.migrate()
        self.now, self.forge, self.pulls = 1e9, Forge(), PullRequests(database)
        self.untold = Untold(Marks(database), lambda: self.now)
        self.telling = Telling(
            {REPO: self.forge}, self.pulls, lambda *_: (), lambda *_: (), self.untold, nullcontext
        )
        row = self.pulls.seen(REPO, Proposal("topic", HEAD, 7), MAIN)
        values = {"verdict": "PASSED", "report": Report.of([]).to_dict(), "plan": {}}
        self.pulls.judged(row.id, (MAIN, HEAD), values)
        self.pull = {"id": row.id, "base": MAIN, "head": HEAD}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


LASTING = [SiteError("no permission"), SettingsError("there is no key")]


@pytest.mark.parametrize("error", LASTING)
@pytest.mark.parametrize("what", ["comment", "status PASSED", "label"])
def test_one_refusal_keeps_nothing_else_from_being_told(world, what, error):
    world.forge.refused = {what: error}
    world.telling.tell(world.pull)
    assert {*world.forge.told, what} == {"comment", "status PASSED", "label"}
    world.forge.refused = {}
    world.telling.again(REPO)
    assert what not in world.forge.told  # not at once
    world.now += AGAIN_SECONDS
    world.telling.again(REPO)
    assert what in world.forge.told
    told = list(world.forge.told)
    world.now += AGAIN_SECONDS
    world.telling.again(REPO)
    assert world.forge.told == told  # once


def test_what_is_refused_again_is_tried_again_later(world):
    world.forge.refused = {"label": LASTING[0]}
    world.telling.tell(world.pull)
    for _ in range(3):
        world.now += AGAIN_SECONDS
        world.telling.again(REPO)
    assert world.untold.due(REPO) == []
    world.now += AGAIN_SECONDS
    assert world.untold.due(REPO) == [7]


def test_an_outage_is_waited_for_by_whoever_tells(world):
    world.forge.refused = {"comment": SiteError("away", transient=True)}
    with pytest.raises(SiteError):
        world.telling.tell(world.pull)
    assert world.untold.due(REPO) == []


def test_of_one_that_has_ended_only_the_comment_is_told_again(world):
    world.forge.refused = {"comment": LASTING[0]}
    world.telling.tell(world.pull)
    world.pulls.ended(world.pull["id"], Ending(True, HEAD))
    world.forge.refused, world.forge.told = {}, []
    world.now += AGAIN_SECONDS
    world.telling.again(REPO)
    assert world.forge.told == ["comment"]


def test_a_deployment_that_may_not_be_shown_is_told_in_the_comment(world):
    world.pulls.ended(world.pull["id"], Ending(True, HEAD))
    world.forge.refused = {"deployment": LASTING[0]}
    world.telling.deployment(REPO, DeploymentNotice(HEAD, "alpha", "waves", "ACTIVE", ""))
    assert world.forge.told == ["comment"]
    world.forge.refused = {"deployment": SiteError("away", transient=True)}
    with pytest.raises(SiteError):
        world.telling.deployment(REPO, DeploymentNotice(HEAD, "alpha", "waves", "ACTIVE", ""))


def test_two_who_tell_the_same_pull_request_take_turns(world, tmp_path):
    """Each looks what is there before it writes: both at once would write twice."""
    there, looking = [], threading.Barrier(2)

    def show(_status):
        if not there:
            time.sleep(0.2)
            there.append("check run")

    world.forge.show = show
    url = f"sqlite:///{tmp_path}/waas.db"
    telling = replace(world.telling, turn=partial(alone, url, seconds=10))

    def tell():
        looking.wait()
        telling.tell(world.pull)

    threads = [threading.Thread(target=tell) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert there == ["check run"]


@pytest.mark.parametrize("hosted", [frozenset(), frozenset({REPO})])
def test_that_it_is_validated_is_said_at_once_where_it_must_be(world, hosted):
    """On GitHub the verdict of a new commit says it soon enough; "Re-run" is answered at once."""
    telling = replace(world.telling, hosted=hosted)
    new = world.pulls.seen(REPO, Proposal("topic", "b" * 40, 7), MAIN)
    telling.begin({"id": new.id, "base": MAIN, "head": "b" * 40})
    assert world.forge.told == ([] if hosted else ["status PENDING"])
    values = {"verdict": "PASSED", "report": Report.of([]).to_dict(), "plan": {}}
    world.pulls.judged(new.id, (MAIN, "b" * 40), values)
    world.pulls.judge_again(new.id)
    world.forge.told.clear()
    telling.begin({"id": new.id, "base": MAIN, "head": "b" * 40})
    assert world.forge.told == ["status PENDING"]


def test_a_verdict_is_not_followed_by_news_that_it_is_on_its_way(world):
    world.telling.pending(world.pull)
    assert world.forge.told == []
