"""Data from web servers, by HTTP and HTTPS.

The address comes from an entry, so it is not trusted: no redirect or name leads to the service's
own network, nothing of the service's (netrc, cookies) is sent, and the size is limited.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from requests.utils import get_environ_proxies

from ci.errors import EntryError, SiteError

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0  # between two pieces of an answer
MOST_REDIRECTS = 5
MOST_SECONDS = 3600.0  # for all of it, however slowly it drips
CHUNK_BYTES = 1 << 20
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429, 500, 502, 503, 504}  # the server says: perhaps later


class HttpMover:
    """Fetches files. Hosts with private addresses are refused unless named in ``private_hosts``."""

    def __init__(self, *, private_hosts: frozenset[str] = frozenset()) -> None:
        self._private_hosts = private_hosts

    def fetch(self, source: str, target: Path, *, most_bytes: int) -> int:
        """Fetch a file of at most ``most_bytes``."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        try:
            with self._answer(source) as response:
                size = _write(response, part, source, most_bytes)
            part.replace(target)
        except (requests.RequestException, TimeoutError) as error:
            reason = _reason(error)
            message = f"cannot fetch {_shown(source)}: {reason}"
            raise SiteError(message, transient=True) from error
        finally:
            part.unlink(missing_ok=True)
        return size

    @contextmanager
    def _answer(self, source: str) -> Iterator[requests.Response]:
        """The answer that holds the file, redirects followed one by one and each looked at."""
        with requests.Session() as session:
            session.trust_env = False  # else it sends what ~/.netrc has for the host
            url = source
            for _ in range(MOST_REDIRECTS + 1):
                self._check(url)
                session.cookies.clear()
                with session.get(
                    url,
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
                    proxies=get_environ_proxies(url),
                    headers={"Accept-Encoding": "identity"},  # the size is that of the file
                ) as response:
                    if response.status_code not in _REDIRECTS:
                        _check_status(response, source)
                        yield response
                        return
                    url = urljoin(url, response.headers.get("Location", ""))
        raise EntryError(f"{_shown(source)} redirects more than {MOST_REDIRECTS} times")

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host, port = None, 0
        if not host or parts.scheme not in {"http", "https"}:
            raise EntryError(f"{url!r} is not an address of a web server")
        if host in self._private_hosts or get_environ_proxies(url):
            return  # a proxy decides by itself whom it talks to
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            later = getattr(error, "errno", None) == socket.EAI_AGAIN
            raise SiteError(f"no such host: {host}", transient=later) from error
        if not all(ipaddress.ip_address(address[4][0]).is_global for address in found):
            raise EntryError(
                f"{host} is in a private network, which data is not fetched from",
                hint="put the data where others can reach it, or ask the service's operators",
            )


def _check_status(response: requests.Response, source: str) -> None:
    if response.ok:
        return
    message = f"cannot fetch {_shown(source)}: the server answered {response.status_code}"
    if response.status_code in _LATER:
        raise SiteError(message, transient=True)
    raise EntryError(message, hint="check the address; it must need no login")


def _write(response: requests.Response, part: Path, source: str, most_bytes: int) -> int:
    promised = response.headers.get("Content-Length", "")
    size, deadline = 0, time.monotonic() + MOST_SECONDS
    with part.open("wb") as file:
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > most_bytes or (promised.isdigit() and int(promised) > most_bytes):
                raise EntryError(f"{_shown(source)} is larger than {most_bytes} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if promised.isdigit() and size != int(promised):
        raise requests.ConnectionError("the answer was cut short")
    return size


def _shown(source: str) -> str:
    """The address without what may be secret in it: login and query."""
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate does not hold"
    if isinstance(error, requests.ConnectionError):
        return "no connection, or it was cut"
    return type(error).__name__
