"""Builds without an engine, as who runs the tests and, if that is root, as an ordinary user."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
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
    checks = ("test -e /out/made && ! test -s /run/secrets/ca && cat /proc/net/dev", "echo tested")
    built = builder.build(context(*script, checks=checks), folder, lines.append, timeout=60)
    assert (built.path, built.form) == (folder / "image", "sandbox")
    assert [path.name for path in folder.iterdir()] == ["image"]
    assert any("tested" in line for line in lines)
    devices = [line.split(":")[0].strip() for line in lines if re.match(r" *\w+: +\d", line)]
    assert devices == ["lo"]
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


ORDINARY = """
import sys
from dataclasses import replace
from pathlib import Path
from builder import sif
from builder.backends.apptainer import Apptainer
from builder.backends.seams import BuildContext
from builder.recipe.model import IMAGE, Copy, Recipe, Run, Stage
from builder.settings import BuilderSettings, resolve_base

folder, apptainer, owner = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(folder / "step").mkdir()
(folder / "step" / "data").write_text("data")
base, digest = resolve_base(f"oci-layout://{folder / 'base'}")
settings = BuilderSettings(base, digest, folder, folder, folder, apptainer=(apptainer,))
builder = Apptainer(settings)
assert builder.available() == "", builder.available()
lines = (f"chown {owner} /hello/data", "chmod 400 /hello/data", "mkdir -m 500 /shut",
         f"chown {owner} /shut", "cat /proc/self/uid_map > /numbers")
stage = Stage(IMAGE, (Copy("step/", "/hello/"), Run(lines)))
context = BuildContext(Recipe((stage,), 0), {"step": folder / "step"}, base, "linux/amd64")
(folder / "out").mkdir()
built = builder.build(context, folder / "out", print, timeout=60)
sif.convert(built, folder / "image.sif", settings, print)
print("numbers:", *(built.path / "numbers").read_text().split())
print("data:", (built.path / "hello" / "data").read_text())
"""


@pytest.fixture
def ordinary_folder(busybox_base: Path) -> Iterator[Path]:
    """A folder of an ordinary user's, with a base image in it."""
    with tempfile.TemporaryDirectory(prefix="hpcwaas-") as name:
        folder = Path(name)
        shutil.copytree(busybox_base, folder / "base")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
@pytest.mark.parametrize(
    ("numbers", "owner", "maps"),
    [
        ("", "0:0", ["0", "65534", "1"]),
        ("nobody:200000:65536", "7:7", ["0", "65534", "1", "1", "200000"]),
    ],
    ids=["alone", "with numbers"],
)
def test_an_ordinary_user_builds(
    builder: Apptainer,
    ordinary_folder: Path,
    tmp_path: Path,
    numbers: str,
    owner: str,
    maps: list[str],
) -> None:
    (tmp_path / "subid").write_text(f"{numbers}\n")
    (tmp_path / "program.py").write_text(ORDINARY)
    shutil.copy(tmp_path / "program.py", ordinary_folder)
    # /etc/subuid of our own, seen by these processes only
    script = (
        "mount --make-rprivate /; touch -a /etc/subuid /etc/subgid; file=$1; shift;"
        ' for name in subuid subgid; do mount --bind "$file" /etc/$name || exit; done; exec "$@"'
    )
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path / "subid")]
    argv += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    argv += [sys.executable, "program.py", str(ordinary_folder)]
    argv += [builder._settings.apptainer[0], owner]
    root = str(Path(__file__).parents[3])
    environ = {**os.environ, "PYTHONPATH": root, "HOME": str(ordinary_folder)}
    done = subprocess.run(argv, cwd=ordinary_folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = done.stdout.splitlines()[-2:]
    # the last number, of how many there are, is one too small in unshare(1) 2.38
    assert told[0].split()[: len(maps) + 1] == ["numbers:", *maps]
    assert told[1] == "data: data"
    assert not list((ordinary_folder / "out").glob(".apptainer-*"))
