"""Hostile webhooks against a real service: it lives on, and only what is signed leaves a trace.

WAAS_FUZZ says how many (3000 by default; 100000 is the long run), WAAS_FUZZ_SEED the seed.
"""

import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hooks.web.webhooks import sign

SERVICE = Path(__file__).with_name("webhook_service.py")
PAYLOADS = Path(__file__).parent.parent / "hooks" / "web" / "payloads"
COUNT = int(os.environ.get("WAAS_FUZZ", "3000"))
SEED = int(os.environ.get("WAAS_FUZZ_SEED", "0")) or random.randrange(1, 10**9)
ANSWERS = {202, 400, 401, 404, 405, 411, 413, 429, 431, 503}
GROWTH_KB = 50_000
SECONDS_FOR_NOTHING = 0.01  # what may never be answered is not waited for


class Service:
    """The process, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "log"
        self.home.mkdir()
        (folder / "tmp").mkdir()
        environ = {**os.environ, "TMPDIR": str(folder / "tmp")}
        argv = [sys.executable, str(SERVICE), str(self.home), "audit"]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=out, env=environ, cwd=folder
            )
        assert self.process.stdout
        port, *secrets = self.process.stdout.readline().split()
        self.port = int(port)
        self.secrets = dict(zip(("github", "git"), secrets, strict=True))

    def ask(self, request: bytes, *, seconds: float = 30) -> bytes:
        """Send and read the first answer; nothing if it cuts us off, or says nothing in time."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            with suppress(ConnectionError):
                connection.sendall(request)
                connection.settimeout(seconds)
            with suppress(ConnectionError, TimeoutError):
                while not _whole(answer) and (part := connection.recv(65536)):
                    answer += part
        return answer

    def memory(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])

    def traces(self) -> dict[str, tuple[int, int]]:
        """What lies in its folders: sizes and times of the last change."""
        files = [f for f in self.home.parent.rglob("*") if f.is_file() and f != self.log]
        return {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in files}

    def wrote(self) -> set[str]:
        lines = self.log.read_text(errors="replace").splitlines()
        return {line.split(": ", 1)[1] for line in lines if line.startswith("opened to write: ")}

    def rows(self) -> set[str]:
        with sqlite3.connect(self.home / "waas.db") as database:
            found = [row[0] for row in database.execute("select id from deliveries")]
        assert len(found) == len(set(found))
        return set(found)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    made.process.stdout.close()


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(end) and (length is None or len(body) >= int(length[1]))


class Fuzzer:
    """Makes requests. Those of ``hostile`` are never signed; those of ``signed`` always."""

    def __init__(self, secrets: dict[str, bytes], seed: int) -> None:
        self.random, self.secrets, self.count = random.Random(seed), secrets, 0
        self.real = [(file.stem, file.read_bytes()) for file in sorted(PAYLOADS.glob("*.json"))]

    def noise(self, most: int) -> bytes:
        return self.random.randbytes(int(most ** self.random.random()))

    def mutated(self, data: bytes) -> bytes:
        """Bytes flipped, cut, doubled, put in, or values replaced."""
        found, dice = bytearray(data), self.random
        for _ in range(dice.choice([0, 1, 1, 2, 5, 20])):
            place = dice.randrange(len(found) + 1)
            what = dice.randrange(6)
            if what == 0 and place < len(found):
                found[place] ^= 1 << dice.randrange(8)
            elif what == 1:
                del found[place : place + dice.randrange(50)]
            elif what == 2:
                found[place:place] = found[place : place + dice.randrange(300)]
            elif what == 3:
                found[place:place] = self.noise(20)
            elif what == 4:
                values = [b"null", b"-1", b"1e999", b"[" * 2000, b"{}", b'"\\ud800"', b"9" * 5000]
                found[place:place] = dice.choice(values)
            elif dice.random() < 0.1:
                found = found[:place]
        return bytes(found)

    def request(
        self,
        signature: str,
        body: bytes,
        *,
        source: str,
        kind: str,
        name: str,
        more: bytes = b"",
        length: int | None = None,
    ) -> bytes:
        slash = self.random.choice(["/", "/", "//"])
        head = (
            f"POST {slash}webhooks/{source} HTTP/1.1\r\nHost: h\r\nX-Hub-Signature-256: {signature}"
        )
        head += f"\r\nX-GitHub-Event: {kind}\r\nX-GitHub-Delivery: {name}\r\nX-Delivery: {name}\r\n"
        if length is None or length >= 0:
            head += f"Content-Length: {len(body) if length is None else length}\r\n"
        return head.encode("latin-1") + more + b"\r\n" + body

    def body(self) -> tuple[str, bytes]:
        kind, body = self.random.choice(self.real)
        what = self.random.random()
        if what < 0.3:
            return kind, self.noise(3_000_000 if what < 0.002 else 20_000)
        return self.random.choice([kind, "push"]), self.mutated(body)

    def signature(self, body: bytes) -> str:
        """One that does not hold."""
        right = sign(self.random.randbytes(32), body)
        wrong = [
            right,
            right,
            right,
            "",
            right[:-1],
            right.upper(),
            "sha1=" + "0" * 40,
            "\xff" * 71,
        ]
        return self.random.choice(wrong)

    def hostile(self) -> tuple[bytes, bool]:
        """A request without a good signature, and whether it must be answered."""
        dice = self.random
        kind, body = self.body()
        words = {"source": dice.choice(["github", "git"]), "kind": kind, "name": "hostile"}
        signature = self.signature(body)
        plain = self.request(signature, body, **words)
        what = dice.randrange(9)
        if what <= 2:
            return plain, True
        if what == 3:  # less than was announced
            return plain[: dice.randrange(len(plain))], False
        if what == 4:  # more or less, or nonsense
            length = dice.choice([0, 1, len(body) // 2, len(body) + 1, 10**7, 10**30, -1])
            return self.request(signature, body, **words, length=length), False
        if what == 5:  # headers of odd bytes
            names = [b"X-Odd", b"Content-Length", b"Content-Type", b"Expect", b"Connection", b" "]
            value = dice.choice([self.noise(5000), b"100-continue", b"close", b"\x00\xff", b"a\rb"])
            more = dice.choice(names) + b": " + value + b"\r\n"
            return self.request(signature, body, **words, more=more), False
        if what == 6:
            more = b"Transfer-Encoding: chunked\r\n"
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:99], body[99:500]))
            sent = self.mutated(chunks) + b"0\r\n\r\n"
            return self.request(signature, sent, **words, more=more, length=-1), False
        if what == 7:  # pipelined
            return plain * dice.randrange(2, 5) + self.mutated(plain), True
        return dice.choice([self.noise(40_000), self.mutated(plain)]), False

    def signed(self) -> tuple[bytes, str]:
        """A signed request of whatever content, and its id."""
        self.count += 1
        source = self.random.choice(["github", "git"])
        kind, body = self.body()
        if source == "git" and self.random.random() < 0.5:
            body = self.mutated(b'{"repository": "workflow-registry", "ref": "refs/heads/a"}')
        name = f"signed-{self.count - (self.random.random() < 0.1)}"
        form = b"Content-Type: application/x-www-form-urlencoded\r\n"
        more = form if self.random.random() < 0.1 else b""
        signature = sign(self.secrets[source], body)
        return self.request(signature, body, source=source, kind=kind, name=name, more=more), name


def code_of(answer: bytes, allowed: set[int]) -> int:
    if not answer:
        return 0
    code = int(answer.split(b" ", 2)[1])
    assert code in allowed, answer[:500]
    return code


def repeat(count: int, act: Callable[[], int]) -> Counter[int]:
    return Counter(act() for _ in range(count))


def test_hostile_webhooks_leave_no_trace_and_signed_ones_are_read_or_refused(service: Service):
    fuzzer = Fuzzer(service.secrets, SEED)
    print(f"seed {SEED}")
    stored: set[str] = set()

    def hostile() -> int:
        request, must = fuzzer.hostile()
        answer = service.ask(request, seconds=30 if must else SECONDS_FOR_NOTHING)
        return code_of(answer, ANSWERS - {202, 503} | {100})

    def signed() -> int:
        request, name = fuzzer.signed()
        code = code_of(service.ask(request), ANSWERS - {401, 429})
        assert code
        if code == 202:
            stored.add(name)
        return code

    def either() -> int:
        return hostile() if fuzzer.random.random() < 0.5 else signed()

    warm = min(COUNT // 10, 1000)
    codes = repeat(warm, hostile)
    before = service.traces()
    at_first = service.memory()
    codes += repeat(COUNT // 2 - warm, hostile)
    assert service.traces() == before
    assert service.wrote() == set()
    assert service.rows() == set()
    codes += repeat(COUNT - COUNT // 2, either)
    growth = service.memory() - at_first
    print(
        f"{codes.total()} requests, answers {dict(sorted(codes.items()))}, {growth} kB more memory"
    )
    assert service.rows() == stored
    assert stored
    assert all(re.search(r"/\.webhook-git(hub)?-\w+\.used\Z", path) for path in service.wrote())
    assert growth <= GROWTH_KB
    assert service.process.poll() is None
    log = service.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "uncaptured" not in log
