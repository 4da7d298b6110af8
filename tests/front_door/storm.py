"""Weeks of a registry in minutes, while its processes are killed: then it is counted.

People open, push to, comment on, merge and close pull requests, and move the catalogue; webhooks
come twice, late, in any order or never, and are sent again; ``waas serve`` and ``waas work`` die
at random instants. At the end everything must be as if none of that had happened.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hooks.db import Database
from hooks.db.tables import Delivery, PullRequest

from .world import SLUG, World, workflow

CATALOGUE = "lab/software-catalog"
REGISTRY = "workflow-registry"  # our name of SLUG
PROCESSES = ("serve", "second")
_DEADLY = 0.25  # of the acts are followed by a death
_NAMES = tuple(f"w{n}" for n in range(12))


class SiteWatch:
    """Notes each time that a version of a workflow is made the one that serves at the site."""

    def __init__(self, place: Path) -> None:
        self._root = place / "deploy" / "workflows"
        self.seen: dict[str, list[tuple[int, str]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self._look()

    def _look(self) -> None:
        if not self._root.is_dir():
            return
        for folder in self._root.iterdir():
            try:
                link = folder / "current"
                now = (link.lstat().st_ino, os.readlink(link))
                changes = link.lstat().st_ino != now[0]  # just now: the next look sees it whole
            except OSError:
                continue
            if changes:
                continue
            known = self.seen.setdefault(folder.name, [])
            if not known or known[-1] != now:
                known.append(now)

    def twice(self) -> list[str]:
        """Workflows of which a version was put in place anew although it was there."""
        return [
            f"{name}: {after[1]}"
            for name, found in self.seen.items()
            for before, after in pairwise(found)
            if before[1] == after[1]
        ]

    def count(self) -> int:
        return sum(map(len, self.seen.values()))


@dataclass
class Storm:
    """What happened, and how often."""

    world: World
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    remarks: dict[int, tuple[int, str]] = field(default_factory=dict)  # comment: pull, text
    kills: Counter[str] = field(default_factory=Counter)
    redelivered: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.double = self.world.double
        self.open: dict[int, str] = {}  # pull request: branch
        self.count = 0

    # people

    def act(self) -> None:
        """Somebody does something."""
        acts = {
            self.opens: 5 if len(self.open) < 6 else 0,
            self.pushes: 3,
            self.comments: 4,
            self.merges: 6,
            self.closes: 1,
            self.moves_catalogue: 0.3,
        }
        [act] = self.random.choices(list(acts), list(acts.values()))
        act()

    def opens(self) -> None:
        self.count += 1
        name, branch = self.random.choice(_NAMES), f"topic-{self.count}"
        fork = self.random.random() < 0.3
        number = self.double.open_pull(
            SLUG, branch, f"Change {name}", "grace" if fork else "ada",
            files=workflow(name, f"{self.count}"), fork=fork,
        )  # fmt: skip
        self.open[number] = f"{'fork' if fork else 'ours'}:{branch}:{name}"
        self.done["opened"] += 1

    def pushes(self) -> None:
        if number := self._any():
            whose, branch, name = self.open[number].split(":")
            self.count += 1
            slug = f"grace/{SLUG.partition('/')[2]}" if whose == "fork" else SLUG
            login = "grace" if whose == "fork" else "ada"
            self.double.push(slug, branch, login, workflow(name, f"{self.count}"))
            self.done["pushed"] += 1

    def comments(self) -> None:
        if number := self._any():
            head = self.double.pull(SLUG, number)["head"]
            texts = ("/validate", "/plan", f"/build {head[:12]}", "/cancel", "/help", "/bild")
            text, login = self.random.choice(texts), self.random.choice(("ada", "maria", "grace"))
            comment = self.double.comment(SLUG, number, login, text)
            self.remarks[comment] = (number, text)
            self.done["commented"] += 1

    def merges(self) -> None:
        number = self._any()
        if number and self.world.verdict(number) == "success":
            method = self.random.choice(("merge", "squash", "rebase"))
            if self.double.merge(SLUG, number, "maria", method):
                del self.open[number]
                self.done["merged"] += 1

    def closes(self) -> None:
        if number := self._any():
            self.double.close(SLUG, number, "ada")
            del self.open[number]
            self.done["closed"] += 1

    def moves_catalogue(self) -> None:
        self.count += 1
        self.double.push(CATALOGUE, "main", "lab", {"README.md": f"{self.count}\n"})
        self.done["catalogue moved"] += 1

    def _any(self) -> int:
        return self.random.choice(sorted(self.open)) if self.open else 0

    # weather and death

    def redeliver(self, count: int) -> None:
        """Deliveries of the past come again."""
        known = [d["id"] for d in self.double.deliveries()[-400:]]
        for _ in range(count if known else 0):
            self.double.redeliver(self.random.choice(known))
            self.redelivered += 1

    def kill(self) -> None:
        """A process dies, and is started again at once."""
        name = self.random.choice(PROCESSES)
        self.world.kill(name)
        self.kills[name] += 1
        self.world.spawn(name)

    def rage(self, deliveries: int, kills: int, *, pace: float = 1.0) -> None:
        """Until that many were delivered and killed; ``pace`` in seconds between two acts."""
        self.double.weather(lost=0.05, failed=0.05, twice=0.3, delay=1.5)
        begun, delivered = time.monotonic(), 0
        for name in PROCESSES:
            self.world.spawn(name)
        while delivered < deliveries or sum(self.kills.values()) < kills:
            self.act()
            left = max(kills - sum(self.kills.values()), 1)
            if sum(self.kills.values()) < kills and self.random.random() < _DEADLY:
                self.kill()
            delivered = len(self.double.deliveries())
            more = max(deliveries - delivered, 0) * _DEADLY / left
            self.redeliver(min(int(self.random.random() * 2 * more + 0.5), 100))
            time.sleep(self.random.random() * 2 * pace)
        self.seconds = time.monotonic() - begun
        self.double.weather()

    # the count

    def calm(self, seconds: float = 300) -> None:
        """Wait until all is as it should be. Raises ``AssertionError`` with what is not."""
        self.world.start()
        for name in PROCESSES:
            self.world.spawn(name)
        assert self.double.idle()
        self.world.until(lambda: not self.wrong(), "all is done", seconds, self.wrong)

    def wrong(self) -> list[str]:
        """What is not yet as it should be."""
        found = [*self._pulls(), *self._remarks(), *self._deliveries(), *self._places()]
        return found[:10]

    def _pulls(self) -> list[str]:
        listed = self.world.get(f"/pulls?repository={REGISTRY}")["pulls"]
        rows = {pull["number"]: pull for pull in listed}
        found = []
        for number in self.open:
            seen = self.double.pull(SLUG, number)
            row, checks = rows.get(number), seen["checks"]
            if row is None or row["state"] != "OPEN" or row["head"] != seen["head"]:
                found.append(f"#{number}: {row}, but the head is {seen['head'][:10]}")
            elif checks.get("waas / validate") not in {"success", "failure"} or any(
                state in {"in_progress", "pending"} for state in checks.values()
            ):
                found.append(f"#{number}: {checks}")
        ended = {n: r["state"] for n, r in rows.items() if n not in self.open}
        return found + [f"#{n} is {state}" for n, state in ended.items() if state == "OPEN"]

    def _remarks(self) -> list[str]:
        """Of a pull request that was closed before we could see it nothing is known, or said."""
        with Database(self.world.settings.database).session() as session:
            of_ours = select(PullRequest.number).where(PullRequest.repository == REGISTRY)
            known = {*session.scalars(of_ours), *self.open}
        found = []
        shown = {}
        for comment, (number, text) in self.remarks.items():
            if number not in known:
                continue
            if number not in shown:
                seen = self.double.pull(SLUG, number)["comments"]
                shown[number] = {c["id"]: c["reactions"] for c in seen}
            if len(shown[number][comment]) != 1:
                found.append(f"{text!r} on #{number}: {shown[number][comment]}")
        return found

    def _deliveries(self) -> list[str]:
        with Database(self.world.settings.database).session() as session:
            states = dict(session.execute(select(Delivery.id, Delivery.state)).all())
        taken = {d["guid"] for d in self.double.deliveries() if d["status"] == 202}
        lost = [f"{guid} was taken and is not there" for guid in taken - states.keys()]
        left = [f"{guid} is {s}" for guid, s in states.items() if s not in {"HANDLED", "IGNORED"}]
        return lost + left

    def _places(self) -> list[str]:
        """At the site is what main has."""
        found = []
        for name, wanted in self.double.texts(SLUG, "*/step/src/run.sh").items():
            workflow_name = name.partition("/")[0]
            there = self.world.current(workflow_name)
            folder = self.world.place / "deploy" / "workflows" / workflow_name / (there or "none")
            runs = list(folder.rglob("step/src/run.sh"))
            if not runs or runs[0].read_text() != wanted:
                found.append(f"{workflow_name}: {there or 'nothing'} is in place, not main's")
        return found

    def twice(self) -> list[Any]:
        """What was done twice."""
        found: list[Any] = [line for line in self.world.built() if line.startswith("again")]
        for slug in (SLUG, CATALOGUE):
            seen = self.double.effects(slug)
            ours = [c for c in seen["comments"] if c[1] == self.world.login]
            found += [c for c in ours if c[-1] != 1]
            found += seen["check_runs"] + seen["statuses"] + seen["deployment_statuses"]
            found += [d for d in seen["deployments"] if d[-1] != 1]
        return found
