"""Sites: the places that workflows are dispatched to, as their description files say it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ci.target import Target


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How to reach the site: ``kind`` names the backend; host keys are pinned."""

    kind: str = "ssh"
    host: str = ""
    port: int = 22
    host_keys: tuple[str, ...] = ()  # "ssh-ed25519 AAAA…", as in known_hosts
    user: str = ""  # the login that deploys
    credential: str = ""  # its name in the secret store


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The queue system and what jobs ask of it unless they say otherwise."""

    kind: str = "slurm"
    partition: str = ""
    account: str = ""
    qos: str = ""
    time_limit: str = "00:10:00"  # HH:MM:SS


@dataclass(frozen=True, slots=True)
class SitePaths:
    """Folders on the site's shared disk. ``{user}`` in ``work`` is the login of the execution."""

    deploy: str = ""  # written by the deploying login, readable by users
    work: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """How a job starts a container: the command, modules to load first, more options."""

    command: str = "apptainer"
    modules: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """One place we dispatch to."""

    name: str
    transport: TransportSettings
    queue: QueueSettings
    paths: SitePaths
    target: Target = field(default_factory=Target)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    mpi_launcher: tuple[str, ...] = ("srun", "--mpi=pmix")
    title: str = ""
