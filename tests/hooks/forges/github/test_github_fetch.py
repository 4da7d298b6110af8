"""Commits of GitHub come over git's own protocol into a mirror, with the token out of sight."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from app_credentials import fresh, private_key
from scripted_http import Answer, Scripted, serving

from ci.errors import EntryError, SiteError
from hooks.forge_choice import GitHubConnection
from hooks.forges.github.connection import Connection
from hooks.forges.github.reading import GitHubForge

SLUG = "lab/registry"
AT = f"/repos/{SLUG}"
TOKEN = "ghs_of_the_installation"
GIT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
WHO = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER")
       for what in ("NAME", "EMAIL")}  # fmt: skip


class Hosted:
    """A repository as GitHub has it, served by ``git http-backend`` to those with the token."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / f"{SLUG}.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.path), at=root)
        self.tree = self.git("mktree")

    def git(self, *words: str, at: Path | None = None, text: str = "") -> str:
        done = subprocess.run(
            ["git", *words], cwd=at or self.path, env=GIT | WHO, input=text, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, ref: str, message: str, *parents: str) -> str:
        given = [word for parent in parents for word in ("-p", parent)]
        made = self.git("commit-tree", self.tree, "-m", message, *given)
        self.git("update-ref", ref, made)
        return made

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> bool:
        path, _, query = request.path.partition("?")
        if not path.startswith(f"/{SLUG}.git/"):
            return False
        word = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {word}":
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return True
        asked = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=GIT | asked, capture_output=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        request.send_response(200)
        for line in head.decode().splitlines():
            request.send_header(*line.split(": ", 1))
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
        return True


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    (tmp_path / "there").mkdir()
    return Hosted(tmp_path / "there")


@pytest.fixture
def github(hosted: Hosted) -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.raw = hosted.answer
        scripted.on("POST /app/installations/9/access_tokens", fresh(TOKEN))
        yield scripted


@pytest.fixture
def forge(github: Scripted, tmp_path: Path) -> GitHubForge:
    return GitHubForge(app(github), SLUG, tmp_path / "mirror.git")


def app(github: Scripted) -> Connection:
    settings = GitHubConnection("public", github.url, app=7, installation=9)
    return Connection(settings, lambda _: private_key())


def show(github: Scripted, main: str, heads: dict[int, str]) -> None:
    """What the API says is there."""
    pulls = [
        {
            "number": number,
            "title": "x",
            "head": {"ref": "topic", "sha": head, "repo": None, "user": None},
            "base": {"ref": "main", "repo": {"id": 1}},
            "user": None,
            "author_association": "NONE",
        }
        for number, head in heads.items()
    ]
    github.on(f"GET {AT}/git/ref/heads/main", Answer(body={"object": {"sha": main}}))
    github.on(f"GET {AT}/pulls", Answer(body=pulls))


def test_main_and_pull_requests_come_with_their_history(github, hosted, forge, tmp_path):
    first = hosted.commit("refs/heads/main", "first")
    main = hosted.commit("refs/heads/main", "second", first)
    head = hosted.commit("refs/pull/7/head", "a fork's, which was deleted", main)
    show(github, main, {7: head})
    forge.look()
    assert forge.fetch(main).resolve("refs/heads/main") == main
    assert forge.fetch(head).is_ancestor(first, head)
    kept = b"".join(f.read_bytes() for f in (tmp_path / "mirror.git").rglob("*") if f.is_file())
    assert TOKEN.encode() not in kept


def test_a_forced_push_is_followed_and_the_commit_before_stays(github, hosted, forge):
    main = hosted.commit("refs/heads/main", "main")
    old = hosted.commit("refs/pull/7/head", "old", main)
    show(github, main, {7: old})
    forge.look()
    forge.fetch(old)
    new = hosted.commit("refs/pull/7/head", "new", main)
    show(github, main, {7: new})
    forge.look()
    assert forge.fetch(new).is_ancestor(main, new)
    assert forge.fetch(old).is_ancestor(main, old)  # a flow may still be at it


def test_a_commit_that_was_replaced_before_it_was_fetched_is_said(github, hosted, forge):
    main = hosted.commit("refs/heads/main", "main")
    old = hosted.commit("refs/pull/7/head", "old", main)
    show(github, main, {7: old})
    forge.look()
    hosted.commit("refs/pull/7/head", "new", main)
    with pytest.raises(EntryError, match="not on GitHub any more"):
        forge.fetch(old)


def test_what_is_there_needs_nobody(github, hosted, forge):
    main = hosted.commit("refs/heads/main", "main")
    show(github, main, {})
    forge.fetch(main)
    asked = len(github.asked)
    github.raw = lambda *_: pytest.fail("git was asked")
    forge.fetch(main)
    assert len(github.asked) == asked


def test_a_token_that_git_refuses_is_a_sentence_without_it(github, hosted, tmp_path):
    main = hosted.commit("refs/heads/main", "main")
    show(github, main, {})
    github.on("POST /app/installations/9/access_tokens", fresh("ghs_withdrawn"))
    with pytest.raises(SiteError) as told:
        GitHubForge(app(github), SLUG, tmp_path / "mirror.git").fetch(main)
    assert "ghs_withdrawn" not in str(told.value)
