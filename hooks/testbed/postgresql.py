"""A throw-away PostgreSQL on a socket in its folder: Debian's server, as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ci.errors import SettingsError
from hooks.testbed.setup import run_script

_READY = "database system is ready to accept connections"  # in its log
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LONGEST_SOCKET = 107  # bytes of a socket's path, unix(7)
_SOCKET = ".s.PGSQL.5432"
# what is lost when the machine goes down may be lost: all of it is thrown away
_OPTIONS = ("listen_addresses=", "fsync=off", "max_connections=200", "lc_messages=C")


class Postgresql:
    """A server whose data, socket and log are in one folder; it dies with its owner.

    It has a user ``waas`` without a password, and is for users of this machine who can get into
    the folder. After ``stop`` or ``kill`` it may be started again with the same data.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        """``program`` is the folder that ``ensure_postgresql`` gives."""
        self._bin = next((program / "usr/lib/postgresql").iterdir()) / "bin"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's first process, while it runs; else 0."""
        return self._process.pid if self._process else 0

    def url(self, database: str = "postgres") -> str:
        """Where a database is, in the form that settings take."""
        return f"postgresql://waas@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers. Raises ``SettingsError`` if it does not."""
        if len(os.fsencode(self.folder / _SOCKET)) > _LONGEST_SOCKET:
            raise SettingsError(f"{self.folder} is too long for a socket's path")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data, log = self.folder / "data", self.folder / "log"
        if not (data / "PG_VERSION").exists():
            made = ("-U", "waas", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
            initdb = [*_no_root(), str(self._bin / "initdb"), "-D", str(data), *made]
            run_script(initdb, "making a database")
        # by SIGINT it ends all sessions and itself
        argv = [*_no_root(), "setpriv", "--pdeathsig", "INT", "--", str(self._bin / "postgres")]
        argv += ["-D", str(data), "-k", str(self.folder)]
        argv += [word for option in _OPTIONS for word in ("-c", option)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/"
            )
        self._wait(log)

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + _START_SECONDS
        while _READY not in (told := log.read_text("utf-8", errors="replace")):
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                last = (told.strip().splitlines() or ["no reason given"])[-1]
                raise SettingsError(f"PostgreSQL did not start: {last}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and every session with it; the data stay."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, as a crash would, so that it recovers at the next start."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Postgresql:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _no_root() -> list[str]:
    """What goes before a program that refuses to be root, so that it is ``nobody`` to itself.

    In a user namespace of its own root is nobody, and keeps only what an owner of files may do:
    the programs are found whoever may look into the folders above them, and files stay ours.
    """
    if os.geteuid():
        return []
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
