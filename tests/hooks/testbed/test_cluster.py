import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import SettingsError
from hooks.testbed.cluster import Cluster, claim_ports, parse_completed, release_ports


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the key pairs ``one`` and ``two``."""
    folder = tmp_path_factory.mktemp("keys")
    for name in "one", "two":
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    return folder


def login(cluster: Cluster, user: str, key: Path, *command: str) -> subprocess.CompletedProcess:
    info = cluster.info()
    known = key.with_name(f"known-{info.port}")
    known.write_text(f"[{info.host}]:{info.port} {info.host_key}\n")
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none"]
    options += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-F", "none"]
    argv = ["ssh", *options, "-i", str(key), "-p", str(info.port), f"{user}@{info.host}", *command]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.cluster
def test_a_key_opens_only_the_login_it_was_authorized_for(cluster: Cluster, keys: Path) -> None:
    cluster.authorize("alice", (keys / "one.pub").read_text())
    assert login(cluster, "alice", keys / "one", "id", "-un").stdout == "alice\n"
    assert "Permission denied" in login(cluster, "bob", keys / "one", "true").stderr
    assert "Permission denied" in login(cluster, "alice", keys / "two", "true").stderr


@pytest.mark.cluster
def test_a_user_can_add_keys_in_the_usual_file(cluster: Cluster, keys: Path) -> None:
    cluster.authorize("bob", (keys / "one.pub").read_text())
    key = (keys / "two.pub").read_text().strip()
    login(cluster, "bob", keys / "one", f"mkdir -p .ssh; echo '{key}' >> .ssh/authorized_keys")
    assert login(cluster, "bob", keys / "two", "id", "-un").stdout == "bob\n"


@pytest.mark.cluster
def test_an_unknown_user_cannot_be_authorized(cluster: Cluster) -> None:
    with pytest.raises(SettingsError, match="no user carol"):
        cluster.authorize("carol", "ssh-ed25519 AAAA")


@pytest.mark.cluster
def test_jobs_of_the_past_and_present_are_counted_by_name(cluster: Cluster) -> None:
    before = cluster.job_names()
    cluster.admin("sbatch", "-W", "-J", "a short one", "--wrap", "true")
    cluster.admin("sbatch", "-J", "long", "--wrap", "sleep 100")
    try:
        assert cluster.job_names() == [*before, "a short one", "long"]
    finally:
        cluster.admin("scancel", "--name", "long")


@pytest.mark.cluster
def test_what_waas_deploys_can_be_read_by_users_but_not_written(cluster: Cluster) -> None:
    cluster.admin("su", "waas", "-c", "echo data > /srv/scratch/waas/f")
    assert cluster.admin("su", "alice", "-c", "cat /srv/scratch/waas/f") == "data\n"
    with pytest.raises(SettingsError, match="Permission denied"):
        cluster.admin("su", "alice", "-c", "echo > /srv/scratch/waas/f")


@pytest.mark.cluster
def test_a_cluster_that_was_down_is_the_same_afterwards(
    cluster_factory: Callable[..., Cluster], keys: Path
) -> None:
    cluster = cluster_factory(nodes=1)
    cluster.authorize("alice", (keys / "one.pub").read_text())
    login(cluster, "alice", keys / "one", "echo kept > f")
    cluster.admin("sbatch", "-W", "-J", "early", "--wrap", "true")
    before = cluster.info()
    cluster.down()
    assert not cluster.info().up
    assert login(cluster, "alice", keys / "one", "true").returncode == 255
    assert cluster.up() == before
    assert login(cluster, "alice", keys / "one", "cat", "f").stdout == "kept\n"
    assert cluster.admin("squeue", "--noheader") == ""  # what had ended does not run again
    assert cluster.job_names() == ["early"]
    cluster.admin("sbatch", "-W", "-J", "late", "--wrap", "true")
    assert cluster.job_names() == ["early", "late"]


@pytest.mark.cluster
def test_a_job_that_the_cluster_went_down_on_runs_again(
    cluster_factory: Callable[..., Cluster],
) -> None:
    cluster = cluster_factory()
    script = "echo begun >> /tmp/begun; until [ -e /tmp/go ]; do sleep 0.1; done"
    cluster.admin("sbatch", "-J", "long", "--wrap", script)
    begun = cluster.disk / "tmp" / "begun"
    _wait(begun.exists)
    cluster.down()
    (cluster.disk / "tmp" / "go").touch()
    cluster.up()
    _wait(lambda: begun.read_text() == "begun\nbegun\n")
    assert cluster.job_names() == ["long"]


@pytest.mark.cluster
def test_nothing_of_a_removed_cluster_stays(cluster_factory: Callable[..., Cluster]) -> None:
    cluster = cluster_factory(nodes=1)
    cluster.admin("sh", "-c", "setsid sleep 31416 >/dev/null 2>&1 &")
    assert _processes("31416", str(cluster.disk))
    cluster.remove()
    assert not _processes("31416", str(cluster.disk))
    assert str(cluster.disk) not in Path("/proc/self/mountinfo").read_text()
    assert not cluster.disk.exists()
    cluster.remove()  # once more is fine


@pytest.mark.cluster
def test_a_start_replaces_what_a_killed_owner_left(
    cluster_factory: Callable[..., Cluster],
) -> None:
    cluster = cluster_factory(nodes=1)
    (cluster.disk / "left").touch()
    cluster.start()
    assert not (cluster.disk / "left").exists()
    assert len(_processes(str(cluster.disk))) > 0


def test_ports_stay_claimed_as_long_as_the_disk_is_there(tmp_path: Path) -> None:
    disks = [tmp_path / name for name in "abc"]
    for disk in disks:
        disk.mkdir()
    ports = [claim_ports(disk) for disk in disks]
    try:
        assert len(set(ports)) == 3
        assert min(b - a for a, b in zip(sorted(ports), sorted(ports)[1:], strict=False)) >= 24
        disks[1].rmdir()
        disks[1].with_name("d").mkdir()
        disks.append(disks[1].with_name("d"))
        assert claim_ports(disks[3]) not in (ports[0], ports[2])
    finally:
        for disk in disks:
            release_ports(disk)


@given(st.lists(st.tuples(st.integers(1, 99999), st.from_regex(r"[\w.:/ -]+", fullmatch=True))))
def test_names_are_read_from_the_log_of_ended_jobs(jobs: list[tuple[int, str]]) -> None:
    line = "JobId={} UserId=alice(5002) GroupId=alice(5002) Name={} JobState=COMPLETED Partition=s"
    assert parse_completed("\n".join(line.format(*job) for job in jobs)) == dict(jobs)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _processes(*words: str) -> list[int]:
    """The processes with one of the words in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(word in command for word in words):
            found.append(int(folder.name))
    return found
