"""``waas demo``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

_PHASES = ["validate", "build", "deploy", "run"]


@click.command()
@click.option("--keep", is_flag=True, help="Leave the service home and its logs in place.")
@click.option("--site-kind", type=click.Choice(["slurm"]), default="slurm", show_default=True)
@click.option(
    "--kill-in",
    multiple=True,
    type=click.Choice([*_PHASES, "each"]),
    help="kill -9 the service in this phase, and start it again.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to play (made anew).")
def demo(keep: bool, site_kind: str, kill_in: tuple[str, ...], folder: Path | None) -> None:  # noqa: ARG001
    """The whole story in one go, from an empty folder to a result.

    A service home, two throw-away clusters, a pull request, image builds, a merge, a deployment
    over SSH, executions under Slurm with MPI in containers. Needs root (or sudo) and Debian or
    Ubuntu; the machine's own docker, sshd and Slurm are left alone.
    """
    from hooks.demo.screen import Screen
    from hooks.demo.service import last_errors
    from hooks.demo.stage import Stage
    from hooks.demo.story import Story
    from hooks.testbed.cache import cache_dir

    screen = Screen()
    folder = folder or Path(tempfile.gettempdir()) / f"waas-demo-{os.getuid()}"
    with screen.waiting("looking what this machine has") as tell:
        stage = Stage(folder, tell)
        stage.clear()
    phases = tuple(_PHASES) if "each" in kill_in else kill_in
    story = Story(stage, screen, cache_dir() / "demo", phases)
    told = False
    try:
        story.tell()
        told = True
    finally:
        log = folder / "home" / "logs" / "service.log"
        if not told:
            for line in last_errors(log):
                screen.quote(line)
        with screen.waiting("taking everything down"):
            stage.take_down(keep=keep)
    if keep:
        screen.say(f"the service home is left in {folder}")
