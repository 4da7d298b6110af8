"""Repositories that we serve stay small and can be pushed to, whatever was killed."""

import os
import subprocess
import time

import pytest

from ci.errors import EntryError
from ci.git.serving import tidy

OLD = time.time() - 2 * 86_400


@pytest.fixture
def pushed(tmp_path):
    """A bare repository that was pushed to many times, and what it has."""

    def git(*arguments):
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        done = subprocess.run(["git", *who, *arguments], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    bare, work = tmp_path / "bare.git", tmp_path / "work"
    git("init", "-q", "--bare", "-b", "main", str(bare))
    git("init", "-q", "-b", "main", str(work))
    for setting in ("receive.unpackLimit=1", "gc.auto=0"):
        git("-C", str(bare), "config", *setting.split("="))
    for number in range(6):
        git("-C", str(work), "commit", "-q", "--allow-empty", "-m", str(number))
        git("-C", str(work), "push", "-q", str(bare), f"HEAD:refs/heads/b{number}")
    return bare, lambda: git("-C", str(bare), "rev-list", "--all")


def test_many_pushes_become_few_packs_and_lose_nothing(pushed):
    bare, commits = pushed
    before = commits()
    assert len(list(bare.glob("objects/pack/*.pack"))) == 6
    for _ in range(2):
        tidy(bare)
        assert len(list(bare.glob("objects/pack/*.pack"))) < 3
        assert commits() == before


def test_what_killed_pushes_left_goes_and_what_goes_on_stays(pushed):
    bare, _ = pushed
    left = [bare / "objects" / "tmp_objdir-incoming-a", bare / "objects" / "incoming-b"]
    going_on = bare / "objects" / "tmp_objdir-incoming-c"
    for folder in (*left, going_on):
        (folder / "pack").mkdir(parents=True)
        (folder / "pack" / "tmp_pack_x").write_bytes(b"x")
    lock = bare / "refs" / "heads" / "b0.lock"
    lock.write_text("")
    for path in (*left, lock):
        os.utime(path, (OLD, OLD))
    tidy(bare)
    assert not lock.exists()
    assert [folder.exists() for folder in (*left, going_on)] == [False, False, True]


def test_a_damaged_repository_is_a_sentence(pushed):
    bare, _ = pushed
    for pack in bare.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"no pack")
    with pytest.raises(EntryError, match="cannot tidy bare"):
        tidy(bare)
