import pytest

from builder import targets
from ci.errors import EntryError
from ci.target import Target


def of(microarchitecture: str, platform: str = "linux/amd64", **fields: str) -> Target:
    return Target(platform=platform, microarchitecture=microarchitecture, **fields)


@pytest.mark.parametrize(
    ("image", "site", "runs"),
    [
        ("x86_64", "zen3", True),
        ("x86_64_v3", "zen3", True),
        ("zen3", "zen3", True),
        ("haswell", "zen3", False),
        ("zen3", "x86_64_v3", False),
        ("zen3", "zen2", False),
        ("broadwell", "skylake_avx512", True),
    ],
)
def test_an_image_runs_on_its_target_and_its_descendants(image: str, site: str, runs: bool) -> None:
    assert targets.runs_on(of(image), of(site)) is runs


def test_other_families_and_other_fields_do_not_run() -> None:
    arm = of("aarch64", "linux/arm64")
    assert not targets.runs_on(of("x86_64"), arm)
    assert targets.runs_on(arm, of("neoverse_v1", "linux/arm64"))
    assert not targets.runs_on(of("x86_64", mpi="openmpi@4"), of("zen3"))
    assert not targets.runs_on(of("x86_64"), of("zen3", gpu="cuda@12"))


def test_compatible_targets_come_nearest_first() -> None:
    names = [target.microarchitecture for target in targets.compatible(of("zen3"))]
    assert names == ["zen3", "zen2", "zen", "x86_64_v3", "x86_64_v2", "x86_64"]
    assert all(targets.runs_on(target, of("zen3")) for target in targets.compatible(of("zen3")))


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        (of("zen33"), "zen3"),
        (of("x86-64"), "x86_64"),
        (of("x86_64", "linux/amd46"), "linux/amd64"),
        (of("neoverse_v1"), "linux/arm64"),
        (of("x86_64", container_engine="aptainer"), "apptainer"),
        (of("x86_64", mpi="openmpi 4; id"), ""),
        (of("x86_64", gpu="$(id)"), ""),
    ],
)
def test_wrong_targets_are_refused_with_the_nearest_right_name(target: Target, hint: str) -> None:
    with pytest.raises(EntryError) as caught:
        targets.check(target)
    assert hint in caught.value.hint


def test_right_targets_pass() -> None:
    targets.check(Target())
    targets.check(of("zen3", mpi="openmpi@4.1.5", gpu="cuda@12"))


def test_flags_are_those_of_the_nearest_ancestor_that_the_compiler_knows() -> None:
    assert targets.compiler_flags(of("zen3"), "gcc", "12.2.0") == "-march=znver3 -mtune=znver3"
    assert "znver" in targets.compiler_flags(of("zen5"), "gcc", "12.2.0")
    with pytest.raises(EntryError, match="nocc 1"):
        targets.compiler_flags(of("zen3"), "nocc", "1")
