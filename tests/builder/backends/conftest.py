"""Image builders that really build, and a small recipe to try them with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends import BACKENDS
from builder.backends.seams import BuildContext, ImageBuilder
from builder.recipe.model import IMAGE, Copy, Recipe, Run, Stage
from builder.settings import BuilderSettings, resolve_base
from hooks.testbed.setup import Tools

EPOCH = 1704067200
MakeBuilder = Callable[[str], ImageBuilder]
MakeContext = Callable[..., BuildContext]


@pytest.fixture
def programs(
    request: pytest.FixtureRequest, testbed_tools: Tools
) -> Callable[[str], dict[str, str]]:
    """The environment in which a builder finds its programs."""

    def find(name: str) -> dict[str, str]:
        if name == "buildx":
            return dict(request.getfixturevalue("engine").environment)
        folders = [testbed_tools.buildah.parent, testbed_tools.apptainer.parent]
        return {"PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])}

    return find


@pytest.fixture
def real_builder(
    programs: Callable[[str], dict[str, str]],
    builder_settings: BuilderSettings,
    testbed_tools: Tools,
) -> MakeBuilder:
    """``real_builder("buildah")``."""

    def make(name: str) -> ImageBuilder:
        settings = replace(
            builder_settings,
            environment=programs(name),
            apptainer=(str(testbed_tools.apptainer),),
        )
        return BACKENDS[name](settings)

    return make


@pytest.fixture
def context_of(busybox_base: Path, tmp_path: Path) -> MakeContext:
    """``context_of(*lines, checks=(…,), **fields)``: a step's folder with ``a``, then the lines."""
    base, _ = resolve_base(f"oci-layout://{busybox_base}")
    step = tmp_path / "step"
    step.mkdir()
    (step / "a").write_text("content of a")

    def make(
        *lines: str, checks: tuple[str, ...] = (), secrets: dict[str, Path] | None = None
    ) -> BuildContext:
        fresh = f": {os.getpid()} {time.time_ns()}"  # so that no step comes from a cache
        runs = (Run((fresh, *lines), tuple(secrets or ())),) if lines else ()
        recipe = Recipe(
            (Stage(IMAGE, (Copy("step/", "/step/"), *runs)),),
            EPOCH,
            checks=(Run((fresh, *checks), network=False, user="65534"),) if checks else (),
        )
        return BuildContext(recipe, {"step": step}, base, "linux/amd64", secrets=secrets or {})

    return make
