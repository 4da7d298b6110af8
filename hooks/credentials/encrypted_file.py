"""The embedded secret store: a file per secret, sealed with a key beside them.

A file holds ``WAAS1``, a nonce of 12 bytes and AES-256-GCM's output (NIST SP 800-38D) with the
secret's name as associated data, so that a file renamed to another secret's name does not open.
The key guards copies of the files (backups that leave the key out), not against who reads both.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ci.errors import SettingsError
from hooks.credentials.seams import check_name

KEY_FILE = ".key"
_SUFFIX = ".secret"
_MAGIC = b"WAAS1"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class EncryptedFiles:
    """Secrets as files in a folder that ``init`` has made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def init(cls, folder: Path) -> EncryptedFiles:
        """Make the folder (0700) and its key (0600) unless they are there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if not (folder / KEY_FILE).exists():
            part = _write_part(folder, os.urandom(_KEY_BYTES))
            with suppress(FileExistsError):  # another process was first: its key counts
                os.link(part, folder / KEY_FILE)
            part.unlink()
            _sync_folder(folder)
        return cls(folder)

    def put(self, name: str, value: str) -> None:
        """Seal and keep a value."""
        target = self._file(name)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key()).encrypt(nonce, value.encode("utf-8"), name.encode("ascii"))
        part = _write_part(self._folder, _MAGIC + nonce + sealed)
        part.replace(target)
        _sync_folder(self._folder)

    def read(self, name: str) -> str:
        """Open a value."""
        try:
            data = self._file(name).read_bytes()
        except FileNotFoundError:
            raise SettingsError(
                f"there is no credential {name!r}",
                hint="make it: `waas sites key SITE`, or `waas ssh_keys key-gen` for a user",
            ) from None
        nonce, sealed = data[len(_MAGIC) :][:_NONCE_BYTES], data[len(_MAGIC) + _NONCE_BYTES :]
        try:
            if not data.startswith(_MAGIC):
                raise InvalidTag
            opened = AESGCM(self._key()).decrypt(nonce, sealed, name.encode("ascii"))
        except (InvalidTag, ValueError):
            raise SettingsError(
                f"the credential {name!r} cannot be opened",
                hint=f"its file or {self._folder / KEY_FILE} was changed; put it again",
            ) from None
        return opened.decode("utf-8")

    def delete(self, name: str) -> None:
        """Remove the file."""
        self._file(name).unlink(missing_ok=True)
        _sync_folder(self._folder)

    def list(self) -> list[str]:
        """The names of the files."""
        return sorted(file.name.removesuffix(_SUFFIX) for file in self._folder.glob(f"*{_SUFFIX}"))

    def _file(self, name: str) -> Path:
        return self._folder / f"{check_name(name)}{_SUFFIX}"

    def _key(self) -> bytes:
        path = self._folder / KEY_FILE
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            key = path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"cannot read the secret store's key {path}: {error.strerror}",
                hint="restore it from its backup; without it the credentials are lost",
            ) from error
        if mode & 0o077:
            raise SettingsError(
                f"others may read the secret store's key {path} (mode {mode:o})",
                hint=f"chmod 600 {path}, and make new credentials if others were on this machine",
            )
        if len(key) != _KEY_BYTES:
            raise SettingsError(f"{path} is not a key of {_KEY_BYTES} bytes")
        return key


def _write_part(folder: Path, data: bytes) -> Path:
    """Write a file that only we may read, to be renamed; it is on the disk when this returns."""
    part = folder / f".{secrets.token_hex(8)}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
