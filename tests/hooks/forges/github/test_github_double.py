"""Against a double that is held to GitHub's own description: each request and answer fits it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.github import running

from ci.errors import SiteError
from ci.findings import Finding, Severity
from hooks.forge_choice import GitHubConnection
from hooks.forges.github.check import check
from hooks.forges.github.connection import Connection
from hooks.forges.github.notices import GitHubNotices
from hooks.forges.github.reading import GitHubForge
from hooks.forges.seams import Comment, DeploymentNotice, Status

SLUG = "lab/registry"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Any]:
    with running(tmp_path / "github") as started:
        started.create_repository(SLUG, {"README.md": "a registry"})
        yield started


@pytest.fixture(params=["app", "token"])
def connection(double: Any, request: pytest.FixtureRequest) -> Connection:
    if request.param == "token":
        token = double.token("waas", {SLUG: "admin"})
        return Connection(GitHubConnection("public", double.api), lambda _: token)
    app = double.app([SLUG])
    settings = GitHubConnection("public", double.api, app.id, app.installation)
    return Connection(settings, lambda _: app.key)


@pytest.fixture
def number(double: Any) -> int:
    return double.open_pull(SLUG, "topic", "A title", "ada", files={"a": "b"})


def test_what_is_there_is_read_and_fetched(double, connection, number, tmp_path):
    forge = GitHubForge(connection, SLUG, tmp_path / "mirror.git")
    seen = forge.look()
    [proposal] = seen.proposals
    assert (proposal.number, proposal.title, proposal.author) == (number, "A title", "ada")
    assert forge.fetch(proposal.head).is_ancestor(seen.main, proposal.head)
    assert forge.look() == seen
    assert forge.ending(number, proposal.head) is None
    assert not forge.may("nobody-at-all", "build")
    _, mark = forge.remarks("")
    double.comment(SLUG, number, "ada", "/plan")
    found, _ = forge.remarks(mark)
    assert [(r.pull, r.author, r.text) for r in found] == [(number, "ada", "/plan")]


def test_what_is_told_is_there_once(double, connection, number, tmp_path):
    forge, notices = (
        GitHubForge(connection, SLUG, tmp_path / "mirror.git"),
        GitHubNotices(connection, SLUG),
    )
    seen = forge.look()
    head = seen.proposals[0].head
    findings = tuple(
        Finding("yaml/keys", Severity.ERROR, "a", n, 1, "no", "a hint") for n in range(1, 121)
    )
    pending = Status(head, seen.main, "PENDING", "being validated", number, link=double.web)
    failed = Status(
        head, seen.main, "FAILED", "120 errors", number, findings=findings, text="**x**"
    )
    for status in (pending, pending, failed, failed):
        notices.show(status)
    for text in ("report", "report", "another"):
        notices.upsert_comment(number, Comment("", text))
    for state in ("validating", "failed", "failed"):
        notices.label(number, state)
    for state in ("WAITING", "DEPLOYING", "ACTIVE", "ACTIVE"):
        notices.show_deployment(DeploymentNotice(seen.main, "alpha", "waves", state, "x"))
    remark = double.comment(SLUG, number, "ada", "/build")
    notices.answer(str(remark), number, accepted=True)
    notices.answer(str(remark), number, accepted=True)


def test_the_check_of_a_connection_is_understood(double, connection):
    lines = check(connection, [SLUG, "lab/nowhere"])
    by_name = {line.what: line for line in lines}
    assert by_name[SLUG].well
    assert not by_name["lab/nowhere"].well


@pytest.mark.parametrize("how", ["502", "lost-after", "cut"])
def test_a_comment_is_put_once_whatever_goes_wrong(double, connection, number, how):
    notices = GitHubNotices(connection, SLUG)
    double.fail("POST /repos/*/issues/*/comments", times=1, how=how)
    with pytest.raises(SiteError) as told:
        notices.upsert_comment(number, Comment("", "report"))
    assert told.value.transient
    notices.upsert_comment(number, Comment("", "report"))
    path = f"/repos/{SLUG}/issues/{number}/comments"
    [comments] = connection.pages(path, list)
    assert len(comments) == 1
