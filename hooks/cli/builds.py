"""``waas builds``: the operator's view of image builds, straight from the database.

It works while no service runs, and goes on following a build while one is started again.
"""

from __future__ import annotations

import time
from typing import Any

import click

from hooks.builds.harmless import harmless
from hooks.builds.records import BuildRecords
from hooks.cli.output import as_json, coloured, show
from hooks.cli.service import settings_of
from hooks.journal import Journal
from hooks.tokens import Caller

LOOK_SECONDS = 0.3
_OPERATOR = Caller("the operator", "operator")
_SHOWN = ("id", "workflow", "step", "site", "scope", "state", "reused", "message")
_MORE = ("commit", "catalog_commit", "target", "key", "image", "digest", "priority", "runs")
_TIMES = ("created_at", "started_at", "finished_at")


def _records(ctx: click.Context) -> BuildRecords:
    from hooks.db import Database

    database = Database(settings_of(ctx).database)
    database.check()
    return BuildRecords(database, Journal(database))


@click.group()
def builds() -> None:
    """Image builds: one attempt at an image at a time, for all who ask for it."""


@builds.command("list")
@click.option("--workflow", default="", metavar="NAME", help="Only of this workflow.")
@click.option("--state", default="", metavar="STATE", help="Only in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@click.pass_context
def list_builds(ctx: click.Context, workflow: str, state: str, limit: int, as_json: bool) -> None:
    """The newest builds, newest first."""
    rows, _ = _records(ctx).page(workflow=workflow, state=state.upper(), size=limit)
    shown = [{n: getattr(r, n) for n in _SHOWN} for r in rows]
    for row in shown if not as_json else ():
        row["message"] = harmless(row["message"])
    show(shown, _SHOWN, json_wanted=as_json)


@builds.command("show")
@click.argument("build", metavar="ID")
@as_json
@click.pass_context
def show_build(ctx: click.Context, build: str, as_json: bool) -> None:
    """One build: what it is of, who wants it, how far it is."""
    records = _records(ctx)
    row = records.get(build)
    about: dict[str, Any] = {n: getattr(row, n) for n in (*_SHOWN, *_MORE, *_TIMES)}
    about["askers"] = records.askers(build)
    if as_json:
        show([about], list(about), json_wanted=True)
        return
    about["target"] = ", ".join(f"{n}={v}" for n, v in row.target.items() if v)
    about["askers"] = ", ".join(about["askers"])
    for name, value in about.items():
        click.echo(f"{name:15} {harmless(str(value)) if value is not None else ''}".rstrip())


@builds.command()
@click.argument("build", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until its end; exit 1 if it failed.")
@click.pass_context
def logs(ctx: click.Context, build: str, follow: bool) -> None:
    """The log of a build."""
    records, last = _records(ctx), 0
    while True:
        row = records.get(build)  # before its lines: the last of them come before the end
        lines = records.lines(build, last)
        for line in lines:
            click.echo(f"{line.timestamp:%H:%M:%S}  {harmless(line.content)}")
            last = line.number
        if lines:
            continue
        if row.active is None or not follow:
            break
        time.sleep(LOOK_SECONDS)
    if follow:
        reason = f": {harmless(row.message)}" if row.message else ""
        click.echo(coloured(row.state) + reason)
        if row.state != "FINISHED":
            raise click.exceptions.Exit(1)


@builds.command()
@click.argument("build", metavar="ID")
@click.pass_context
def cancel(ctx: click.Context, build: str) -> None:
    """End a build, whoever wants it; one that runs ends within seconds."""
    records = _records(ctx)
    if records.cancel(build, _OPERATOR):
        click.echo(f"build {build} is cancelled")
    else:
        click.echo(f"build {build} has ended already: {records.get(build).state}")
