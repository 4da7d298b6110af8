"""Slurm's command language: sbatch, squeue, scontrol, sacct, scancel.

Written from the manual pages of Slurm 22.05 and 24.11. Works with and without accounting
(slurmdbd): slurmctld knows a job for MinJobAge seconds (300) after its end, sacct for ever after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ci.errors import SiteError
from hooks.sites.jobscript import ERROR_FILE, OUTPUT_FILE, check, exports
from hooks.sites.queues.answers import refused
from hooks.sites.seams import Completed, Job, JobStatus, Request, State

# JOB STATE CODES of squeue(1) and sacct(1), in their long form.
_WORDS: Final[Mapping[State, str]] = {
    State.QUEUED: "PENDING CONFIGURING REQUEUED REQUEUE_HOLD REQUEUE_FED RESV_DEL_HOLD"
    " SPECIAL_EXIT",
    State.RUNNING: "RUNNING COMPLETING RESIZING SIGNALING STAGE_OUT STOPPED SUSPENDED",
    State.SUCCEEDED: "COMPLETED",
    State.FAILED: "FAILED TIMEOUT OUT_OF_MEMORY NODE_FAIL BOOT_FAIL DEADLINE PREEMPTED"
    " LAUNCH_FAILED RECONFIG_FAIL",
    State.CANCELLED: "CANCELLED REVOKED",
}
_STATES = {word: state for state, words in _WORDS.items() for word in words.split()}
# Words in sbatch's refusal that say: not now, but perhaps later.
_LATER = re.compile(
    r"unable to contact slurm controller|timed out|connection refused|connection reset"
    r"|zero bytes were transmitted|temporarily|try again|in standby mode",
    re.IGNORECASE,
)
_NATIVE_ID = re.compile(r"\d+")

# All scripts are read by `sh -s` from its standard input, with their values as arguments.
_FIND = """\
main() {
  ids=$(squeue --noheader --states=all --user="$(id -un)" --name="$1" --format=%A) || exit 1
  if [ -z "$ids" ] && command -v sacct >/dev/null; then  # fails where there is no accounting
    ids=$(sacct --noheader --parsable2 --allocations --user="$(id -un)" --name="$1" \\
      --starttime=now-30days --format=JobIDRaw 2>/dev/null) || ids=
  fi
  printf '%s\\n' "$ids"
}
main "$@" </dev/null
"""
# squeue tells of all jobs at once; the exit code of those that ended needs scontrol; those that
# slurmctld has forgotten, sacct. An id that squeue does not know alone is an error, in a list not.
_STATUS = """\
main() {
  listed=$(squeue --noheader --states=all --jobs="$1" --format='queue|%A|%T|%r' 2>&1) ||
  case $listed in
    *'Invalid job id'*) listed= ;;
    *) printf '%s\\n' "$listed" >&2; exit 1 ;;
  esac
  printf '%s\\n' "$listed"
  shift
  forgotten=
  for id do
    case "
$listed" in
      *"
queue|$id|PENDING|"* | *"
queue|$id|RUNNING|"*) ;;
      *"
queue|$id|"*) scontrol --oneliner show job "$id" 2>/dev/null ;;
      *) forgotten=$forgotten,$id ;;
    esac
  done
  [ -z "$forgotten" ] || ! command -v sacct >/dev/null || sacct --noheader --parsable2 \\
    --allocations --jobs="${forgotten#,}" --format=JobIDRaw,State,ExitCode 2>/dev/null
  exit 0
}
main "$@" </dev/null
"""
_SQUEUE_LINE = re.compile(r"queue\|(\d+)\|([A-Z_]+)\|([^|]*)")
_SCONTROL_LINE = re.compile(r"JobId=(\d+) .*? JobState=([A-Z_]+) .*? ExitCode=(\d+):(\d+) .*")
_SACCT_LINE = re.compile(r"(\d+)\|([A-Z_]+)(?: by \d+|\+)?\|(\d+):(\d+)")


class Slurm:
    """Text in, text out; see ``hooks.sites.seams.QueueSystem``."""

    def submit(self, job: Job) -> Request[str]:
        """Submit with the script on standard input."""
        check(job)
        return Request(("sbatch", "--parsable"), _submitted, stdin=script(job))

    def find(self, name: str) -> Request[str | None]:
        """Look among this login's jobs, those of accounting included (30 days)."""
        return Request(("sh", "-s", name), _found, stdin=_FIND)

    def status(self, native_ids: Sequence[str]) -> Request[Mapping[str, JobStatus]]:
        """Ask slurmctld, then accounting; at least one id is needed."""
        return Request(("sh", "-s", ",".join(native_ids), *native_ids), parse_status, stdin=_STATUS)

    def cancel(self, native_id: str) -> Request[None]:
        """Cancel with all steps of the job."""
        return Request(("scancel", native_id), _cancelled)


def script(job: Job) -> str:
    """What sbatch reads. The job is not requeued: a command may not bear to run twice."""
    directives = {
        "job-name": job.name,
        "chdir": str(job.directory),
        "output": f"{job.directory}/{OUTPUT_FILE}",
        "error": f"{job.directory}/{ERROR_FILE}",
        "open-mode": "append",  # a second submission of the same job must not empty them
        "nodes": str(job.nodes),
        "ntasks": str(job.tasks),
        "cpus-per-task": str(job.cpus_per_task),
        "time": job.time_limit,
        "mem": str(job.memory_mb) if job.memory_mb else "",
        "partition": job.partition,
        "account": job.account,
        "qos": job.qos,
    }
    lines = [f"#SBATCH --{name}={value}\n" for name, value in directives.items() if value]
    return (
        "#!/bin/bash\n" + "".join(lines) + "#SBATCH --no-requeue\n"
        # where it cannot enter the folder, Slurm starts the job in /tmp
        f"cd {job.directory} || exit 1\nexport WAAS_JOB_ID=$SLURM_JOB_ID\n"
        + exports(job.environment)
        + job.body
    )


def _submitted(done: Completed) -> str:
    # `id` or `id;cluster`, sbatch(1) --parsable
    native_id = done.stdout.strip().partition(";")[0]
    if done.exit_code or not _NATIVE_ID.fullmatch(native_id):
        raise refused(done, "submit the job", transient=bool(_LATER.search(done.stderr)))
    return native_id


def _found(done: Completed) -> str | None:
    if done.exit_code:
        raise refused(done, "look for the job", transient=True)
    ids = [int(word) for word in done.stdout.split() if _NATIVE_ID.fullmatch(word)]
    return str(min(ids)) if ids else None


def parse_status(done: Completed) -> Mapping[str, JobStatus]:
    """Read the lines of squeue, scontrol and sacct; what comes later knows more.

    Raises ``SiteError`` for a state word that Slurm's manual does not have.
    """
    if done.exit_code:
        raise refused(done, "ask for the state of jobs", transient=True)
    known: dict[str, JobStatus] = {}
    for line in done.stdout.splitlines():
        if match := _SQUEUE_LINE.fullmatch(line):
            native_id, word, reason = match.groups()
            state = _state(word)
            known[native_id] = JobStatus(state, reason=word if state.final else _told(reason))
        elif match := _SCONTROL_LINE.fullmatch(line) or _SACCT_LINE.fullmatch(line):
            native_id, word, code, signal = match.groups()
            state = _state(word)
            exit_code = _exit_code(state, int(code), int(signal))
            known[native_id] = JobStatus(state, exit_code, word if state.final else "")
        elif line.strip():
            raise SiteError(f"the queue system answered what cannot be read: {line[:200]!r}")
    return known


def _state(word: str) -> State:
    try:
        return _STATES[word]
    except KeyError:
        raise SiteError(
            f"the queue system says that a job is {word}, which this service does not know",
            hint="report it; until then look at the job on the site",
        ) from None


def _told(reason: str) -> str:
    return "" if reason == "None" else reason


def _exit_code(state: State, code: int, signal: int) -> int | None:
    """Slurm's ``code:signal`` as a shell says it; ``0:0`` of a time-out is no exit code."""
    if state is State.SUCCEEDED:
        return 0
    return (code or 128 + signal) if state.final and (code or signal) else None


def _cancelled(done: Completed) -> None:
    if done.exit_code and "Invalid job id" not in done.stderr:
        raise refused(done, "cancel the job", transient=True)
