"""A service that is killed in each phase of a build: the build ends all the same, once."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hooks import home
from hooks.db import Database
from hooks.tokens import Tokens

SERVICE = Path(__file__).with_name("slow_service.py")
STEPS = [f"s{n}" for n in range(14)]
MACHINE = {"platform": "linux/amd64", "architecture": "x86_64", "container_engine": "singularity"}


class World:
    """A service home, its process, and a user."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for step in STEPS:
            place = folder / "seeds" / "workflow-registry" / "w" / step
            place.mkdir(parents=True)
            (place / "name.txt").write_text(step)
            (place / "eflows4hpc.yaml").write_text("apt: []\n")
        (folder / "seeds" / "software-catalog").mkdir()
        (folder / "seeds" / "software-catalog" / "README.md").write_text("start\n")
        monkeypatch.setattr(home, "seeds", lambda: folder / "seeds")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.settings = home.make(folder / "home", listen=f"127.0.0.1:{port}")
        self.control = folder / "control"
        self.control.mkdir()
        tokens = Tokens(Database(self.settings.database))
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = ("alice", tokens.create("alice")[1])
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        argv = [sys.executable, str(SERVICE), str(self.settings.home / "waas.yaml")]
        with open(self.settings.home / "logs" / "out", "ab") as out:
            self.process = subprocess.Popen(
                [*argv, str(self.control)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.until(self.answers, "the service answers")

    def answers(self) -> bool:
        try:
            return self.session.get(f"{self.settings.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def kill(self, number: int = signal.SIGKILL, seconds: float = 30) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(seconds)

    def until(self, done, what: str, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not done():
            log = self.settings.home / "logs" / "out"
            runs = self.process is not None and self.process.poll() is None
            assert runs, log.read_text()[-3000:]
            assert time.monotonic() < limit, f"{what}: {log.read_text()[-3000:]}"
            time.sleep(0.05)

    def ask(self, step: str, **more: object) -> str:
        body = {"machine": MACHINE, "workflow": "w", "step_id": step, **more}
        answer = self.session.post(f"{self.settings.url}/image_creation/build", json=body)
        assert answer.ok, answer.text
        name: str = answer.json()["id"]
        return name

    def status(self, build: str) -> dict[str, str]:
        found: dict[str, str] = self.session.get(f"{self.settings.url}/build/{build}").json()
        return found

    def finished(self, build: str) -> None:
        done = ("FINISHED", "FAILED")
        self.until(lambda: self.status(build)["status"] in done, f"{build} ends")
        found = self.status(build)
        assert found["status"] == "FINISHED", found

    def effects(self) -> list[str]:
        file = self.control / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def hold(self, phase: str) -> None:
        (self.control / f"at-{phase}").unlink(missing_ok=True)
        (self.control / f"hold-{phase}").touch()

    def reached(self, phase: str) -> None:
        self.until((self.control / f"at-{phase}").exists, f"{phase} is reached")

    def go_on(self, phase: str) -> None:
        (self.control / f"hold-{phase}").unlink()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = World(tmp_path_factory.mktemp("builds"), monkeypatch)
        yield made
        if made.process is not None and made.process.poll() is None:
            made.kill()


@pytest.fixture(autouse=True)
def clear(world: World) -> Iterator[None]:
    """Each test begins with a service that runs and is held nowhere."""
    if world.process is None or world.process.poll() is not None:
        world.start()
    yield
    for file in world.control.glob("hold-*"):
        file.unlink()


@pytest.mark.xdist_group("builds-killed")
class TestBuildsKilled:
    @pytest.mark.parametrize(
        ("phase", "step", "built"),
        [
            ("STARTED", "s0", 2),
            ("BUILDING", "s1", 2),
            ("CONVERTING", "s2", 2),
            ("PUBLISHED", "s3", 1),
        ],
    )
    def test_a_build_goes_on_after_a_kill_in_any_phase(self, world, phase, step, built):
        world.hold(phase)
        build = world.ask(step)
        world.reached(phase)
        if phase != "PUBLISHED":
            world.until(lambda: world.status(build)["status"] == phase, f"{phase} is told")
        world.kill()
        world.go_on(phase)
        world.start()
        world.finished(build)
        assert world.effects().count(f"build {step}") == built
        found = world.status(build)
        url = f"{world.settings.url}/images/download/{found['filename']}"
        assert world.session.get(url).content == f"SIF of {step}".encode()
        parts = world.settings.images / ".parts"
        assert list(parts.iterdir()) == []
        # neither the key nor the queue is blocked
        assert world.status(world.ask(step))["status"] == "FINISHED"
        world.finished(world.ask(step, force=True))
        assert world.effects().count(f"build {step}") == built + 1

    def test_one_that_waits_its_turn_is_not_forgotten(self, world):
        world.hold("BUILDING")
        builds = [world.ask(step) for step in ("s4", "s5")]
        world.reached("BUILDING")
        states = lambda: [world.status(build)["status"] for build in builds]  # noqa: E731
        world.until(lambda: states() == ["BUILDING", "PENDING"], "one builds, one waits")
        world.kill()
        world.go_on("BUILDING")
        world.start()
        for build in builds:
            world.finished(build)

    def test_a_stop_does_not_wait_for_a_build_which_goes_on_at_the_next_start(self, world):
        world.hold("BUILDING")
        build = world.ask("s6")
        world.reached("BUILDING")
        world.kill(signal.SIGTERM)  # ends by itself, while it is held
        world.go_on("BUILDING")
        world.start()
        world.finished(build)

    def test_a_cancel_ends_what_runs_and_the_next_begins(self, world):
        world.hold("BUILDING")
        first, second = world.ask("s7"), world.ask("s8")
        world.reached("BUILDING")
        answer = world.session.delete(f"{world.settings.url}/builds/{first}")
        assert answer.json()["state"] == "CANCELLED"
        world.until(lambda: "cancelled" in world.effects(), "the build hears of it", 20)
        world.until(lambda: "build s8" in world.effects(), "the next begins", 20)
        world.go_on("BUILDING")
        world.finished(second)
        again = world.ask("s7")
        assert again != first
        world.finished(again)

    def test_a_hundred_at_once_are_one_build(self, world):
        ids: list[str] = []
        barrier = threading.Barrier(100)

        def ask() -> None:
            barrier.wait()
            ids.append(world.ask("s9"))

        threads = [threading.Thread(target=ask) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 100
        for build in set(ids):
            world.finished(build)
        assert world.effects().count("build s9") == 1

    def test_the_command_line_follows_a_build_through_a_kill(self, world):
        world.hold("CONVERTING")
        build = world.ask("s10")
        config = ["--config", str(world.settings.home / "waas.yaml")]
        follow = subprocess.Popen(
            [sys.executable, "-m", "hooks.cli.main", *config, "builds", "logs", "-f", build],
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        world.reached("CONVERTING")
        log = f"{world.settings.url}/builds/{build}/log"
        told = lambda: [x["content"] for x in world.session.get(log).json()["lines"]]  # noqa: E731
        world.until(lambda: told() == ["building", "converting"], "the log is written")
        world.kill()
        world.go_on("CONVERTING")
        world.start()
        said, _ = follow.communicate(timeout=60)
        assert follow.returncode == 0
        lines = [line[10:] for line in said.splitlines()]
        anew = "the service was started again: the build begins anew"
        assert lines[:-1] == ["building", "converting", anew, "building", "converting"]
        assert said.splitlines()[-1] == "FINISHED"
