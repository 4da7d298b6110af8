"""The REST client of the user-side commands."""

from __future__ import annotations

import os
from typing import Any

import click
import requests

from ci.errors import EntryError, SettingsError, SiteError

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 90.0


class Client:
    """Speaks to the service as one user."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or .netrc must not see the token
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request. Raises ``EntryError`` with the service's own sentence when it refuses."""
        try:
            answer = self._session.request(
                method, self._url + path, timeout=TIMEOUT_SECONDS, **options
            )
        except requests.RequestException as error:
            raise SiteError(
                f"the service at {self._url} does not answer",
                transient=True,
                hint="is `waas serve` running? name it with --api_url or $HW_API_URL",
            ) from error
        if answer.ok:
            return answer
        raise _refusal(answer)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """One request's JSON answer."""
        return self.call(method, path, **options).json()


def _refusal(answer: requests.Response) -> EntryError:
    try:
        body = answer.json()
        return EntryError(str(body["error"]), hint=str(body.get("hint", "")))
    except (ValueError, KeyError, TypeError):
        return EntryError(f"the service answered {answer.status_code} {answer.reason}")


def client_of(ctx: click.Context, url: str | None = None, token: str | None = None) -> Client:
    """The client that the options and the environment describe."""
    url = url or ctx.obj.get("api_url") or os.environ.get("HW_API_URL") or DEFAULT_URL
    token = token or ctx.obj.get("access_token") or os.environ.get("HW_ACCESS_TOKEN")
    if not token:
        raise SettingsError(
            "no access token given",
            hint="set HW_ACCESS_TOKEN or use -t; the operator makes one: waas tokens create USER",
        )
    return Client(url, token)
