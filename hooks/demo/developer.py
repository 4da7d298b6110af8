"""The workflow developer of the story: a clone of the registry, a branch, pushes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from hooks.home import seeds

IDENTITY = ["-c", "user.name=Workflow developer", "-c", "user.email=developer@example.org"]


class Developer:
    """Works in a clone, with git as anybody would."""

    def __init__(self, folder: Path, registry: Path) -> None:
        self.clone = folder / "developer"
        self._git(["clone", "--quiet", str(registry), str(self.clone)], folder)

    def branch(self, name: str, start: str = "origin/main") -> None:
        """Begin a branch."""
        self._git(["checkout", "--quiet", "-B", name, start])

    def add_workflow(self, name: str) -> None:
        """Add one of the workflows that come with the software."""
        ignored = shutil.ignore_patterns("__pycache__")
        source = seeds() / "workflow-registry" / name
        shutil.copytree(source, self.clone / name, dirs_exist_ok=True, ignore=ignored)

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit a file."""
        file = self.clone / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"  # noqa: S101 a story of ours
        file.write_text(text.replace(old, new), encoding="utf-8")

    def remove(self, path: str) -> None:
        """Delete a file."""
        (self.clone / path).unlink()

    def commit(self, message: str) -> str:
        """Commit all changes; the commit's id."""
        self._git(["add", "--all"])
        self._git([*IDENTITY, "commit", "--quiet", "--message", message])
        return self._git(["rev-parse", "HEAD"]).stdout.strip()

    def push(self, refs: str) -> tuple[bool, str]:
        """Push; whether it was taken, and what the service said (the ``remote:`` lines)."""
        done = self._git(["push", "origin", refs], check=False)
        said = [
            line.removeprefix("remote:").rstrip()
            for line in done.stderr.splitlines()
            if line.startswith("remote:")
        ]
        return done.returncode == 0, "\n".join(line[1:] for line in said)

    def _git(
        self, arguments: list[str], folder: Path | None = None, *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "WAAS_USER": "developer"} | {
            "WAAS_RIGHT": "merge"
        }
        return subprocess.run(
            ["git", *arguments],
            cwd=folder or self.clone,
            env=environment,
            check=check,
            capture_output=True,
            text=True,
            timeout=120,
        )
