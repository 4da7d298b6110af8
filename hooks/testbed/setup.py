"""Puts in place what throw-away clusters and container builds need on a Debian machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ci.errors import SettingsError
from hooks.testbed.cache import cache_dir, locked, make_once

Progress = Callable[[str], None]

_SCRIPTS = Path(__file__).parent
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_INSTALL_SECONDS = 1200.0
_BUILDAH = "buildah"  # in the cache

# what must be there, a program or an absolute path, and the Debian package that has it
_ALWAYS: Mapping[str, str] = {
    "/etc/protocols": "netbase",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "curl": "curl",
    "hostname": "hostname",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "patchelf": "patchelf",
    "ps": "procps",
    "squashfuse": "squashfuse",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "wget": "wget",
}
_QUEUES: Mapping[str, Mapping[str, str]] = {
    "slurm": {
        "/usr/lib/x86_64-linux-gnu/libpmix.so.2": "libpmix2",
        "munged": "munge",
        "sbatch": "slurm-client",
        "slurmctld": "slurmctld",
        "slurmd": "slurmd",
    },
    "sge": {
        "qsub": "gridengine-client",
        "sendmail": "msmtp-mta",  # gridengine-master would bring a mail server
        "sge_execd": "gridengine-exec",
        "sge_qmaster": "gridengine-master",
    },
}
_ACCOUNTING: Mapping[str, str] = {
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "slurmdbd": "slurmdbd",
}
_BROWSER: Mapping[str, str] = {"chromium": "chromium", "chromedriver": "chromium-driver"}


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the tools of our own are: Apptainer's prefix, the folder of the container engine."""

    cache: Path
    apptainer_prefix: Path
    engine: Path

    @property
    def apptainer(self) -> Path:
        """The program."""
        return self.apptainer_prefix / "usr/bin/apptainer"

    @property
    def buildah(self) -> Path:
        """The program."""
        return self.cache / _BUILDAH / "bin/buildah"


def ensure(
    progress: Progress = lambda _: None, *, queue: str = "slurm", accounting: bool = False
) -> Tools:
    """Install what is missing and say where it is; takes less than 0.1 s when nothing is.

    ``progress`` gets a sentence for everything that takes long. ``queue`` is the queue system of
    the clusters, ``accounting`` that they have slurmdbd. Raises ``SettingsError`` when something
    is missing that we may not or cannot install.
    """
    packages = {**_ALWAYS, **_QUEUES[queue], **(_ACCOUNTING if accounting else {})}
    ensure_packages(packages, progress)
    cache = cache_dir()
    ensure_buildah(cache, progress)
    return Tools(cache, ensure_apptainer(cache, progress), ensure_engine(cache, progress))


def missing_packages(packages: Mapping[str, str]) -> list[str]:
    """Return the Debian packages whose programs or files this machine does not have."""
    found = {
        package
        for what, package in packages.items()
        if not (Path(what).exists() if what.startswith("/") else shutil.which(what, path=_PATH))
    }
    return sorted(found)


def ensure_packages(packages: Mapping[str, str], progress: Progress) -> None:
    """Install the Debian packages that are missing, if we may."""
    if not missing_packages(packages):
        return
    with locked(cache_dir() / "packages.lock"):
        missing = missing_packages(packages)
        if not missing:
            return
        names = ", ".join(missing)
        root = become_root()
        if root is None or shutil.which("apt-get") is None:
            raise SettingsError(
                f"throw-away clusters need packages that this machine lacks: {names}",
                hint=f"run as root: apt-get install --no-install-recommends {' '.join(missing)}",
            )
        progress(f"installing {names}")
        argv = [*root, "bash", str(_SCRIPTS / "install-packages.sh"), *missing]
        run_script(argv, f"installing {names}")


def become_root() -> list[str] | None:
    """Return what goes before a command that needs root: nothing, or sudo; None if we may not."""
    if os.geteuid() == 0:
        return []
    asked = ["sudo", "-n", "true"]
    if (
        shutil.which("sudo")
        and subprocess.run(asked, check=False, capture_output=True).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def ensure_apptainer(cache: Path, progress: Progress) -> Path:
    """Return the prefix of an Apptainer of our own, unpacked at first use (about 10 s)."""
    prefix = cache / "apptainer"

    def make(part: Path) -> None:
        progress("fetching Apptainer")
        script = str(_SCRIPTS / "get-apptainer.sh")
        run_script(["bash", script, str(part), str(prefix)], "fetching Apptainer")

    return make_once(prefix, make)


def ensure_engine(cache: Path, progress: Progress) -> Path:
    """Return the folder of a container engine of our own, unpacked at first use (about 15 s)."""

    def make(part: Path) -> None:
        progress("fetching the container engine")
        script = str(_SCRIPTS / "get-engine.sh")
        run_script(["bash", script, str(part)], "fetching the container engine")

    return make_once(cache / "engine", make)


def ensure_buildah(cache: Path, progress: Progress) -> Path:
    """Return the folder of a Buildah of our own, unpacked at first use (about 10 s)."""
    folder = cache / _BUILDAH

    def make(part: Path) -> None:
        progress("fetching Buildah")
        script = str(_SCRIPTS / "get-buildah.sh")
        run_script(["bash", script, str(part), str(folder)], "fetching Buildah")

    return make_once(folder, make)


def ensure_postgresql(cache: Path, progress: Progress) -> Path:
    """Return the folder of a PostgreSQL of our own, unpacked at first use (about 10 s)."""
    folder = cache / "postgresql"

    def make(part: Path) -> None:
        progress("fetching PostgreSQL")
        script = str(_SCRIPTS / "get-postgresql.sh")
        run_script(["bash", script, str(part), str(folder)], "fetching PostgreSQL")

    return make_once(folder, make)


def ensure_browser(progress: Progress) -> None:
    """Install Chromium and what steers it, for tests of pages."""
    ensure_packages(_BROWSER, progress)


def run_script(argv: Sequence[str], what: str, *, timeout: float = _INSTALL_SECONDS) -> str:
    """Run a command to its end; ``SettingsError`` quotes its last line if it fails."""
    environ = {**os.environ, "PATH": _PATH}
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environ,
        )
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"{what} took more than {timeout:.0f} seconds") from error
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise SettingsError(f"{what} failed: {told[-1]}")
    return done.stdout


if __name__ == "__main__":  # what `make` runs before the tests and the demo
    say = partial(print, flush=True)
    try:
        tools = ensure(say)
        ensure_postgresql(tools.cache, say)  # for tests only, as the next
        ensure_browser(say)
    except SettingsError as error:
        sys.exit(f"setup: {error}")
