"""``waas deploy | rollback | undeploy``: for operators, over the service's API."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import click

from ci.errors import EntryError, SiteError
from hooks.builds.harmless import harmless
from hooks.cli.client import Client, client_of

_POLL_SECONDS = 1.0
_PATIENCE = 60  # looks in vain

_workflow = click.argument("workflow")
_site = click.option("--site", required=True, metavar="SITE", help="Where.")
_wait = click.option("--wait/--no-wait", default=True, help="Follow it to its end.")


@click.command()
@_workflow
@_site
@click.option("--commit", default="", help="An earlier commit of main; else its newest.")
@_wait
@click.pass_context
def deploy(ctx: click.Context, workflow: str, site: str, commit: str, wait: bool) -> None:
    """Put main's version of WORKFLOW in place at a site, again or for the first time."""
    _ask(ctx, "deploy", f"{workflow}@{site}", {"commit": commit}, wait)


@click.command()
@_workflow
@_site
@click.option("--to", "commit", default="", help="A commit that is still on the site.")
@_wait
@click.pass_context
def rollback(ctx: click.Context, workflow: str, site: str, commit: str, wait: bool) -> None:
    """Go back to the version of WORKFLOW that was in place before."""
    _ask(ctx, "rollback", f"{workflow}@{site}", {"commit": commit}, wait)


@click.command()
@_workflow
@_site
@click.option("--force", is_flag=True, help="Although executions of it did not end yet.")
@_wait
@click.pass_context
def undeploy(ctx: click.Context, workflow: str, site: str, force: bool, wait: bool) -> None:
    """Remove WORKFLOW, with all its versions, from a site."""
    _ask(ctx, "undeploy", f"{workflow}@{site}", {"force": force}, wait)


def _ask(ctx: click.Context, action: str, name: str, body: dict[str, Any], wait: bool) -> None:
    client = client_of(ctx)
    path = f"/deployments/{quote(name, safe='@+')}"
    before = _message(client, path) if wait else ""
    answer = client.json("POST", f"{path}/{action}", json=body)
    click.echo(harmless(answer["message"]))
    if wait:
        ended = _follow(client, answer["request"], path, before)
        click.echo(f"{name}: {harmless(ended['message'])}")
        if ended["state"] == "FAILED":
            raise click.exceptions.Exit(1)


def _follow(client: Client, number: str, path: str, told: str) -> dict[str, Any]:
    """How the request ended; says meanwhile what it waits for, unless that was ``told`` before."""
    silent = 0
    while True:
        try:
            ended: dict[str, Any] = client.json("GET", f"/deployment-requests/{number}")
            if ended["state"] != "RUNNING":
                return ended
            message, silent = _message(client, path), 0
        except SiteError:  # the service is being restarted: the request is not lost by that
            message, silent = "the service does not answer", silent + 1
            if silent > _PATIENCE:
                raise
        if message and message != told:
            told = message
            click.echo(f"  {harmless(told)}")
        time.sleep(_POLL_SECONDS)


def _message(client: Client, path: str) -> str:
    try:
        return str(client.json("GET", path)["message"])
    except EntryError:  # it is deployed for the first time, and not recorded yet
        return ""
