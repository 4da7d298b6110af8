"""The backend against a program that plays docker, and against a real engine."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends import BACKENDS, backend
from builder.backends.buildx import Buildx
from builder.backends.seams import BuildContext
from builder.settings import BuilderSettings
from ci.errors import EntryError, SettingsError

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
def context(tmp_path: Path) -> BuildContext:
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "a").write_text("1")
    return BuildContext(
        recipe="FROM base\n",
        files={"step": tmp_path / "step"},
        base="oci-layout:///base@" + DIGEST,
        platform="linux/amd64",
        labels={"key": "1"},
        secrets={"ca": tmp_path / "with, comma"},
    )


def test_the_command_names_everything_and_leaves_only_the_archive(
    play: Callable[[str], Buildx], context: BuildContext, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "image.tar"
    output.parent.mkdir()
    assert play(GOOD).build(context, output, print, timeout=30) == DIGEST
    assert [p.name for p in output.parent.iterdir()] == ["image.tar"]
    argv = json.loads((tmp_path / "argv").read_text())
    assert argv[:2] == ["buildx", "build"]
    assert f"--build-context=base={context.base}" in argv
    assert {"--network=host", "--provenance=false", "--progress=rawjson"} <= set(argv)
    assert {"--platform=linux/amd64", "--label=key=1"} <= set(argv)
    assert f'--secret=id=ca,"src={tmp_path}/with, comma"' in argv


def test_an_engine_without_an_answer_is_the_operators(
    play: Callable[[str], Buildx], context: BuildContext, tmp_path: Path
) -> None:
    docker = play("import sys; sys.exit('ERROR: Cannot connect to the Docker daemon')")
    with pytest.raises(SettingsError, match="Cannot connect"):
        docker.build(context, tmp_path / "image.tar", print, timeout=30)
    assert "Cannot connect" in docker.available()
    assert not (tmp_path / "image.tar").exists()


def test_without_docker_it_says_so(builder_settings: BuilderSettings) -> None:
    docker = Buildx(replace(builder_settings, docker=("/no/docker",)))
    assert "/no/docker" in docker.available()


def test_the_time_limit_is_the_contributors(
    play: Callable[[str], Buildx], context: BuildContext, tmp_path: Path
) -> None:
    with pytest.raises(EntryError, match="within 1 seconds"):
        play("import time; time.sleep(60)").build(
            context, tmp_path / "image.tar", print, timeout=1.0
        )
    assert not list(tmp_path.glob(".buildx-*"))


def test_a_missing_digest_is_noticed(
    play: Callable[[str], Buildx], context: BuildContext, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="digest"):
        play("").build(context, tmp_path / "image.tar", print, timeout=30)


def test_backends_are_found_by_name(builder_settings: BuilderSettings) -> None:
    assert {name: backend(replace(builder_settings, backend=name)).name for name in BACKENDS} == {
        name: name for name in BACKENDS
    }
    with pytest.raises(SettingsError, match="buildx"):
        backend(replace(builder_settings, backend="kaniko"))


@pytest.mark.engine
def test_a_failing_step_is_quoted(
    real_settings: Callable[..., BuilderSettings],
    busybox_base: Path,
    context: BuildContext,
    tmp_path: Path,
) -> None:
    settings = real_settings(busybox_base)
    docker = Buildx(settings)
    assert docker.available() == ""
    recipe = "FROM base\nRUN echo one; echo 'tool: error: no such thing' >&2; exit 3\n"
    lines: list[str] = []
    wrong = replace(context, recipe=recipe, base=settings.base, secrets={})
    with pytest.raises(EntryError, match="tool: error: no such thing") as caught:
        docker.build(wrong, tmp_path / "image.tar", lines.append, timeout=60)
    assert "RUN echo one" in caught.value.hint
    assert "one" in lines
    assert not (tmp_path / "image.tar").exists()


@pytest.mark.engine
def test_secrets_are_seen_but_not_kept(
    real_settings: Callable[..., BuilderSettings],
    busybox_base: Path,
    context: BuildContext,
    tmp_path: Path,
) -> None:
    settings = real_settings(busybox_base)
    word = f"word-{time.time_ns()}-{os.getpid()}"
    (tmp_path / "with, comma").write_text(word)
    recipe = f'FROM base\nRUN --mount=type=secret,id=ca test "$(cat /run/secrets/ca)" = {word}\n'
    recipe = recipe.replace(word, f"$(echo {word[::-1]} | rev)")
    Buildx(settings).build(
        replace(context, recipe=recipe, base=settings.base),
        tmp_path / "image.tar",
        print,
        timeout=60,
    )
    assert word.encode() not in (tmp_path / "image.tar").read_bytes()
