"""Clones, fetches and pushes over HTTP: ``git http-backend`` on the double's repositories."""

from __future__ import annotations

import gzip
import socket
import subprocess
import time

from flask import Flask, Response, request

from . import access, merging
from .calls import RefusedError
from .faults import Faults
from .git_store import ENVIRONMENT
from .world import ROLES, World

_TIMEOUT = 60  # seconds


def register(app: Flask, world: World, faults: Faults) -> None:
    """Serve the repositories of a world."""

    @app.get("/<owner>/<name>.git/info/refs")
    def refs(owner: str, name: str) -> Response:
        return _serve(world, faults, owner, name, "info/refs", request.args.get("service", ""))

    @app.post("/<owner>/<name>.git/<service>")
    def pack(owner: str, name: str, service: str) -> Response:
        return _serve(world, faults, owner, name, service, service)


def _serve(
    world: World, faults: Faults, owner: str, name: str, path: str, service: str
) -> Response:
    rule = faults.of(f"GIT /{owner}/{name}.git/{path}")
    if rule is not None and rule.how == "slow":
        time.sleep(rule.seconds)
    elif rule is not None and rule.how.isdigit():
        return Response("Unicorn!\n", int(rule.how))
    elif rule is not None:
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.shutdown(socket.SHUT_RDWR)
    try:
        token = access.token_of(world, request.headers.get("Authorization", ""))
        repo = access.repository(world, token, owner, name)
        role = access.role_of(world, token, repo)
        if service == "git-receive-pack" and ROLES.index(role) < ROLES.index("write"):
            raise RefusedError(403, f"Permission to {repo.slug}.git denied to {token.login}.")
    except RefusedError as refused:
        headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if refused.status == 401 else {}
        return Response(f"{refused.message}\n", refused.status, headers)
    before = dict(repo.git.refs)
    answer = _backend(str(repo.git.path), path, token.login)
    if path == "git-receive-pack":
        with world.lock:
            repo.git.read()
            for ref in sorted(before.keys() | repo.git.refs.keys()):
                if ref.startswith("refs/heads/"):
                    new = repo.git.refs.get(ref, "")
                    merging.moved(world, repo, ref, new, token.login, old=before.get(ref, ""))
    return answer


def _backend(folder: str, path: str, login: str) -> Response:
    """Answer as the CGI program does (RFC 3875)."""
    # the body of a GET is not read: there is none, and waiting for it would hang
    body = request.get_data() if request.method == "POST" else b""
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    variables = ENVIRONMENT | {
        "GIT_PROJECT_ROOT": folder,
        "PATH_INFO": f"/{path}",
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string.decode(),
        "CONTENT_TYPE": request.content_type or "",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_USER": login,
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"],
        input=body,
        env=variables,
        capture_output=True,
        check=False,
        timeout=_TIMEOUT,
    )
    head, _, data = done.stdout.partition(b"\r\n\r\n")
    headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
    status = next((v for k, v in headers if k == "Status"), "200 OK")
    return Response(data, status, [(k, v) for k, v in headers if k != "Status"])
