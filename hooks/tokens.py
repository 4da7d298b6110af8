"""API tokens: shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import select

from ci.errors import EntryError
from hooks.db import Database
from hooks.db.tables import Token, now

OPERATOR = "operator"
ROLES = ("user", OPERATOR)
_USER = re.compile(r"[a-z][a-z0-9_.-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, by a token that holds."""

    user: str
    role: str


class Tokens:
    """The tokens of one service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, user: str, role: str = "user") -> tuple[str, str]:
        """Make a token; its id, and the token itself, which is never to be had again."""
        if not _USER.match(user):
            raise EntryError(f"{user!r} is not a user name", hint="lower case, digits, _ . -")
        if role not in ROLES:
            raise EntryError(f"{role!r} is not a role", hint=f"one of {', '.join(ROLES)}")
        token, name = f"waas_{secrets.token_urlsafe(32)}", secrets.token_hex(4)
        with self._database.session() as session:
            session.add(Token(id=name, user=user, role=role, digest=_digest(token)))
        return name, token

    def check(self, token: str) -> Caller | None:
        """Who this token speaks for; None if it does not hold."""
        with self._database.session() as session:
            row = session.scalar(select(Token).where(Token.digest == _digest(token)))
            if row is None or row.revoked_at is not None:
                return None
            return Caller(row.user, row.role)

    def is_operator(self, user: str) -> bool:
        """Whether a user has an operator's token that holds."""
        query = select(Token.id).where(
            Token.user == user, Token.role == OPERATOR, Token.revoked_at.is_(None)
        )
        with self._database.session() as session:
            return session.scalar(query.limit(1)) is not None

    def all(self) -> list[Token]:
        """All tokens (without the tokens), oldest first."""
        with self._database.session() as session:
            return list(session.scalars(select(Token).order_by(Token.created_at)))

    def revoke(self, name: str) -> None:
        """End a token. Raises ``EntryError`` if there is none of this id."""
        with self._database.session() as session:
            row = session.get(Token, name)
            if row is None:
                raise EntryError(f"there is no token {name!r}", hint="see `waas tokens list`")
            row.revoked_at = row.revoked_at or now()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
