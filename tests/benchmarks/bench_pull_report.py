"""How long until a pull request on GitHub has its first report, and how much memory that takes.

A registry of public size (20 workflows, of which all are at a site, and a catalogue of 120
packages, copies of those that come with the project) lies on the double of GitHub, which runs as
a process of its own and checks every request and answer against GitHub's description. Somebody
pushes a branch, and opens a pull request a moment later, one every few seconds: new workflows,
changed ones, wrong ones, some from forks, and changes of the catalogue. The time runs from just
before the pull request is opened, so the webhook is in it, until our comment with the verdict is
there. Images cost nothing; all else is as in service, the pace of our writes too: GitHub allows
one a second after a burst of 20, and a pull request whose images are built takes about ten.

The double answers faster than GitHub: WAAS_BENCH_LATENCY (0) seconds are added to each of its
answers. WAAS_BENCH_PULLS (40) pull requests, one every WAAS_BENCH_PACE (7) seconds. Prints
figures, asserts no time.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doubles.github import RemoteDouble
from front_door import CATALOGUE, SITE, SLUG, World, workflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

ROOT = Path(__file__).parents[2]
PULLS = int(os.environ.get("WAAS_BENCH_PULLS", "40"))
PACE = float(os.environ.get("WAAS_BENCH_PACE", "7"))
LATENCY = float(os.environ.get("WAAS_BENCH_LATENCY", "0"))
WORKFLOWS, PACKAGES = 20, 120
IDLE_SECONDS = 10.0
PUSHED_BEFORE = 1.5  # seconds from a push to its pull request
CHECK = "waas / validate"


def texts(folder: Path) -> dict[str, str]:
    """The files of a folder by path."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def registry() -> dict[str, str]:
    """The workflows of the project, and copies of them; all are to be at the site."""
    seed = ROOT / "workflow-registry"
    found = {"README.md": (seed / "README.md").read_text()}
    for number in range(WORKFLOWS):
        name = ("reduced_order_model", "minimal_workflow")[number % 2]
        found |= copied(name, name if number < 2 else f"{name}_{number}")
    return found


def copied(name: str, to: str) -> dict[str, str]:
    """The files of a workflow under another name."""
    found = {}
    for path, text in texts(ROOT / "workflow-registry" / name).items():
        if path == "waas.yaml":
            lines = [line for line in text.splitlines() if "sites:" not in line]
            text = "\n".join([*lines, f"sites: [{SITE}]", ""])  # noqa: PLW2901
        found[f"{to}/{path}"] = text.replace(f'workflow: "{name}"', f'workflow: "{to}"')
    return found


def catalogue() -> dict[str, str]:
    """The packages of the project, and copies of them."""
    seed = ROOT / "software-catalog"
    found = texts(seed)
    names = sorted(path.name for path in (seed / "packages").iterdir())
    for number in range(PACKAGES - len(names)):
        name = names[number % len(names)]
        own = name.title().replace("-", "")
        for path, text in texts(seed / "packages" / name).items():
            copy = text.replace(f"class {own}(", f"class {own}{number}(")
            found[f"packages/{name}-{number}/{path}"] = copy
    return found


def proposed(number: int) -> tuple[str, str, dict[str, str], str]:
    """The repository, who, the files, and the verdict that is due."""
    if number % 8 == 7:
        recipe = ROOT / "software-catalog" / "packages" / "py-pydmd" / "package.py"
        changed = recipe.read_text().replace("class PyPydmd(", f"class PyPydmdNew{number}(")
        return CATALOGUE, "ada", {f"packages/py-pydmd-new{number}/package.py": changed}, "success"
    if number % 4 == 1:
        name = f"reduced_order_model_{2 + number % 16 // 2 * 2}"
        path = f"{name}/simulate/src/heat.py"
        return SLUG, "ada", {path: f"{registry()[path]}\n# {number}\n"}, "success"
    if number % 4 == 2:
        wrong = copied("minimal_workflow", f"wrong_{number}")
        wrong[f"wrong_{number}/waas.yaml"] += "colour: blue\n"
        return SLUG, "ada", wrong, "failure"
    who = "grace" if number % 4 == 3 else "ada"
    return SLUG, who, workflow(f"waves_{number}"), "success"


@dataclass
class Opened:
    """A pull request, and when it had what; seconds since it was opened."""

    slug: str
    number: int
    head: str
    due: str
    report: float = 0.0
    verdict: float = 0.0


class Journal:
    """What the double writes down of each change, as it does."""

    def __init__(self, file: Path) -> None:
        self._file = file.open(encoding="utf-8")
        self._rest = ""

    def news(self) -> list[dict[str, Any]]:
        """What was written since."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        return [json.loads(line) for line in lines]

    def watch(self, one: Opened, login: str, begun: float, seconds: float = 60.0) -> None:
        """Note when a pull request has its report, and its verdict."""
        while not (one.report and one.verdict):
            now = time.perf_counter() - begun
            assert now < seconds, one
            for what in self.news():
                if what["what"] == "comment created" and what["by"] == login:
                    mine = (what["repository"], what["pull"]) == (one.slug, one.number)
                    one.report = one.report or (now if mine else 0.0)
                elif verdict_of(what, one.head):
                    one.verdict = one.verdict or now
            time.sleep(0.004)


def verdict_of(what: dict[str, Any], head: str) -> str:
    """The verdict on a commit, if this is one: by a check run, or by a status."""
    if what.get("name") == CHECK and what.get("head_sha") == head:
        return str(what.get("conclusion") or "")
    if what.get("context") == CHECK and what.get("sha") == head and what["state"] != "pending":
        return str(what["state"])
    return ""


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Any]:
    with (tmp_path / "double.log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.doubles.github", "--state", str(tmp_path / "double")],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
        assert process.stdout
        try:
            yield RemoteDouble(process.stdout.readline().decode().strip())
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@pytest.mark.parametrize("kind", ["app", "token"])
def test_opened_until_reported(tmp_path: Path, double: Any, kind: str) -> None:
    files = {SLUG: registry(), CATALOGUE: catalogue()}
    world = World(tmp_path, double, as_app=kind == "app", files=files)
    for slug in (SLUG, CATALOGUE):
        double.give(slug, "ada", "write")
        double.contributor(slug, "grace")
        double.fork(slug, "grace")
    try:
        world.start()
        settled(world)
        world.stop()
        show_idle(world)
        world.start()
        time.sleep(IDLE_SECONDS)
        before, asked = resident(world.processes["serve"].pid), len(double.asked())
        found = run(world, Journal(tmp_path / "double" / "journal.jsonl"))
        time.sleep(IDLE_SECONDS)
        after = resident(world.processes["serve"].pid)
        check(world, found)
    finally:
        world.stop()
    writes = [a for a in double.asked()[asked:] if not a.startswith("GET")]
    show(kind, found)
    print(f"  {len(double.asked()) - asked} requests, {len(writes)} of them writes")
    print(f"  memory: {before:.0f} MiB before the pull requests, {after:.0f} MiB after them")
    assert double.violations == []


def settled(world: World) -> None:
    """Wait until all that main has is at the site, and GitHub was told."""
    names = {path.partition("/")[0] for path in registry() if "/" in path}
    world.until(lambda: all(world.current(name) for name in names), "all is deployed", 300)
    told = -1
    while told != len(world.double.asked()) or len(world.double.effects(SLUG)["deployments"]) < len(
        names
    ):
        told = len(world.double.asked())
        time.sleep(5)


def run(world: World, journal: Journal) -> list[Opened]:
    """Open the pull requests, one after the other."""
    if LATENCY:
        for match in ("* /repos/*", "GIT /*"):
            world.double.fail(match, times=10**9, how="slow", seconds=LATENCY)
    journal.news()
    found, begun = [], time.perf_counter()
    for number in range(PULLS):
        time.sleep(max(0.0, begun + number * PACE - time.perf_counter()))
        slug, who, files, due = proposed(number)
        is_fork, branch = who == "grace", f"topic-{number}"
        source = f"grace/{slug.partition('/')[2]}" if is_fork else slug
        head = world.double.push(source, branch, who, files)
        time.sleep(PUSHED_BEFORE)
        opened = time.perf_counter()
        pull = world.double.open_pull(slug, branch, f"Topic {number}", who, fork=is_fork)
        found.append(Opened(slug, pull, head, due))
        journal.watch(found[-1], world.login, opened)
    world.double.heal()
    return found


def check(world: World, found: list[Opened]) -> None:
    """Each has one comment, and the verdict that is due."""
    for one in found:
        pull = world.pull(one.number, one.slug)
        assert pull["checks"][CHECK] == one.due, (one, world.report(one.number, one.slug))
        assert len(pull["comments"]) == 1, pull


def show(kind: str, found: list[Opened]) -> None:
    print(f"\nas {kind}: {len(found)} pull requests, one every {PACE:g} s", end="")
    print(f", {LATENCY:g} s added to each answer" if LATENCY else "")
    for what in ("report", "verdict"):
        seconds = sorted(getattr(one, what) for one in found)
        p50, p95 = (seconds[int(len(seconds) * part)] for part in (0.5, 0.95))
        print(f"  opened → {what:8s} p50 {p50:.2f} s, p95 {p95:.2f} s, longest {seconds[-1]:.2f} s")


def show_idle(world: World) -> None:
    """Memory of ``waas serve`` itself, without the changes of tests, when all is done."""
    argv = [sys.executable, "-m", "hooks.cli.main", "--config"]
    log = world.log("idle")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*argv, str(world.settings.home / "waas.yaml"), "serve"], stdout=out, stderr=out
        )
    world.processes["serve"] = process
    try:
        world.until(world.answers, "the service answers", 60)
        time.sleep(IDLE_SECONDS)
        memory = resident(process.pid)
        print(f"\nwaas serve, idle {IDLE_SECONDS:g} s after its start: {memory:.0f} MiB")
    finally:
        process.kill()
        process.wait()


def resident(process: int) -> float:
    """MiB of resident memory, with all processes that it started."""
    kib = 0
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            kib = int(line.split()[1])
    children = Path(f"/proc/{process}/task").glob("*/children")
    return kib / 1024 + sum(
        resident(int(child)) for file in children for child in file.read_text().split()
    )
