"""Blobs and manifests of a registry, by the OCI distribution specification 1.1.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md, with ``requests``. The
library ``oras`` (0.2.43) is not used: it checks no digest of what it receives, sets no time limit
on any request, cannot go on where a download was cut, and reads a file whole into memory unless
told to send pieces.

Nothing is read that was not announced, and nothing is believed that its digest does not say.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
from requests.utils import get_environ_proxies

from builder.store.oci import MANIFEST_TYPE, MOST_MANIFEST_BYTES, Blob
from builder.store.registry_login import Login, is_loopback
from ci.errors import SettingsError, SiteError

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 60.0  # between two pieces of an answer
_PIECE = 1 << 16  # what a download that is cut loses at most
_ATTEMPTS = 4  # for a download that is cut: each goes on where the last one ended
_TAGS_A_PAGE = 1000
_MOST_PAGE_BYTES = 1 << 20
_LATER = {408, 425, 429}
# distribution-spec 1.1, "Pulling manifests"
_REPOSITORY = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII
)


class Distribution:
    """A repository of a registry.

    ``url`` is ``https://host[:port]``; plain HTTP sends a password on the loopback interface only.
    ``login`` is a file with ``user:password``. All methods raise ``SiteError`` (``transient`` if
    the same may work later) and ``SettingsError`` when the registry does not let us in.
    """

    def __init__(self, url: str, repository: str, login: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise SettingsError(
                "the address of the image registry must be http[s]://host[:port]",
                hint="user and password go into a file",
            )
        if not _REPOSITORY.fullmatch(repository):
            raise SettingsError(f"{repository!r} is no name of a repository in a registry")
        self.name = f"{parts.netloc}/{repository}"
        self._base = f"{parts.scheme}://{parts.netloc}/v2/{repository}"
        self._session = requests.Session()
        self._session.trust_env = False  # else it sends what ~/.netrc has for the host
        self._verify = _authorities()
        self._login = Login(login, self._session, self._verify)

    def manifest(self, reference: str) -> bytes | None:
        """Return the manifest of a tag or digest, if there is one."""
        with self._ask("GET", f"/manifests/{reference}", accept=MANIFEST_TYPE) as response:
            if response.status_code == 404:
                return None
            self._check(response)
            content = self._content(response, MOST_MANIFEST_BYTES)
        if reference.startswith("sha256:"):
            self._verify_digest(hashlib.sha256(content).hexdigest(), reference)
        return content

    def has_manifest(self, reference: str) -> bool:
        """Say whether there is a manifest of this tag or digest."""
        return self._has(f"/manifests/{reference}")

    def put_manifest(self, reference: str, content: bytes) -> None:
        """Give a manifest a tag. All that it names must be there."""
        headers = {"Content-Type": MANIFEST_TYPE}
        path = f"/manifests/{reference}"
        with self._ask("PUT", path, headers=headers, data=content) as response:
            self._check(response)

    def put_blob(self, blob: Blob, file: IO[bytes]) -> None:
        """Send content, unless it is there. The file is read piece by piece."""
        if self._has(f"/blobs/{blob.digest}"):
            return
        with self._ask("POST", "/blobs/uploads/", data=b"") as response:
            self._check(response)
            place = urljoin(response.url, response.headers.get("Location", ""))
        parts = urlsplit(place)
        query = urlencode([*parse_qsl(parts.query), ("digest", blob.digest)])
        headers = {"Content-Type": "application/octet-stream"}
        body = file if blob.size else b""
        with self._ask("PUT", urlunsplit(parts._replace(query=query)), headers, body) as response:
            self._check(response)

    def get_blob(self, blob: Blob, file: IO[bytes]) -> None:
        """Write content into an empty file, which is right and whole if nothing is raised."""
        digest = hashlib.sha256()
        for attempt in range(_ATTEMPTS):
            have = file.tell()
            headers = {"Range": f"bytes={have}-"} if have else {}
            try:
                with self._ask("GET", f"/blobs/{blob.digest}", headers) as response:
                    self._check(response)
                    if have and response.status_code != 206:
                        file.seek(0)
                        file.truncate()
                        digest = hashlib.sha256()
                    self._receive(response, file, blob, digest)
                break
            except SiteError as error:
                if not error.transient or attempt == _ATTEMPTS - 1:
                    raise
        self._verify_digest(digest.hexdigest(), blob.digest)

    def content(self, blob: Blob, most: int) -> bytes:
        """Return small content of at most so many bytes."""
        if blob.size > most:
            raise SiteError(f"the registry {self.name} announces {blob.size} bytes of metadata")
        with self._ask("GET", f"/blobs/{blob.digest}") as response:
            self._check(response)
            content = self._content(response, most)
        self._verify_digest(hashlib.sha256(content).hexdigest(), blob.digest)
        return content

    def tags(self) -> Iterator[str]:
        """Return all tags, page by page."""
        place = f"/tags/list?n={_TAGS_A_PAGE}"
        while place:
            with self._ask("GET", place) as response:
                if response.status_code == 404:  # nothing was ever put there
                    return
                self._check(response)
                content = self._content(response, _MOST_PAGE_BYTES)
                following = response.links.get("next", {}).get("url", "")
                place = urljoin(response.url, following) if following else ""
            yield from self._tags(content)

    def _tags(self, content: bytes) -> list[str]:
        try:
            found = json.loads(content)["tags"] or []
            return [str(tag) for tag in found]
        except (ValueError, KeyError, TypeError) as error:
            raise SiteError(f"the registry {self.name} sends no list of tags") from error

    def _has(self, path: str) -> bool:
        with self._ask("HEAD", path, accept=MANIFEST_TYPE) as response:
            if response.status_code == 404:
                return False
            self._check(response)
            return True

    @contextmanager
    def _ask(
        self,
        method: str,
        place: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | IO[bytes] | None = None,
        *,
        accept: str = "*/*",
    ) -> Iterator[requests.Response]:
        """Give the answer to a request; with a login if the registry asks for one."""
        url = place if "://" in place else self._base + place
        sent = {"Accept": accept, "Accept-Encoding": "identity", **(headers or {})}
        with self._told():
            response = self._send(method, url, sent, data)
            if response.status_code == 401 and self._login.answers(response, self._base):
                response.close()
                if data is not None and not isinstance(data, bytes):
                    data.seek(0)
                response = self._send(method, url, sent, data)
            with response:
                yield response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | IO[bytes] | None
    ) -> requests.Response:
        return self._session.request(
            method,
            url,
            headers={**headers, **self._login.headers(url, self._base)},
            data=data,
            stream=True,
            timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
            proxies={} if is_loopback(url) else get_environ_proxies(url),
            verify=self._verify,
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            raise SiteError(
                f"cannot reach the registry {self.name}: {_reason(error)}", transient=True
            ) from error

    def _check(self, response: requests.Response) -> None:
        code = response.status_code
        if code < 300:
            return
        if code in {401, 403}:
            raise SettingsError(
                f"the registry {self.name} does not let us in ({code})",
                hint="check the file with user and password, and what that user may do",
            )
        later = code >= 500 or code in _LATER
        raise SiteError(f"the registry {self.name} answered {code}", transient=later)

    def _content(self, response: requests.Response, most: int) -> bytes:
        content = b""
        for piece in response.iter_content(_PIECE):
            content += piece
            if len(content) > most:
                raise SiteError(f"the registry {self.name} sends more than {most} bytes")
        return content

    def _receive(
        self, response: requests.Response, file: IO[bytes], blob: Blob, digest: hashlib._Hash
    ) -> None:
        for piece in response.iter_content(_PIECE):
            if file.tell() + len(piece) > blob.size:
                raise SiteError(f"the registry {self.name} sends more than it announced")
            file.write(piece)
            digest.update(piece)
        if file.tell() < blob.size:
            raise SiteError(f"the registry {self.name} sent a part only", transient=True)

    def _verify_digest(self, found: str, wanted: str) -> None:
        if f"sha256:{found}" != wanted:
            raise SiteError(f"what the registry {self.name} sent is not {wanted}")


def _authorities() -> str | bool:
    """The operator's certificate authorities, named where requests looks by default."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate does not hold"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "no connection, or it was cut"
    return type(error).__name__
