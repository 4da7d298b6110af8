"""The jobs of an execution at its site: submit once, watch, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ci.errors import EntryError
from ci.site import Site
from hooks.sites import jobs as sites_jobs
from hooks.sites import jobscript
from hooks.sites.containers import container_argv, container_environment
from hooks.sites.seams import Job, JobStatus, QueueSystem, Transport

LINES_AT_ONCE = 400
# A job that its queue system has forgotten, and that left no exit code, is given up after this
# many looks: shared disks and accounting lag behind by seconds.
LOOKS_BEFORE_LOST = 20
_RESOURCES = {
    "num_nodes": "nodes",
    "tasks": "tasks",
    "cpus_per_task": "cpus_per_task",
    "memory_mb": "memory_mb",
    "time_limit": "time_limit",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
}
_TAIL = 'tail -n "+$1" -- "$2" 2>/dev/null | head -n "$3"'


@dataclass(frozen=True, slots=True)
class SiteJobs:
    """Jobs of one login at one site; ``working`` is the working folder of the execution."""

    site: Site
    transport: Transport
    queue: QueueSystem
    working: PurePosixPath

    def folder(self, task: str) -> PurePosixPath:
        """Where a task's job keeps its script, output and end."""
        return self.working / ".waas" / task

    def make_working_folder(self) -> None:
        """Make the working folder, for its login alone. Idempotent."""
        made = self.transport.run(["mkdir", "-p", "-m", "0700", "--", str(self.working)])
        if made.exit_code:
            raise EntryError(
                f"site {self.site.name}: cannot make the working folder: {made.stderr.strip()}",
                hint="`paths.work` in the site's file must be writable by the login",
            )

    def submit(self, name: str, task: Mapping[str, Any]) -> str:
        """Submit unless a job of this name is known already; its native id."""
        job = make_job(self.site, name, self.folder(task["id"]), self.working, task["values"])
        return sites_jobs.submit(self.transport, self.queue, job)

    def statuses(self, native: Mapping[str, str]) -> dict[str, JobStatus | None]:
        """The status of each task's job by one command; None for one that is not to be found."""
        folders = {number: self.folder(task) for task, number in native.items()}
        known = sites_jobs.statuses(self.transport, self.queue, folders)
        return {task: known.get(number) for task, number in native.items()}

    def output(self, task: str, lines_taken: int, *, final: bool) -> list[str]:
        """The lines of a job's output after those taken; a line still being written is left."""
        path = str(self.folder(task) / jobscript.OUTPUT_FILE)
        start = str(lines_taken + 1)
        argv = ["sh", "-c", _TAIL, "sh", start, path, str(LINES_AT_ONCE)]
        text = self.transport.run(argv).stdout
        lines = text.split("\n")
        last = lines.pop()
        return [*lines, last] if final and last else lines

    def error_output(self, task: str, lines: int = 5) -> str:
        """The last lines that a job wrote to its standard error, else to its standard output."""
        for name in (jobscript.ERROR_FILE, jobscript.OUTPUT_FILE):
            path = str(self.folder(task) / name)
            text = self.transport.run(["tail", "-n", str(lines), "--", path]).stdout.strip()
            if text:
                return text
        return ""

    def cancel(self, native: Mapping[str, str]) -> None:
        """Cancel the jobs; one that has ended is no error."""
        for task, number in native.items():
            sites_jobs.cancel(self.transport, self.queue, number, self.folder(task))


def make_job(
    site: Site,
    name: str,
    folder: PurePosixPath,
    working: PurePosixPath,
    values: Mapping[str, Any],
) -> Job:
    """The submission of a job task. Pure. Raises ``EntryError`` for resources that do not fit."""
    resources = dict(values["resources"])
    if unknown := set(resources) - set(_RESOURCES):
        raise EntryError(
            f"submission_params: {sorted(unknown)[0]!r} is not known",
            hint=f"known: mpi, {', '.join(_RESOURCES)}",
        )
    wanted = {_RESOURCES[k]: v for k, v in resources.items() if v not in (None, "")}
    for field in ("nodes", "tasks", "cpus_per_task", "memory_mb"):
        if field in wanted:
            wanted[field] = _count(field, wanted[field])
    queue = site.queue
    defaults = {
        "partition": queue.partition,
        "account": queue.account,
        "qos": queue.qos,
        "time_limit": queue.time_limit,
    }
    argv = container_argv(
        site,
        PurePosixPath(values["image"]),
        [values["command"], *values["arguments"]],
        working=working,
        tasks=wanted.get("tasks", 1),
        mpi=values["mpi"],
    )
    return Job(
        name=name,
        directory=folder,
        body=jobscript.body(argv, working=working, modules=site.container.modules),
        environment=container_environment(site.container, values["environment"]),
        **{**defaults, **wanted},
    )


def _count(field: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise EntryError(f"submission_params: {field}: {value!r} is not a number") from None
