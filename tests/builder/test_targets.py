import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder import targets
from ci.errors import EntryError
from ci.gpu_architecture import normalised
from ci.target import Target


def of(microarchitecture: str, platform: str = "linux/amd64", **fields: str) -> Target:
    return Target(platform=platform, microarchitecture=microarchitecture, **fields)


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        (of("zen33"), "zen3"),
        (of("x86-64"), "x86_64"),
        (of("x86_64", "linux/amd46"), "linux/amd64"),
        (of("x86_64", "linux/amd64/v3"), "platform linux/amd64 and microarchitecture x86_64_v3"),
        (of("aarch64", "linux/arm64/v8"), "platform linux/arm64;"),
        (of("neoverse_v1"), "linux/arm64"),
        (of("x86_64", container_engine="aptainer"), "apptainer"),
        (of("x86_64", container_engine="docker"), "known are: apptainer, singularity"),
        (of("x86_64", container_engine=""), "apptainer"),
        (of("x86_64", container_engine="singularity@"), "numbers"),
        (of("x86_64", mpi="opnmpi@4.1"), "openmpi"),
        (of("x86_64", mpi="intel_mpi@2018"), "intel-mpi"),
        (of("x86_64", mpi="openmpi@latest"), "numbers"),
        (of("x86_64", mpi="openmpi 4; id"), ""),
        (of("x86_64", mpi="@4"), "known are"),
        (of("x86_64", gpu="$(id)"), ""),
        (of("x86_64", gpu="cude@12"), "cuda"),
        (of("x86_64", gpu="cuda@12", gpu_architecture="8.1"), "8.7"),
        (of("x86_64", gpu="cuda@12", gpu_architecture="gfx90a"), "one of rocm"),
        (of("x86_64", gpu="rocm@6", gpu_architecture="8.0"), "one of cuda"),
        (of("x86_64", gpu="rocm@6", gpu_architecture="gfx90b"), "gfx90a"),
        (of("x86_64", gpu_architecture="8.0"), "cuda@12.2"),
        (of("x86_64", glibc="2"), "2.28"),
        (of("x86_64", glibc="2.28; id"), "2.28"),
        (of("x86_64", kernel="5.14.0-427.el9.x86_64"), "5.14.0"),
    ],
)
def test_wrong_targets_are_refused_with_the_nearest_right_name(target: Target, hint: str) -> None:
    with pytest.raises(EntryError) as caught:
        targets.check(target)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "target",
    [
        Target(),
        of("zen3", mpi="openmpi@4.1.5", gpu="cuda@12", gpu_architecture="8.0"),
        of("zen3", mpi="impi", gpu="cuda@12.2", gpu_architecture="sm_90"),
        of("zen3", mpi="mvapich2@2.3.7-1", gpu="rocm@6.0.2", gpu_architecture="gfx90a"),
        of("power9le", "linux/ppc64le", container_engine="singularity@3.8.7"),
        of("a64fx", "linux/arm64", glibc="2.28", kernel="4.18.0"),
    ],
)
def test_right_targets_pass(target: Target) -> None:
    targets.check(target)


@given(text=st.text(max_size=30), field=st.sampled_from(sorted(Target().to_dict())))
def test_any_text_is_right_or_an_entry_error_of_bounded_length(text: str, field: str) -> None:
    try:
        targets.check(Target(**{field: text * 20}))
    except EntryError as error:
        assert len(str(error)) < 1500  # noqa: PT017 either way is right


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("8.0", "8.0"),
        ("80", "8.0"),
        ("sm_80", "8.0"),
        ("SM80", "8.0"),
        ("compute_120", "12.0"),
        ("12.1", "12.1"),
        ("gfx90a", "gfx90a"),
        ("GFX1030", "gfx1030"),
        ("sm_90a", ""),  # for that very GPU only: no target can say it
        ("8", ""),
        ("a100", ""),
        ("gfx90a:xnack+", ""),
    ],
)
def test_gpu_architectures_are_understood_as_people_write_them(written: str, meant: str) -> None:
    assert normalised(written) == meant
    assert normalised(meant) == meant


def test_two_ways_to_write_a_target_are_one() -> None:
    one = of("zen3", mpi="impi@2021.10.0", gpu="cuda@12.2", gpu_architecture="sm_80")
    other = of("zen3", mpi="intel-oneapi-mpi@2021.10.0", gpu="cuda@12.2", gpu_architecture="8.0")
    assert targets.normal(one) == targets.normal(other) == other


def test_flags_are_those_of_the_nearest_ancestor_that_the_compiler_knows() -> None:
    assert targets.compiler_flags(of("zen3"), "gcc", "12.2.0") == "-march=znver3 -mtune=znver3"
    assert "znver" in targets.compiler_flags(of("zen5"), "gcc", "12.2.0")
    with pytest.raises(EntryError, match="nocc 1"):
        targets.compiler_flags(of("zen3"), "nocc", "1")
