"""Each remark is dealt with once; an approval holds for its commit alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from hooks.commands.records import CommandRecords
from hooks.db import Database
from hooks.forges.seams import Remark

REPO, A, B = "workflow-registry", "a" * 40, "b" * 40
REMARK = Remark("17", 3, "ada", "/build")


@pytest.fixture
def records(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    return CommandRecords(database)


def test_what_is_finished_is_not_taken_again(records):
    assert records.take(REPO, REMARK, "/build")
    assert records.take(REPO, REMARK, "/build")  # a kill came before it was finished
    records.finish(REPO, "17", "done", accepted=True)
    assert not records.take(REPO, REMARK, "/deploy alpha")  # edited afterwards
    [row] = records.of(REPO, 3)
    assert (row.text, row.answer, row.state, row.by) == ("/build", "done", "DONE", "ada")


def test_the_same_remark_from_many_threads_is_one_row(records):
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: records.take(REPO, REMARK, "/build"), range(16)))
    assert len(records.of(REPO, 3)) == 1


def test_the_newest_are_shown_in_their_order(records):
    for number in range(15):
        records.take(REPO, Remark(f"r{number:02}", 3, "ada", ""), f"/plan {number}")
    assert [row.text for row in records.of(REPO, 3)][-1] == "/plan 14"
    assert len(records.of(REPO, 3)) == 10


def test_an_approval_is_of_one_commit(records):
    assert records.approved(REPO, 3, A) is None
    records.approve(REPO, 3, A, "ada", ("alpha",))
    records.approve(REPO, 3, A, "grace", ("beta",))
    assert records.approved(REPO, 3, A) == {"alpha", "beta"}
    assert records.approved(REPO, 3, B) is None
    records.approve(REPO, 3, A, "ada", ())
    assert records.approved(REPO, 3, A) == set()
