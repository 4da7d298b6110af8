"""``waas deploy | rollback | undeploy`` against a service on a real port."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from operators_desk import SITE
from werkzeug.serving import make_server

from hooks.cli import deploy
from hooks.cli.main import main
from hooks.dispatch.on_request import FLOW
from hooks.tokens import Tokens
from hooks.web.application import create

AT = ("--site", SITE)


@pytest.fixture
def waas(monkeypatch, capsys):
    """Run a command as a person does: ``waas(url, token, *words)``; its exit code and output."""
    monkeypatch.setattr(deploy, "_POLL_SECONDS", 0.02)

    def run(url, token, *words):
        monkeypatch.setenv("HW_API_URL", url)
        monkeypatch.setenv("HW_ACCESS_TOKEN", token)
        monkeypatch.setattr(sys, "argv", ["waas", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=said.out, err=said.err)

    return run


@pytest.fixture
def service(desk):
    """The desk's application, and a worker that does what was asked for."""
    parts = ("database", "journal", "registries", "deployments", "deploying", "sites")
    tokens, workers = Tokens(desk.database), []
    application = create(SimpleNamespace(tokens=tokens, **{n: getattr(desk, n) for n in parts}))

    def work():
        waiting = [name for name, (flow, _) in desk.flows.started.items() if flow == FLOW]
        number = waiting[-1].removeprefix(f"{FLOW}:")
        workers.append(threading.Thread(target=desk.run, args=(number,)))
        workers[-1].start()

    desk.flows.at_start = work
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    root, bob = (tokens.create(n, r)[1] for n, r in (("root", "operator"), ("bob", "user")))
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{server.server_port}", root=root, bob=bob, workers=workers
    )
    for worker in workers:
        worker.join(30)
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def operator(service, waas):
    return lambda *words: waas(service.url, service.root, *words)


def test_back_again_and_away(desk, operator):
    done = operator("rollback", "rom", *AT)
    assert (done.code, done.err, desk.serving()) == (0, "", desk.first)
    told = done.out.splitlines()
    assert told[0] == f"rom goes back on {SITE}"
    assert told[-1] == f"rom@{SITE}: rolled back to {desk.first[:10]} by root"
    done = operator("deploy", "rom", *AT)
    assert (done.code, desk.serving()) == (0, desk.second)
    assert done.out.splitlines()[-1] == f"rom@{SITE}: active at {desk.second[:10]}"
    done = operator("undeploy", "rom", *AT)
    assert (done.code, desk.serving()) == (0, "")
    assert done.out.splitlines()[-1] == f"rom@{SITE}: removed by root"


def test_a_commit_is_named(desk, operator):
    assert operator("deploy", "rom", *AT, "--commit", desk.first[:10]).code == 0
    assert desk.serving() == desk.first
    assert operator("rollback", "rom", *AT, "--to", desk.second[:10]).code == 0
    assert desk.serving() == desk.second


def test_what_fails_exits_with_1_and_says_why(desk, operator):
    done = operator("deploy", "rom", *AT, "--commit", "deadbeef")
    assert (done.code, done.err, desk.serving()) == (1, "", desk.second)
    assert done.out.splitlines()[-1] == f"rom@{SITE}: there is no commit 'deadbeef'"
    assert operator("rollback", "rom", *AT, "--to", "deadbeef").code == 1


def test_what_is_refused_exits_with_2_and_a_sentence(desk, operator, service, waas):
    for words, told in (
        (("deploy", "rom", "--site", "heer"), "there is no site 'heer'"),
        (("deploy", "../rom", *AT), "not found"),
        (("deploy", "rom", *AT, "--commit", "HEAD"), "'HEAD' is not a commit"),
        (("rollback", "tide", *AT), f"tide is not deployed to {SITE}"),
        (("undeploy", "tide", *AT), f"tide is not deployed to {SITE}"),
        (("rollback", "rom"), "Missing option '--site'"),
    ):
        done = operator(*words)
        assert (done.code, done.out) == (2, ""), words
        assert told in done.err
    done = waas(service.url, service.bob, "undeploy", "rom", *AT)
    assert (done.code, done.err) == (2, "error: only an operator may do this\n")
    assert (service.workers, desk.serving()) == ([], desk.second)


def test_what_executions_need_takes_force(desk, operator):
    desk.execute()
    done = operator("undeploy", "rom", *AT)
    assert (done.code, desk.serving()) == (2, desk.second)
    assert "--force removes it all the same" in done.err
    assert operator("undeploy", "rom", *AT, "--force").code == 0
    assert desk.serving() == ""


def test_no_wait_only_asks(desk, operator, service):
    may_begin = threading.Event()
    run, desk.run = desk.run, lambda number: may_begin.wait(30) and run(number)
    done = operator("undeploy", "rom", *AT, "--no-wait")
    assert (done.code, done.out) == (0, f"rom leaves {SITE}\n")
    assert desk.serving() == desk.second
    may_begin.set()
    service.workers[0].join(30)
    assert desk.serving() == ""


class Script(ThreadingHTTPServer):
    """A service that answers by a script: a list of answers by path, the last of them for ever.

    An answer is what the JSON has, or ``CUT``: the connection ends without one.
    """

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Reader)
        self.script, self.asked = script, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def next(self, path):
        answers = self.script[path]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Reader(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, body.decode()))
        answer = self.server.next(self.path)
        if answer is CUT:
            self.close_connection = True
            return
        body = json.dumps(answer).encode()
        self.send_response(404 if "error" in answer else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        """Tests are quiet."""


CUT, NUMBER = object(), "0123456789abcdef"
RUNNING, DONE = {"state": "RUNNING", "message": ""}, {"state": "DONE", "message": "active at 0123"}


@pytest.fixture
def script():
    """Serve a script: ``script(requests=[…], rows=[…])``."""
    made = []

    def serve(requests, rows):
        number = {"request": NUMBER, "message": "rom is being deployed to here"}
        paths = {"/deployments/rom@here/deploy": [number], "/deployments/rom@here": rows}
        server = Script({**paths, f"/deployment-requests/{NUMBER}": requests})
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        made.append((server, thread))
        return server

    yield serve
    for server, thread in made:
        server.shutdown()
        server.server_close()
        thread.join(10)


def row(message):
    return {"message": message}


def test_what_is_waited_for_is_told_once(script, waas):
    told = [
        "removed by ada",
        "removed by ada",
        "waits: b-1",
        "waits: b-1",
        "",
        "is down",
        "is down",
    ]
    server = script([RUNNING] * 7 + [DONE], [row(message) for message in told])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert done.code == 0
    assert done.out.splitlines() == [
        "rom is being deployed to here",
        "  waits: b-1",
        "  is down",
        "rom@here: active at 0123",
    ]


def test_what_is_deployed_for_the_first_time_has_no_record_yet(script, waas):
    missing = {"error": "there is no deployment", "hint": ""}
    server = script([RUNNING, RUNNING, DONE], [missing, missing, row("waits: b-1")])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1:] == ["  waits: b-1", "rom@here: active at 0123"]


def test_a_service_that_is_started_again_is_waited_for(script, waas):
    server = script([RUNNING, CUT, CUT, RUNNING, CUT, DONE], [row("")])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("the service does not answer") == 1
    assert done.out.splitlines()[-1] == "rom@here: active at 0123"
    assert [method for method, *_ in server.asked].count("POST") == 1


def test_a_service_that_is_gone_is_not_waited_for_for_ever(script, waas, monkeypatch):
    monkeypatch.setattr(deploy, "_PATIENCE", 3)
    server = script([CUT], [row("")])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert done.code == 2
    assert "does not answer" in done.err
    assert [path for _, path, _ in server.asked].count(f"/deployment-requests/{NUMBER}") == 4


def test_a_request_that_the_service_forgot_is_not_followed(script, waas):
    server = script([RUNNING, {"error": "there is no request", "hint": ""}], [row("")])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert (done.code, done.err) == (2, "error: there is no request\n")


def test_no_message_can_play_with_the_terminal(script, waas):
    nasty = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
    ended = {"state": "FAILED", "message": f"it said {nasty}"}
    server = script([RUNNING, ended], [row(""), row(nasty)])
    done = waas(server.url, "t", "deploy", "rom", *AT)
    assert done.code == 1
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out)
    assert done.out.count("owned") == 2


def test_the_options_are_what_is_sent(script, waas):
    server = script([DONE], [row("")])
    waas(server.url, "t", "deploy", "rom", *AT, "--commit", "abcdef0", "--no-wait")
    [(method, path, body)] = server.asked
    assert (method, path) == ("POST", "/deployments/rom@here/deploy")
    assert json.loads(body) == {"commit": "abcdef0"}


def test_without_a_service_the_sentence_says_what_to_do(waas):
    done = waas("http://127.0.0.1:9", "t", "undeploy", "rom", *AT)
    assert (done.code, done.out) == (2, "")
    assert "is `waas serve` running?" in done.err
