"""Slurm's answers, as recorded on 22.05 (without accounting) and as sacct(1) documents them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from ci.errors import EntryError, SiteError
from hooks.sites import jobs, jobscript
from hooks.sites.queues.slurm import Slurm, parse_status, script
from hooks.sites.seams import Completed, Job, JobStatus, State

SCONTROL = (
    "JobId=1 JobName=a1 UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=1 Nice=0"
    " Account=(null) QOS=(null) JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=1"
    " Restarts=0 BatchFlag=1 Reboot=0 ExitCode=3:0 RunTime=00:00:00 TimeLimit=00:10:00"
    " WorkDir=/tmp StdErr=/tmp/slurm-1.out StdIn=/dev/null StdOut=/tmp/slurm-1.out Power= "
)
JOB = Job(name="a-1", directory=PurePosixPath("/work/1"), body="true\n")


def status(stdout: str) -> dict[str, JobStatus]:
    return dict(parse_status(Completed(0, stdout, "")))


def test_squeue_tells_of_jobs_that_wait_and_run() -> None:
    assert status("queue|1|PENDING|Resources\nqueue|2|RUNNING|None\nqueue|3|COMPLETING|None\n") == {
        "1": JobStatus(State.QUEUED, reason="Resources"),
        "2": JobStatus(State.RUNNING),
        "3": JobStatus(State.RUNNING),
    }


def test_scontrol_adds_the_exit_code() -> None:
    assert status(f"queue|1|FAILED|NonZeroExitCode\n{SCONTROL}\n") == {
        "1": JobStatus(State.FAILED, 3, "FAILED")
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("7|COMPLETED|0:0", JobStatus(State.SUCCEEDED, 0, "COMPLETED")),
        ("7|CANCELLED by 5001|0:15", JobStatus(State.CANCELLED, 143, "CANCELLED")),
        ("7|OUT_OF_MEMORY|0:125", JobStatus(State.FAILED, 253, "OUT_OF_MEMORY")),
        ("7|TIMEOUT|0:0", JobStatus(State.FAILED, None, "TIMEOUT")),
        ("7|NODE_FAIL|1:0", JobStatus(State.FAILED, 1, "NODE_FAIL")),
        ("7|RUNNING|0:0", JobStatus(State.RUNNING)),
    ],
)
def test_accounting_tells_of_jobs_long_ended(line: str, expected: JobStatus) -> None:
    assert status(f"\n{line}\n") == {"7": expected}


def test_no_line_is_no_state() -> None:
    assert status("\n") == {}


@pytest.mark.parametrize(
    "line", ["queue|1|EXPLODED|None", "7|DANCING|0:0", SCONTROL.replace("FAILED", "X")]
)
def test_an_unknown_state_is_an_error_and_not_an_end(line: str) -> None:
    with pytest.raises(SiteError, match="does not know") as caught:
        status(line)
    assert not caught.value.transient


def test_an_unreadable_line_is_an_error() -> None:
    with pytest.raises(SiteError, match="cannot be read"):
        status("welcome to the machine\n")


def test_a_controller_that_is_away_may_come_back() -> None:
    words = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    with pytest.raises(SiteError, match="Unable to contact") as caught:
        parse_status(Completed(1, "", words))
    assert caught.value.transient
    with pytest.raises(SiteError) as caught:
        Slurm().submit(JOB).parse(Completed(1, "", words))
    assert caught.value.transient


def test_a_refusal_is_final_and_in_slurms_words() -> None:
    words = (
        "sbatch: error: invalid partition specified: nope\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n"
    )
    with pytest.raises(SiteError, match="Invalid partition name") as caught:
        Slurm().submit(JOB).parse(Completed(1, "", words))
    assert not caught.value.transient


def test_a_site_without_slurm_is_told_what_to_look_at() -> None:
    with pytest.raises(SiteError, match=r"queue\.kind"):
        Slurm().submit(JOB).parse(Completed(127, "", "sh: sbatch: command not found"))


def test_the_id_of_a_federated_cluster_is_its_first_part() -> None:
    assert Slurm().submit(JOB).parse(Completed(0, "17;beta\n", "")) == "17"


def test_directives_say_what_the_job_says_and_no_more() -> None:
    text = script(JOB)
    assert "--mem" not in text
    assert "--partition" not in text
    assert "#SBATCH --time=00:10:00\n" in text
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert text.startswith("#!/bin/bash\n" + "\n".join(directives))


def test_arguments_of_a_step_cannot_become_directives_or_lines() -> None:
    with pytest.raises(EntryError):
        jobscript.body(("x", "a\n#SBATCH --nodes=100"), working=PurePosixPath("/work"))


@pytest.mark.cluster
def test_slurm_itself_refuses_an_unknown_partition(ssh_login) -> None:
    job = Job("x", ssh_login.folder / "x", "true\n", partition="nope")
    with pytest.raises(SiteError, match="Invalid partition name") as caught:
        jobs.submit(ssh_login.transport, Slurm(), job)
    assert not caught.value.transient


@pytest.mark.cluster
def test_a_job_of_the_same_name_by_another_user_is_not_ours(ssh_login, ssh_site) -> None:
    name = f"taken-{ssh_login.folder.name}"
    wrap = f"--job-name={name}"
    ssh_site.cluster.admin("sbatch", "--chdir=/tmp", "--output=/dev/null", wrap, "--wrap=true")
    assert jobs.ask(ssh_login.transport, Slurm().find(name)) is None
