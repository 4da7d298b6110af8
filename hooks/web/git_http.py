"""Git over HTTP: ``git http-backend`` behind a token, for the repositories that we host.

Only the smart protocol; everything else is not found. The body is passed on in pieces, and so is
the answer. https://git-scm.com/docs/gitprotocol-http
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import BadGateway, Forbidden, NotFound, ServiceUnavailable

from ci.git.serving import HttpBackend, environment, http_backend
from hooks.forges.access import at_least
from hooks.tokens import Caller
from hooks.web.auth import caller, requires_token
from hooks.web.request_limits import GIT_BYTES, Parser

api = Blueprint("git_http", __name__)
log = logging.getLogger(__name__)

_PIECE = 65_536  # bytes
_HEADERS = 64_000  # bytes of the program's header lines
_SECONDS = 1800.0  # for one answer
_NEEDED = {"git-upload-pack": "read", "git-receive-pack": "propose"}
MOST_OF_ONE = 8  # requests of one user at a time: a thread each, of those that git has


class Turns:
    """How many requests of each user are being answered."""

    def __init__(self) -> None:
        self._going: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self, user: str) -> None:
        """One more. Raises ``ServiceUnavailable``."""
        with self._lock:
            if self._going[user] >= MOST_OF_ONE:
                told = f"{user} has {MOST_OF_ONE} requests of git here already: try again"
                raise ServiceUnavailable(told)
            self._going[user] += 1

    def end(self, user: str) -> None:
        """One less."""
        with self._lock:
            self._going[user] -= 1
            self._going += Counter()  # forgets those that have none


_turns = Turns()


@api.get("/git/<name>.git/info/refs")
@requires_token
def refs(name: str) -> Response:
    """What there is to fetch or push to: the beginning of every clone, fetch and push."""
    return _serve(name, request.args.get("service", ""), "info/refs")


@api.post("/git/<name>.git/<service>")
@requires_token
def pack(name: str, service: str) -> Response:
    """A fetch or a push."""
    if request.mimetype != f"application/x-{service}-request":
        raise NotFound("git speaks its smart protocol here")
    request.max_content_length = GIT_BYTES  # the application's limit is for forms and documents
    return _serve(name, service, service)


def _serve(name: str, service: str, path: str) -> Response:
    waas: Any = current_app.extensions["waas"]
    folder = waas.settings.repositories.get(name)
    user = caller()
    operator = user.role == "operator"
    level = "merge" if operator else waas.hosting.access.read().level(user.user, name)
    if folder is None or service not in _NEEDED or not at_least(level, "read"):
        raise NotFound(f"there is no repository {name[:80]!r} for you here")
    if not at_least(level, _NEEDED[service]):
        raise Forbidden(f"{user.user} may read {name}, not push to it")
    if service == "git-receive-pack":
        Parser.proven.note(request.headers.get("Authorization", ""))
    _turns.begin(user.user)
    try:
        answer = _answer(_started(folder, path, user, level))
    except BaseException:
        _turns.end(user.user)
        raise
    answer.call_on_close(partial(_turns.end, user.user))
    return answer


def _started(folder: Path, path: str, user: Caller, level: str) -> HttpBackend:
    """A git that answers the current request."""
    variables = environment(user.user, level, request.headers.get("Git-Protocol", ""), _cgi(user))
    backend = http_backend(folder, path, variables)
    if request.method == "POST":
        feeder = threading.Thread(target=_feed, args=(backend, request.stream), daemon=True)
        feeder.start()
    elif backend.stdin is not None:
        backend.stdin.close()
    return backend


def _cgi(user: Caller) -> dict[str, str]:
    """What CGI tells of the request (RFC 3875), as far as git asks for it."""
    told = {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": f"service={request.args['service']}" if request.method == "GET" else "",
        "REMOTE_USER": user.user,
    }
    if request.method == "POST":
        told["CONTENT_TYPE"] = request.mimetype
        if request.content_length is not None:
            told["CONTENT_LENGTH"] = str(request.content_length)
        if request.headers.get("Content-Encoding") == "gzip":
            told["HTTP_CONTENT_ENCODING"] = "gzip"
    return told


def _feed(backend: HttpBackend, body: IO[bytes]) -> None:
    """Pass the body on. A program that ended reads no more: its answer says why."""
    if backend.stdin is None:
        return
    with suppress(OSError, ValueError):  # ValueError: the answer has ended, all is closed
        while piece := body.read(_PIECE):
            backend.stdin.write(piece)
    with suppress(OSError):
        backend.stdin.close()


def _answer(backend: HttpBackend) -> Response:
    output = backend.stdout
    watch = threading.Timer(_SECONDS, _end, (backend,))
    watch.daemon = True
    watch.start()
    status, headers = "200 OK", []
    read = 0
    while output is not None and (line := output.readline(_HEADERS)):
        read += len(line)
        text = line.decode("latin-1").strip()
        if not text or read > _HEADERS:
            break
        key, _, value = text.partition(":")
        if key.lower() == "status":
            status = value.strip()
        else:
            headers.append((key, value.strip()))
    if not headers:
        watch.cancel()
        _end(backend)
        raise BadGateway("git did not answer; the operator finds why in the log")
    answer = Response(_pieces(backend), status=status, headers=headers)
    answer.call_on_close(watch.cancel)
    answer.call_on_close(partial(_end, backend))
    return answer


def _pieces(backend: HttpBackend) -> Iterator[bytes]:
    while backend.stdout is not None and (piece := backend.stdout.read1(_PIECE)):  # type: ignore[attr-defined]
        yield piece


def _end(backend: HttpBackend) -> None:
    """End the program and all that it started: the client is gone, or has everything."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(backend.pid, signal.SIGKILL)
    for stream in (backend.stdin, backend.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    backend.wait()
