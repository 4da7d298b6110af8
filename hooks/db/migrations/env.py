"""Alembic's entry: runs the migrations on the engine that ``Database.migrate`` hands over.

All of them are one transaction, so that one that is killed leaves nothing half. Python's sqlite3
begins none for what alters tables (https://docs.python.org/3.11/library/sqlite3.html, transaction
control): we do, and take the right to write at once, so that of two the second finds nothing to do.
On PostgreSQL a lock until the end of the transaction does the same.
"""

from alembic import context
from sqlalchemy import text

from hooks.db.tables import Base

_ONE_AT_A_TIME = 0x68706377_61617302  # the advisory lock of upgrades
engine = context.config.attributes["engine"]
with engine.begin() as connection:
    if engine.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
