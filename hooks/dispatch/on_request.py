"""Deployments that somebody asks for: main's version again, the one before, or none any more.

What was asked for holds until the workflow changes on main: a merge that changes nothing of it
neither undoes a rollback nor brings back what was removed (``Deployments.wanted`` compares what
main wants with what it wanted before).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from builder.store import MAIN
from ci.errors import EntryError, WaasError
from hooks.deployments.plan import check_names
from hooks.dispatch import needs
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.flows import DEPLOYMENT
from hooks.engine import Flow
from hooks.errors import NotFoundError
from hooks.forge_choice import RegistryPair
from hooks.journal import ERROR, INFO, Journal

FLOW = "deployment-request"
DEPLOY, ROLLBACK, UNDEPLOY = "deploy", "rollback", "undeploy"
ACTIONS = (DEPLOY, ROLLBACK, UNDEPLOY)
_COMMIT = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


class Starter(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""

    def state(self, id: str) -> str | None:  # noqa: A002
        """Where a flow is; None if it is not known."""

    def ended(self, id: str) -> bool:  # noqa: A002
        """Whether a flow is known, and nothing more will happen in it."""


@dataclass(frozen=True)
class DeploymentRequests:
    """Accepts requests; durable when ``request`` returns."""

    deployments: Deployments
    engine: Starter
    journal: Journal

    def request(
        self,
        action: str,
        workflow: str,
        site: str,
        *,
        commit: str = "",
        by: str,
        id: str,  # noqa: A002
        force: bool = False,
    ) -> str:
        """Have it done; the same id once. What was begun, as a sentence.

        Raises ``NotFoundError``: nothing is there to go back from, or to remove; ``EntryError``:
        it cannot be meant, or executions still need what is to be removed.
        """
        name = f"{workflow}@{site}"
        if action not in ACTIONS:
            raise EntryError(f"there is no {action[:40]!r}", hint=f"one of {', '.join(ACTIONS)}")
        if commit and not _COMMIT.fullmatch(commit):
            raise EntryError(f"{commit[:80]!r} is not a commit (7 to 40 digits 0-9, a-f)")
        check_names(workflow)
        row = self.deployments.get(name)
        if action != DEPLOY and (row is None or row.state == "REMOVED"):
            raise NotFoundError(f"{workflow} is not deployed to {site}")
        if action == UNDEPLOY and not force:
            self.deployments.check_unneeded(name)
        payload = {"action": action, "workflow": workflow, "site": site} | {
            "commit": commit,
            "by": by,
            "id": name,
            "request": id,
            "force": force,
        }
        self.engine.start(FLOW, payload, id=f"{FLOW}:{id}")
        doing = {DEPLOY: "is being deployed to", ROLLBACK: "goes back on", UNDEPLOY: "leaves"}
        return f"{workflow} {doing[action]} {site}"

    def outcome(self, request: str) -> tuple[str, str]:
        """``RUNNING``, ``DONE`` or ``FAILED``, and how it ended. Raises ``NotFoundError``."""
        flow = f"{FLOW}:{request}"
        if self.engine.state(flow) is None:
            raise NotFoundError(f"there is no request {request!r}")
        over = self.engine.ended(flow)  # before its line is read: that comes before the end
        lines, _ = self.journal.read(subject_of(request), size=1)
        if lines:
            return "FAILED" if lines[0].level == ERROR else "DONE", lines[0].content
        if over:
            return "FAILED", f"it broke off; the operator finds why in the log under {flow}"
        return "RUNNING", ""


def subject_of(request: str) -> str:
    """The subject of a request in the journal: one line says how it ended."""
    return f"request:{request}"


@dataclass(frozen=True)
class OnRequest:
    """The effects of a request, over those of dispatch. Each is idempotent."""

    effects: DispatchEffects
    journal: Journal

    def plan(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a deployment takes: ``{"builds": […], "deployment": {…}}``; it is recorded."""
        effects = self.effects
        pair, folder = effects.registries.split(request["workflow"])
        head = effects.planner.mains.of(pair.workflows)
        commit = self._commit(pair.workflows, request["commit"], head)
        rows, content = self._needs(pair, folder, request["site"], commit)
        if not rows:
            raise EntryError(
                f"{folder} at {commit[:10]} does not go to {request['site']}",
                hint=f"`sites:` in {folder}/waas.yaml says where it goes",
            )
        deployment = {
            "id": request["id"],
            "workflow": request["workflow"],
            "site": request["site"],
            "commit": commit,
            "content": content,
            "images": {row["step"]: row["key"] for row in rows},
        }
        # of an older commit: what main wants is known, so that only a change of it undoes this
        of_main = self._needs(pair, folder, request["site"], head)[1] if commit != head else content
        effects.deployments.again(deployment, of_main)
        return {"builds": effects.planner.wanted(pair, rows, commit), "deployment": deployment}

    def _needs(
        self, pair: RegistryPair, folder: str, site: str, commit: str
    ) -> tuple[list[dict[str, Any]], str]:
        """The plan's rows, and the hash of the content, of a workflow at a site; none: empty."""
        planner = self.effects.planner
        tree = planner.tree(pair.workflows, commit)
        rows = [r for r in planner.rows(pair, tree, MAIN, only={folder}) if r["site"] == site]
        keys = [row["key"] for row in rows]
        return rows, needs.content_of(tree, folder, keys) if rows else ""

    def _commit(self, repository: str, asked: str, head: str) -> str:
        if not head:
            raise EntryError(f"{repository} has no main yet", hint="push one first")
        if not asked:
            return head
        store = self.effects.planner.forges[repository].fetch(head)
        commit = store.resolve(asked)
        if not store.is_ancestor(commit, head):
            raise EntryError(f"{asked} is not in the history of main", hint="merge it first")
        return commit

    def rollback(self, request: dict[str, Any]) -> str:
        """Make a version that is still on the site the one that serves; what was done."""
        site = self.effects.planner.sites.get(request["site"])
        return self.effects.deployments.roll_back(request, site)

    def undeploy(self, request: dict[str, Any]) -> str:
        """Remove all versions from the site; what was done."""
        site = self.effects.planner.sites.get(request["site"])
        return self.effects.deployments.remove(request, site)

    def waits(self, request: dict[str, Any], reason: str) -> None:
        """Say what is waited for."""
        self.effects.deployments.note(request["id"], f"{request['action']} waits: {reason}")

    def builds(self, deployment: dict[str, Any], asked: list[dict[str, Any]]) -> None:
        """Say which images are built first."""
        building = sorted({i["build"] for i in asked if i["build"] and not i["reused"]})
        if building:
            text = f"waits for its images: {', '.join(building)}"
            self.effects.deployments.mark(deployment, "DEPLOYING", text)

    def deployed(self, request: dict[str, Any], deployment: dict[str, Any]) -> None:
        """Say how a deployment ended."""
        row, commit = self.effects.deployments.get(deployment["id"]), deployment["commit"]
        if row is None or (row.commit == commit and row.state == "FAILED"):
            self._end(request, f"failed: {row.message if row else ''}", ERROR)
        elif row.active == commit:
            self._end(request, f"active at {commit[:10]}")
        else:
            self._end(request, f"{commit[:10]} gave way: something else is wanted by now", ERROR)

    def done(self, request: dict[str, Any], told: str) -> None:
        """Say what was done."""
        self._end(request, told)

    def failed(self, request: dict[str, Any], reason: str) -> None:
        """Say why it was not done; what serves goes on serving."""
        self._end(request, reason, ERROR)
        self.effects.deployments.note(request["id"], f"{request['action']} failed: {reason}")

    def _end(self, request: dict[str, Any], text: str, level: int = INFO) -> None:
        self.journal.write(subject_of(request["request"]), "end", " ".join(text.split()), level)

    def tell(self, request: dict[str, Any]) -> None:
        """Say on the forge how the workflow is at the site by now."""
        row = self.effects.deployments.get(request["id"])
        if row is not None:
            told = {"id": row.id, "workflow": row.workflow, "commit": row.commit}
            self.effects.tell_deployment(told)


def run_request(on: OnRequest, flow: Flow, request: dict[str, Any]) -> None:
    """The flow of one request."""

    def waiting(reason: str) -> None:
        on.waits(request, reason)

    try:
        if request["action"] == DEPLOY:
            _deploy(on, flow, request, waiting)
        else:
            act = on.rollback if request["action"] == ROLLBACK else on.undeploy
            told = flow.step(request["action"], act, request, waiting=waiting)
            flow.step("done", on.done, request, told)
    except WaasError as error:
        flow.step("failed", on.failed, request, str(error))
    flow.step("tell", on.tell, request)


def _deploy(
    on: OnRequest, flow: Flow, request: dict[str, Any], waiting: Callable[[str], None]
) -> None:
    plan = flow.step("plan", on.plan, request, waiting=waiting)
    deployment = plan["deployment"]
    asked = flow.step("ask-builds", on.effects.ask_builds, flow.id, plan["builds"])
    flow.step("builds", on.builds, deployment, asked)
    results = flow.step("await-builds", on.effects.await_builds, asked)
    if error := next((r["error"] for r in results if r["error"]), ""):
        reason = f"an image could not be built: {error}"
        flow.step("no-image", on.effects.deployment_failed, deployment, reason)
    else:
        images = {result["step"]: result["image"] for result in results}
        deployment = {**deployment, "images": deployment["images"] | images}
        child = f"{flow.id}:{deployment['id']}"
        flow.start_child(DEPLOYMENT, deployment, id=child).result()
    flow.step("deployed", on.deployed, request, deployment)
