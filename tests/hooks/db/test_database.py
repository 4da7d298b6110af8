from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from ci.errors import SettingsError
from hooks import home
from hooks.db import Database, database
from hooks.db.tables import Base
from hooks.tokens import Caller, Tokens

BUILD = """INSERT INTO builds (id, workflow, step, "commit", site, scope, key, state, reused,
    message, digest, started_at) VALUES ('one', 'rom', 'solve', 'c', 'alpha', 'main', 'k',
    'FINISHED', 0, '', 'sha256:1', '2026-01-01 00:00:00.000000')"""
DEPLOYMENT = """INSERT INTO deployments VALUES ('rom@alpha', 'rom', 'alpha', 'c', 'd', 'c',
    'ACTIVE', '', '{}', '2026-01-01 00:00:00.000000')"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state" / "waas.db"


@pytest.fixture
def opened(file: Path) -> Database:
    return Database(f"sqlite:///{file}")


@pytest.fixture
def at(opened: Database) -> Callable[[str], Database]:
    """The database as a program of some version left it: ``at("0001")``."""

    def make(version: str) -> Database:
        config = Config()
        config.set_main_option("script_location", str(database.MIGRATIONS))
        config.attributes["engine"] = opened.engine
        command.upgrade(config, version)
        return opened

    return make


def dump(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_the_newest_migration_is_the_one_that_is_checked_for() -> None:
    assert ScriptDirectory(str(database.MIGRATIONS)).get_current_head() == database.NEWEST


def test_versions_are_in_the_order_of_their_names() -> None:
    found = ScriptDirectory(str(database.MIGRATIONS)).walk_revisions()
    names = [script.revision for script in found]
    assert names == sorted(names, reverse=True)
    assert {len(name) for name in names} == {4}


def test_the_migrations_make_the_tables_that_the_program_uses(opened: Database) -> None:
    opened.migrate()
    with opened.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_an_empty_database_is_told_to_be_made(opened: Database) -> None:
    with pytest.raises(SettingsError, match="has no tables of ours") as caught:
        opened.check()
    assert "waas init" in (caught.value.hint or "")
    opened.migrate()
    opened.check()


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_database_is_told_to_be_upgraded(
    at: Callable[[str], Database], version: str
) -> None:
    found = at(version)
    with pytest.raises(SettingsError, match=f"older version \\({version}, not") as caught:
        found.check()
    assert "waas init HOME" in (caught.value.hint or "")
    found.migrate()
    found.check()


def test_a_newer_database_is_left_alone(opened: Database, file: Path) -> None:
    opened.migrate()
    with opened.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = dump(file)
    for act in (opened.check, opened.migrate):
        with pytest.raises(SettingsError, match="of a newer version"):
            act()
    assert dump(file) == before


OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("update alembic_version set version_num = ?", sys.argv[2:])
connection.commit()
print("written", flush=True)
sys.stdin.read()
connection.close()  # who believes to be the last takes the log away
"""


def test_one_process_may_open_it_twice_and_still_sees_what_others_write(
    opened: Database, file: Path
) -> None:
    opened.migrate()
    newest = text("select version_num from alembic_version")
    with opened.session() as session:
        session.execute(newest)
    again = Database(f"sqlite:///{file}")
    for version in ("first", "second"):
        argv = [sys.executable, "-c", OTHER, str(file), version]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"written\n"
            for database_ in (opened, again):
                with database_.session() as session:
                    assert session.execute(newest).scalar() == version
            other.communicate()


def test_a_password_is_not_shown() -> None:
    assert "secret" not in Database("postgresql://u:secret@h/db")._shown


def test_init_upgrades_a_home_and_keeps_what_is_there(
    tmp_path: Path, file: Path, at: Callable[[str], Database]
) -> None:
    folder = tmp_path / "home"
    home.make(folder)
    (folder / "waas.yaml").write_text("listen: 127.0.0.1:9999\n")
    for part in file.parent.glob("waas.db*"):
        part.unlink()
    old = at("0001")
    for statement in (BUILD, DEPLOYMENT):
        with old.session() as session:
            session.execute(text(statement))
    token = Tokens(old).create("ada")[1]
    secrets = {p: p.read_bytes() for p in (folder / "secrets").iterdir()}
    settings = home.make(folder)
    new = Database(settings.database)
    new.check()
    with new.session() as session:
        build: Any = session.execute(text("SELECT * FROM builds")).mappings().one()
        deployment: Any = session.execute(text("SELECT * FROM deployments")).mappings().one()
    assert (build["id"], build["state"], build["image"]) == ("one", "FINISHED", "k")
    assert build["created_at"] == build["started_at"] == "2026-01-01 00:00:00.000000"
    assert (deployment["id"], deployment["state"]) == ("rom@alpha", "ACTIVE")
    assert Tokens(new).check(token) == Caller("ada", "user")
    assert (settings.port, {p: p.read_bytes() for p in secrets}) == (9999, secrets)


class InterruptedUpgradeError(Exception):
    pass


def test_an_upgrade_that_is_interrupted_leaves_nothing_half(
    at: Callable[[str], Database], file: Path
) -> None:
    found = at("0001")
    before, left = dump(file), 0

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise InterruptedUpgradeError

    event.listen(found.engine, "before_cursor_execute", count)
    interrupted = 0
    for at_statement in range(5, 500, 7):
        left = at_statement
        try:
            found.migrate()
        except InterruptedUpgradeError:
            interrupted += 1
            assert dump(file) == before, at_statement
        else:
            break
    event.remove(found.engine, "before_cursor_execute", count)
    found.check()
    assert interrupted > 3


def _migrate(url: str) -> None:
    Database(url).migrate()


def test_two_upgrades_at_once_are_one(at: Callable[[str], Database]) -> None:
    found = at("0001")
    with get_context("spawn").Pool(2) as pool:
        pool.map(_migrate, [found.url] * 4, chunksize=1)
    found.check()
