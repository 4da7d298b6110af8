"""SSH keys that users have the service make; each belongs to the user who asked for it."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlalchemy import select

from ci.errors import EntryError
from hooks.credentials.seams import SecretStore
from hooks.credentials.ssh_keys import make_key_pair
from hooks.db import Database
from hooks.db.tables import SshKey, now
from hooks.errors import NotFoundError

LARGEST_METADATA = 4_000  # characters of JSON


class UserKeys:
    """The key pairs of users: a row each, and the private half in the secret store."""

    def __init__(self, database: Database, store: SecretStore) -> None:
        self._database, self._store = database, store

    def create(self, owner: str, details: dict[str, Any]) -> SshKey:
        """Make a pair. The private half is kept before the row, so no row lacks its key."""
        if len(json.dumps(details)) > LARGEST_METADATA:
            raise EntryError(f"metadata: more than {LARGEST_METADATA} characters")
        name = f"key-{secrets.token_hex(8)}"
        public = make_key_pair(self._store, name, f"hpcwaas:{owner}:{name}")
        key = SshKey(id=name, owner=owner, public_key=public, details=details)
        with self._database.session() as session:
            session.add(key)
        return key

    def of(self, owner: str) -> list[SshKey]:
        """The owner's keys that hold, oldest first."""
        query = select(SshKey).where(SshKey.owner == owner, SshKey.revoked_at.is_(None))
        with self._database.session() as session:
            return list(session.scalars(query.order_by(SshKey.created_at)))

    def revoke(self, owner: str, name: str) -> None:
        """Forget a pair: the private half first, so that a revoked key can never be used."""
        with self._database.session() as session:
            key = session.get(SshKey, name)
            if key is None or key.owner != owner:
                raise NotFoundError(f"you have no SSH key {name!r}")
            self._store.delete(name)
            key.revoked_at = key.revoked_at or now()
