"""Holds requests, answers and payloads to GitHub's own descriptions of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from werkzeug.datastructures import Headers, ImmutableMultiDict

from .examples import load

HOST = "http://double"
_MOST = 400  # characters of a complaint
ERRORS = {304, 400, 401, 403, 404, 405, 422, 429, 500, 502, 503}


@dataclass
class Asked:
    """A request, as openapi-core wants it. ``template`` is the path of the description."""

    method: str
    template: str
    variables: Mapping[str, str]
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | None
    host_url: str = HOST
    path: str = ""
    parameters: RequestParameters = field(init=False)

    def __post_init__(self) -> None:
        self.method = self.method.lower()
        # written so that a branch's slashes are no other path
        named = {name: quote(value, safe="") for name, value in self.variables.items()}
        self.path = self.template.format_map(named)
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(self.query), header=Headers(dict(self.headers))
        )

    @property
    def content_type(self) -> str:
        # PyGithub says so for each body; GitHub takes any type as JSON
        return "application/json"


@dataclass
class Answered:
    """An answer, as openapi-core wants it."""

    status_code: int
    data: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Description:
    """GitHub's description of its REST API, as far as the double has it."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = load("description") | {"servers": [{"url": HOST}]}
        self._api = OpenAPI.from_dict(self.document, config=Config(spec_validator_cls=None))
        self._well: set[tuple[str, str, int, bytes]] = set()

    @cached_property
    def operations(self) -> list[tuple[str, str]]:
        """Verbs, in capitals, and paths."""
        paths = self.document["paths"]
        return [(verb.upper(), path) for path in paths for verb in paths[path]]

    def request(self, asked: Asked) -> str:
        """What is wrong with a request; empty if nothing is."""
        unknown = {name for name, _ in asked.query} - self._parameters(asked)
        if unknown:
            return f"the query has {', '.join(sorted(unknown))}, which is not described"
        if asked.body and self._body(asked) is None:
            return "a body is sent, and none is described"
        try:
            self._api.validate_request(asked)
        except OpenAPIError as error:
            return _said(error)
        return self._unknown_fields(asked)

    def _unknown_fields(self, asked: Asked) -> str:
        """GitHub ignores fields that it does not know; whoever sends one is mistaken."""
        body = json.loads(asked.body) if asked.body else None
        if not isinstance(body, dict):
            return ""
        known = self._fields(self._body(asked) or {})
        unknown = set(body) - known if known else set()
        return f"the body has {', '.join(sorted(unknown))}, not described" if unknown else ""

    def _fields(self, schema: Mapping[str, Any]) -> set[str]:
        found = set(schema.get("properties", {}))
        for word in ("oneOf", "anyOf", "allOf"):
            for part in schema.get(word, []):
                found |= self._fields(part)
        return found

    def _operation(self, asked: Asked) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][asked.template][asked.method]
        return found

    def _body(self, asked: Asked) -> dict[str, Any] | None:
        body = self._operation(asked).get("requestBody")
        return self._named(body["content"]["application/json"]["schema"]) if body else None

    def _named(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            kind, name = node["$ref"].split("/")[-2:]
            node = self.document["components"][kind][name]
        return node

    def _parameters(self, asked: Asked) -> set[str]:
        listed = map(self._named, self._operation(asked).get("parameters", []))
        return {one["name"] for one in listed if one["in"] == "query"}

    def answer(self, asked: Asked, answered: Answered) -> str:
        """What is wrong with an answer; empty if nothing is. The same body is checked once."""
        status = answered.status_code
        digest = hashlib.sha256(answered.data).digest()
        key = (asked.method, asked.template, status, digest)
        if key in self._well:
            return ""
        described = self._operation(asked)["responses"]
        if str(status) not in described and status in ERRORS:
            return self._basic_error(answered)
        if status in {204, 205, 304}:
            return "there is a body" if answered.data else ""
        try:
            self._api.validate_response(asked, answered)
        except OpenAPIError as error:
            return _said(error)
        self._well.add(key)
        return ""

    def _basic_error(self, answered: Answered) -> str:
        if answered.status_code == 304 or answered.status_code >= 500:
            return ""
        body = json.loads(answered.data)
        return "" if isinstance(body.get("message"), str) else "an error without a message"


def _said(error: BaseException) -> str:
    """The deepest reasons of a complaint."""
    while error.__cause__ is not None:
        error = error.__cause__
    parts = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:_MOST]}"
             for e in _deepest(getattr(error, "schema_errors", ()))]  # fmt: skip
    return "; ".join(parts)[: 4 * _MOST] or f"{type(error).__name__}: {error}"[:_MOST]


def _deepest(errors: Any) -> list[Any]:
    found = []
    for error in errors:
        found += _deepest(error.context) if error.context else [error]
    return found


@cache
def _payload_validator(name: str) -> OAS31Validator | None:
    document = load("webhooks")
    if name not in document["bodies"]:
        return None
    schema = {"components": document["components"], **document["bodies"][name]}
    return OAS31Validator(schema, format_checker=oas31_format_checker)


def check_payload(event: str, payload: Mapping[str, Any]) -> str:
    """What is wrong with the payload of a webhook; empty if nothing is."""
    parts = [event, payload.get("action", "")]
    name = "-".join(p for p in parts if p).replace("_", "-")
    validator = _payload_validator(name)
    if validator is None:
        return f"GitHub sends no {name}, as far as the double knows"
    errors = _deepest(validator.iter_errors(payload))
    return "; ".join(
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:_MOST]}" for e in errors[:10]
    )
