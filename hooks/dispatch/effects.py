"""What dispatch does to the world, step by step; each effect is idempotent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.build import ImageService
from builder.store import MAIN
from ci.dependents import folders_of
from ci.errors import EntryError, SiteError
from ci.findings import Finding, Report, Severity
from ci.git.merged_tree import merged
from ci.pull_request import validate_pull_request
from ci.registry import Registry
from ci.report import summary
from ci.target import Target
from ci.trees import Tree
from hooks.builds.service import Builds, outcome
from hooks.builds.spec import Asker, BuildSpec
from hooks.config import SOFTWARE, WORKFLOWS
from hooks.dispatch import comment, needs
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.pulls import FAILED, OPEN, PASSED, PullRequests
from hooks.forges.seams import Forge, Status
from hooks.sites.directory import SiteDirectory


@dataclass(frozen=True)
class DispatchEffects:
    """The effects of dispatch over forges, image store and sites."""

    forges: Mapping[str, Forge]
    pulls: PullRequests
    sites: SiteDirectory
    images: Callable[[], ImageService]  # transient ``SiteError`` while images cannot be had
    builds: Builds
    deployments: Deployments
    work: Path

    def judge(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Validate and plan a pull request, and report; ``{"builds": […]}`` if it may build."""
        repository, base, head = pull["repository"], pull["base"], pull["head"]
        forge = self.forges[repository]
        rows: list[dict[str, Any]] = []
        found = Report.of([])
        try:
            found = self._report(forge, repository, base, head)
            if found.passed and repository == WORKFLOWS:
                rows = self._plan_pull(forge, base, head, f"pull-{pull['number']}")
        except EntryError as error:  # a tree that cannot be listed, or an impossible plan
            found = Report.of([Finding.of(error, "pull/refused")])
        except SiteError as error:  # not the contributor's fault: the verdict stands
            found = _with_finding(found, "pull/no-plan", Severity.WARNING, str(error))
        verdict = PASSED if found.passed else FAILED
        values = {"verdict": verdict, "report": found.to_dict(), "plan": {"builds": rows}}
        wanted = self._wanted(rows, head, f"pull-{pull['number']}") if found.passed else []
        if not self.pulls.judged(pull["id"], (base, head), values):
            return {"builds": []}
        text = comment.text(pull["number"], head, found, rows)
        forge.upsert_comment(pull["number"], text)
        forge.set_status(Status(head, base, verdict, summary(found), pull["number"]))
        author = self.pulls.author(pull["id"])
        return {"builds": wanted if forge.may(author, "build") else []}

    def _report(self, forge: Forge, repository: str, base: str, head: str) -> Report:
        store = forge.fetch(head)
        other = self._main_of(WORKFLOWS if repository == SOFTWARE else SOFTWARE)
        found = validate_pull_request(
            store,
            base,
            head,
            catalog=None if repository == SOFTWARE else other,
            registry=other if repository == SOFTWARE else None,
            sites=self.sites.names(),
        )
        return found if store.is_ancestor(base, head) else _with_behind_main(found)

    def _plan_pull(self, forge: Forge, base: str, head: str, scope: str) -> list[dict[str, Any]]:
        tree, changed = merged(forge.fetch(head), base, head)
        return self._plan(tree, scope, only=folders_of(changed))

    def _plan(
        self, tree: Tree, scope: str, *, only: set[str] | None = None
    ) -> list[dict[str, Any]]:
        registry = Registry(tree)
        catalog = self._catalog_files()
        known = {site.name: site for site in self.sites.all()}
        found: list[needs.ImageNeed] = []
        for workflow in registry.workflows.values():
            if only is not None and workflow.name not in only:
                continue
            sites = [known[name] for name in workflow.settings.sites if name in known]
            found += needs.image_needs(registry, workflow, sites, scope, catalog)
        return needs.planned(self.images(), found)

    def plan_main(self, commit: str) -> dict[str, Any]:
        """What main at this commit needs: ``{"builds": […], "deployments": […]}``."""
        tree = self.forges[WORKFLOWS].fetch(commit).tree(commit)
        self._promote(commit)
        rows = self._plan(tree, MAIN)
        deployments = []
        for workflow, site in sorted({(row["workflow"], row["site"]) for row in rows}):
            mine = [r for r in rows if (r["workflow"], r["site"]) == (workflow, site)]
            content = needs.content_of(tree, workflow, [r["key"] for r in mine])
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
        return {"builds": self._wanted(rows, commit, MAIN), "deployments": deployments}

    def _promote(self, commit: str) -> None:
        """Images that were built for the pull request of exactly this commit become main's.

        Not those that took anything from the pull request's caches: a commit that was not merged
        may have put it there. They are built anew, with main's.
        """
        for scope in self.pulls.scopes_of(WORKFLOWS, commit):
            for row in self._plan(self.forges[WORKFLOWS].fetch(commit).tree(commit), scope):
                if row["action"] == "reuse" and row["promotable"]:
                    self.images().store.promote(row["image"], scope)

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
        """Say on the pull request where its builds can be followed.

        One that was pushed to, merged or closed meanwhile does not want them any more.
        """
        found = self.pulls.get(pull["id"])
        name = f"{found.repository}:{found.number}"
        self.builds.unwanted(name, before=found.revision if found.state == OPEN else None)
        self._tell_builds(pull, asked, "BUILDING")

    def report_builds(self, pull: dict[str, Any], results: list[dict[str, Any]]) -> None:
        """Say on the pull request what became of its builds."""
        failed = any(result["error"] for result in results)
        self._tell_builds(pull, results, FAILED if failed else "FINISHED")

    def _tell_builds(self, pull: dict[str, Any], builds: list[dict[str, Any]], state: str) -> None:
        plan = self.pulls.get(pull["id"]).plan
        told = [{name: b[name] for name in b if name != "spec"} for b in builds]
        values = {"plan": plan | {"results": told}, "build_state": state}
        if not self.pulls.judged(pull["id"], (pull["base"], pull["head"]), values):
            return
        found = self.pulls.get(pull["id"])
        text = comment.text(
            pull["number"], pull["head"], Report.from_dict(found.report), plan["builds"], told
        )
        self.forges[pull["repository"]].upsert_comment(pull["number"], text)

    def deploy(self, deployment: dict[str, Any]) -> None:
        """Put a workflow version in place on a site."""
        if self.deployments.superseded(deployment):
            return
        self.deployments.begin(deployment)
        folder = self.work / "deploy" / f"{deployment['workflow']}-{deployment['commit']}-"
        folder = folder.with_name(folder.name + deployment["site"])
        shutil.rmtree(folder, ignore_errors=True)
        store = self.forges[WORKFLOWS].fetch(deployment["commit"])
        try:
            store.export(deployment["commit"], [deployment["workflow"]], folder)
            images = {step: self._stored(key) for step, key in sorted(deployment["images"].items())}
            source = folder / deployment["workflow"]
            self.deployments.put(deployment, self.sites.get(deployment["site"]), source, images)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _stored(self, key: str) -> Any:
        store = self.images().store
        image = store.find(key, MAIN)
        if image is None:
            raise EntryError(f"the image {key[:12]} is not in the store", hint="build it again")
        return store.fetch(image)

    def deployment_waits(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that the site is waited for."""
        self.deployments.mark(deployment, "WAITING", reason)

    def deployment_failed(self, deployment: dict[str, Any], reason: str) -> None:
        """Record that it cannot be deployed."""
        self.deployments.mark(deployment, "FAILED", reason)

    def _wanted(self, rows: list[dict[str, Any]], commit: str, scope: str) -> list[dict[str, Any]]:
        catalog = self.forges[SOFTWARE].heads().get("main", "")
        return _to_build(rows, (commit, catalog), scope)

    def _main_of(self, repository: str) -> Tree | None:
        forge = self.forges[repository]
        head = forge.heads().get("main")
        return forge.fetch(head).tree(head) if head else None

    def _catalog_files(self) -> dict[str, bytes]:
        tree = self._main_of(SOFTWARE)
        return needs.files_of(tree) if tree else {}


def _with_behind_main(found: Report) -> Report:
    message = "this branch does not contain the newest commit of main"
    hint = "git fetch && git rebase origin/main, then push again"
    return _with_finding(found, "pull/behind-main", Severity.ERROR, message, hint)


def _with_finding(
    found: Report, rule: str, severity: Severity, message: str, hint: str = ""
) -> Report:
    extra = Finding(rule, severity, "", 0, 0, message, hint)
    return Report.of([*found.findings, extra])


def _to_build(
    rows: list[dict[str, Any]], commits: tuple[str, str], scope: str
) -> list[dict[str, Any]]:
    """The builds that a plan asks for; ``reuse`` and ``share`` are asked too: they are quick, and
    what was true when the plan was made need not be true any more.
    """
    names = ("workflow", "step", "site", "key")
    return [
        {name: row[name] for name in names}
        | {
            "id": f"{row['workflow']}/{row['id']}",
            "spec": BuildSpec(
                workflow=row["owner"],
                step=row["step"],
                commit=commits[0],
                catalog_commit=commits[1],
                target=Target(**row["target"]),
                scope=scope,
                site=row["site"],
            ).to_dict(),
        }
        for row in rows
    ]
