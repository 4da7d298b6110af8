"""Run a program that takes long and talks meanwhile."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ci.errors import SettingsError

_ASK_SECONDS = 0.5  # between two looks whether the work is still wanted
_GRACE_SECONDS = 15.0  # between the polite signal and SIGKILL


class CancelledError(Exception):
    """Whoever asked for the work does not want it any more; not an error of anybody."""


class TimeLimitError(SettingsError):
    """A program took longer than it may."""


def run(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    on_output: Callable[[str], None],
    timeout: float,
    cancelled: Callable[[], bool] = lambda: False,
    ending: signal.Signals = signal.SIGINT,
) -> int:
    """Run a program to its end and return its exit code.

    ``on_output`` gets its output and errors as they come, in pieces of any length, in this
    thread. After ``timeout`` seconds, or when ``on_output`` raises, the program's process group
    gets ``ending`` (at SIGINT, BuildKit cancels the running step) and, if that does not help,
    SIGKILL; likewise when ``cancelled`` says so, which is asked about once a second. The program
    itself gets ``ending`` when this process is killed.

    Raises:
        SettingsError: the program is not there; TimeLimitError: it took too long;
        CancelledError.
    """
    end = time.monotonic() + timeout
    process = _start(argv, environment, folder, ending)
    pieces: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert process.stdout is not None  # noqa: S101 - PIPE above
    reader = threading.Thread(target=_read, args=(process.stdout, pieces), daemon=True)
    reader.start()
    try:
        _pass_on(pieces, on_output, end, cancelled)
        return process.wait(timeout=max(end - time.monotonic(), 0.0))
    except (queue.Empty, subprocess.TimeoutExpired):
        raise TimeLimitError(
            f"{Path(argv[0]).name} did not finish within {timeout:.0f} seconds"
        ) from None
    finally:
        _end(process, ending)


def _start(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, ending: signal.Signals
) -> subprocess.Popen[bytes]:
    if not shutil.which(argv[0], path=environment.get("PATH")):
        raise SettingsError(f"there is no program {argv[0]!r}", hint="install it or name its path")
    try:
        return subprocess.Popen(
            [*_dies_with_us(ending), *argv],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise SettingsError(f"cannot run {argv[0]}: {error.strerror}") from error


def _dies_with_us(ending: signal.Signals) -> list[str]:
    """What makes a program end when this process is killed (setpriv(1), prctl(2))."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", ending.name.removeprefix("SIG"), "--"] if setpriv else []


def _read(stream: IO[bytes], pieces: queue.SimpleQueue[str]) -> None:
    """Feed the output, cut at line ends so that no character is split; an empty piece ends it."""
    with stream:
        for line in stream:
            pieces.put(line.decode("utf-8", errors="replace"))
    pieces.put("")


def _pass_on(
    pieces: queue.SimpleQueue[str],
    on_output: Callable[[str], None],
    end: float,
    cancelled: Callable[[], bool],
) -> None:
    asked = time.monotonic()
    piece = None
    while piece != "":
        if time.monotonic() >= asked:
            asked = time.monotonic() + _ASK_SECONDS
            if cancelled():
                raise CancelledError
        left = end - time.monotonic()
        try:
            piece = pieces.get(timeout=max(min(left, _ASK_SECONDS), 0.001))
        except queue.Empty:
            if left <= 0:
                raise
        else:
            if piece:
                on_output(piece)


def _end(process: subprocess.Popen[bytes], ending: signal.Signals) -> None:
    for what, seconds in ((ending, _GRACE_SECONDS), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
