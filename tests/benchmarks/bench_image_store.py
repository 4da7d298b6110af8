"""How long the image store takes to answer, to open, and to make its index anew.

Prints figures, asserts none. A decision is: ask for the candidates of a software key and judge
them, which reads the metadata of each. The store holds folders of metadata only.
"""

import json
import random
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.plan import choose
from builder.store import Image, ImageStore
from ci.target import Target

MICROARCHITECTURES = ("x86_64_v2", "x86_64_v3", "haswell", "zen3", "cascadelake")
VARIANTS = 20  # images of one software: for so many targets
DECISIONS = 2000


def key_of(number: int, kind: str) -> str:
    return f"{kind}{number:063x}"


def target_of(number: int) -> Target:
    place = number % VARIANTS
    return Target(
        microarchitecture=MICROARCHITECTURES[place % len(MICROARCHITECTURES)],
        mpi=("", "openmpi@4.1.5", "openmpi@5.0.3", "mpich@4.2")[place // len(MICROARCHITECTURES)],
        glibc="2.36",
        kernel="3.2",
    )


def filled(root: Path, count: int) -> Path:
    """A store of so many images, a tenth of them of pull requests, written past the store."""
    for number in range(count):
        scope = f"pull-{number % 50 + 1}" if number % 10 == 0 else ""
        image = Image(
            key=key_of(number, "a"),
            digest=f"sha256:{number:064x}",
            oci_digest="sha256:" + "2" * 64,
            base_digest="sha256:" + "3" * 64,
            workflow="example",
            step="simulate",
            target=target_of(number),
            environment={"apt": ["libopenmpi-dev"], "pip": ["numpy==2.1.0"], "spack": []},
            created="2026-01-01T00:00:00.000+00:00",
            size=100_000_000,
            duration=60.0,
            builder="hpcwaas 1 buildx",
            software_key=key_of(number // VARIANTS, "5"),
        )
        folder = root / scope / image.key
        folder.mkdir(parents=True)
        (folder / "metadata.json").write_text(image.to_json())
    return root


def seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def decide(store: ImageStore, wanted: Target, software_key: str, scope: str) -> object:
    """What a request costs in the store; the closest image by the table of compatibility."""
    return choose(wanted, store.candidates(software_key, scope))


def show(what: str, figures: list[float]) -> None:
    figures.sort()
    p50, p99 = statistics.median(figures), figures[int(len(figures) * 0.99)]
    print(f"{what:66s} p50 {p50 * 1e3:8.2f} ms  p99 {p99 * 1e3:8.2f} ms")


@pytest.fixture(params=[1_000, 100_000], ids=["1,000", "100,000"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def root(tmp_path: Path, count: int) -> Iterator[Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    yield filled(folder, count)
    shutil.rmtree(folder)


def test_the_store(root: Path, count: int) -> None:
    named = f"{count:,} images: "
    print()
    print(f"{named + 'index made anew':66s} {seconds(lambda: ImageStore(root)):12.2f} s")
    threading.Event().wait(0.2)
    shutil.rmtree(root / key_of(1, "a"))  # by hand, so the next open compares all names
    print(f"{named + 'open, names compared':66s} {seconds(lambda: ImageStore(root)):12.3f} s")
    threading.Event().wait(0.2)
    ImageStore(root)
    show(f"{named}open, nothing changed", [seconds(lambda: ImageStore(root)) for _ in range(20)])
    store = ImageStore(root)
    chance = random.Random(4)

    def asked(known: bool) -> Callable[[], object]:
        number = chance.randrange(2, count)
        software = key_of(number // VARIANTS, "5" if known else "6")
        scope = f"pull-{chance.randrange(1, 60)}"
        return lambda: decide(store, target_of(number), software, scope)

    times = [seconds(asked(known=True)) for _ in range(DECISIONS)]
    show(f"{named}decision, {VARIANTS} images of the software", times)
    times = [seconds(asked(known=False)) for _ in range(DECISIONS)]
    show(f"{named}decision, none of the software", times)
    times = [
        seconds(lambda: store.find(key_of(chance.randrange(2, count), "a")))
        for _ in range(DECISIONS)
    ]
    show(f"{named}find by key", times)
    show(f"{named}publish", [seconds(lambda n=n: publish(store, n)) for n in range(50)])
    show(f"{named}bytes used", [seconds(store.bytes_used) for _ in range(20)])
    size = sum(path.stat().st_size for path in (root / ".index").iterdir())
    print(f"{named + 'index file':66s} {size / 1e6:12.1f} MB")
    assert json.loads((root / key_of(2, "a") / "metadata.json").read_text())["size"]


def publish(store: ImageStore, number: int) -> None:
    key = key_of(number, "b")
    with store.lock(key, timeout=1):
        part = store.begin(key)
        (part / "image.sif").write_bytes(b"SIF")
        source = store.find(key_of(2, "a"))
        assert source is not None
        image = Image(**{**source.to_dict(), "key": key, "target": source.target})
        store.publish(part, image)
