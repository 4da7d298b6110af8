"""Spack builds a package of the catalogue, wherever SPACK_ROOT names a checkout of it."""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder import checkout
from builder.recipe import render
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

ROOT = os.environ.get("SPACK_ROOT", "")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(not ROOT, reason="SPACK_ROOT names no checkout of Spack"),
]
SOURCE = b'#include <stdio.h>\nint main(void) { puts("hello from spack"); return 0; }\n'
PACKAGE = '''from spack.package import *


class {name}(Package):
    """A greeting, from a source that needs no network."""

    homepage = "https://example.org"
    url = "file:///opt/catalog/packages/hellohpc/hellohpc-1.0.tar.gz"
    version("1.0", sha256="{sha256}")
    {directive}

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        cc = Executable(spack_cc)
        cc("{file}", "-o", join_path(prefix.bin, "{command}"))

    def setup_run_environment(self, env):
        env.set("GREETING_OF_{command}", "yes")
'''


def archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("hellohpc-1.0/hello.c")
        member.size = len(SOURCE)
        tar.addfile(member, io.BytesIO(SOURCE))
    return content.getvalue()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with Spack, a step, and a catalogue of two packages, one of them broken."""
    place = tmp_path / "context"
    (place / "step").mkdir(parents=True)
    for path in checkout.files(Path(ROOT)):
        (place / "spack" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(ROOT) / path, place / "spack" / path, follow_symlinks=False)
    packages = place / "catalog" / "packages"
    source = archive()
    values = {"sha256": hashlib.sha256(source).hexdigest()}
    for name, file, directive in (
        ("hellohpc", "hello.c", ""),
        ("brokenapp", "missing.c", 'depends_on("hellohpc")'),
    ):
        (packages / name).mkdir(parents=True)
        text = PACKAGE.format(
            name=name.title(), file=file, command=name, directive=directive, **values
        )
        (packages / name / "package.py").write_text(text)
    (packages / "hellohpc" / "hellohpc-1.0.tar.gz").write_bytes(source)
    (place / "catalog" / "repo.yaml").write_text("repo:\n  namespace: hpcwaas\n")
    return place


def recipe(spec: str, *tests: ImageTest) -> Any:
    return render(
        SoftwareEnvironment(spack=(spec,)),
        Target(microarchitecture="x86_64_v3"),
        "sim",
        spack_checkout=True,
        catalog_has_repository=True,
        tests=tests,
    )


def test_spack_builds_keeps_and_explains(
    really_build: Callable[..., Any], context: Path, debian_base: Path
) -> None:
    scope = f"test-{os.getpid()}"  # a cache of our own
    good = recipe(
        "hellohpc",
        ImageTest("run", ("hellohpc",), "hello from spack"),
        ImageTest("run", ("sh", "-c", "echo $GREETING_OF_hellohpc"), "yes"),
    )
    made = really_build(good, context, debian_base, stage="test", scope=scope)
    assert made.code == 0, made.told[-5000:]

    # what a failed build needs again is taken from the cache; the failure is told
    failed = really_build(recipe("brokenapp"), context, debian_base, scope=scope)
    assert failed.code != 0
    assert "Extracting hellohpc-1.0" in failed.told
    assert "error: Spack could not install all packages: brokenapp-1.0" in failed.told

    impossible = really_build(recipe("hellohpc@2"), context, debian_base, scope=scope)
    assert "error: Spack finds no way to install these specs together" in impossible.told
    assert "hellohpc@2" in impossible.told
