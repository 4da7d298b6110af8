"""``waas builds``: over the database alone, and safe to print."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ci.target import Target
from hooks.builds.records import BuildRecords, subject
from hooks.builds.spec import Asker, BuildSpec
from hooks.cli.main import waas
from hooks.db import Database
from hooks.journal import Journal

ALICE = Asker.user("alice")


@pytest.fixture
def records(tmp_path: Path) -> BuildRecords:
    (tmp_path / "waas.yaml").write_text("database: sqlite:///waas.db\n")
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    return BuildRecords(database, Journal(database))


@pytest.fixture
def build(records: BuildRecords) -> str:
    spec = BuildSpec("rom", "solve", "c" * 40, "", Target(microarchitecture="zen3"), site="alpha")
    begun = records.begin(spec, "k" * 64, ALICE, force=False)
    assert begun
    return begun


@pytest.fixture
def run(tmp_path: Path):
    def call(*words: str) -> Result:
        argv = ["--config", str(tmp_path / "waas.yaml"), "builds", *words]
        return CliRunner().invoke(waas, argv)

    return call


def test_list_and_show(records, build, run):
    assert build in run("list").stdout
    assert build not in run("list", "--state", "failed").stdout
    [row] = json.loads(run("list", "--json", "--workflow", "rom").stdout)
    assert (row["id"], row["state"], row["site"]) == (build, "PENDING", "alpha")
    shown = run("show", build).stdout
    assert "microarchitecture=zen3" in shown
    assert "user:alice" in shown
    [about] = json.loads(run("show", build, "--json").stdout)
    assert about["target"]["microarchitecture"] == "zen3"


def test_a_log_cannot_play_with_the_terminal(records, build, run):
    line = "\x1b]0;owned\x07\x1b[2Jplain\u202e\x9b31m\ttab é"
    records.journal.write(subject(build), "k", line)
    records.fail(build, "bad \x1b[31m thing")
    for words in (["logs", build], ["logs", "-f", build], ["list"], ["show", build]):
        said = run(*words).stdout
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said), words
    assert "␛[2Jplain\\u202e\\u009b31m\ttab é" in run("logs", build).stdout


def test_following_ends_with_the_build_and_tells_how_it_ended(records, build, run):
    records.fail(build, "E: no package libfoo")
    done = run("logs", "-f", build)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "FAILED: E: no package libfoo"
    assert run("logs", build).exit_code == 0


def test_cancel_ends_it_for_all(records, build, run):
    assert f"build {build} is cancelled" in run("cancel", build).stdout
    assert records.get(build).message == "cancelled by the operator"
    assert "has ended already: CANCELLED" in run("cancel", build).stdout


def test_an_unknown_build_is_a_sentence(records, run):
    done = run("show", "none")
    assert "there is no build 'none'" in str(done.exception)
