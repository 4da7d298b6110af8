"""What is Buildah's own: an ordinary user, the storage driver, leftovers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.backends.buildah import Buildah
from builder.backends.buildah_store import BuildahStore
from builder.backends.seams import BuildContext
from builder.settings import BuilderSettings
from ci.errors import SettingsError

USER = 23456
# as root: a user that only this mount namespace knows; then build as that user
SETUP = """
set -e
for name in passwd group subuid subgid; do
  [ -e /etc/$name ] || exit 77
  mount --bind "$1/$name" /etc/$name
done
shift
exec "$@"
"""
AS_USER = """
import os, sys
from pathlib import Path
from builder.backends.buildah import Buildah
from builder.backends.seams import BuildContext
from builder.recipe.model import IMAGE, Copy, Recipe, Run, Stage
from builder.settings import BuilderSettings
base, home, user = sys.argv[1:]
os.setgroups([])
os.setresgid(*[int(user)] * 3)
os.setresuid(*[int(user)] * 3)
os.environ["HOME"] = home
home = Path(home)
(home / "step").mkdir()
(home / "step" / "a").write_text("1")
(home / "out").mkdir()
settings = BuilderSettings(base, "", home, home, str)
builder = Buildah(settings)
print("missing:", builder.available())
lines = ("id -u", "echo x > /file", "chown 33:33 /file", "stat -c 'owner %u' /file")
recipe = Recipe((Stage(IMAGE, (Copy("step/", "/step/"), Run(lines))),), 1)
context = BuildContext(recipe, {"step": home / "step"}, base, "linux/amd64")
built = builder.build(context, home / "out", print, timeout=60)
print("made by", built.path.stat().st_uid)
print("left:", *os.listdir(home / "buildah" / "rooms"))
"""


@pytest.fixture
def path_with(tmp_path: Path) -> Callable[..., str]:
    """``path_with(name=script)``: a PATH whose first programs these are."""

    def make(**scripts: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        return f"{folder}{os.pathsep}{os.environ['PATH']}"

    return make


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as an ordinary user already")
def test_an_ordinary_user_builds_without_root(
    programs: Callable[[str], dict[str, str]],
    context_of: Callable[..., BuildContext],
    tmp_path: Path,
) -> None:
    home, etc = tmp_path / "home", tmp_path / "etc"
    for folder in (home, etc):
        folder.mkdir()
    os.chown(home, USER, USER)
    for folder in (home, *home.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    (etc / "passwd").write_text(
        Path("/etc/passwd").read_text() + f"builder:x:{USER}:{USER}::{home}:/bin/sh\n"
    )
    (etc / "group").write_text(Path("/etc/group").read_text() + f"builder:x:{USER}:\n")
    for name in ("subuid", "subgid"):
        (etc / name).write_text("builder:400000:65536\n")
    argv = ["unshare", "--mount", "sh", "-c", SETUP, "sh", str(etc)]
    argv += [sys.executable, "-c", AS_USER, context_of().base, str(home), str(USER)]
    environment = {**os.environ, **programs("buildah")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    told = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"missing: ", "0", "owner 33", f"made by {USER}", "left:"} <= {
        line if line != "left: " else "left:" for line in told
    }


def test_what_is_missing_is_named(
    builder_settings: BuilderSettings, path_with: Callable[..., str]
) -> None:
    nothing = replace(builder_settings, environment={"PATH": "/nowhere"})
    assert "buildah" in Buildah(nothing).available()
    refused = path_with(unshare="echo 'unshare: Operation not permitted' >&2; exit 1", buildah="")
    told = Buildah(replace(builder_settings, environment={"PATH": refused})).available()
    assert "Operation not permitted" in told


def test_where_overlay_does_not_work_vfs_is_used(
    tmp_path: Path, path_with: Callable[..., str]
) -> None:
    folder = tmp_path / "buildah"
    folder.mkdir()
    works = path_with(unshare='while [ "$1" != -- ]; do shift; done; shift; "$@"', buildah="")
    assert BuildahStore(folder, {"PATH": works}).driver == "overlay"
    fails = path_with(buildah="exit 1")
    assert BuildahStore(folder, {"PATH": fails}).driver == "vfs"
    assert list(folder.iterdir()) == []


def test_rooms_of_builds_that_are_gone_are_removed_others_stay(tmp_path: Path) -> None:
    store = BuildahStore(tmp_path / "buildah", {})
    store.driver = "vfs"
    rooms = tmp_path / "buildah" / "rooms"
    (rooms / "left" / "store").mkdir(parents=True)
    with store.room():
        (first,) = rooms.iterdir()
        assert first.name != "left"
        with store.room():
            assert len(list(rooms.iterdir())) == 2
        assert list(rooms.iterdir()) == [first]
    assert list(rooms.iterdir()) == []


@pytest.mark.engine
def test_a_base_that_the_layout_does_not_hold_is_the_operators(
    programs: Callable[[str], dict[str, str]],
    builder_settings: BuilderSettings,
    context_of: Callable[..., BuildContext],
    tmp_path: Path,
) -> None:
    builder = Buildah(replace(builder_settings, environment=programs("buildah")))
    context = context_of()
    wrong = replace(context, base=context.base.partition("@")[0] + "@sha256:" + "0" * 64)
    (tmp_path / "out").mkdir()
    with pytest.raises(SettingsError, match="does not hold"):
        builder.build(wrong, tmp_path / "out", print, timeout=60)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.engine
def test_vfs_makes_the_same_files(
    programs: Callable[[str], dict[str, str]],
    builder_settings: BuilderSettings,
    context_of: Callable[..., BuildContext],
    tmp_path: Path,
) -> None:
    program = shutil.which("buildah", path=programs("buildah")["PATH"])
    settings = replace(builder_settings, environment=programs("buildah"))
    assert program
    builder = Buildah(settings)
    builder._store.driver = "vfs"
    (tmp_path / "out").mkdir()
    lines: list[str] = []
    built = builder.build(
        context_of("cat /step/a; echo"), tmp_path / "out", lines.append, timeout=60
    )
    assert "content of a" in lines
    assert built.path.exists()


@pytest.mark.engine
def test_a_variant_of_amd64_is_built_on_what_amd64_has(
    programs: Callable[[str], dict[str, str]],
    builder_settings: BuilderSettings,
    context_of: Callable[..., BuildContext],
    tmp_path: Path,
) -> None:
    builder = Buildah(replace(builder_settings, environment=programs("buildah")))
    (tmp_path / "out").mkdir()
    context = replace(context_of(), platform="linux/amd64/v3")
    assert builder.build(context, tmp_path / "out", print, timeout=60).digest
