"""The durable bodies of dispatch: what a pull request, a merge, a build and a deployment run.

Only the order lives here; every effect is a method of ``Effects`` and is idempotent.
"""

from __future__ import annotations

from typing import Any, Protocol

from ci.errors import WaasError
from hooks.engine import Flow

PULL_REQUEST, MERGE, BUILD, DEPLOYMENT = "pull-request", "merge", "build", "deployment"


class Effects(Protocol):
    """What dispatch does to the world. All values are JSON."""

    def judge(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Validate and plan a pull request, and report; ``{"builds": […]}`` if it may build."""

    def plan_main(self, commit: str) -> dict[str, Any]:
        """What main at this commit needs: ``{"builds": […], "deployments": […]}``."""

    def build(self, build: dict[str, Any]) -> dict[str, Any]:
        """Have the image of one step for one site: reuse, promote or build it."""

    def report_builds(self, pull: dict[str, Any], results: list[dict[str, Any]]) -> None:
        """Say on the pull request what became of its builds."""

    def deploy(self, deployment: dict[str, Any]) -> None:
        """Put a workflow version in place on a site."""

    def deployment_waits(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that the site is waited for."""

    def deployment_failed(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that it cannot be deployed."""


def run_pull_request(effects: Effects, flow: Flow, pull: dict[str, Any]) -> None:
    """Judge a pull request; then build the images of its steps, apart from those of main."""
    judged = flow.step("judge", effects.judge, pull)
    if judged["builds"]:
        results = _build_all(flow, judged["builds"])
        flow.step("report-builds", effects.report_builds, pull, results)


def run_merge(effects: Effects, flow: Flow, payload: dict[str, Any]) -> None:
    """Bring the sites in line with main: build what is missing, then deploy, site by site."""
    plan = flow.step("plan", effects.plan_main, payload["commit"])
    failed = {
        (result["workflow"], result["site"]): result["error"]
        for result in _build_all(flow, plan["builds"])
        if result.get("error")
    }
    for deployment in plan["deployments"]:
        error = failed.get((deployment["workflow"], deployment["site"]))
        if error:
            reason = f"an image could not be built: {error}"
            name = f"no-image:{deployment['id']}"
            flow.step(name, effects.deployment_failed, deployment, reason)
        else:
            flow.start_child(DEPLOYMENT, deployment, id=f"{flow.id}:{deployment['id']}")


def run_build(effects: Effects, flow: Flow, build: dict[str, Any]) -> dict[str, Any]:
    """Have one image; a failure is a result, so that the others go on."""
    try:
        result: dict[str, Any] = flow.step("build", effects.build, build)
    except WaasError as error:
        return {**build, "error": str(error)}
    return result


def run_deployment(effects: Effects, flow: Flow, deployment: dict[str, Any]) -> None:
    """Deploy to one site, however long it is away."""

    def waiting(reason: str) -> None:
        effects.deployment_waits(deployment, reason)

    try:
        flow.step("deploy", effects.deploy, deployment, waiting=waiting)
    except WaasError as error:
        flow.step("failed", effects.deployment_failed, deployment, str(error))


def _build_all(flow: Flow, builds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run each build as a child on the limited queue; in order, since one image may serve many."""
    children = [
        flow.start_child(BUILD, build, id=f"{flow.id}:build:{build['id']}") for build in builds
    ]
    return [child.result() for child in children]
