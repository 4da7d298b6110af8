"""What every image builder does, with real programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends import BACKENDS
from builder.backends.seams import BuildContext, Built, ImageBuilder
from builder.process import CancelledError
from ci.errors import EntryError
from hooks.testbed.setup import Tools

pytestmark = pytest.mark.engine

EACH = pytest.mark.parametrize("name", list(BACKENDS))
MakeBuilder = Callable[[str], ImageBuilder]
MakeContext = Callable[..., BuildContext]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that images are built in."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def named(text: str) -> list[int]:
    """The processes in whose command line the text is."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return [pid for pid in found if pid != os.getpid()]


def none_left(text: str) -> bool:
    end = time.monotonic() + 20
    while named(text):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@EACH
def test_it_can_work_here(name: str, real_builder: MakeBuilder) -> None:
    assert real_builder(name).available() == ""


@EACH
def test_files_and_steps_are_in_the_image(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    lines: list[str] = []
    context = context_of("echo heard; echo made > /made", checks=("test -s /step/a",))
    built = real_builder(name).build(context, out, lines.append, timeout=120)
    files = files_of(built)
    assert files["step/a"] == b"content of a"
    assert files["made"] == b"made\n"
    assert "heard" in lines
    assert list(out.iterdir()) == [built.path]
    assert built.form == "sandbox" or re.fullmatch("sha256:[0-9a-f]{64}", built.digest)


@EACH
def test_a_failing_step_is_quoted_and_leaves_nothing(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    context = context_of("echo one", "echo 'tool: error: no such thing' >&2", "echo last", "exit 3")
    with pytest.raises(EntryError, match="tool: error: no such thing") as caught:
        real_builder(name).build(context, out, print, timeout=120)
    assert "exit 3" in caught.value.hint
    assert not list(out.iterdir())


@EACH
def test_a_failing_test_leaves_nothing(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    context = context_of("echo x > /made", checks=("cat /made", "echo 'error: bad image'; exit 1"))
    lines: list[str] = []
    with pytest.raises(EntryError, match="error: bad image"):
        real_builder(name).build(context, out, lines.append, timeout=120)
    assert "x" in lines
    assert not list(out.iterdir())


@EACH
def test_tests_have_no_network_but_themselves(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    lines: list[str] = []
    context = context_of(checks=("cat /proc/net/dev",))
    real_builder(name).build(context, out, lines.append, timeout=120)
    devices = [line.partition(":")[0].strip() for line in lines if re.match(r" *\w+: +\d", line)]
    assert devices == ["lo"], lines


@EACH
def test_secrets_are_seen_but_not_kept(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path, tmp_path: Path
) -> None:
    word = f"word-{os.getpid()}-{time.time_ns()}"
    secret = tmp_path / "with, comma"
    secret.write_text(word)
    lines: list[str] = []
    context = context_of('echo "$(rev /run/secrets/ca)"', secrets={"ca": secret})
    built = real_builder(name).build(context, out, lines.append, timeout=120)
    assert word[::-1] in lines, lines
    kept = [built.path] if built.path.is_file() else [p for p in out.rglob("*") if p.is_file()]
    assert not [path for path in kept if word.encode() in path.read_bytes()]


@EACH
def test_labels_are_in_the_image_as_they_are(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path, tmp_path: Path
) -> None:
    hit = tmp_path / "hit"
    value = f"`touch {hit}` ; touch {hit} | touch {hit} & x , 'y' > z"
    context = replace(context_of(), labels={"org.hpcwaas.content-key": value})
    built = real_builder(name).build(context, out, print, timeout=120)
    assert value in labels_of(built).values()
    assert not hit.exists()


@EACH
def test_names_of_files_reach_no_shell(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path, tmp_path: Path
) -> None:
    names = ["$(touch hit)", "; touch hit", "-rf", "a b", "it's", "новый", "*", "%files", "a,b=c"]
    for hostile in names:
        (tmp_path / "step" / hostile).write_text(hostile)
    files = files_of(real_builder(name).build(context_of(), out, print, timeout=120))
    assert {files[f"step/{hostile}"].decode() for hostile in names} == set(names)


@EACH
def test_a_build_is_cancelled_within_seconds(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    seconds = str(100_000 + os.getpid())
    begun, stop = threading.Event(), threading.Event()
    context = context_of("echo begun", f"sleep {seconds}")

    def log(line: str) -> None:
        if line == "begun":
            begun.set()
            stop.set()

    with pytest.raises(CancelledError):
        real_builder(name).build(context, out, log, timeout=120, cancelled=stop.is_set)
    assert begun.is_set()
    assert none_left(f"sleep\0{seconds}")
    assert not list(out.iterdir())


ALONE = """
import sys, threading
from pathlib import Path
from builder.backends import BACKENDS
from builder.backends.seams import BuildContext
from builder.recipe.model import IMAGE, Recipe, Run, Stage
from builder.settings import BuilderSettings
name, base, out, work, apptainer, seconds = sys.argv[1:]
settings = BuilderSettings(base, "", Path(work), Path(work), str, apptainer=(apptainer,))
recipe = Recipe((Stage(IMAGE, (Run(("echo begun", f"sleep {seconds}")),)),), 1)
context = BuildContext(recipe, {}, base, "linux/amd64")
tell = lambda line: print(line, flush=True)
BACKENDS[name](settings).build(context, Path(out), tell, timeout=60)
"""


@EACH
def test_nothing_goes_on_when_we_are_killed(
    name: str,
    programs: Callable[[str], dict[str, str]],
    testbed_tools: Tools,
    context_of: MakeContext,
    real_builder: MakeBuilder,
    out: Path,
    tmp_path: Path,
) -> None:
    seconds = str(300_000 + os.getpid())
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    argv = [name, context_of().base, str(out), str(work), str(testbed_tools.apptainer), seconds]
    with subprocess.Popen(
        [sys.executable, "-c", ALONE, *argv],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **programs(name), "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as ours:
        assert ours.stdout is not None
        assert any(line == "begun\n" for line in ours.stdout)
        ours.send_signal(signal.SIGKILL)
    assert none_left(f"sleep\0{seconds}")
    assert [path for path in out.iterdir() if not path.name.startswith(".")] == []
    real_builder(name).build(context_of(), out, print, timeout=120)
    mounted = Path("/proc/self/mounts").read_text()
    assert str(tmp_path) not in mounted
    rooms = work / "buildah" / "rooms"
    assert not rooms.exists() or not list(rooms.iterdir())


@EACH
def test_the_time_limit_is_the_contributors(
    name: str, real_builder: MakeBuilder, context_of: MakeContext, out: Path
) -> None:
    seconds = str(200_000 + os.getpid())
    with pytest.raises(EntryError, match="time limit"):
        real_builder(name).build(context_of(f"sleep {seconds}"), out, print, timeout=6)
    assert none_left(f"sleep\0{seconds}")
    assert not list(out.iterdir())


def labels_of(built: Built) -> dict[str, str]:
    """Return the labels of an image."""
    if built.form == "sandbox":
        return dict(json.loads((built.path / ".singularity.d/labels.json").read_text()))
    with tarfile.open(built.path) as archive:

        def read(name: str) -> dict[str, object]:
            found = archive.extractfile(name)
            assert found is not None
            return dict(json.load(found))

        def blob(descriptor: object) -> dict[str, object]:
            return read(f"blobs/{descriptor['digest'].replace(':', '/')}")  # type: ignore[index]

        manifest = blob(read("index.json")["manifests"][0])  # type: ignore[index]
        return dict(blob(manifest["config"])["config"]["Labels"])  # type: ignore[index]


def files_of(built: Built) -> dict[str, bytes]:
    """Return the regular files of an image: path → content."""
    if built.form == "sandbox":
        found = (path for path in built.path.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(built.path)): path.read_bytes() for path in found}
    files = {}
    with tarfile.open(built.path) as archive:
        for name in archive.getnames():
            blob = archive.extractfile(name) if name.startswith("blobs/sha256/") else None
            if blob is None:
                continue
            try:
                with tarfile.open(fileobj=blob) as layer:
                    members = [m for m in layer if m.isreg()]
                    for member in members:
                        content = layer.extractfile(member)
                        assert content is not None
                        files[member.name.removeprefix("./")] = content.read()
            except tarfile.ReadError:
                continue  # a manifest or a configuration
    return files
