import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.build import BuildRequest, ImageService, Phase
from builder.process import CancelledError
from builder.settings import BuilderSettings
from builder.store import Image
from builder.supply.signature import new_key, parse_key, public_key
from builder.supply.verify import verify
from ci.errors import EntryError, SettingsError, SiteError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

Make = Callable[..., BuildRequest]
FILES = {"src/x.sh": "#!/bin/sh\necho hi\n", "env.sh": "export X=1\n", "data.txt": "1"}


def leftovers(images: ImageService, settings: BuilderSettings) -> list[Path]:
    return [*(images.store.root / ".parts").iterdir(), *(settings.work / "builds").iterdir()]


def test_an_image_is_built_once(
    images: ImageService, image_builder: Any, request_for: Make, builder_settings: BuilderSettings
) -> None:
    first = images.ensure(request_for(FILES))
    assert images.ensure(request_for(FILES)) == first
    assert len(image_builder.contexts) == 1
    assert first.sif.read_bytes() == b"SIF of image"
    assert first.size == len(b"SIF of image")
    assert first.key in image_builder.contexts[0].labels.values()
    assert (first.workflow, first.step) == ("example", "hello")
    assert not leftovers(images, builder_settings)


def test_the_folder_of_an_image_tells_how_it_came_to_be(
    images: ImageService, request_for: Make
) -> None:
    image = images.ensure(request_for(FILES))
    names = sorted(path.name for path in image.folder.iterdir())
    assert names == [
        "build.log",
        "image.sif",
        "inputs.json",
        "metadata.json",
        "provenance.json",
        "provenance.json.sig",
        "recipe",
        "records",
        "sbom.cdx.json",
    ]
    assert (image.folder / "build.log").read_text() == "building\nconverting\n"
    assert (image.folder / "recipe").read_text() == images.recipe(request_for(FILES)).text


def test_scripts_become_executable(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    before = os.umask(0o077)
    try:
        images.ensure(request_for(FILES | {"post_inst.sh": "true"}))
    finally:
        os.umask(before)
    modes = {path: mode for path, (_, mode) in image_builder.seen.items()}
    assert modes == {
        "step/src/x.sh": 0o755,
        "step/env.sh": 0o644,
        "step/data.txt": 0o644,
        "step/post_inst.sh": 0o755,
    }


def test_phases_are_told_in_order(images: ImageService, request_for: Make) -> None:
    told: list[tuple[Phase, str]] = []
    image = images.ensure(request_for(FILES), lambda *what: told.append(what))
    assert told == [
        (Phase.PENDING, ""),
        (Phase.STARTED, image.key),
        (Phase.BUILDING, "building"),
        (Phase.CONVERTING, "converting"),
        (Phase.FINISHED, image.key),
    ]


def test_a_plan_does_nothing_and_says_what_will_be(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    plan = images.plan(request_for(FILES))
    assert not plan.reuse
    assert not image_builder.contexts
    assert images.ensure(request_for(FILES)).key == plan.key
    assert images.plan(request_for(FILES)).reuse


COMPILED = {**FILES, "requirements.txt": "six\n"}


def test_the_nearest_compatible_image_is_taken(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    def made(microarchitecture: str) -> Image:
        return images.ensure(request_for(COMPILED, microarchitecture=microarchitecture))

    haswell = made("haswell")
    generic = made("x86_64")
    assert made("zen3") == generic
    assert made("broadwell") == haswell
    assert len(image_builder.contexts) == 2


def test_what_cannot_change_an_image_does_not_make_another(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    first = images.ensure(request_for(FILES, microarchitecture="zen3", mpi="openmpi@4.1.5"))
    assert first.target.microarchitecture == "x86_64"
    assert images.ensure(request_for(FILES, microarchitecture="icelake")) == first
    assert len(image_builder.contexts) == 1


def test_an_image_that_cannot_run_where_it_was_made_for_is_told(
    images: ImageService, request_for: Make
) -> None:
    with pytest.raises(SettingsError, match="does not run there"):
        images.ensure(request_for(FILES, kernel="3.10"))  # the fake's glibc is not known
    assert images.plan(request_for(FILES)).reuse


def test_a_forced_build_takes_the_place_of_the_image(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    first = images.ensure(request_for(FILES))
    second = images.ensure(request_for(FILES), force=True)
    assert second.key == first.key
    assert second.created > first.created
    assert images.store.list() == (second,)
    assert len(image_builder.contexts) == 2


def test_a_cancelled_build_leaves_nothing(
    images: ImageService, request_for: Make, builder_settings: BuilderSettings
) -> None:
    with pytest.raises(CancelledError):
        images.ensure(request_for(FILES), cancelled=lambda: True)
    assert not leftovers(images, builder_settings)
    assert images.ensure(request_for(FILES)).key


@pytest.mark.parametrize("limits", [{"free_bytes": 1 << 60}, {"quota_bytes": 1}])
def test_a_build_waits_while_there_is_no_room(
    limits: dict[str, int],
    images: ImageService,
    builder_settings: BuilderSettings,
    service_with: Callable[[BuilderSettings], ImageService],
    request_for: Make,
) -> None:
    there = images.ensure(request_for({"a": "1"}))
    full = service_with(replace(builder_settings, **limits))
    with pytest.raises(SiteError, match="image store") as caught:
        full.ensure(request_for(FILES))
    assert caught.value.transient
    assert full.ensure(request_for({"a": "1"})) == there


def test_every_image_is_signed(
    images: ImageService, request_for: Make, builder_settings: BuilderSettings
) -> None:
    image = images.ensure(replace(request_for(FILES), commit="1" * 40))
    allowed = [public_key(parse_key(builder_settings.signing_key()))]
    verified = verify(image.folder, allowed)
    assert verified.key == image.key
    parameters = verified.statement["predicate"]["buildDefinition"]["externalParameters"]
    assert parameters["commit"] == "1" * 40
    image.sif.write_bytes(b"SIF of imagE")
    with pytest.raises(SettingsError, match=r"image\.sif is not what was signed"):
        verify(image.folder, allowed)


def test_any_change_of_a_file_is_another_image(images: ImageService, request_for: Make) -> None:
    keys = {
        images.plan(request_for(files)).key
        for files in ({"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": ""})
    }
    assert len(keys) == 4


def test_who_asks_does_not_change_the_image(images: ImageService, request_for: Make) -> None:
    mine = request_for(FILES)
    key = images.plan(mine).key
    assert images.plan(replace(mine, workflow="other", scope="pull-1")).key == key
    assert images.plan(replace(mine, catalog={"packages/a/package.py": b"1"})).key == key


def test_the_catalogue_counts_where_it_is_used(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    asked = request_for({"spack.yaml": "spack: {specs: [zlib]}"})
    one = replace(asked, catalog={"repo.yaml": b"repo: {}", "packages/zlib/package.py": b"1"})
    two = replace(one, catalog={**one.catalog, "packages/zlib/package.py": b"2"})
    assert len({images.plan(request).key for request in (asked, one, two)}) == 3
    images.ensure(one)
    assert image_builder.seen["catalog/packages/zlib/package.py"][0] == "1"


def test_a_pull_requests_image_is_not_mains(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    theirs = images.ensure(request_for(FILES, scope="pull-3"))
    assert images.ensure(request_for(FILES, scope="pull-3")) == theirs
    assert not images.plan(request_for(FILES)).reuse
    promoted = images.store.promote(theirs.key, "pull-3")
    assert images.ensure(request_for(FILES)) == promoted
    assert len(image_builder.contexts) == 1


def test_a_failure_leaves_its_log_and_nothing_else(
    images: ImageService, image_builder: Any, request_for: Make, builder_settings: BuilderSettings
) -> None:
    def fail() -> None:
        raise EntryError("the image does not build: E: no such package")

    image_builder.act = fail
    told: list[tuple[Phase, str]] = []
    with pytest.raises(EntryError, match="no such package"):
        images.ensure(request_for(FILES), lambda *what: told.append(what))
    assert told[-1] == (Phase.FAILED, "the image does not build: E: no such package")
    key = images.plan(request_for(FILES)).key
    assert (images.store.root / ".failed" / f"{key}.log").read_text() == "building\n"
    assert images.store.list() == ()
    assert not leftovers(images, builder_settings)
    image_builder.act = lambda: None
    assert images.ensure(request_for(FILES)).key == key


def test_a_listener_that_raises_ends_the_build(
    images: ImageService, request_for: Make, builder_settings: BuilderSettings
) -> None:
    def stop(phase: Phase, _: str) -> None:
        if phase == Phase.BUILDING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.ensure(request_for(FILES), stop)
    assert not leftovers(images, builder_settings)
    images.ensure(request_for(FILES))


def test_of_many_at_once_one_builds(
    builder_settings: BuilderSettings,
    image_builder: Any,
    request_for: Make,
    images: ImageService,
) -> None:
    image_builder.act = lambda: threading.Event().wait(0.3)
    made: list[Image] = []
    threads = [
        threading.Thread(target=lambda: made.append(images.ensure(request_for(FILES))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(image_builder.contexts) == 1
    assert len({image.key for image in made}) == 1
    assert len(made) == 6


@pytest.mark.parametrize(
    "paths",
    [["/etc/passwd"], ["../x"], ["a/../../x"], ["a//b"], ["a/"], ["./a"], ["a\nb"], ["a", "a/b"]],
)
def test_paths_stay_inside_the_step(
    images: ImageService, request_for: Make, paths: list[str]
) -> None:
    wrong = replace(request_for(), files=dict.fromkeys(paths, b""))
    with pytest.raises(EntryError):
        images.ensure(wrong)


def test_wrong_requests_are_told_as_such(images: ImageService, request_for: Make) -> None:
    with pytest.raises(EntryError, match="zen3"):
        images.plan(request_for(microarchitecture="zen33"))
    with pytest.raises(EntryError, match="step"):
        images.plan(request_for(step="usr"))


def test_the_key_is_asked_for_when_an_image_is_signed_and_shown_by_nothing(
    service_with: Any, request_for: Make, builder_settings: BuilderSettings
) -> None:
    asked: list[str] = []

    def key() -> str:
        asked.append(new_key())
        return asked[-1]

    settings = replace(builder_settings, signing_key=key)
    images, phases = service_with(settings), []
    images.plan(request_for(FILES))
    assert not asked
    image = images.ensure(request_for(FILES), lambda phase, _text: phases.append(len(asked)))
    assert images.ensure(request_for(FILES)) == image
    assert (len(asked), phases[-2]) == (1, 0)
    assert "signing_key" not in repr(settings)


def test_without_a_key_no_image_appears(
    service_with: Any, request_for: Make, builder_settings: BuilderSettings
) -> None:
    images = service_with(replace(builder_settings, signing_key=lambda: "no key"))
    with pytest.raises(SettingsError, match="the key that signs images"):
        images.ensure(request_for(FILES))
    assert not images.store.list()


KILLED = """
import os, signal, sys
from pathlib import Path
from builder import build, store
from builder.backends.seams import Built
from builder.supply.signature import new_key
from builder.settings import BuilderSettings
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

point, folder = sys.argv[1], Path(sys.argv[2])

def kill(where):
    if where == point:
        os.kill(os.getpid(), signal.SIGKILL)

class Builder:
    name = "fake"
    def available(self): return ""
    def build(self, context, folder, log, *, timeout, cancelled):
        (folder / ".half").write_text("x")
        kill("building")
        (folder / "image").mkdir()
        kill("built")
        return Built(folder / "image", "sandbox", "sha256:" + "1" * 64)

def convert(built, output, settings, log, **_):
    output.write_bytes(b"half")
    kill("converting")
    output.write_bytes(b"whole")
    kill("converted")

rename = Path.rename
def renaming(self, target):
    kill("publishing")
    found = rename(self, target)
    kill("published")
    return found

Path.rename = renaming
settings = BuilderSettings(base="b", base_digest="sha256:0", store=folder / "images", work=folder,
                           signing_key=new_key)
service = build.ImageService(settings, image_builder=Builder(), convert=convert)
request = build.BuildRequest("w", "s", SoftwareEnvironment(), Target(), {"a": b"1"})
print(service.ensure(request).sif.read_text())
"""
POINTS = ["building", "built", "converting", "converted", "publishing", "published"]


def run_killed(point: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, point, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_neither_half_an_image_nor_a_blocked_key(
    point: str, tmp_path: Path, image_builder: Any
) -> None:
    assert run_killed(point, tmp_path).returncode == -signal.SIGKILL
    settings = BuilderSettings(
        base="b",
        base_digest="sha256:0",
        store=tmp_path / "images",
        work=tmp_path,
        signing_key=new_key,
    )
    opened = ImageService(settings, image_builder=image_builder)
    assert not leftovers(opened, settings)
    assert [i.sif.read_text() for i in opened.store.list()] == (
        ["whole"] if point == "published" else []
    )
    again = run_killed("", tmp_path)
    assert again.stdout == "whole\n", again.stderr


def inside(apptainer: Path, image: Image, *argv: str) -> str:
    """Run a command in an image; ordinary users may have no FUSE, and root needs none."""
    unsquash = {} if os.geteuid() == 0 else {"APPTAINER_UNSQUASH": "1"}
    done = subprocess.run(
        [apptainer, "exec", "--containall", image.sif, *argv],
        env={**os.environ, **unsquash},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.engine
def test_a_step_becomes_a_file_that_runs(
    real_settings: Callable[..., BuilderSettings],
    busybox_base: Path,
    apptainer: Path,
    request_for: Make,
) -> None:
    settings = real_settings(busybox_base)
    images = ImageService(settings)
    assert images.available() == ""
    files = {
        "src/say.sh": "#!/bin/sh\necho $WORD\n",
        "env.sh": "export WORD=hello\n",
        "post_inst.sh": "mkdir made; pwd > made/where",
    }
    image = images.ensure(request_for(files))
    assert image.builder.endswith("buildx")
    assert image.oci_digest.startswith("sha256:")

    assert inside(apptainer, image, "/hello/src/say.sh") == "hello\n"
    assert inside(apptainer, image, "cat", "/hello/made/where") == "/hello\n"


@pytest.mark.engine
@pytest.mark.slow
def test_packages_of_debian_and_pypi_are_in_the_image(
    real_settings: Callable[..., BuilderSettings],
    debian_base: Path,
    apptainer: Path,
    request_for: Make,
    tmp_path: Path,
    build_secrets: Mapping[str, Path],
) -> None:
    images = ImageService(real_settings(debian_base, secrets=build_secrets))
    check = (
        "#!/usr/bin/env python3\nimport six, yaml, pathlib\n"
        "assert six.__file__.startswith('/opt/venv'), six.__file__\n"
        "assert yaml.__file__.startswith('/usr/lib'), yaml.__file__\n"
        "left = [str(p) for d in ('/run/secrets', '/var/lib/apt/lists', '/var/cache/apt')\n"
        "        for p in pathlib.Path(d).rglob('*') if p.is_file() and p.stat().st_size]\n"
        "assert not left, left\n"
        "print('good')\n"
    )
    files = {
        "eflows4hpc.yaml": "apt: [python3-yaml]\npip: ['six>=1.16']\n",
        "src/check.py": check,
    }
    image = images.ensure(request_for(files, microarchitecture="x86_64_v2"))
    assert inside(apptainer, image, "/hello/src/check.py") == "good\n"


def tarball(**texts: str) -> bytes:
    """A source archive ``tiny-1.0.tar.gz`` with these executable files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in texts.items():
            entry = tarfile.TarInfo(f"tiny-1.0/{name}")
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


EASYCONFIG = """
easyblock = 'ConfigureMake'
name = 'tiny'
version = '1.0'
homepage = 'https://example.org'
description = 'A program that says what compiled it'
toolchain = SYSTEM
sources = [SOURCE_TAR_GZ]
sanity_check_paths = {'files': ['bin/tiny'], 'dirs': []}
moduleclass = 'tools'
dependencies = [('needed', '2.0')]
"""
DEPENDENCY = """
easyblock = 'Bundle'
name = 'needed'
version = '2.0'
homepage = 'https://example.org'
description = 'Nothing, which another needs'
toolchain = SYSTEM
moduleclass = 'lib'
"""


@pytest.mark.engine
@pytest.mark.slow
def test_easybuild_builds_from_the_catalogue_and_its_modules_are_loaded(
    real_settings: Callable[..., BuilderSettings],
    debian_base: Path,
    apptainer: Path,
    request_for: Make,
    build_secrets: Mapping[str, Path],
) -> None:
    source = tarball(
        configure='#!/bin/sh\necho "${1#--prefix=}" > prefix\n',
        Makefile="all:\n\tprintf '#!/bin/sh\\necho tiny\\n' > tiny; chmod +x tiny\n"
        "install:\n\tinstall -D tiny $$(cat prefix)/bin/tiny\n",
    )
    images = ImageService(real_settings(debian_base, secrets=build_secrets))
    request = replace(
        request_for({"eflows4hpc.yaml": "easybuild: [tiny-1.0.eb]\npip: [six]\n"}),
        catalog={
            "packages/tiny/tiny-1.0.eb": EASYCONFIG.encode(),
            "packages/tiny/tiny-1.0.tar.gz": source,
            "packages/of-another-name/needed-2.0.eb": DEPENDENCY.encode(),
        },
    )
    image = images.ensure(request)
    record = (image.folder / "records" / "easybuild.txt").read_text()
    assert record.split() == ["needed/2.0", "tiny/1.0"]
    assert inside(apptainer, image, "sh", "-c", "echo $EBROOTNEEDED").strip().endswith("needed/2.0")
    assert inside(apptainer, image, "tiny") == "tiny\n"
    assert inside(apptainer, image, "which", "tiny", "pip", "python3").split() == [
        "/opt/easybuild/software/tiny/1.0/bin/tiny",
        "/opt/venv/bin/pip",
        "/opt/venv/bin/python3",
    ]
    assert inside(apptainer, image, "ls", "/opt").split() == ["easybuild", "venv"]


@pytest.mark.engine
def test_a_package_that_does_not_exist_is_named(
    real_settings: Callable[..., BuilderSettings],
    debian_base: Path,
    request_for: Make,
    build_secrets: Mapping[str, Path],
) -> None:
    images = ImageService(real_settings(debian_base, secrets=build_secrets))
    with pytest.raises(EntryError, match="Unable to locate package no-such-package"):
        images.ensure(request_for({"eflows4hpc.yaml": "apt: [no-such-package]"}))


def test_environments_may_be_given_without_files(images: ImageService) -> None:
    request = BuildRequest(
        "w", "s", SoftwareEnvironment(apt=("hello",)), Target(), {}, scope="main"
    )
    assert "hello" in images.recipe(request).text


def test_another_engine_error_is_the_operators(
    images: ImageService, image_builder: Any, request_for: Make
) -> None:
    def fail() -> None:
        raise SettingsError("no container engine answers")

    image_builder.act = fail
    with pytest.raises(SettingsError):
        images.ensure(request_for(FILES))
