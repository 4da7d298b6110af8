from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from ci.errors import SettingsError
from ci.site import ContainerSettings, QueueSettings, Site, SitePaths, TransportSettings
from hooks.sites.containers import container_argv, container_environment

SITE = Site("s", TransportSettings(), QueueSettings(), SitePaths())
IMAGE, WORK = PurePosixPath("/deploy/images/x.sif"), PurePosixPath("/work/1")


def test_a_single_process_gets_a_clean_environment() -> None:
    assert container_argv(SITE, IMAGE, ("/s/run.sh", "a b"), working=WORK) == (
        "apptainer", "exec", "--cleanenv", "--bind", "/work/1:/work/1", "--pwd", "/work/1",
        "/deploy/images/x.sif", "/s/run.sh", "a b",
    )  # fmt: skip


def test_mpi_starts_the_container_once_per_task_with_the_launchers_environment() -> None:
    site = replace(SITE, container=ContainerSettings(options=("--bind", "/run/pmix")))
    argv = container_argv(site, IMAGE, ("x",), working=WORK, tasks=4, mpi=True)
    assert argv[:8] == ("srun", "--mpi=pmix", "-n", "4", "apptainer", "exec", "--bind", "/run/pmix")
    assert "--cleanenv" not in argv


def test_variables_carry_the_engines_prefix() -> None:
    assert container_environment(ContainerSettings(), {"A": "1,2"}) == {"APPTAINERENV_A": "1,2"}
    old = ContainerSettings(command="/opt/bin/singularity")
    assert container_environment(old, {"A": "1"}) == {"SINGULARITYENV_A": "1"}


def test_a_folder_that_a_bind_cannot_name_is_the_operators() -> None:
    with pytest.raises(SettingsError, match=r"paths\.work"):
        container_argv(SITE, IMAGE, ("x",), working=PurePosixPath("/a:b"))
