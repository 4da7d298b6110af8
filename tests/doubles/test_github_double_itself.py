"""The double of GitHub tells its webhooks what GitHub would, and sees who breaks the rules."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from doubles.github import running

SLUG, SECRET = "lab/registry", "a secret"


class Listener:
    """A receiver that notes what comes; ``answers`` are the next status codes."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                assert self.headers["X-Hub-Signature-256"] == f"sha256={made}"
                told = (self.headers["X-GitHub-Delivery"], self.headers["X-GitHub-Event"])
                listener.got.append((*told, json.loads(body)))
                self.send_response(listener.answers.pop() if listener.answers else 202)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/github"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> list[str]:
        return [
            ":".join(p for p in (event, body.get("action")) if p) for _, event, body in self.got
        ]


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Any]:
    with running(tmp_path / "github", seed=3) as started:
        started.create_repository(SLUG, {"README.md": "a registry"})
        yield started


@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_the_life_of_a_pull_request_is_told_as_it_is_described(double, listener, fork, method):
    app = double.app([SLUG])
    double.hook(listener.url, SECRET, app=app.id)
    number = double.open_pull(SLUG, "topic", "Title", "ada", files={"a": "b"}, fork=fork)
    source = double.fork(SLUG, "ada") if fork else SLUG
    double.push(source, "topic", "ada", {"a": "c", "README.md": None})
    double.edit_pull(SLUG, number, "ada", title="Another", draft=True)
    said = double.comment(SLUG, number, "ada", "/plan")
    double.edit_comment(SLUG, said, "ada", "/build")
    double.delete_comment(SLUG, said, "ada")
    double.close(SLUG, number, "ada")
    double.reopen(SLUG, number, "ada")
    merged = double.merge(SLUG, number, "lab", method)
    assert merged
    assert double.idle()
    told = listener.told()
    for event in ("opened", "synchronize", "edited", "converted_to_draft", "closed", "reopened"):
        assert f"pull_request:{event}" in told
    for event in ("created", "edited", "deleted"):
        assert f"issue_comment:{event}" in told
    pushes = [body for _, event, body in listener.got if event == "push"]
    assert pushes[-1]["after"] == merged
    assert len(pushes) == (1 if fork else 3)  # a fork's hooks are not ours


def test_weather_doubles_loses_and_fails_and_the_record_shows_it(double, listener):
    hook = double.hook(listener.url, SECRET, slug=SLUG)
    double.weather(twice=1.0)
    double.push(SLUG, "one", "lab", {"a": "1"})
    assert double.idle()
    [(first, _, _), (second, _, _)] = listener.got
    assert first == second
    double.weather(lost=1.0)
    double.push(SLUG, "two", "lab", {"a": "2"})
    double.weather(failed=1.0)
    double.push(SLUG, "three", "lab", {"a": "3"})
    double.weather()
    listener.answers = [500]
    double.push(SLUG, "four", "lab", {"a": "4"})
    assert double.idle()
    codes = [d["status"] for d in double.deliveries()]
    assert codes == [202, 502, 500]
    token = double.token("waas", {SLUG: "admin"})
    path = f"/repos/{SLUG}/hooks/{hook}/deliveries"
    listed = asked(double, token, f"{path}?status=failure")
    assert [d["status_code"] for d in listed] == [500, 502]
    asked(double, token, f"{path}/{listed[0]['id']}/attempts", "POST")
    assert double.idle()
    assert double.deliveries()[-1]["status"] == 202
    assert double.deliveries()[-1]["guid"] == listed[0]["guid"]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", f"/repos/{SLUG}/issues/1/comments", {"text": "no body"}),
        ("POST", f"/repos/{SLUG}/issues/1/comments", {"body": 3}),
        ("POST", f"/repos/{SLUG}/issues/1/comments", {"body": "x", "pinned": True}),
        ("GET", f"/repos/{SLUG}/pulls?order=up", None),
        ("GET", f"/repos/{SLUG}/pulls?state=sleeping", None),
        ("DELETE", f"/repos/{SLUG}", None),
        ("GET", f"/repos/{SLUG}/no-such-thing", None),
    ],
)
def test_who_does_not_keep_to_the_description_is_found_out(double, verb, path, body):
    double.open_pull(SLUG, "topic", "Title", "ada", files={"a": "b"})
    token = double.token("waas", {SLUG: "admin"})
    with pytest.raises(HTTPError):
        asked(double, token, path, verb, body)
    [found] = double.violations
    assert found.startswith(f"client: {verb} /api/v3{path.partition('?')[0]}")
    double.world.violations.clear()


def asked(double: Any, token: str, path: str, verb: str = "GET", body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = Request(double.api + path, data, headers, method=verb)
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")
