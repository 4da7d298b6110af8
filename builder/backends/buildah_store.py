"""Where Buildah keeps its images and builds: folders of ours, in namespaces of their own.

Each build gets a store that goes with it (a room), above a store of base images that builds
share. Programs run in namespaces (unshare(1) of util-linux 2.38): as an ordinary user root is
mapped to the user, and others to the user's range in /etc/subuid. When the first process dies,
the kernel ends all others of the process namespace and takes the mounts away, so nothing of a
build that is killed goes on. What it leaves on the disk is removed before the next build.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from ci.errors import SettingsError

_QUICK_SECONDS = 60.0
_LOCK = "lock"
# What is built on is named by digest, and nothing else is fetched.
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}


def apart(*, network: bool = True) -> list[str]:
    """Return what goes before a command: namespaces in which it is root."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    net = [] if network else ["--net"]
    kill = ["--fork", "--kill-child=KILL"]
    return ["unshare", *user, *net, "--mount", "--pid", "--mount-proc", *kill, "--"]


def quick(argv: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program that is done at once. Raises ``SettingsError`` if it is not there."""
    try:
        return subprocess.run(
            argv,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_QUICK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(f"cannot run {argv[0]}: {error}") from error


class Room:
    """The store of one build, and the command line of a Buildah that uses it."""

    def __init__(self, folder: Path, store: BuildahStore) -> None:
        self._folder = folder
        self._store = store
        self.policy = store.folder / "policy.json"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of programs: no settings and no folders but ours."""
        folder = self._folder
        found = {
            **self._store.environment,
            "CONTAINERS_STORAGE_CONF": str(self._store.folder / "storage.conf"),
            "TMPDIR": str(folder / "tmp"),
            "XDG_RUNTIME_DIR": str(folder / "runtime"),
        }
        if os.geteuid() != 0:
            # what `buildah unshare` tells its children (containers/storage, pkg/unshare)
            found["_CONTAINERS_USERNS_CONFIGURED"] = "done"
            found["_CONTAINERS_ROOTLESS_UID"] = str(os.geteuid())
            found["_CONTAINERS_ROOTLESS_GID"] = str(os.getegid())
        return found

    def buildah(self, *arguments: str, network: bool = True) -> list[str]:
        """Return a command that works on this build's store."""
        shared = f"{self._store.driver}.imagestore={self._store.folder / 'images'}"
        return self._command(self._folder / "store", ["--storage-opt", shared], arguments, network)

    def buildah_of_bases(self, *arguments: str) -> list[str]:
        """Return a command that works on the store of base images."""
        return self._command(self._store.folder / "images", [], arguments, True)

    def _command(
        self, root: Path, options: list[str], arguments: tuple[str, ...], network: bool
    ) -> list[str]:
        run = self._folder / f"run-{root.name}"
        where = ["--root", str(root), "--runroot", str(run), "--storage-driver"]
        program = ["buildah", *where, self._store.driver, *options]
        return [*apart(network=network), *program, *arguments]


class BuildahStore:
    """The folder ``buildah`` of the builder's: base images, caches, rooms."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder.absolute()
        self.environment = environment

    @contextmanager
    def room(self) -> Iterator[Room]:
        """Give a build a store; it goes with all that is in it, at the latest before the next."""
        rooms = self.folder / "rooms"
        for name in ("images", "cache", "rooms"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write("policy.json", json.dumps(_POLICY))
        self._write("storage.conf", f'[storage]\ndriver = "{self.driver}"\n')
        with self._alone():
            self._sweep(rooms)
            folder = Path(tempfile.mkdtemp(dir=rooms))
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            for name in ("tmp", "runtime"):
                (folder / name).mkdir()
            # where Buildah looks for the caches of `--mount=type=cache`
            (folder / "tmp" / "buildah-cache").symlink_to(self.folder / "cache")
            yield Room(folder, self)
        finally:
            self._remove(folder)
            os.close(lock)

    @cached_property
    def driver(self) -> str:
        """The storage driver that works here: ``overlay``, else the slower ``vfs``."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            probe = Path(name)
            (probe / "storage.conf").write_text('[storage]\ndriver = "overlay"\n')
            where = ["--root", str(probe / "root"), "--runroot", str(probe / "run")]
            argv = [*apart(), "buildah", *where, "--storage-driver=overlay", "info"]
            settings = {"CONTAINERS_STORAGE_CONF": str(probe / "storage.conf")}
            works = quick(argv, {**self.environment, **settings}).returncode == 0
            self._remove(probe / "root")
        return "overlay" if works else "vfs"

    def _write(self, name: str, text: str) -> None:
        """Write a file of settings, whole at any moment."""
        part = self.folder / f".{name}.{os.getpid()}"
        part.write_text(text, "utf-8")
        part.replace(self.folder / name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else makes or removes rooms meanwhile."""
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _sweep(self, rooms: Path) -> None:
        """Remove the rooms of builds that are gone: nobody holds their locks."""
        for folder in rooms.iterdir():
            with suppress(BlockingIOError, FileNotFoundError):
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._remove(folder)
                finally:
                    os.close(lock)

    def _remove(self, folder: Path) -> None:
        """Remove a folder with files of users that are mapped."""
        if os.geteuid() != 0:
            quick([*apart(), "rm", "-rf", "--", str(folder)], self.environment)
        shutil.rmtree(folder, ignore_errors=True)
