"""``waas webhooks``: secrets are shown only when they are asked for."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ci.errors import SettingsError
from hooks.cli.main import waas
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import WebhookSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> WebhookSecrets:
    (tmp_path / "waas.yaml").write_text("database: sqlite:///waas.db\n")
    made = WebhookSecrets(EncryptedFiles.init(tmp_path / "secrets"), tmp_path / "secrets")
    made.make()
    return made


@pytest.fixture
def run(tmp_path: Path):
    def call(*words: str) -> Result:
        argv = ["--config", str(tmp_path / "waas.yaml"), "webhooks", *words]
        return CliRunner().invoke(waas, argv)

    return call


def test_a_secret_is_changed_without_being_shown_but_by_its_own_command(secrets, run):
    old = secrets.current("github")
    assert run("secret", "github").stdout == f"{old}\n"
    said = run("rotate", "github").output
    new = secrets.current("github")
    assert new != old
    said += run("status").output + run("status", "--json").output + run("retire", "github").output
    assert old not in said
    assert new not in said
    assert "retire github" in said
    assert "holds no more" in said
    assert "no previous" in run("retire", "github").output


def test_the_status_says_what_holds(secrets, run):
    run("rotate", "git")
    rows = json.loads(run("status", "--json").stdout)
    assert [(row["source"], row["holds"]) for row in rows] == [
        ("github", "current"),
        ("git", "current"),
        ("git", "previous"),
    ]
    assert all(row["made"] and row["used"] == "" for row in rows)


def test_a_home_without_secrets_is_told_what_to_do(tmp_path, run):
    (tmp_path / "waas.yaml").write_text("{}\n")
    EncryptedFiles.init(tmp_path / "secrets")
    result = run("status")
    assert isinstance(result.exception, SettingsError)
    assert "waas init" in result.exception.hint


def test_only_sources_that_there_are(secrets, run):
    assert run("rotate", "gitlab").exit_code == 2
