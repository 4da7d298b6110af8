"""The same step for linux/amd64 and linux/arm64, which this machine runs by an emulator."""

import io
import os
import platform as python_platform
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends import BACKENDS
from builder.backends.emulation import foreign
from builder.backends.seams import BuildContext
from builder.build import BuildRequest, ImageService
from builder.recipe.model import IMAGE, Recipe, Run, Stage
from builder.settings import BuilderSettings, resolve_base
from ci.errors import SettingsError
from hooks.testbed.base_image import two_platform_base as make_two_platform_base
from hooks.testbed.base_image import write_layout
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
def emulating(engine: Engine) -> Engine:
    """An engine that runs programs of linux/arm64; so does everything else beside it."""
    try:
        engine.emulate()
    except SettingsError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return engine


@pytest.fixture
def settings_of(
    testbed_tools: Tools, real_settings: Callable[..., BuilderSettings]
) -> Callable[[str, Path], BuilderSettings]:
    """Make settings of an image builder and a base image."""

    def make(backend: str, layout: Path) -> BuilderSettings:
        settings = real_settings(layout, backend=backend)
        if backend == "buildah":
            path = f"{testbed_tools.buildah.parent}:{os.environ['PATH']}"
            return replace(settings, environment={"PATH": path})
        return settings

    return make


def file_of(sif: Path, path: str, folder: Path) -> str:
    """A file of an image, read without running anything of it."""
    offset = sif.read_bytes().index(b"hsqs", 32176)
    argv = ["unsquashfs", "-no-progress", "-o", str(offset), "-d", str(folder), str(sif), path]
    subprocess.run(argv, check=True, capture_output=True)
    return (folder / path).read_text().strip()


@pytest.mark.parametrize("backend", ["buildx", "buildah"])
def test_a_step_is_built_for_each_platform(
    backend: str,
    emulating: Engine,
    settings_of: Callable[[str, Path], BuilderSettings],
    two_platform_base: Path,
    request_for: Callable[..., BuildRequest],
    tmp_path: Path,
) -> None:
    two_platforms = ImageService(settings_of(backend, two_platform_base))
    found = {}
    for platform, microarchitecture in MICROARCHITECTURES.items():
        request = request_for(FILES, platform=platform, microarchitecture=microarchitecture)
        image = two_platforms.ensure(request)
        assert image.target.platform == platform
        assert image.sif.read_bytes()[45:47] == CODES[platform]
        found[image.key] = file_of(image.sif, "hello/machine", tmp_path / microarchitecture)
    assert list(found.values()) == ["x86_64", "aarch64"]


def unknown_root(tar: Path) -> None:
    """Files of a machine that nobody emulates: ELF for processor number 0xfffe."""
    shell = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xfe\xff" + bytes(100)
    with tarfile.open(tar, "w") as archive:
        for name in ("dev", "etc", "proc", "run", "sys", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        program = tarfile.TarInfo("bin/sh")
        program.mode, program.size = 0o755, len(shell)
        archive.addfile(program, io.BytesIO(shell))


@pytest.mark.parametrize("backend", ["buildx", "buildah"])
def test_a_platform_without_an_emulator_is_the_operators(
    backend: str, settings_of: Callable[[str, Path], BuilderSettings], tmp_path: Path
) -> None:
    write_layout(tmp_path / "layout", {"s390x": unknown_root})
    base, _ = resolve_base(f"oci-layout://{tmp_path / 'layout'}")
    recipe = Recipe((Stage(IMAGE, (Run(("true",)),)),), 1704067200)
    context = BuildContext(recipe, {}, base, "linux/s390x")
    builder = BACKENDS[backend](settings_of(backend, tmp_path / "layout"))
    with pytest.raises(SettingsError, match="cannot run programs of linux/s390x") as caught:
        builder.build(context, tmp_path, print, timeout=60)
    assert "qemu-user-static" in caught.value.hint


def test_other_failures_are_not_taken_for_it() -> None:
    assert not foreign("./tool: cannot execute binary file: Exec format error", "linux/arm64")


def test_this_machines_own_programs_go_on_as_they_are(emulating: Engine) -> None:
    done = subprocess.run(["uname", "-m"], capture_output=True, text=True)
    assert done.stdout.strip() == python_platform.machine()
