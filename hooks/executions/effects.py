"""What an execution does to the world, step by step; each effect is idempotent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ci.site import Site
from hooks.data import staging
from hooks.data.seams import DataMover
from hooks.db import Database
from hooks.db.tables import Execution, JobRecord, now
from hooks.executions.jobs import LOOKS_BEFORE_LOST, SiteJobs
from hooks.journal import ERROR, INFO, Journal
from hooks.sites.connections import Connections
from hooks.sites.queues import queue_system
from hooks.sites.seams import JobStatus, State

_LONGEST_REASON = 200  # characters, in the table; a queue system may name all nodes that are away


class ExecutionEffects:
    """The effects of executions over the database, the journal and the sites."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        connections: Connections,
        site: Callable[[str], Site],
        movers: Mapping[str, DataMover],
        *,
        results: Path,
        scratch: Path,
    ) -> None:
        self._database, self._journal, self._connections = database, journal, connections
        self._site, self._movers = site, movers
        self._results, self._scratch = results, scratch

    def begin(self, execution: str) -> list[dict[str, Any]]:
        """Make the working folder, mark it running and return its tasks."""
        found = self._execution(execution)
        jobs = self._jobs(found)
        jobs.make_working_folder()
        with self._database.session() as session:
            session.get_one(Execution, execution).state = State.RUNNING
        place = f"{found.workflow} at commit {found.commit[:10]} on {found.site}"
        self.note(execution, "begin", INFO, f"running {place} as {found.login}")
        return found.plan

    def stage_in(self, execution: str, task: dict[str, Any]) -> None:
        """Bring a file into the working folder."""
        found = self._execution(execution)
        jobs = self._jobs(found)
        source, target = task["values"]["source"], task["values"]["target"]
        staging.stage_in(
            jobs.transport,
            source,
            working=jobs.working,
            target=target,
            deployed=self._version_folder(found),
            scratch=self._scratch,
            known=self._movers,
        )
        self.note(execution, f"stage-in:{task['id']}", INFO, f"staged in {source} as {target}")

    def submit(self, execution: str, task: dict[str, Any]) -> str:
        """Submit the task's job unless it was already; its native id."""
        found = self._execution(execution)
        name = f"waas-{execution}-{task['id']}"
        native = self._jobs(found).submit(name, task)
        with self._database.session() as session:
            if session.get(JobRecord, name) is None:
                record = JobRecord(
                    name=name, execution=execution, operation=task["id"], native_id=native
                )
                session.add(record)
        text = f"{task['id']}: submitted as job {native}"
        self.note(execution, f"submit:{task['id']}", INFO, text)
        return native

    def poll(self, execution: str, native: dict[str, str]) -> dict[str, dict[str, Any]]:
        """The state of each job, its new output taken into the log."""
        found = self._execution(execution)
        jobs = self._jobs(found)
        return {
            task: self._look(found, jobs, task, status)
            for task, status in jobs.statuses(native).items()
        }

    def _look(
        self, found: Execution, jobs: SiteJobs, task: str, status: JobStatus | None
    ) -> dict[str, Any]:
        name = f"waas-{found.id}-{task}"
        with self._database.session() as session:
            record = session.get_one(JobRecord, name)
            record.missed = 0 if status else record.missed + 1
            missed, taken = record.missed, record.lines_taken
        if status is None:
            lost = JobStatus(State.FAILED, None, "the queue system has forgotten it")
            status = lost if missed >= LOOKS_BEFORE_LOST else JobStatus(State.RUNNING)
        lines = jobs.output(task, taken, final=status.state.final)
        if lines:
            text = "\n".join(f"{task}: {line}" for line in lines)
            self.note(found.id, f"output:{task}:{taken}", INFO, text)
        self._record(name, status, taken + len(lines))
        told = {
            "state": status.state.value,
            "exit_code": status.exit_code,
            "reason": status.reason,
        }
        if status.state is State.FAILED:
            told["last_output"] = jobs.error_output(task)[-1000:]
        return told

    def _record(self, name: str, status: JobStatus, lines_taken: int) -> None:
        with self._database.session() as session:
            record = session.get_one(JobRecord, name)
            changed = record.state != status.state.value
            record.state, record.exit_code = status.state.value, status.exit_code
            record.reason, record.lines_taken = status.reason[:_LONGEST_REASON], lines_taken
            if status.state.final:
                record.finished_at = record.finished_at or now()
            task, execution = record.operation, record.execution
        if changed:
            why = f" ({status.reason})" if status.reason else ""
            self.note(execution, f"{name}:{status.state}", INFO, f"{task}: {status.state}{why}")

    def stage_out(self, execution: str, task: dict[str, Any]) -> None:
        """Keep results of the working folder and offer them as outputs."""
        found = self._execution(execution)
        jobs = self._jobs(found)
        source, name = task["values"]["source"], task["values"]["name"]
        folder = self._results / execution
        kept = staging.stage_out(jobs.transport, source, working=jobs.working, target=folder)
        urls = {
            (name if len(kept) == 1 and name else str(file.path)): (
                f"/executions/{execution}/outputs/{file.path}"
            )
            for file in kept
        }
        with self._database.session() as session:
            row = session.get_one(Execution, execution)
            row.outputs = {**row.outputs, **urls}
        text = f"staged out {', '.join(urls)}"
        self.note(execution, f"stage-out:{task['id']}", INFO, text)

    def cancel_jobs(self, execution: str, native: dict[str, str]) -> None:
        """Cancel these jobs; those that have ended are no error."""
        self._jobs(self._execution(execution)).cancel(native)
        with self._database.session() as session:
            for task in native:
                record = session.get(JobRecord, f"waas-{execution}-{task}")
                if record is not None:
                    record.state, record.finished_at = State.CANCELLED.value, now()
        self.note(execution, "cancel", INFO, f"cancelled {', '.join(native)}")

    def note(self, execution: str, key: str, level: int, text: str) -> None:
        """Write to the execution's log, once per key."""
        self._journal.write(f"execution:{execution}", key, text, level)

    def finish(self, execution: str, state: str, message: str) -> None:
        """Record the final state."""
        level = INFO if state == State.SUCCEEDED else ERROR
        text = f"{state}: {message}" if message else state
        self.note(execution, "finish", level, text)
        with self._database.session() as session:
            row = session.get_one(Execution, execution)
            row.state, row.message = state, message
            row.finished_at = row.finished_at or now()

    def _execution(self, execution: str) -> Execution:
        with self._database.session() as session:
            return session.get_one(Execution, execution)

    def _jobs(self, found: Execution) -> SiteJobs:
        site = self._site(found.site)
        transport = self._connections.to(site, user=found.login, credential=found.credential)
        work = PurePosixPath(site.paths.work.replace("{user}", found.login))
        return SiteJobs(site, transport, queue_system(site), work / found.id)

    def _version_folder(self, found: Execution) -> PurePosixPath:
        site = self._site(found.site)
        root = PurePosixPath(site.paths.deploy)
        return root / "workflows" / found.workflow / found.commit
