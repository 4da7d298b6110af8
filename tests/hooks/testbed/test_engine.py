import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ci.errors import SettingsError
from hooks.testbed.emulator import ensure_emulator
from hooks.testbed.engine import Engine
from hooks.testbed.setup import Tools, become_root

pytestmark = pytest.mark.engine


@pytest.fixture
def own_tools(testbed_tools: Tools, tmp_path: Path) -> Tools:
    """Tools with a cache of their own, so that their engine is not the one other tests share."""
    return replace(testbed_tools, cache=tmp_path)


def processes(engine: Engine) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(engine.folder) in command:
            found.append(command)
    return found


def leaves_nothing(engine: Engine) -> bool:
    mounts = Path("/proc/self/mountinfo").read_text()
    return not processes(engine) and str(engine.folder) not in mounts and not engine.folder.exists()


def test_an_image_is_built_from_a_layout(
    engine: Engine, busybox_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN echo made > /made\n")
    argv = ["docker", "buildx", "build", "--network=none", "--provenance=false"]
    argv += ["--build-context", f"base=oci-layout://{busybox_base}"]
    argv += ["--output", f"type=oci,dest={tmp_path / 'image.tar'}", str(tmp_path)]
    done = subprocess.run(
        argv, check=False, env={**os.environ, **engine.environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "image.tar") as archive:
        assert "oci-layout" in archive.getnames()


def test_the_last_of_its_users_ends_the_engine(own_tools: Tools) -> None:
    first, second = Engine(own_tools), Engine(own_tools)
    first.start()
    try:
        second.start()
        first.stop()
        assert second.answers()
    finally:
        first.stop()
        second.stop()
    assert not second.answers()
    assert leaves_nothing(second)


def test_an_engine_that_was_killed_is_replaced(own_tools: Tools) -> None:
    with Engine(own_tools) as engine:
        keeper = int((engine.folder / "keeper").read_text().split()[0])
        os.kill(keeper, 9)
        while processes(engine):
            time.sleep(0.05)
        assert not engine.answers()
        engine.start()
        assert engine.answers()
    assert leaves_nothing(engine)


def test_a_user_that_was_killed_does_not_keep_the_engine_up(own_tools: Tools) -> None:
    program = """
import os, sys, pathlib
from ci.errors import SettingsError
from hooks.testbed.emulator import ensure_emulator
from hooks.testbed.engine import Engine
from hooks.testbed.setup import Tools, become_root
Engine(Tools(*map(pathlib.Path, sys.argv[1:]))).start()
os.kill(os.getpid(), 9)
"""
    tools = own_tools
    argv = [sys.executable, "-c", program, tools.cache, tools.apptainer_prefix, tools.engine]
    assert subprocess.run(argv, check=False).returncode == -9
    engine = Engine(own_tools)
    assert engine.answers()
    with engine:
        pass
    assert leaves_nothing(engine)


def test_the_socket_has_a_short_path_even_if_the_cache_has_a_long_one(
    testbed_tools: Tools, tmp_path: Path
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    engine = Engine(replace(testbed_tools, cache=deep))
    assert len(engine.docker_host.removeprefix("unix://")) < 108


def entries() -> list[str]:
    """What this machine has emulators for, whoever registered it."""
    script = "cd /proc/sys/fs/binfmt_misc && mount -t binfmt_misc binfmt_misc . && cd . && ls $PWD"
    argv = [*(become_root() or []), "unshare", "--mount", "sh", "-c", script]
    return subprocess.run(argv, capture_output=True, text=True).stdout.split()


def test_what_it_emulates_is_gone_with_the_engine(own_tools: Tools, testbed_tools: Tools) -> None:
    (own_tools.cache / "emulator").symlink_to(ensure_emulator(testbed_tools.cache).parent)
    with Engine(own_tools) as engine:
        engine.emulate()
        engine.emulate()
        assert engine.entry in entries()
    assert engine.entry not in entries()


def test_only_a_running_engine_emulates(own_tools: Tools, testbed_tools: Tools) -> None:
    (own_tools.cache / "emulator").symlink_to(ensure_emulator(testbed_tools.cache).parent)
    with pytest.raises(SettingsError, match="does not run"):
        Engine(own_tools).emulate()
