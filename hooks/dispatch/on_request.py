"""Deployments that somebody asks for: main's version again, the one before, or none any more.

What was asked for holds until the workflow changes on main: a merge that changes nothing of it
neither undoes a rollback nor brings back what was removed (``Deployments.wanted`` compares what
main wants with what it wanted before).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from builder.store import MAIN
from ci.errors import EntryError, WaasError
from hooks.dispatch import needs
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.flows import DEPLOYMENT
from hooks.engine import Flow
from hooks.errors import NotFoundError
from hooks.journal import ERROR, INFO, Journal

FLOW = "deployment-request"
DEPLOY, ROLLBACK, UNDEPLOY = "deploy", "rollback", "undeploy"
ACTIONS = (DEPLOY, ROLLBACK, UNDEPLOY)


class Starter(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""

    def state(self, id: str) -> str | None:  # noqa: A002
        """Where a flow is; None if it is not known."""


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
        executions still need it.
        """
        name = f"{workflow}@{site}"
        row = self.deployments.get(name)
        if action not in ACTIONS:
            raise EntryError(f"there is no {action[:40]!r}", hint=f"one of {', '.join(ACTIONS)}")
        if action != DEPLOY and (row is None or row.state == "REMOVED"):
            raise NotFoundError(f"{workflow} is not deployed to {site}")
        if action == UNDEPLOY and not force and (count := self.deployments.needed_by(name)):
            raise EntryError(
                f"{count} execution{'s' if count > 1 else ''} of {name} did not end yet",
                hint="wait for them or cancel them; --force removes it all the same",
            )
        payload = {"action": action, "workflow": workflow, "site": site} | {
            "commit": commit,
            "by": by,
            "id": name,
            "request": id,
        }
        self.engine.start(FLOW, payload, id=f"{FLOW}:{id}")
        doing = {DEPLOY: "is being deployed to", ROLLBACK: "goes back on", UNDEPLOY: "leaves"}
        return f"{workflow} {doing[action]} {site}"

    def outcome(self, request: str) -> tuple[str, str]:
        """``RUNNING``, ``DONE`` or ``FAILED``, and how it ended. Raises ``NotFoundError``."""
        if self.engine.state(f"{FLOW}:{request}") is None:
            raise NotFoundError(f"there is no request {request!r}")
        lines, _ = self.journal.read(subject_of(request))
        if not lines:
            return "RUNNING", ""
        told = "\n".join(line.content for line in lines)
        return "FAILED" if lines[0].level == ERROR else "DONE", told


def subject_of(request: str) -> str:
    """The subject of a request in the journal, which has how it ended."""
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
        tree = effects.planner.tree(pair.workflows, commit)
        rows = effects.planner.rows(pair, tree, MAIN, only={folder})
        rows = [row for row in rows if row["site"] == request["site"]]
        if not rows:
            raise EntryError(
                f"{folder} at {commit[:10]} does not go to {request['site']}",
                hint=f"`sites:` in {folder}/waas.yaml says where it goes",
            )
        content = needs.content_of(tree, folder, [row["key"] for row in rows])
        deployment = {
            "id": request["id"],
            "workflow": request["workflow"],
            "site": request["site"],
            "commit": commit,
            "content": content,
            "images": {row["step"]: row["key"] for row in rows},
        }
        # of an older commit: what main wants stays known, so that only a change of it counts
        wanted = content if commit == head else None
        effects.deployments.again(deployment, wanted)
        return {"builds": effects.planner.wanted(pair, rows, commit), "deployment": deployment}

    def _commit(self, repository: str, asked: str, head: str) -> str:
        if not asked:
            return head
        store = self.effects.planner.forges[repository].fetch(head)
        commit = store.resolve(asked)
        if not store.is_ancestor(commit, head):
            raise EntryError(f"{asked} is not in the history of main", hint="merge it first")
        return commit

    def rollback(self, request: dict[str, Any]) -> None:
        """Make a version that is still on the site the one that serves."""
        site = self.effects.planner.sites.get(request["site"])
        self.effects.deployments.roll_back(request, site)

    def undeploy(self, request: dict[str, Any]) -> None:
        """Remove all versions from the site."""
        site = self.effects.planner.sites.get(request["site"])
        self.effects.deployments.remove(request, site)

    def failed(self, request: dict[str, Any], reason: str) -> None:
        """Say why it was not done; what serves goes on serving."""
        self.journal.write(subject_of(request["request"]), "end", reason, ERROR)
        self.effects.deployments.note(request["id"], f"{request['action']} failed: {reason}")

    def tell(self, request: dict[str, Any]) -> None:
        """Say how it ended, also on the forge."""
        row = self.effects.deployments.get(request["id"])
        if row is not None:
            level = ERROR if row.state == "FAILED" else INFO
            text = f"{row.state.lower()} {row.message}".strip()
            self.journal.write(subject_of(request["request"]), "end", text, level)
            told = {"id": row.id, "workflow": row.workflow, "commit": row.commit}
            self.effects.tell_deployment(told)


def run_request(on: OnRequest, flow: Flow, request: dict[str, Any]) -> None:
    """The flow of one request."""
    try:
        if request["action"] == DEPLOY:
            _deploy(on, flow, request)
        else:
            act = on.rollback if request["action"] == ROLLBACK else on.undeploy
            flow.step(request["action"], act, request)
    except WaasError as error:
        flow.step("failed", on.failed, request, str(error))
    flow.step("tell", on.tell, request)


def _deploy(on: OnRequest, flow: Flow, request: dict[str, Any]) -> None:
    plan = flow.step("plan", on.plan, request)
    asked = flow.step("ask-builds", on.effects.ask_builds, flow.id, plan["builds"])
    results = flow.step("await-builds", on.effects.await_builds, asked)
    deployment = plan["deployment"]
    if error := next((r["error"] for r in results if r["error"]), ""):
        reason = f"an image could not be built: {error}"
        flow.step("no-image", on.effects.deployment_failed, deployment, reason)
        return
    images = {result["step"]: result["image"] for result in results}
    deployment = {**deployment, "images": deployment["images"] | images}
    flow.start_child(DEPLOYMENT, deployment, id=f"{flow.id}:{deployment['id']}").result()
