"""The shell text of a job: a claim, the command, and a record of how it ended.

A queue system may start a job twice (a submission whose answer was lost is submitted again), and
may forget it once it has ended. Two files in the job's folder make up for both:

``job.id``     the native id of the job that runs; another one with the same folder ends at once.
``exit_code``  the command's exit code, written when it has ended.

Both appear whole. The queue system sets ``WAAS_JOB_ID`` before this text runs, in the folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ci.errors import EntryError
from hooks.sites.quoting import command_line, quote
from hooks.sites.seams import Job

CLAIM_FILE = "job.id"
EXIT_FILE = "exit_code"
OUTPUT_FILE = "output.log"
ERROR_FILE = "error.log"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@,-]*")  # partition, account, QoS
# Slurm expands % in these and reads them with a shell's quoting; so only what needs none.
_FOLDER = re.compile(r"/[A-Za-z0-9._/@+=~-]*")
_TIME = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_CLAIM = """\
printf '%s\\n' "$WAAS_JOB_ID" > "job.id.$WAAS_JOB_ID"
ln "job.id.$WAAS_JOB_ID" job.id 2>/dev/null
rm -f "job.id.$WAAS_JOB_ID"
[ "$(cat job.id)" = "$WAAS_JOB_ID" ] || exit 0
"""
_END = """\
waas_code=$?
printf '%s\\n' "$waas_code" > exit_code.part && mv -f exit_code.part exit_code
exit "$waas_code"
"""
_MODULES = """\
command -v module >/dev/null 2>&1 || . /etc/profile
module load {names} || exit 1
"""


def body(argv: Sequence[str], *, working: PurePosixPath, modules: Sequence[str] = ()) -> str:
    """The text of a job that runs ``argv`` in the folder ``working``.

    ``modules`` are loaded first (Lmod or Environment Modules).
    """
    lines = [f"cd {quote(str(working))} || exit 1"]
    if modules:
        lines.append(_MODULES.format(names=" ".join(map(quote, modules))).rstrip())
    lines.append(command_line(argv))
    # in a shell of its own: whatever it does, how it ended gets recorded
    return _CLAIM + "(\n" + "\n".join(lines) + "\n)\n" + _END


def exports(environment: Mapping[str, str]) -> str:
    """Shell text that sets variables. Raises ``EntryError`` for a name that is none."""
    lines = []
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            raise EntryError(f"environment: {name!r} cannot be set", hint="use letters, digits, _")
        lines.append(f"export {name}={quote(value)}\n")
    return "".join(lines)


def check(job: Job) -> None:
    """Raise ``EntryError`` for a field that could not be told to a queue system safely."""
    if not _NAME.fullmatch(job.name):
        raise EntryError(f"job name {job.name!r}: use letters, digits, `.`, `_` and `-`")
    if not _FOLDER.fullmatch(str(job.directory)):
        raise EntryError(
            f"job folder {str(job.directory)!r}: must be absolute, without blanks, quotes and `%`",
            hint="change paths.work in the site's file",
        )
    for what in ("partition", "account", "qos"):
        value = getattr(job, what)
        if value and not _LABEL.fullmatch(value):
            raise EntryError(f"{what} {value!r}: use letters, digits and `._+@-`")
    for what, least in (("nodes", 1), ("tasks", 1), ("cpus_per_task", 1), ("memory_mb", 0)):
        if getattr(job, what) < least:
            raise EntryError(f"{what} must be at least {least}, not {getattr(job, what)}")
    seconds(job.time_limit)


def seconds(time_limit: str) -> int:
    """A time limit ``HH:MM:SS`` in seconds. Raises ``EntryError``."""
    match = _TIME.fullmatch(time_limit)
    if not match:
        raise EntryError(f"time limit {time_limit!r} is not HH:MM:SS", hint="for example 00:30:00")
    hours, minutes, rest = map(int, match.groups())
    total = hours * 3600 + minutes * 60 + rest
    if total == 0:
        raise EntryError("a time limit of zero leaves no time to run")
    return total
