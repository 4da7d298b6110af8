"""How many deliveries a second are taken in, beside PyGHee's receiver in the same run.

Both get the same real payloads of GitHub (10 to 25 kB) from the same client over as many
connections, in turns. Ours answers 202 once a delivery is durably in SQLite (synchronous=FULL),
keyed by its id; a tenth is delivered twice. PyGHee (PyPI, run as its README says) verifies SHA-1,
remembers ids in memory and writes files that it does not sync. After the run, each 202 of ours
must be one row. Prints figures, asserts no time. WAAS_BENCH_DELIVERIES (4000) a round,
WAAS_BENCH_RUNS (3) rounds each, WAAS_BENCH_CONNECTIONS (16).
"""

import hashlib
import hmac
import os
import random
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAYLOADS = ROOT / "hooks" / "web" / "payloads"
SERVICE = ROOT / "chaos" / "webhook_service.py"
KINDS = ("pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite")
DELIVERIES = int(os.environ.get("WAAS_BENCH_DELIVERIES", "4000"))
RUNS = int(os.environ.get("WAAS_BENCH_RUNS", "3"))
CONNECTIONS = int(os.environ.get("WAAS_BENCH_CONNECTIONS", "16"))
PEER = """
import sys, waitress
from pyghee.lib import PyGHee, create_app
waitress.serve(create_app(klass=PyGHee), listen=f"127.0.0.1:{sys.argv[1]}")
"""


@dataclass
class Receiving:
    """A running receiver."""

    name: str
    port: int
    path: str
    secret: bytes
    good: bytes  # how its answer to a delivery that it took begins


@dataclass
class Round:
    """What came of one round: seconds in all and for each delivery, and the ids that were taken."""

    took: float
    each: list[float]
    taken: set[str]


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Receiving]:
    folder = tmp_path / "ours"
    folder.mkdir()
    with open(tmp_path / "ours.log", "wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(SERVICE), str(folder)], stdout=subprocess.PIPE, stderr=out
        )
        assert process.stdout
        port, secret, _ = process.stdout.readline().split()
        yield Receiving("ours", int(port), "/webhooks/github", secret, b"HTTP/1.1 202")
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Receiving]:
    folder = tmp_path / "peer"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    packages = ["PyGHee==0.2.1", "waitress"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "GITHUB_TOKEN": "x", "GITHUB_APP_SECRET_TOKEN": "y"}
    with open(tmp_path / "peer.log", "wb") as out:
        argv = [python, "-c", PEER, str(port)]
        process = subprocess.Popen(argv, cwd=folder, env=environ, stdout=out, stderr=out)
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None
            time.sleep(0.05)
        yield Receiving("PyGHee", port, "/", b"y", b"HTTP/1.1 200")
        process.kill()
        process.wait()


def requests(to: Receiving) -> list[tuple[str, bytes]]:
    """Prepared requests with their ids, in the order in which they are sent."""
    bodies = [(kind, (PAYLOADS / f"{kind}.json").read_bytes()) for kind in KINDS]
    made: list[tuple[str, bytes]] = []
    for number in range(DELIVERIES):
        if number % 10 == 9:
            made.append(random.choice(made[-40:]))
            continue
        kind, body = bodies[number % len(bodies)]
        name = str(uuid.uuid4())
        head = (
            f"POST {to.path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"X-GitHub-Event: {kind}\r\nX-GitHub-Delivery: {name}\r\n"
            f"X-Hub-Signature: sha1={hmac.new(to.secret, body, hashlib.sha1).hexdigest()}\r\n"
            f"X-Hub-Signature-256: sha256={hmac.new(to.secret, body, hashlib.sha256).hexdigest()}"
            "\r\n\r\n"
        )
        made.append((name, head.encode() + body))
    return made


class Sender:
    """One connection, one delivery at a time."""

    def __init__(self, to: Receiving) -> None:
        self.socket = socket.create_connection(("127.0.0.1", to.port), 30)
        self.name, self.begun, self.answer = "", 0.0, b""

    def send(self, name: str, request: bytes) -> None:
        self.name, self.begun, self.answer = name, time.perf_counter(), b""
        self.socket.sendall(request)

    def done(self) -> bool:
        self.answer += self.socket.recv(4096)
        head, end, body = self.answer.partition(b"\r\n\r\n")
        assert b"Content-Length: " in head or not end, self.answer
        return bool(end) and len(body) == int(head.split(b"Content-Length: ")[1].split(b"\r")[0])


def deliver(to: Receiving) -> Round:
    waiting = iter(requests(to))
    found = Round(0.0, [], set())
    with selectors.DefaultSelector() as selector:
        begun = time.perf_counter()
        for _ in range(CONNECTIONS):
            sender = Sender(to)
            sender.send(*next(waiting))
            selector.register(sender.socket, selectors.EVENT_READ, sender)
        while selector.get_map():
            for key, _ in selector.select(30):
                sender = key.data
                if not sender.done():
                    continue
                found.each.append(time.perf_counter() - sender.begun)
                if sender.answer.startswith(to.good):
                    found.taken.add(sender.name)
                if (following := next(waiting, None)) is None:
                    selector.unregister(sender.socket)
                    sender.socket.close()
                else:
                    sender.send(*following)
        found.took = time.perf_counter() - begun
    return found


def test_deliveries_per_second(ours: Receiving, peer: Receiving, tmp_path: Path) -> None:
    rounds: dict[str, list[Round]] = {ours.name: [], peer.name: []}
    for run in range(RUNS):
        for to in (ours, peer) if run % 2 else (peer, ours):
            rounds[to.name].append(deliver(to))
    print()
    for name, found in rounds.items():
        speeds = [DELIVERIES / one.took for one in found]
        each = sorted(taken for one in found for taken in one.each)
        p50, p99 = (each[int(len(each) * part)] * 1000 for part in (0.5, 0.99))
        print(
            f"{name:7s} {statistics.median(speeds):6.0f} deliveries/s (rounds: "
            f"{' '.join(f'{s:.0f}' for s in speeds)}), p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        )
    ratio = [a.took / b.took for a, b in zip(rounds[peer.name], rounds[ours.name], strict=True)]
    print(f"ratio {statistics.median(ratio):.2f} with {CONNECTIONS} connections")
    taken = set().union(*(one.taken for one in rounds[ours.name]))
    with sqlite3.connect(tmp_path / "ours" / "waas.db") as database:
        rows = [row[0] for row in database.execute("select id from deliveries")]
    assert len(rows) == len(set(rows))
    assert set(rows) == taken
    assert len(taken) == RUNS * (DELIVERIES - DELIVERIES // 10)
    assert all(len(one.each) == DELIVERIES for found in rounds.values() for one in found)
