"""A connection to a GitHub, as an App's installation or with a token: requests and their answers.

Reads are tried again after 5xx answers, lost connections and time-outs; writes are not, since
nobody knows what became of them: whoever writes looks first. What was read is asked for again with
its ``ETag``, and such a question costs nothing of the rate limit if the answer is the same
(https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from github import Auth, GithubException
from github.Requester import Requester
from requests.utils import parse_header_links
from urllib3 import Retry

from ci.errors import SettingsError
from hooks.forge_choice import GitHubConnection
from hooks.forges.github.failures import as_sentences, unreadable
from hooks.forges.github.limits import Limits
from hooks.forges.github.remembered import Remembered

TIMEOUT = 10  # seconds to connect, and between two parts of an answer
RETRIES = 2
PER_PAGE = 100
MOST_PAGES = 30
_POOL = 10
_API = "2022-11-28"

T = TypeVar("T")
Read = Callable[[Any], T]
"""Takes what GitHub sent, as JSON; ``KeyError``, ``TypeError`` … if it cannot be that."""

# its debug messages have whole answers: that to a request for a token, too
logging.getLogger("github").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was read of an answer. ``link`` is the next page, ``date`` GitHub's clock."""

    value: Any
    link: str = ""
    date: str = ""


class Connection:
    """Requests to one GitHub. Any number of threads may share it."""

    def __init__(
        self,
        settings: GitHubConnection,
        credential: Callable[[str], str],
        *,
        limits: Limits | None = None,
        timeout: int = TIMEOUT,
    ) -> None:
        """``credential`` opens a secret by its name; it is read when needed, so it may change."""
        self.settings, self.name = settings, settings.name
        self._credential, self._timeout = credential, timeout
        self._limits = limits or Limits()
        self._remembered = Remembered()
        self._lock = threading.RLock()
        self._requesters: dict[bool, Requester] = {}
        self._login = ""

    @property
    def is_app(self) -> bool:
        """Whether we are an App's installation: only such may write check runs."""
        return bool(self.settings.app)

    def login(self) -> str:
        """Who we are in comments."""
        if not self._login:
            if self.is_app:
                slug = self.get("/app", _slug, as_app=True)
                self._login = f"{slug}[bot]"
            else:
                self._login = self.get("/user", _login)
        return self._login

    def token(self) -> str:
        """A token for git over HTTPS, valid for some minutes at least."""
        with as_sentences(self.name, "a token", self._limits.heard):
            try:
                return self._auth().token
            except GithubException as error:
                if error.status != 401:
                    raise
                self._forget()
                return self._auth().token

    def get(self, path: str, read: Read[T], *, as_app: bool = False, **parameters: Any) -> T:
        """What is at a path of the API, as ``read`` has it. Raises ``SiteError``."""
        return cast(T, self._read(path, parameters, read, as_app).value)

    def date(self, path: str, **parameters: Any) -> str:
        """The time by GitHub's clock, as HTTP writes it; empty if it does not say."""
        return self._read(path, parameters, bool, False).date

    def pages(
        self,
        path: str,
        read: Read[T],
        *,
        most: int = MOST_PAGES,
        as_app: bool = False,
        **given: Any,
    ) -> Iterator[T]:
        """Each page of a list, as ``read`` has it; at most so many."""
        url, parameters = path, {"per_page": PER_PAGE, **given}
        for _ in range(most):
            answer = self._read(url, parameters, read, as_app)
            yield answer.value
            if not answer.link:
                return
            url, parameters = answer.link, {}

    def send(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Write something: ``POST``, ``PATCH`` or ``DELETE``. Raises ``SiteError``.

        When the answer is lost, what was written may be there.
        """
        with self._limits.writing():
            return self._ask(verb, path, {}, {}, body, False)[1]

    def _read(
        self, path: str, parameters: Mapping[str, Any], read: Read[Any], as_app: bool
    ) -> _Answer:
        key = (path, repr(sorted(parameters.items())), read)
        etag, known = self._remembered.get(key)
        conditional = {"If-None-Match": etag} if etag else {}
        headers, data = self._ask("GET", path, parameters, conditional, None, as_app)
        if data is None and known is not None:  # 304: as it was
            return _Answer(known.value, known.link, headers.get("date", ""))
        try:
            answer = _Answer(read(data), _next(headers), headers.get("date", ""))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise unreadable(self.name) from None
        self._remembered.put(key, headers.get("etag", ""), answer)
        return answer

    def _ask(
        self,
        verb: str,
        path: str,
        parameters: Mapping[str, Any],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        as_app: bool,
    ) -> tuple[dict[str, Any], Any]:
        def once() -> tuple[dict[str, Any], Any]:
            self._limits.wait(self.name)
            given = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _API}
            return self._requester(as_app).requestJsonAndCheck(
                verb, path, dict(parameters), {**given, **headers}, body
            )

        what = f"{verb} {path.partition('?')[0]}"
        with as_sentences(self.name, what, self._limits.heard):
            try:
                return once()
            except GithubException as error:
                if error.status != 401:
                    raise
                self._forget()  # the installation's token was withdrawn, or there is a new one
                return once()

    def _forget(self) -> None:
        with self._lock:
            self._requesters, self._login = {}, ""

    def _requester(self, as_app: bool) -> Requester:
        with self._lock:
            if as_app not in self._requesters:
                self._requesters[as_app] = self._make(as_app)
            return self._requesters[as_app]

    def _auth(self) -> Auth.Auth:
        return cast(Auth.Auth, self._requester(False).auth)

    def _make(self, as_app: bool) -> Requester:
        retries = Retry(
            RETRIES,
            status_forcelist=(500, 502, 503, 504),
            allowed_methods=("GET",),
            backoff_factor=0.2,
            backoff_jitter=0.3,
            respect_retry_after_header=False,  # see ``limits``
            raise_on_status=False,
        )
        return Requester(
            auth=self._credentials(as_app),
            base_url=self.settings.url,
            timeout=self._timeout,
            user_agent=f"hpcwaas/{version('hpcwaas')}",
            per_page=PER_PAGE,
            verify=True,
            retry=retries,
            pool_size=_POOL,
        )

    def _credentials(self, as_app: bool) -> Auth.Auth:
        text = self._credential(self.settings.credential).strip()
        if not self.is_app:
            return Auth.Token(check_token(text, self.name))
        app = Auth.AppAuth(self.settings.app, check_key(text, self.name))
        return app if as_app else app.get_installation_auth(self.settings.installation)


def check_key(text: str, name: str) -> str:
    """The private key of an App. Raises ``SettingsError`` if it cannot be one."""
    try:
        load_pem_private_key(text.encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError(
            f"what is stored for the connection {name} is no private key",
            hint="GitHub gives out a .pem file on the App's page: Private keys",
        ) from None
    return text


def check_token(text: str, name: str) -> str:
    """A token. Raises ``SettingsError`` if it cannot be one."""
    if not text.isascii() or not text.isprintable() or not 10 <= len(text) <= 500 or " " in text:
        raise SettingsError(
            f"what is stored for the connection {name} is no token",
            hint=f"store it again with `waas github connect {name} --token-file FILE`",
        )
    return text


def _next(headers: Mapping[str, str]) -> str:
    links = parse_header_links(headers.get("link", ""))
    return next((link["url"] for link in links if link.get("rel") == "next"), "")


def _slug(app: Any) -> str:
    return str(app["slug"])


def _login(user: Any) -> str:
    return str(user["login"])
