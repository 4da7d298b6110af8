"""The HTTP server on a real socket: what it refuses unread, and for whom it stays free."""

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from waitress import buffers

from ci.errors import SettingsError
from hooks.web import request_limits, server
from hooks.web.request_limits import Parser, Proven, Together
from hooks.web.server import make_server
from hooks.web.webhooks.limits import Tally

SIGNED = "X-Hub-Signature-256: sha256=" + "0" * 64
MEGABYTE = 1_000_000
LENGTHS = {"/rest": 15, "/long": 30, "/endless": 10**6}  # MB; 16 are kept for who takes them


@pytest.fixture
def world() -> Iterator[SimpleNamespace]:
    """A server whose application notes what it is asked; ``/slow`` waits for ``go_on``."""
    seen: list[tuple[str, int]] = []
    go_on, ended = threading.Event(), threading.Event()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append((environ["PATH_INFO"], len(environ["wsgi.input"].read())))
        if environ["PATH_INFO"].endswith("/slow"):
            go_on.wait(30)
        if environ["PATH_INFO"] in LENGTHS:
            start_response("200 OK", [])
            return long(LENGTHS[environ["PATH_INFO"]])
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def long(megabytes: int) -> Iterator[bytes]:
        try:
            for _ in range(megabytes):
                yield b"x" * MEGABYTE
        finally:
            ended.set()

    made = make_server(application, "127.0.0.1", 0, threads=1)
    made.adj.cleanup_interval = 0.05
    made.adj.asyncore_loop_timeout = 0.05
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    sockets: list[socket.socket] = []

    def connect() -> socket.socket:
        sockets.append(socket.create_connection((made.effective_host, made.effective_port), 30))
        return sockets[-1]

    def send(text: str, body: bytes = b"") -> socket.socket:
        connection = connect()
        connection.sendall(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        return connection

    def ask(text: str, body: bytes = b"") -> str:
        return whole(send(text, body))

    yield SimpleNamespace(
        server=made, seen=seen, go_on=go_on, ended=ended, ask=ask, send=send, connect=connect
    )
    go_on.set()
    for each in sockets:
        each.close()
    made.task_dispatcher.shutdown()
    made.close()
    thread.join(10)


def whole(connection: socket.socket) -> str:
    """One answer, with its body; nothing of the next."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (part := connection.recv(1)):
            return answer.decode("latin-1")
        answer += part
    length = re.search(rb"Content-Length: (\d+)", answer)
    body = connection.recv(int(length[1]), socket.MSG_WAITALL) if length else b""
    return (answer + body).decode("latin-1")


def proven(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.setattr(Parser, "proven", Proven())
    Parser.proven.note(header)


def test_a_connection_takes_one_request_after_the_other(world):
    connection = world.send("GET /a HTTP/1.1")
    assert whole(connection).startswith("HTTP/1.1 200")
    connection.sendall(b"POST /webhooks/git HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    assert whole(connection).startswith("HTTP/1.1 200")
    assert world.seen == [("/a", 0), ("/webhooks/git", 3)]


@pytest.mark.parametrize(
    ("request_line", "headers", "code"),
    [
        ("POST /webhooks/github", f"{SIGNED}\nContent-Length: 5000001", 413),
        ("POST //webhooks/github", f"{SIGNED}\nContent-Length: 5000001", 413),
        ("POST /web%68ooks/github", f"{SIGNED}\nContent-Length: 5000001", 413),
        ("POST http://here/webhooks/github", f"{SIGNED}\nContent-Length: 5000001", 413),
        ("POST /webhooks/github", "Content-Length: 65537", 401),
        ("POST /webhooks/github", "X-Hub-Signature-256: x\nContent-Length: 5000000", 401),
        ("POST /webhooks/github", "Content-Length: 5000001", 413),
        ("POST /webhooks/github", f"{SIGNED}\nTransfer-Encoding: chunked", 411),
        ("POST /git/a.git/git-receive-pack", "Content-Length: 10000001", 413),
        (
            "POST /git/a.git/git-receive-pack",
            "Authorization: Basic x\nContent-Length: 200000001",
            413,
        ),
        (
            "POST /git/a.git/git-receive-pack",
            "Authorization: Basic unproven\nContent-Length: 10000001",
            413,
        ),
        ("POST /other", "Authorization: Basic x\nContent-Length: 10000001", 413),
        ("POST /a", "Content-Length: " + "9" * 5000, 400),
        ("POST /a", "Content-Length: -1", 400),
        ("POST http://[", "Content-Length: 1", 400),
        ("GET /a", "X: " + "x" * 33_000, 431),
    ],
)
def test_what_is_too_much_is_refused_before_its_body_is_read(
    world, request_line, headers, code, monkeypatch
):
    proven(monkeypatch, "Basic x")
    for expect in ("", "\nExpect: 100-continue"):
        answer = world.ask(f"{request_line} HTTP/1.1\nHost: here\n{headers}{expect}")
        assert answer.startswith(f"HTTP/1.1 {code}") or (
            code == 431 and answer.startswith("HTTP/1.0 431")
        )
    assert world.seen == []


def test_what_is_refused_unread_is_counted_too(world, monkeypatch, caplog):
    monkeypatch.setattr(server, "refused", Tally())
    world.ask("POST /webhooks/github HTTP/1.1\nContent-Length: 5000001")
    world.ask("POST /other HTTP/1.1\nContent-Length: 10000001")
    [record] = [r for r in caplog.records if r.name.startswith("hooks.")]
    assert (record.answers, record.address, record.bytes) == ({"413": 1}, "127.0.0.1", 5_000_001)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/github", f"{SIGNED}\nContent-Length: 5000000"),
        ("/webhooks/github", "Content-Length: 65536"),
        ("/git/a.git/git-receive-pack", "Authorization: Basic x\nContent-Length: 200000000"),
        ("/git/a.git/git-receive-pack", "Authorization: Basic x\nTransfer-Encoding: chunked"),
        ("/other", "Content-Length: 10000000"),
    ],
)
def test_what_is_not_too_much_may_go_on(world, path, headers, monkeypatch):
    proven(monkeypatch, "Basic x")
    answer = world.ask(f"POST {path} HTTP/1.1\n{headers}\nExpect: 100-continue")
    assert answer.startswith("HTTP/1.1 100")


def test_only_bodies_of_others_than_webhooks_go_to_a_file(world, monkeypatch):
    files = []
    newfile = buffers.TempfileBasedBuffer.newfile
    monkeypatch.setattr(
        buffers.TempfileBasedBuffer, "newfile", lambda self: files.append(1) or newfile(self)
    )
    body = b"x" * 4 * MEGABYTE
    headers = f"{SIGNED}\nContent-Length: {len(body)}"
    assert world.ask(f"POST /webhooks/github HTTP/1.1\n{headers}", body).startswith("HTTP/1.1 200")
    assert files == []
    assert world.ask(f"POST /other HTTP/1.1\n{headers}", body).startswith("HTTP/1.1 200")
    assert files == [1]
    assert world.seen == [("/webhooks/github", len(body)), ("/other", len(body))]


def test_large_bodies_share_a_room_and_small_ones_need_none(world, monkeypatch):
    monkeypatch.setattr(Parser, "together", Together(1_500_000))
    large = f"POST /webhooks/github HTTP/1.1\n{SIGNED}\nContent-Length: {MEGABYTE}"
    first = world.send(large, b"x" * 1000)
    assert world.ask("GET /a HTTP/1.1").startswith("HTTP/1.1 200")  # by now the first is read
    refused = world.ask(large, b"x")
    assert refused.startswith("HTTP/1.1 503")
    assert "Retry-After: 5" in refused
    small = f"POST /webhooks/github HTTP/1.1\n{SIGNED}\nContent-Length: 1"
    assert world.ask(small, b"x").startswith("HTTP/1.1 200")
    first.sendall(b"x" * (MEGABYTE - 1000))
    assert whole(first).startswith("HTTP/1.1 200")
    for _ in range(3):  # each gives back what it had
        taken_in(world, large)


def test_who_goes_away_gives_the_room_back(world, monkeypatch):
    room = Together(MEGABYTE)
    monkeypatch.setattr(Parser, "together", room)
    large = f"POST /webhooks/github HTTP/1.1\n{SIGNED}\nContent-Length: {MEGABYTE}"
    world.send(large, b"x" * 1000).close()
    taken_in(world, large)
    while not room.take(MEGABYTE, room):
        pass


def taken_in(world: SimpleNamespace, large: str) -> None:
    """Send it until there is room: a request gives its room back just after it is answered."""
    answer = ""
    while not answer.startswith("HTTP/1.1 200"):
        with suppress(ConnectionError):  # refused while it was sent
            answer = world.ask(large, b"x" * MEGABYTE)


@pytest.mark.parametrize("part", [b"GET / HTTP/1.1\r\nA: b", b"POST /x HTTP/1.1\r\n", b""])
def test_who_does_not_come_to_an_end_is_cut_off(world, monkeypatch, part):
    monkeypatch.setattr(Parser, "read_seconds", 0.2)
    world.server.adj.channel_timeout = 0.2 if not part else 60
    connection = world.connect()
    connection.sendall(part)
    assert connection.recv(65536) == b""


def test_a_chunked_body_may_not_have_a_line_without_an_end(world):
    for line in (b"1;" + b"x" * 5000, b"0\r\n" + b"a: b\r\n" * 1000):
        head = "POST /other HTTP/1.1\nTransfer-Encoding: chunked"
        assert world.ask(head, line).startswith("HTTP/1.1 400")


def test_when_it_is_full_who_was_waited_for_longest_gives_way(world, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    idle = [world.send("GET /a HTTP/1.1") for _ in range(5)]
    for connection in idle:
        assert whole(connection).startswith("HTTP/1.1 200")
    assert world.ask("GET /b HTTP/1.1").startswith("HTTP/1.1 200")
    assert idle[0].recv(65536) == b""
    idle[4].sendall(b"GET /c HTTP/1.1\r\n\r\n")
    assert whole(idle[4]).startswith("HTTP/1.1 200")


def test_webhooks_do_not_wait_for_slow_answers_to_others(world):
    slow = [world.send("GET /slow HTTP/1.1") for _ in range(3)]
    for path in ("/webhooks/github", "//webhooks/git"):
        assert world.ask(f"POST {path} HTTP/1.1\nContent-Length: 1", b"x").startswith(
            "HTTP/1.1 200"
        )
    world.go_on.set()
    for connection in slow:
        assert whole(connection).startswith("HTTP/1.1 200")


def test_nobody_waits_for_slow_answers_of_git(world):
    slow = world.send("GET /git/slow HTTP/1.1")
    assert world.ask("GET /a HTTP/1.1").startswith("HTTP/1.1 200")
    world.go_on.set()
    assert whole(slow).startswith("HTTP/1.1 200")


def test_who_takes_nothing_of_an_answer_is_cut_off(world, monkeypatch):
    monkeypatch.setattr(server, "_SILENT_SECONDS", 0.2)
    connection = world.send("GET /endless HTTP/1.0")
    assert world.ended.wait(20)
    assert connection.recv(100).startswith(b"HTTP/1.0 200")


def test_who_takes_nothing_of_a_finished_answer_is_cut_off(world, monkeypatch):
    monkeypatch.setattr(world.server.adj, "channel_timeout", 0.3)
    world.send("GET /rest HTTP/1.0")
    assert world.ended.wait(20)
    until = time.monotonic() + 20
    while world.server.active_channels and time.monotonic() < until:
        time.sleep(0.05)
    assert not world.server.active_channels


def test_who_takes_an_answer_slowly_gets_all_of_it(world, monkeypatch):
    monkeypatch.setattr(server, "_SILENT_SECONDS", 0.2)
    monkeypatch.setattr(server, "_LEAST_BYTES", 1)
    connection = world.send("GET /long HTTP/1.0")
    taken = 0
    while part := connection.recv(2_000_000):
        taken += len(part)
        time.sleep(0.02)
    assert taken > LENGTHS["/long"] * MEGABYTE


def test_credentials_are_proven_for_an_hour():
    now = [0.0]
    known = Proven(lambda: now[0])
    assert not known.holds("a")
    known.note("a")
    now[0] = 3599.0
    assert known.holds("a")
    assert not known.holds("")
    now[0] = 3600.0
    assert not known.holds("a")


def test_what_follows_a_refused_request_is_not_taken_for_a_request(world):
    hidden = b"GET /hidden HTTP/1.1\r\n\r\n"
    headers = f"{SIGNED}\nContent-Length: {request_limits.LARGEST_BYTES + 1}"
    answer = world.ask(f"POST /webhooks/git HTTP/1.1\n{headers}", hidden)
    assert answer.startswith("HTTP/1.1 413")
    assert world.ask("GET /a HTTP/1.1").startswith("HTTP/1.1 200")
    assert world.seen == [("/a", 0)]


def test_an_address_that_is_taken_is_a_sentence(world):
    with pytest.raises(SettingsError, match="cannot listen on"):
        make_server(lambda *_: [], "127.0.0.1", world.server.effective_port)
