"""``waas github``: credentials are sealed, and a connection says what it lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from app_credentials import TOKEN, fresh, private_key
from click.testing import CliRunner
from scripted_http import Answer, Scripted, serving

from ci.errors import EntryError, SettingsError, WaasError
from hooks.cli.main import waas
from hooks.credentials.encrypted_file import EncryptedFiles

SLUG = "lab/registry"


@pytest.fixture
def store(tmp_path: Path) -> EncryptedFiles:
    (tmp_path / "waas.yaml").write_text("database: sqlite:///waas.db\n")
    return EncryptedFiles.init(tmp_path / "secrets")


@pytest.fixture
def run(tmp_path: Path):
    def call(*words: str, text: str = ""):
        argv = ["--config", str(tmp_path / "waas.yaml"), "github", *words]
        return CliRunner().invoke(waas, argv, input=text, standalone_mode=False)

    return call


@pytest.fixture
def github() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.on("POST /app/installations/9/access_tokens", fresh("ghs_first"))
        scripted.on("GET /app", Answer(body={"slug": "waas"}))
        scripted.on("GET /user", Answer(body={"login": "ada"}))
        core = {"remaining": 4990, "limit": 5000}
        scripted.on("GET /rate_limit", Answer(body={"resources": {"core": core}}))
        facts = {"full_name": SLUG, "default_branch": "main", "permissions": {"push": True}}
        scripted.on(f"GET /repos/{SLUG}", Answer(body=facts))
        yield scripted


def test_an_app_s_key_is_sealed_and_the_settings_are_shown(store, run, tmp_path):
    key = tmp_path / "app.pem"
    key.write_text(private_key())
    said = run("connect", "public", "--app", "7", "--installation", "9", "--key-file", str(key))
    assert said.exception is None
    assert store.read("github-public").strip() == private_key().strip()
    assert "PRIVATE" not in said.output
    shown = yaml.safe_load(said.stdout)
    assert shown["github"] == {"public": {"app": 7, "installation": 9}}


def test_a_token_comes_from_the_input_and_is_not_shown(store, run):
    said = run("connect", "ours", "--url", "https://gh.example.org/api/v3", "--token-file", "-",
               text=f"{TOKEN}\n")  # fmt: skip
    assert store.read("github-ours") == TOKEN
    assert TOKEN not in said.output
    assert yaml.safe_load(said.stdout)["github"]["ours"]["url"] == "https://gh.example.org/api/v3"


@pytest.mark.parametrize(
    ("words", "text", "kind"),
    [
        ((), "", EntryError),
        (("--token-file", "-", "--key-file", "x"), "", EntryError),
        (("--app", "7", "--token-file", "-"), TOKEN, EntryError),
        (("--app", "7", "--key-file", "x"), "", SettingsError),
        (("--token-file", "nowhere"), "", SettingsError),
        (("--token-file", "-"), "x" * 70_000, SettingsError),
        (("--token-file", "-"), "two words here", SettingsError),
        (("--url", "http://gh.example.org", "--token-file", "-"), TOKEN, SettingsError),
    ],
)
def test_what_cannot_be_a_connection_is_a_sentence(store, run, words, text, kind):
    said = run("connect", "ours", *words, text=text)
    assert type(said.exception) is kind
    assert isinstance(said.exception, WaasError)
    assert store.list() == []


def hosted(tmp_path: Path, github: Scripted, **connection: Any) -> None:
    settings = {
        "database": "sqlite:///waas.db",
        "repositories": {
            "workflow-registry": {"github": SLUG, "connection": "public"},
            "software-catalog": "git/software-catalog.git",
        },
        "github": {"public": {"url": github.url, **connection}},
    }
    (tmp_path / "waas.yaml").write_text(yaml.safe_dump(settings))


def installation(**changes: Any) -> Answer:
    levels = {"checks": "write", "contents": "read", "deployments": "write", "issues": "write",
              "metadata": "read", "pull_requests": "write"}  # fmt: skip
    events = ["issue_comment", "pull_request", "push"]
    return Answer(body={"permissions": levels, "events": events, "suspended_at": None} | changes)


def test_an_app_that_can_do_all_is_well(store, run, github, tmp_path):
    hosted(tmp_path, github, app=7, installation=9)
    store.put("github-public", private_key())
    github.on("GET /app/installations/9", installation())
    said = run("check", "--json")
    rows = {row["what"]: row for row in json.loads(said.stdout)}
    assert said.return_value == 0
    assert {row["state"] for row in rows.values()} == {"PASSED"}
    assert rows["who"]["told"] == "waas[bot]"
    assert "4990 of 5000" in rows["rate limit"]["told"]


def test_what_an_app_lacks_is_told_with_what_to_do(store, run, github, tmp_path):
    hosted(tmp_path, github, app=7, installation=9)
    store.put("github-public", private_key())
    github.on(
        "GET /app/installations/9",
        installation(permissions={"metadata": "read", "checks": "read", "issues": "admin"},
                     events=["push"]),
    )  # fmt: skip
    github.on(f"GET /repos/{SLUG}", Answer(404, {"message": "Not Found"}))
    said = run("check", "--json")
    assert said.return_value == 1
    failed = {r["what"]: r["hint"] for r in json.loads(said.stdout) if r["state"] == "FAILED"}
    assert "set it to write" in failed["permission checks"]
    assert "permission issues" not in failed
    assert {"permission contents", "event pull_request", SLUG} <= set(failed)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"full_name": "lab/new"}, "lab/new"),
        ({"default_branch": "master"}, "default branch"),
        ({"permissions": {"push": False}}, "read only"),
    ],
)
def test_a_token_s_repository_is_looked_at(store, run, github, tmp_path, facts, told):
    hosted(tmp_path, github)
    store.put("github-public", TOKEN)
    whole = {"full_name": SLUG, "default_branch": "main", "permissions": {"push": True}}
    github.on(f"GET /repos/{SLUG}", Answer(body=whole | facts))
    said = run("check")
    assert said.return_value == 1
    assert told in said.output


def test_a_refused_token_is_a_row_and_not_an_end(store, run, github, tmp_path):
    hosted(tmp_path, github)
    store.put("github-public", TOKEN)
    for path in ("/user", "/rate_limit", f"/repos/{SLUG}"):
        github.on(f"GET {path}", Answer(401, {"message": "Bad credentials"}))
    said = run("check", "--json")
    assert [row["state"] for row in json.loads(said.stdout)] == ["FAILED"] * 3
    assert TOKEN not in said.output
