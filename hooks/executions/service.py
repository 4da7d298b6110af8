"""Executions as their owners see them: list what can run, run it, follow it, cancel it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ci.errors import EntryError
from hooks.db import Database
from hooks.db.tables import Deployment, Execution, JobRecord, SshKey
from hooks.errors import ForbiddenError, NotFoundError
from hooks.executions.flow import FLOW
from hooks.executions.plan import Task
from hooks.tokens import Caller

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\Z")


class Engine(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""

    def cancel(self, id: str) -> None:  # noqa: A002
        """Tell a flow that a user wants it to end."""


Planned = tuple[list[Task], dict[str, Any]]
"""The tasks of an execution and its inputs, checked and completed by their defaults."""

Planner = Callable[[Deployment, Mapping[str, Any]], Planned]
MayRun = Callable[[Deployment, Caller], bool]


class Executions:
    """Accepts executions and shows them to their owners."""

    def __init__(
        self, database: Database, engine: Engine, planner: Planner, may_run: MayRun
    ) -> None:
        self._database, self._engine = database, engine
        self._planner, self._may_run = planner, may_run

    def workflows(self, caller: Caller) -> list[dict[str, str]]:
        """What this caller can run, in the form of the Execution API."""
        query = select(Deployment).where(Deployment.active != "").order_by(Deployment.id)
        with self._database.session() as session:
            found = [d for d in session.scalars(query) if self._may_run(d, caller)]
        return [
            {
                "id": d.id,
                "name": d.workflow,
                "application_id": d.workflow,
                "environment_id": d.site,
                "environment_name": d.site,
            }
            for d in found
        ]

    def trigger(
        self,
        caller: Caller,
        workflow: str,
        inputs: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Accept an execution; durable when this returns. The same key gives the same one.

        Raises ``NotFoundError``, ``ForbiddenError``, and ``EntryError`` for inputs that do not fit.
        """
        if idempotency_key and (known := self._by_key(caller, idempotency_key)):
            return known
        deployment = self._deployment(caller, workflow)
        plan, complete = self._planner(deployment, inputs)
        execution = Execution(
            id=secrets.token_hex(8),
            deployment=deployment.id,
            workflow=deployment.workflow,
            site=deployment.site,
            commit=deployment.active,
            owner=caller.user,
            login=self._login(complete),
            credential=self._credential(caller, complete),
            inputs=complete,
            plan=[task.to_dict() for task in plan],
            idempotency_key=idempotency_key,
        )
        try:
            with self._database.session() as session:
                session.add(execution)
        except IntegrityError:  # the same key, at the same moment
            known = self._by_key(caller, idempotency_key or "")
            if known is None:
                raise
            return known
        self._start(execution.id)
        return execution

    def resume_accepted(self) -> None:
        """Start what was accepted just before the service died."""
        query = select(Execution.id).where(Execution.state.not_in(FINAL))
        with self._database.session() as session:
            unfinished = list(session.scalars(query))
        for execution in unfinished:
            self._start(execution)

    def _start(self, execution: str) -> None:
        self._engine.start(FLOW, {"execution": execution}, id=f"{FLOW}:{execution}")

    def get(self, caller: Caller, execution: str) -> Execution:
        """One of the caller's executions (any, for an operator)."""
        with self._database.session() as session:
            found = session.get(Execution, execution)
        if found is None or (found.owner != caller.user and caller.role != "operator"):
            raise NotFoundError(f"there is no execution {execution!r} of yours")
        return found

    def mine(
        self,
        caller: Caller,
        *,
        workflow: str | None = None,
        state: str | None = None,
        limit: int = 50,
    ) -> list[Execution]:
        """The caller's executions (all, for an operator), newest first."""
        query = select(Execution).order_by(Execution.created_at.desc()).limit(limit)
        if caller.role != "operator":
            query = query.where(Execution.owner == caller.user)
        if workflow:
            query = query.where(Execution.deployment == workflow)
        if state:
            query = query.where(Execution.state == state)
        with self._database.session() as session:
            return list(session.scalars(query))

    def jobs(self, execution: str) -> list[dict[str, Any]]:
        """The jobs of an execution, in the order of submission."""
        query = (
            select(JobRecord)
            .where(JobRecord.execution == execution)
            .order_by(JobRecord.submitted_at)
        )
        with self._database.session() as session:
            shown = ("operation", "name", "native_id", "state", "exit_code", "reason")
            return [{n: getattr(j, n) for n in shown} for j in session.scalars(query)]

    def cancel(self, caller: Caller, execution: str) -> None:
        """Ask for the end of an execution; one that has ended stays as it is."""
        found = self.get(caller, execution)
        if found.state in FINAL:
            return
        with self._database.session() as session:
            session.get_one(Execution, found.id).cancelling = True
        self._engine.cancel(f"{FLOW}:{found.id}")

    def _by_key(self, caller: Caller, key: str) -> Execution | None:
        query = select(Execution).where(
            Execution.owner == caller.user, Execution.idempotency_key == key
        )
        with self._database.session() as session:
            return session.scalar(query)

    def _deployment(self, caller: Caller, name: str) -> Deployment:
        with self._database.session() as session:
            found = session.get(Deployment, name)
        if found is None or not found.active:
            known = ", ".join(w["id"] for w in self.workflows(caller)) or "none yet"
            raise NotFoundError(f"there is no workflow {name!r}", hint=f"to be run: {known}")
        if not self._may_run(found, caller):
            raise ForbiddenError(f"{caller.user} may not run {name}")
        return found

    @staticmethod
    def _login(inputs: Mapping[str, Any]) -> str:
        login = str(inputs.get("user_id") or "")
        if not _LOGIN.match(login):
            raise EntryError(
                f"user_id: {login!r} is not a login name",
                hint="give your login at the site: -i user_id=NAME",
            )
        return login

    def _credential(self, caller: Caller, inputs: Mapping[str, Any]) -> str:
        key = str(inputs.get("vault_id") or "")
        with self._database.session() as session:
            found = session.get(SshKey, key)
        if found is None or found.owner != caller.user or found.revoked_at is not None:
            raise EntryError(
                f"vault_id: you have no SSH key {key!r}",
                hint="make one with `waas ssh_keys key-gen` and name it with -i vault_id=ID",
            )
        return key
