"""Deployments over HTTP: who sees them, who may change them, and what is no request at all."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from operators_desk import OTHER, SITE

from hooks.dispatch.on_request import FLOW
from hooks.tokens import Tokens
from hooks.web.application import create

ROM = f"/deployments/rom@{SITE}"
NUMBER = "0123456789abcdef"


class Web:
    """The application over a desk, and what an operator, a user or a browser sends to it."""

    def __init__(self, desk):
        self.desk, self.tokens = desk, Tokens(desk.database)
        parts = ("database", "journal", "registries", "deployments", "deploying", "sites")
        waas = SimpleNamespace(tokens=self.tokens, **{name: getattr(desk, name) for name in parts})
        self.client = create(waas).test_client()
        root, bob = (self.tokens.create(name, role)[1] for name, role in ROLES)
        self.token = root
        self.root, self.bob = ({"Authorization": f"Bearer {token}"} for token in (root, bob))

    def post(self, path, body=None, headers=None, **more):
        return self.client.post(path, json=body, headers=headers or self.root, **more)

    def get(self, path, headers=None):
        return self.client.get(path, headers=headers or self.root)

    def asked(self):
        """The requests that were begun."""
        flows = self.desk.flows.started.values()
        return [payload for flow, payload in flows if flow == FLOW]


ROLES = (("root", "operator"), ("bob", "user"))


@pytest.fixture
def web(desk):
    return Web(desk)


def sentence(answer):
    """The error of an answer: JSON for a person."""
    found = answer.get_json()
    assert set(found) == {"error", "hint"}, answer.text
    assert len(found["error"]) > 10
    assert "Traceback" not in answer.text
    return found["error"]


def test_who_has_a_token_sees_what_is_where(web):
    [row] = web.get("/deployments", web.bob).get_json()["deployments"]
    assert row == web.get(ROM, web.bob).get_json()
    assert (row["id"], row["workflow"], row["site"]) == (f"rom@{SITE}", "rom", SITE)
    assert row["state"] == "ACTIVE"
    assert row["active"] == row["commit"] == web.desk.second
    assert list(row["images"]) == ["step"]
    for path in ("/deployments", ROM):
        assert web.client.get(path).status_code == 401
        assert web.get(path, {"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_request_is_taken_and_followed_to_its_end(web):
    answer = web.post(f"{ROM}/rollback", {})
    assert answer.status_code == 202
    number = answer.get_json()["request"]
    assert answer.get_json()["message"] == f"rom goes back on {SITE}"
    path = f"/deployment-requests/{number}"
    assert web.get(path).get_json() == {"state": "RUNNING", "message": ""}
    web.desk.run(number)
    told = f"rolled back to {web.desk.first[:10]} by root"
    assert web.get(path).get_json() == {"state": "DONE", "message": told}
    assert web.get(ROM).get_json()["active"] == web.desk.first


def test_a_request_that_failed_says_why(web):
    number = web.post(f"{ROM}/deploy", {"commit": "deadbeef"}).get_json()["request"]
    web.desk.run(number)
    ended = web.get(f"/deployment-requests/{number}").get_json()
    assert ended == {"state": "FAILED", "message": "there is no commit 'deadbeef'"}
    assert web.desk.serving() == web.desk.second


def test_what_is_asked_for_is_what_is_begun(web):
    web.post(f"{ROM}/deploy", {"commit": "abcdef0"})
    web.post(f"{ROM}/undeploy", {"force": True})
    web.client.post(f"{ROM}/deploy", headers=web.root)
    [first, second, third] = web.asked()
    assert (first["action"], first["commit"], first["force"]) == ("deploy", "abcdef0", False)
    assert (second["action"], second["commit"], second["force"]) == ("undeploy", "", True)
    assert (third["action"], third["commit"], third["force"]) == ("deploy", "", False)
    assert {asked["by"] for asked in web.asked()} == {"root"}
    assert len({asked["request"] for asked in web.asked()}) == 3


def test_a_body_counts_whatever_its_type_says(web):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        more = {"data": '{"commit": "abcdef0"}', "content_type": kind}
        assert web.client.post(f"{ROM}/deploy", headers=web.root, **more).status_code == 202
    assert [asked["commit"] for asked in web.asked()] == ["abcdef0"] * 3


@pytest.mark.parametrize("action", ["deploy", "rollback", "undeploy"])
def test_only_operators_change_anything(web, action):
    assert web.client.post(f"{ROM}/{action}", json={}).status_code == 401
    answer = web.post(f"{ROM}/{action}", {}, web.bob)
    assert (answer.status_code, sentence(answer)) == (403, "only an operator may do this")
    name, token = web.tokens.create("gone", "operator")
    web.tokens.revoke(name)
    answer = web.post(f"{ROM}/{action}", {}, {"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert web.asked() == []


def test_only_operators_follow_requests(web):
    number = web.post(f"{ROM}/rollback", {}).get_json()["request"]
    path = f"/deployment-requests/{number}"
    assert web.client.get(path).status_code == 401
    assert web.get(path, web.bob).status_code == 403
    assert web.get(path).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[evil"},
        {},
    ],
)
def test_a_page_of_another_site_cannot_make_a_browser_do_it(web, headers):
    answer = web.client.post(f"{ROM}/undeploy", headers=headers, auth=("root", web.token))
    assert answer.status_code == 403
    assert "from a page of this service" in sentence(answer)
    assert web.asked() == []


def test_our_own_pages_can(web):
    own = {"Sec-Fetch-Site": "same-origin"}
    answer = web.client.post(f"{ROM}/undeploy", headers=own, auth=("root", web.token))
    assert (answer.status_code, len(web.asked())) == (202, 1)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rom@nowhere/deploy", "there is no site 'nowhere'"),
        ("rom/deploy", "is not WORKFLOW@SITE"),
        ("@/deploy", "is not WORKFLOW@SITE"),
        (f"@{SITE}/deploy", "is not WORKFLOW@SITE"),
        ("rom@/deploy", "is not WORKFLOW@SITE"),
        (f"%2e%2e@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"-rf@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"a%20b@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"a%00b@{SITE}/undeploy", "is not WORKFLOW@SITE"),
        (f"a%0ab@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"rom@{SITE}@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"%3Cscript%3E@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"%ff%fe@{SITE}/deploy", "is not WORKFLOW@SITE"),
        (f"{'a' * 400}@{SITE}/deploy", "there is no deployment"),
        (f"tide@{SITE}/rollback", f"tide is not deployed to {SITE}"),
        (f"rom@{OTHER}/undeploy", f"rom is not deployed to {OTHER}"),
    ],
)
def test_what_is_not_there_is_not_found(web, path, words):
    answer = web.post(f"/deployments/{path}", {})
    assert (answer.status_code, web.asked()) == (404, [])
    assert words in sentence(answer)
    assert len(answer.text) < 400


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"rom@{SITE}/explode", "there is no 'explode'"),
        (f"rom@{SITE}/DEPLOY", "there is no 'DEPLOY'"),
        (f"other+rom@{SITE}/deploy", "there is no registry 'other'"),
        (f"rom@{SITE}/{'x' * 500}", "there is no 'xxx"),
    ],
)
def test_what_cannot_be_meant_is_said(web, path, words):
    answer = web.post(f"/deployments/{path}", {})
    assert (answer.status_code, web.asked()) == (400, [])
    assert words in sentence(answer)
    assert len(answer.text) < 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"commit": "abc',
        b"[]",
        b"null",
        b'"deploy"',
        b"commit=abcdef0",
        b'{"comit": "abcdef0"}',
        b'{"commit": 3}',
        b'{"commit": null}',
        b'{"commit": ["abcdef0"]}',
        b'{"commit": "HEAD~1"}',
        b'{"commit": "--all"}',
        b'{"commit": "\\ud800"}',
        b'{"commit": "\\u0000"}',
        b'{"force": "yes"}',
        b'{"force": 1}',
        b'{"force": null}',
        b"\xff\xfe\x00",
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 50_000,
    ],
)
def test_a_body_that_is_not_understood_is_refused_not_passed_over(web, body):
    """A commit that was lost on the way would have main deployed instead."""
    answer = web.client.post(
        f"{ROM}/deploy", data=body, headers=web.root, content_type="application/json"
    )
    assert (answer.status_code, web.asked()) == (400, [])
    sentence(answer)
    assert len(answer.text) < 400


def test_a_body_that_is_too_large_is_refused(web):
    answer = web.client.post(f"{ROM}/deploy", data=b" " * 10_000_001, headers=web.root)
    assert (answer.status_code, web.asked()) == (413, [])


def test_what_executions_need_is_refused_with_what_to_do(web):
    web.desk.execute()
    answer = web.post(f"{ROM}/undeploy", {})
    assert (answer.status_code, web.asked()) == (400, [])
    assert "did not end yet" in sentence(answer)
    assert "--force" in answer.get_json()["hint"]
    assert web.post(f"{ROM}/undeploy", {"force": True}).status_code == 202


@pytest.mark.parametrize(
    "number",
    [NUMBER, NUMBER.upper(), "0", "0" * 400, "%00", "..", "1 or 1=1", "workflow-registry:17:0:rom"],
)
def test_a_request_that_is_not_known_is_not_found(web, number):
    web.desk.ask("rollback", "workflow-registry:17:0:rom")  # by a command: its number is no secret
    answer = web.get(f"/deployment-requests/{number}")
    assert answer.status_code == 404
    assert len(answer.text) < 400


@pytest.mark.parametrize("name", [f"tide@{SITE}", "rom", "%00", "..", "a" * 400, f"r%00m@{SITE}"])
def test_a_deployment_that_is_not_known_is_not_found(web, name):
    answer = web.get(f"/deployments/{name}")
    assert answer.status_code == 404
    assert len(answer.text) < 400


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_a_post_changes_anything(web, method):
    answer = getattr(web.client, method)(f"{ROM}/undeploy", headers=web.root)
    assert (answer.status_code, web.asked()) == (405, [])
    assert json.loads(answer.text)["error"]
