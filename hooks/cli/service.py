"""``waas init | serve | work | tokens``: the service and its operator."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from hooks import config, logs
from hooks.cli.output import as_json, show


def settings_of(ctx: click.Context) -> config.Settings:
    """The settings that ``--config`` and the environment name."""
    return config.load(config.find_config(ctx.obj.get("config")))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--listen", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT")
def init(folder: Path, listen: str) -> None:
    """Make a service home: settings, both repositories with their hooks, database, secrets."""
    from hooks import home

    settings = home.make(folder, listen=listen)
    click.echo(f"service home: {settings.home}")
    for name, repository in settings.repositories.items():
        click.echo(f"  {name}: git clone {repository}")
    click.echo("next: describe your sites in sites/*.yaml, then run")
    click.echo(f"  waas --config {settings.home / 'waas.yaml'} serve")


@click.command()
@click.option("--log-file", type=click.Path(path_type=Path), help="Log here, not to stderr.")
@click.pass_context
def serve(ctx: click.Context, log_file: Path | None) -> None:
    """Run the web application and one worker."""
    from hooks.web import application
    from hooks.web.server import make_server
    from hooks.wiring import wire, worker_of

    settings = settings_of(ctx)
    logs.configure(log_file)
    waas = wire(settings)
    worker = worker_of(waas)
    # before anything is begun: the port may be taken
    server = make_server(application.create(waas), settings.host, settings.port)
    worker.start()
    _on_stop(sys.exit)  # the server's loop ends by it, whatever connections are open
    logging.getLogger(__name__).info("serving", extra={"url": settings.url})
    click.echo(f"serving {settings.url}", err=True)
    try:
        server.run()  # until we are asked to stop
    except Exception:
        worker.stop()
        raise
    _end(worker)


@click.command()
@click.option("--name", required=True, help="Unique among the workers of this database.")
@click.pass_context
def work(ctx: click.Context, name: str) -> None:
    """Run one more worker, here or on another machine with the same database."""
    from hooks.wiring import wire, worker_of

    logs.configure()
    worker = worker_of(wire(settings_of(ctx), worker=name))
    worker.start()
    logging.getLogger(__name__).info("working", extra={"worker": name})
    done = threading.Event()
    _on_stop(done.set)
    done.wait()
    _end(worker)


def _end(worker: Any) -> None:
    """End the process now. The interpreter would wait for the threads of flows, which may pause for
    half a minute and then find their engine gone; they go on at the next start, as after a kill.
    """
    worker.stop()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _on_stop(act: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: act())


@click.group()
def tokens() -> None:
    """API tokens. A token is shown once; only its hash is kept."""


def _tokens(ctx: click.Context) -> Any:
    from hooks.db import Database
    from hooks.tokens import Tokens

    database = Database(settings_of(ctx).database)
    database.check()
    return Tokens(database)


@tokens.command("create")
@click.argument("user")
@click.option("--role", default="user", show_default=True, help="user or operator")
@click.pass_context
def create_token(ctx: click.Context, user: str, role: str) -> None:
    """Make a token for USER and print it, this once."""
    name, token = _tokens(ctx).create(user, role)
    click.echo(f"token {name} of {user}; it is shown only now:", err=True)
    click.echo(token)


@tokens.command("list")
@as_json
@click.pass_context
def list_tokens(ctx: click.Context, as_json: bool) -> None:
    """All tokens, without the tokens themselves."""
    shown = ("id", "user", "role", "created_at", "revoked_at")
    rows = [{n: getattr(t, n) for n in shown} for t in _tokens(ctx).all()]
    show(rows, shown, json_wanted=as_json)


@tokens.command("revoke")
@click.argument("name", metavar="ID")
@click.pass_context
def revoke_token(ctx: click.Context, name: str) -> None:
    """End a token at once."""
    _tokens(ctx).revoke(name)
    click.echo(f"token {name} is revoked")
