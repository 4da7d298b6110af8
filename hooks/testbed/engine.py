"""A private container engine (dockerd with BuildKit) that never touches the machine's own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ci.errors import SettingsError
from hooks.testbed import emulator
from hooks.testbed.cache import locked
from hooks.testbed.setup import Tools, become_root

_SCRIPT = Path(__file__).with_name("run-engine.sh")
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Engine:
    """The engine of one cache folder, shared by all processes that have started it.

    It runs from the first ``start`` to the last ``stop``; a user that dies counts as stopped.
    Layers stay in the cache. The socket is in the folder for temporary files, since its path
    may have 107 characters at most (unix(7)).
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        key = hashlib.sha256(os.fsencode(tools.cache.resolve())).hexdigest()[:8]
        self.folder = Path(tempfile.gettempdir()) / f"hpcwaas-engine-{os.getuid()}-{key}"
        self.entry = f"hpcwaas-arm64-{key}"  # of binfmt_misc
        self._lock = tools.cache / "engine.lock"
        self._users = tools.cache / "engine.users"  # every user holds a shared lock on it
        self._share: int | None = None

    @property
    def docker_host(self) -> str:
        """The address, as ``DOCKER_HOST`` takes it."""
        return f"unix://{self.folder / 'docker.sock'}"

    @property
    def buildx_plugin_dir(self) -> Path:
        """Where the plugin ``docker-buildx`` is."""
        return self._tools.engine / "docker" / "cli-plugins"

    @property
    def environment(self) -> dict[str, str]:
        """What the programs ``docker`` and ``docker buildx`` must find in their environment."""
        programs = [self._tools.engine / "usr" / "bin", self._tools.engine / "usr" / "sbin"]
        path = os.environ.get("PATH", os.defpath)
        return {
            "DOCKER_HOST": self.docker_host,
            "DOCKER_CONFIG": str(self.folder / "config"),
            "PATH": os.pathsep.join([*map(str, programs), path]),
        }

    def start(self) -> None:
        """Start the engine, or join it if it runs. Raises ``SettingsError`` if it cannot."""
        with locked(self._lock):
            if self._share is None:
                self._share = os.open(self._users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._share, fcntl.LOCK_SH)
            if not self.answers():
                self._end()
                self._make_folder()
                try:
                    self._launch()
                except SettingsError:
                    self._end()
                    raise

    def emulate(self) -> None:
        """Let the running engine build for linux/arm64 as well. Raises ``SettingsError``."""
        program = emulator.ensure_emulator(self._tools.cache)
        with locked(self._lock):
            keeper = self._keeper()
            if keeper is None:
                raise SettingsError("the container engine does not run", hint="start it first")
            emulator.register(self.entry, program, _children(keeper)[0], become_root() or [])

    def stop(self) -> None:
        """Leave the engine; the last one to leave ends it, and nothing of it runs after that."""
        if self._share is None:
            return
        with locked(self._lock):
            os.close(self._share)
            self._share = None
            users = os.open(self._users, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                os.close(users)
            self._end()

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def answers(self) -> bool:
        """Say whether the engine answers requests (Docker Engine API, ``GET /_ping``)."""
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
            connection.settimeout(5.0)
            connection.connect(str(self.folder / "docker.sock"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64)
        return False

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.folder.stat().st_uid != os.getuid():
            raise SettingsError(f"{self.folder} belongs to another user", hint="remove it")
        plugins = self.folder / "config" / "cli-plugins"
        plugins.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            plugins.symlink_to(self.buildx_plugin_dir)

    def _launch(self) -> None:
        root = become_root()
        if root is None:
            raise SettingsError("the container engine needs root", hint="run as root or allow sudo")
        (self.folder / "daemon.json").write_text(json.dumps(self._settings()), "utf-8")
        argv = [*root, "setsid", "--fork", "bash", str(_SCRIPT)]
        argv += [str(self._tools.engine), str(self.folder)]
        environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "LANG": "C.UTF-8"}
        subprocess.run(argv, check=True, env=environ, stdin=subprocess.DEVNULL)
        end = time.monotonic() + _START_SECONDS
        while not self.answers():
            if time.monotonic() > end or (self._log() and self._keeper() is None):
                told = self._log().strip().splitlines() or ["it did not answer"]
                raise SettingsError(f"the container engine did not start: {told[-1]}")
            time.sleep(0.05)

    def _settings(self) -> dict[str, object]:
        return {
            "data-root": str(self._tools.cache / "engine-data"),
            "exec-root": str(self.folder / "exec"),
            "pidfile": str(self.folder / "docker.pid"),
            "hosts": [self.docker_host],
            "group": str(os.getgid()),
            # the exporters of OCI archives and build caches need the image store of containerd
            "features": {"containerd-snapshotter": True},
            # no network of its own: builds use the machine's (--network=host) or none
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            "ip-forward": False,
            "ip-masq": False,
            "builder": {"gc": {"enabled": True, "defaultKeepStorage": "6GB"}},
        }

    def _log(self) -> str:
        with suppress(FileNotFoundError):
            return (self.folder / "dockerd.log").read_text("utf-8", errors="replace")
        return ""

    def _keeper(self) -> int | None:
        """The process that holds the engine's namespaces, if it still runs."""
        with suppress(FileNotFoundError, ValueError):
            pid, started = (self.folder / "keeper").read_text("ascii").split()
            if _started_at(int(pid)) == int(started):
                return int(pid)
        return None

    def _end(self) -> None:
        """End the engine and remove its folder."""
        keeper = self._keeper()
        if keeper is not None:
            first = _children(keeper)
            _kill(signal.SIGTERM, *first)
            if not _gone(keeper, _STOP_SECONDS):
                _kill(signal.SIGKILL, keeper, *first)
                _gone(keeper, _STOP_SECONDS)
        emulator.forget(self.entry, become_root() or [])
        argv = [*(become_root() or []), "rm", "-rf"]
        subprocess.run([*argv, str(self.folder)], check=True)


def _started_at(pid: int) -> int | None:
    """When a process started, in ticks since boot (proc(5), stat); None if there is none."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2]
        state, *rest = fields.split()
        return None if state == "Z" else int(rest[18])
    return None


def _children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())]


def _kill(what: signal.Signals, *pids: int) -> None:
    argv = [*(become_root() or []), "kill", f"-{what.value}", *map(str, pids)]
    if pids:
        subprocess.run(argv, check=False, stderr=subprocess.DEVNULL)


def _gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _started_at(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
