"""Locks: one holder at a time, whatever the name, and none that is dead."""

import os
import subprocess
import sys
import threading
import time

import pytest

from ci.errors import SiteError
from hooks.engine.locks import FileLocks, alone, locks_for

NAMES = ["w", "", ".", "..", "a/b", "/etc/passwd", "../../x", "ü" * 200, "a\x00b", "\ud800", "%2F"]


@pytest.fixture
def base(tmp_path) -> str:
    (tmp_path / "state").mkdir()
    return str(tmp_path / "state" / "waas.db")


def test_one_holds_a_lock_until_it_is_released(base):
    one, other = FileLocks(base), FileLocks(base)
    assert one.take("w")
    assert one.take("w")  # ours already
    assert not other.take("w")
    assert other.take("v")
    one.release("w")
    assert other.take("w")


def test_every_name_is_a_lock_of_its_own_in_the_same_folder(base, tmp_path):
    one, other = FileLocks(base), FileLocks(base)
    assert all(one.take(name) for name in NAMES)
    assert not any(other.take(name) for name in NAMES)
    assert len(list((tmp_path / "state").iterdir())) == len(NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_the_kernel_frees_the_lock_of_a_killed_process(base):
    code = "import sys; from hooks.engine.locks import FileLocks; l = FileLocks(sys.argv[1]);"
    code += "print(l.take('w'), flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, base],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ},
    )
    assert child.stdout.readline() == b"True\n"
    mine = locks_for(f"sqlite:///{base}")
    assert not mine.take("w")
    child.kill()
    child.communicate()
    assert mine.take("w")


def test_alone_waits_its_turn_or_says_who_is_in_the_way(base):
    url = f"sqlite:///{base}"
    again = alone(url, "w", busy="somebody is at it")
    with alone(url, "w"), pytest.raises(SiteError, match="somebody is at it") as told, again:
        pass
    assert told.value.transient
    with alone(url, "w", seconds=5):
        pass


def test_alone_waits_for_the_other_to_end(base):
    url, order = f"sqlite:///{base}", []
    taken = threading.Event()

    def first():
        with alone(url, "w"):
            taken.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait()
    with alone(url, "w", seconds=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
