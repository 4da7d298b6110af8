"""Whether a site can be used: what deployments and jobs need, looked for as the deploying login."""

from __future__ import annotations

from pathlib import PurePosixPath

from ci.site import Site
from hooks.sites.seams import Transport

_QUEUE_COMMANDS = {
    "slurm": ("sbatch", "squeue", "scancel", "scontrol"),
    "direct": ("setsid",),
}


def check_site(site: Site, transport: Transport) -> list[str]:
    """What is missing, a sentence each. Raises ``SiteError`` if the site cannot be reached."""
    problems = [
        f"there is no command {command}"
        for command in ("tar", "sha256sum", *_QUEUE_COMMANDS.get(site.queue.kind, ()))
        if _fails(transport, "sh", "-c", 'command -v "$1"', "sh", command)
    ]
    engine = site.container.command
    if not site.container.modules and _fails(transport, engine, "--version"):
        problems.append(f"container.command: {engine} cannot be run")
    deploy = PurePosixPath(site.paths.deploy)
    if _fails(transport, "mkdir", "-p", "--", str(deploy)) or _fails(
        transport, "test", "-w", str(deploy)
    ):
        problems.append(f"paths.deploy: {deploy} cannot be written")
    return problems


def _fails(transport: Transport, *argv: str) -> bool:
    return transport.run(argv, timeout=30).exit_code != 0
