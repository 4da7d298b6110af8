"""What dispatch does to the world, step by step; each effect is idempotent."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builder.store import MAIN
from ci.errors import EntryError, SiteError
from hooks.builds.service import Builds, outcome
from hooks.builds.spec import Asker, BuildSpec
from hooks.dispatch import needs
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.judging import Judge
from hooks.dispatch.planning import Planner
from hooks.dispatch.pulls import BUILDING, FAILED, FINISHED, OPEN, PullRequests
from hooks.dispatch.slowness import unless_quick
from hooks.dispatch.telling import Telling
from hooks.forges.seams import DeploymentNotice
from hooks.registries import Registries, scope_of

log = logging.getLogger(__name__)

MERGED_LATELY = 20  # pull requests whose images a merge may take over
QUICK_SECONDS = 2.0  # a judgement that takes longer is announced


@dataclass(frozen=True)
class DispatchEffects:
    """The effects of dispatch over forges, image store and sites."""

    registries: Registries
    pulls: PullRequests
    planner: Planner
    judging: Judge
    telling: Telling
    builds: Builds
    deployments: Deployments
    work: Path

    def announce(self, pull: dict[str, Any]) -> None:
        """Say that it is being validated, unless the verdict will say enough."""
        self.telling.begin(pull)

    def judge(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Validate and plan a pull request; ``{"builds": […]}`` are those that may begin."""
        with unless_quick(partial(self.telling.pending, pull), QUICK_SECONDS):
            return self.judging.judge(pull)

    def tell(self, pull: dict[str, Any]) -> None:
        """Say on the forge what is recorded of a pull request."""
        self.telling.tell(pull)

    def plan_main(self, merge: dict[str, Any]) -> dict[str, Any]:
        """What main of a registry needs: ``{"builds": […], "deployments": […]}``."""
        pair = self.registries.named(merge["registry"])
        commit = merge["commit"]
        tree = self.planner.tree(pair.workflows, commit)
        rows = self.planner.rows(pair, tree, MAIN)
        lately = self.pulls.merged_lately(pair.workflows, MERGED_LATELY)
        if self.planner.promote(rows, [scope_of(pair, row.number) for row in lately]):
            rows = self.planner.rows(pair, tree, MAIN)
        deployments = []
        for workflow, site in sorted({(row["workflow"], row["site"]) for row in rows}):
            mine = [r for r in rows if (r["workflow"], r["site"]) == (workflow, site)]
            folder = self.registries.split(workflow)[1]
            content = needs.content_of(tree, folder, [r["key"] for r in mine])
            if self.deployments.wanted(workflow, site, commit, content):
                images = {r["step"]: r["key"] for r in mine}
                deployments.append(
                    {
                        "id": f"{workflow}@{site}",
                        "workflow": workflow,
                        "site": site,
                        "commit": commit,
                        "content": content,
                        "images": images,
                    }
                )
        touched = {(d["workflow"], d["site"]) for d in deployments}
        rows = [r for r in rows if (r["workflow"], r["site"]) in touched]
        return {"builds": self.planner.wanted(pair, rows, commit), "deployments": deployments}

    def await_adopted(self, flow: str) -> None:
        """Wait for the builds of the pull request that a merge took over."""
        self.builds.wait(self.builds.records.wanted_by(flow))

    def ask_builds(self, asker: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Ask for images; each gets ``build``, the build to wait for, or ``error``."""
        asked = []
        for image in wanted:
            spec = BuildSpec.from_dict(image["spec"])
            try:
                found = self.builds.ask(spec, Asker.flow(asker))
                asked.append(image | {"build": found.build, "reused": found.there, "error": ""})
            except EntryError as error:
                asked.append(image | {"build": "", "reused": False, "error": str(error)})
        return asked

    def await_builds(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Wait for their ends; each gets what became of it, ``error`` if it failed.

        Of several that share a build, the first has it built and the others take it.
        """
        rows = self.builds.wait({image["build"] for image in asked if image["build"]})
        results, seen = [], set()
        for image in asked:
            row = rows.get(image["build"])
            became = outcome(row) if row else {}
            if row and (image["reused"] or row.id in seen):
                became |= {"reused": True}
            seen.add(image["build"])
            results.append(image | became)
        return results

    def show_builds(self, pull: dict[str, Any], asked: list[dict[str, Any]]) -> None:
        """Record what is being built."""
        self.let_go(pull)
        self._record_builds(pull, asked, BUILDING)

    def let_go(self, pull: dict[str, Any]) -> None:
        """End what only earlier judgements of a pull request wanted.

        One that was pushed to, merged or closed meanwhile does not want anything any more.
        """
        found = self.pulls.get(pull["id"])
        name = f"{found.repository}:{found.number}"
        self.builds.unwanted(name, before=found.revision if found.state == OPEN else None)

    def report_builds(self, pull: dict[str, Any], results: list[dict[str, Any]]) -> None:
        """Record what became of the builds."""
        failed = any(result["error"] for result in results)
        self._record_builds(pull, results, FAILED if failed else FINISHED)

    def _record_builds(
        self, pull: dict[str, Any], builds: list[dict[str, Any]], state: str
    ) -> None:
        plan = self.pulls.get(pull["id"]).plan
        told = [{name: b[name] for name in b if name != "spec"} for b in builds]
        values = {"plan": plan | {"results": told}, "build_state": state}
        self.pulls.judged(pull["id"], (pull["base"], pull["head"]), values)

    def deploy(self, deployment: dict[str, Any]) -> None:
        """Put a workflow version in place on a site, unless main, or somebody, wants another."""
        with self.deployments.alone(deployment["id"]):
            if not self.deployments.superseded(deployment):
                self.deployments.begin(deployment)
                self._deploy(deployment)

    def _deploy(self, deployment: dict[str, Any]) -> None:
        folder = self.work / "deploy" / deployment["id"]  # ours as long as we are alone
        shutil.rmtree(folder, ignore_errors=True)
        pair, workflow = self.registries.split(deployment["workflow"])
        store = self.planner.forges[pair.workflows].fetch(deployment["commit"])
        try:
            store.export(deployment["commit"], [workflow], folder)
            images = {step: self._stored(key) for step, key in sorted(deployment["images"].items())}
            site = self.planner.sites.get(deployment["site"])
            self.deployments.put(deployment, site, folder / workflow, images)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _stored(self, key: str) -> Any:
        store = self.planner.images().store
        image = store.find(key, MAIN)
        if image is None:
            raise EntryError(f"the image {key[:12]} is not in the store", hint="build it again")
        return store.fetch(image)

    def deployment_waits(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that the site is waited for, and say so if that is news."""
        if self.deployments.mark(deployment, "WAITING", reason):
            try:
                self.tell_deployment(deployment)
            except SiteError as error:  # this is told again when it ends
                log.warning("deployment %s: %s", deployment["id"], error)

    def deployment_failed(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that it cannot be deployed."""
        self.deployments.mark(deployment, "FAILED", reason)

    def tell_deployment(self, deployment: dict[str, Any]) -> None:
        """Say on the forge how far a workflow is at a site, and on the pull requests of it."""
        pair, workflow = self.registries.split(deployment["workflow"])
        row = self.deployments.get(deployment["id"])
        if row is None or row.commit != deployment["commit"]:
            return
        notice = DeploymentNotice(row.commit, row.site, workflow, row.state, row.message[:140])
        self.telling.deployment(pair.workflows, notice)
