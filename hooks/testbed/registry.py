"""A throw-away OCI registry on the loopback interface: Debian's docker-registry, no service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ci.errors import SettingsError
from hooks.testbed.cache import make_once
from hooks.testbed.setup import Progress, run_script

_SCRIPT = Path(__file__).with_name("get-registry.sh")
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:[0-9]+)")
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
# bcrypt (crypt(5)), the only form that the registry takes; libcrypt by way of perl-base, which
# every Debian has: Python's own module `crypt` ends with 3.12
_HASH = "my $p = <STDIN>; chomp $p; print crypt($p, q($2b$05$) . q(abcdefghijklmnopqrstuu));"


def ensure_registry(cache: Path, progress: Progress = lambda _: None) -> Path:
    """Return the folder of a registry of our own, unpacked at first use (about 10 s)."""

    def make(part: Path) -> None:
        progress("fetching the registry")
        run_script(["bash", str(_SCRIPT), str(part)], "fetching the registry")

    return make_once(cache / "registry", make)


class Registry:
    """A registry whose data, settings and log are in one folder; it dies with its owner.

    With a ``user`` it wants that name and ``password`` (HTTP basic authentication). After
    ``stop`` it may be started again, at the same address and with the same data.
    """

    def __init__(self, program: Path, folder: Path, *, user: str = "", password: str = "") -> None:
        self._program = program / "usr" / "bin" / "docker-registry"
        self.folder = folder
        self._user, self._password = user, password
        self._process: subprocess.Popen[bytes] | None = None
        self._address = "127.0.0.1:0"  # the kernel chooses a port that is free

    @property
    def address(self) -> str:
        """Host and port."""
        return self._address

    @property
    def url(self) -> str:
        """Its address in the form that settings take."""
        return f"http://{self._address}"

    @property
    def pid(self) -> int:
        """The process, while it runs; else 0."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until it listens. Raises ``SettingsError`` if it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.yml").write_text(json.dumps(self._settings()), "utf-8")
        log = self.folder / "registry.log"
        argv = [*_dies_with_us(), str(self._program), "serve", str(self.folder / "config.yml")]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        end = time.monotonic() + _START_SECONDS
        while not (found := _LISTENING.search(log.read_text("utf-8", errors="replace"))):
            if self._process.poll() is not None or time.monotonic() > end:
                told = log.read_text("utf-8", errors="replace").strip().splitlines()
                self.stop()
                raise SettingsError(f"the registry did not start: {(told or ['no reason'])[-1]}")
            time.sleep(0.02)
        self._address = found[1]

    def stop(self) -> None:
        """End it; the data stay."""
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Registry:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _settings(self) -> dict[str, object]:
        """What the registry reads (https://distribution.github.io/distribution/about/configuration/).

        It is YAML there, of which JSON is a part.
        """
        settings: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self._address},
        }
        if self._user:
            names = self.folder / "htpasswd"
            names.write_text(f"{self._user}:{_hashed(self._password)}\n", "utf-8")
            settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(names)}}
        return settings


def _hashed(password: str) -> str:
    done = subprocess.run(
        ["perl", "-e", _HASH], input=password, capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout.startswith("$2b$"):
        raise SettingsError("this machine's perl cannot hash a password with bcrypt")
    return done.stdout


def _dies_with_us() -> list[str]:
    """What makes a program end when this process is killed (setpriv(1), prctl(2))."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
