"""The same tables on PostgreSQL as on SQLite, made once however many make them; and its URLs."""

import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from ci.errors import SettingsError, SiteError
from hooks.db import Database, database
from hooks.db.tables import Base


def _migrate(url: str) -> None:
    Database(url).migrate()


def shape(made: Database) -> dict[str, Any]:
    """All tables, in words that both databases share."""
    inspector = sa.inspect(made.engine)
    return {
        name: {
            "columns": {
                column["name"]: (repr(column["type"].as_generic()), column["nullable"])
                for column in inspector.get_columns(name)
            },
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign": [
                (key["constrained_columns"], key["referred_table"], key["referred_columns"])
                for key in inspector.get_foreign_keys(name)
            ],
            "unique": sorted(
                unique["column_names"] for unique in inspector.get_unique_constraints(name)
            ),
            "indexes": sorted(
                (index["name"], index["column_names"])
                for index in inspector.get_indexes(name)
                if not index["unique"]
            ),
        }
        for name in inspector.get_table_names()
    }


def test_the_tables_are_those_of_sqlite(postgresql_url: str, tmp_path: Path) -> None:
    shapes = []
    for url in (postgresql_url, f"sqlite:///{tmp_path}/waas.db"):
        made = Database(url)
        with pytest.raises(SettingsError, match="has no tables of ours"):
            made.check()
        made.migrate()
        made.check()
        shapes.append(shape(made))
        with made.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        made.engine.dispose()
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > len(Base.metadata.tables)  # and alembic's own


def test_every_upgrade_can_be_made_of_a_database_in_use(postgresql_url: str) -> None:
    made = Database(postgresql_url)
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    config.attributes["engine"] = made.engine
    command.upgrade(config, "0001")
    with made.session() as session:
        session.execute(
            sa.text(
                "INSERT INTO builds (id, workflow, step, commit, site, scope, key, state, reused, "
                "message, digest, started_at) VALUES ('one', 'rom', 'solve', 'c', 'alpha', 'main', "
                "'k', 'BUILDING', false, '', '', '2026-01-01')"
            )
        )
    made.migrate()
    made.check()
    with made.session() as session:
        assert session.execute(sa.text("SELECT id, state FROM builds")).one() == ("one", "FAILED")
    made.engine.dispose()


def test_two_upgrades_at_once_are_one(postgresql_url: str) -> None:
    with get_context("spawn").Pool(2) as pool:
        pool.map(_migrate, [postgresql_url] * 4, chunksize=1)
    Database(postgresql_url).check()


def test_a_database_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    gone = Database(f"postgresql://waas:secret@/waas?host={tmp_path}")
    for act in (gone.check, gone.migrate):
        with pytest.raises(SiteError, match=r"^the database .* cannot be used: .*") as caught:
            act()
        assert caught.value.transient
        assert "secret" not in str(caught.value)


def test_without_its_driver_the_operator_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match="psycopg cannot be loaded") as caught:
        Database("postgresql://waas@db/waas")
    assert caught.value.hint == "pip install 'hpcwaas[postgresql]'"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:secret@h", "the name of the database is missing"),
        ("postgresql://u:secret@h:port/x", "is no URL"),
        ("postgres://u:secret@h/x", "'postgres' is neither sqlite nor postgresql"),
        ("mysql://u:secret@h/x", "'mysql' is neither"),
        ("u:secret@h/x", "is no URL"),
        ("", "is no URL"),
    ],
)
def test_a_wrong_url_is_told_without_its_password(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_a_connection_is_not_waited_for_for_ever_unless_the_url_says_so() -> None:
    made = Database("postgresql://waas:p%40ss@db/waas?connect_timeout=3&sslmode=require")
    query = sa.make_url(made.url).query
    assert (query["connect_timeout"], query["sslmode"]) == ("3", "require")
    assert query["tcp_user_timeout"] == "30000"
    assert sa.make_url(made.url).password == "p@ss"
