"""How often an image that is there answers, with and without compatible reuse. Builds nothing.

16 steps are asked for at 20 sites, in many orders. What no image answers is "built": its target
joins the images of the step. Sites are profiles of machines as they are found, not of certain ones.
Prints figures, asserts none; builder.compatibility's tests say that nothing unsafe is reused.
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from builder.compatibility import relevant, runs_on
from builder.plan import ranked
from builder.targets import check
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

ORDERS = 50
GLIBC, KERNEL = "2.36", "3.2.0"  # of Debian 12, the base image

ARM, POWER = "linux/arm64", "linux/ppc64le"
ZSTD, OLD = "apptainer@1.3.4", "singularity@3.7.4"
INTEL = "intel-oneapi-mpi@2021.10.0"


def site(label: str, mpi: str, gpu: str = "", code: str = "", **others: str) -> Target:
    return Target(
        **{
            "platform": "linux/amd64",
            "microarchitecture": label,
            "mpi": mpi,
            "gpu": gpu,
            "gpu_architecture": code,
            "container_engine": ZSTD,
            "glibc": "2.34",
            "kernel": "5.14.0",
            **others,
        }
    )


RHEL8 = {"glibc": "2.28", "kernel": "4.18.0"}
RHEL7 = {"glibc": "2.17", "kernel": "3.10.0"}
SITES = {
    "zen2 CPU": site("zen2", "openmpi@4.1.4", **RHEL8),
    "zen2 A100": site("zen2", "openmpi@4.1.4", "cuda@12.2", "8.0", **RHEL8),
    "zen3 Cray": site("zen3", "cray-mpich@8.1.29", glibc="2.31", kernel="5.14.21"),
    "zen3 Cray MI250": site(
        "zen3", "cray-mpich@8.1.29", "rocm@6.0.3", "gfx90a", glibc="2.31", kernel="5.14.21"
    ),
    "zen3 CPU": site("zen3", "openmpi@4.1.6"),
    "zen3 A100": site("zen3", "openmpi@4.1.6", "cuda@12.4", "8.0"),
    "zen4 CPU": site("zen4", "openmpi@4.1.6"),
    "zen4 H100": site("zen4", "openmpi@5.0.3", "cuda@12.6", "9.0"),
    "zen4 MI300": site("zen4", "cray-mpich@8.1.29", "rocm@6.2.1", "gfx942"),
    "Skylake, Intel MPI": site("skylake_avx512", INTEL, container_engine=OLD, **RHEL8),
    "Skylake V100": site("skylake_avx512", "openmpi@4.0.5", "cuda@11.4", "7.0", **RHEL8),
    "Cascade Lake": site("cascadelake", "openmpi@4.1.1", **RHEL8),
    "Cascade Lake, psmpi": site("cascadelake", "parastationmpi@5.9.2", **RHEL8),
    "Ice Lake": site("icelake", INTEL, **RHEL8),
    "Ice Lake A100": site("icelake", "openmpi@4.1.4", "cuda@12.0", "8.0", **RHEL8),
    "Haswell, old": site("haswell", "mvapich2@2.3.7", container_engine=OLD, **RHEL7),
    "POWER9 V100": site("power9le", "openmpi@4.0.3", "cuda@11.4", "7.0", platform=POWER, **RHEL8),
    "Graviton 3": site("neoverse_v1", "openmpi@4.1.6", platform=ARM),
    "Grace Hopper": site("neoverse_v2", "openmpi@4.1.6", "cuda@12.4", "9.0", platform=ARM),
    "A64FX": site("a64fx", "openmpi@4.1.1", platform=ARM, **RHEL8),
}

STEPS = {
    **{f"apt {n}": SoftwareEnvironment(apt=("jq",)) for n in range(4)},
    **{f"pip {n}": SoftwareEnvironment(apt=("git",), pip=("numpy",)) for n in range(4)},
    **{f"spack {n}": SoftwareEnvironment(spack=("openfoam",)) for n in range(5)},
    **{f"easybuild {n}": SoftwareEnvironment(easybuild=("GROMACS.eb",)) for n in range(2)},
    "script": SoftwareEnvironment(apt=("gcc",), post_install="post_inst.sh"),
}

Rule = Callable[[SoftwareEnvironment, Target, list[Target]], Target | None]


def whole_target(_: SoftwareEnvironment, asked: Target, images: list[Target]) -> Target | None:
    """The same target in every field, as a key made of the whole request has it."""
    return None if asked in images else asked


def same_inputs(step: SoftwareEnvironment, asked: Target, images: list[Target]) -> Target | None:
    """The same key: fields that cannot change the image are set aside."""
    made = relevant(step, asked)
    return None if made in images else made


def compatible(step: SoftwareEnvironment, asked: Target, images: list[Target]) -> Target | None:
    """The same key, or an image whose target fits."""
    made = relevant(step, asked)
    wanted = replace(made, glibc=asked.glibc, kernel=asked.kernel)
    facts = [replace(image, glibc=GLIBC, kernel=KERNEL) for image in images]
    found = ranked(wanted, facts, lambda target: target)
    if found and all(verdict.fits for verdict in found[0][1]):
        return None
    return made


def replay(rule: Rule, orders: list[list[tuple[str, str]]]) -> tuple[list[int], dict[str, int]]:
    """Builds per order, and builds per kind of step in all orders together."""
    builds, kinds = [], dict.fromkeys(("apt", "pip", "spack", "easybuild", "script"), 0)
    for order in orders:
        images: dict[str, list[Target]] = {step: [] for step in STEPS}
        for step, name in order:
            made = rule(STEPS[step], SITES[name], images[step])
            if made is not None:
                images[step].append(made)
                kinds[step.partition(" ")[0]] += 1
        builds.append(sum(map(len, images.values())))
    return builds, kinds


def test_sixteen_steps_at_twenty_sites() -> None:
    for target in SITES.values():
        check(target)
    requests = [(step, name) for step in STEPS for name in SITES]
    assert len(STEPS) == 16
    assert len(SITES) == 20
    orders = [random.Random(seed).sample(requests, len(requests)) for seed in range(ORDERS)]
    print(f"\n{len(requests)} requests, {ORDERS} random orders")
    print(f"{'answered by':34s} {'builds':>18s} {'hit rate':>9s}")
    for text, rule in (
        ("an image of the whole target", whole_target),
        ("an image of the same content key", same_inputs),
        ("a compatible image", compatible),
    ):
        builds, kinds = replay(rule, orders)
        middle = statistics.median(builds)
        spread = f"{middle:.0f} ({min(builds)}-{max(builds)})"
        print(f"{text:34s} {spread:>18s} {1 - middle / len(requests):9.1%}")
        per_kind = (f"{kind} {count / ORDERS:.1f}" for kind, count in kinds.items())
        print(f"{'':34s} builds per order: {', '.join(per_kind)}")


def test_a_decision_among_a_thousand_images_of_a_step() -> None:
    """Time of the rules alone: the index hands them only the images of the same software."""
    images = [replace(target, glibc=GLIBC, kernel=KERNEL) for target in SITES.values()] * 50
    wanted = SITES["zen3 A100"]
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        ranked(wanted, images, lambda target: target)
        seconds.append(time.perf_counter() - begin)
    middle = statistics.median(seconds) * 1000
    fitting = sum(runs_on(image, wanted) for image in images)
    print(f"\n{len(images)} candidates judged and ordered: {middle:.1f} ms ({fitting} fit)")
