"""git as a child process that trusts nothing of the repository it looks at.

Every ``GIT_*`` variable of ours is dropped, system and user configuration are off, hooks, file
system monitors, transports and lazy fetching too; the repository is always named by ``--git-dir``
and git never starts inside a folder of somebody else. Address space and processor time are
limited, nothing can be written, and every command has a time limit. Why each of these is here:
https://git-scm.com/docs/git-config (``safe.bareRepository``), https://git-scm.com/docs/git.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ci.errors import EntryError, SettingsError

TIMEOUT = 60.0  # seconds for one command
_ADDRESS_SPACE = 2 * 1024**3  # bytes; packs are mapped, 128 MiB of them at a time (see _CONFIG)
_CPU_SECONDS = 60
_OUTPUT = 16 * 1024 * 1024  # bytes that a command with a short answer may print
_CHUNK = 1 << 16
_LONGEST_LINE = 1000  # bytes of an answer's first line
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.attributesFile": "/dev/null",
    "core.packedGitLimit": "128m",
    "core.packedGitWindowSize": "16m",
    "core.deltaBaseCacheLimit": "64m",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "log.showSignature": "false",
    "gc.auto": "0",
}


def git_environment() -> dict[str, str]:
    """The whole environment of a git process."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
    }


class GitProcess:
    """A running ``git --git-dir DIR …`` whose output is read with a deadline."""

    def __init__(self, git_dir: Path, arguments: Sequence[str]) -> None:
        program = shutil.which("git")
        if program is None:
            raise SettingsError("git is not installed", hint="install git 2.35 or newer")
        options = [word for item in _CONFIG.items() for word in ("-c", "=".join(item))]
        self._process = subprocess.Popen(
            [program, "--no-pager", "--git-dir", str(git_dir), *options, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git_environment(),
            cwd="/",
            bufsize=0,
        )
        self._what = arguments[0]
        self._buffer = bytearray()
        self._limit()
        self._until = time.monotonic() + TIMEOUT

    def _limit(self) -> None:
        # prlimit(2) from outside: a preexec_fn is not safe in a program with threads.
        limits = {
            resource.RLIMIT_AS: _ADDRESS_SPACE,
            resource.RLIMIT_CPU: _CPU_SECONDS,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_CORE: 0,
        }
        with suppress(ProcessLookupError, PermissionError):  # it has ended already
            for kind, value in limits.items():
                resource.prlimit(self._process.pid, kind, (value, value))

    def renew(self) -> None:
        """Start the time limit afresh: a process that answers many questions."""
        self._until = time.monotonic() + TIMEOUT

    def send(self, data: bytes) -> None:
        """Write a question (a short one, well below what a pipe holds)."""
        try:
            self._stream(self._process.stdin).write(data)
        except OSError as error:
            raise self._failed("ended early") from error

    def chunk(self, size: int = _CHUNK) -> bytes:
        """The next output, at most ``size`` bytes; empty at its end."""
        stream = self._stream(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._until - time.monotonic())):
                raise self._failed(f"took more than {TIMEOUT:.0f} seconds")
        return os.read(stream.fileno(), size)

    def line(self) -> bytes:
        """The next line of output, without its end. Raises ``EntryError`` if none comes."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._more(_LONGEST_LINE)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def exactly(self, size: int) -> bytes:
        """The next bytes of output, as many as that. Raises ``EntryError`` if fewer come."""
        while len(self._buffer) < size:
            self._more(size + _CHUNK)
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content

    def _more(self, most: int) -> None:
        chunk = self.chunk()
        if not chunk or len(self._buffer) > most:
            raise self._failed("ended early")
        self._buffer += chunk

    def wait(self) -> int:
        """Its exit code, once its output has been read to the end."""
        try:
            return self._process.wait(max(0.1, self._until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"took more than {TIMEOUT:.0f} seconds") from error

    def stop(self) -> None:
        """End it, whatever it does, and close the pipes."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _failed(self, how: str) -> EntryError:
        return EntryError(f"git {self._what} {how}", hint="the repository may be damaged")

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None:
            raise SettingsError("git was started without pipes")
        return stream


@contextmanager
def git_running(git_dir: Path, *arguments: str) -> Iterator[GitProcess]:
    """A git process for the time of the block."""
    process = GitProcess(git_dir, arguments)
    try:
        yield process
    finally:
        process.stop()


def git_output(git_dir: Path, *arguments: str) -> tuple[int, bytes]:
    """Exit code and output of a command with a short answer."""
    with git_running(git_dir, *arguments) as process:
        output = bytearray()
        while chunk := process.chunk():
            output += chunk
            if len(output) > _OUTPUT:
                raise EntryError(f"git {arguments[0]} printed more than {_OUTPUT} bytes")
        return process.wait(), bytes(output)
