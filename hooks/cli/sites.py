"""``waas sites | deployments | deploy``: the operator's view of the clusters."""

from __future__ import annotations

import click

from ci.errors import WaasError
from hooks.cli.output import as_json, coloured, show
from hooks.cli.service import settings_of


@click.group()
def sites() -> None:
    """The sites: list them, check that they can be used."""


@sites.command("list")
@as_json
@click.pass_context
def list_sites(ctx: click.Context, as_json: bool) -> None:
    """The sites that ``sites/*.yaml`` describes."""
    from hooks.sites.directory import SiteDirectory

    rows = [
        {
            "name": s.name,
            "host": f"{s.transport.host}:{s.transport.port}",
            "queue": s.queue.kind,
            "platform": s.target.platform,
            "microarchitecture": s.target.microarchitecture,
            "title": s.title,
        }
        for s in SiteDirectory(settings_of(ctx).sites).all()
    ]
    columns = ["name", "host", "queue", "platform", "microarchitecture", "title"]
    show(rows, columns, json_wanted=as_json)


@sites.command()
@click.argument("name", required=False)
@click.pass_context
def check(ctx: click.Context, name: str | None) -> None:
    """Log in as the deploying user and look for what jobs need; exit 1 if something is missing."""
    from builder.targets import check as check_target
    from hooks.credentials.encrypted_file import EncryptedFiles
    from hooks.sites.check import check_site
    from hooks.sites.connections import Connections
    from hooks.sites.directory import SiteDirectory

    settings = settings_of(ctx)
    directory = SiteDirectory(settings.sites)
    connections = Connections(EncryptedFiles.init(settings.secrets).read)
    wrong = 0
    chosen = [directory.get(name)] if name else directory.all()
    if not chosen:
        click.echo(f"no sites yet: describe one in {settings.sites}/NAME.yaml (docs/sites.md)")
    for site in chosen:
        try:
            check_target(site.target)
            problems = check_site(site, connections.to(site))
        except WaasError as error:
            problems = [str(error)]
        wrong += bool(problems)
        click.echo(f"{site.name}: {coloured('FAILED') if problems else 'ready'}")
        for problem in problems:
            click.echo(f"  {problem}")
    connections.close()
    if wrong:
        raise click.exceptions.Exit(1)


@click.group()
def deployments() -> None:
    """Which workflow is in place where."""


@deployments.command("list")
@as_json
@click.pass_context
def list_deployments(ctx: click.Context, as_json: bool) -> None:
    """Each workflow at each site."""
    from hooks.cli.records import deployment_rows

    rows = deployment_rows(settings_of(ctx))
    shown = [{**row, "active": row["active"][:10]} for row in rows]
    columns = ["workflow", "site", "state", "active", "message"]
    show(rows if as_json else shown, columns, json_wanted=as_json)


@sites.command()
@click.argument("name")
@click.pass_context
def key(ctx: click.Context, name: str) -> None:
    """Print the deploying login's public key for a site; it is made at first."""
    from hooks.credentials.encrypted_file import EncryptedFiles
    from hooks.credentials.ssh_keys import make_key_pair, public_key
    from hooks.sites.directory import SiteDirectory

    settings = settings_of(ctx)
    site = SiteDirectory(settings.sites).get(name)
    store = EncryptedFiles.init(settings.secrets)
    credential, comment = site.transport.credential, f"hpcwaas deploys to {name}"
    if credential in store.list():
        click.echo(public_key(store, credential, comment))
    else:
        click.echo(make_key_pair(store, credential, comment))
