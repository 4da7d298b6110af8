"""Shell scripts, parsed by ``bash -n`` and never run.

``-n`` reads a script without executing anything of it, also no ``$(…)``. It gets no environment
(no ``BASH_ENV``), reads no start-up files, may not start processes, and has limits on memory and
time.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from functools import lru_cache

from ci.errors import EntryError

_TIME = 2  # seconds
_MEMORY = 512 * 1024 * 1024  # bytes of address space
_LONGEST = 64 * 1024  # bytes of what bash says that are read
_SAID = re.compile(r"line ([0-9]{1,9}): (.{1,200})")
_END = re.compile(rb"^(?:exit|exec [^<>&0-9])", re.MULTILINE)
_QUOTED = re.compile(r"`([^`']*)'")


def check_shell(data: bytes, path: str) -> None:
    """Raise ``EntryError`` with the line if a script is not one; if bash is missing, do nothing."""
    program = _bash()
    if not program:
        return
    code, said = _read_by(program, data)
    hint = "bash -n shows the same"
    if code == 2:
        found = _SAID.search(said)
        line = int(found[1]) if found else 0
        if _ends_before(data, line):
            return
        message = _tidy(found[2]) if found else "syntax error"
        raise EntryError(f"not a shell script: {message}", path=path, line=line, hint=hint)
    if code < 0 or "exhausted" in said or "cannot allocate" in said:
        message = "bash gives up on this script: it is nested too deeply"
        raise EntryError(message, path=path, hint="make it shorter")


def _ends_before(data: bytes, line: int) -> bool:
    """Whether a script ends, or goes on in another language, before a line: it is not read then."""
    before = b"\n".join(data.split(b"\n")[: max(line - 1, 0)])
    return _END.search(before) is not None or b'""":' in before or b"''':" in before


def _read_by(program: str, data: bytes) -> tuple[int, str]:
    """Exit status of ``bash -n`` (negative: it was killed) and what it says."""
    script = os.memfd_create("script")
    try:
        os.write(script, data)
        os.lseek(script, 0, os.SEEK_SET)
        command = [program, "--norc", "--noprofile", "-O", "extglob", "-n", "/dev/stdin"]
        with subprocess.Popen(
            command,
            stdin=script,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
        ) as process:
            _limit(process.pid)
            try:
                _, said = process.communicate(timeout=_TIME)
            except subprocess.TimeoutExpired:
                process.kill()
                return -1, ""
        return process.returncode, said[:_LONGEST].decode("utf-8", "replace")
    except OSError:
        return 0, ""  # no more processes or memory: not the author's mistake
    finally:
        os.close(script)


def _limit(process: int) -> None:
    """Limit a process that has just started, and has not read anything of the script."""
    limits = {
        resource.RLIMIT_CPU: _TIME,
        resource.RLIMIT_AS: _MEMORY,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        try:
            resource.prlimit(process, kind, (most, most))
        except (ProcessLookupError, PermissionError):
            return  # it has ended


@lru_cache(maxsize=1)
def _bash() -> str | None:
    return shutil.which("bash", path="/bin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")


def _tidy(message: str) -> str:
    """What bash says, without long pieces of the script (they may be secret)."""
    short = _QUOTED.sub(lambda found: found[0] if len(found[1]) <= 8 else "…", message)
    return "".join(character for character in short[:120] if character.isprintable())
