"""How a registry is told who we are: HTTP basic authentication, or a token that one buys.

https://distribution.github.io/distribution/spec/auth/token/: a 401 names the realm that gives out
tokens; it gets user and password, and the token goes with the requests after that.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.auth import _basic_auth_str
from requests.utils import get_environ_proxies, parse_dict_header

from ci.errors import SettingsError

_SECONDS = (10.0, 60.0)  # to connect, and between two pieces of an answer


class Login:
    """The file with ``user:password`` in its first line, and what it has brought us."""

    def __init__(self, file: Path | None, session: requests.Session, verify: str | bool) -> None:
        self._file = file
        self._session = session
        self._verify = verify
        self._header = ""

    def headers(self, url: str, base: str) -> Mapping[str, str]:
        """Return what goes with a request to ``url``: nothing if that is another host's."""
        if not self._header or urlsplit(url)[:2] != urlsplit(base)[:2]:
            return {}
        return {"Authorization": self._header}

    def answers(self, response: requests.Response, base: str) -> bool:
        """Answer a 401; say whether it is worth to ask again.

        Raises:
            SettingsError: the file cannot be read, or the password would go over an open line.
        """
        scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        before = self._header
        if scheme.lower() == "basic" and self._file:
            self._header = self._basic(base)
        elif scheme.lower() == "bearer":
            self._header = self._bearer(parse_dict_header(rest))  # type: ignore[no-untyped-call]
        # a token may have run out; the same password is refused for good
        return bool(self._header) and self._header != before

    def _basic(self, url: str) -> str:
        if urlsplit(url).scheme != "https" and not is_loopback(url):
            raise SettingsError(
                f"the password for {urlsplit(url).netloc} is not sent without TLS",
                hint="give the registry's address as https://…",
            )
        user, password = self._read()
        return str(_basic_auth_str(user, password))

    def _bearer(self, challenge: Mapping[str, str | None]) -> str:
        realm = challenge.get("realm") or ""
        if urlsplit(realm).scheme != "https" and not is_loopback(realm):
            raise SettingsError(f"the registry sends us to {realm!r} for a token, without TLS")
        headers = {"Authorization": self._basic(realm)} if self._file else {}
        params = {n: v for n in ("service", "scope") if (v := challenge.get(n))}
        answer = self._session.get(
            realm,
            params=params,
            headers=headers,
            timeout=_SECONDS,
            proxies={} if is_loopback(realm) else get_environ_proxies(realm),
            verify=self._verify,
        )
        try:
            document = answer.json()
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError):
            token = None
        return f"Bearer {token}" if isinstance(token, str) and token.isprintable() else ""

    def _read(self) -> tuple[str, str]:
        assert self._file is not None  # noqa: S101 - the callers ask
        try:
            with self._file.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                user, colon, password = file.readline(4096).rstrip("\n").partition(":")
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read {self._file}: {error}") from error
        if mode & 0o077:
            raise SettingsError(f"others may read {self._file}", hint=f"chmod 600 {self._file}")
        if not user or not colon or not password:
            raise SettingsError(f"{self._file} is not one line of user:password")
        return user, password


def is_loopback(url: str) -> bool:
    """Say whether an address leads to this machine only."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
