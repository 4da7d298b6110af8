"""``waas deliveries``: every push and webhook, and what became of it, straight from the database.

It works while no service runs; one that runs takes up what is replayed within half a second.
"""

from __future__ import annotations

import json
from typing import Any

import click

from hooks.builds.harmless import harmless
from hooks.cli.output import as_json, coloured, show
from hooks.cli.service import settings_of
from hooks.db import Database
from hooks.inbox.records import DeliveryRecords, shown, shown_whole

_SHOWN = ("received", "id", "source", "repository", "kind", "state", "attempts", "reason")
_LINES = (*_SHOWN[:-1], "next_try", "handled", "reason")


def _records(ctx: click.Context) -> DeliveryRecords:
    database = Database(settings_of(ctx).database)
    database.check()
    return DeliveryRecords(database)


@click.group()
def deliveries() -> None:
    """Every push and webhook, and what became of it."""


@deliveries.command("list")
@click.option("--state", default="", metavar="STATE", help="RECEIVED HANDLED IGNORED FAILED")
@click.option("--repository", default="", metavar="NAME", help="Only of this repository.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@click.pass_context
def list_deliveries(
    ctx: click.Context, state: str, repository: str, limit: int, as_json: bool
) -> None:
    """The newest deliveries, newest first."""
    found = _records(ctx).page(state=state.upper(), repository=repository, limit=limit)
    rows = [shown(row) for row in found]
    for row in rows if not as_json else ():
        row |= {name: harmless(str(row[name])) for name in _SHOWN}
    show(rows, _SHOWN, json_wanted=as_json)


@deliveries.command("show")
@click.argument("name", metavar="ID")
@as_json
@click.pass_context
def show_delivery(ctx: click.Context, name: str, as_json: bool) -> None:
    """One delivery: its fate, the reason in full, and the event."""
    about = shown_whole(_records(ctx).get(name))
    if as_json:
        click.echo(json.dumps(about, indent=2))
        return
    for line in _LINES:
        click.echo(f"{line:12} {_value(line, about[line])}".rstrip())
    click.echo("event")
    for line in json.dumps(about["event"], indent=2, ensure_ascii=False).splitlines():
        click.echo(f"  {harmless(line)}")


def _value(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    if name == "state":
        return coloured(text)
    return f"\n{'':13}".join(harmless(line) for line in text.splitlines())


@deliveries.command()
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All that were set aside after their last try.")
@click.pass_context
def replay(ctx: click.Context, names: tuple[str, ...], failed: bool) -> None:
    """Handle deliveries once more; what is done follows from the forge's state now."""
    if bool(names) == failed:
        raise click.UsageError("name deliveries, or give --failed")
    records = _records(ctx)
    again = records.replay_failed() if failed else _replay(records, names)
    for name in again:
        click.echo(f"{name} will be handled again")
    if not again:
        click.echo("no delivery was set aside" if failed else "all of them wait already")


def _replay(records: DeliveryRecords, names: tuple[str, ...]) -> list[str]:
    """Those that are taken up. Nothing is done if one is unknown: raises ``NotFoundError``."""
    for name in names:
        if records.get(name).state == "RECEIVED":
            click.echo(f"{harmless(name)} waits already", err=True)
    return records.replay(names)
