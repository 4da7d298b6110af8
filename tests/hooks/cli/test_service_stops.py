"""``waas serve`` ends when it is asked to, whatever its flows are waiting for."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from hooks import home

ROOT = Path(__file__).parents[3]
PATIENCE = 60  # seconds


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_flow_that_waits_does_not_hold_up_the_end(tmp_path: Path) -> None:
    settings = home.make(tmp_path / "home", listen=f"127.0.0.1:{free_port()}")
    file = settings.home / "waas.yaml"
    programs = tmp_path / "bin"  # nothing that builds images
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "git")
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "hooks.cli.main", "--config", str(file), "serve"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, stdout=out, stderr=out, cwd=ROOT, env={**os.environ, "PATH": str(programs)}
        )
    try:
        end = time.monotonic() + PATIENCE
        while "plan waits" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
