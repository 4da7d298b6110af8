"""How a job starts its container: ``apptainer exec`` and what MPI puts in front of it.

Options are those of Apptainer's and SingularityCE's ``exec``; what a site's MPI needs besides
(binds, ``--env``, PMIx) is in its file: ``container.options`` and ``mpi_launcher``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ci.errors import SettingsError
from ci.site import ContainerSettings, Site


def container_argv(
    site: Site,
    image: PurePosixPath,
    argv: Sequence[str],
    *,
    working: PurePosixPath,
    tasks: int = 1,
    mpi: bool = False,
) -> tuple[str, ...]:
    """The command that runs ``argv`` in ``image`` with the folder ``working`` in place.

    Without MPI nothing of the job's environment gets in but what ``container_environment`` names;
    with MPI all does, since the launcher tells each process its rank that way.
    """
    if any(mark in str(working) for mark in ",:"):
        raise SettingsError(
            f"site {site.name}: the working folder {working} cannot be bound into a container",
            hint="paths.work must not contain `,` or `:`",
        )
    settings = site.container
    command = [settings.command, "exec", *settings.options]
    if not mpi:
        command.append("--cleanenv")
    command += ["--bind", f"{working}:{working}", "--pwd", str(working), str(image), *argv]
    launcher = (*site.mpi_launcher, "-n", str(tasks)) if mpi else ()
    return (*launcher, *command)


def container_environment(
    settings: ContainerSettings, environment: Mapping[str, str]
) -> dict[str, str]:
    """The variables to set in the job so that the command in the container has ``environment``.

    Both engines pass a variable with their prefix on, without it, whatever its value holds
    (``--env`` splits at commas).
    """
    singularity = PurePosixPath(settings.command).name.startswith("singularity")
    prefix = "SINGULARITYENV_" if singularity else "APPTAINERENV_"
    return {f"{prefix}{name}": value for name, value in environment.items()}
