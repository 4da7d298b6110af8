"""A git server over HTTP, and one that is up to no good."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Answer = Callable[[BaseHTTPRequestHandler], bool]


@dataclass
class GitServer:
    """``git http-backend`` for the repositories below a folder.

    ``wants``: user and password, as ``user:password``. ``answer`` may answer requests itself.
    """

    root: Path
    port: int = 0
    wants: str = ""
    answer: Answer | None = None
    requests: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(f"{request.command} {request.path}")
        if self.answer is not None and self.answer(request):
            return
        wanted = "Basic " + base64.b64encode(self.wants.encode()).decode()
        if self.wants and request.headers.get("Authorization") != wanted:
            reply(request, 401, headers={"WWW-Authenticate": 'Basic realm="test"'})
            return
        self._ask_git(request)

    def _ask_git(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        length = request.headers.get("Content-Length", "")
        body = request.rfile.read(int(length)) if length else b""
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": request.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": length,
                "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        reply(request, status, content, headers)


def reply(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes = b"",
    headers: dict[str, str] | None = None,
) -> bool:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
    return True


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                server.handle(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """Serves the repositories below ``tmp_path``; ``repository`` is among them."""
    server = GitServer(tmp_path)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listening.daemon_threads = True
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def send() -> Callable[..., bool]:
    """Answers a request: ``send(request, status, content, headers)``."""
    return reply
