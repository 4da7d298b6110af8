"""What every queue system keeps, each against a real site."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ci.errors import EntryError
from hooks.sites import jobs, jobscript
from hooks.sites.seams import Job, JobStatus, State


def wait(login, native_id: str, folder, until: Callable[[JobStatus], bool]) -> JobStatus:
    status = None
    for _ in range(300):
        told = jobs.statuses(login.transport, login.queue, {native_id: folder})
        status = told.get(native_id)
        if status is not None and until(status):
            return status
        time.sleep(0.1)
    raise AssertionError(f"still {status} after 30 s")


def ended(status: JobStatus) -> bool:
    return status.state.final


@pytest.fixture
def make_job(login) -> Callable[..., Job]:
    def make(script: str, **fields: object) -> Job:
        name = f"t-{uuid.uuid4().hex[:12]}"
        folder = login.folder / name
        body = jobscript.body(("sh", "-c", script), working=login.folder)
        return Job(name=name, directory=folder, body=body, memory_mb=50, **fields)

    return make


def seen(login, job: Job, file: str) -> str:
    return (login.seen_here / job.directory.name / file).read_text()


@pytest.mark.parametrize(("code", "state"), [(0, State.SUCCEEDED), (3, State.FAILED)])
def test_a_job_runs_and_its_end_is_known(login, make_job, code: int, state: State) -> None:
    job = make_job(f"pwd; echo oops >&2; exit {code}")
    native_id = jobs.submit(login.transport, login.queue, job)
    status = wait(login, native_id, job.directory, ended)
    assert (status.state, status.exit_code) == (state, code)
    assert seen(login, job, "output.log").strip() == str(login.folder)
    assert seen(login, job, "error.log") == "oops\n"
    assert seen(login, job, "exit_code") == f"{code}\n"


def test_the_environment_reaches_the_command(login, make_job) -> None:
    values = {"PLAIN": "1", "ODD": "a 'b' $HOME \"c\" `id` \\ é\nsecond line"}
    job = make_job('printf "%s|%s" "$PLAIN" "$ODD"', environment=values)
    native_id = jobs.submit(login.transport, login.queue, job)
    wait(login, native_id, job.directory, ended)
    assert seen(login, job, "output.log") == f"1|{values['ODD']}"


def test_a_job_is_submitted_once_however_often_it_is_asked_for(login, make_job) -> None:
    job = make_job("echo ran >> ran; sleep 1")
    assert login.queue.find(job.name).parse(
        login.transport.run(
            login.queue.find(job.name).argv, stdin=login.queue.find(job.name).stdin
        )
    ) is None  # fmt: skip
    first = jobs.submit(login.transport, login.queue, job)
    assert jobs.submit(login.transport, login.queue, job) == first
    wait(login, first, job.directory, ended)
    assert jobs.submit(login.transport, login.queue, job) == first
    assert (login.seen_here / "ran").read_text() == "ran\n"


def test_a_submission_whose_answer_was_lost_never_runs_twice(login, make_job) -> None:
    job = make_job("echo ran >> ran; sleep 1; exit 5")
    login.transport.run(("mkdir", "-p", str(job.directory)))
    request = login.queue.submit(job)
    ids = [jobs.ask(login.transport, request) for _ in range(3)]
    ends = [wait(login, native_id, job.directory, ended) for native_id in ids]
    assert [(end.state, end.exit_code) for end in ends] == [(State.FAILED, 5)] * 3
    assert (login.seen_here / "ran").read_text() == "ran\n"


def test_a_running_job_is_cancelled_with_all_it_started(login, make_job) -> None:
    job = make_job("(sleep 2; echo left >> left) & echo on >> on; sleep 60")
    native_id = jobs.submit(login.transport, login.queue, job)
    wait(login, native_id, job.directory, lambda s: s.state is State.RUNNING)
    for _ in range(100):
        if (login.seen_here / "on").exists():
            break
        time.sleep(0.05)
    for _ in range(2):  # the second finds it ended
        jobs.cancel(login.transport, login.queue, native_id, job.directory)
    assert wait(login, native_id, job.directory, ended).state is State.CANCELLED
    time.sleep(2.2)
    assert not (login.seen_here / "left").exists()


def test_cancelling_a_job_that_succeeded_leaves_it_succeeded(login, make_job) -> None:
    job = make_job("true")
    native_id = jobs.submit(login.transport, login.queue, job)
    wait(login, native_id, job.directory, ended)
    jobs.cancel(login.transport, login.queue, native_id, job.directory)
    assert wait(login, native_id, job.directory, ended).state is State.SUCCEEDED


def test_many_jobs_are_asked_for_at_once_and_the_unknown_left_out(login, make_job) -> None:
    made = [make_job(f"exit {code}") for code in range(3)]
    ids = {jobs.submit(login.transport, login.queue, job): job for job in made}
    for native_id, job in ids.items():
        wait(login, native_id, job.directory, ended)
    folders = {native_id: job.directory for native_id, job in ids.items()}
    folders["99999999"] = login.folder
    told = jobs.statuses(login.transport, login.queue, folders)
    assert {n: s.exit_code for n, s in told.items()} == dict(zip(ids, range(3), strict=True))
    assert jobs.statuses(login.transport, login.queue, {"99999999": login.folder}) == {}


def test_a_job_that_the_queue_system_forgot_is_told_by_its_record(login) -> None:
    folder = login.seen_here / "forgotten"
    folder.mkdir()
    (folder / "exit_code").write_text("4\n")
    told = jobs.statuses(login.transport, login.queue, {"99999999": login.folder / "forgotten"})
    assert told["99999999"] == JobStatus(State.FAILED, 4, "FAILED")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a\n#SBATCH --uid=0"},
        {"name": "../up"},
        {"partition": "short\n#SBATCH --account=x"},
        {"account": "a b"},
        {"qos": "--x"},
        {"time_limit": "10"},
        {"time_limit": "00:00:00"},
        {"time_limit": "01:00:00\n"},
        {"nodes": 0},
        {"memory_mb": -1},
        {"environment": {"A B": "1"}},
        {"environment": {"A": "\0"}},
    ],
)
def test_fields_that_could_say_more_than_they_should_are_refused(
    login, make_job, fields: dict
) -> None:
    with pytest.raises(EntryError):
        login.queue.submit(replace(make_job("true"), **fields))


def test_a_folder_that_needs_quoting_is_refused(login, make_job) -> None:
    for folder in ("/a b", "/a%j", '/a"', "relative", "/a\nb"):
        with pytest.raises(EntryError, match="folder"):
            login.queue.submit(replace(make_job("true"), directory=type(login.folder)(folder)))


def test_a_time_limit_ends_a_direct_job(local_login) -> None:
    folder = local_login.folder / "slow"
    body = jobscript.body(("sleep", "30"), working=local_login.folder)
    job = Job(name="slow", directory=folder, body=body, time_limit="00:00:01")
    native_id = jobs.submit(local_login.transport, local_login.queue, job)
    status = wait(local_login, native_id, folder, ended)
    assert (status.state, status.reason) == (State.FAILED, "TIMEOUT")


def test_a_direct_job_that_was_killed_has_failed(local_login, tmp_path: Path) -> None:
    folder = local_login.folder / "killed"
    body = jobscript.body(("sleep", "30"), working=local_login.folder)
    job = Job(name="killed", directory=folder, body=body)
    native_id = jobs.submit(local_login.transport, local_login.queue, job)
    wait(local_login, native_id, folder, lambda s: s.state is State.RUNNING)
    pid = next((tmp_path / "home").rglob("killed/pid")).read_text().strip()
    local_login.transport.run(("pkill", "-KILL", "-s", pid))
    status = wait(local_login, native_id, folder, ended)
    assert (status.state, status.reason) == (State.FAILED, "KILLED")
