"""``waas deploy | rollback | undeploy`` and the API behind them, on a real service and site."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from doubles.github import running
from front_door import SLUG, World, workflow

from hooks.db import Database
from hooks.tokens import Tokens

pytestmark = pytest.mark.xdist_group("requests")


class Operator(World):
    """The world, with an operator at a terminal, and a user."""

    def __init__(self, folder: Path, double: Any) -> None:
        super().__init__(folder, double, haste=1.0)
        tokens = Tokens(Database(self.settings.database))
        self.tokens = {r: tokens.create(r, r)[1] for r in ("operator", "user")}
        self.commits: dict[str, str] = {}

    def waas(self, *arguments: str, who: str = "operator") -> subprocess.CompletedProcess[str]:
        access = {"HW_API_URL": self.settings.url, "HW_ACCESS_TOKEN": self.tokens[who]}
        return subprocess.run(
            [sys.executable, "-m", "hooks.cli.main", *arguments],
            env={**os.environ, **access},
            capture_output=True,
            text=True,
            timeout=90,
        )

    def post(self, path: str, body: Any = None, who: str = "operator", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} | more.pop("headers", {})
        url = f"{self.settings.url}{path}"
        return requests.post(url, json=body, headers=headers, timeout=30, **more)

    def on_main(self, files: dict[str, str]) -> str:
        commit: str = self.double.push(SLUG, "main", "lab", files)
        return commit

    def publish(self, name: str, version: str) -> str:
        commit = self.on_main(workflow(name, version))
        self.until(lambda: self.current(name) == commit, f"{name} {version}")
        self.until(lambda: self.deployment(name)["state"] == "ACTIVE", "recorded")
        return commit

    def settled(self, commit: str) -> None:
        """Main at this commit was looked at, and what follows from it was done."""
        marker = self.publish(f"marker-{commit[:7]}", "1")
        assert marker


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any) -> Iterator[Operator]:
    folder: Path = tmp_path_factory.mktemp("requests")
    with running(folder / "double") as double:
        made = Operator(folder, double)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def test_back_and_forth_by_the_command_line(world):
    first, second = world.publish("waves", "1"), world.publish("waves", "2")
    done = world.waas("rollback", "waves", "--site", "here")
    assert (done.returncode, done.stderr) == (0, "")
    assert "waves goes back on here" in done.stdout
    assert world.current("waves") == first
    done = world.waas("deploy", "waves", "--site", "here")
    assert done.returncode == 0, done.stderr
    assert "waves@here: active" in done.stdout
    assert world.current("waves") == second
    done = world.waas("deploy", "waves", "--site", "here", "--commit", first[:10])
    assert done.returncode == 0, done.stderr
    assert world.current("waves") == first
    done = world.waas("rollback", "waves", "--site", "here", "--to", second[:10])
    assert done.returncode == 0, done.stderr
    assert world.current("waves") == second


def test_a_rollback_holds_until_main_changes_the_workflow(world):
    first = world.publish("tides", "1")
    world.publish("tides", "2")
    assert world.waas("rollback", "tides", "--site", "here").returncode == 0
    world.settled(world.on_main({"README.md": "something else"}))
    assert world.current("tides") == first
    third = world.publish("tides", "3")
    assert world.current("tides") == third


def test_what_was_removed_comes_back_with_a_change_or_on_request(world):
    world.publish("calm", "1")
    done = world.waas("undeploy", "calm", "--site", "here")
    assert done.returncode == 0, done.stderr
    assert world.current("calm") == ""
    assert world.deployment("calm")["state"] == "REMOVED"
    world.settled(world.on_main({"README.md": "another thing"}))
    assert world.current("calm") == ""
    done = world.waas("undeploy", "calm", "--site", "here")
    assert done.returncode != 0
    assert "calm is not deployed to here" in done.stderr
    assert world.waas("deploy", "calm", "--site", "here").returncode == 0
    assert world.current("calm")
    assert world.waas("undeploy", "calm", "--site", "here").returncode == 0
    world.publish("calm", "2")


def test_what_cannot_be_done_says_why_and_what_serves_serves_on(world):
    commit = world.publish("foam", "1")
    for arguments, told in (
        (("deploy", "foam", "--site", "heer"), "foam@heer"),
        (("deploy", "nothing", "--site", "here"), "nothing"),
        (("deploy", "foam", "--site", "here", "--commit", "0" * 40), "0000"),
        (("deploy", "foam", "--site", "here", "--commit", "no such"), "no such"),
        (("rollback", "foam", "--site", "here"), "version"),
        (("rollback", "foam", "--site", "here", "--to", "deadbeef"), "deadbeef"),
        (("undeploy", "never", "--site", "here"), "not deployed"),
    ):
        done = world.waas(*arguments)
        assert done.returncode != 0, (arguments, done.stdout)
        assert told in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert world.current("foam") == commit


def test_no_wait_only_asks(world):
    world.publish("still", "1")
    done = world.waas("undeploy", "still", "--site", "here", "--no-wait")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    world.until(lambda: world.current("still") == "", "removed")


def test_a_request_survives_the_service_and_is_followed_meanwhile(world):
    first = world.publish("storm", "1")
    world.publish("storm", "2")
    asked = world.post("/deployments/storm@here/rollback", {})
    assert asked.status_code == 202, asked.text
    world.kill()
    world.start()
    path = f"/deployment-requests/{asked.json()['request']}"
    world.until(lambda: world.get(path)["state"] == "DONE", "done", shown=lambda: world.get(path))
    assert world.current("storm") == first


def test_two_at_once_end_as_one_of_them_wanted(world):
    first, second = world.publish("race", "1"), world.publish("race", "2")
    paths = []
    for commit in (first, second) * 3:
        asked = world.post("/deployments/race@here/deploy", {"commit": commit})
        paths.append(f"/deployment-requests/{asked.json()['request']}")
    for path in paths:
        world.until(lambda path=path: world.get(path)["state"] != "RUNNING", "ended")
    assert world.current("race") in {first, second}
    assert world.deployment("race")["state"] == "ACTIVE"
    assert world.deployment("race")["active"] == world.current("race")


def test_only_operators_and_only_from_where_they_are(world):
    world.publish("mine", "1")
    path = "/deployments/mine@here/undeploy"
    assert requests.post(f"{world.settings.url}{path}", json={}, timeout=10).status_code == 401
    assert world.post(path, {}, who="user").status_code == 403
    assert world.waas("undeploy", "mine", "--site", "here", who="user").returncode != 0
    cross = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = requests.post(
        f"{world.settings.url}{path}", json={}, headers=cross, timeout=10,
        auth=("operator", world.tokens["operator"]),
    )  # fmt: skip
    assert answer.status_code == 403
    assert world.current("mine")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/deployments/mine@nowhere/deploy", {}, 404),
        ("/deployments/mine/deploy", {}, 404),
        ("/deployments/mine@here/explode", {}, 400),
        ("/deployments/mine@here/deploy", {"commit": 3}, 400),
        ("/deployments/mine@here/deploy", [1], 400),
        ("/deployments/mine@here/undeploy", {"force": "yes"}, 400),
        ("/deployments/a+b+c@here/deploy", {}, 400),
        ("/deployments/%2e%2e@here/rollback", {}, 404),
    ],
)
def test_nonsense_is_refused_with_a_sentence(world, path, body, status):
    answer = world.post(path, body)
    assert answer.status_code in {status, 404}, answer.text
    assert len(answer.json()["error"]) > 5


def test_a_request_that_is_not_known_is_not_followed_for_ever(world):
    url = f"{world.settings.url}/deployment-requests/{'0' * 16}"
    answer = world.session.get(url, timeout=10)
    assert answer.status_code == 404
    assert "no request" in answer.json()["error"]
