"""The order of an execution: what is ready starts, what fails ends the rest, a cancel cleans up."""

import pytest

from ci.errors import SiteError
from hooks.engine import Cancelled
from hooks.executions.flow import run_execution


class FakeFlow:
    """Steps at once; ``pause`` counts and can bring a cancel."""

    def __init__(self, cancel_at: int = 10**9) -> None:
        self.cancelled, self.pauses, self.cancel_at = False, 0, cancel_at
        self.steps: list[str] = []

    def step(self, name, act, *args, waiting=None):
        assert name not in self.steps, f"two steps called {name} cannot be told apart in a replay"
        self.steps.append(name)
        return act(*args)

    def pause(self, seconds):
        self.pauses += 1
        if self.pauses >= self.cancel_at and not self.cancelled:
            self.cancelled = True
            raise Cancelled


class FakeEffects:
    def __init__(self, tasks, polls=None, refuse=()) -> None:
        self.tasks, self.refuse = tasks, refuse
        self.polls = polls or {}  # task → states in order; default: succeeds at the first look
        self.done: list[str] = []
        self.end: tuple[str, str] | None = None

    def begin(self, execution):
        return self.tasks

    def stage_in(self, execution, task):
        self.done.append(f"in {task['id']}")

    def stage_out(self, execution, task):
        self.done.append(f"out {task['id']}")

    def submit(self, execution, task):
        if task["id"] in self.refuse:
            raise SiteError("the partition is closed", site="alpha")
        self.done.append(f"submit {task['id']}")
        return f"n-{task['id']}"

    def poll(self, execution, native):
        found = {}
        for task in native:
            states = self.polls.get(task, ["SUCCEEDED"])
            state = states.pop(0) if len(states) > 1 else states[0]
            found[task] = {"state": state, "exit_code": 3 if state == "FAILED" else None}
            if state == "FAILED":
                found[task]["last_output"] = "no such file"
        return found

    def cancel_jobs(self, execution, native):
        self.done.append(f"cancel {','.join(sorted(native))}")

    def note(self, *args):
        pass

    def finish(self, execution, state, message):
        self.end = (state, message)


def task(name, kind="job", after=()):
    return {"id": name, "kind": kind, "depends_on": list(after), "values": {}}


STORY = [
    task("data", "stage-in"),
    task("simulate", after=["data"]),
    task("reduce", after=["simulate"]),
    task("keep", "stage-out", ["reduce"]),
]


def run(effects, flow=None):
    flow = flow or FakeFlow()
    run_execution(effects, flow, {"execution": "e1"})
    return flow


def test_tasks_run_in_the_order_of_their_dependencies():
    effects = FakeEffects(STORY, {"simulate": ["QUEUED", "RUNNING", "SUCCEEDED"]})
    run(effects)
    assert effects.done == ["in data", "submit simulate", "submit reduce", "out keep"]
    assert effects.end == ("SUCCEEDED", "")


def test_what_does_not_depend_on_each_other_runs_at_the_same_time():
    effects = FakeEffects([task("a"), task("b"), task("c", after=["a", "b"])])
    run(effects)
    assert effects.done == ["submit a", "submit b", "submit c"]


def test_a_failed_job_ends_the_execution_and_cancels_the_others():
    effects = FakeEffects([task("a"), task("b")], {"a": ["FAILED"], "b": ["RUNNING"]})
    run(effects)
    assert effects.done[-1] == "cancel b"
    assert effects.end == (
        "FAILED",
        "job a failed (exit code 3); its last output: no such file",
    )


def test_a_refusal_of_the_site_is_told():
    effects = FakeEffects([task("a")], refuse=["a"])
    run(effects)
    assert effects.end == ("FAILED", "site alpha: the partition is closed")


def test_a_cancel_cancels_what_runs():
    effects = FakeEffects(STORY, {"simulate": ["RUNNING"]})
    run(effects, FakeFlow(cancel_at=3))
    assert effects.done[-1] == "cancel simulate"
    assert effects.end == ("CANCELLED", "cancelled by its owner")


def test_a_plan_that_waits_for_itself_ends():
    effects = FakeEffects([task("a", after=["b"]), task("b", after=["a"])])
    run(effects)
    assert effects.end == ("FAILED", "the steps of this workflow wait for each other")


@pytest.mark.parametrize("looks", [1, 7, 40])
def test_every_step_has_a_name_of_its_own(looks):
    effects = FakeEffects(STORY, {"simulate": ["RUNNING"] * looks + ["SUCCEEDED"]})
    flow = run(effects)
    assert len(flow.steps) == len(set(flow.steps))
