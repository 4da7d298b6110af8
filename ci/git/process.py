"""git as a child process that trusts nothing of the repository it looks at.

Every ``GIT_*`` variable of ours is dropped, system and user configuration are off, hooks, file
system monitors, transports and lazy fetching too; the repository is always named by ``--git-dir``
and git never starts inside a folder of somebody else. Address space, processor time and what a
file may grow to are limited (nothing can be written unless a ``Permit`` says so), and every command
has a time limit. Why each of these is here: https://git-scm.com/docs/git-config
(``safe.bareRepository``), https://git-scm.com/docs/git.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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


class GitTimeoutError(EntryError):
    """A command of git took longer than it may."""


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


@dataclass(frozen=True, slots=True)
class Permit:
    """What a command may do beyond reading.

    ``file_size`` is the number of bytes up to which it may write a file; ``seconds`` its time limit
    (0: the usual one) and ``cpu`` the processor time of each of its processes. ``environment`` and
    ``config`` (a setting may hold a secret: it travels in the environment, never on the command
    line) are added to what every command has. ``descriptors`` stay open in its processes.
    ``messages`` has what it says on standard error among its output.
    """

    file_size: int = 0
    seconds: float = 0.0
    cpu: int = _CPU_SECONDS
    environment: Mapping[str, str] = field(default_factory=dict)
    config: Sequence[tuple[str, str]] = field(default=(), repr=False)
    descriptors: Sequence[int] = ()
    messages: bool = False

    def variables(self) -> dict[str, str]:
        """The whole environment: https://git-scm.com/docs/git-config (``GIT_CONFIG_COUNT``)."""
        made = {**git_environment(), **self.environment, "GIT_CONFIG_COUNT": str(len(self.config))}
        for number, (name, value) in enumerate(self.config):
            made |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return made


READING = Permit()


class GitProcess:
    """A running ``git --git-dir DIR …`` whose output is read with a deadline."""

    def __init__(self, git_dir: Path, arguments: Sequence[str], permit: Permit = READING) -> None:
        program = shutil.which("git")
        if program is None:
            raise SettingsError("git is not installed", hint="install git 2.35 or newer")
        options = [word for item in _CONFIG.items() for word in ("-c", "=".join(item))]
        self._process = subprocess.Popen(
            [program, "--no-pager", "--git-dir", str(git_dir), *options, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if permit.messages else subprocess.DEVNULL,
            env=permit.variables(),
            cwd="/",
            bufsize=0,
            pass_fds=permit.descriptors,
            process_group=0,  # to be ended with all its children
        )
        self._what = arguments[0]
        self._buffer = bytearray()
        self._limit(permit)
        self._seconds = permit.seconds or TIMEOUT
        self.renew()

    def _limit(self, permit: Permit) -> None:
        # prlimit(2) from outside: a preexec_fn is not safe in a program with threads.
        limits = {
            resource.RLIMIT_AS: _ADDRESS_SPACE,
            resource.RLIMIT_CPU: permit.cpu,
            resource.RLIMIT_FSIZE: permit.file_size,
            resource.RLIMIT_CORE: 0,
        }
        with suppress(ProcessLookupError, PermissionError):  # it has ended already
            for kind, value in limits.items():
                _, most = resource.prlimit(self._process.pid, kind)
                least = value if most == resource.RLIM_INFINITY else min(value, most)
                resource.prlimit(self._process.pid, kind, (least, least))

    def renew(self) -> None:
        """Start the time limit afresh: a process that answers many questions."""
        self._until = time.monotonic() + self._seconds

    def send(self, data: bytes) -> None:
        """Write a question (a short one, well below what a pipe holds)."""
        try:
            self._stream(self._process.stdin).write(data)
        except OSError as error:
            raise self._failed("ended early") from error

    def ask_no_more(self) -> None:
        """End its input."""
        self._stream(self._process.stdin).close()

    def chunk(self, size: int = _CHUNK) -> bytes:
        """The next output, at most ``size`` bytes; empty at its end."""
        stream = self._stream(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._until - time.monotonic())):
                raise self._late()
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
            raise self._late() from error

    def stop(self) -> None:
        """End it, whatever it does, and close the pipes."""
        if self._process.returncode is None:  # not waited for: its number is still its own
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _late(self) -> GitTimeoutError:
        message = f"git {self._what} took more than {self._seconds:.0f} seconds"
        return GitTimeoutError(message, hint="the repository may be damaged")

    def _failed(self, how: str) -> EntryError:
        return EntryError(f"git {self._what} {how}", hint="the repository may be damaged")

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None:
            raise SettingsError("git was started without pipes")
        return stream


@contextmanager
def git_running(git_dir: Path, *arguments: str, permit: Permit = READING) -> Iterator[GitProcess]:
    """A git process for the time of the block."""
    process = GitProcess(git_dir, arguments, permit)
    try:
        yield process
    finally:
        process.stop()


def git_output(
    git_dir: Path, *arguments: str, permit: Permit = READING, question: str = ""
) -> tuple[int, bytes]:
    """Exit code and output of a command with a short answer, to a short question."""
    with git_running(git_dir, *arguments, permit=permit) as process:
        if question:
            process.send(question.encode())
        process.ask_no_more()
        output = bytearray()
        while chunk := process.chunk():
            output += chunk
            if len(output) > _OUTPUT:
                raise EntryError(f"git {arguments[0]} printed more than {_OUTPUT} bytes")
        return process.wait(), bytes(output)
