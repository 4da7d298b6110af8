"""An HTTP server that answers as it is told, for what no description of an API covers: answers
that are cut off, slow, or no GitHub's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection ends without an answer
    begun: threading.Event | None = None  # set when it is asked for
    after: threading.Event | None = None  # answered when this is set


@dataclass
class Asked:
    verb: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Scripted:
    """Answers by ``VERB /path`` (without query), the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.url = ""
        self.raw: Callable[[BaseHTTPRequestHandler, bytes], bool] | None = None

    def on(self, what: str, *answers: Answer) -> None:
        self.answers[what] = list(answers)

    def count(self, what: str) -> int:
        return sum(f"{a.verb} {a.path.partition('?')[0]}" == what for a in self.asked)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        left = self.answers.get(f"{asked.verb} {asked.path.partition('?')[0]}")
        if not left:
            return Answer(404, {"message": "Not Found"})
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(scripted: Scripted | None = None) -> Iterator[Any]:
    scripted = scripted or Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for an answer

        def handle_any(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if scripted.raw is not None and scripted.raw(self, data):
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(data) if data else None
            answer = scripted.answer(Asked(self.command, self.path, headers, body))
            if answer.begun is not None:
                answer.begun.set()
            if answer.after is not None:
                answer.after.wait(30)
            if answer.cut:
                self.close_connection = True
                return
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            shown = b"" if answer.status in {204, 304} else text.encode()
            self.send_response_only(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(shown))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(shown)

        def log_message(self, *_: Any) -> None:
            """Tests say what they want."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # the other side had enough
                super().handle()

    for verb in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.handle_any)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
