"""The service as a process of its own, which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from ci.errors import SettingsError
from hooks.cli.client import Client
from hooks.config import Settings

START_SECONDS = 30.0


class Service:
    """``waas serve`` on a service home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.home / "logs" / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ``SettingsError`` with its last words."""
        argv = [sys.executable, "-m", "hooks.cli.main", "--config"]
        argv += [str(self.settings.home / "waas.yaml"), "serve", "--log-file", str(self.log)]
        with open(self.log.with_suffix(".err"), "ab") as errors:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=dict(os.environ)
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                words = self.log.with_suffix(".err").read_text(errors="replace").strip()
                raise SettingsError(f"the service did not start: {words[-500:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.settings.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False


class PatientClient:
    """A client that goes on asking while the service is being restarted."""

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(url, token)

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer, at the latest a minute after the service is back."""
        return self.call(method, path, **options).json()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """The answer, likewise."""
        from ci.errors import SiteError

        until = time.monotonic() + 60
        while True:
            try:
                return self._client.call(method, path, **options)
            except SiteError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def last_errors(log: Path, count: int = 5) -> list[str]:
    """The last lines of a log that are no mere information."""
    if not log.exists():
        return []
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if '"level": "error"' in line][-count:]
