"""What a tree of workflows needs at the sites: read from it, judged by the image store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.build import ImageService
from builder.store import MAIN
from ci.errors import SiteError
from ci.registry import Registry
from ci.target import Target
from ci.trees import Tree
from hooks.builds.spec import BuildSpec
from hooks.dispatch import needs
from hooks.forge_choice import RegistryPair
from hooks.forges.marks import Mains
from hooks.forges.seams import Forge
from hooks.registries import full_name
from hooks.sites.directory import SiteDirectory


class NoImagesError(SiteError):
    """Nothing can be planned, since the image store or its registry cannot be had."""


@dataclass(frozen=True)
class Planner:
    """Plans over the forges' commits, the sites and the image store."""

    forges: Mapping[str, Forge]
    mains: Mains
    sites: SiteDirectory
    images: Callable[[], ImageService]  # transient ``SiteError`` while images cannot be had

    def tree(self, repository: str, commit: str) -> Tree:
        """The files of a commit."""
        return self.forges[repository].fetch(commit).tree(commit)

    def main_of(self, repository: str) -> Tree | None:
        """The files of main; None if there is no main yet."""
        head = self.mains.of(repository)
        return self.tree(repository, head) if head else None

    def rows(
        self, pair: RegistryPair, tree: Tree, scope: str, *, only: set[str] | None = None
    ) -> list[dict[str, Any]]:
        """The plan's rows (see ``needs.planned``) for all workflows, or for ``only`` these.

        Raises ``NoImagesError``.
        """
        registry = Registry(tree)
        catalog = self.main_of(pair.software)
        files = needs.files_of(catalog) if catalog else {}
        known = {site.name: site for site in self.sites.all()}
        found: list[needs.ImageNeed] = []
        for workflow in registry.workflows.values():
            if only is not None and workflow.name not in only:
                continue
            sites = [known[name] for name in workflow.settings.sites if name in known]
            found += needs.image_needs(registry, workflow, sites, scope, files)
        try:
            rows = needs.planned(self.images(), found)
        except SiteError as error:
            raise NoImagesError(
                error.message, transient=error.transient, hint=error.hint
            ) from error
        return [row | {n: full_name(pair, row[n]) for n in ("workflow", "owner")} for row in rows]

    def promote(self, rows: list[dict[str, Any]], scopes: list[str]) -> bool:
        """Images that were built for merged pull requests become main's; whether any did.

        The key says that the content is the same. Not those that took anything from the pull
        request's caches: a commit that was not merged may have put it there. They are built anew.
        """
        store, promoted = self.images().store, False
        for row in rows:
            if row["action"] == "reuse" or not row["promotable"]:
                continue
            for scope in scopes:
                image = store.find(row["key"], scope)
                if image is not None and image.scope == scope:
                    store.promote(row["key"], scope)
                    promoted = True
                    break
        return promoted

    def wanted(
        self, pair: RegistryPair, rows: list[dict[str, Any]], commit: str, scope: str = MAIN
    ) -> list[dict[str, Any]]:
        """The builds that a plan asks for; ``reuse`` and ``share`` are asked too: they are quick,
        and what was true when the plan was made need not be true any more.
        """
        catalog = self.mains.of(pair.software)
        names = ("workflow", "step", "site", "key")
        return [
            {name: row[name] for name in names}
            | {
                "id": f"{row['workflow']}/{row['id']}",
                "spec": BuildSpec(
                    workflow=row["owner"],
                    step=row["step"],
                    commit=commit,
                    catalog_commit=catalog,
                    target=Target(**row["target"]),
                    scope=scope,
                    site=row["site"],
                ).to_dict(),
            }
            for row in rows
        ]
