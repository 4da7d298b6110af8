"""``waas workflows | executions | ssh_keys``: the user's side, over the REST API.

Words and options are those of the public ``waas`` of HPCWaaS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from ci.errors import EntryError
from hooks.cli.client import Client, client_of
from hooks.cli.output import as_json, coloured, show

FINAL = {"SUCCESS", "FAILED", "CANCELLED"}


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its client, and the options that describe it."""

    @click.option("--api_url", metavar="URL", help="Where the service answers ($HW_API_URL).")
    @click.option("-t", "--access_token", metavar="TOKEN", help="Your token ($HW_ACCESS_TOKEN).")
    @click.pass_context
    @wraps(command)
    def wrapper(
        ctx: click.Context, /, api_url: str | None, access_token: str | None, **options: Any
    ) -> Any:
        return command(client_of(ctx, api_url, access_token), **options)

    return wrapper


@click.group()
def workflows() -> None:
    """List workflows and run them."""


@workflows.command("list")
@as_json
@with_client
def list_workflows(client: Client, as_json: bool) -> None:
    """The workflows that you can run."""
    found = client.json("GET", "/workflows")["workflows"]
    show(found, ["id", "name", "environment_name"], json_wanted=as_json)


@workflows.command()
@click.argument("workflow", metavar="ID")
@click.option("-i", "--input", "inputs", multiple=True, metavar="NAME=VALUE", help="An input.")
@click.option("-f", "--follow", is_flag=True, help="Follow it to its end.")
@click.option("--key", metavar="TEXT", help="Idempotency key: the same key runs once.")
@with_client
def trigger(
    client: Client, workflow: str, inputs: tuple[str, ...], follow: bool, key: str | None
) -> None:
    """Run a workflow; prints the execution's id."""
    headers = {"Idempotency-Key": key} if key else {}
    body = {"inputs": dict(_input(text) for text in inputs)}
    execution = client.json("POST", f"/workflows/{workflow}", json=body, headers=headers)
    click.echo(execution["id"])
    if follow:
        _follow(client, execution["id"])


def _input(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise EntryError(f"-i {text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@click.group()
def executions() -> None:
    """Follow, cancel and read your executions."""


@executions.command("list")
@as_json
@with_client
def list_executions(client: Client, as_json: bool) -> None:
    """Your executions, newest first."""
    found = client.json("GET", "/executions")["executions"]
    show(found, ["id", "workflow", "status", "created", "message"], json_wanted=as_json)


@executions.command()
@click.argument("execution", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Wait for its end.")
@as_json
@with_client
def status(client: Client, execution: str, follow: bool, as_json: bool) -> None:
    """Where an execution is; exit 1 if it failed."""
    found = client.json("GET", f"/executions/{execution}")
    while follow and found["status"] not in FINAL:
        time.sleep(1.0)
        found = client.json("GET", f"/executions/{execution}")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(
            coloured(found["status"]) + (f": {found['message']}" if found["message"] else "")
        )
        show(found["jobs"], ["operation", "native_id", "state", "exit_code"], json_wanted=False)
    if found["status"] == "FAILED":
        raise click.exceptions.Exit(1)


@executions.command()
@click.argument("execution", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until its end.")
@with_client
def logs(client: Client, execution: str, follow: bool) -> None:
    """The log of an execution."""
    if follow:
        _follow(client, execution)
        return
    answer = client.json("GET", f"/executions/{execution}/logs", params={"timeout": "0s"})
    _print_lines(answer)


def _print_lines(answer: dict[str, Any]) -> int:
    for line in answer["logs"]:
        click.echo(f"{line['timestamp'][11:19]}  {line['content']}")
    return len(answer["logs"])


def _follow(client: Client, execution: str) -> None:
    start = 0
    while True:
        final = client.json("GET", f"/executions/{execution}")
        params: dict[str, Any] = {"from": start, "timeout": "20s"}
        start += _print_lines(client.json("GET", f"/executions/{execution}/logs", params=params))
        if final["status"] in FINAL:
            break
    reason = f": {final['message']}" if final["message"] else ""
    click.echo(coloured(final["status"]) + reason)
    if final["status"] != "SUCCESS":
        raise click.exceptions.Exit(1)


@executions.command()
@click.argument("execution", metavar="ID")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Download into this folder.")
@as_json
@with_client
def outputs(client: Client, execution: str, output: Path | None, as_json: bool) -> None:
    """The results of an execution; downloads them with -o."""
    found = client.json("GET", f"/executions/{execution}")["outputs"]
    if output is None:
        rows = [{"name": n, "url": u} for n, u in found.items()]
        show(rows, ["name", "url"], json_wanted=as_json)
        return
    output.mkdir(parents=True, exist_ok=True)
    for url in found.values():
        target = output / Path(url).name
        target.write_bytes(client.call("GET", url).content)
        click.echo(target)


@executions.command()
@click.argument("execution", metavar="ID")
@with_client
def cancel(client: Client, execution: str) -> None:
    """Cancel an execution and its jobs."""
    client.call("DELETE", f"/executions/{execution}")
    click.echo("cancelling")


@click.group("ssh_keys")
def ssh_keys() -> None:
    """Your SSH keys for the clusters; the private half never leaves the service."""


@ssh_keys.command("key-gen")
@click.option("-m", "--metadata", multiple=True, metavar="NAME=VALUE", help="A note on the key.")
@as_json
@with_client
def key_gen(client: Client, metadata: tuple[str, ...], as_json: bool) -> None:
    """Make a key pair; add the public key to ~/.ssh/authorized_keys on the cluster."""
    body = {"metadata": dict(_input(text) for text in metadata)}
    key = client.json("POST", "/ssh_keys", json=body)
    if as_json:
        click.echo(json.dumps(key))
        return
    click.echo(f"id (vault_id): {key['id']}\n{key['public_key']}")


@ssh_keys.command("list")
@as_json
@with_client
def list_keys(client: Client, as_json: bool) -> None:
    """Your keys."""
    found = client.json("GET", "/ssh_keys")["ssh_keys"]
    show(found, ["id", "public_key"], json_wanted=as_json)


@ssh_keys.command()
@click.argument("key", metavar="ID")
@with_client
def revoke(client: Client, key: str) -> None:
    """Forget a key pair; remove its public key from the cluster too."""
    client.call("DELETE", f"/ssh_keys/{key}")
    click.echo("revoked; remove the public key from ~/.ssh/authorized_keys on the cluster")
