"""The double in a process of its own: its methods, from another one."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

from flask import Response, request

from .double import GitHubDouble

_PATH = "/_double/"
_WAIT = 120.0  # seconds


def offer(double: GitHubDouble) -> None:
    """Let other processes of this machine call the double's methods."""

    @double.service.app.post(f"{_PATH}<name>")
    def call(name: str) -> Response:
        given = json.loads(request.get_data())
        found = getattr(double, name)
        made = found(*given["args"], **given["kwargs"]) if callable(found) else found
        shown = {"app": vars(made)} if isinstance(made, SimpleNamespace) else {"value": made}
        return Response(json.dumps(shown), content_type="application/json")


class RemoteDouble:
    """Has the methods of ``GitHubDouble``; they take and give what JSON can carry."""

    def __init__(self, address: str) -> None:
        self.web = address
        self.api = f"{address}/api/v3"

    @property
    def violations(self) -> list[str]:
        found: list[str] = self._call("violations")
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(name, *args, **kwargs)

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        body = json.dumps({"args": args, "kwargs": kwargs}).encode()
        with urlopen(Request(f"{self.web}{_PATH}{name}", body), timeout=_WAIT) as answer:
            made = json.load(answer)
        return SimpleNamespace(**made["app"]) if "app" in made else made["value"]
