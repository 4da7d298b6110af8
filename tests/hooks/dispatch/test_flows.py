"""The order of dispatch: what is asked for, waited for and told, and what a failure keeps back."""

import pytest

from ci.errors import EntryError, SettingsError, SiteError
from ci.findings import Report
from hooks.dispatch import comment
from hooks.dispatch.comment import Answered, Deployed, Told
from hooks.dispatch.comment_markdown import markdown
from hooks.dispatch.flows import (
    DEPLOYMENT,
    patient,
    run_deployment,
    run_merge,
    run_pull_request,
)

TARGET = {"microarchitecture": "zen3"}


class FakeFlow:
    """Runs each step at once; notes the children."""

    def __init__(self, id):
        self.id = id
        self.steps: list[str] = []
        self.children: dict[str, tuple[str, dict]] = {}

    def step(self, name, act, *args, waiting=None):
        self.steps.append(name)
        return act(*args)

    def start_child(self, flow, payload, *, id):
        self.children[id] = (flow, payload)


class FakeEffects:
    def __init__(self, results=(), deployments=(), allowed=True):
        self.results, self.deployments, self.allowed = list(results), list(deployments), allowed
        self.asked_by, self.told, self.failed, self.error = [], [], [], None

    def announce(self, _pull):
        self.told.append(("announced",))

    def tell(self, _pull):
        self.told.append(("told",))

    def tell_deployment(self, deployment):
        self.told.append(("deployed", deployment["id"]))

    def deploy(self, deployment):
        if self.error:
            raise self.error

    def judge(self, _pull):
        return {"builds": self.results if self.allowed else []}

    def plan_main(self, _commit):
        return {"builds": self.results, "deployments": self.deployments}

    def await_adopted(self, flow):
        self.told.append(("adopted", flow))

    def ask_builds(self, asker, wanted):
        self.asked_by.append(asker)
        return wanted

    def await_builds(self, asked):
        return asked

    def let_go(self, _pull):
        self.told.append(("let go",))

    def show_builds(self, _pull, asked):
        self.told.append(("shown", len(asked)))

    def report_builds(self, _pull, results):
        self.told.append(("reported", len(results)))

    def deployment_failed(self, deployment, reason):
        self.failed.append((deployment["id"], reason))


def result(site, error="", image="i" * 64, step="solve", reused=False):
    found = {"workflow": "rom", "site": site, "step": step, "error": error, "image": image}
    return found | {"reused": reused}


def deployment(site):
    return {"id": f"rom@{site}", "workflow": "rom", "site": site, "images": {"solve": "k" * 64}}


def test_a_pull_request_asks_in_its_own_name_and_tells_each_time():
    flow, effects = FakeFlow("pull:reg:3:2"), FakeEffects([result("alpha")])
    run_pull_request(effects, flow, {})
    assert effects.asked_by == ["pull:reg:3:2"]
    told = ("told",)
    assert effects.told == [("announced",), told, ("shown", 1), told, ("reported", 1), told]
    assert len(set(flow.steps)) == len(flow.steps)  # each name is recorded once
    assert flow.children == {}


@pytest.mark.parametrize("image", [result("alpha", reused=True), result("alpha", error="no")])
def test_that_images_are_built_is_told_only_if_any_is(image):
    flow, effects = FakeFlow("pull:reg:3:2"), FakeEffects([image])
    run_pull_request(effects, flow, {})
    assert "tell-builds" not in flow.steps
    assert flow.steps[-1] == "tell-results"


def test_one_that_may_not_build_asks_for_nothing():
    flow, effects = FakeFlow("pull:reg:3:2"), FakeEffects([result("alpha")], allowed=False)
    run_pull_request(effects, flow, {})
    assert flow.steps == ["announce", "judge", "tell-verdict", "let-go"]


def test_a_site_whose_image_failed_keeps_no_other_back():
    effects = FakeEffects(
        [result("alpha", error="no package"), result("beta"), result("beta", step="report")],
        [deployment("alpha"), deployment("beta")],
    )
    flow = FakeFlow("merge:x")
    run_merge(effects, flow, {"registry": "main", "commit": "c"})
    assert effects.failed == [("rom@alpha", "an image could not be built: no package")]
    assert list(flow.children) == ["merge:x:rom@beta"]
    assert ("deployed", "rom@alpha") in effects.told


def test_a_merge_waits_for_what_it_took_over_before_it_plans():
    flow, effects = FakeFlow("merge:x"), FakeEffects()
    run_merge(effects, flow, {"registry": "main", "commit": "c"})
    assert flow.steps[:2] == ["await-adopted", "plan"]
    assert effects.told == [("adopted", "merge:x")]


def test_what_answers_is_what_is_deployed():
    """An image of another key that runs there too."""
    effects = FakeEffects([result("alpha", image="j" * 64)], [deployment("alpha")])
    flow = FakeFlow("merge:x")
    run_merge(effects, flow, {"registry": "main", "commit": "c"})
    kind, payload = flow.children["merge:x:rom@alpha"]
    assert (kind, payload["images"]) == (DEPLOYMENT, {"solve": "j" * 64})
    assert effects.deployments[0]["images"] == {"solve": "k" * 64}  # the recorded plan stays


@pytest.mark.parametrize("error", [None, EntryError("no")])
def test_the_forge_is_told_how_a_deployment_ended(error):
    flow, effects = FakeFlow("x"), FakeEffects()
    effects.error = error
    run_deployment(effects, flow, deployment("alpha"))
    assert effects.failed == ([("rom@alpha", "no")] if error else [])
    assert effects.told == [("deployed", "rom@alpha")]


def row(site="alpha"):
    names = {"workflow": "rom", "owner": "rom", "step": "solve", "site": site}
    return names | {"target": TARGET, "action": "build", "why": "no image yet"}


def shown(*builds, **more):
    told = Told(3, "a" * 40, Report.of([]), [row()], builds, **more)
    return comment.text(told), markdown(told)


def said(**about):
    asked = {"workflow": "rom", "step": "solve", "site": "alpha", "reused": False, "error": ""}
    return shown(asked | {"build": "b1"} | about)[0]


def test_the_comment_says_how_to_follow_a_build_and_what_became_of_it():
    assert "build, no image yet" in shown()[0]
    assert "waas builds logs -f b1" in said()
    assert "built, sha256:" in said(digest="sha256:" + "1" * 64, state="FINISHED")
    assert "from the store" in said(digest="sha256:" + "1" * 64, state="FINISHED", reused=True)


def test_the_comment_quotes_the_first_error_and_names_the_log():
    error = "E: Unable to locate package libfoo (did you mean libfoo-dev?)"
    text = said(error=error, state="FAILED", digest="")
    assert error in text
    assert "waas builds logs b1" in text
    assert "correct its software environment" in text


def test_a_cancelled_build_is_nobodys_mistake():
    text = said(error="cancelled: nobody wants it any more", state="CANCELLED", digest="")
    assert "cancelled: nobody wants it any more" in text
    assert "FAILED" not in text
    assert "correct" not in text


def test_the_comment_says_why_nothing_is_built_and_what_commands_came_to():
    answers = [Answered("eve", "/build", "you may not")]
    for text in shown(held="not built, because it is a draft", answers=answers):
        assert "not built, because it is a draft" in text
        assert "/build" in text
        assert "you may not" in text


def test_a_merged_one_says_where_it_is_in_place():
    deployed = [Deployed("rom", "alpha", "ACTIVE"), Deployed("rom", "beta", "WAITING", "no answer")]
    for text in shown(deployed=deployed):
        assert "is in place" in text
        assert "waiting: no answer" in text
        assert "can be merged" not in text


def test_nothing_that_strangers_wrote_is_markup_for_others():
    error = "@everyone <!-- hpcwaas --> ![x](http://evil/x.png) ``` closes #1"
    asked = {"workflow": "rom", "step": "solve", "site": "alpha", "reused": False, "build": ""}
    text = shown(asked | {"error": error, "state": "FAILED"})[1]
    assert "@everyone" not in text
    assert "<!-- hpcwaas" not in text
    assert "[x](http" not in text
    assert " #1" not in text


@pytest.mark.parametrize("error", [SiteError("no right to read"), SettingsError("a broken file")])
def test_what_the_operator_must_mend_is_waited_for(error):
    def act(number):
        if number:
            raise error
        return "done"

    with pytest.raises(SiteError) as told:
        patient(act)(1)
    assert told.value.transient
    assert error.message in told.value.message
    assert patient(act)(0) == "done"


def test_what_the_contributor_must_mend_is_not():
    def act():
        raise EntryError("no such thing")

    with pytest.raises(EntryError):
        patient(act)()
