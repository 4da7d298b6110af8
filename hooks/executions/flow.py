"""The durable body of an execution: start what is ready, watch what runs, until all is done.

Only the order of steps lives here; every effect is a method of ``Effects`` and is idempotent.
"""

from __future__ import annotations

from typing import Any, Protocol

from ci.errors import EntryError, WaasError
from hooks.engine import Cancelled, Flow

FLOW = "execution"
FIRST_POLL_SECONDS = 0.5
LONGEST_POLL_SECONDS = 20.0


class Effects(Protocol):
    """What an execution does to the world. All values are JSON."""

    def begin(self, execution: str) -> list[dict[str, Any]]:
        """Mark it running and return its tasks (see ``plan.Task``), in order."""

    def stage_in(self, execution: str, task: dict[str, Any]) -> None:
        """Bring a file into the working folder."""

    def submit(self, execution: str, task: dict[str, Any]) -> str:
        """Submit the task's job unless it was already; its native id."""

    def poll(self, execution: str, native: dict[str, str]) -> dict[str, dict[str, Any]]:
        """The state of each job by task id, its new output taken into the log."""

    def stage_out(self, execution: str, task: dict[str, Any]) -> None:
        """Keep results of the working folder."""

    def cancel_jobs(self, execution: str, native: dict[str, str]) -> None:
        """Cancel these jobs; those that have ended are no error."""

    def note(self, execution: str, key: str, level: int, text: str) -> None:
        """Write a line to the execution's log, once per key."""

    def finish(self, execution: str, state: str, message: str) -> None:
        """Record the final state."""


def run_execution(effects: Effects, flow: Flow, payload: dict[str, Any]) -> dict[str, Any]:
    """Run an execution from acceptance to its final state."""
    execution = payload["execution"]
    run = _Run(effects, flow, execution)
    try:
        run.tasks = run.step("begin", effects.begin, execution)
        run.to_the_end()
        state, message = "SUCCEEDED", ""
    except Cancelled:
        run.cancel_what_runs()
        state, message = "CANCELLED", "cancelled by its owner"
    except WaasError as error:
        run.cancel_what_runs()
        state, message = "FAILED", str(error)
    flow.cancelled = True  # from here on there is nothing left to cancel
    flow.step("finish", effects.finish, execution, state, message)
    return {"state": state}


class _Run:
    """The progress of one execution; rebuilt by replay, never stored."""

    def __init__(self, effects: Effects, flow: Flow, execution: str) -> None:
        self.effects, self.flow, self.execution = effects, flow, execution
        self.tasks: list[dict[str, Any]] = []
        self.done: set[str] = set()
        self.native: dict[str, str] = {}  # task id → native id of a job that has not ended

    def step(self, name: str, act: Any, *args: Any) -> Any:
        def waiting(reason: str) -> None:
            self.effects.note(self.execution, f"waiting:{name}", 4, f"waiting: {reason}")

        return self.flow.step(name, act, *args, waiting=waiting)

    def to_the_end(self) -> None:
        polls, pause = 0, FIRST_POLL_SECONDS
        while len(self.done) < len(self.tasks):
            before = len(self.done) + len(self.native)
            self.start_ready()
            if len(self.done) + len(self.native) > before:
                pause = FIRST_POLL_SECONDS
                continue
            if not self.native:
                raise EntryError("the steps of this workflow wait for each other")
            self.flow.pause(pause)
            pause = min(LONGEST_POLL_SECONDS, pause * 1.3)
            polls += 1
            statuses = self.step(
                f"poll:{polls}", self.effects.poll, self.execution, dict(self.native)
            )
            self.take_in(statuses)

    def start_ready(self) -> None:
        for task in self.tasks:
            name = task["id"]
            ready = set(task["depends_on"]) <= self.done
            if name in self.done or name in self.native or not ready:
                continue
            if task["kind"] == "job":
                submit = self.effects.submit
                self.native[name] = self.step(f"submit:{name}", submit, self.execution, task)
            else:
                move = self.effects.stage_in if task["kind"] == "stage-in" else None
                move = move or self.effects.stage_out
                self.step(f"{task['kind']}:{name}", move, self.execution, task)
                self.done.add(name)

    def take_in(self, statuses: dict[str, dict[str, Any]]) -> None:
        for name, status in statuses.items():
            if status["state"] == "SUCCEEDED":
                self.native.pop(name)
                self.done.add(name)
            elif status["state"] in {"FAILED", "CANCELLED"}:
                self.native.pop(name)
                raise EntryError(_failure(name, status))

    def cancel_what_runs(self) -> None:
        self.flow.cancelled = True
        if self.native:
            self.flow.step(
                "cancel-jobs", self.effects.cancel_jobs, self.execution, dict(self.native)
            )


def _failure(name: str, status: dict[str, Any]) -> str:
    code = status.get("exit_code")
    why = status.get("reason") or status["state"]
    ended = f"exit code {code}" if code else why
    last = status.get("last_output", "")
    return f"job {name} failed ({ended})" + (f"; its last output: {last}" if last else "")
