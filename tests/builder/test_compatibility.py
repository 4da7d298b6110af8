"""Which image runs where, rule by rule, and the laws that hold for all of them."""

from dataclasses import fields, replace
from pathlib import Path

import archspec.cpu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder import mpi, targets
from builder.compatibility import RULES, Verdict, distance, judge, relevant, runs_on
from builder.plan import ranked
from builder.versions import lowest
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

PAGE = Path(__file__).parents[2] / "docs" / "images-compatibility.md"
PLATFORMS = {family: platform for platform, family in targets.FAMILIES.items()}
LABELS = sorted(t.name for t in archspec.cpu.TARGETS.values() if str(t.family) in PLATFORMS)
APT, PIP = SoftwareEnvironment(apt=("jq",)), SoftwareEnvironment(pip=("numpy",))
SPACK = SoftwareEnvironment(spack=("zlib",))
EASYBUILD = SoftwareEnvironment(easybuild=("zlib.eb",))
SCRIPT = SoftwareEnvironment(apt=("gcc",), post_install="post_inst.sh")
ENVIRONMENTS = (APT, PIP, SPACK, EASYBUILD, SCRIPT)

numbers = st.integers(0, 30)
versions = st.lists(numbers, min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
two = st.lists(numbers, min_size=2, max_size=3).map(lambda n: ".".join(map(str, n)))


def versioned(names: object, numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    named = st.sampled_from(sorted(names))
    return named | st.tuples(named, numbers).map("@".join)


mpi_names = st.just("") | versioned([*mpi.FLAVOURS, *mpi.ALIASES], versions)
accelerators = st.one_of(
    st.just(("", "")),
    st.tuples(versioned(["cuda"], versions), st.sampled_from(["", *targets.CAPABILITIES])),
    st.tuples(versioned(["rocm"], versions), st.sampled_from(["", *targets.AMD_TARGETS])),
)


@st.composite
def real_targets(draw: st.DrawFn) -> Target:
    label = draw(st.sampled_from(LABELS))
    gpu, architecture = draw(accelerators)
    return Target(
        platform=PLATFORMS[str(archspec.cpu.TARGETS[label].family)],
        microarchitecture=label,
        mpi=draw(mpi_names),
        gpu=gpu,
        gpu_architecture=architecture,
        container_engine=draw(versioned(targets.CONTAINER_ENGINES, versions)),
        glibc=draw(st.just("") | two),
        kernel=draw(st.just("") | two),
    )


@st.composite
def relatives(draw: st.DrawFn) -> tuple[Target, Target]:
    """Two targets that share most fields, so that many of them fit."""
    one, other = draw(real_targets()), draw(real_targets())
    taken = draw(st.sets(st.sampled_from([field.name for field in fields(Target)]), max_size=3))
    return one, replace(one, **{name: getattr(other, name) for name in taken})


def verdict(field: str, image: str, site: str, **both: str) -> Verdict:
    one, other = (Target(**{**both, field: value}) for value in (image, site))
    return next(v for v in judge(one, other) if v.field == field)


def test_the_table_has_every_field_of_a_target_in_order() -> None:
    assert [rule.field for rule in RULES] == [field.name for field in fields(Target)]


def test_the_page_shows_the_table_as_it_is_in_code() -> None:
    text = PAGE.read_text("utf-8")
    for rule in RULES:
        assert f"| `{rule.field}` | {rule.sentence} [source]({rule.source}) |\n" in text
    assert text.count("[source](") == len(RULES)


def test_the_page_shows_the_families_of_mpi_as_they_are_in_code() -> None:
    text = PAGE.read_text("utf-8")
    for name, flavour in mpi.FLAVOURS.items():
        shown = [f"{release.since}: {_standards(release)}" for release in flavour.releases] or [
            "its own series" if flavour.abi else "its own version only"
        ]
        assert f"| `{name}` | {flavour.abi or '–'} | {'; '.join(shown)} |\n" in text
    words = " ".join(text.split())
    for alias, name in mpi.ALIASES.items():
        assert f"`{alias}` for `{name}`" in words


def _standards(release: mpi.Release) -> str:
    least, most = (".".join(map(str, s)) for s in (release.least, release.most))
    if release.most > (90, 0):
        return f"{least} or newer"
    return least if least == most else f"{least} to {most}"


@pytest.mark.parametrize(
    ("field", "image", "site", "fits"),
    [
        ("platform", "linux/arm64", "linux/amd64", False),
        ("microarchitecture", "x86_64_v3", "zen3", True),
        ("microarchitecture", "haswell", "zen3", False),
        ("microarchitecture", "zen3", "zen2", False),
        ("microarchitecture", "zen9", "zen2", False),
        ("microarchitecture", "zen2", "zen9", False),
        ("mpi", "openmpi@4.1.1", "openmpi@4.1.5", True),
        ("mpi", "openmpi@4.0.3", "openmpi@4.1.5", True),
        ("mpi", "openmpi@4.1.5", "openmpi@4.1.1", False),
        ("mpi", "openmpi@4.1.5", "openmpi@5.0.3", False),  # Fortran
        ("mpi", "openmpi@4.1.5", "openmpi@4", False),
        ("mpi", "openmpi@4", "openmpi@4.1.5", False),
        ("mpi", "openmpi@4", "openmpi@4", True),
        ("mpi", "openmpi", "openmpi@4.1.5", False),
        ("mpi", "openmpi@1.6.5", "openmpi@1.8.1", False),
        ("mpi", "openmpi@4.1.5", "mpich@4.1.2", False),
        ("mpi", "mpich@3.2.1", "mpich@3.4.3", True),
        ("mpi", "mpich@3.4.3", "intel-oneapi-mpi@2021.10.0", True),
        ("mpi", "mpich@3.4.3", "impi@2021.10.0", True),
        ("mpi", "mpich@3.4.3", "cray-mpich@8.1.29", True),
        ("mpi", "mpich@3.4.3", "mvapich2@2.3.7-1", True),
        ("mpi", "mpich@4.1.2", "cray-mpich@8.1.29", False),  # MPI 4.0 against 3.1
        ("mpi", "mpich@4.1.2", "cray-mpich@9.0.1", True),
        ("mpi", "intel-mpi@2018", "mpich@3.3.0", True),
        ("mpi", "mpich@3.0.4", "mpich@3.2.1", False),  # older than the common interface
        ("mpi", "mpich@3.2.1", "mpich@3.0.4", False),
        ("mpi", "cray-mpich@12.0.0", "mpich@5.0.0", False),  # a release that nobody knows yet
        ("mpi", "spectrum-mpi@10.4.0", "spectrum-mpi@10.4.0", True),
        ("mpi", "spectrum-mpi@10.3.0", "spectrum-mpi@10.4.0", False),
        ("mpi", "", "openmpi@4.1.5", False),
        ("mpi", "openmpi@4.1.5", "", False),
        ("gpu", "cuda@11.8", "cuda@12.2", True),
        ("gpu", "cuda@12.2", "cuda@11.8", False),
        ("gpu", "cuda@12.4", "cuda@12.2", False),
        ("gpu", "cuda@12.2.2", "cuda@12.2", False),
        ("gpu", "cuda@10.1", "cuda@10.2", True),
        ("gpu", "cuda@11.8", "cuda@12", True),
        ("gpu", "cuda", "cuda@12.2", False),
        ("gpu", "cuda@12.2", "rocm@6.0", False),
        ("gpu", "rocm@6.0.2", "rocm@6.0", True),
        ("gpu", "rocm@6.0", "rocm@6.1", False),
        ("gpu", "rocm@6", "rocm@6.1", False),
        ("gpu", "", "cuda@12.2", False),
        ("gpu", "cuda@12.2", "", False),
        ("container_engine", "singularity", "apptainer", True),
        ("container_engine", "apptainer", "apptainer@1.2", True),
        ("container_engine", "apptainer", "singularity@3.11.4", True),
        ("container_engine", "apptainer", "singularity@3.7.1", False),
        ("container_engine", "apptainer", "singularity@3", False),
        ("container_engine", "apptainer", "singularity", False),
        ("glibc", "2.17", "2.28", True),  # nothing of the site comes in
        ("kernel", "3.2.0", "4.18", True),
        ("kernel", "4.18", "3.10", False),
        ("kernel", "", "4.18", False),
        ("kernel", "3.2.0", "", True),
    ],
)
def test_rules(field: str, image: str, site: str, fits: bool) -> None:
    found = verdict(field, image, site)
    assert (found.fits, found.image, found.site) == (fits, image, site), found.why


@pytest.mark.parametrize(
    ("image", "site", "fits"),
    [
        ("8.0", "8.0", True),
        ("8.0", "8.6", True),
        ("sm_80", "8.6", True),
        ("8.6", "8.0", False),
        ("7.5", "8.0", False),
        ("8.0", "8.7", False),  # Orin is a Tegra
        ("8.7", "8.9", False),
        ("9.0", "10.0", False),
        ("12.0", "12.1", True),
        ("", "8.0", False),
        ("8.0", "", False),
    ],
)
def test_machine_code_of_gpus(image: str, site: str, fits: bool) -> None:
    assert verdict("gpu_architecture", image, site, gpu="cuda@12.2").fits is fits


def test_amd_code_runs_on_its_own_target_only() -> None:
    assert verdict("gpu_architecture", "gfx90a", "gfx90a", gpu="rocm@6.0").fits
    assert not verdict("gpu_architecture", "gfx908", "gfx90a", gpu="rocm@6.0").fits


def test_a_newer_cuda_of_the_same_major_number_needs_code_for_a_named_gpu() -> None:
    assert verdict("gpu", "cuda@12.4", "cuda@12.2", gpu_architecture="8.0").fits
    assert not verdict("gpu", "cuda@10.2", "cuda@10.1", gpu_architecture="7.0").fits


@pytest.mark.parametrize(
    ("image", "site", "fits"),
    [
        ("2.36", "2.28", True),
        ("2.28", "2.28", True),
        ("2.17", "2.28", False),
        ("2.9", "2.28", False),  # as numbers, not as text
        ("", "2.28", False),
        ("2.17", "", True),
    ],
)
@pytest.mark.parametrize("host", [{"mpi": "openmpi@4.1.5"}, {"gpu": "cuda@12.2"}])
def test_glibc_counts_where_libraries_of_the_site_come_in(
    host: dict[str, str], image: str, site: str, fits: bool
) -> None:
    assert verdict("glibc", image, site, **host).fits is fits


@given(image=real_targets(), site=real_targets())
def test_targets_that_pass_the_check_get_a_verdict_for_every_field(
    image: Target, site: Target
) -> None:
    targets.check(image)
    found = judge(image, site)
    assert [v.field for v in found] == [field.name for field in fields(Target)]
    assert [v.image for v in found] == list(image.to_dict().values())
    assert [v.site for v in found] == list(site.to_dict().values())
    assert runs_on(image, site) is all(v.fits for v in found)
    assert all(v.why and "  " not in v.why for v in found)


@given(st.tuples(*[st.text(max_size=12)] * 8), st.tuples(*[st.text(max_size=12)] * 8))
def test_not_even_unchecked_targets_break_it(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    image, site = Target(*one), Target(*other)
    assert len(judge(image, site)) == 8
    assert len(distance(image, site)) == 8


@given(real_targets())
def test_what_was_made_for_a_target_runs_on_it(target: Target) -> None:
    assert runs_on(target, target)


@given(relatives())
def test_targets_are_at_no_distance_only_if_they_are_equal(pair: tuple[Target, Target]) -> None:
    one, other = pair
    assert (not any(distance(one, other))) is (one == other)
    assert all(number >= 0 for number in distance(one, other))


def newer(version: str) -> str:
    """A version after all that may be meant by the given one, in the same series if it is whole."""
    first, *rest = version.split(".")
    if len(rest) < 2:
        return f"{int(first) + 1}.0.0"
    return ".".join([first, str(int(rest[0]) + 1), *rest[1:]])


def keeps_its_promise(spec: str) -> bool:
    """Whether something is promised for the releases after this one."""
    name, _, version = mpi.canonical(spec).partition("@")
    flavour = mpi.FLAVOURS.get(name, mpi.Flavour())
    if not version or not flavour.abi:
        return False
    if flavour.abi == mpi.OPEN_MPI_ABI:
        return version.count(".") > 1 and lowest(version) >= (2,)
    return lowest(version) >= lowest(flavour.releases[0].since)


def upgraded(draw: st.DrawFn, site: Target) -> Target:
    """A site that has at least what the given one has."""
    heirs = [n for n in LABELS if site.microarchitecture in targets.ancestry(n)]
    changes = {
        "microarchitecture": draw(st.sampled_from(heirs)),
        "container_engine": "apptainer",
        "glibc": draw(st.sampled_from(["", "0.0"])) if site.glibc else "",
        "kernel": draw(st.sampled_from(["", "99.0.0"])) if site.kernel else "",
    }
    if keeps_its_promise(site.mpi):
        name, _, version = site.mpi.partition("@")
        changes["mpi"] = f"{name}@{newer(version)}"
    if site.gpu.startswith("cuda@"):
        changes["gpu"] = f"cuda@{newer(site.gpu.partition('@')[2])}"
    chosen = draw(st.sets(st.sampled_from(sorted(changes))))
    return replace(site, **{name: changes[name] for name in chosen})


@given(pair=relatives(), data=st.data())
def test_a_site_that_gets_newer_still_runs_what_it_ran(
    pair: tuple[Target, Target], data: st.DataObject
) -> None:
    image, site = pair
    after = upgraded(data.draw, site)
    before = {v.field: v.fits for v in judge(image, site)}
    now = {v.field: v for v in judge(image, after)}
    lost = [now[name].why for name, fits in before.items() if fits and not now[name].fits]
    assert lost == []


@given(environment=st.sampled_from(ENVIRONMENTS), site=real_targets())
def test_what_is_built_for_a_site_runs_there(
    environment: SoftwareEnvironment, site: Target
) -> None:
    made = relevant(environment, site)
    targets.check(made)
    assert relevant(environment, made) == made
    wanted = replace(made, glibc=site.glibc, kernel=site.kernel)
    image = replace(made, glibc="99.0", kernel="0.0")
    assert runs_on(image, wanted)


ZEN3 = Target(
    microarchitecture="zen3",
    mpi="impi@2021.10.0",
    gpu="cuda@12.2",
    gpu_architecture="sm_80",
    glibc="2.28",
    kernel="4.18",
)


def test_fields_that_cannot_change_an_image_are_set_aside() -> None:
    assert relevant(APT, ZEN3) == Target()
    assert relevant(PIP, ZEN3) == Target(microarchitecture="zen3")
    full = Target(
        microarchitecture="zen3",
        mpi="intel-oneapi-mpi@2021.10.0",
        gpu="cuda@12.2",
        gpu_architecture="8.0",
    )
    assert relevant(SPACK, ZEN3) == relevant(EASYBUILD, ZEN3) == relevant(SCRIPT, ZEN3) == full


@pytest.mark.parametrize(
    ("engine", "kernel", "packed_for"),
    [
        ("apptainer@1.3.0", "", "apptainer"),
        ("apptainer", "4.18", "apptainer"),
        ("apptainer", "3.10.0", "singularity"),  # this kernel cannot read zstd
        ("singularity", "5.14", "singularity"),
        ("singularity@3.7.1", "5.14", "singularity"),
        ("singularity@3.8.0", "5.14", "apptainer"),
        ("singularity@4.1", "", "apptainer"),
    ],
)
def test_of_the_engine_matters_what_it_can_unpack(
    engine: str, kernel: str, packed_for: str
) -> None:
    site = Target(container_engine=engine, kernel=kernel)
    assert relevant(APT, site).container_engine == packed_for


def test_candidates_come_with_reasons_those_that_fit_first_and_the_closest_of_them() -> None:
    wanted = Target(microarchitecture="zen3", mpi="openmpi@4.1.5")
    names = ["x86_64", "haswell", "zen2", "x86_64_v3"]
    candidates = [replace(wanted, microarchitecture=name) for name in names]
    candidates.append(replace(wanted, microarchitecture="zen2", mpi="openmpi@4.1.1"))
    found = ranked(wanted, candidates, lambda target: target)
    told = [(target.microarchitecture, target.mpi.partition("@")[2]) for target, _ in found]
    assert told == [
        ("zen2", "4.1.5"),
        ("zen2", "4.1.1"),
        ("x86_64_v3", "4.1.5"),
        ("x86_64", "4.1.5"),
        ("haswell", "4.1.5"),
    ]
    obstacles = [v.why for v in found[-1][1] if not v.fits]
    assert obstacles == ["code for haswell may not run on zen3, which does not descend from it"]
