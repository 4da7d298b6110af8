"""The HTTP side: each request is checked, answered by its operation, and the answer checked too."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from . import access, git_http
from .calls import OPERATIONS, Call, RefusedError, missing
from .conformity import Answered, Asked, Description
from .faults import Faults, Rule
from .limits import RateLimits, secondary
from .world import Token, World

API = "/api/v3"
_SLASHED = {"/repos/{owner}/{repo}/git/ref/{ref}", "/repos/{owner}/{repo}/branches/{branch}"}


class Service:
    """The Flask application of one world."""

    def __init__(self, world: World, description: Description) -> None:
        self.world, self.description = world, description
        self.faults, self.limits = Faults(), RateLimits(world)
        self.asked: list[str] = []
        self.app = Flask("github-double")
        for verb, path in description.operations:
            rule = path.replace("{", "<").replace("}", ">")
            if path in _SLASHED:
                rule = rule.replace("<ref>", "<path:ref>").replace("<branch>", "<path:branch>")
            self.app.add_url_rule(
                API + rule,
                endpoint=f"{verb} {path}",
                view_func=self._view(verb, path),
                methods=[verb],
                provide_automatic_options=False,
            )
        self.app.register_error_handler(HTTPException, self._unknown)
        git_http.register(self.app, world, self.faults)

    def violated(self, who: str, what: str) -> None:
        """Remember that somebody did not keep to the description."""
        with self.world.lock:
            self.world.violations.append(f"{who}: {request.method} {request.path}: {what}")

    def _unknown(self, error: HTTPException) -> Response:
        # not for a request that ends in the middle, with the process that sent it
        if request.path.startswith(API) and error.code in {404, 405}:
            self.violated("client", "no such operation is known to the double")
        return _json(error.code or 404, {"message": "Not Found", "documentation_url": ""})

    def _view(self, verb: str, path: str) -> Any:
        def view(**variables: str) -> Response:
            asked = _asked(verb, path, variables, request)
            what = f"{verb} {request.path.removeprefix(API)}"
            with self.world.lock:
                self.asked.append(what)
            rule = self.faults.of(what)
            if rule is not None and rule.how == "lost":
                return _lost(request)
            return self._answered(asked, rule)

        return view

    def _answered(self, asked: Asked, rule: Rule | None) -> Response:
        token: Token | None = None
        headers: dict[str, str] = {}
        try:
            with self.world.lock:
                call = self._call(asked)
                token = call.caller
                if rule is not None:
                    self._fail(rule, token)
                status, value = self._done(asked, call, rule)
            headers = call.headers
        except RefusedError as refused:
            status, value, headers = refused.status, refused.body(), refused.headers
        if rule is not None and rule.how == "slow":
            time.sleep(rule.seconds)
        return self._checked(asked, status, value, headers, token, rule)

    def _call(self, asked: Asked) -> Call:
        """Who asks for what. Raises what GitHub answers to those who may not, or know not how."""
        operation = OPERATIONS.get((asked.method.upper(), asked.template))
        if operation is None:
            raise AssertionError(f"the double cannot do {asked.method} {asked.template}")
        header = request.headers.get("Authorization", "")
        base = self.world.api + quote(request.path.removeprefix(API), safe="/~")
        call = Call(self.world, None, asked.variables, dict(asked.query), {}, base)
        if operation.who == "app":
            call.app = access.app_of(self.world, header).id
        else:
            call.caller = access.token_of(self.world, header)
        if "owner" in asked.variables and operation.who != "app":
            assert call.caller is not None
            place = (asked.variables["owner"], asked.variables["repo"])
            call.found = access.repository(self.world, call.caller, *place)
        elif "owner" in asked.variables:
            call.found = self.world.repositories.get("{owner}/{repo}".format(**asked.variables))
            if call.found is None:
                raise missing()
        access.admit(call, operation)
        self._read(asked, call)
        return call

    def _read(self, asked: Asked, call: Call) -> None:
        try:
            body = json.loads(asked.body) if asked.body else {}
        except ValueError:
            self.violated("client", "the body is not JSON")
            raise RefusedError(400, "Problems parsing JSON") from None
        wrong = self.description.request(asked)
        if wrong:
            self.violated("client", wrong)
            raise RefusedError(422, f"Invalid request.\n\n{wrong}")
        call.body = body if isinstance(body, dict) else {"labels": body}

    def _fail(self, rule: Rule, token: Token | None) -> None:
        if rule.how.isdigit():
            raise RefusedError(int(rule.how), {"404": "Not Found", "422": "Validation Failed",
                                               "401": "Bad credentials"}.get(
                rule.how, "Server Error"))  # fmt: skip
        if rule.how == "secondary":
            raise secondary(rule.seconds)
        if rule.how == "primary" and token is not None:
            raise self.limits.exhaust(token, rule.seconds)

    def _done(self, asked: Asked, call: Call, rule: Rule | None) -> tuple[int, Any]:
        is_free = asked.template == "/rate_limit"
        if call.caller is not None and not is_free:
            self.limits.take(call.caller)
        if is_free and call.caller is not None:
            state = self.limits.state(call.caller)
            return 200, {"resources": {"core": state, "search": state}, "rate": state}
        operation = OPERATIONS[asked.method.upper(), asked.template]
        return operation.handler(call)

    def _checked(
        self,
        asked: Asked,
        status: int,
        value: Any,
        headers: dict[str, str],
        token: Token | None,
        rule: Rule | None,
    ) -> Response:
        data = b"" if value is None else json.dumps(value).encode()
        wrong = self.description.answer(asked, Answered(status, data))
        if wrong:
            self.violated("double", f"{status}: {wrong}")
            return _json(500, {"message": f"the double is wrong: {wrong}"})
        response = _json(status, data)
        response.headers.update(headers)
        response.headers["Date"] = formatdate(self.world.time(), usegmt=True)
        response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        if request.method == "GET" and status == 200:
            self._condition(response, data, headers, token)
        if token is not None:
            response.headers.update(self.limits.headers(token))
        if rule is None or rule.how not in {"lost-after", "cut", "html"}:
            return response
        return _spoilt(rule.how, response, request)

    def _condition(
        self, response: Response, data: bytes, headers: dict[str, str], token: Token | None
    ) -> None:
        """``304`` where nothing changed; such a request is not counted."""
        etag = f'W/"{hashlib.sha256(data + headers.get("Link", "").encode()).hexdigest()}"'
        response.headers["ETag"] = etag
        if request.headers.get("If-None-Match") == etag:
            response.status_code, response.data = 304, b""
            if token is not None:
                with self.world.lock:
                    token.used = max(token.used - 1, 0)


def _asked(verb: str, path: str, variables: dict[str, str], given: Request) -> Asked:
    query = [(k, v) for k, v in given.args.items(multi=True)]
    data = given.get_data() or None
    return Asked(verb, path, variables, query, dict(given.headers), data)


def _json(status: int, value: Any) -> Response:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Response(data, status, content_type="application/json; charset=utf-8")


def _lost(given: Request) -> Response:
    """The connection ends without an answer."""
    connection: socket.socket = given.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return Response(b"", 500)


def _spoilt(how: str, response: Response, given: Request) -> Response:
    if how == "lost-after":
        return _lost(given)
    if how == "html":
        return Response("<html>Unicorn!</html>", 200, content_type="text/html")
    data = response.get_data()
    connection: socket.socket = given.environ["werkzeug.socket"]

    def half() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        connection.shutdown(socket.SHUT_RDWR)

    cut = Response(half(), response.status_code, response.headers)
    cut.headers["Content-Length"] = str(len(data))
    return cut
