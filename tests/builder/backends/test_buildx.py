"""The backend against a program that plays docker; how a backend is chosen."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends import BACKENDS, backend
from builder.backends.apptainer import Apptainer
from builder.backends.buildah import Buildah
from builder.backends.buildx import Buildx
from builder.backends.seams import BuildContext, Built
from builder.recipe.model import IMAGE, Copy, Recipe, Run, Stage
from builder.settings import BuilderSettings
from ci.errors import EntryError, SettingsError, SiteError

DIGEST = "sha256:" + "a" * 64
GOOD = """
import json, sys
argv = sys.argv[1:]
json.dump(argv, open(ARGV, "w"))
if "build" in argv:
    value = lambda name: next(a for a in argv if a.startswith(name)).partition("=")[2]
    open(value("--output").rpartition("dest=")[2].strip('"'), "w").write("archive")
    open(value("--metadata-file"), "w").write(json.dumps({"containerimage.digest": DIGEST}))
"""


@pytest.fixture
def play(tmp_path: Path, builder_settings: BuilderSettings) -> Callable[[str], Buildx]:
    """Make a backend whose docker is a piece of Python."""

    def make(code: str) -> Buildx:
        program = tmp_path / "docker"
        head = f"#!/usr/bin/env python3\nARGV = {str(tmp_path / 'argv')!r}\nDIGEST = {DIGEST!r}\n"
        program.write_text(head + code)
        program.chmod(0o755)
        return Buildx(replace(builder_settings, docker=(str(program),)))

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that images are built in."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "a").write_text("1")
    return BuildContext(
        recipe=Recipe((Stage(IMAGE, (Copy("step/", "/step/"),)),), 1),
        files={"step": tmp_path / "step"},
        base="oci-layout:///base@" + DIGEST,
        platform="linux/amd64",
        labels={"key": "1"},
        secrets={"ca": tmp_path / "with, comma"},
    )


def test_the_command_names_everything_and_leaves_only_the_archive(
    play: Callable[[str], Buildx], context: BuildContext, tmp_path: Path, out: Path
) -> None:
    built = play(GOOD).build(context, out, print, timeout=30)
    assert built == Built(out / "image.tar", "oci-archive", DIGEST)
    assert [p.name for p in out.iterdir()] == ["image.tar"]
    argv = json.loads((tmp_path / "argv").read_text())
    assert argv[:2] == ["buildx", "build"]
    assert f"--build-context=base={context.base}" in argv
    assert {"--network=host", "--provenance=false", "--progress=rawjson"} <= set(argv)
    assert {"--platform=linux/amd64", "--label=key=1"} <= set(argv)
    assert f'--secret=id=ca,"src={tmp_path}/with, comma"' in argv


def test_an_engine_without_an_answer_is_the_operators(
    play: Callable[[str], Buildx], context: BuildContext, out: Path
) -> None:
    docker = play("import sys; sys.exit('ERROR: Cannot connect to the Docker daemon')")
    with pytest.raises(SettingsError, match="Cannot connect"):
        docker.build(context, out, print, timeout=30)
    assert "Cannot connect" in docker.available()
    assert not list(out.iterdir())


def test_without_docker_it_says_so(builder_settings: BuilderSettings) -> None:
    docker = Buildx(replace(builder_settings, docker=("/no/docker",)))
    assert "/no/docker" in docker.available()


def test_the_time_limit_is_the_contributors(
    play: Callable[[str], Buildx], context: BuildContext, out: Path
) -> None:
    with pytest.raises(EntryError, match="time limit"):
        play("import time; time.sleep(60)").build(context, out, print, timeout=1.0)
    assert not list(out.iterdir())


def test_a_missing_digest_is_noticed(
    play: Callable[[str], Buildx], context: BuildContext, out: Path
) -> None:
    with pytest.raises(SettingsError, match="digest"):
        play("").build(context, out, print, timeout=30)


def test_tests_run_before_the_image_is_exported(
    play: Callable[[str], Buildx], context: BuildContext, out: Path
) -> None:
    tested = replace(context, recipe=replace(context.recipe, checks=(Run(("true",)),)))
    fails = GOOD.replace('if "build" in argv:', 'if "--target=test" in argv: sys.exit("ERROR: no")')
    with pytest.raises(SettingsError):
        play(fails).build(tested, out, print, timeout=30)
    assert not list(out.iterdir())


def test_a_server_that_does_not_answer_is_the_worlds(
    play: Callable[[str], Buildx], context: BuildContext, out: Path
) -> None:
    step = {"digest": "d", "name": "[image 2/2] RUN apt-get update", "started": "now"}
    told = b"W: Failed to fetch http://m/InRelease  Temporary failure resolving 'm'\n"
    log = {"vertex": "d", "data": base64.b64encode(told).decode()}
    stream = [{"vertexes": [step], "logs": [log]}, {"vertexes": [{**step, "error": "exit 100"}]}]
    told_by_docker = "\n".join(map(json.dumps, stream))
    with pytest.raises(SiteError, match="Temporary failure") as caught:
        play(f"import sys; print({told_by_docker!r}); sys.exit(1)").build(
            context, out, print, timeout=30
        )
    assert caught.value.transient


def test_the_first_that_works_is_taken(
    builder_settings: BuilderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = {"buildah", "apptainer"}
    for kind in (Buildx, Buildah, Apptainer):
        told = "" if kind.name in works else f"no {kind.name} here"
        monkeypatch.setattr(kind, "available", lambda self, told=told: told)
    settings = replace(builder_settings, backend="auto")
    assert backend(settings).name == "buildah"
    for kind in (Buildah, Apptainer):
        monkeypatch.setattr(kind, "available", lambda self: f"no {self.name} here")
    with pytest.raises(SettingsError) as caught:
        backend(settings)
    assert all(f"{name}: no {name} here" in caught.value.message for name in BACKENDS)


def test_backends_are_found_by_name(builder_settings: BuilderSettings) -> None:
    assert {name: backend(replace(builder_settings, backend=name)).name for name in BACKENDS} == {
        name: name for name in BACKENDS
    }
    with pytest.raises(SettingsError, match="buildx"):
        backend(replace(builder_settings, backend="kaniko"))
