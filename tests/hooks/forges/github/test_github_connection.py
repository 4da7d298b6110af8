"""Requests to GitHub: tried again where it is safe, never repeated where it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from app_credentials import TOKEN, fresh, private_key
from scripted_http import Answer, Scripted, serving

from ci.errors import SettingsError, SiteError
from hooks.forge_choice import GitHubConnection
from hooks.forges.github.connection import Connection
from hooks.forges.github.failures import AnsweredError
from hooks.forges.github.limits import Limits


def whole(answer):
    return answer


@pytest.fixture
def github() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def connection(github: Scripted) -> Connection:
    return Connection(GitHubConnection("public", github.url), lambda _: TOKEN, timeout=1)


def app(github: Scripted, **options) -> Connection:
    settings = GitHubConnection("public", github.url, app=7, installation=9)
    return Connection(settings, lambda _: private_key(), **options)


def test_a_token_travels_in_the_header_alone(github, connection):
    github.on("GET /user", Answer(body={"login": "ada"}))
    assert connection.login() == "ada"
    assert connection.login() == "ada"
    [asked] = github.asked
    assert asked.headers["authorization"] == f"token {TOKEN}"
    assert asked.headers["user-agent"].startswith("hpcwaas/")
    assert connection.token() == TOKEN


def test_a_read_is_tried_again_when_github_is_not_well(github, connection):
    github.on("GET /x", Answer(502), Answer(cut=True), Answer(body=[1]))
    assert connection.get("/x", whole) == [1]


def test_trouble_that_stays_is_told_as_transient(github, connection):
    github.on("GET /x", Answer(503))
    with pytest.raises(SiteError, match="503") as told:
        connection.get("/x", whole)
    assert told.value.transient


@pytest.mark.parametrize("answer", [Answer(502, {}), Answer(cut=True)])
def test_a_write_is_never_repeated_by_itself(github, connection, answer):
    github.on("POST /x", answer)
    with pytest.raises(SiteError) as told:
        connection.send("POST", "/x", {"a": 1})
    assert told.value.transient
    assert github.count("POST /x") == 1


def test_an_answer_that_does_not_come_is_not_waited_for(github, connection):
    late = threading.Event()
    github.on("POST /x", Answer(after=late))
    try:
        with pytest.raises(SiteError, match="in time") as told:
            connection.send("POST", "/x", {})
        assert told.value.transient
    finally:
        late.set()


def test_a_github_that_is_away_is_a_sentence():
    with serving() as gone:
        url = gone.url
    away = Connection(GitHubConnection("public", url), lambda _: TOKEN, timeout=1)
    with pytest.raises(SiteError, match="cannot be reached") as told:
        away.get("/x", whole)
    assert told.value.transient


def test_what_did_not_change_is_asked_for_by_its_mark(github, connection):
    first = Answer(body=[1], headers={"ETag": 'W/"a"', "Link": f'<{github.url}/y>; rel="next"'})
    github.on("GET /x", first, Answer(304, headers={"ETag": 'W/"a"'}), Answer(body=[3]))
    github.on("GET /y", Answer(body=[2]))
    assert list(connection.pages("/x", whole)) == [[1], [2]]
    assert list(connection.pages("/x", whole)) == [[1], [2]]
    assert list(connection.pages("/x", whole)) == [[3]]
    marks = [a.headers.get("if-none-match") for a in github.asked if a.path.startswith("/x")]
    assert marks == [None, 'W/"a"', 'W/"a"']


def test_pages_are_bounded(github, connection):
    github.on("GET /x", Answer(body=[1], headers={"Link": f'<{github.url}/x>; rel="next"'}))
    assert len(list(connection.pages("/x", whole, most=4))) == 4


@pytest.mark.parametrize("link", ["http://elsewhere.example/x", "http://127.0.0.1:1/x"])
def test_pages_lead_to_no_other_host(github, connection, link):
    github.on("GET /x", Answer(body=[1], headers={"Link": f'<{link}>; rel="next"'}))
    with pytest.raises(SiteError, match="as no GitHub does"):
        list(connection.pages("/x", whole))


@pytest.mark.parametrize("body", ["<html>", "{", "[1, 2]", "null", '"x"'])
def test_an_answer_that_is_no_github_s_is_a_sentence(github, connection, body):
    github.on("GET /user", Answer(body=body))
    with pytest.raises(SiteError, match="cannot be read"):
        connection.login()


def test_a_redirection_to_another_host_is_not_followed(github, connection):
    github.on("GET /x", Answer(301, {}, {"Location": "http://elsewhere.example/x"}))
    with pytest.raises(SiteError, match="as no GitHub does"):
        connection.get("/x", whole)


SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        (SECONDARY, {"Retry-After": "900"}),
        (SECONDARY, {"X-RateLimit-Remaining": "4000"}),
        (
            "API rate limit exceeded for installation ID 9.",
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"},
        ),
    ],
)
def test_a_rate_limit_keeps_every_later_request_back(github, connection, message, headers):
    github.on("GET /x", Answer(403, {"message": message}, headers))
    for _ in range(3):
        with pytest.raises(SiteError, match="rate limit") as told:
            connection.get("/x", whole)
        assert told.value.transient
    with pytest.raises(SiteError):
        connection.send("POST", "/y", {})
    assert len(github.asked) == 1


def test_a_missing_right_says_which(github, connection):
    needed = {"X-Accepted-GitHub-Permissions": "checks=write"}
    github.on("POST /x", Answer(403, {"message": "Resource not accessible"}, needed))
    with pytest.raises(AnsweredError, match="Resource not accessible") as told:
        connection.send("POST", "/x", {})
    assert "checks=write" in told.value.hint
    assert not told.value.transient


def test_what_github_says_of_a_field_is_told_and_nothing_secret(github, connection):
    errors = [{"resource": "Label", "code": "already_exists", "field": "name"}]
    github.on("POST /x", Answer(422, {"message": "Validation\x1b Failed", "errors": errors}))
    with pytest.raises(AnsweredError, match="already_exists") as told:
        connection.send("POST", "/x", {})
    assert "\x1b" not in str(told.value)
    github.on("GET /x", Answer(401, {"message": "Bad credentials"}))
    with pytest.raises(SettingsError, match="refuses our key or token") as refused:
        connection.get("/x", whole)
    assert TOKEN not in str(refused.value)


def test_a_new_token_is_taken_up_without_a_restart(github):
    stored = iter(["ghp_old_old_old", "ghp_new_new_new"])
    connection = Connection(GitHubConnection("public", github.url), lambda _: next(stored))
    github.on("GET /x", Answer(401, {"message": "Bad credentials"}), Answer(body=[1]))
    assert connection.get("/x", whole) == [1]
    assert github.asked[-1].headers["authorization"] == "token ghp_new_new_new"


def test_an_app_signs_for_an_installation_s_token_and_renews_it(github):
    tokens = "POST /app/installations/9/access_tokens"
    github.on(tokens, fresh("ghs_first"), fresh("ghs_second"))
    github.on("GET /x", Answer(body=[1]), Answer(401, {"message": "Bad credentials"}), Answer())
    github.on("GET /app", Answer(body={"slug": "waas"}))
    connection = app(github)
    assert connection.get("/x", whole) == [1]
    assert connection.token() == "ghs_first"
    connection.get("/x", whole)  # it was withdrawn
    assert connection.token() == "ghs_second"
    assert github.count(tokens) == 2
    assert connection.login() == "waas[bot]"
    signed = [a.headers["authorization"] for a in github.asked if a.path.startswith("/app")]
    assert all(header.startswith("Bearer ") for header in signed)


def test_an_installation_s_token_is_renewed_before_it_ends(github):
    tokens = "POST /app/installations/9/access_tokens"
    github.on(tokens, fresh("ghs_first", "2020-01-01T00:00:00Z"), fresh("ghs_second"))
    github.on("GET /x", Answer(body=[1]))
    connection = app(github)
    connection.get("/x", whole)
    connection.get("/x", whole)
    assert github.asked[-1].headers["authorization"] == "token ghs_second"


@pytest.mark.parametrize("stored", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nx\n"])
def test_a_key_that_is_none_is_a_sentence(github, stored):
    settings = GitHubConnection("public", github.url, app=7, installation=9)
    with pytest.raises(SettingsError, match="no private key") as told:
        Connection(settings, lambda _: stored).get("/x", whole)
    assert not stored or stored not in str(told.value)


@pytest.mark.parametrize("stored", ["", "two words of it", "ghp_short", "ghp_lines\nlines\r\nx"])
def test_a_token_that_is_none_is_a_sentence(github, stored):
    with pytest.raises(SettingsError, match="no token"):
        Connection(GitHubConnection("public", github.url), lambda _: stored).get("/x", whole)
    assert not github.asked


def test_writes_go_out_one_at_a_time(github):
    settings = GitHubConnection("public", github.url)
    connection = Connection(settings, lambda _: TOKEN, limits=Limits(queue=0))
    begun, go = threading.Event(), threading.Event()
    github.on("POST /slow", Answer(201, {}, begun=begun, after=go))
    github.on("POST /fast", Answer(201, {}))
    first = threading.Thread(target=connection.send, args=("POST", "/slow", {}))
    first.start()
    try:
        assert begun.wait(5)
        with pytest.raises(SiteError, match="too much") as told:
            connection.send("POST", "/fast", {})
        assert told.value.transient
    finally:
        go.set()
        first.join(5)
    connection.send("POST", "/fast", {})
    assert [a.path for a in github.asked] == ["/slow", "/fast"]
