"""Builds recipes with a real engine, without the project's own backend."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.recipe import Recipe
from builder.settings import resolve_base

if TYPE_CHECKING:
    from hooks.testbed.engine import Engine


@dataclass(frozen=True)
class Outcome:
    """The end of a build: exit code, what it told, digest of the image."""

    code: int
    told: str
    digest: str = ""


@pytest.fixture
def really_build(
    engine: Engine, tmp_path: Path, build_secrets: dict[str, Path]
) -> Callable[..., Outcome]:
    """``really_build(recipe, context, layout, stage="image", fresh=False, scope="main")``."""

    def build(
        recipe: Recipe,
        context: Path,
        layout: Path,
        *,
        stage: str = "image",
        fresh: bool = False,
        scope: str = "main",
    ) -> Outcome:
        base, _ = resolve_base(f"oci-layout://{layout}")
        file, metadata = tmp_path / "Dockerfile", tmp_path / "metadata.json"
        file.write_text(recipe.dockerfile(scope))
        output = f"type=oci,compression=uncompressed,dest={tmp_path / 'image.tar'}"
        argv = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
        argv += ["--network=host", f"--build-context=base={base}", f"--file={file}"]
        argv += [f"--target={stage}", f"--metadata-file={metadata}", f"--output={output}"]
        argv += [f"--secret=id={name},src={path}" for name, path in build_secrets.items()]
        argv += ["--no-cache"] if fresh else []
        environment = {
            **os.environ,
            **engine.environment,
            "SOURCE_DATE_EPOCH": str(recipe.epoch),
        }
        done = subprocess.run(
            [*argv, str(context)], env=environment, capture_output=True, text=True, timeout=3000
        )
        told = done.stdout + done.stderr
        if done.returncode:
            return Outcome(done.returncode, told)
        return Outcome(0, told, json.loads(metadata.read_text())["containerimage.digest"])

    return build
