"""Make a service home: settings, repositories, database, secrets. Idempotent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ci.errors import SettingsError
from hooks.config import Settings, load
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.image_signing import ImageSigning
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.db import Database
from hooks.forges import bare_git


def seeds() -> Path:
    """The folder that holds the contents which the two repositories start with."""
    checkout = Path(__file__).resolve().parent.parent
    for folder in (checkout, Path(sys.prefix) / "share" / "hpcwaas"):
        if (folder / "workflow-registry").is_dir():
            return folder
    raise SettingsError("the starting contents of the registries are not installed")


def make(
    home: Path,
    *,
    listen: str = "127.0.0.1:8080",
    builder: Mapping[str, Any] | None = None,
    without: Iterable[str] = (),
) -> Settings:
    """Make what is missing of a home and return its settings; nothing that is there is changed.

    ``without`` names folders of the starting contents to leave out.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    for name in ("sites", "git", "state", "images", "work", "results", "logs"):
        (home / name).mkdir(exist_ok=True)
    (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    config = home / "waas.yaml"
    if not config.exists():
        values = {"listen": listen, **({"builder": dict(builder)} if builder else {})}
        temporary = config.with_suffix(".new")
        temporary.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        temporary.replace(config)
    settings = load(config)
    make_signing_key(settings)
    WebhookSecrets(EncryptedFiles(settings.secrets), settings.secrets).make()
    for name, folder in settings.repositories.items():
        bare_git.create(folder, seeds() / name, without=without)
    Database(settings.database).migrate()
    return settings


def make_signing_key(settings: Settings) -> None:
    """Make the key that signs images, and the file that says whose signatures hold, if missing."""
    EncryptedFiles.init(settings.secrets)
    image_signing(settings).make()


def image_signing(settings: Settings) -> ImageSigning:
    """The key that signs images, in the home's secret store."""
    store = EncryptedFiles(settings.secrets)
    return ImageSigning(store, settings.signers, settings.secrets / ".image-signing.lock")
