"""The receiver of webhooks: nothing of a body counts before its signature holds."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from werkzeug.test import Client, TestResponse

from ci.errors import EntryError, SiteError
from hooks.web.webhooks import Receiver, before, sign
from hooks.web.webhooks import receiver as receiver_module
from hooks.web.webhooks.events import read_git, read_github
from hooks.web.webhooks.limits import BAD_PER_MINUTE, Bucket, Refusals, Tally

SECRETS = {"github": [b"new", b"old"], "git": [b"of git"]}
PAYLOADS = Path(__file__).with_name("payloads")
HELLO = "Codertocat/Hello-World"
PUSH = b'{"repository": "workflow-registry", "ref": "refs/heads/main"}'
HERE = {"REMOTE_ADDR": "192.0.2.1"}
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


class Inbox:
    """Stores in a list; ``error`` is raised if there is one."""

    def __init__(self) -> None:
        self.stored: list[tuple] = []
        self.error: Exception | None = None

    def accept(self, id, source, repository, event):
        if self.error:
            raise self.error
        new = id not in [stored[0] for stored in self.stored]
        if new:
            self.stored.append((id, source, repository, event))
        return int(new)  # as the real one, whose answers are of an enumeration


class Secrets:
    """Those of ``SECRETS``; notes which are used."""

    def __init__(self) -> None:
        self.uses: list[tuple[str, bytes]] = []

    def valid(self, source):
        return SECRETS[source]

    def used(self, source, secret):
        self.uses.append((source, secret))


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def receiver(inbox, monkeypatch) -> Receiver:
    monkeypatch.setattr(receiver_module, "refused", Tally())
    return Receiver(inbox, Secrets(), {HELLO: "workflow-registry"})


@pytest.fixture
def client(receiver) -> Client:
    def flask(_environ, start_response):
        start_response("204 NO CONTENT", [])
        return []

    return Client(before(flask, SimpleNamespace(webhooks=receiver)))


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def github(client: Client, kind: str, body: bytes, secret: bytes = b"new", **more) -> TestResponse:
    headers = {
        "X-GitHub-Event": kind,
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": sign(secret, body),
        "Content-Type": "application/json",
        **more,
    }
    return client.post("/webhooks/github", data=body, headers=headers)


def git(client: Client, body: bytes, secret: bytes = b"of git", name: str = "d1") -> TestResponse:
    headers = {"X-Hub-Signature-256": sign(secret, body), "X-Delivery": name}
    return client.post("/webhooks/git", data=body, headers=headers, environ_base=HERE)


def test_githubs_own_example_of_a_signature():
    """The example of GitHub's documentation on validating deliveries."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign(b"It's a Secret to Everybody", b"Hello, World!") == signature


@pytest.mark.parametrize(
    ("kind", "slug", "event"),
    [
        (
            "push",
            HELLO,
            {"ref": "refs/heads/master", "head": "0" * 40},
        ),
        ("pull_request", HELLO, {"action": "synchronize", "number": 2, "head": HEAD}),
        (
            "pull_request_review",
            HELLO,
            {"action": "submitted", "number": 2, "remark": "237895671"},
        ),
        ("issue_comment", HELLO, {"action": "created", "remark": "492700400"}),
        (
            "check_run",
            "github/hello-world",
            {"action": "rerequested", "head": "d6fde92930d4715a2b49857d24b940956b26d2d3"},
        ),
        ("check_suite", HELLO, {"action": "rerequested", "number": 2, "head": HEAD}),
        ("create", HELLO, {"ref": "refs/tags/simple-tag"}),
        ("delete", HELLO, {"ref": "refs/tags/simple-tag"}),
        ("installation", "", {"action": "created"}),
        ("ping", "", {}),
        ("star", HELLO, {}),
    ],
)
def test_of_a_real_payload_only_a_small_event_is_kept(kind, slug, event):
    hint = read_github(kind, "application/json", payload(kind))
    assert hint.where == slug
    pusher = hint.event.pop("pusher", None)
    if kind == "push":
        event["head"] = json.loads(payload(kind))["after"]
    assert hint.event == {"event": kind, **event}
    assert (pusher is None) == (kind in ("ping", "star"))


def test_a_comment_on_a_pull_request_has_its_number():
    body = json.loads(payload("issue_comment"))
    body["issue"]["pull_request"] = {"url": "https://api.github.com/repos/a/b/pulls/1"}
    event = read_github("issue_comment", "application/json", json.dumps(body).encode()).event
    assert event["number"] == body["issue"]["number"]


def test_a_branch_that_was_made_or_removed_is_a_ref():
    for kind in ("create", "delete"):
        body = json.loads(payload(kind)) | {"ref_type": "branch", "ref": "topic/ä"}
        event = read_github(kind, "application/json", json.dumps(body).encode()).event
        assert event["ref"] == "refs/heads/topic/ä"


def test_a_pull_request_whose_fork_is_gone_is_read():
    body = json.loads(payload("pull_request"))
    body["pull_request"]["head"]["repo"] = None
    assert read_github("pull_request", "", json.dumps(body).encode()).event["number"] == 2


@pytest.mark.parametrize(
    ("kind", "path", "values"),
    [
        ("push", ["ref"], [None, 1, "main", "refs/heads/", "refs/heads/a\n", "refs/heads/a..b"]),
        ("push", ["ref"], ["refs/heads/" + "a" * 251, "refs/heads/\ud800", "refs/notes/a"]),
        ("push", ["after"], ["", "g" * 40, "0" * 39, "0" * 41, "A" * 40, "0" * 40 + "\n"]),
        ("push", ["repository", "full_name"], ["a", "a/b/c", "a/b\n", "../b/c", "a/" + "b" * 101]),
        ("push", ["repository"], [[1], "a/b", 7]),
        ("push", ["sender"], ["alice", [1]]),
        ("push", ["sender", "login"], [None, "a b", "a" * 101, "-a", "a\u202e"]),
        ("pull_request", ["pull_request", "number"], [0, -1, 2**31, True, "2", 2.0]),
        ("pull_request", ["pull_request", "head"], [None, "abc"]),
        ("pull_request", ["action"], ["Opened", 1, "a" * 61, "a b"]),
        ("issue_comment", ["comment", "id"], [2**63, "1", None]),
        ("check_run", ["check_run", "head_sha"], [None, "abc"]),
        ("create", ["ref"], [None, "a b", "../../etc"]),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_refused(kind, path, values):
    for value in values:
        body = json.loads(payload(kind))
        place = body
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        if value is None and path == ["ref"]:
            del place["ref"]
        if kind == "create" and value is None:
            continue  # becomes refs/tags/None, which is a name
        with pytest.raises(EntryError):
            read_github(kind, "application/json", json.dumps(body).encode())


NAMES = st.sampled_from(
    ["ref", "after", "repository", "full_name", "sender", "login", "number"]
) | (
    st.sampled_from(["action", "pull_request", "head", "sha", "issue", "comment", "id", "new"])
    | st.sampled_from(["check_run", "head_sha", "ref_type", "pull_requests", "payload", "pusher"])
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("refs/heads/a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
KINDS = st.sampled_from(["push", "pull_request", "issue_comment", "check_run", "create", "star"])


@given(kind=KINDS, document=DOCUMENTS, form=st.booleans())
def test_any_document_is_read_or_refused(kind, document, form):
    body = json.dumps(document).encode()
    if form:
        body = b"payload=" + quote_plus(body).encode()
    content = "application/x-www-form-urlencoded" if form else "application/json"
    for read in (lambda: read_github(kind, content, body), lambda: read_git(body)):
        try:
            hint = read()
        except EntryError:
            continue
        assert len(json.dumps(hint.event)) < 3000
        assert set(hint.event) <= {"event", "ref", "number", "remark", "action", "head", "pusher"}


@given(
    body=st.binary(max_size=200), content=st.sampled_from(["", "application/x-www-form-urlencoded"])
)
def test_any_bytes_are_read_or_refused(body, content):
    for read in (lambda: read_github("push", content, body), lambda: read_git(body)):
        with pytest.raises(EntryError):
            read()


def test_a_delivery_is_stored_under_our_name_of_the_repository(client, inbox, receiver):
    answer = github(client, "pull_request", payload("pull_request"))
    assert answer.status_code == 202
    name = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert answer.get_json() == {"id": name, "stored": True}
    assert answer.get_json()["stored"] is True
    [(stored, source, repository, event)] = inbox.stored
    assert (stored, source, repository) == (name, "github", "workflow-registry")
    assert event["number"] == 2
    again = github(client, "pull_request", payload("pull_request"), b"old")
    assert (again.status_code, again.get_json()["stored"]) == (202, False)
    assert receiver.secrets.uses == [("github", b"new"), ("github", b"old")]


def test_a_form_is_signed_as_it_was_sent(client, inbox):
    body = b"payload=" + quote_plus(payload("push")).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert github(client, "push", body, **form).status_code == 202
    assert inbox.stored[0][3]["ref"] == "refs/heads/master"
    for bad in (b"payload=%7B", b"other={}", b"payload={}&payload={}", b"a=&" * 9 + b"payload={}"):
        assert github(client, "push", bad, **form).status_code == 400


@pytest.mark.parametrize("full_name", ["codertocat/hello-world", "CODERTOCAT/HELLO-WORLD"])
def test_github_does_not_care_for_case_in_names(client, inbox, full_name):
    body = json.loads(payload("push"))
    body["repository"]["full_name"] = full_name
    assert github(client, "push", json.dumps(body).encode()).status_code == 202
    assert inbox.stored[0][2] == "workflow-registry"


def test_one_of_another_repository_is_kept_so_that_its_fate_is_seen(client, inbox):
    assert github(client, "check_run", payload("check_run")).status_code == 202
    [(_, _, repository, event)] = inbox.stored
    assert repository == ""
    assert event["unknown"] == "github/hello-world"
    assert github(client, "ping", payload("ping"), **{"X-GitHub-Delivery": "2"}).status_code == 202
    assert inbox.stored[1][2:] == ("", {"event": "ping"})


def test_plain_git(client, inbox):
    body = json.dumps(json.loads(PUSH) | {"old": "0" * 40, "new": "a" * 40, "pusher": "alice"})
    assert git(client, body.encode()).get_json() == {"id": "d1", "stored": True}
    event = {"event": "push", "ref": "refs/heads/main", "head": "a" * 40, "pusher": "alice"}
    assert inbox.stored == [("d1", "git", "workflow-registry", event)]
    assert git(client, PUSH, name="d2").status_code == 202
    for bad in (b" ", b"[]", b"{}", b"[" * 50_000, b'{"repository": "W", "ref": "refs/heads/a"}'):
        assert git(client, bad, name="d3").status_code == 400
    for name in ("", "a b", "x" * 151, "\xe9"):
        assert git(client, PUSH, name=name).status_code == 400
    assert len(inbox.stored) == 2


def test_a_signature_that_does_not_hold_is_refused_whatever_it_looks_like(client, inbox):
    right = sign(b"of git", PUSH)
    others = [
        "",
        "sha256=00",
        "sha256=\xe9",
        right[:-1],
        right + "0",
        right.upper(),
        "sha1=" + "0" * 40,
    ]
    others += [sign(b"other", PUSH), sign(b"new", PUSH), sign(b"of git", PUSH + b" "), f" {right}x"]
    for signature in others:
        headers = {"X-Hub-Signature-256": signature, "X-Delivery": "d"}
        assert client.post("/webhooks/git", data=PUSH, headers=headers).status_code == 401
    assert client.post("/webhooks/git", data=PUSH, headers={"X-Delivery": "d"}).status_code == 401
    assert inbox.stored == []


def test_every_secret_is_tried_even_when_one_has_matched(monkeypatch):
    made = []
    monkeypatch.setattr(
        "hooks.web.webhooks.signatures.sign", lambda secret, body: made.append(secret) or "x"
    )
    from hooks.web.webhooks.signatures import matching

    assert matching("x", b"", [b"1", b"2", b"3"]) == [True, True, True]
    assert made == [b"1", b"2", b"3"]


def test_a_service_without_secrets_lets_nobody_in(client, monkeypatch):
    monkeypatch.setitem(SECRETS, "git", [])
    assert git(client, PUSH, b"").status_code == 401


def test_sizes_and_methods(client, receiver):
    receiver.largest = 100
    assert client.post("/webhooks/git", data=b"x" * 101).status_code == 413
    assert client.post("/webhooks/git", data=b"x" * 100).status_code == 401
    answer = client.get("/webhooks/git")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert client.post("/webhooks/gitlab", data=b"x").status_code == 404
    assert client.get("/elsewhere").status_code == 204
    for length in ("", "-1", "1e3", "9" * 40):
        environ = {"CONTENT_LENGTH": length}
        answer = client.post("/webhooks/git", environ_overrides=environ)
        assert answer.status_code in (411, 413)


def test_less_than_was_announced_is_not_taken(client):
    signed = {"X-Hub-Signature-256": sign(b"of git", PUSH), "X-Delivery": "d"}
    longer = {"CONTENT_LENGTH": str(len(PUSH) + 1)}
    answer = client.post("/webhooks/git", data=PUSH, headers=signed, environ_overrides=longer)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "error",
    [OperationalError("insert", {}, Exception("locked")), SiteError("full", transient=True)],
)
def test_what_cannot_be_stored_is_to_be_sent_again(client, inbox, error):
    inbox.error = error
    answer = git(client, PUSH)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    inbox.error = None
    assert git(client, PUSH).get_json()["stored"]


def test_bad_signatures_never_cost_a_good_one_anything(client, inbox):
    codes = [git(client, PUSH, b"wrong").status_code for _ in range(BAD_PER_MINUTE + 5)]
    assert codes == [401] * (BAD_PER_MINUTE - 1) + [429] * 6
    unsigned = client.post("/webhooks/git", data=PUSH, environ_base=HERE)
    assert (unsigned.status_code, unsigned.headers["Retry-After"]) == (429, "60")
    assert git(client, PUSH).status_code == 202


def test_another_address_is_not_blamed(client):
    for _ in range(BAD_PER_MINUTE + 1):
        git(client, PUSH, b"wrong")
    here = {"REMOTE_ADDR": "192.0.2.2"}
    assert client.post("/webhooks/git", data=PUSH, environ_base=here).status_code == 401


def test_signed_deliveries_have_a_limit_too(client, receiver, inbox):
    receiver._bucket = Bucket(0.0, 2)
    assert [git(client, PUSH, name=f"d{n}").status_code for n in range(3)] == [202, 202, 429]
    assert len(inbox.stored) == 2


def test_of_what_is_refused_only_address_and_size_are_logged_and_seldom(client, caplog):
    with caplog.at_level(logging.DEBUG):
        for number in range(50):
            body = f"secret-looking {number}".encode()
            git(client, body, b"wrong", name="leak-me")
    [record] = caplog.records
    assert (record.address, record.bytes, record.count) == ("192.0.2.1", 16, 1)
    assert record.answers == {"401": 1}
    assert "secret-looking" not in json.dumps(record.__dict__, default=str)
    assert "leak-me" not in json.dumps(record.__dict__, default=str)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_refusals_are_forgotten_after_a_minute_and_their_number_is_bounded():
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(BAD_PER_MINUTE):
        assert not refusals.too_many("a")
        refusals.note("a")
    assert refusals.too_many("a")
    clock.now = 61
    assert not refusals.too_many("a")
    refusals.note("a")
    assert not refusals.too_many("a")
    for number in range(10_000):
        refusals.note(f"b{number}")
    assert len(refusals._bad) <= 4096


def test_all_refusals_are_counted_in_the_log_and_lines_are_few(caplog):
    clock, later = Clock(), []
    tally = Tally(clock, lambda *given: later.append(given))
    for status in ("401", "401", "413", "400"):
        tally.note(status, "a", 1)
    tally.note("401", "b", 7)
    [(seconds, say)] = later
    clock.now = seconds
    say()
    clock.now += seconds
    tally.note("503", "c", 9)
    assert [r.answers for r in caplog.records] == [
        {"401": 1},
        {"401": 2, "413": 1, "400": 1},
        {"503": 1},
    ]
    assert [(r.count, r.address, r.bytes) for r in caplog.records] == [
        (1, "a", 1),
        (4, "b", 7),
        (1, "c", 9),
    ]


def test_names_that_a_sender_makes_up_get_no_lanes_of_their_own(inbox):
    client = Client(Receiver(inbox, Secrets(), known={"workflow-registry"}))
    for name in ("workflow-registry", "made-up"):
        body = json.dumps({"repository": name, "ref": "refs/heads/a"}).encode()
        assert git(client, body, name=name).status_code == 202
    [ours, other] = inbox.stored
    assert ours[2] == "workflow-registry"
    assert (other[2], other[3]["unknown"]) == ("", "made-up")


def test_a_bucket_fills_again():
    clock = Clock()
    bucket = Bucket(2.0, 3.0, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.now = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_nothing_is_read_of_a_body_without_a_signature():
    class Unreadable:
        def read(self, _size):
            raise AssertionError("read")

    environ = {
        "PATH_INFO": "/webhooks/git",
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(receiver_module.LARGEST_BYTES),
        "wsgi.input": Unreadable(),
    }
    said = []
    Receiver(Inbox(), Secrets())(environ, lambda status, _headers: said.append(status))
    assert said == ["401 UNAUTHORIZED"]
