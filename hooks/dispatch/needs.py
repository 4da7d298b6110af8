"""What workflows need at the sites that they name: images and deployments, before any is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder.build import BuildRequest, ImageService
from ci.errors import EntryError
from ci.registry import Registry, Workflow
from ci.site import Site
from ci.tosca.graph import steps_of_images
from ci.trees import Tree


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
) -> Iterator[ImageNeed]:
    """The images that a workflow needs, each step once per site."""
    names = sorted(set(steps_of_images(workflow.topology).values()))
    for site in sites:
        for owner, step_name in names:
            step = registry.workflow(owner).step(step_name)
            request = BuildRequest(
                workflow=owner,
                step=step_name,
                environment=step.environment,
                target=site.target,
                files=step.files,
                scope=scope,
                catalog=catalog,
            )
            yield ImageNeed(workflow.name, step_name, site.name, request)


def planned(images: ImageService, needs: Iterable[ImageNeed]) -> list[dict[str, Any]]:
    """Each need with its content key and what would be done: ``reuse``, ``build`` or ``share``.

    ``share``: another entry of this very plan builds it.
    """
    rows: list[dict[str, Any]] = []
    building: dict[str, str] = {}
    for need in needs:
        plan = images.plan(need.request)
        action, why = "build", "no image with this content key yet"
        if plan.image:
            action, why = "reuse", f"built {plan.image.created[:10]} as {plan.image.digest[:19]}…"
        elif plan.key in building:
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


def files_of(tree: Tree, limit: int = 50_000_000) -> dict[str, bytes]:
    """All regular files of a tree. Raises ``EntryError`` beyond ``limit`` bytes."""
    entries = [entry for entry in tree.entries() if entry.is_file]
    if sum(entry.size for entry in entries) > limit:
        raise EntryError(f"the Software Catalogue has more than {limit // 1_000_000} MB of files")
    return {entry.path: tree.read(entry.path) for entry in entries}
