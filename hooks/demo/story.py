"""The story that the demo tells, chapter by chapter: from an empty folder to a result."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ci.errors import SettingsError
from hooks.db import Database
from hooks.demo.developer import Developer
from hooks.demo.screen import Screen
from hooks.demo.service import PatientClient, Service
from hooks.demo.stage import FLAGSHIP, SITES, Stage
from hooks.tokens import Tokens

PHASES = ("validate", "build", "deploy", "run")
FINAL = {"SUCCESS", "FAILED", "CANCELLED"}
INPUTS: dict[str, Any] = {}


class Story:
    """One telling. ``kill_in`` names phases in which the service is killed and started again."""

    def __init__(
        self, stage: Stage, screen: Screen, keepsakes: Path, kill_in: tuple[str, ...] = ()
    ) -> None:
        self.stage, self.screen, self.keepsakes = stage, screen, keepsakes
        self._to_kill = set(kill_in)
        self.kills: list[str] = []
        self.service: Service
        self.operator: PatientClient
        self.user: PatientClient
        self.commit = ""
        self.executions: dict[str, dict[str, Any]] = {}

    def tell(self) -> None:
        """All chapters. Raises ``SettingsError`` when one does not end as it should."""
        chapters: list[tuple[str, Callable[[], None]]] = [
            ("A service home", self.home),
            ("Two clusters", self.clusters),
            ("A pull request", self.pull_request),
            ("A mistake", self.mistake),
            ("The images", self.images),
            ("The merge deploys", self.merge),
            ("A user runs it", self.run),
            ("The result", self.result),
        ]
        for number, (title, chapter) in enumerate(chapters, 1):
            with self.screen.chapter(number, title):
                chapter()
        self._show_times()

    def home(self) -> None:
        """The two repositories, with their hooks."""
        with self.screen.waiting("making the service home"):
            self.settings = self.stage.make_home()
        self.screen.command(f"waas init {self.settings.home}")
        for name in self.settings.repositories:
            self.screen.say(f"[bold]{name}[/]: a bare git repository; a push to it is an event")

    def clusters(self) -> None:
        """The sites and the service."""
        with self.screen.waiting("starting two clusters"):
            self.stage.start_clusters(self.settings)
        for name, cluster in self.stage.clusters.items():
            info = cluster.info()
            self.screen.say(
                f"[bold]{name}[/]: sshd on {info.host}:{info.port}, {info.queue}, apptainer; "
                f"users {', '.join(info.users)}"
            )
        self.service = self.stage.start_service(self.settings)
        self.screen.say(f"the service answers at {self.settings.url}")
        tokens = Tokens(Database(self.settings.database))
        self.operator = PatientClient(self.settings.url, tokens.create("operator", "operator")[1])
        self.user = PatientClient(self.settings.url, tokens.create("alice")[1])

    def pull_request(self) -> None:
        """A push of a branch is a pull request: verdict and plan come back with it."""
        registry = self.settings.repositories["workflow-registry"]
        self.developer = Developer(self.stage.folder, registry)
        self.developer.branch("add-reduced-order-model")
        self.developer.add_workflow(FLAGSHIP)
        self.commit = self.developer.commit("feat: add the reduced order model")
        self.screen.command("git push origin add-reduced-order-model")
        killer = threading.Timer(0.4, self._kill_soon, ["validate"])  # while the pusher waits
        killer.start()
        started = time.monotonic()
        taken, said = self.developer.push("add-reduced-order-model")
        killer.join()
        self.screen.quote(said)
        if not taken:
            raise SettingsError("the push was not taken")
        self.screen.say(f"[dim]push and verdict: {time.monotonic() - started:.1f} s[/]")
        self._until("validate", "the verdict", self._verdict_passed)

    def mistake(self) -> None:
        """What a refusal looks like."""
        self.developer.branch("oops")
        self.developer.add_workflow(FLAGSHIP)
        step = f"{FLAGSHIP}/simulate"
        self.developer.replace(f"{step}/eflows4hpc.yaml", "python3-numpy", "Python3_NumPy!")
        self.developer.remove(f"{FLAGSHIP}/report/src/report.py")
        self.developer.commit("feat: add the reduced order model, with mistakes")
        self.screen.command("git push origin oops")
        _, said = self.developer.push("oops")
        self.screen.quote(said)
        self.screen.command("git push origin oops:main")
        taken, said = self.developer.push("oops:main")
        self.screen.quote(said)
        if taken:
            raise SettingsError("main took a commit that did not pass")

    def images(self) -> None:
        """The builds of the pull request, as they go."""
        self._until("build", "building the images of its steps", self._builds_done)
        pulls = self.operator.json("GET", "/pulls")["pulls"]
        rows = next(p["plan"]["results"] for p in pulls if p["head"] == self.commit)
        took = {b["id"]: b for b in self.operator.json("GET", "/builds")["builds"]}
        shown = [
            [
                f"{r['workflow']}/{r['step']}",
                r["site"],
                "from the store" if r["reused"] else "built",
                "" if r["reused"] else f"{took[r['build']]['seconds']:.1f} s",
                r.get("digest", "")[:19] + "…",
            ]
            for r in rows
        ]
        self.screen.table("", ["image of", "for", "how", "time", "digest of the SIF"], shown)
        if failed := [r["error"] for r in rows if r["error"]]:
            raise SettingsError(f"an image could not be built: {failed[0]}")

    def merge(self) -> None:
        """The merge deploys; a site that is down is waited for."""
        self.stage.clusters["beta"].down()
        self.screen.say("[yellow]beta goes down for maintenance[/]")
        self.screen.command("git push origin add-reduced-order-model:main")
        taken, said = self.developer.push(f"{self.commit}:refs/heads/main")
        self.screen.quote(said)
        if not taken:
            raise SettingsError("main did not take a commit that passed")
        self._until("deploy", "deploying", lambda: self._deployed(["alpha"]))
        self._until("deploy", "beta is waited for", self._beta_waits)
        self.stage.clusters["beta"].up()
        self.screen.say("[green]beta is up again[/]")
        self._until("deploy", "deploying to beta", lambda: self._deployed(list(SITES)))

    def run(self) -> None:
        """A user who has never logged in to a cluster runs the workflow on both."""
        self.screen.command("waas ssh_keys key-gen")
        key = self.user.json("POST", "/ssh_keys", json={"metadata": {"for": "the demo"}})
        self.screen.quote(key["public_key"])
        self.screen.say("alice adds it to ~/.ssh/authorized_keys at both sites")
        for cluster in self.stage.clusters.values():
            cluster.authorize("alice", key["public_key"])
        self.screen.command("waas workflows list")
        for workflow in self.user.json("GET", "/workflows")["workflows"]:
            self.screen.quote(workflow["id"])
        inputs = {"user_id": "alice", "vault_id": key["id"], **INPUTS}
        for site in SITES:
            name = f"{FLAGSHIP}@{site}"
            self.screen.command(f"waas workflows trigger {name} -i user_id=alice …")
            self.executions[site] = self.user.json(
                "POST",
                f"/workflows/{name}",
                json={"inputs": inputs},
                headers={"Idempotency-Key": f"demo-{site}"},
            )
            self.screen.command(f"waas executions logs -f {self.executions[site]['id']}")
            self._follow(site)

    def result(self) -> None:
        """Figures, a picture, and the chain from commit to result."""
        execution = self.executions["alpha"]
        self.keepsakes.mkdir(parents=True, exist_ok=True)
        for name, url in execution["outputs"].items():
            content = self.user.call("GET", url).content
            (self.keepsakes / Path(url).name).write_bytes(content)
            if url.endswith(".json"):
                self._show_report(json.loads(content))
            else:
                self.screen.say(f"{name}: [bold]{self.keepsakes / Path(url).name}[/]")
        deployment = next(
            d
            for d in self.operator.json("GET", "/deployments")["deployments"]
            if d["id"] == f"{FLAGSHIP}@alpha"
        )
        image = deployment["images"]["simulate"]["sha256"]
        chain = (
            f"commit {execution['commit'][:12]} → image sha256:{image[:12]}… → "
            f"deployment {deployment['id']} → execution {execution['id']} → jobs "
            + ", ".join(f"{j['operation']} {j['native_id']}" for j in execution["jobs"])
        )
        self.screen.panel(chain, "Where this result came from")
        self._count_jobs()

    def _count_jobs(self) -> None:
        for name, cluster in self.stage.clusters.items():
            jobs = cluster.job_names()
            if len(jobs) != len(set(jobs)):
                raise SettingsError(f"{name}: a job was submitted twice: {jobs}")
            self.screen.say(f"{name}: {len(jobs)} jobs were submitted, none of them twice")

    def _show_report(self, report: dict[str, Any]) -> None:
        plain = {k: v for k, v in report.items() if isinstance(v, str | int | float)}
        rows = [[k.replace("_", " "), f"{v:.4g}" if isinstance(v, float) else str(v)]
                for k, v in plain.items()]  # fmt: skip
        self.screen.table("Reduced model against the full one", ["figure", "value"], rows)

    def _show_times(self) -> None:
        rows = [[title, f"{seconds:.1f} s"] for title, seconds in self.screen.times]
        rows.append(["[bold]all", f"[bold]{sum(s for _, s in self.screen.times):.1f} s"])
        self.screen.console.print()
        self.screen.table("How long it took", ["chapter", "time"], rows)
        if self.kills:
            self.screen.say(f"the service was killed during: {', '.join(self.kills)}")

    def _verdict_passed(self) -> tuple[bool, str]:
        pulls = self.operator.json("GET", "/pulls")["pulls"]
        mine = [p for p in pulls if p["head"] == self.commit]
        if mine and mine[0]["verdict"] == "FAILED":
            raise SettingsError("the pull request of the demo did not pass")
        return bool(mine) and mine[0]["verdict"] == "PASSED", ""

    def _builds_done(self) -> tuple[bool, str]:
        pulls = self.operator.json("GET", "/pulls")["pulls"]
        ended = {"FINISHED", "FAILED"}
        done = any(p["head"] == self.commit and p["build_state"] in ended for p in pulls)
        builds = self.operator.json("GET", "/builds")["builds"]
        busy = [b for b in builds if b["state"] not in {"FINISHED", "FAILED", "CANCELLED"}]
        text = ", ".join(f"{b['step']} for {b['site']}: {b['state'].lower()}" for b in busy)
        return done, text

    def _deployed(self, sites: list[str]) -> tuple[bool, str]:
        rows = self.operator.json("GET", "/deployments")["deployments"]
        mine = {d["site"]: d for d in rows if d["workflow"] == FLAGSHIP}
        for deployment in mine.values():
            if deployment["state"] == "FAILED":
                raise SettingsError(f"{deployment['id']}: {deployment['message']}")
        done = all(mine.get(s, {}).get("active") == self.commit for s in sites)
        return done, ", ".join(f"{s}: {d['state'].lower()}" for s, d in sorted(mine.items()))

    def _beta_waits(self) -> tuple[bool, str]:
        rows = self.operator.json("GET", "/deployments")["deployments"]
        beta = [d for d in rows if d["id"] == f"{FLAGSHIP}@beta"]
        waits = bool(beta) and beta[0]["state"] == "WAITING"
        return waits, f"beta: {beta[0]['message']}" if waits else ""

    def _until(self, phase: str, text: str, done: Callable[[], tuple[bool, str]]) -> None:
        """Wait for something the service does; kill the service once if that is asked for."""
        until = time.monotonic() + 900
        with self.screen.waiting(text) as tell:
            while True:
                ready, words = done()
                if ready:
                    return
                if words:
                    tell(words)
                    self._kill_soon(phase)
                if time.monotonic() > until:
                    raise SettingsError(f"{text}: not done after 15 minutes")
                time.sleep(0.3)

    def _kill_soon(self, phase: str) -> None:
        if phase not in self._to_kill:
            return
        self._to_kill.remove(phase)
        self.kills.append(phase)
        self.screen.say(f"[red]kill -9 of the service while it does: {phase}[/]")
        self.service.kill()
        self.service.start()

    def _follow(self, site: str) -> None:
        name, start = self.executions[site]["id"], 0
        while True:
            found = self.user.json("GET", f"/executions/{name}")
            answer = self.user.json(
                "GET", f"/executions/{name}/logs", params={"from": start, "timeout": "2s"}
            )
            start += len(answer["logs"])
            for line in answer["logs"]:
                self.screen.quote(f"{line['timestamp'][11:19]} {line['content']}")
            if any(job["state"] == "RUNNING" for job in found["jobs"]):
                self._kill_soon("run")
            if found["status"] in FINAL and start >= answer["total_results"]:
                break
        self.executions[site] = found
        if found["status"] != "SUCCESS":
            raise SettingsError(f"execution {name} on {site}: {found['message']}")
