"""What workflows need at the sites that they name: images and deployments, before any is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder.build import ImageService
from builder.request import BuildRequest
from ci.registry import Registry, Workflow
from ci.site import Site
from ci.tosca.graph import steps_of_images
from ci.trees import Tree
from hooks.builds.spec import files_of, request_of

__all__ = ["ImageNeed", "content_of", "files_of", "image_needs", "planned"]


@dataclass(frozen=True, slots=True)
class ImageNeed:
    """The image of a step that a workflow's topology asks for at a site."""

    workflow: str
    step: str
    site: str
    request: BuildRequest


def image_needs(
    registry: Registry,
    workflow: Workflow,
    sites: Iterable[Site],
    scope: str,
    catalog: Mapping[str, bytes],
    commits: tuple[str, str] = ("", ""),
) -> Iterator[ImageNeed]:
    """The images that a workflow needs, each step once per site.

    ``commits``: where registry and catalogue are from, for the record.
    """
    names = sorted(set(steps_of_images(workflow.topology).values()))
    for site in sites:
        for owner, step in names:
            request = request_of(
                registry,
                owner,
                step,
                site.target,
                scope=scope,
                catalog=catalog,
                commit=commits[0],
                catalog_commit=commits[1],
            )
            yield ImageNeed(workflow.name, step, site.name, request)


def planned(images: ImageService, needs: Iterable[ImageNeed]) -> list[dict[str, Any]]:
    """Each need with its content key and what would be done: ``reuse``, ``build`` or ``share``.

    ``share``: another entry of this very plan builds it.
    """
    rows: list[dict[str, Any]] = []
    building: dict[str, str] = {}
    for need in needs:
        plan = images.plan(need.request)
        action, why = "reuse" if plan.reuse else "build", plan.why
        if not plan.reuse and plan.key in building:
            action, why = "share", f"the image built for {building[plan.key]}"
        building.setdefault(plan.key, need.site)
        rows.append(
            {
                "id": f"{need.step}@{need.site}",
                "workflow": need.workflow,
                "owner": need.request.workflow,
                "step": need.step,
                "site": need.site,
                "target": need.request.target.to_dict(),
                "key": plan.key,
                "image": plan.image.key if plan.image else "",
                # what a pull request left in a cache must not get into an image of main
                "promotable": not plan.recipe.trusts_caches,
                "action": action,
                "why": why,
            }
        )
    return rows


def content_of(tree: Tree, workflow: str, keys: Iterable[str]) -> str:
    """A hash of all that a deployment of this workflow puts in place, and of the types it uses."""
    digest = hashlib.sha256()
    topologies = Registry(tree).workflow(workflow).topologies
    imported = {document.path for topology in topologies for document in topology.types}
    types = [entry for path in sorted(imported) if (entry := tree.find(path))]
    for entry in dict.fromkeys([*tree.entries(workflow), *types]):
        if entry.is_file:
            blob = hashlib.sha256(tree.read(entry.path)).hexdigest()
            digest.update(f"{entry.path} {entry.mode:o} {blob}\n".encode())
    for key in sorted(keys):
        digest.update(f"image {key}\n".encode())
    return digest.hexdigest()
