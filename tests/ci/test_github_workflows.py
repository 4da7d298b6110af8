"""The workflow files for GitHub Actions: pinned, with the least rights, and they do what they say.

Their scripts are run here as a runner would: ``bash --noprofile --norc -eo pipefail``.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "ci" / "github"
FILES = sorted(FOLDER.glob("*.yml"))
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
# what a run's own machinery gives; all else may be a text of a contributor
OURS = re.compile(
    r"inputs\.[a-z-]+|github\.(event_name|ref|repository|workspace)|runner\.temp"
    r"|github\.event\.pull_request\.(base|head)\.sha|github\.event\.pull_request\.head\.repo\.full_name"
    r"|steps\.[a-z]+\.outcome|cancelled\(\)"
)


def read(path: Path) -> dict[str, Any]:
    """All scalars as text: YAML 1.1 has ``on`` for true."""
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    assert isinstance(document, dict)
    return document


def steps_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job.get("steps", [])]


def scripts() -> dict[str, str]:
    return {s["name"]: s["run"] for s in steps_of(read(FOLDER / "validate.yml")) if "run" in s}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_all_that_is_used_is_pinned_by_commit_and_the_version_is_said(path: Path) -> None:
    lines = re.findall(r"^\s*(?:- )?uses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # \S.*", line), line


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_rights_are_the_least(path: Path) -> None:
    document = read(path)
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert job["permissions"] == {"contents": "read", "security-events": "write"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_pull_requests_of_forks_get_no_secret_and_no_right_to_write(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for unsafe in ("pull_request_target", "workflow_run", "secrets", "self-hosted"):
        assert unsafe not in text
    for step in steps_of(read(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_text_of_a_contributor_becomes_a_script_or_a_setting(path: Path) -> None:
    for step in steps_of(read(path)):
        assert "${{" not in step.get("run", "")
    for expression in re.findall(r"\$\{\{(.*?)\}\}", path.read_text(encoding="utf-8")):
        left = OURS.sub("", re.sub(r"'[^']*'", "", expression))
        assert re.fullmatch(r"[\s=!&|()]*", left), expression


def test_runs_end_and_a_newer_push_ends_the_older_run() -> None:
    for job in read(FOLDER / "validate.yml")["jobs"].values():
        assert int(job["timeout-minutes"]) <= 30
        assert job["concurrency"]["cancel-in-progress"]
        assert "inputs.folder" in job["concurrency"]["group"]


def test_the_caller_gives_what_the_reusable_workflow_takes() -> None:
    takes = read(FOLDER / "validate.yml")["on"]["workflow_call"]["inputs"]
    for job in read(FOLDER / "example-caller.yml")["jobs"].values():
        assert set(job["with"]) <= set(takes)
        assert {name for name, about in takes.items() if about.get("required") == "true"} <= set(
            job["with"]
        )
        assert job["uses"].split("@")[0].endswith("/.github/workflows/validate.yml")


def test_the_check_is_not_taken_for_one_of_the_service() -> None:
    (called,) = read(FOLDER / "validate.yml")["jobs"].values()
    for name in read(FOLDER / "example-caller.yml")["jobs"]:
        assert not f"{name} / {called['name']}".startswith("waas / ")


@pytest.mark.parametrize("name", scripts())
def test_scripts_are_good_shell(name: str) -> None:
    told = subprocess.run(["bash", "-n"], input=scripts()[name], text=True, capture_output=True)
    assert told.returncode == 0, told.stderr


def test_the_command_lines_are_those_of_the_real_command() -> None:
    from hooks.cli.validate import validate

    commands = [
        re.split(r" (?:>|\|\|) ", line)[0]
        for text in scripts().values()
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip().startswith("waas validate")
    ]
    assert len(commands) == 2
    for command in commands:
        full = command.replace('"${catalogue[@]}"', "--catalog catalogue/.")
        full = full.replace('"${range[@]}"', "--base main --head topic")
        validate.make_context("validate", shlex.split(full)[2:])
    with pytest.raises(click.NoSuchOption):
        validate.make_context("validate", ["--no-such"])


@pytest.mark.parametrize(
    ("commit", "code"), [("3" * 40, 0), ("main", 1), ("3" * 39, 1), ("3" * 40 + "\nx", 1)]
)
def test_a_branch_is_no_version(commit: str, code: int) -> None:
    script = scripts()["The version is pinned"]
    told = subprocess.run([*BASH, "-c", script], env={"COMMIT": commit}, capture_output=True)
    assert told.returncode == code


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """As the checkouts leave it: ``catalogue``, and ``judged``, whose newer commit is broken."""
    (tmp_path / "temp").mkdir()
    (tmp_path / "bin").mkdir()
    waas = tmp_path / "bin" / "waas"
    waas.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hooks.cli.main "$@"\n')
    waas.chmod(0o755)
    (tmp_path / "catalogue" / "packages" / "solver").mkdir(parents=True)
    (tmp_path / "catalogue" / "packages" / "solver" / "README.md").write_text("# Solver\n")
    judged = tmp_path / "judged" / "registry"
    step = judged / "hello" / "only"
    step.mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main", "judged")
    (judged / "README.md").write_text("# Ours\n")
    commit(judged, "first")
    (step / "eflows4hpc.yaml").write_text("apt: [\n")
    commit(judged, "broken")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    about = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *about, *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, text=True, capture_output=True
    ).stdout.strip()


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def run(workspace: Path, name: str, **env: str) -> subprocess.CompletedProcess[str]:
    (job,) = read(FOLDER / "validate.yml")["jobs"].values()
    given = dict.fromkeys(job["env"], "") | {
        "PATH": f"{workspace / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RUNNER_TEMP": str(workspace / "temp"),
        "FOLDER": "registry",
        "CATALOGUE_FOLDER": ".",
    }
    return subprocess.run(
        [*BASH, "-c", scripts()[name]],
        cwd=workspace,
        env=given | env,
        text=True,
        capture_output=True,
    )


def test_the_steps_judge_a_pull_request(workspace: Path) -> None:
    base, head = (git(workspace / "judged", "rev-parse", name) for name in ("HEAD~1", "HEAD"))
    env = {"BASE": base, "HEAD": head, "CATALOGUE": "lab/catalogue"}
    told = run(workspace, "Findings", **env)
    assert told.returncode == 0, told.stderr
    sarif = json.loads((workspace / "temp" / "waas.sarif").read_text(encoding="utf-8"))
    (result, *_) = sarif["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place.startswith("registry/hello"), "from the root of the repository"
    verdict = run(workspace, "Verdict", **env)
    assert verdict.returncode == 1
    assert "::error file=registry/hello" in verdict.stdout


def test_the_steps_pass_what_is_right_and_end_where_they_cannot_judge(workspace: Path) -> None:
    base = git(workspace / "judged", "rev-parse", "HEAD~1")
    env = {"BASE": base, "HEAD": base}
    assert [run(workspace, name, **env).returncode for name in ("Findings", "Verdict")] == [0, 0]
    gone = {"BASE": "9" * 40, "HEAD": base}
    assert [run(workspace, name, **gone).returncode for name in ("Findings", "Verdict")] == [2, 2]


def test_a_push_to_main_is_judged_whole(workspace: Path) -> None:
    assert run(workspace, "Findings").returncode == 0
    assert run(workspace, "Verdict").returncode == 1
