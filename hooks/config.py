"""The service home and its settings file, ``waas.yaml``.

All that the service keeps lives under one folder, so that it can be backed up, moved and removed
as one. Relative paths in the file are relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ci.errors import SettingsError
from hooks.builder_choice import BuilderChoice, read_builder_choice
from hooks.forge_choice import ForgeChoice, read_forge_choice

_KEYS = {
    "database", "listen", "url", "repositories", "registries", "github", "builder", "worker",
}  # fmt: skip
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``waas.yaml`` says, with every path made absolute."""

    home: Path
    database: str
    host: str
    port: int
    forges: ForgeChoice
    builder: BuilderChoice
    worker: str = "main"
    public_url: str = ""

    @property
    def repositories(self) -> Mapping[str, Path]:
        """The bare repositories that we host, by name."""
        return self.forges.folders

    @property
    def sites(self) -> Path:
        """Folder of the site files."""
        return self.home / "sites"

    @property
    def images(self) -> Path:
        """Folder of the image store."""
        return self.home / "images"

    @property
    def secrets(self) -> Path:
        """Folder of the secret store and its key."""
        return self.home / "secrets"

    @property
    def work(self) -> Path:
        """Scratch; anything in it may be deleted while the service is stopped."""
        return self.home / "work"

    @property
    def results(self) -> Path:
        """What executions staged out, a folder each."""
        return self.home / "results"

    @property
    def signers(self) -> Path:
        """Whose signatures of images hold: OpenSSH's ``allowed_signers``, ssh-keygen(1)."""
        return self.home / "allowed_signers"

    @property
    def mirrors(self) -> Path:
        """Folder of the bare mirrors of repositories that others host."""
        return self.home / "git" / "mirrors"

    @property
    def url(self) -> str:
        """Where people reach the web application: ``url:``, or where it listens."""
        return self.public_url or f"http://{self.host}:{self.port}"


def find_config(given: str | None) -> Path:
    """The settings file: the option, else ``$WAAS_CONFIG``, else ``./waas.yaml``."""
    path = Path(given or os.environ.get("WAAS_CONFIG") or "waas.yaml").absolute()
    if not os.path.isfile(path):  # False also for a name that is too long
        raise SettingsError(
            f"no settings file at {path}",
            hint="make a service home with `waas init DIR`, or name its file with --config",
        )
    return path


def load(path: Path) -> Settings:
    """Read a settings file. Raises ``SettingsError`` that names the file and the field."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: must be a mapping of settings")
    if unknown := sorted(str(key) for key in data if key not in _KEYS):
        raise SettingsError(
            f"{path}: unknown setting {unknown[0][:80]!r}", hint=f"known: {sorted(_KEYS)}"
        )
    home = path.parent
    host, port = _listen(path, str(data.get("listen", "127.0.0.1:8080")))
    return Settings(
        home=home,
        database=_database(path, str(data.get("database", "sqlite:///state/waas.db"))),
        host=host,
        port=port,
        forges=read_forge_choice(path, data),
        builder=read_builder_choice(path, data.get("builder") or {}),
        worker=str(data.get("worker", "main")),
        public_url=_url(path, data.get("url")),
    )


def _url(path: Path, value: Any) -> str:
    url = str(value or "").rstrip("/")
    if url and not url.startswith(("https://", "http://")):
        raise SettingsError(f"{path}: url: {url[:80]!r} does not begin with https://")
    return url


def _listen(path: Path, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise SettingsError(f"{path}: listen: {value!r} is not HOST:PORT")
    return host, int(port)


def _database(path: Path, url: str) -> str:
    if not url.isprintable():
        raise SettingsError(f"{path}: database: {url[:80]!r} cannot be the place of a database")
    scheme, separator, name = url.partition(":///")
    if scheme == "sqlite" and separator and not name.startswith("/"):
        return f"sqlite:///{path.parent / name}"
    return url
