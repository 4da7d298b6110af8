"""``waas deliveries``: over the database alone, and safe to print."""

import json
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ci.errors import EntryError
from hooks.cli.main import waas
from hooks.db import Database
from hooks.db.tables import now
from hooks.errors import NotFoundError
from hooks.inbox import ATTEMPTS, Inbox


def minutes():
    """A clock on which a minute goes by from look to look."""
    begin = now()
    return (begin + timedelta(minutes=number) for number in count(1)).__next__


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "waas.yaml").write_text("database: sqlite:///waas.db\n")
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    made = Inbox(database, clock=minutes())
    made.accept("good", "mailbox", "workflows", {"event": "push", "ref": "refs/heads/é\x1b[2J"})
    made.accept("bad", "github", "software", {"event": "pull_request"})

    def handler(repository, _):
        if repository == "software":
            raise EntryError("first line\nsecond \x1b]0;owned\x07line")
        return ""

    for _ in range(ATTEMPTS):
        made.handle_pending(handler)
    return made


@pytest.fixture
def run(tmp_path: Path, inbox: Inbox):
    def call(*words: str) -> Result:
        argv = ["--config", str(tmp_path / "waas.yaml"), "deliveries", *words]
        return CliRunner().invoke(waas, argv)

    return call


def listed(run, *words: str) -> list[str]:
    return [row["id"] for row in json.loads(run("list", "--json", *words).stdout)]


def test_the_list_is_narrowed(run):
    assert listed(run) == ["bad", "good"]
    assert listed(run, "--state", "failed") == listed(run, "--limit", "1") == ["bad"]
    assert listed(run, "--repository", "workflows") == ["good"]
    assert "first line" in run("list").stdout
    assert isinstance(run("list", "--state", "done").exception, EntryError)


def test_show_has_the_reason_in_full_and_the_event(run):
    text = run("show", "bad").stdout
    assert "first line" in text
    assert "second" in text
    assert '"event": "pull_request"' in text
    about = json.loads(run("show", "bad", "--json").stdout)
    assert about["event"] == {"event": "pull_request"}
    assert (about["state"], about["attempts"]) == ("FAILED", ATTEMPTS)
    assert about["handled"].endswith("Z")
    assert isinstance(run("show", "none").exception, NotFoundError)


def test_nothing_of_a_stranger_plays_with_the_terminal(run):
    for words in (["list"], ["show", "bad"], ["show", "good"]):
        text = run(*words).stdout
        assert "\x1b" not in text
        assert "\x07" not in text


def test_replay_of_some(run, inbox):
    assert "good will be handled again" in run("replay", "good", "bad").stdout
    seen = []
    inbox.handle_pending(lambda repository, _: seen.append(repository) or "")
    assert sorted(seen) == ["software", "workflows"]


def test_replay_of_what_waits_says_so(run):
    run("replay", "good")
    again = run("replay", "good")
    assert again.exit_code == 0
    assert "good waits already" in again.output


def test_replay_of_an_unknown_one_does_nothing(run):
    assert isinstance(run("replay", "good", "none").exception, NotFoundError)
    assert listed(run, "--state", "RECEIVED") == []


def test_replay_of_all_that_failed(run):
    assert "bad will be handled again" in run("replay", "--failed").stdout
    assert listed(run, "--state", "RECEIVED") == ["bad"]
    assert "no delivery was set aside" in run("replay", "--failed").stdout
    assert run("replay").exit_code == run("replay", "--failed", "bad").exit_code == 2
