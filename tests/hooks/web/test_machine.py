import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.targets import check
from ci.errors import EntryError
from ci.target import Target
from hooks.web.machine import target_from_machine

# requests as the public project has them in its README and its examples
PUBLIC = {
    "rome": (
        {
            "platform": "linux/amd64",
            "architecture": "rome",
            "container_engine": "singularity",
            "mpi": "openmpi@4",
            "gpu": "cuda@10",
        },
        Target("linux/amd64", "zen2", "openmpi@4", "cuda@10", "", "singularity"),
    ),
    "marenostrum 4": (
        {
            "platform": "linux/amd64",
            "architecture": "skylake_avx512",
            "container_engine": "singularity",
            "mpi": "intel-mpi@2018",
        },
        Target(
            "linux/amd64", "skylake_avx512", "intel-oneapi-mpi@2018", container_engine="singularity"
        ),
    ),
    "power 9": (
        {
            "platform": "linux/ppc64le",
            "architecture": "power9le",
            "container_engine": "singularity",
            "mpi": "openmpi@4.0.0",
            "gpu": "cuda@10.2",
        },
        Target("linux/ppc64le", "power9le", "openmpi@4.0.0", "cuda@10.2", "", "singularity"),
    ),
    "nord 3": (
        {
            "platform": "linux/amd64",
            "architecture": "sandybridge",
            "container_engine": "singularity",
        },
        Target("linux/amd64", "sandybridge", container_engine="singularity"),
    ),
    "docker only": (
        {"platform": "linux/amd64", "architecture": "skylake", "container_engine": "docker"},
        Target("linux/amd64", "skylake"),
    ),
    "base image": (
        {"platform": "linux/amd64", "architecture": "none", "container_engine": "docker"},
        Target(),
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_requests_of_the_public_project_are_understood(name: str) -> None:
    machine, target = PUBLIC[name]
    assert target_from_machine(json.loads(json.dumps(machine))) == target


@pytest.mark.parametrize(
    ("machine", "target"),
    [
        ({}, Target()),
        ({"mpi": "", "gpu": None, "architecture": ""}, Target()),
        ({"architecture": "Milan"}, Target(microarchitecture="zen3")),
        ({"architecture": "skylake-avx512"}, Target(microarchitecture="skylake_avx512")),
        ({"architecture": "graviton3"}, Target("linux/arm64", "neoverse_v1")),
        ({"architecture": "amd64"}, Target()),
        ({"platform": "linux/amd64/v3"}, Target(microarchitecture="x86_64_v3")),
        (
            {"platform": "linux/amd64/v3", "architecture": "zen4"},
            Target(microarchitecture="zen4"),
        ),
        ({"platform": "linux/arm64/v8"}, Target("linux/arm64", "aarch64")),
        ({"platform": "arm64"}, Target("linux/arm64", "aarch64")),
        ({"platform": "linux/x86_64"}, Target()),
        (
            {"platform": "linux/ppc64le", "architecture": "power9"},
            Target("linux/ppc64le", "power9le"),
        ),
        (
            {"container_engine": "Singularity-CE@3.11.4"},
            Target(container_engine="singularity@3.11.4"),
        ),
        ({"container_engine": "apptainer"}, Target()),
        (
            {"mpi": "impi@2021.10.0", "gpu": "cuda@12.2", "gpu_architecture": "sm_80"},
            Target(mpi="intel-oneapi-mpi@2021.10.0", gpu="cuda@12.2", gpu_architecture="8.0"),
        ),
        ({"glibc": "2.28", "kernel": "4.18"}, Target(glibc="2.28", kernel="4.18")),
    ],
)
def test_other_ways_to_say_it(machine: dict[str, object], target: Target) -> None:
    assert target_from_machine(machine) == target


@pytest.mark.parametrize(
    ("machine", "hint"),
    [
        ({"architecture": "zen33"}, "zen3"),
        ({"architecture": "romme"}, "rome"),
        ({"platform": "linux/amd46"}, "linux/amd64"),
        ({"platform": "linux/arm64", "architecture": "zen3"}, "linux/amd64"),
        ({"mpi": "opnmpi@4"}, "openmpi"),
        ({"mpi": "openmpi@4; rm -rf /"}, "numbers"),
        ({"gpu": "kuda@12"}, "cuda"),
        ({"gpu": "cuda@$(id)"}, "numbers"),
        ({"container_engine": "singularty"}, "singularity"),
        ({"container_engine": "charliecloud"}, "docker"),
        ({"architectur": "zen3"}, "architecture"),
        ({"gpu_architecture": "8.0"}, "cuda@12.2"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest_right_ones(
    machine: dict[str, object], hint: str
) -> None:
    with pytest.raises(EntryError) as caught:
        target_from_machine(machine)
    assert hint in caught.value.hint
    assert "machine" in caught.value.message


@pytest.mark.parametrize("value", [4, ["openmpi"], {}, True])
def test_values_are_text(value: object) -> None:
    with pytest.raises(EntryError, match="mpi must be text"):
        target_from_machine({"mpi": value})


values = (
    st.none() | st.text(max_size=30) | st.integers() | st.lists(st.text(max_size=3), max_size=2)
)
keys = st.sampled_from(["platform", "architecture", "container_engine", "mpi", "gpu"])


@given(st.dictionaries(keys | st.text(max_size=9), values, max_size=6))
def test_any_machine_is_a_right_target_or_an_entry_error(machine: dict[str, object]) -> None:
    try:
        target = target_from_machine(machine)
    except EntryError as error:
        assert len(str(error)) < 1500  # noqa: PT017 either way is right
    else:
        check(target)
