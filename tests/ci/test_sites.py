import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.site import ContainerSettings, QueueSettings, Site, SitePaths, TransportSettings
from ci.sites import read_site
from ci.target import Target

SITE: dict[str, Any] = {
    "site": "alpha",
    "title": "A cluster",
    "transport": {
        "kind": "ssh",
        "host": "login.example.org",
        "port": 2222,
        "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcd"],
        "user": "waas",
        "credential": "alpha-waas",
    },
    "queue": {"kind": "slurm", "partition": "all.q", "time_limit": "01:00:00"},
    "paths": {"deploy": "/srv/waas", "work": "/scratch/{user}/waas"},
    "target": {
        "platform": "linux/amd64",
        "microarchitecture": "zen3",
        "mpi": "openmpi@4.1.5",
        "gpu": "cuda@12.2",
        "gpu_architecture": "sm_80",
        "container_engine": "singularity@3.11.4",
        "glibc": "2.28",
        "kernel": "4.18",
    },
    "container": {"modules": ["singularity/3"], "options": ["--nv"]},
    "mpi_launcher": ["srun"],
}


def read(data: object) -> Site:
    return read_site(yaml.safe_dump(data, sort_keys=False).encode(), "sites/alpha.yaml")


def changed(section: str, **values: object) -> dict[str, Any]:
    data = copy.deepcopy(SITE)
    data[section] = {**data[section], **values}
    return data


def test_reads_everything() -> None:
    assert read(SITE) == Site(
        name="alpha",
        title="A cluster",
        transport=TransportSettings(
            "ssh",
            "login.example.org",
            2222,
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcd",),
            "waas",
            "alpha-waas",
        ),
        queue=QueueSettings("slurm", "all.q", "", "", "01:00:00"),
        paths=SitePaths("/srv/waas", "/scratch/{user}/waas"),
        target=Target(
            platform="linux/amd64",
            microarchitecture="zen3",
            mpi="openmpi@4.1.5",
            gpu="cuda@12.2",
            gpu_architecture="8.0",
            container_engine="singularity@3.11.4",
            glibc="2.28",
            kernel="4.18",
        ),
        container=ContainerSettings("apptainer", ("singularity/3",), ("--nv",)),
        mpi_launcher=("srun",),
    )


def test_what_is_left_out_has_defaults() -> None:
    small = {key: SITE[key] for key in ("transport", "paths")}
    found = read({"name": "alpha", **small})
    assert found.target == Target()
    assert found.queue == QueueSettings()
    assert found.mpi_launcher == ("srun", "--mpi=pmix")


@pytest.mark.parametrize(
    ("written", "meant"), [("80", "8.0"), ("8.0", "8.0"), ("12.10", ""), ("gfx90a", "gfx90a")]
)
def test_numbers_of_a_target_need_no_quotes(written: str, meant: str) -> None:
    text = yaml.safe_dump({**SITE, "target": {}}, sort_keys=False)
    target = f"{{gpu: cuda@12.10, glibc: 2.10, kernel: 5.10, gpu_architecture: {written}}}"
    data = text.replace("target: {}", f"target: {target}").encode()
    if not meant:
        with pytest.raises(EntryError, match="compute capability"):
            read_site(data, "sites/alpha.yaml")
        return
    found = read_site(data, "sites/alpha.yaml").target
    assert (found.glibc, found.kernel, found.gpu) == ("2.10", "5.10", "cuda@12.10")
    assert found.gpu_architecture == meant


def test_a_local_site_needs_no_host() -> None:
    found = read({"site": "here", "transport": {"kind": "local"}, "paths": SITE["paths"]})
    assert found.transport.kind == "local"


@pytest.mark.parametrize("missing", ["host", "user", "credential", "host_keys"])
def test_an_ssh_site_is_never_without_host_login_and_pinned_keys(missing: str) -> None:
    data = copy.deepcopy(SITE)
    del data["transport"][missing]
    with pytest.raises(EntryError, match=f"{missing} is missing"):
        read(data)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("transport", {"host_key": []}, "did you mean 'host_keys'"),
        ("transport", {"host": "-oProxyCommand=x"}, "not usable"),
        ("transport", {"user": "a b"}, "not usable"),
        ("transport", {"port": 70000}, "between 1 and 65535"),
        ("transport", {"port": "22"}, "whole number"),
        ("transport", {"host_keys": ["x"]}, "a host key"),
        ("transport", {"host_keys": "ssh-ed25519 AAAA"}, "must be a list"),
        ("queue", {"time_limit": "1h"}, "HH:MM:SS"),
        ("queue", {"partition": "a\nb"}, "not usable"),
        ("paths", {"deploy": "relative"}, "absolute"),
        ("paths", {"deploy": "/srv/{user}"}, "absolute"),
        ("paths", {"work": "/scratch/$USER"}, "absolute"),
        ("paths", {"work": "/a/../b"}, "absolute"),
        ("target", {"platform": "linux"}, "linux/amd64"),
        ("target", {"container_engine": "docker"}, "apptainer or singularity"),
        ("target", {"container_engine": "singularity@"}, "apptainer or singularity"),
        ("target", {"gpu": "cuda@12.2", "gpu_architecture": "a100"}, "compute capability"),
        ("target", {"gpu": "", "gpu_architecture": "8.0"}, "no gpu"),
        ("target", {"glibc": "2"}, "ldd --version"),
        ("target", {"glibc": "2.28; id"}, "ldd --version"),
        ("target", {"kernel": "5.14.0-427.el9.x86_64"}, "uname -r"),
        ("target", {"arch": "zen3"}, "unknown key"),
        ("container", {"command": "-x"}, "not a program"),
        ("container", {"options": ["a\x07"]}, "control characters"),
    ],
)
def test_mistakes_are_told_with_their_line(section: str, values: dict, message: str) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        read(changed(section, **values))
    assert caught.value.path == "sites/alpha.yaml"
    assert caught.value.line > 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**SITE, "site": "a/b"}, "the site's name"),
        ({**SITE, "name": "alpha"}, "keep one"),
        ({k: v for k, v in SITE.items() if k != "site"}, "no name"),
        ({**SITE, "queues": {}}, "unknown key"),
        ({**SITE, "queue": []}, "must be a mapping"),
        ({k: v for k, v in SITE.items() if k != "paths"}, "deploy is missing"),
        ([], "must be a mapping"),
    ],
)
def test_a_site_has_its_sections_and_no_others(data: object, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        read(data)


@given(
    section=st.sampled_from(["transport", "queue", "paths", "target", "container"]),
    key=st.sampled_from(["kind", "host", "port", "work", "glibc", "gpu_architecture", "x"]),
    value=st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text()),
)
def test_any_value_gives_a_site_or_an_entry_error(section: str, key: str, value: object) -> None:
    try:
        read(changed(section, **{key: value}))
    except EntryError as error:
        assert error.path == "sites/alpha.yaml"  # noqa: PT017 either way is right


@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_site_or_an_entry_error(data: bytes) -> None:
    try:
        read_site(data, "sites/alpha.yaml")
    except EntryError as error:
        assert error.path == "sites/alpha.yaml"  # noqa: PT017 either way is right
