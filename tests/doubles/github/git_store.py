"""The bare git repositories on the double's disk; tests write them, so they are trusted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Files = Mapping[str, str | bytes | None]
"""By path; None takes a file away. A path that ends in ``*`` is a program, without the star."""

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_COMMITTER_NAME": "GitHub",
    "GIT_COMMITTER_EMAIL": "noreply@github.com",
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
}


class GitStore:
    """One bare repository; ``refs`` is what it has, by full name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refs: dict[str, str] = {}
        self._commits: dict[str, dict[str, Any]] = {}

    def make(self, source: Path | None = None, lender: Path | None = None) -> None:
        """Empty, with the branches of ``source``, or a fork that borrows the lender's objects."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        git(None, "init", "--quiet", "--bare", "--initial-branch=main", str(self.path))
        for key, value in (
            ("http.receivepack", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),  # as on GitHub
            ("receive.advertisePushOptions", "true"),
            ("gc.auto", "0"),
            ("transfer.hideRefs", "refs/double"),
        ):
            self.git("config", key, value)
        if lender is not None:
            info = self.path / "objects" / "info"
            (info / "alternates").write_text(f"{lender / 'objects'}\n")
        taken = source or lender
        if taken is not None:
            self.git("fetch", "--quiet", str(taken), "+refs/heads/*:refs/heads/*")
        self.read()

    def git(self, *arguments: str, **given: Any) -> str:
        return git(self.path, *arguments, **given)

    def read(self) -> None:
        """See what refs there are now."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        self.refs = dict(line.split(" ") for line in lines)

    def set(self, ref: str, commit: str) -> None:
        """Move a ref, or take it away with an empty commit."""
        if commit:
            self.git("update-ref", ref, commit)
            self.refs[ref] = commit
        elif ref in self.refs:
            self.git("update-ref", "-d", ref)
            del self.refs[ref]

    def has(self, commit: str) -> bool:
        if commit in self._commits:
            return True
        try:
            self.commit(commit)
        except ValueError:
            return False
        return True

    def commit(self, sha: str) -> dict[str, Any]:
        """``tree``, ``parents``, ``author``, ``committer`` (name, email, date) and ``message``.

        Raises ``ValueError`` if there is no such commit.
        """
        if sha not in self._commits:
            form = "%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
            try:
                text = self.git("show", "--no-patch", f"--format={form}", f"{sha}^{{commit}}")
            except subprocess.CalledProcessError:
                raise ValueError(sha) from None
            tree, parents, *who, message = text.split("\0")
            names = ("name", "email", "date")
            self._commits[sha] = {
                "sha": sha,
                "tree": tree,
                "parents": parents.split(),
                "author": dict(zip(names, who[:3], strict=True)),
                "committer": dict(zip(names, who[3:], strict=True)),
                "message": message.strip(),
            }
        return self._commits[sha]

    def write(self, parent: str, files: Files, author: str, message: str) -> str:
        """A commit with these files changed; no ref is moved."""
        who = f"{author} <{author}@users.noreply.github.com> now"
        stream = [f"commit refs/double/new\nmark :1\nauthor {who}\ncommitter {who}\n".encode()]
        stream.append(_data(message.encode()))
        if parent:
            stream.append(f"from {parent}\n".encode())
        for path, content in files.items():
            if content is None:
                stream.append(f"D {path}\n".encode())
                continue
            mode = "100755" if path.endswith("*") else "100644"
            data = content.encode() if isinstance(content, str) else content
            stream.append(f"M {mode} inline {path.removesuffix('*')}\n".encode() + _data(data))
        stream.append(b"\nget-mark :1\n")
        done = self.git(
            *("fast-import", "--quiet", "--force", "--date-format=now"), data=b"".join(stream)
        )
        return done.strip()

    def take(self, other: GitStore, commit: str, ref: str) -> None:
        """Fetch a commit out of a fork."""
        if other.path == self.path:
            self.set(ref, commit)
            return
        self.git("fetch", "--quiet", str(other.path), f"+{commit}:{ref}")
        self.refs[ref] = commit

    def within(self, ancestor: str, commit: str) -> bool:
        done = _run(self.path, ("merge-base", "--is-ancestor", ancestor, commit))
        return done.returncode == 0

    def between(self, start: str, end: str) -> list[str]:
        """The commits after ``start`` up to ``end``, the oldest first; all for an empty start."""
        span = [end] if not start.strip("0") or not self.has(start) else [end, f"^{start}"]
        return self.git("rev-list", "--reverse", "--max-count=100", *span).split()

    def changes(self, commit: str) -> dict[str, str]:
        """Paths and letters (A, M, D …) of what a commit changed."""
        listed = self.git(
            *("diff-tree", "--root", "--no-commit-id", "--name-status", "-r", "-z", "-m"),
            *("--first-parent", commit),
        ).split("\0")
        return dict(zip(listed[1::2], listed[0::2], strict=False))

    def merged(self, base: str, head: str, *, parents: int, author: str, message: str) -> str:
        """A commit with both merged; empty if they are in conflict."""
        done = _run(self.path, ("merge-tree", "--write-tree", base, head))
        if done.returncode:
            return ""
        tree = done.stdout.decode().split("\n")[0]
        over = [f for p in (base, head)[:parents] for f in ("-p", p)]
        return self._record(tree, over, author, message)

    def _record(self, tree: str, over: list[str], author: str, message: str) -> str:
        who = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": f"{author}@users.noreply.github.com"}
        return self.git("commit-tree", tree, *over, "-m", message, env=who).strip()

    def rebased(self, base: str, head: str) -> str:
        """The commits of head put anew on base, as GitHub does: never the same commits."""
        with tempfile.TemporaryDirectory(dir=self.path.parent) as name:
            folder = Path(name)
            git(None, "clone", "--quiet", "--shared", "--no-checkout", str(self.path), name)
            _run(folder, ("checkout", "--quiet", "--detach", head), check=True)
            if _run(folder, ("rebase", "--quiet", "--force-rebase", base)).returncode:
                return ""
            made = git(folder, "rev-parse", "HEAD").strip()
            self.git("fetch", "--quiet", name, f"+{made}:refs/double/rebased")
        return made


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _run(
    folder: Path | None,
    arguments: tuple[str, ...],
    *,
    data: bytes | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=data,
        stdin=None if data is not None else subprocess.DEVNULL,
        env=ENVIRONMENT | dict(env or {}),
        capture_output=True,
        check=check,
        timeout=60,
    )


def git(folder: Path | None, *arguments: str, **given: Any) -> str:
    """Run git; what it prints. Raises ``CalledProcessError``."""
    return _run(folder, arguments, check=True, **given).stdout.decode()
