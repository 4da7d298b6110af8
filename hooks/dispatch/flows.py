"""The durable bodies of dispatch: what a pull request, a merge and a deployment run.

Only the order lives here; every effect is a method of ``Effects`` and is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ci.errors import SettingsError, SiteError, WaasError
from hooks.engine import Flow

T = TypeVar("T")

PULL_REQUEST, MERGE, DEPLOYMENT = "pull-request", "merge", "deployment"


class Effects(Protocol):
    """What dispatch does to the world. All values are JSON."""

    def announce(self, pull: dict[str, Any]) -> None:
        """Say that a pull request is being validated, unless the verdict will say enough."""

    def judge(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Validate and plan a pull request; ``{"builds": […]}`` are those that may begin."""

    def tell(self, pull: dict[str, Any]) -> None:
        """Say on the forge what is recorded of a pull request."""

    def plan_main(self, merge: dict[str, Any]) -> dict[str, Any]:
        """What main of a registry needs: ``{"builds": […], "deployments": […]}``."""

    def await_adopted(self, flow: str) -> None:
        """Wait for the builds of the pull request that a merge took over."""

    def ask_builds(self, asker: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Ask for images; each gets ``build``, the build to wait for, or ``error``."""

    def await_builds(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Wait for their ends; each gets what became of it, ``error`` if it failed."""

    def let_go(self, pull: dict[str, Any]) -> None:
        """End what only earlier judgements of a pull request wanted."""

    def show_builds(self, pull: dict[str, Any], asked: list[dict[str, Any]]) -> None:
        """Record what is being built for a pull request."""

    def report_builds(self, pull: dict[str, Any], results: list[dict[str, Any]]) -> None:
        """Record what became of its builds."""

    def deploy(self, deployment: dict[str, Any]) -> None:
        """Put a workflow version in place on a site."""

    def deployment_waits(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that the site is waited for."""

    def deployment_failed(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that it cannot be deployed."""

    def tell_deployment(self, deployment: dict[str, Any]) -> None:
        """Say on the forge how far a workflow is at a site."""


def patient(act: Callable[..., T]) -> Callable[..., T]:
    """Have a step wait for what the operator must mend, too: nobody else would begin it again."""

    def tried(*args: Any) -> T:
        try:
            return act(*args)
        except (SettingsError, SiteError) as error:
            raise SiteError(error.message, transient=True, hint=error.hint) from error

    return tried


def run_pull_request(effects: Effects, flow: Flow, pull: dict[str, Any]) -> None:
    """Judge a pull request; then build the images of its steps, apart from those of main."""
    flow.step("announce", effects.announce, pull)
    judged = flow.step("judge", patient(effects.judge), pull)
    flow.step("tell-verdict", effects.tell, pull)
    if not judged["builds"]:
        flow.step("let-go", effects.let_go, pull)
    else:
        asked = flow.step("ask-builds", effects.ask_builds, flow.id, judged["builds"])
        flow.step("show-builds", effects.show_builds, pull, asked)
        if any(not image["reused"] and not image["error"] for image in asked):
            flow.step("tell-builds", effects.tell, pull)
        results = flow.step("await-builds", effects.await_builds, asked)
        flow.step("report-builds", effects.report_builds, pull, results)
        flow.step("tell-results", effects.tell, pull)


def run_merge(effects: Effects, flow: Flow, payload: dict[str, Any]) -> None:
    """Bring the sites in line with main: build what is missing, then deploy, site by site."""
    flow.step("await-adopted", effects.await_adopted, flow.id)
    plan = flow.step("plan", patient(effects.plan_main), payload)
    asked = flow.step("ask-builds", effects.ask_builds, flow.id, plan["builds"])
    results = flow.step("await-builds", effects.await_builds, asked)
    for deployment in plan["deployments"]:
        place = (deployment["workflow"], deployment["site"])
        mine = [r for r in results if (r["workflow"], r["site"]) == place]
        # what answers may be an image of another key that runs there too
        images = {result["step"]: result["image"] for result in mine if not result["error"]}
        deployment = {**deployment, "images": deployment["images"] | images}  # noqa: PLW2901
        if error := next((r["error"] for r in mine if r["error"]), ""):
            reason = f"an image could not be built: {error}"
            name = f"no-image:{deployment['id']}"
            flow.step(name, effects.deployment_failed, deployment, reason)
            flow.step(f"tell:{deployment['id']}", effects.tell_deployment, deployment)
        else:
            flow.start_child(DEPLOYMENT, deployment, id=f"{flow.id}:{deployment['id']}")


def run_deployment(effects: Effects, flow: Flow, deployment: dict[str, Any]) -> None:
    """Deploy to one site, however long it is away."""

    def waiting(reason: str) -> None:
        effects.deployment_waits(deployment, reason)

    try:
        flow.step("deploy", effects.deploy, deployment, waiting=waiting)
    except WaasError as error:
        flow.step("failed", effects.deployment_failed, deployment, str(error))
    flow.step("tell", effects.tell_deployment, deployment)
