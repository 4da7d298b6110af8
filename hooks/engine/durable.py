"""Flows: functions that survive the death of their process.

A flow body replays from its recorded steps, so it holds no clock, randomness, file, network or
configuration of its own: all that happens inside ``Flow.step``. A step that was killed after its
effect and before its record runs again, so every step with an effect is idempotent.

Errors cross a step as data, never as pickled exceptions: ``WaasError`` comes out of ``step`` as
it went in; a transient ``SiteError`` is waited out with durable pauses, for as long as it takes
or until a user cancels; anything else is a defect of ours: logged with its traceback, and told
to the user as a sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVar

import dbos._serialization as dbos_serialization
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
)

from ci.errors import SiteError, WaasError
from hooks.db import AWAY, open_engine, told
from hooks.engine.error_data import as_data, as_error
from hooks.engine.takeover import Takeover

log = logging.getLogger(__name__)

# Constant on purpose: the default is a hash of the source, and would strand every flow in flight
# at each upgrade. A change of a flow's steps takes a new flow name instead.
APPLICATION_VERSION = "1"
CANCEL = "cancel"
LONGEST_PAUSE_SECONDS = 30.0
PROMPT, AT_LEISURE = 0.25, 1.0  # seconds between looks for new flows
_TOLD_EVERY = 20  # attempts of a step: it may wait for days

T = TypeVar("T")
Body = Callable[["Flow", dict[str, Any]], dict[str, Any] | None]


class Cancelled(Exception):  # noqa: N818 not an error
    """A user asked for the flow to end; its body cleans up and returns."""


class Stopping(BaseException):
    """This process is to end: the step that raises it is not recorded and runs again elsewhere.

    For long steps only, so that a stop does not have to wait for them.
    """


def _refuse_pickle(_self: Any, _data: Any) -> Any:
    raise ValueError("a record written with pickle is refused: reading it could run code")


# With the JSON serializer alone, a row that is labelled as pickle would still be un-pickled.
dbos_serialization.DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign,assignment]


def _guarded(
    act: Callable[..., Any], args: tuple[Any, ...], waiting: Callable[[str], None] | None
) -> dict[str, Any]:
    """Run a step's effect; say what came of it as plain data."""
    try:
        return {"value": act(*args)}
    except SiteError as error:
        if not error.transient:
            return {"error": as_data(error)}
        reason = str(error)
    except WaasError as error:
        return {"error": as_data(error)}
    except AWAY as error:  # the world, not a defect
        reason = f"the database does not answer: {told(error)}"
    except Exception:  # the worker's edge: a defect must not take the service down
        log.exception("a step failed by a defect of ours", extra={"flow": DBOS.workflow_id})
        message = "the service met an internal error; the operator finds it in the log under"
        return {"error": as_data(WaasError(f"{message} {DBOS.workflow_id}"))}
    if waiting is not None:
        with suppress(*AWAY):  # nobody can be told at present
            waiting(reason)
    return {"transient": reason}


def pause_after(attempt: int) -> float:
    """Seconds until a step is tried again, that was tried ``attempt`` + 1 times."""
    return min(LONGEST_PAUSE_SECONDS, 0.5 * float(1 << min(attempt, 9)))


@dataclass
class Flow:
    """What a running body may use. Everything it does through here is replayed, not repeated."""

    id: str
    cancelled: bool = False

    def step(
        self,
        name: str,
        act: Callable[..., Any],
        *args: Any,
        waiting: Callable[[str], None] | None = None,
    ) -> Any:
        """Run ``act(*args)`` once and record its JSON value under ``name``.

        ``waiting`` is told why each time the world is not ready. Raises ``WaasError`` as the act
        raised it, and ``Cancelled`` when a user's cancel arrives during a pause.
        """
        attempt = 0
        while True:
            label = name if attempt == 0 else f"{name}#{attempt}"
            outcome = DBOS.run_step({"name": label}, _guarded, act, args, waiting)
            if "value" in outcome:
                return outcome["value"]
            if "error" in outcome:
                raise as_error(outcome["error"])
            if attempt % _TOLD_EVERY == 0:
                log.warning("%s waits: %s", name, outcome["transient"], extra={"flow": self.id})
            self.pause(pause_after(attempt))
            attempt += 1

    def pause(self, seconds: float) -> None:
        """Sleep durably; raise ``Cancelled`` at once when a user's cancel arrives."""
        if self.cancelled:  # cleaning up: nothing more to be told
            DBOS.sleep(seconds)
        elif DBOS.recv(CANCEL, timeout_seconds=seconds) is not None:
            self.cancelled = True
            raise Cancelled

    def start_child(self, flow: str, payload: dict[str, Any], *, id: str) -> Child:  # noqa: A002
        """Enqueue another flow; the same id is only ever run once."""
        with SetWorkflowID(id):
            return Child(DBOS.enqueue_workflow(flow, _REGISTERED[flow].run, payload))


@dataclass(frozen=True)
class Child:
    """A flow started by another."""

    handle: Any

    def result(self) -> Any:
        """Wait for it, and return what its body returned. Raises ``WaasError`` if it broke."""
        outcome: dict[str, Any] = self.handle.get_result()
        if "error" in outcome:
            raise as_error(outcome["error"])
        return outcome.get("value")


@dataclass(frozen=True)
class _Registered:
    run: Callable[[dict[str, Any]], dict[str, Any]]
    at_once: int | None
    look_every: float


_REGISTERED: dict[str, _Registered] = {}


def _runnable(body: Body) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def run(payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": body(Flow(str(DBOS.workflow_id)), payload)}
        except WaasError as error:
            log.warning("flow ended: %s", error, extra={"flow": DBOS.workflow_id})
            return {"error": as_data(error)}
        except Cancelled:
            return {"cancelled": True}

    return run


class Engine:
    """This process as a worker: registers flows, runs them, takes over from the dead."""

    def __init__(self, url: str, *, executor: str) -> None:
        # its own would take a connection that is refused at once for the end of the flow
        self._connections = None if url.startswith("sqlite") else open_engine(url, pool_size=20)
        config: DBOSConfig = {
            "name": "hpcwaas",
            "system_database_url": url,
            "system_database_engine": self._connections,
            "application_version": APPLICATION_VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
        }
        DBOS(config=config)
        self._takeover = Takeover(url, executor, others=_executors_at_work, recover=_recover)

    def register(
        self, name: str, body: Body, *, at_once: int | None = None, look_every: float = PROMPT
    ) -> None:
        """Make ``body`` known under ``name``; ``at_once`` limits how many run in this process.

        A flow that may wait for days has no limit; the heavy part is a child flow that has one.
        New ones are looked for every ``look_every`` seconds, which costs most of what an idle
        process does.
        """
        run = DBOS.workflow(name=name, max_recovery_attempts=None)(_runnable(body))
        _REGISTERED[name] = _Registered(run, at_once, look_every)

    def launch(self) -> None:
        """Start working, our own unfinished flows first. Raises ``SettingsError`` if taken."""
        self._takeover.claim()
        DBOS.launch()
        for name, flow in _REGISTERED.items():  # each flow has the queue of its name
            DBOS.register_queue(
                name,
                worker_concurrency=flow.at_once,
                polling_interval_sec=flow.look_every,
                on_conflict="always_update",
            )
        self._takeover.watch()

    def start(
        self,
        flow: str,
        payload: dict[str, Any],
        *,
        id: str,  # noqa: A002
        priority: int | None = None,
    ) -> None:
        """Enqueue a flow. The same id is only ever run once, however often this is called.

        ``priority``: of those that wait for a limit, the lowest goes first, from 1 on, and the
        oldest of equals. Where flows have priorities all must: none goes ahead of all. A step may
        start flows too: they are no children of its own.
        """

        def enqueue() -> None:
            with SetWorkflowID(id), SetEnqueueOptions(priority=priority):
                DBOS.enqueue_workflow(flow, _REGISTERED[flow].run, payload)

        _outside(enqueue)

    def cancel(self, id: str) -> None:  # noqa: A002
        """Tell a flow that a user wants it to end; it cleans up and ends by itself.

        Nothing happens to one that is not known, or has ended.
        """

        def send() -> None:
            if DBOS.get_workflow_status(id) is not None:
                DBOS.send(id, True, CANCEL, idempotency_key=f"cancel:{id}")

        _outside(send)

    def state(self, id: str) -> str | None:  # noqa: A002
        """The engine's word for where a flow is, None if it does not know the id."""
        status = _outside(lambda: DBOS.get_workflow_status(id))
        return status.status if status else None

    def ended(self, id: str) -> bool:  # noqa: A002
        """Whether a flow is known, and nothing more will happen in it."""
        return self.state(id) not in {None, "ENQUEUED", "PENDING", "DELAYED"}

    def steps(self, id: str) -> list[str]:  # noqa: A002
        """The names of a flow's recorded steps, in order."""
        return [step["function_name"] for step in DBOS.list_workflow_steps(id)]

    def stop(self) -> None:
        """Stop working at once; what is unfinished goes on at the next start."""
        self._takeover.stop()
        DBOS.destroy(workflow_completion_timeout_sec=0)
        if self._connections is not None:
            self._connections.dispose()
        _REGISTERED.clear()


def _outside(act: Callable[[], T]) -> T:
    """Run what the library allows outside of steps only, for a step too."""
    return Context().run(act)


def _executors_at_work() -> list[str]:
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return [w.executor_id for w in pending if w.executor_id]


def _recover(executor: str) -> None:
    DBOS._recover_pending_workflows([executor])
