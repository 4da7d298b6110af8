"""A service home with its repositories, and git as a developer runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hooks import home
from hooks.config import Settings
from hooks.forges import git_hook

GIT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Developer",
    "GIT_AUTHOR_EMAIL": "developer@example.org",
    "GIT_COMMITTER_NAME": "Developer",
    "GIT_COMMITTER_EMAIL": "developer@example.org",
}

Git = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def start_of_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was made once; tests copy it."""
    return home.make(tmp_path_factory.mktemp("homes") / "home", without=("*",)).home


@pytest.fixture
def hosted_home(start_of_home: Path, tmp_path: Path) -> Settings:
    """A home of a test's own; its hooks wait for no verdict."""
    shutil.copytree(start_of_home, tmp_path / "home")
    return home.make(tmp_path / "home")


@pytest.fixture
def run_git(tmp_path: Path) -> Git:
    """``run_git(folder, "push", …)``; ``ok=False`` if it may fail; ``env`` adds variables."""

    def run(folder: Path, *args: str, ok: bool = True, env: Any = ()) -> Any:
        done = subprocess.run(
            ["git", *args],
            cwd=folder,
            env=GIT_ENV | dict(env),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or not ok, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook of this process does not wait for a service that is not there."""
    monkeypatch.setattr(git_hook, "WAIT_SECONDS", 0.0)
