import os
import time

import pytest

from ci.errors import EntryError, SettingsError
from ci.git import process as git_process
from ci.git.process import GitProcess, git_environment, git_output, git_running


def test_nothing_of_our_environment_reaches_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch /tmp/x")
    monkeypatch.setenv("SECRET", "x")
    environment = git_environment()
    assert "GIT_SSH_COMMAND" not in environment
    assert "SECRET" not in environment
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"


def test_the_process_is_limited(repository) -> None:
    with git_running(repository.git_dir, "cat-file", "--batch") as process:
        with open(f"/proc/{process._process.pid}/limits") as file:
            limits = {line[:26].strip(): line[26:].split()[0] for line in file}
        assert limits["Max address space"] == str(2 * 1024**3)
        assert limits["Max file size"] == "0"
        assert os.readlink(f"/proc/{process._process.pid}/cwd") == "/"


def test_transports_are_off(repository, tmp_path) -> None:
    repository.commit({"a": "1"})
    code, _ = git_output(repository.git_dir, "ls-remote", f"file://{repository.git_dir}")
    assert code != 0


def test_hooks_and_monitors_of_the_repository_do_not_run(repository, tmp_path) -> None:
    repository.commit({"a": "1"})
    witness = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(script))
    git_output(repository.git_dir, "--work-tree", str(repository.folder), "status")
    assert not witness.exists()


def test_a_command_has_a_time_limit_and_leaves_no_process(
    repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_process, "TIMEOUT", 0.3)
    begin = time.monotonic()
    with (
        pytest.raises(EntryError, match="took more than"),
        git_running(repository.git_dir, "cat-file", "--batch") as process,
    ):
        process.chunk()
    assert time.monotonic() - begin < 5
    assert process._process.returncode is not None


def test_an_endless_answer_is_cut(repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_process, "_OUTPUT", 10)
    commit = repository.commit({"a": "1"}, "x" * 1000)
    with pytest.raises(EntryError, match="printed more"):
        git_output(repository.git_dir, "log", "--format=%s", commit)


def test_without_git_the_operator_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="not installed"):
        GitProcess(tmp_path, ["version"])
