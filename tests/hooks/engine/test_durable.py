"""Flows outlive their process: each test runs real worker processes on a real SQLite file.

Those of the engine's library that are its own on PostgreSQL are run there too.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from hooks.db import Database
from hooks.engine import durable
from hooks.engine.durable import pause_after

WORKER = """
    import sys, time, pathlib
    from ci.errors import EntryError, SiteError
    from hooks.engine import Cancelled, Engine, Stopping
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    engine = Engine(sys.argv[3], executor=name)

    def effect(step):
        with open(folder / "effects", "a") as f:
            f.write(step + "\\n")
        time.sleep(0.05)
        return step

    def site(step):
        if not (folder / "up").exists():
            raise SiteError("is down", site="alpha", transient=True)
        return effect(step)

    def wrong():
        raise EntryError("no such field", path="a.yaml", line=3, hint="correct it")

    def story(flow, payload):
        names = [flow.step(f"s{i}", effect, f"{flow.id}:s{i}") for i in range(payload["steps"])]
        child = flow.start_child("part", {"of": flow.id}, id=f"{flow.id}:part")
        return {"did": names, "part": child.result()}

    def part(flow, payload):
        return flow.step("p", effect, f"{flow.id}:p")

    def patient(flow, payload):
        try:
            flow.step("site", site, f"{flow.id}:site")
        except Cancelled:
            flow.step("clean-up", effect, f"{flow.id}:clean-up")

    def faulty(flow, payload):
        try:
            flow.step("wrong", wrong)
        except EntryError as error:
            flow.step("told", effect, f"{error} | {error.line}")

    def long(name):
        (folder / "begun").touch()
        while not (folder / "up").exists():
            time.sleep(0.02)
            if (folder / "stop").exists():
                raise Stopping
        return effect(name)

    def queued(flow, payload):
        flow.step("long", long, flow.id)

    def start(flow, id):
        engine.start(flow, {"of": id}, id=id, priority=2)

    def asking(flow, payload):
        for _ in range(2):  # as a step that runs again
            flow.step("ask", start, "part", "asked")
        flow.step("cancel", engine.cancel, "never-known")
        flow.step("state", engine.state, "asked")
        flow.step("told", effect, "asking")

    engine.register("queued", queued, at_once=1)
    engine.register("asking", asking)
    engine.register("story", story)
    engine.register("part", part, at_once=1)
    engine.register("patient", patient)
    engine.register("faulty", faulty)
    engine.launch()
    print("ready", flush=True)
    for line in sys.stdin:
        verb, flow, id, *more = line.split()
        if verb == "start":
            engine.start(flow, {"steps": 4}, id=id, priority=int(more[0]) if more else None)
        elif verb == "cancel":
            engine.cancel(id)
        else:
            (folder / "stop").touch()
            engine.stop()
            sys.exit()
        print("ok", flush=True)
"""


class Worker:
    def __init__(self, folder: Path, name: str = "one", url: str = "") -> None:
        self.folder = folder
        url = Database(url or f"sqlite:///{folder}/waas.db").url
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(folder), name, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().strip()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "ok"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def effects(folder: Path) -> list[str]:
    file = folder / "effects"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def states(folder: Path, url: str = "") -> set[str]:
    table = "dbos.workflow_status" if url else "workflow_status"
    with Database(url or f"sqlite:///{folder}/waas.db").session() as session:
        return set(session.scalars(sa.text(f"select status from {table}")))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the engine's tables are; nothing for the file that the others use too."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


def wait_for(condition: object, seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def test_every_step_is_done_although_the_worker_is_killed_again_and_again(tmp_path, workers, url):
    flows = [f"f{i}" for i in range(6)]
    wanted = {f"{f}:s{i}" for f in flows for i in range(4)} | {f"{f}:part:p" for f in flows}
    workers.append(Worker(tmp_path, url=url))
    for flow in flows:
        workers[-1].say(f"start story {flow}")
    kills = 0
    while set(effects(tmp_path)) != wanted:
        time.sleep(0.6)
        workers[-1].kill()
        kills += 1
        assert kills < 60
        workers.append(Worker(tmp_path, url=url))
    wait_for(lambda: states(tmp_path, url) == {"SUCCESS"})
    done = effects(tmp_path)
    # A kill between an effect and its record repeats that one effect: at most one per flow and kill
    assert len(done) - len(wanted) <= kills * len(flows)
    assert kills >= 2


def test_the_same_id_runs_once(tmp_path, workers):
    workers.append(Worker(tmp_path))
    for _ in range(5):
        workers[0].say("start story same")
    wait_for(lambda: "same:part:p" in effects(tmp_path))
    assert sorted(effects(tmp_path)) == ["same:part:p", *(f"same:s{i}" for i in range(4))]


def test_a_second_worker_takes_over_from_a_dead_one(tmp_path, workers, url):
    workers.append(Worker(tmp_path, "one", url))
    workers.append(Worker(tmp_path, "two", url))
    workers[0].say("start patient wait")
    wait_for(lambda: "PENDING" in states(tmp_path, url))
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
    workers.append(Worker(tmp_path, "three", url))
    (tmp_path / "up").touch()
    wait_for(lambda: effects(tmp_path) == ["wait:site"])


def test_two_workers_of_one_name_are_refused(tmp_path, workers, url):
    workers.append(Worker(tmp_path, "one", url))
    second = Worker(tmp_path, "one", url)
    second.process.wait(timeout=30)
    assert second.process.stderr is not None
    assert "already running" in second.process.stderr.read()
    second.kill()


def test_a_site_that_is_down_is_waited_for(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start patient p")
    time.sleep(2)
    assert effects(tmp_path) == []
    (tmp_path / "up").touch()
    wait_for(lambda: effects(tmp_path) == ["p:site"])


def test_a_cancel_ends_the_wait_and_the_flow_cleans_up(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start patient p")
    wait_for(lambda: "PENDING" in states(tmp_path))
    workers[0].say("cancel patient p")
    wait_for(lambda: effects(tmp_path) == ["p:clean-up"])


def test_an_error_crosses_a_step_with_its_place(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start faulty f")
    wait_for(lambda: effects(tmp_path) == ["a.yaml:3: no such field (correct it) | 3"])


def test_the_most_urgent_goes_first_and_of_equals_the_oldest(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start queued first 3")
    wait_for(lambda: "PENDING" in states(tmp_path))
    for name, priority in [("c", 3), ("a", 1), ("d", 3), ("b", 2), ("aa", 1)]:
        workers[0].say(f"start queued {name} {priority}")
    (tmp_path / "up").touch()
    wait_for(lambda: len(effects(tmp_path)) == 6)
    assert effects(tmp_path) == ["first", "a", "aa", "b", "c", "d"]


def test_a_step_may_start_and_cancel_other_flows(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start asking a")
    wait_for(lambda: sorted(effects(tmp_path)) == ["asked:p", "asking"])
    workers[0].say("cancel asking unknown")  # and nothing breaks


def test_a_stop_ends_a_long_step_unrecorded_and_it_goes_on_elsewhere(tmp_path, workers):
    workers.append(Worker(tmp_path))
    workers[0].say("start queued q 1")
    wait_for(lambda: "PENDING" in states(tmp_path))
    stdin = workers[0].process.stdin
    assert stdin is not None
    stdin.write("stop - -\n")
    stdin.flush()
    assert workers[0].process.wait(timeout=30) == 0  # although the step would have gone on
    assert states(tmp_path) == {"PENDING"}
    (tmp_path / "stop").unlink()
    (tmp_path / "up").touch()
    workers.append(Worker(tmp_path))
    wait_for(lambda: states(tmp_path) == {"SUCCESS"})
    assert effects(tmp_path) == ["q"]


def test_a_flow_whose_database_is_away_when_it_ends_is_recorded_later(
    tmp_path, workers, own_postgresql
):
    url = own_postgresql.url()
    workers.append(Worker(tmp_path, "one", url))
    workers[0].say("start queued q 1")
    wait_for((tmp_path / "begun").exists)
    own_postgresql.stop()
    (tmp_path / "up").touch()
    wait_for(lambda: effects(tmp_path) == ["q"])
    own_postgresql.start()
    wait_for(lambda: states(tmp_path, url) == {"SUCCESS"})
    assert effects(tmp_path) == ["q"]


def test_a_pickled_record_is_refused(tmp_path):
    code = (
        "import hooks.engine, dbos._serialization as s, pickle, base64\n"
        "try:\n    s.DefaultSerializer().deserialize(base64.b64encode(pickle.dumps(1)).decode())\n"
        "except ValueError as e:\n    print(e)\n"
    )
    env = dict(os.environ)
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert "refused" in out.stdout


def test_a_step_waits_for_a_database_that_is_away_also_if_that_cannot_be_told():
    def away(*_: object) -> None:
        raise OperationalError("select 1", {}, Exception("server closed the connection"))

    outcome = durable._guarded(away, (), away)
    assert outcome == {"transient": "the database does not answer: server closed the connection"}


def test_pauses_grow_to_half_a_minute_and_stay_there_for_days():
    assert [pause_after(n) for n in (0, 1, 2, 5, 6)] == [0.5, 1.0, 2.0, 16.0, 30.0]
    assert pause_after(10**6) == 30.0
