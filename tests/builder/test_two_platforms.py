"""The same step for linux/amd64 and linux/arm64, which this machine runs by an emulator."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.build import BuildRequest, ImageService
from builder.settings import BuilderSettings
from ci.errors import SettingsError
from hooks.testbed.base_image import two_platform_base as make_two_platform_base
from hooks.testbed.engine import Engine
from hooks.testbed.setup import Tools

pytestmark = pytest.mark.engine

FILES = {"post_inst.sh": "#!/bin/sh\nuname -m > machine\n"}
MICROARCHITECTURES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
# what a SIF's header says of its architecture: https://github.com/apptainer/sif, pkg/sif/arch.go
CODES = {"linux/amd64": b"02", "linux/arm64": b"04"}


@pytest.fixture(scope="module")
def two_platform_base(testbed_tools: Tools) -> Path:
    """An OCI layout of two platforms."""
    try:
        return make_two_platform_base(testbed_tools.cache)
    except SettingsError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture
def two_platforms(
    engine: Engine, two_platform_base: Path, real_settings: Callable[..., BuilderSettings]
) -> ImageService:
    """Images of both platforms."""
    try:
        engine.emulate()
    except SettingsError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return ImageService(real_settings(two_platform_base))


def file_of(sif: Path, path: str, folder: Path) -> str:
    """A file of an image, read without running anything of it."""
    offset = sif.read_bytes().index(b"hsqs", 32176)
    argv = ["unsquashfs", "-no-progress", "-o", str(offset), "-d", str(folder), str(sif), path]
    subprocess.run(argv, check=True, capture_output=True)
    return (folder / path).read_text().strip()


def test_a_step_is_built_for_each_platform(
    two_platforms: ImageService, request_for: Callable[..., BuildRequest], tmp_path: Path
) -> None:
    found = {}
    for platform, microarchitecture in MICROARCHITECTURES.items():
        request = request_for(FILES, platform=platform, microarchitecture=microarchitecture)
        image = two_platforms.ensure(request)
        assert image.target.platform == platform
        assert image.sif.read_bytes()[45:47] == CODES[platform]
        found[image.key] = file_of(image.sif, "hello/machine", tmp_path / microarchitecture)
    assert list(found.values()) == ["x86_64", "aarch64"]
