"""Builds over HTTP: who sees and cancels them, and their log while it is written."""

import json
import threading

import pytest
import requests

from hooks.builds.attempt import Attempt
from hooks.builds.records import CANCELLED, FINISHED, subject
from hooks.builds.spec import Asker
from hooks.web import builds_api

NASTY = "\x1b]0;owned\x07<script>alert(1)</script> &amp; \u202egnp"


def headers(service, user, role="user"):
    return {"Authorization": f"Bearer {service.tokens.create(user, role)[1]}"}


@pytest.fixture
def alice(service):
    return headers(service, "alice")


def test_nothing_without_a_token(service, ask):
    build = ask()
    for path in ("", f"/{build}", f"/{build}/log", f"/{build}/events"):
        assert service.client.get(f"/builds{path}").status_code == 401
    assert service.client.delete(f"/builds/{build}").status_code == 401


def test_the_list_is_narrowed_and_goes_on_by_page(service, ask, alice):
    ids = [ask("solve"), ask("report"), ask("solve", scope="pull-3")]

    def listed(query):
        answer = service.client.get(f"/builds?{query}", headers=alice).get_json()
        return [b["id"] for b in answer["builds"]], answer["total"]

    assert listed("") == (ids[::-1], 3)
    assert listed("per_page=2&page=2") == (ids[:1], 3)
    assert listed("workflow=rom&state=pending") == (ids[::-1], 3)
    assert listed("workflow=other") == ([], 0)
    assert listed("state=FINISHED") == ([], 0)
    for wrong in ("page=x", "page=-1", "per_page=100000", "page=1e3", "page=%D9%A3"):
        answer = service.client.get(f"/builds?{wrong}", headers=alice)
        assert answer.status_code == 400
        assert "is not a number" in answer.get_json()["error"]


def test_one_build_tells_what_it_is_of_and_who_wants_it(service, ask, alice):
    build = ask()
    shown = service.client.get(f"/builds/{build}", headers=alice).get_json()
    assert (shown["workflow"], shown["step"], shown["state"]) == ("rom", "solve", "PENDING")
    assert shown["askers"] == ["user:alice"]
    assert shown["target"]["platform"] == "linux/amd64"
    service.run()
    assert service.client.get(f"/builds/{build}", headers=alice).get_json()["state"] == FINISHED
    for unknown in ("none", "%00", "..%2f"):
        assert service.client.get(f"/builds/{unknown}", headers=alice).status_code == 404


def test_who_asked_may_cancel_and_an_operator_but_nobody_else(service, ask, alice):
    build = ask()
    bob = headers(service, "bob")
    refused = service.client.delete(f"/builds/{build}", headers=bob)
    assert (refused.status_code, "bob" in refused.get_json()["error"]) == (403, True)
    ask(asker=Asker.user("bob"))
    answer = service.client.delete(f"/builds/{build}", headers=alice)
    assert (answer.status_code, answer.get_json()["state"]) == (202, "PENDING")
    root = headers(service, "root", "operator")
    assert service.client.delete(f"/builds/{build}", headers=root).get_json()["state"] == CANCELLED
    again = service.client.delete(f"/builds/{build}", headers=root)
    assert (again.status_code, again.get_json()["ended"]) == (202, False)


def test_who_may_not_read_the_repository_sees_no_builds_of_it(service, ask, alice, monkeypatch):
    build = ask(scope="pull-3")
    service.journal.write(subject(build), "one", "of a secret")
    forge = service.hosting.forges["workflow-registry"]
    monkeypatch.setattr(forge, "_access", lambda _user, right: right != "read")
    listed = service.client.get("/builds", headers=alice).get_json()
    assert (listed["builds"], listed["total"]) == ([], 0)
    for path in ("", "/log", "/events"):
        assert service.client.get(f"/builds/{build}{path}", headers=alice).status_code == 404
    for path in (f"/pages/builds/{build}", f"/build/{build}"):
        assert service.client.get(path, headers=alice).status_code == 404
    assert service.client.delete(f"/builds/{build}", headers=alice).status_code == 404
    assert build not in service.client.get("/", headers=alice).text
    body = {"workflow": "rom", "step_id": "solve", "machine": {"platform": "linux/amd64"}}
    assert service.client.post("/build", headers=alice, json=body).status_code == 404


def test_the_log_is_read_piece_by_piece(service, ask, alice):
    build = ask()
    for number in range(5):
        service.journal.write(subject(build), f"k{number}", f"line {number}")
    found, start = [], 0
    for _ in range(4):
        path = f"/builds/{build}/log?from={start}&size=2"
        answer = service.client.get(path, headers=alice).get_json()
        found += [line["content"] for line in answer["lines"]]
        start = answer["next"]
    assert found == [f"line {n}" for n in range(5)]
    assert service.client.get(f"/builds/{build}/log?from=x", headers=alice).status_code == 400


class Reader:
    """Reads Server-Sent Events as the standard has it."""

    def __init__(self, url, service, last=None):
        more = {"Last-Event-ID": str(last)} if last is not None else {}
        own = headers(service, "reader")
        self.answer = requests.get(url, headers=own | more, stream=True, timeout=30)
        self.lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def __iter__(self):
        event = {}
        for line in self.lines:
            if not line and "data" in event:
                yield event.get("event"), json.loads(event["data"]), event.get("id")
            if not line:
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value


def test_a_build_is_followed_live_to_its_end_and_from_where_one_was(service, served, ask):
    build = ask()
    follow = iter(Reader(f"{served}/builds/{build}/events", service))
    assert next(follow)[:2] == ("state", {"state": "PENDING", "message": ""})
    written, go_on = threading.Event(), threading.Event()

    def make():
        with Attempt(service.builds.records, build, 1, threading.Event()) as attempt:
            attempt.progress(builds_phase("BUILDING"), "first")
            written.set()
            go_on.wait(20)
            attempt.progress(builds_phase("BUILDING"), "second\r\ndata: forged\n\nevent: end")

    thread = threading.Thread(target=make)
    thread.start()
    assert next(follow)[1]["state"] == "BUILDING"
    kind, line, first = next(follow)
    assert (kind, line["content"]) == ("line", "first")  # while it is being built
    go_on.set()
    thread.join()
    service.run()
    rest = list(follow)
    lines = [data["content"] for kind, data, _ in rest if kind == "line"]
    assert lines == ["second", "data: forged", "", "event: end"]
    assert rest[-1][:2] == ("end", {"state": FINISHED, "message": ""})
    again = list(Reader(f"{served}/builds/{build}/events", service, first))
    assert [data["content"] for kind, data, _ in again if kind == "line"] == lines


def builds_phase(name):
    from builder.request import Phase

    return Phase(name)


def test_more_readers_than_there_is_room_for_are_told_to_come_again(
    service, served, ask, monkeypatch
):
    monkeypatch.setattr(builds_api, "_streams", threading.BoundedSemaphore(2))
    monkeypatch.setattr(builds_api, "HEARTBEAT_SECONDS", 0.1)
    url = f"{served}/builds/{ask()}/events"
    readers = [Reader(url, service) for _ in range(2)]
    for reader in readers:
        next(iter(reader))
    full = Reader(url, service).answer
    assert (full.status_code, full.headers["Retry-After"]) == (503, "5")
    readers[0].answer.close()  # one leaves: a heartbeat finds that out
    for _ in range(100):
        late = Reader(url, service).answer
        if late.status_code == 200:
            break
        threading.Event().wait(0.1)
    assert late.status_code == 200
    late.close()
    readers[1].answer.close()


def test_what_a_build_printed_is_text_on_its_page(service, ask, alice):
    build = ask()
    service.journal.write(subject(build), "k", NASTY)
    service.builds.fail(build, f"error: {NASTY}")
    for path in (f"/pages/builds/{build}", "/"):
        page = service.client.get(path, headers=alice).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp;" in page
    assert service.client.get("/pages/builds/none", headers=alice).status_code == 404


def test_the_page_of_a_running_build_goes_on_where_it_was_made(service, ask, alice):
    build = ask()
    service.journal.write(subject(build), "k", "first")
    page = service.client.get(f"/pages/builds/{build}", headers=alice).get_data(as_text=True)
    [line] = service.builds.records.lines(build)
    assert f"/builds/{build}/events?from={line.number}" in page
    service.run()
    page = service.client.get(f"/pages/builds/{build}", headers=alice).get_data(as_text=True)
    assert "EventSource" not in page
