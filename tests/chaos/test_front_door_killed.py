"""A storm of deliveries against processes that die: nothing is lost, nothing is done twice.

WAAS_STORM_DELIVERIES (250) and WAAS_STORM_KILLS (8) say how long; the long run is 10000 and 200.
WAAS_STORM_SEED repeats one. ``-s`` shows the report.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.github import RemoteDouble
from front_door import SLUG, World
from front_door.storm import SiteWatch, Storm

DELIVERIES = int(os.environ.get("WAAS_STORM_DELIVERIES", "250"))
KILLS = int(os.environ.get("WAAS_STORM_KILLS", "8"))
PACE = float(os.environ.get("WAAS_STORM_PACE", "0.5"))  # seconds between what people do
SEED = int(os.environ.get("WAAS_STORM_SEED", "0")) or random.randrange(1, 10**6)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Any]:
    argv = [sys.executable, "-m", "tests.doubles.github", "--seed", str(SEED)]
    with (tmp_path / "double.log").open("wb") as errors:
        process = subprocess.Popen(
            [*argv, "--state", str(tmp_path / "double")],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
        assert process.stdout is not None
        try:
            yield RemoteDouble(process.stdout.readline().decode().strip())
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@pytest.mark.timeout(0 if DELIVERIES > 1000 else 600)
@pytest.mark.parametrize("kind", ["app", "token"])
def test_all_that_was_delivered_is_done_once(tmp_path, double, kind):
    world = World(tmp_path, double, as_app=kind == "app", haste=3.0)
    double.limit(10**9)
    for login, role in (("maria", "maintain"), ("ada", "write")):
        double.give(SLUG, login, role)
    double.contributor(SLUG, "grace")
    world.start()
    watch = SiteWatch(world.place)
    storm = Storm(world, SEED)
    print(f"seed {SEED}")
    try:
        storm.rage(DELIVERIES, KILLS, pace=PACE)
        storm.calm()
    finally:
        world.stop()
        watch.stop()
    deliveries = [d["status"] for d in double.deliveries()]
    print(f"{kind}: {len(deliveries)} deliveries, {deliveries.count(202)} taken at once, "
          f"{storm.redelivered} of them redeliveries, in {storm.seconds:.0f} s")  # fmt: skip
    print(f"  kills: {dict(storm.kills)}; people: {dict(storm.done)}")
    print(f"  images built: {len(world.built())}, versions put in place: {watch.count()}")
    assert storm.twice() == []
    assert watch.twice() == []
    assert double.violations == []
