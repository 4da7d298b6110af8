"""Git over HTTP: a token is the key, and nothing but git's smart protocol is there."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import threading
from types import SimpleNamespace

import pytest
import requests

from hooks.db import Database
from hooks.forges.access import FILE_NAME, Access, AccessFile, GitUser
from hooks.tokens import Tokens
from hooks.web import git_http
from hooks.web.application import create
from hooks.web.server import make_server

NAME = "workflow-registry"


@pytest.fixture
def served(hosted_home, monkeypatch):
    database = Database(hosted_home.database)
    access = AccessFile(hosted_home.home / FILE_NAME)
    users = {"bob": GitUser((), {"*": "propose"}), "ada": GitUser((), {NAME: "merge"})}
    access.write(Access(users))
    waas = SimpleNamespace(
        settings=hosted_home,
        database=database,
        tokens=Tokens(database),
        hosting=SimpleNamespace(access=access),
    )
    server = make_server(create(waas), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waas.port, waas.access = server.effective_port, access
    waas.url = f"http://127.0.0.1:{waas.port}"
    yield waas
    server.task_dispatcher.shutdown()
    server.close()
    thread.join(10)


@pytest.fixture
def address(served):
    """The repository's address with a token of this user."""

    def make(user, role="user", name=NAME):
        token = served.tokens.create(user, role)[1]
        return f"http://{user}:{token}@127.0.0.1:{served.port}/git/{name}.git"

    return make


def judged(settings, head, base):
    from hooks.forges.mailbox import Mailbox

    box = Mailbox(settings.repositories[NAME])
    box.write_comment(1, "all is well")
    status = {"head": head, "base": base, "state": "PASSED", "summary": "", "pull": 1}
    box.write_status(head, status)


def commit(run_git, folder, name):
    run_git(folder, "checkout", "-q", "-B", "topic")
    (folder / name).write_text(name * 200_000)
    run_git(folder, "add", name)
    run_git(folder, "commit", "-q", "-m", name)
    return run_git(folder, "rev-parse", "HEAD").stdout.strip()


@pytest.mark.parametrize("settings", [(), ("-c", "http.postBuffer=1000")], ids=["whole", "chunked"])
def test_clone_propose_and_merge(served, address, run_git, tmp_path, hosted_home, settings):
    run_git(tmp_path, "clone", "-q", address("ada"), "clone")
    clone = tmp_path / "clone"
    base = run_git(clone, "rev-parse", "HEAD").stdout.strip()
    head = commit(run_git, clone, "a")
    judged(hosted_home, head, base)
    pushed = run_git(clone, *settings, "push", "-o", "title=T", "origin", "topic")
    assert "all is well" in pushed.stderr
    box = hosted_home.repositories[NAME] / "waas" / "deliveries"
    [mail] = [json.loads(file.read_text()) for file in box.iterdir()]
    assert (mail["pusher"], mail["options"]) == ("ada", {"title": "T"})
    run_git(clone, "push", "-q", "origin", "HEAD:main")
    assert run_git(clone, "ls-remote", "origin", "main").stdout.startswith(head)


def test_a_push_may_be_larger_than_other_requests(served, address, run_git, tmp_path, hosted_home):
    run_git(tmp_path, "clone", "-q", address("bob"), "clone")
    clone = tmp_path / "clone"
    run_git(clone, "checkout", "-q", "-b", "topic")
    for number in range(2):
        (clone / f"f{number}").write_bytes(os.urandom(6_000_000))
    run_git(clone, "add", ".")
    run_git(clone, "commit", "-q", "-m", "large")
    judged(hosted_home, run_git(clone, "rev-parse", "HEAD").stdout.strip(), "0" * 40)
    run_git(clone, "push", "-q", "origin", "topic")
    assert "refs/heads/topic" in run_git(clone, "ls-remote", "origin").stdout


def test_one_user_cannot_have_all_of_the_threads(served, address, monkeypatch):
    monkeypatch.setattr(git_http, "MOST_OF_ONE", 0)
    url = f"{address('bob')}/info/refs?service=git-upload-pack"
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 503
    assert "bob has" in answer.json()["error"]
    monkeypatch.setattr(git_http, "MOST_OF_ONE", 1)
    for _ in range(3):
        assert requests.get(url, timeout=10).status_code == 200


def test_rights_are_those_of_the_tokens_user(served, address, run_git, tmp_path, hosted_home):
    run_git(tmp_path, "clone", "-q", address("bob"), "clone")
    clone = tmp_path / "clone"
    base = run_git(clone, "rev-parse", "HEAD").stdout.strip()
    head = commit(run_git, clone, "a")
    judged(hosted_home, head, base)
    run_git(clone, "push", "-q", "origin", "topic")
    refused = run_git(clone, "push", "origin", "HEAD:main", ok=False)
    assert "bob may not merge" in refused.stderr
    refused = run_git(clone, "push", address("eve"), "HEAD:refs/heads/x", ok=False)
    assert refused.returncode != 0
    run_git(clone, "push", "-q", address("root", "operator"), "HEAD:main")


def test_a_version_2_fetch_and_a_zipped_request_are_understood(served, address, run_git, tmp_path):
    said = run_git(
        tmp_path, "-c", "protocol.version=2", "ls-remote", address("ada"),
        env={"GIT_TRACE_PACKET": "1"},
    )  # fmt: skip
    assert "version 2" in said.stderr
    url = address("ada")
    body = gzip.compress(b"0014command=ls-refs\n0000")
    answer = requests.post(
        f"{url}/git-upload-pack",
        data=body,
        headers={
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": "gzip",
            "Git-Protocol": "version=2",
        },
        timeout=30,
    )
    assert answer.status_code == 200
    assert b"refs/heads/main" in answer.content


def test_without_a_token_git_is_asked_for_one(served):
    answer = requests.get(
        f"{served.url}/git/{NAME}.git/info/refs?service=git-upload-pack", timeout=10
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_who_may_not_read_finds_nothing(served, address):
    served.access.write(Access(everyone="none"))
    answer = requests.get(f"{address('eve')}/info/refs?service=git-upload-pack", timeout=10)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "info/refs",
        "info/refs?service=git-upload-archive",
        "info/refs?service=",
        "HEAD",
        "objects/info/packs",
        "config",
        "waas/status/x.json",
        "../waas.yaml",
        "%2e%2e/waas.yaml",
    ],
)
def test_nothing_but_the_smart_protocol_is_there(served, address, path):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    token = served.tokens.create("ada")[1]
    connection.request(
        "GET", f"/git/{NAME}.git/{path}", headers={"Authorization": f"Bearer {token}"}
    )
    assert connection.getresponse().status in {404, 405}
    connection.close()


@pytest.mark.parametrize("name", ["other", "..", "%2e%2e", "workflow-registry.git/../x"])
def test_only_our_repositories_are_there(served, address, name):
    answer = requests.get(
        f"{address('ada', name=name)}/info/refs?service=git-upload-pack", timeout=10
    )
    assert answer.status_code == 404


def test_a_client_that_goes_away_leaves_no_program_behind(served, address):
    import socket
    import subprocess
    import time

    token = served.tokens.create("ada")[1]
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(
            f"GET /git/{NAME}.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
    until = time.monotonic() + 10
    path = str(served.settings.repositories[NAME])
    while time.monotonic() < until:
        found = subprocess.run(["pgrep", "-f", path], capture_output=True, text=True).stdout
        if not found:
            return
        time.sleep(0.1)
    raise AssertionError(found)
