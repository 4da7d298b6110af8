import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from ci.errors import SettingsError
from hooks.testbed.registry import Registry, ensure_registry
from hooks.testbed.setup import Tools

pytestmark = pytest.mark.engine


@pytest.fixture
def program(testbed_tools: Tools) -> Path:
    return ensure_registry(testbed_tools.cache)


def status(registry: Registry, **named: object) -> int:
    return requests.get(f"{registry.url}/v2/", timeout=10, **named).status_code


def test_it_answers_on_loopback_until_it_is_stopped(program: Path, tmp_path: Path) -> None:
    with Registry(program, tmp_path / "registry") as registry:
        assert registry.address.startswith("127.0.0.1:")
        assert status(registry) == 200
        process = registry.pid
    assert not Path(f"/proc/{process}").exists()
    with pytest.raises(requests.ConnectionError):
        status(registry)
    address = registry.address
    with registry:
        assert registry.address == address


def test_it_wants_the_password_that_it_was_given(program: Path, tmp_path: Path) -> None:
    with Registry(program, tmp_path / "registry", user="ada", password="secret") as registry:
        assert status(registry) == 401
        assert status(registry, auth=("ada", "wrong")) == 401
        assert status(registry, auth=("ada", "secret")) == 200


def test_it_dies_with_its_owner(program: Path, tmp_path: Path) -> None:
    text = """
import os, sys, pathlib
from hooks.testbed.registry import Registry
made = Registry(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
made.start()
print(made.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", text, program, tmp_path / "registry"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    end = time.monotonic() + 20
    while running(int(done.stdout)):
        assert time.monotonic() < end
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_one_that_cannot_start_says_why(program: Path, tmp_path: Path) -> None:
    with Registry(program, tmp_path / "one") as one:
        two = Registry(program, tmp_path / "two")
        two._address = one.address
        with pytest.raises(SettingsError, match="address already in use"):
            two.start()
    assert two.pid == 0
