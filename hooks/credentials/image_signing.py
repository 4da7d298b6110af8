"""The key that signs images: made once, kept sealed, known by a line of the allowed signers."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from builder.store.files import locked, sync
from builder.supply.signature import new_key, parse_key, public_key
from builder.supply.signers import PublicKey, write_signers
from builder.supply.verify import NAMESPACE
from ci.errors import SettingsError
from hooks.credentials.seams import SecretStore

NAME = "image-signing"


class ImageSigning:
    """The key in the secret store, and the file ``signers`` that says whose signatures hold.

    Any number of processes may use both at once; ``lock`` is the file that they take turns with.
    All methods raise ``SettingsError`` when the store or a file cannot be used.
    """

    def __init__(self, store: SecretStore, signers: Path, lock: Path) -> None:
        self._store, self._signers, self._lock = store, signers, lock

    def check(self) -> None:
        """Raise ``SettingsError`` if there is no key, without opening it."""
        if NAME not in self._store.list():
            raise SettingsError(
                "there is no key to sign images with",
                hint="run `waas init DIR` on the service home: it makes what is missing",
            )

    def read(self) -> str:
        """The text of the private key, as it is now."""
        self.check()
        return self._store.read(NAME)

    def make(self) -> None:
        """Make the key and the file of allowed signers, as far as they are missing."""
        try:
            with locked(self._lock):
                if NAME not in self._store.list():
                    self._replace()
                elif not self._signers.exists():
                    self._allow(public_key(parse_key(self._store.read(NAME))))
        except OSError as error:
            raise SettingsError(f"cannot make the key that signs images: {error}") from error

    def rotate(self) -> PublicKey:
        """Sign with a new key from now on; what older ones have signed still holds."""
        self.check()
        try:
            with locked(self._lock):
                return self._replace()
        except OSError as error:
            raise SettingsError(f"cannot change the key that signs images: {error}") from error

    def _replace(self) -> PublicKey:
        """Allow a new key, then keep it: whatever happens between, all that is signed holds."""
        text = new_key()
        public = public_key(parse_key(text))
        self._allow(public)
        self._store.put(NAME, text)
        return public

    def _allow(self, key: PublicKey) -> None:
        """Add a line to the allowed signers; all others stay as they are."""
        now = datetime.now(UTC)
        line = write_signers([key], NAMESPACE, now).rstrip("\n") + f" since {now:%Y-%m-%d}\n"
        there = self._signers.read_bytes() if self._signers.exists() else b""
        if there and not there.endswith(b"\n"):
            there += b"\n"
        part = self._signers.with_name(f".{self._signers.name}.part")
        with part.open("wb") as file:
            file.write(there + line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._signers)
        sync(self._signers.parent)
