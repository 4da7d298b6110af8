"""The sections of ``waas.yaml`` that say where the repositories are.

repositories:
  workflow-registry: git/workflow-registry.git                   # a folder: served by us
  software-catalog: {github: some-lab/catalogue, connection: public}
registries:                                                      # pairs; main is the default
  main: {workflows: workflow-registry, software: software-catalog}
github:
  public: {app: 12345, installation: 67890}                      # a GitHub App
  ours: {url: "https://github.example.org/api/v3"}               # a token, on GitHub Enterprise
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ci.errors import SettingsError

WORKFLOWS = "workflow-registry"
SOFTWARE = "software-catalog"
MAIN_REGISTRY = "main"
GITHUB_API = "https://api.github.com"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_REPOSITORY = re.compile(r"[a-z][a-z0-9-]{0,49}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class GitHubConnection:
    """How to reach a GitHub: as an App's installation, or with a token (``app`` is 0).

    ``url`` is the REST API's. The credential is sealed as ``github-<name>``.
    """

    name: str
    url: str = GITHUB_API
    app: int = 0
    installation: int = 0

    @property
    def pages(self) -> str:
        """Where its web pages and its git repositories are."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"

    @property
    def credential(self) -> str:
        """The name of its private key or token in the secret store."""
        return f"github-{self.name}"


@dataclass(frozen=True, slots=True)
class GitHubRepository:
    """A repository on GitHub: ``owner/name``."""

    slug: str
    connection: GitHubConnection

    @property
    def page(self) -> str:
        """Where people look at it."""
        return f"{self.connection.pages}/{self.slug}"


@dataclass(frozen=True, slots=True)
class RegistryPair:
    """A Workflow Registry and the Software Catalogue that its steps use, by repository."""

    name: str
    workflows: str
    software: str


@dataclass(frozen=True, slots=True)
class ForgeChoice:
    """What the sections say: bare repositories here, repositories on GitHub, and the pairs."""

    folders: Mapping[str, Path]
    hosted: Mapping[str, GitHubRepository]
    registries: Mapping[str, RegistryPair]

    @property
    def slugs(self) -> dict[str, str]:
        """Our names of the repositories on GitHub, by ``owner/name``."""
        return {hosted.slug: name for name, hosted in self.hosted.items()}


def read_forge_choice(path: Path, data: Mapping[str, Any]) -> ForgeChoice:
    """Read the sections of the settings file ``path``. Raises ``SettingsError``."""
    connections = _connections(path, data.get("github") or {})
    default = {WORKFLOWS: f"git/{WORKFLOWS}.git", SOFTWARE: f"git/{SOFTWARE}.git"}
    repositories = _mapping(path, "repositories", data.get("repositories") or default)
    folders: dict[str, Path] = {}
    hosted: dict[str, GitHubRepository] = {}
    for name, value in repositories.items():
        where = f"repositories: {name}"
        _check(path, where, name, _REPOSITORY)
        if isinstance(value, str) and value:
            folders[name] = path.parent / value
        else:
            hosted[name] = _hosted(path, where, value, connections)
    slugs = [(h.connection.url, h.slug.lower()) for h in hosted.values()]
    if len(set(slugs)) < len(slugs):
        raise SettingsError(f"{path}: repositories: one repository on GitHub has two names")
    pairs = {MAIN_REGISTRY: {"workflows": WORKFLOWS, "software": SOFTWARE}}
    registries = _mapping(path, "registries", data.get("registries") or pairs)
    known = {*folders, *hosted}
    return ForgeChoice(
        folders, hosted, {n: _pair(path, n, value, known) for n, value in registries.items()}
    )


def _connections(path: Path, value: Any) -> dict[str, GitHubConnection]:
    found = {}
    for name, entry in _mapping(path, "github", value).items():
        where = f"github: {name}"
        _check(path, where, name, _NAME)
        given = _mapping(path, where, entry or {}, ("url", "app", "installation"))
        url = str(given.get("url", GITHUB_API)).rstrip("/")
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise SettingsError(f"{path}: {where}: url: {url[:80]!r} does not begin with https://")
        numbers = [given.get(key, 0) for key in ("app", "installation")]
        if any(type(n) is not int or n < 0 for n in numbers) or bool(numbers[0]) != bool(
            numbers[1]
        ):
            raise SettingsError(
                f"{path}: {where}: app and installation must both be numbers, or both be left out",
                hint="GitHub shows them on the App's page and in the address of its installation",
            )
        found[name] = GitHubConnection(name, url, *numbers)
    return found


def _hosted(
    path: Path, where: str, value: Any, connections: Mapping[str, GitHubConnection]
) -> GitHubRepository:
    if not isinstance(value, dict):
        raise SettingsError(
            f"{path}: {where}: must be a folder, or a mapping with github and connection"
        )
    given = _mapping(path, where, value, ("github", "connection"))
    slug, name = str(given.get("github", "")), str(given.get("connection", ""))
    if not _SLUG.fullmatch(slug):
        raise SettingsError(f"{path}: {where}: github: {slug[:80]!r} is not OWNER/NAME")
    if name not in connections:
        raise SettingsError(
            f"{path}: {where}: there is no connection {name[:80]!r}",
            hint="write it under `github:`, with `waas github connect NAME`",
        )
    return GitHubRepository(slug, connections[name])


def _pair(path: Path, name: str, value: Any, known: set[str]) -> RegistryPair:
    where = f"registries: {name}"
    _check(path, where, name, _NAME)
    given = _mapping(path, where, value, ("workflows", "software"))
    for key in ("workflows", "software"):
        if not isinstance(given.get(key), str) or given[key] not in known:
            hint = _near(str(given.get(key)), sorted(known)) or f"there are: {sorted(known)}"
            message = f"{path}: {where}: {key}: there is no repository {given.get(key)!r}"
            raise SettingsError(message, hint=hint)
    return RegistryPair(name, given["workflows"], given["software"])


def _mapping(path: Path, where: str, value: Any, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: {where}: must be a mapping")
    unknown = sorted(str(key) for key in value if keys and key not in keys)
    if unknown:
        hint = _near(unknown[0], keys) or f"known: {', '.join(keys)}"
        raise SettingsError(f"{path}: {where}: unknown key {unknown[0]!r}", hint=hint)
    return {str(key): given for key, given in value.items()}


def _near(name: str, known: Any) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else ""


def _check(path: Path, where: str, name: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(name):
        hint = "lower-case letters, digits and `-`, beginning with a letter"
        raise SettingsError(f"{path}: {where[:120]}: cannot be a name", hint=hint)
