"""Who may do what in the repositories that we host."""

import pytest

from hooks import home
from hooks.db import Database
from hooks.forges.access import FILE_NAME
from hooks.hosting import hosting_of
from hooks.tokens import Tokens

REPO = "workflow-registry"
RIGHTS = ("read", "build", "merge", "deploy")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in (REPO, "software-catalog"):
        (tmp_path / "seeds" / name).mkdir(parents=True)
        (tmp_path / "seeds" / name / "README.md").write_text("start\n")
    monkeypatch.setattr(home, "seeds", lambda: tmp_path / "seeds")
    return home.make(tmp_path / "home")


@pytest.fixture
def may(settings):
    tokens = Tokens(Database(settings.database))
    revoked, _ = tokens.create("former", "operator")
    tokens.revoke(revoked)
    tokens.create("root", "operator")
    tokens.create("ada")
    forge = hosting_of(settings, lambda _: "", tokens.is_operator).forges[REPO]
    return lambda user: [right for right in RIGHTS if forge.may(user, right)]


def test_without_rights_of_users_pushers_build_and_operators_do_the_rest(may):
    assert may("ada") == ["read", "build"]
    assert may("former") == ["read", "build"]
    assert may("root") == list(RIGHTS)
    assert may("") == []


def test_what_may_not_be_read_is_not_shown(settings, may):
    text = "everyone: none\nusers: {ada: {rights: {workflow-registry: read}}}\n"
    (settings.home / FILE_NAME).write_text(text)
    tokens = Tokens(Database(settings.database))
    hosting = hosting_of(settings, lambda _: "", tokens.is_operator)
    assert may("eve") == []
    assert hosting.seen_by("eve") == []
    assert hosting.seen_by("ada") == [REPO]
    assert sorted(hosting.seen_by("root")) == ["software-catalog", REPO]


def test_with_them_they_count_and_operators_still_may_all(settings, may):
    text = "users: {ada: {rights: {workflow-registry: merge}}, bob: {rights: {'*': propose}}}\n"
    (settings.home / FILE_NAME).write_text(text)
    assert may("ada") == list(RIGHTS)
    assert may("bob") == ["read", "build"]
    assert may("eve") == ["read"]
    assert may("former") == ["read"]
    assert may("root") == list(RIGHTS)
