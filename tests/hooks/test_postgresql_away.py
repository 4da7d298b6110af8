"""A service on PostgreSQL, which goes away and comes back while two processes work on it.

What comes in meanwhile is answered 503 and is found afterwards; nobody takes over from the living.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from doubles.github import running
from front_door import SLUG, World, workflow

from hooks import home
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.db import Database
from hooks.testbed.postgresql import Postgresql
from hooks.tokens import Tokens

pytestmark = pytest.mark.xdist_group("github")


@pytest.fixture
def world(own_postgresql: Postgresql, tmp_path: Path) -> Iterator[World]:
    with running(tmp_path / "double") as double:
        made = World(tmp_path, double, haste=1.0)
        config = made.settings.home / "waas.yaml"
        values = yaml.safe_load(config.read_text())
        config.write_text(yaml.safe_dump(values | {"database": own_postgresql.url()}))
        made.settings = home.make(made.settings.home)
        token = Tokens(Database(made.settings.database)).create("root", "operator")[1]
        made.session.headers["Authorization"] = f"Bearer {token}"
        double.give(SLUG, "maria", "maintain")
        double.give(SLUG, "ada", "write")
        try:
            made.spawn("two")
            made.start()
            made.until(lambda: '"working"' in made.log("two").read_text(), "the other works")
            yield made
        finally:
            made.stop()


@pytest.fixture
def deliver(world: World) -> Any:
    """Send a signed delivery of a plain git server by its id."""
    secret = WebhookSecrets(EncryptedFiles(world.settings.secrets), world.settings.secrets)

    def send(name: str) -> requests.Response:
        body = json.dumps({"repository": "elsewhere", "ref": "refs/heads/x"}).encode()
        made = hmac.new(secret.current("git").encode(), body, hashlib.sha256).hexdigest()
        signed = {"X-Delivery": name, "X-Hub-Signature-256": f"sha256={made}"}
        return world.session.post(
            f"{world.settings.url}/webhooks/git", body, headers=signed, timeout=60
        )

    return send


def opened(world: World, name: str) -> int:
    number: int = world.double.open_pull(SLUG, name, f"Add {name}", "ada", files=workflow(name))
    return number


def fate(world: World, name: str) -> str:
    found: str = world.get(f"/deliveries/{name}")["state"]
    return found


def test_the_whole_path_and_outages_in_it(world, own_postgresql, deliver):
    server = own_postgresql
    first = opened(world, "waves")
    assert world.judged(first) == "success"
    world.until(lambda: world.pull(first)["checks"].get("waas / build here") == "success", "built")
    alive = {name: process.pid for name, process in world.processes.items()}
    for number, end in enumerate((server.kill, server.stop)):
        before = opened(world, f"before-{number}")  # in the middle of its work
        end()
        refused = deliver(f"d{number}")
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
        assert world.session.get(f"{world.settings.url}/healthz", timeout=60).status_code == 503
        assert world.session.get(f"{world.settings.url}/deployments").status_code == 503
        meanwhile = opened(world, f"meanwhile-{number}")
        server.start()
        world.until(world.answers, "the database is back")
        assert deliver(f"d{number}").json()["stored"] is True
        assert deliver(f"d{number}").json()["stored"] is False
        assert {world.judged(pull) for pull in (before, meanwhile)} == {"success"}
        world.until(lambda name=f"d{number}": fate(world, name) == "IGNORED", "handled")
    merged = world.double.merge(SLUG, first, "maria")
    world.until(lambda: world.current("waves") == merged, "deployed")
    world.until(lambda: world.deployment("waves")["state"] == "ACTIVE", "recorded")
    for name, process in world.processes.items():
        assert (process.poll(), process.pid) == (None, alive[name])
        told = world.log(name).read_text()
        assert "taking over" not in told
        assert "a defect of ours" not in told
        assert "Exception encountered in background workflow" not in told
    world.until(lambda: len(world.built()) >= 5, "all are built")
    assert len(world.built()) == len({tuple(line.split()[1:]) for line in world.built()})
