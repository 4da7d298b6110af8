"""The command line as a person meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builder.supply.signers import read_signers_file
from hooks import home
from hooks.cli import output


def waas(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hooks.cli.main", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    home.make(tmp_path / "home")
    return tmp_path / "home"


def test_help_names_every_command_without_importing_any():
    done = waas("--help")
    assert done.returncode == 0
    for name in ("demo", "serve", "validate", "workflows", "executions", "ssh_keys"):
        assert name in done.stdout
    code = "import sys, hooks.cli.main as m; print([x for x in sys.modules if x in {heavy}])"
    heavy = {"sqlalchemy", "dbos", "flask", "paramiko", "rich", "requests", "yaml", "git"}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{heavy}", repr(heavy))],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["serve", "tokens list", "deliveries list", "sites list"])
def test_without_settings_the_sentence_says_what_to_do(command, tmp_path):
    done = waas("--config", str(tmp_path / "none.yaml"), *command.split())
    assert done.returncode == 2
    assert "no settings file" in done.stderr
    assert "waas init DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_token_the_sentence_says_where_to_get_one(monkeypatch):
    monkeypatch.delenv("HW_ACCESS_TOKEN", raising=False)
    done = waas("workflows", "list")
    assert done.returncode == 2
    assert "no access token given" in done.stderr


def test_without_a_service_the_sentence_names_it():
    done = waas("--api_url", "http://127.0.0.1:9", "-t", "x", "workflows", "list")
    assert done.returncode == 2
    assert "http://127.0.0.1:9 does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_may_stand_before_or_after_the_command():
    done = waas("workflows", "list", "--api_url", "http://127.0.0.1:9", "-t", "x")
    assert "http://127.0.0.1:9 does not answer" in done.stderr


def test_init_makes_a_home_and_again_changes_nothing(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    done = waas("init", str(folder))
    assert done.returncode == 0, done.stderr
    assert "git clone" in done.stdout
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    changed = {p for p in before if after.get(p) != before[p]}
    kept = {p for p in changed if "/hooks/" not in str(p) and not p.name.startswith("waas.db")}
    assert not kept


def test_secrets_of_a_home_are_for_its_owner_alone(folder):
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(p.stat().st_mode & 0o077 == 0 for p in (folder / "secrets").iterdir())
    assert (folder / "state" / "waas.db").stat().st_mode & 0o777 == 0o600


def test_a_token_is_shown_once(folder):
    config = ("--config", str(folder / "waas.yaml"))
    made = waas(*config, "tokens", "create", "ada")
    assert made.stdout.startswith("waas_")
    listed = waas(*config, "tokens", "list", "--json")
    [row] = json.loads(listed.stdout)
    assert row["user"] == "ada"
    assert made.stdout.strip() not in listed.stdout


def test_validate_says_where_and_how(tmp_path):
    bad = tmp_path / "wf" / "step"
    bad.mkdir(parents=True)
    (bad / "eflows4hpc.yaml").write_text("apt:\n  - python3\n  - Bad_Name!\n")
    done = waas("validate", str(tmp_path))
    assert done.returncode == 1
    assert "wf/step/eflows4hpc.yaml:3" in done.stdout
    found = json.loads(waas("validate", str(tmp_path), "--format", "json").stdout)
    assert {"findings", "summary", "affected"} == set(found)
    assert waas("validate", str(tmp_path / "none")).returncode == 2


def test_validate_judges_what_a_branch_would_change(tmp_path):
    def git(*words):
        name = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *name, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    old, new = (tmp_path / "registry" / name / "step" for name in ("old", "new"))
    old.mkdir(parents=True)
    (old / "eflows4hpc.yaml").write_text("spak: 1\n")
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "-m", "old")
    git("checkout", "--quiet", "-b", "topic")
    new.mkdir(parents=True)
    (new / "requirements.txt").write_text("numpy==2.0\n-r /etc/passwd\n")
    git("add", "--all")
    git("commit", "--quiet", "-m", "new")
    arguments = ("validate", str(tmp_path / "registry"), "--base", "main")
    done = waas(*arguments, "--format", "json")
    assert done.returncode == 1, done.stderr
    paths = {finding["path"] for finding in json.loads(done.stdout)["findings"]}
    assert paths == {"new", "new/step/requirements.txt"}
    placed = waas(*arguments, "--format", "github").stdout
    assert "file=registry/new/step/requirements.txt" in placed
    assert waas(*arguments, "--head", "none").returncode == 2
    assert "--base" in waas("validate", "--head", "x").stderr


def test_validate_refuses_what_is_no_registry(tmp_path):
    assert waas("validate", str(tmp_path)).returncode == 2
    seeds = home.seeds()
    done = waas("validate", str(seeds / "workflow-registry"), "--catalog", str(tmp_path))
    assert done.returncode == 2
    assert "is no Software Catalogue" in done.stderr


def test_validate_explains_a_rule():
    done = waas("validate", "--explain", "topology/cycle")
    assert done.returncode == 0
    assert "topology/cycle (error)" in done.stdout
    wrong = waas("validate", "--explain", "topology/cicle")
    assert wrong.returncode == 2
    assert "did you mean 'topology/cycle'?" in wrong.stderr


def test_the_workflows_that_come_with_it_are_clean():
    seeds = home.seeds()
    done = waas("validate", str(seeds / "workflow-registry"))
    assert done.returncode == 0, done.stdout
    assert waas("validate", str(seeds / "software-catalog")).returncode == 0


def test_a_recipe_for_a_target_given_by_hand():
    registry = str(home.seeds() / "workflow-registry")
    step, target = "minimal_workflow/wordcount", "platform=linux/amd64,microarchitecture=zen3"
    done = waas("recipe", step, "--target", target, "--registry", registry)
    assert done.returncode == 0, done.stderr
    assert "FROM base" in done.stdout
    done = waas("recipe", step, "--target", "microarchitecture=zen33", "--registry", registry)
    assert done.returncode == 2
    assert "zen3" in done.stderr


def test_the_key_that_signs_images_is_changed_by_a_command(folder):
    config, signers = ("--config", str(folder / "waas.yaml")), folder / "allowed_signers"
    before = signers.read_text()
    done = waas(*config, "images", "rotate-key")
    assert done.returncode == 0, done.stderr
    assert signers.read_text().startswith(before)
    assert signers.read_text().count("ssh-ed25519") == 2
    assert read_signers_file(signers)[1].fingerprint in done.stdout
    for secret in (folder / "secrets").glob("image-signing*"):
        secret.unlink()
    done = waas(*config, "images", "rotate-key")
    assert done.returncode == 2
    assert "waas init DIR" in done.stderr


def test_an_error_in_a_file_says_where(tmp_path):
    step = tmp_path / "w" / "s"
    step.mkdir(parents=True)
    (step / "eflows4hpc.yaml").write_text("apt: []\natp: []\n")
    target = ("--target", "microarchitecture=zen3")
    done = waas("recipe", "w/s", *target, "--registry", str(tmp_path))
    assert done.returncode == 2
    assert "w/s/eflows4hpc.yaml:2:1: unknown key 'atp'" in done.stderr


def test_a_table_fits_its_terminal_and_is_whole_for_programs(capsys, monkeypatch):
    rows = [{"id": "a", "why": "long " * 40}]
    output.show(rows, ["id", "why"], json_wanted=False)
    assert capsys.readouterr().out.count("long") == 40
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    output.show(rows, ["id", "why"], json_wanted=False)
    shown = capsys.readouterr().out.splitlines()[1]
    assert len(shown) == 80
    assert shown.endswith("…")
