"""Any single changed input changes the content key of an image, and nothing else does.

Each field of what a plan is made of stands in one of the tables; a new field must be put into one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from builder import build
from builder.build import BuildRequest, ImageService
from builder.settings import BuilderSettings
from builder.supply.signature import new_key
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

Change = Callable[[BuildRequest], BuildRequest]

HASH = "--hash=sha256:" + "0" * 64
RECIPE = "from spack.package import *\nclass A(Package):\n    version('1')\n{}"
EASYCONFIG = "name = '{0}'\nversion = '{1}'\ntoolchain = SYSTEM\ndependencies = {2}\n"
CATALOG = {
    "repo.yaml": "repo: {namespace: demo}\n",
    "packages/model/package.py": RECIPE.format("    depends_on('solver', when='+s')\n"),
    "packages/model/fix.patch": "-a\n+b\n",
    "packages/solver/package.py": RECIPE.format(""),
    "packages/openmpi/package.py": RECIPE.format(""),  # instead of Spack's own
    "packages/fast-blas/package.py": RECIPE.format("    provides('blas')\n"),
    "packages/app/App-1.0.eb": EASYCONFIG.format("App", "1.0", "[('Lib', '2.0')]"),
    "packages/app/app.patch": "-c\n+d\n",
    "packages/lib/Lib-2.0.eb": EASYCONFIG.format("Lib", "2.0", "[]"),
}
UNUSED = {
    "README.md": "# Catalogue\n",
    "cfg/packages.yaml": "packages: {}\n",
    "schemas/repo.schema.json": "{}\n",
    "packages/model/model.json": "{}\n",
    "packages/model/Model-1.0.eb": EASYCONFIG.format("Model", "1.0", "[]"),
    "packages/other/package.py": RECIPE.format("    depends_on('model')\n"),
    "packages/other/fix.patch": "-a\n+b\n",
    "packages/lib/package.py": RECIPE.format(""),
    "packages/lib/Lib-3.0.eb": EASYCONFIG.format("Lib", "3.0", "[]"),
}
FILES = {"post_inst.sh": "#!/bin/sh\n", "env.sh": "export A=1\n", "src/run.py": "print()\n"}


def in_bytes(files: Mapping[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in files.items()}


REQUEST = BuildRequest(
    workflow="demo",
    step="simulate",
    environment=SoftwareEnvironment(
        apt=("hello", "grace"),
        pip=(f"six==1.17.0 {HASH}", f"numpy==2.2.6 {HASH}"),
        spack=("model@1", "zlib"),
        easybuild=("App-1.0.eb",),
        post_install="post_inst.sh",
        env_script="env.sh",
        pip_lock=True,
    ),
    target=Target(
        platform="linux/amd64",
        microarchitecture="zen3",
        mpi="openmpi@4.1.5",
        gpu="cuda@12.2",
        gpu_architecture="8.0",
        container_engine="apptainer",
        glibc="2.36",
        kernel="5.14",
    ),
    files=in_bytes(FILES),
    catalog=in_bytes(CATALOG | UNUSED),
    tests=(ImageTest("import", ("six",)), ImageTest("version", ("numpy-config",), "2.2")),
    commit="1" * 40,
    catalog_commit="2" * 40,
)


def environment(**changed: Any) -> Change:
    return lambda r: replace(r, environment=replace(r.environment, **changed))


def target(**changed: str) -> Change:
    return lambda r: replace(r, target=replace(r.target, **changed))


def test_of(number: int, **changed: Any) -> Change:
    def change(request: BuildRequest) -> BuildRequest:
        tests = list(request.tests)
        tests[number] = replace(tests[number], **changed)
        return replace(request, tests=tuple(tests))

    return change


test_of.__test__ = False  # type: ignore[attr-defined] # a helper


def file(path: str, content: str = "changed\n") -> Change:
    return lambda r: replace(r, files={**r.files, path: content.encode()})


def catalog(path: str, more: str = "# changed\n") -> Change:
    """Add to a file of the catalogue, or make one."""
    return lambda r: replace(
        r, catalog={**r.catalog, path: r.catalog.get(path, b"") + more.encode()}
    )


def without(kind: str, path: str) -> Change:
    def change(request: BuildRequest) -> BuildRequest:
        old: Mapping[str, bytes] = getattr(request, kind)
        return replace(request, **{kind: {p: data for p, data in old.items() if p != path}})

    return change


def renamed(kind: str, path: str, other: str) -> Change:
    def change(request: BuildRequest) -> BuildRequest:
        old: Mapping[str, bytes] = getattr(request, kind)
        return replace(request, **{kind: {other if p == path else p: d for p, d in old.items()}})

    return change


INPUTS: dict[str, Change] = {
    "step": lambda r: replace(r, step="simulate2"),
    "environment.apt": environment(apt=("hello", "grace=1.0")),
    "environment.pip": environment(pip=(f"six==1.17.1 {HASH}", f"numpy==2.2.6 {HASH}")),
    "environment.pip hash": environment(pip=(f"six==1.17.0 {HASH[:-1]}1", f"numpy==2.2.6 {HASH}")),
    "environment.spack": environment(spack=("model@1 +s", "zlib")),
    "environment.easybuild": environment(easybuild=("App-1.0.eb", "Bison-3.8.2.eb")),
    "environment.post_install": environment(post_install=""),
    "environment.env_script": environment(env_script=""),
    "environment.pip_lock": environment(pip_lock=False),
    # arm64 has no zen3, so these two go together
    "target.platform": target(platform="linux/arm64", microarchitecture="neoverse_v1"),
    "target.microarchitecture": target(microarchitecture="zen2"),
    "target.mpi": target(mpi="openmpi@4.1.6"),
    "target.gpu": target(gpu="cuda@12.4"),
    "target.gpu_architecture": target(gpu_architecture="9.0"),
    "files content": file("src/run.py"),
    "files of the environment": file("env.sh"),
    "files new": file("src/more.py"),
    "files name": renamed("files", "src/run.py", "src/ran.py"),
    "files removed": without("files", "src/run.py"),
    "files executable": file("src/run.py", "#!/usr/bin/env python3\nprint()\n"),
    **{f"catalog {path}": catalog(path) for path in CATALOG},
    **{
        f"catalog without {path}": without("catalog", path)
        for path in CATALOG
        if path != "packages/app/App-1.0.eb"
    },
    "catalog name": renamed("catalog", "packages/model/fix.patch", "packages/model/fixed.patch"),
    "catalog new": catalog("packages/solver/new.patch"),
    "catalog new dependency": catalog("packages/zlib/package.py", RECIPE.format("")),
    "catalog other content": catalog("packages/model/package.py", "    depends_on('other')\n"),
    "target.container_engine": target(container_engine="singularity"),
    "tests.kind": test_of(1, kind="run"),
    "tests.words": test_of(0, words=("six", "numpy")),
    "tests.contains": test_of(1, contains="2.3"),
    "tests fewer": lambda r: replace(r, tests=r.tests[:1]),
}

NO_INPUTS: dict[str, Change] = {
    "workflow": lambda r: replace(r, workflow="another"),
    "scope": lambda r: replace(r, scope="pull-7"),
    "commit": lambda r: replace(r, commit="3" * 40),
    "catalog_commit": lambda r: replace(r, catalog_commit="4" * 40),
    "target.glibc": target(glibc="2.28"),
    "target.kernel": target(kernel="4.18"),
    "order of files": lambda r: replace(r, files=dict(reversed(r.files.items()))),
    "order of the catalogue": lambda r: replace(r, catalog=dict(reversed(r.catalog.items()))),
    **{f"catalog {path}": catalog(path) for path in UNUSED},
    **{f"catalog without {path}": without("catalog", path) for path in UNUSED},
    "catalog new package": catalog("packages/new/package.py", RECIPE.format("")),
    "catalog new easyconfig": catalog(
        "packages/new/New-1.eb", EASYCONFIG.format("New", "1", "[('App', '1.0')]")
    ),
}

# Fields of the settings: what changes them, if that is to change the key.
SETTINGS: dict[str, Any] = {
    "base_digest": "sha256:" + "9" * 64,
    "source_date_epoch": 1,
    "spack_checkout": None,
}
NO_SETTINGS: dict[str, Any] = {
    "base": "oci-layout:///elsewhere",
    "store": "images2",
    "work": "work2",
    "signing_key": new_key,
    "backend": "buildah",
    "docker": ("podman",),
    "environment": {"DOCKER_HOST": "tcp://example.org"},
    "apptainer": ("singularity",),
    "secrets": {"ca": Path("/etc/ca.pem")},
    "network": "none",
    "build_timeout": 1.0,
    "convert_timeout": 1.0,
    "quota_bytes": 1,
    "free_bytes": 1,
}


def names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def rows(*tables: Mapping[str, Any], start: str) -> set[str]:
    found = {name.split(" ")[0] for table in tables for name in table}
    return {name.removeprefix(start) for name in found if name.startswith(start)}


def test_every_field_is_in_a_table() -> None:
    assert rows(INPUTS, start="environment.") == names(SoftwareEnvironment)
    assert rows(INPUTS, start="tests.") == names(ImageTest)
    assert rows(INPUTS, NO_INPUTS, start="target.") == names(Target)
    listed = {name.split(".")[0] for name in rows(INPUTS, NO_INPUTS, start="")} - {"order"}
    assert listed == names(BuildRequest)
    assert SETTINGS.keys() | NO_SETTINGS.keys() == names(BuilderSettings)


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_input_changes_the_key(images: ImageService, name: str) -> None:
    assert images.plan(INPUTS[name](REQUEST)).key != images.plan(REQUEST).key


def test_no_two_changes_give_the_same_key(images: ImageService) -> None:
    keys = [images.plan(change(REQUEST)).key for change in INPUTS.values()]
    keys.append(images.plan(REQUEST).key)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", NO_INPUTS)
def test_nothing_else_changes_the_key(images: ImageService, name: str) -> None:
    assert images.plan(NO_INPUTS[name](REQUEST)).key == images.plan(REQUEST).key


def test_many_things_that_are_no_inputs_change_nothing_together(images: ImageService) -> None:
    for name, change in INPUTS.items():
        if name.startswith(("target", "environment", "tests")):
            request = other = change(REQUEST)
            for unimportant in NO_INPUTS.values():
                other = unimportant(other)
            assert images.plan(other).key == images.plan(request).key


def test_the_form_of_recipes_is_an_input(
    images: ImageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = images.plan(REQUEST).key
    monkeypatch.setattr(build, "FORM", "another")
    assert images.plan(REQUEST).key != before


@pytest.fixture
def key_with(builder_settings: BuilderSettings, image_builder: Any) -> Callable[..., str]:
    """The key of the request with some settings changed."""

    def key(**changed: Any) -> str:
        settings = replace(builder_settings, **changed)
        return ImageService(settings, image_builder=image_builder).plan(REQUEST).key

    return key


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "spack_checkout"])
def test_settings_that_are_inputs(key_with: Callable[..., str], name: str) -> None:
    assert key_with(**{name: SETTINGS[name]}) != key_with()


def test_the_content_of_a_spack_checkout_is_an_input(
    key_with: Callable[..., str], tmp_path: Path
) -> None:
    found = [key_with()]
    for folder, text in (("one", "1"), ("same", "1"), ("other", "2")):
        mark = tmp_path / folder / "lib/spack/spack/__init__.py"
        mark.parent.mkdir(parents=True)
        mark.write_text(text)
        found.append(key_with(spack_checkout=tmp_path / folder))
    none, one, same, other = found
    assert one == same
    assert len({none, one, other}) == 3


@pytest.mark.parametrize("name", NO_SETTINGS)
def test_settings_that_are_none(key_with: Callable[..., str], tmp_path: Path, name: str) -> None:
    value = NO_SETTINGS[name]
    if value.__class__ is str and name in {"store", "work"}:
        value = tmp_path / value
    assert key_with(**{name: value}) == key_with()


OTHERS: dict[str, dict[str, str]] = {
    "microarchitecture": {"microarchitecture": "haswell"},
    "mpi": {"mpi": "mpich@4.2"},
    "gpu": {"gpu": "", "gpu_architecture": ""},
    "gpu_architecture": {"gpu_architecture": "9.0"},
}
# Environments, and the fields of a target that such an image depends on.
DEPENDS: dict[str, tuple[SoftwareEnvironment, set[str]]] = {
    "nothing": (SoftwareEnvironment(), set()),
    "packages of Debian": (SoftwareEnvironment(apt=("hello",), env_script="env.sh"), set()),
    "what pip compiles": (SoftwareEnvironment(pip=("numpy",)), {"microarchitecture"}),
    "Spack": (SoftwareEnvironment(spack=("model",)), set(OTHERS)),
    "a script": (SoftwareEnvironment(post_install="post_inst.sh"), set(OTHERS)),
}


@pytest.mark.parametrize("name", DEPENDS)
@pytest.mark.parametrize("field", OTHERS)
def test_a_target_counts_as_far_as_it_can_change_the_image(
    images: ImageService, name: str, field: str
) -> None:
    software, depends = DEPENDS[name]
    request = replace(REQUEST, environment=software)
    other = target(**OTHERS[field])(request)
    assert (images.plan(other).key != images.plan(request).key) == (field in depends)


@pytest.mark.parametrize("path", sorted(CATALOG))
def test_the_catalogue_is_no_input_of_what_does_not_use_it(images: ImageService, path: str) -> None:
    request = replace(REQUEST, environment=SoftwareEnvironment(apt=("hello",), pip=("six",)))
    assert images.plan(catalog(path)(request)).key == images.plan(request).key
