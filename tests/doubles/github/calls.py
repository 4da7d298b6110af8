"""One request to the API, and how an operation answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from .world import Pull, Repository, Token, World

Json = dict[str, Any]
T = TypeVar("T")
DOCS = "https://docs.github.com/rest"


class RefusedError(Exception):
    """What GitHub says instead; ``errors`` are on fields, as in its 422 answers."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Iterable[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})
        self.errors = list(errors)

    def body(self) -> Json:
        said: Json = {"message": self.message, "documentation_url": DOCS}
        said["status"] = str(self.status)
        return said | ({"errors": self.errors} if self.errors else {})


def invalid(resource: str, name: str, code: str = "invalid", message: str = "") -> RefusedError:
    """A field that GitHub does not take."""
    error = {"resource": resource, "field": name, "code": code}
    error |= {"message": message} if message else {}
    return RefusedError(422, "Validation Failed", errors=[error])


def missing() -> RefusedError:
    return RefusedError(404, "Not Found")


@dataclass
class Call:
    """``caller`` is None for an App's own key; ``base`` is this request's address."""

    world: World
    caller: Token | None
    variables: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    base: str = ""
    app: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    found: Repository | None = None

    @property
    def repo(self) -> Repository:
        assert self.found is not None
        return self.found

    @property
    def login(self) -> str:
        assert self.caller is not None
        return self.caller.login

    def number(self, name: str) -> int:
        return int(self.variables[name])

    def pull(self, name: str = "issue_number") -> Pull:
        """The pull request that the path names."""
        found = self.repo.pulls.get(self.number(name))
        if found is None:
            raise missing()
        return found

    def commit(self, name: str) -> str:
        """The commit that the path names by itself, a branch or a full ref."""
        given, refs = self.variables[name], self.repo.git.refs
        for ref in (f"refs/{given}", f"refs/heads/{given}", given):
            if ref in refs:
                return refs[ref]
        if len(given) == 40 and self.repo.git.has(given):
            return given
        raise RefusedError(422, f"No commit found for SHA: {given}")

    def page(self, found: Iterable[T], shape: Callable[[T], Any]) -> list[Any]:
        """One page of a list, with the ``Link`` header to the others."""
        listed = list(found)
        size = min(max(int(self.query.get("per_page", 30)), 1), 100)
        number = max(int(self.query.get("page", 1)), 1)
        last = max(-(-len(listed) // size), 1)
        others = {"first": 1, "prev": number - 1} if number > 1 else {}
        others |= {"next": number + 1, "last": last} if number < last else {}
        kept = {k: v for k, v in self.query.items() if k != "page"}
        links = [
            f'<{self.base}?{urlencode({**kept, "page": page})}>; rel="{name}"'
            for name, page in others.items()
        ]
        if links:
            self.headers["Link"] = ", ".join(links)
        return [shape(one) for one in listed[(number - 1) * size : number * size]]


Handler = Callable[[Call], tuple[int, Any]]


class Operation(NamedTuple):
    """``who``: app (with its key), user, installation, or any token. ``permission`` is what an
    App needs, ``role`` what a user needs in the repository.
    """

    handler: Handler
    who: str
    permission: str
    level: str
    role: str


OPERATIONS: dict[tuple[str, str], Operation] = {}


def on(
    verb: str,
    path: str,
    *,
    who: str = "any",
    permission: str = "metadata",
    role: str = "read",
) -> Callable[[Handler], Handler]:
    """Register what answers an operation. Paths may begin with ``…`` for a repository."""
    level = "read" if verb == "GET" else "write"

    def register(handler: Handler) -> Handler:
        whole = path.replace("…", "/repos/{owner}/{repo}")
        OPERATIONS[verb, whole] = Operation(handler, who, permission, level, role)
        return handler

    return register
