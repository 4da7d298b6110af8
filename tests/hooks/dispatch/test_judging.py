"""A verdict speaks of what was read; without that there is none."""

from types import SimpleNamespace

import pytest

from ci.errors import EntryError, SettingsError, SiteError
from ci.findings import Report
from hooks.db import Database
from hooks.dispatch.judging import Judge
from hooks.dispatch.pulls import PullRequests
from hooks.forges.seams import Proposal
from hooks.registries import Registries

REPO, MAIN, HEAD = "workflow-registry", "m" * 40, "a" * 40


class Forge:
    def __init__(self, error):
        self.error = error

    def fetch(self, *commits):
        self.asked = commits
        raise self.error


@pytest.fixture
def judged(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    pulls = PullRequests(database)
    row = pulls.seen(REPO, Proposal("topic", HEAD, 7), MAIN)

    def judge(error, forge=None):
        planner = SimpleNamespace(forges={REPO: forge or Forge(error)})
        pull = {"id": row.id, "repository": REPO, "number": 7, "base": MAIN, "head": HEAD}
        answer = Judge(planner, Registries.single(), pulls, None).judge(pull)
        return answer, pulls.get(row.id)

    judge.pulls, judge.id = pulls, row.id
    return judge


@pytest.mark.parametrize(
    "error",
    [SiteError("away", transient=True), SiteError("no right"), SettingsError("the disk is full")],
)
def test_what_could_not_be_fetched_is_not_judged(judged, error):
    with pytest.raises(type(error)):
        judged(error)
    row = judged.pulls.get(judged.id)
    assert (row.verdict, row.report) == ("PENDING", {})


def test_main_is_fetched_as_well(judged):
    forge = Forge(SiteError("away", transient=True))
    with pytest.raises(SiteError):
        judged(None, forge)
    assert set(forge.asked) == {HEAD, MAIN}


def test_what_the_forge_lets_nobody_read_is_refused(judged):
    answer, row = judged(EntryError("sent objects that git's checks refuse"))
    assert answer == {"builds": []}
    assert row.verdict == "FAILED"
    assert "refuse" in str(row.report)


def test_one_whose_images_are_going_to_be_built_is_building_from_its_verdict_on(judged):
    class Wanting(Judge):
        wanted = (("one",), ())

        def _report(self, *_):
            return Report.of([])

        def _plan(self, _pull):
            return []

        def _wanted(self, *_):
            return list(self.wanted[judged.pulls.get(judged.id).asked])

    permits = SimpleNamespace(approved=lambda *_: ())
    pull = {"id": judged.id, "repository": REPO, "number": 7, "base": MAIN, "head": HEAD}
    judge = Wanting(None, Registries.single(), judged.pulls, permits)
    assert judge.judge(pull) == {"builds": ["one"]}
    assert judged.pulls.get(judged.id).build_state == "BUILDING"
    judged.pulls.judge_again(judged.id)
    assert judge.judge(pull) == {"builds": []}
    assert judged.pulls.get(judged.id).build_state == ""
