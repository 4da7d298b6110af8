"""Builds without an engine, as who runs the tests and, if that is root, as an ordinary user."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder import sif
from builder.backends.apptainer import Apptainer
from builder.backends.seams import BuildContext
from builder.process import CancelledError
from builder.recipe.model import IMAGE, Copy, Env, Label, Recipe, Run, Stage
from builder.settings import BuilderSettings, resolve_base
from builder.supply.inventory import inventory
from ci.errors import EntryError, SettingsError

NOBODY = 65534
Make = Callable[..., BuildContext]


@pytest.fixture
def builder(apptainer: Path, builder_settings: BuilderSettings) -> Apptainer:
    made = Apptainer(replace(builder_settings, apptainer=(str(apptainer),)))
    missing = made.available()
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return made


@pytest.fixture
def context(busybox_base: Path, tmp_path: Path) -> Make:
    """Make a build of the step `hello` with these scripts."""
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "data").write_text("data of the step")
    (tmp_path / "with: colon,").write_text("the secret")

    def make(*lines: str, checks: tuple[str, ...] = ()) -> BuildContext:
        first = Stage("builder", (Run(("mkdir /out", "echo made > /out/made")),))
        last = Stage(
            IMAGE,
            (
                Copy("/out/", "/out/", stage="builder"),
                Copy("step/", "/hello/"),
                Env("X", "1"),
                Label("of.recipe", "yes"),
                Run(lines),
            ),
        )
        tests = tuple(Run((check,), network=False, user=str(NOBODY)) for check in checks)
        return BuildContext(
            recipe=Recipe((first, last), 1704067200, checks=tests),
            files={"step": tmp_path / "step"},
            base=resolve_base(f"oci-layout://{busybox_base}")[0],
            platform="linux/amd64",
            labels={"org.hpcwaas.content-key": "f" * 64},
            secrets={"ca": tmp_path / "with: colon,"},
        )

    return make


def test_a_folder_is_built_and_becomes_a_file(
    builder: Apptainer, context: Make, tmp_path: Path, apptainer: Path
) -> None:
    script = (
        'test "$(cat /run/secrets/ca)" = "the secret"',
        "chown 7:7 /hello/data; chmod 400 /hello/data; mkdir -m 500 /shut; touch /tmp/left",
        "cat /proc/self/uid_map > /numbers; ls /proc > /processes",
    )
    folder = tmp_path / "out"
    folder.mkdir()
    lines: list[str] = []
    checks = ("test -e /out/made && echo tested",)
    built = builder.build(context(*script, checks=checks), folder, lines.append, timeout=60)
    assert (built.path, built.form) == (folder / "image", "sandbox")
    assert [path.name for path in folder.iterdir()] == ["image"]
    assert any("tested" in line for line in lines)
    assert (built.path / "hello" / "data").read_text() == "data of the step"
    assert (built.path / "out" / "made").read_text() == "made\n"
    assert not list((built.path / "run").iterdir())
    assert not (built.path / "tmp" / "left").exists()
    assert str(os.getpid()) not in (built.path / "processes").read_text().split()
    assert (built.path / "numbers").read_text().split()[1] != "0"
    assert inventory(built.path).debian == ()
    settings = replace(builder._settings)
    wanted = {"org.hpcwaas.content-key": "f" * 64, "of.recipe": "yes"}
    sif.convert(built, tmp_path / "image.sif", settings, print, labels=wanted)
    argv = [apptainer, "exec", tmp_path / "image.sif", "sh", "-c", "echo $X; cat /hello/data"]
    told = subprocess.run(argv, capture_output=True, text=True).stdout
    assert told == "1\ndata of the step"


def test_the_first_error_of_a_script_is_quoted(
    builder: Apptainer, context: Make, tmp_path: Path
) -> None:
    script = ("echo one", "echo 'tool: error: no such thing' >&2", "mkdir -m 0 /shut", "false")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(EntryError, match="tool: error: no such thing") as caught:
        builder.build(context(*script), tmp_path, print, timeout=60)
    assert "false" in caught.value.hint
    assert sorted(tmp_path.iterdir()) == before


def test_a_failing_test_leaves_no_image(builder: Apptainer, context: Make, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    checks = ("echo 'error: test 1: not so'; exit 1",)
    with pytest.raises(EntryError, match="error: test 1: not so"):
        builder.build(context("true", checks=checks), tmp_path, print, timeout=60)
    assert sorted(tmp_path.iterdir()) == before


def test_a_cancelled_build_leaves_nothing(
    builder: Apptainer, context: Make, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    word = f"sleep 1000.{time.time_ns()}"
    began = threading.Event()

    def log(line: str) -> None:
        if "sleep" in line:
            began.set()

    with pytest.raises(CancelledError):
        builder.build(context(word), tmp_path, log, timeout=60, cancelled=began.is_set)
    assert sorted(tmp_path.iterdir()) == before
    assert word.encode() not in commands()


def test_the_time_limit_is_the_contributors(
    builder: Apptainer, context: Make, tmp_path: Path
) -> None:
    with pytest.raises(EntryError, match="time limit"):
        builder.build(context("sleep 1000"), tmp_path, print, timeout=1.5)
    assert not list(tmp_path.glob(".apptainer-*"))


def commands() -> bytes:
    told = b""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told += entry.read_bytes().replace(b"\0", b" ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return told


def test_what_cannot_be_built_here_is_said(
    builder: Apptainer, context: Make, tmp_path: Path
) -> None:
    foreign = replace(context("true"), platform="linux/s390x")
    missing = replace(context("true"), base=f"oci-layout://{tmp_path}@sha256:{'0' * 64}")
    with pytest.raises(SettingsError, match="not for linux/s390x"):
        builder.build(foreign, tmp_path, print, timeout=60)
    with pytest.raises(SettingsError, match="does not hold"):
        builder.build(missing, tmp_path, print, timeout=60)
    assert not list(tmp_path.glob(".apptainer-*"))


def test_without_the_program_it_says_so(builder_settings: BuilderSettings) -> None:
    missing = replace(builder_settings, apptainer=("/no/apptainer",))
    assert "/no/apptainer" in Apptainer(missing).available()
