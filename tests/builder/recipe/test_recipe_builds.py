"""Recipes built by a real engine, on a base of a few megabytes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.recipe import render
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

pytestmark = pytest.mark.engine
Build = Callable[..., Any]
POST = """#!/bin/sh
echo "$WAAS_PLATFORM $WAAS_MICROARCHITECTURE $WAAS_MPI $CFLAGS" > told.txt
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    step = tmp_path / "context" / "step"
    step.mkdir(parents=True)
    (step / "post_inst.sh").write_text(POST)
    (step / "post_inst.sh").chmod(0o755)
    (step / "env.sh").write_text("export GREETING=hello\n")
    return step.parent


def recipe(*tests: ImageTest) -> Any:
    environment = SoftwareEnvironment(post_install="post_inst.sh", env_script="env.sh")
    target = Target(microarchitecture="zen3", mpi="openmpi@4.1.5")
    return render(environment, target, "sim", tests=tests)


def test_two_builds_from_nothing_give_the_same_image(
    really_build: Build, context: Path, busybox_base: Path
) -> None:
    first = really_build(recipe(), context, busybox_base, fresh=True)
    assert first.code == 0, first.told
    time.sleep(1.1)  # so that times of now, in whole seconds, are others
    for path in context.rglob("*"):
        path.touch()
    second = really_build(recipe(), context, busybox_base, fresh=True)
    assert second.digest == first.digest


def test_the_step_and_its_target_are_in_the_image(
    really_build: Build, context: Path, busybox_base: Path
) -> None:
    expected = "linux/amd64 zen3 openmpi@4.1.5 -O2 -march=znver3 -mtune=znver3"
    made = really_build(
        recipe(
            ImageTest("run", ("cat", "/sim/told.txt"), expected),
            ImageTest("run", ("sh", "-c", 'echo "$GREETING as $(id -u)"'), "hello as 65534"),
            ImageTest("run", ("sh", "-c", "! ip -o link | grep -v LOOPBACK")),
            ImageTest("run", ("echo", "$(id)", "`id`", "; id", "it's"), "$(id) `id` ; id it's"),
        ),
        context,
        busybox_base,
        stage="test",
    )
    assert made.code == 0, made.told


@pytest.mark.parametrize(
    ("failing", "why"),
    [
        (ImageTest("import", ("numpy",)), "error: test 2 (import numpy) ends with exit code 127"),
        (
            ImageTest("version", ("echo", "1.2"), "1.3 $(id)"),
            "error: test 2 (version echo 1.2) does not write 1.3 $(id)",
        ),
        (ImageTest("run", ("false",)), "error: test 2 (run false) ends with exit code 1"),
        (ImageTest("run", ("exit", "0")), "error: test 2 (run exit 0) ends with exit code 127"),
    ],
)
def test_a_failing_test_says_which_and_why(
    really_build: Build, context: Path, busybox_base: Path, failing: ImageTest, why: str
) -> None:
    made = really_build(
        recipe(ImageTest("run", ("true",)), failing), context, busybox_base, stage="test"
    )
    assert made.code != 0
    assert why in made.told
