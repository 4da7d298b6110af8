"""Clusters, the container engine and Apptainer together, as the service will use them."""

import os
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from hooks.testbed.cluster import Cluster
from hooks.testbed.engine import Engine

pytestmark = pytest.mark.cluster
SQUASH = "-comp zstd -Xcompression-level 3"


def put_image(cluster: Cluster, apptainer: Path, archive: Path, name: str) -> str:
    """Convert an OCI archive and return the path of the image in the cluster."""
    sif = cluster.disk / "srv" / "scratch" / "waas" / name
    argv = [apptainer, "build", "--force", "--mksquashfs-args", SQUASH, sif]
    subprocess.run([*argv, f"oci-archive:{archive}"], check=True, capture_output=True)
    return f"/srv/scratch/waas/{name}"


def run_job(cluster: Cluster, command: list[str], *options: str) -> str:
    """Run a command as a job of alice's and return what it printed."""
    script = f"cd /srv/scratch/alice && sbatch --wait --output=job.out {shlex.join(options)}"
    wrapped = f"{script} --wrap {shlex.quote(shlex.join(command))}"
    cluster.admin("su", "-", "alice", "-c", f"{wrapped} || cat job.out >&2", timeout=120)
    return (cluster.disk / "srv" / "scratch" / "alice" / "job.out").read_text()


def test_a_job_runs_in_a_container_as_its_user(
    cluster: Cluster, apptainer: Path, busybox_base: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        for entry in busybox_base.iterdir():
            archive.add(entry, entry.name)
    image = put_image(cluster, apptainer, tmp_path / "image.tar", "busybox.sif")
    container = cluster.describe()["container"]["command"]
    command = [container, "--quiet", "exec", image, "/bin/busybox", "id", "-un"]
    assert run_job(cluster, command) == "alice\n"


@pytest.mark.slow
@pytest.mark.engine
def test_processes_on_both_nodes_are_one_mpi_world(
    cluster: Cluster, apptainer: Path, engine: Engine, debian_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM base\nRUN apt-get update && apt-get install -y --no-install-recommends"
        " python3-mpi4py && rm -rf /var/lib/apt/lists/*\n"
    )
    archive = tmp_path / "image.tar"
    build = ["docker", "buildx", "build", "--network=host", "--provenance=false"]
    build += ["--build-context", f"base=oci-layout://{debian_base}"]
    build += ["--output", f"type=oci,dest={archive}", str(tmp_path)]
    environ = {**os.environ, **engine.environment}
    subprocess.run(build, check=True, env=environ, capture_output=True)
    image = put_image(cluster, apptainer, archive, "mpi.sif")
    archive.unlink()
    site = cluster.describe()
    program = (
        "import os; from mpi4py import MPI; world = MPI.COMM_WORLD;"
        " nodes = set(world.allgather(os.environ['SLURMD_NODENAME']));"
        " print(world.size, world.allreduce(world.rank), *sorted(nodes))"
    )
    command = [*site["mpi_launcher"], site["container"]["command"], "--quiet", "exec", image]
    command += ["python3", "-c", program]
    try:
        told = run_job(cluster, command, "--nodes=2", "--ntasks=4", "--time=1")
        assert told.splitlines() == ["4 6 n1 n2"] * 4
    finally:
        (cluster.disk / image.lstrip("/")).unlink()
        shutil.rmtree(tmp_path)
