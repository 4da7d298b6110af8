"""Throw-away clusters: sshd, a queue system and Apptainer in namespaces of this machine.

A typed face for the script ``minihpc`` beside this module, which does the work.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.errors import SettingsError
from hooks.testbed.cache import cache_dir, locked

SCRIPT = Path(__file__).with_name("minihpc")
USERS = ("waas", "alice", "bob")
_PORTS = range(20000, 32000, 40)  # below the ephemeral range; the first port of every cluster
_SPAN = 24  # ports that a cluster of up to 13 nodes uses
_START_SECONDS = 120.0

# Debian's Open MPI in a container: PMIx's other store complains of the user namespace, and so does
# the copying between processes that shared memory would use. There are fewer cores than ranks, so
# a rank that waits must let others work. srun takes no comma in a value.
_SRUN = (
    "srun",
    "--mpi=pmix",
    "--export=ALL,PMIX_MCA_gds=hash,OMPI_MCA_btl_vader_single_copy_mechanism=none,"
    "OMPI_MCA_mpi_yield_when_idle=1",
)
_LAUNCHERS: dict[str, tuple[str, ...]] = {"slurm": _SRUN, "sge": ()}


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Where a cluster answers; ``host_key`` is as in known_hosts, without the host."""

    name: str
    host: str
    port: int
    host_key: str
    users: tuple[str, ...]
    queue: str
    up: bool


class Cluster:
    """A cluster on this machine. ``root`` is the folder that holds its disk (``root/name``).

    Every method raises ``SettingsError`` when this machine cannot do it. A cluster outlives its
    process: whoever knows name and root can stop and remove it.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        apptainer: Path,
        queue: str = "slurm",
        nodes: int = 2,
        users: Sequence[str] = USERS,
        options: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.root = root.absolute()
        self.users = tuple(users)
        self._apptainer = apptainer
        self._queue = queue
        self._nodes = nodes
        self._options = tuple(options)

    @property
    def disk(self) -> Path:
        """The folder with everything that the cluster keeps."""
        return self.root / self.name

    def start(self) -> ClusterInfo:
        """Make the cluster anew, in place of one of the same name; return when it takes jobs."""
        self.remove()
        self.disk.mkdir(parents=True)
        port = claim_ports(self.disk)
        argv = ["start", self.name, "--port", str(port), "--queue", self._queue]
        argv += ["--nodes", str(self._nodes), "--users", ",".join(self.users)]
        argv += ["--apptainer", str(self._apptainer), *self._options]
        try:
            self._script(*argv, timeout=_START_SECONDS)
        except SettingsError:
            self.remove()
            raise
        return self.info()

    def down(self) -> None:
        """Stop everything in the cluster, as a power cut; disk, port and host key stay."""
        self._script("down", self.name)

    def up(self) -> ClusterInfo:
        """Start it again after ``down`` on the same disk, port and host key."""
        self._script("up", self.name, timeout=_START_SECONDS)
        return self.info()

    def remove(self) -> None:
        """Stop the cluster and delete its disk; nothing of it stays. That there is none is fine."""
        self._script("rm", self.name)
        release_ports(self.disk)

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def authorize(self, user: str, public_key: str) -> None:
        """Let the holder of ``public_key`` (one line, OpenSSH's form) log in as ``user``."""
        self._script("authorize", self.name, user, stdin=public_key.strip() + "\n")

    def admin(self, *command: str, timeout: float = 60.0) -> str:
        """Run a command as the administrator of the cluster and return its standard output."""
        return self._script("exec", self.name, *command, timeout=timeout)

    def info(self) -> ClusterInfo:
        """Say where the cluster answers and whether it is up."""
        told = json.loads(self._script("info", self.name))
        return ClusterInfo(**{**told, "users": tuple(told["users"])})

    def describe(self, *, credential: str = "", user: str = "waas") -> dict[str, Any]:
        """Return the content of a site file: plain values, named as in ``ci.site``."""
        info = self.info()
        return {
            "name": self.name,
            "title": f"throw-away {info.queue} cluster on this machine",
            "transport": {
                "kind": "ssh",
                "host": info.host,
                "port": info.port,
                "host_keys": [info.host_key],
                "user": user,
                "credential": credential or f"{self.name}-{user}",
            },
            "queue": {
                "kind": info.queue,
                "partition": "short" if info.queue == "slurm" else "all.q",
                "time_limit": "00:10:00",
            },
            "paths": {"deploy": "/srv/scratch/waas", "work": "/srv/scratch/{user}"},
            "target": {"platform": "linux/amd64", "microarchitecture": "x86_64"},
            "container": {"command": str(self._apptainer / "usr/bin/apptainer")},
            "mpi_launcher": list(_LAUNCHERS[info.queue]),
        }

    def job_names(self) -> list[str]:
        """Return the name of every job ever submitted, in order of submission, ended or not."""
        jobs: dict[int, str] = {}
        with suppress(FileNotFoundError):
            jobs |= parse_completed((self.disk / "log" / "jobcomp.txt").read_text("utf-8"))
        for line in self.admin("squeue", "--noheader", "--format=%A %j").splitlines():
            number, _, name = line.strip().partition(" ")
            jobs[int(number)] = name
        return [jobs[number] for number in sorted(jobs)]

    def _script(self, *argv: str, stdin: str = "", timeout: float = 60.0) -> str:
        try:
            done = subprocess.run(
                ["bash", str(SCRIPT), *argv],
                check=False,
                env={**os.environ, "MINIHPC_DIR": str(self.root)},
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            message = f"cluster {self.name}: '{argv[0]}' took more than {timeout:.0f} seconds"
            raise SettingsError(message) from error
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise SettingsError(f"cluster {self.name}: '{argv[0]}' failed: {told[-1]}")
        return done.stdout


def remove_clusters(root: Path) -> None:
    """Stop and delete every cluster whose disk is in ``root``, whoever started it."""
    for settings in root.glob("*/site.env"):
        Cluster(settings.parent.name, root, apptainer=Path("/")).remove()


def parse_completed(text: str) -> dict[int, str]:
    """Read Slurm's ``jobcomp/filetxt`` log: job number to name.

    One line per ended job, ``JobId=1 UserId=… Name=… JobState=…`` (slurm.conf(5), JobCompType);
    a name may hold blanks, and a job that was requeued has several lines.
    """
    jobs = {}
    for line in text.splitlines():
        head, found, tail = line.partition(" Name=")
        if found and head.startswith("JobId="):
            jobs[int(head.split()[0].removeprefix("JobId="))] = tail.partition(" JobState=")[0]
    return jobs


def claim_ports(disk: Path) -> int:
    """Reserve ports for the cluster whose disk is ``disk`` and return the first of them.

    A claim is a file that names the disk, so that a cluster which is down keeps its ports; it
    lapses with the disk. Raises ``SettingsError`` when no ports are free.
    """
    folder = _claims_folder()
    with locked(folder / "lock"):
        for port in _PORTS:
            claim = folder / str(port)
            if not _is_claimed(claim) and _are_free(range(port, port + _SPAN)):
                claim.write_text(str(disk), "utf-8")
                return port
    raise SettingsError("no free ports for a cluster between 20000 and 32000")


def release_ports(disk: Path) -> None:
    """Give up the ports that ``disk`` reserves."""
    folder = _claims_folder()
    with locked(folder / "lock"):
        for claim in _claims(folder):
            if claim.read_text("utf-8") == str(disk):
                claim.unlink()


def _claims_folder() -> Path:
    folder = cache_dir() / "ports"
    folder.mkdir(exist_ok=True)
    return folder


def _claims(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if entry.name.isdigit())


def _is_claimed(claim: Path) -> bool:
    try:
        return Path(claim.read_text("utf-8")).exists()
    except FileNotFoundError:
        return False


def _are_free(ports: range) -> bool:
    taken = []
    try:
        for port in ports:
            taken.append(probe := socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    finally:
        for probe in taken:
            probe.close()
    return True
