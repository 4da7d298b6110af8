"""No queue system: jobs are processes in sessions of their own, on the host that is logged in to.

Each job has a folder ``~/.local/state/hpcwaas/jobs/<name>`` (XDG's state folder) with ``pid``,
``script``, ``exit`` and ``cancelled``. The native id is the name, which is unique. Needs the
POSIX tools, setsid (util-linux), timeout (coreutils) and pkill (procps).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ci.errors import EntryError, SiteError
from hooks.sites.jobscript import ERROR_FILE, OUTPUT_FILE, check, exports, seconds
from hooks.sites.queues.answers import refused
from hooks.sites.seams import Completed, Job, JobStatus, Request, State

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TIMED_OUT = 124  # timeout(1)

# The job's process: the first to make `pid` runs, a second one ends at once. All on one line and
# without arguments of others in it, since the script arrives on standard input.
_START = (
    "jobs=${XDG_STATE_HOME:-$HOME/.local/state}/hpcwaas/jobs; job=$jobs/$1;"
    ' mkdir -p "$job" && cat > "$job/script.$$" && mv -f "$job/script.$$" "$job/script"'
    ' && cd "$2" || exit 1;'
    " setsid sh -c '"
    'job=$1; (set -C; echo "$$" > "$job/pid") 2>/dev/null || exit 0;'
    ' timeout --kill-after=10 "$2" bash "$job/script"; code=$?;'
    ' echo "$code" > "$job/exit.part" && mv -f "$job/exit.part" "$job/exit"'
    "'"
    f' waas-job "$job" "$3" >>{OUTPUT_FILE} 2>>{ERROR_FILE} </dev/null &'
    ' for wait in 1 2 3 4 5 6 7 8 9 10; do [ -s "$job/pid" ] && break; sleep 0.2; done;'
    ' [ -s "$job/pid" ] || exit 1; printf "%s\\n" "$1"'
)
_COMMON = """\
jobs=${XDG_STATE_HOME:-$HOME/.local/state}/hpcwaas/jobs
alive() {  # the pid may belong to another process by now
  case $(ps -ww -o args= -p "$(cat "$jobs/$1/pid")" 2>/dev/null) in
    *"waas-job $jobs/$1 "*) return 0 ;;
  esac
  return 1
}
"""
_FIND = _COMMON + '[ ! -s "$jobs/$1/pid" ] || printf "%s\\n" "$1"\n'
# Whether it lives is asked before whether it has ended: so "neither" means that it was killed.
_STATUS = (
    _COMMON
    + """\
for name do
  [ -s "$jobs/$name/pid" ] || continue
  if alive "$name"; then state=RUNNING; else state=ENDED; fi
  [ ! -e "$jobs/$name/cancelled" ] || cancelled=yes
  printf '%s %s %s %s\\n' "$name" "$state" \\
    "$(cat "$jobs/$name/exit" 2>/dev/null || echo -)" "${cancelled:-no}"
  cancelled=
done
"""
)
_CANCEL = (
    _COMMON
    + """\
if [ -s "$jobs/$1/pid" ] && [ ! -e "$jobs/$1/exit" ] && alive "$1"; then
  : > "$jobs/$1/cancelled"
  pid=$(cat "$jobs/$1/pid")
  pkill -TERM -s "$pid"
  for wait in 1 2 3 4 5 6 7 8 9 10; do pgrep -s "$pid" >/dev/null || exit 0; sleep 0.2; done
  pkill -KILL -s "$pid"
fi
exit 0
"""
)


class Direct:
    """Text in, text out; see ``hooks.sites.seams.QueueSystem``."""

    def submit(self, job: Job) -> Request[str]:
        """Start the job, unless one of this name was started already."""
        check(job)
        limit = str(seconds(job.time_limit))
        argv = ("sh", "-c", _START, "sh", job.name, str(job.directory), limit)
        head = f"export WAAS_JOB_ID={job.name}\n" + exports(job.environment)
        return Request(argv, _started, stdin=head + job.body)

    def find(self, name: str) -> Request[str | None]:
        """Look for the job's folder."""
        return Request(("sh", "-s", _checked(name)), _found, stdin=_FIND)

    def status(self, native_ids: Sequence[str]) -> Request[Mapping[str, JobStatus]]:
        """Look at the jobs' processes and folders."""
        return Request(("sh", "-s", *map(_checked, native_ids)), parse_status, stdin=_STATUS)

    def cancel(self, native_id: str) -> Request[None]:
        """End all processes of the job's session; after two seconds the hard way."""
        return Request(("sh", "-s", _checked(native_id)), _cancelled, stdin=_CANCEL)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EntryError(f"job name {name!r}: use letters, digits, `.`, `_` and `-`")
    return name


def _started(done: Completed) -> str:
    if done.exit_code or not done.stdout.strip():
        raise refused(done, "start the job", transient=False)
    return done.stdout.strip()


def _found(done: Completed) -> str | None:
    if done.exit_code:
        raise refused(done, "look for the job", transient=False)
    return done.stdout.strip() or None


def parse_status(done: Completed) -> Mapping[str, JobStatus]:
    """Read lines ``name RUNNING|ENDED exit|- yes|no`` (the last: someone cancelled it)."""
    if done.exit_code:
        raise refused(done, "ask for the state of jobs", transient=False)
    known: dict[str, JobStatus] = {}
    for line in done.stdout.splitlines():
        try:
            name, word, code, cancelled = line.split()
            exit_code = None if code == "-" else int(code)
        except ValueError:
            raise SiteError(f"the site answered what cannot be read: {line[:200]!r}") from None
        known[name] = _status(word, exit_code, cancelled == "yes")
    return known


def _status(word: str, exit_code: int | None, cancelled: bool) -> JobStatus:
    if exit_code is None and word == "RUNNING":
        return JobStatus(State.RUNNING)
    if cancelled:
        return JobStatus(State.CANCELLED, exit_code, "CANCELLED")
    if exit_code is None:
        return JobStatus(State.FAILED, None, "KILLED")
    if exit_code == 0:
        return JobStatus(State.SUCCEEDED, 0, "COMPLETED")
    reason = "TIMEOUT" if exit_code == _TIMED_OUT else "FAILED"
    return JobStatus(State.FAILED, exit_code, reason)


def _cancelled(done: Completed) -> None:
    if done.exit_code:
        raise refused(done, "cancel the job", transient=False)
