"""Webhooks that GitHub could not deliver are found, once, as the small events they would be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from app_credentials import TOKEN, fresh, private_key
from scripted_http import Answer, Scripted, serving

from ci.errors import SiteError
from hooks.forge_choice import GitHubConnection
from hooks.forges.github import outbox
from hooks.forges.github.connection import Connection
from hooks.forges.github.outbox import GitHubOutbox

SLUG = "lab/registry"
AT = f"/repos/{SLUG}"
APP = "/app/hook/deliveries"
PUSH = {
    "ref": "refs/heads/main",
    "after": "a" * 40,
    "repository": {"full_name": SLUG},
    "sender": {"login": "ada"},
}


@pytest.fixture
def github() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.on("POST /app/installations/9/access_tokens", fresh("ghs_first"))
        scripted.on(f"GET {AT}", Answer(body={"id": 5}))
        yield scripted


@pytest.fixture
def by_app(github: Scripted) -> GitHubOutbox:
    settings = GitHubConnection("public", github.url, app=7, installation=9)
    return GitHubOutbox(Connection(settings, lambda _: private_key()), SLUG)


@pytest.fixture
def by_token(github: Scripted) -> GitHubOutbox:
    return GitHubOutbox(Connection(GitHubConnection("ours", github.url), lambda _: TOKEN), SLUG)


def attempt(number: int, code: int, *, guid: str = "", kind="push", repository=5):
    return {"id": number, "guid": guid or f"0000-guid-{number}", "event": kind,
            "status_code": code, "repository_id": repository}  # fmt: skip


def keep(github: Scripted, *attempts, payload=PUSH, path=APP) -> None:
    github.on(f"GET {path}", Answer(body=sorted(attempts, key=lambda a: -a["id"])))
    for one in attempts:
        body = one | {"request": {"payload": payload}}
        github.on(f"GET {path}/{one['id']}", Answer(body=body))


def test_what_failed_is_found_once_and_oldest_first(github, by_app):
    keep(github, attempt(1, 202), attempt(2, 500), attempt(3, 0), attempt(4, 200))
    found, mark = by_app.missed("")
    assert [m.id for m in found] == ["0000-guid-2", "0000-guid-3"]
    assert found[0].event == "push"
    assert found[0].payload == {
        "event": "push", "ref": "refs/heads/main", "head": "a" * 40, "pusher": "ada",
    }  # fmt: skip
    assert mark == "4"
    assert by_app.missed(mark) == ([], "4")
    keep(github, attempt(4, 200), attempt(5, 504))
    assert [m.id for m in by_app.missed(mark)[0]] == ["0000-guid-5"]


def test_what_was_sent_again_with_success_is_not_missed(github, by_app):
    keep(github, attempt(1, 500, guid="guid-one"), attempt(2, 202, guid="guid-one"))
    assert by_app.missed("") == ([], "2")


def test_what_failed_again_is_missed_again(github, by_app):
    keep(github, attempt(1, 500, guid="guid-one"))
    found, mark = by_app.missed("")
    keep(github, attempt(1, 500, guid="guid-one"), attempt(2, 500, guid="guid-one"))
    assert [m.id for m in by_app.missed(mark)[0]] == [m.id for m in found] == ["guid-one"]


def test_other_repositories_of_the_app_are_none_of_ours(github, by_app):
    keep(github, attempt(1, 500, repository=6), attempt(2, 500, repository=None))
    assert by_app.missed("") == ([], "2")


def test_many_are_taken_a_part_at_a_time(github, by_app, monkeypatch):
    monkeypatch.setattr(outbox, "MOST", 2)
    keep(github, *(attempt(n, 500) for n in range(1, 6)))
    mark, seen = "", []
    for _ in range(4):
        found, mark = by_app.missed(mark)
        seen += [m.id for m in found]
    assert seen == [f"0000-guid-{n}" for n in range(1, 6)]


@pytest.mark.parametrize("payload", [None, [], {}, {"ref": 7}, "x"])
def test_an_odd_payload_is_still_a_hint(github, by_app, payload):
    keep(github, attempt(1, 500), payload=payload)
    [found] = by_app.missed("")[0]
    assert found.payload == {"event": "push"}


def test_one_that_github_has_forgotten_is_passed_over(github, by_app):
    github.on(f"GET {APP}", Answer(body=[attempt(1, 500)]))
    assert by_app.missed("") == ([], "1")


def test_the_mark_does_not_move_while_github_is_away(github, by_app):
    keep(github, attempt(1, 500))
    github.on(f"GET {APP}/1", Answer(500), Answer(500), Answer(500), Answer(503))
    with pytest.raises(SiteError):
        by_app.missed("")


def test_a_token_reads_the_repository_s_own_webhook(github, by_token):
    hooks = [{"id": 3, "config": {"url": "https://ci.example/"}},
             {"id": 4, "config": {"url": "https://waas.example/webhooks/github"}}]  # fmt: skip
    github.on(f"GET {AT}/hooks", Answer(body=hooks))
    keep(github, attempt(1, 500, repository=None), path=f"{AT}/hooks/4/deliveries")
    assert [m.id for m in by_token.missed("")[0]] == ["0000-guid-1"]


def test_a_token_without_the_right_goes_on_without_and_says_so_once(github, by_token, caplog):
    github.on(f"GET {AT}/hooks", Answer(403, {"message": "Resource not accessible"}))
    assert [by_token.missed("7") for _ in range(3)] == [((), "7")] * 3
    assert len([r for r in caplog.records if "webhooks" in r.message]) == 1
