"""``waas webhooks``: the secrets that webhooks are signed with."""

from __future__ import annotations

from dataclasses import asdict

import click

from hooks.cli.output import as_json, show
from hooks.cli.service import settings_of
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import SOURCES, WebhookSecrets

_SOURCE = click.Choice(SOURCES)


def _secrets(ctx: click.Context) -> WebhookSecrets:
    folder = settings_of(ctx).secrets
    return WebhookSecrets(EncryptedFiles(folder), folder)


@click.group()
def webhooks() -> None:
    """The secrets that webhooks are signed with. Two may hold at a time: none is lost."""


@webhooks.command()
@click.argument("source", type=_SOURCE)
@click.pass_context
def secret(ctx: click.Context, source: str) -> None:
    """Print the current secret, to be given to the other side."""
    click.echo(_secrets(ctx).current(source))


@webhooks.command()
@click.argument("source", type=_SOURCE)
@click.pass_context
def rotate(ctx: click.Context, source: str) -> None:
    """Make a new secret; the one before holds until it is retired. Nothing need be restarted."""
    _secrets(ctx).rotate(source)
    click.echo(f"there is a new secret for webhooks of {source}; the one before still holds")
    click.echo(f"next: give the other side what `waas webhooks secret {source}` prints,")
    click.echo("  see with `waas webhooks status` that it is used,")
    click.echo(f"  then end the one before with `waas webhooks retire {source}`")


@webhooks.command()
@click.argument("source", type=_SOURCE)
@click.pass_context
def retire(ctx: click.Context, source: str) -> None:
    """Let only the current secret hold."""
    if _secrets(ctx).retire(source):
        click.echo(f"the previous secret for webhooks of {source} holds no more")
    else:
        click.echo(f"there is no previous secret for webhooks of {source}")


@webhooks.command()
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Which secrets hold, when they were made, and when last used (to the minute)."""
    rows = [asdict(held) for held in _secrets(ctx).held()]
    show(rows, ["source", "holds", "name", "made", "used"], json_wanted=as_json)
