"""What is recorded of a job fits into its row, which PostgreSQL insists on."""

from pathlib import Path

from hooks.db import Database
from hooks.db.tables import Execution, JobRecord
from hooks.executions.effects import ExecutionEffects
from hooks.journal import Journal
from hooks.sites.seams import JobStatus, State


def test_a_reason_of_any_length_is_recorded(postgresql_url: str, tmp_path: Path) -> None:
    database = Database(postgresql_url)
    database.migrate()
    names = ("deployment", "workflow", "site", "commit", "owner", "login", "credential")
    with database.session() as session:
        session.add(Execution(id="e", **dict.fromkeys(names, "x")))
        session.flush()
        session.add(JobRecord(name="j", execution="e", operation="job"))
    effects = ExecutionEffects(
        database, Journal(database), None, None, {}, results=tmp_path, scratch=tmp_path
    )
    reason = f"ReqNodeNotAvail, UnavailableNodes:{','.join(f'node{n}' for n in range(500))}"
    effects._record("j", JobStatus(State.FAILED, 1, reason), 0)
    with database.session() as session:
        found = session.get_one(JobRecord, "j")
        assert (found.state, found.reason) == ("FAILED", reason[:200])
    database.engine.dispose()
