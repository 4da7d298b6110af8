"""Jobs on a site: what to ask its queue system, and what the jobs' own records add to the answer.

See ``hooks.sites.jobscript`` for the records. They matter when a submission's answer was lost and
the job was submitted again, and when the queue system has forgotten a job that ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from ci.errors import SiteError
from hooks.sites.jobscript import CLAIM_FILE, EXIT_FILE
from hooks.sites.seams import Job, JobStatus, QueueSystem, Request, State, Transport

T = TypeVar("T")

_NONE = "-"
_RECORDS = f"""\
for folder do
  printf '%s %s\\n' "$(cat "$folder/{CLAIM_FILE}" 2>/dev/null || echo {_NONE})" \\
    "$(cat "$folder/{EXIT_FILE}" 2>/dev/null || echo {_NONE})"
done
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What a job wrote into its folder: who runs there, and how it ended. Either may be missing."""

    native_id: str = ""
    exit_code: int | None = None


def submit(transport: Transport, queue: QueueSystem, job: Job) -> str:
    """Submit a job unless one of its name is known already; its native id."""
    known = ask(transport, queue.find(job.name))
    if known is not None:
        return known
    request = queue.submit(job)  # refuses unusable fields before anything is made
    made = transport.run(("mkdir", "-p", str(job.directory)))
    if made.exit_code:
        raise SiteError(f"cannot make the job's folder: {made.stderr.strip()}")
    return ask(transport, request)


def statuses(
    transport: Transport, queue: QueueSystem, jobs: Mapping[str, PurePosixPath]
) -> dict[str, JobStatus]:
    """The status of jobs, native id → their folder; left out is what nobody knows (yet).

    A job that nobody knows for minutes on end was lost with its queue system.
    """
    if not jobs:
        return {}
    told = ask(transport, queue.status(list(jobs)))
    unsure = {j: folder for j, folder in jobs.items() if j not in told or told[j].state.final}
    if not unsure:
        return dict(told)
    records = dict(zip(unsure, _records(transport, list(unsure.values())), strict=True))
    stand_ins = {r.native_id for j, r in records.items() if r.native_id not in {"", j}}
    if stand_ins:
        others = ask(transport, queue.status(sorted(stand_ins)))
        told = {**told, **others}
    settled = {j: _settled(records.get(j) or Record(j), told, j) for j in jobs}
    return {j: status for j, status in settled.items() if status is not None}


def cancel(
    transport: Transport, queue: QueueSystem, native_id: str, directory: PurePosixPath
) -> None:
    """Cancel a job, and the one that runs in its place if its submission was repeated."""
    ask(transport, queue.cancel(native_id))
    (record,) = _records(transport, [directory])
    if record.native_id not in {"", native_id}:
        ask(transport, queue.cancel(record.native_id))


def ask(transport: Transport, request: Request[T]) -> T:
    """Run a queue system's request."""
    return request.parse(transport.run(request.argv, stdin=request.stdin))


def _settled(record: Record, told: Mapping[str, JobStatus], native_id: str) -> JobStatus | None:
    """The status of one job by all that is known.

    A job that ended at once because another runs in its folder is as that other one is.
    """
    status = told.get(record.native_id or native_id)
    if status is None and record.exit_code is not None:
        if record.exit_code == 0:
            return JobStatus(State.SUCCEEDED, 0, "COMPLETED")
        return JobStatus(State.FAILED, record.exit_code, "FAILED")
    return status


def _records(transport: Transport, folders: list[PurePosixPath]) -> list[Record]:
    done = transport.run(("sh", "-s", *map(str, folders)), stdin=_RECORDS)
    try:
        pairs = [line.split() for line in done.stdout.splitlines()]
        records = [
            Record("" if claim == _NONE else claim, None if exit_code == _NONE else int(exit_code))
            for claim, exit_code in pairs
        ]
    except ValueError:
        records = []
    if done.exit_code or len(records) != len(folders):
        raise SiteError(
            f"cannot read the records of jobs: {(done.stderr or done.stdout)[-300:].strip()}",
            transient=True,
        )
    return records
