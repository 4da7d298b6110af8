"""``waas github``: the connections to GitHub."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import yaml

from ci.errors import EntryError, SettingsError
from hooks.cli.output import as_json, show
from hooks.cli.service import settings_of
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.forge_choice import GITHUB_API, GitHubConnection, read_forge_choice

_LARGEST = 64 * 1024  # bytes of a key or token


@click.group()
def github() -> None:
    """Connections to GitHub, or to a GitHub Enterprise."""


@github.command()
@click.argument("name")
@click.option("--url", default=GITHUB_API, show_default=True, help="The REST API.")
@click.option("--app", type=int, default=0, help="The App's number (App ID).")
@click.option("--installation", type=int, default=0, help="The number of its installation.")
@click.option("--key-file", metavar="FILE", help="The App's private key, as GitHub gave it (.pem).")
@click.option("--token-file", metavar="FILE", help="A token instead of an App; - for the input.")
@click.pass_context
def connect(ctx: click.Context, /, name: str, **given: Any) -> None:
    """Keep the key or token of the connection NAME sealed, and say what to put into waas.yaml."""
    from hooks.forges.github.connection import check_key, check_token

    settings = settings_of(ctx)
    is_app = bool(given["app"] or given["installation"])
    if bool(given["key_file"]) == bool(given["token_file"]) or is_app != bool(given["key_file"]):
        raise EntryError(
            "give either an App or a token",
            hint="--app N --installation N --key-file FILE, or --token-file FILE",
        )
    keys = {key: given[key] for key in ("app", "installation") if given[key]}
    keys |= {"url": given["url"]} if given["url"] != GITHUB_API else {}
    read_forge_choice(settings.home / "waas.yaml", {"github": {name: keys}})
    text = _read(given["key_file"] or given["token_file"])
    checked = check_key(text, name) if is_app else check_token(text, name)
    EncryptedFiles(settings.secrets).put(GitHubConnection(name).credential, checked)
    click.echo(f"the credential of {name} is sealed; in waas.yaml there must be:", err=True)
    example = {"github": "OWNER/workflow-registry", "connection": name}
    lines = {"github": {name: keys}, "repositories": {"workflow-registry": example}}
    click.echo(yaml.safe_dump(lines, sort_keys=False), nl=False)
    click.echo("next: `waas github check`", err=True)


def _read(name: str) -> str:
    """A small file, or the input. Nothing of it is shown."""
    if name == "-" and sys.stdin.isatty():
        typed: str = click.prompt("token", hide_input=True)
        return typed.strip()
    try:
        if name == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_LARGEST + 1)
        text = data.decode("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not a text") from None
    except ValueError:
        raise SettingsError(f"{name!r} cannot be the name of a file") from None
    if len(data) > _LARGEST:
        raise SettingsError(f"{name} is too long to be a key or token")
    return text


@github.command()
@as_json
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> int:
    """Whether each connection can do what it is needed for, and what to change if not."""
    from hooks.forges.github.check import check as check_connection
    from hooks.forges.github.connection import Connection

    settings = settings_of(ctx)
    store = EncryptedFiles(settings.secrets)
    slugs: dict[GitHubConnection, list[str]] = {}
    for hosted in settings.forges.hosted.values():
        slugs.setdefault(hosted.connection, []).append(hosted.slug)
    lines = [
        line
        for connection, wanted in slugs.items()
        for line in check_connection(Connection(connection, store.read), wanted)
    ]
    columns = ["connection", "what", "state", "told", "hint"]
    rows = [{**asdict(one), "state": "PASSED" if one.well else "FAILED"} for one in lines]
    show(rows, columns, json_wanted=as_json)
    return 0 if all(one.well for one in lines) else 1
