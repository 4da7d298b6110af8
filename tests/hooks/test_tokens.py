"""Tokens are shown once and kept as a hash."""

import sqlite3

import pytest

from ci.errors import EntryError
from hooks.db import Database
from hooks.tokens import Caller, Tokens


@pytest.fixture
def tokens(tmp_path) -> Tokens:
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    return Tokens(database)


def test_a_token_speaks_for_its_user_until_it_is_revoked(tokens):
    name, token = tokens.create("ada")
    assert tokens.check(token) == Caller("ada", "user")
    tokens.revoke(name)
    assert tokens.check(token) is None


@pytest.mark.parametrize("given", ["", "waas_", "x" * 50, "\0"])
def test_nothing_else_is_a_token(tokens, given):
    tokens.create("ada")
    assert tokens.check(given) is None


def test_the_token_is_nowhere_in_the_database(tokens, tmp_path):
    _, token = tokens.create("ada")
    with sqlite3.connect(tmp_path / "waas.db") as connection:
        dump = "\n".join(connection.iterdump())
    assert "ada" in dump
    assert token not in dump
    assert token.removeprefix("waas_") not in dump


@pytest.mark.parametrize("user", ["", "Ada", "-x", "a b", "a\nb", "../a", "a" * 80])
def test_names_that_could_be_something_else_are_refused(tokens, user):
    with pytest.raises(EntryError, match="is not a user name"):
        tokens.create(user)


def test_revoking_an_unknown_one_says_where_to_look(tokens):
    with pytest.raises(EntryError, match="waas tokens list"):
        tokens.revoke("none")
