"""``waas plan | recipe | build | images``: on any checkout, before any push."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click

from ci.errors import EntryError, SettingsError
from hooks.cli.output import as_json, show

_registry = click.option(
    "--registry", type=click.Path(path_type=Path), default=".", help="Workflow Registry checkout."
)
_catalog = click.option(
    "--catalog", type=click.Path(path_type=Path), help="Software Catalogue checkout."
)
_site = click.option("--site", help="A site of the service home.")
_target = click.option(
    "--target", metavar="T", help="A YAML file, or platform=linux/amd64,microarchitecture=zen3,…"
)


@click.command()
@click.argument("workflow")
@click.option("--site", "sites", multiple=True, help="Only these sites.")
@_registry
@_catalog
@as_json
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def plan(
    ctx: click.Context,
    workflow: str,
    sites: tuple[str, ...],
    registry: Path,
    catalog: Path | None,
    as_json: bool,
    shape: str,
) -> None:
    """What WORKFLOW needs at each site: images to reuse or build, and why."""
    from builder.store import MAIN
    from ci.folder_tree import FolderTree
    from ci.registry import Registry
    from hooks.cli.service import settings_of
    from hooks.dispatch import needs
    from hooks.sites.directory import SiteDirectory
    from hooks.wiring import image_service

    settings = settings_of(ctx)
    directory = SiteDirectory(settings.sites)
    read = Registry(FolderTree(registry))
    found = read.workflow(workflow)
    chosen = [directory.get(name) for name in sites or found.settings.sites]
    files = needs.files_of(FolderTree(catalog)) if catalog else {}
    rows = needs.planned(
        image_service(settings), needs.image_needs(read, found, chosen, MAIN, files)
    )
    columns = ["step", "site", "action", "why"]
    show(rows, columns, json_wanted=as_json or shape == "json")


def _step(registry: Path, name: str) -> Any:
    from ci.folder_tree import FolderTree
    from ci.registry import Registry

    workflow, slash, step = name.partition("/")
    if not slash:
        raise EntryError(f"{name!r} is not WORKFLOW/STEP")
    return Registry(FolderTree(registry)).workflow(workflow).step(step)


def _target_of(ctx: click.Context, site: str | None, target: str | None) -> Any:
    from hooks.cli.service import settings_of
    from hooks.cli.target_text import parse_target
    from hooks.sites.directory import SiteDirectory

    if bool(site) == bool(target):
        raise SettingsError("give either --site or --target")
    if site:
        return SiteDirectory(settings_of(ctx).sites).get(site).target
    return parse_target(target or "")


@click.command()
@click.argument("step", metavar="WORKFLOW/STEP")
@_site
@_target
@_registry
@_catalog
@click.pass_context
def recipe(
    ctx: click.Context,
    step: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
) -> None:
    """Print the recipe of a step's image."""
    from builder.recipe import render

    found = _step(registry, step)
    has_repository = catalog is not None and (catalog / "repo.yaml").is_file()
    text = render(
        found.environment,
        _target_of(ctx, site, target),
        found.name,
        catalog_has_repository=has_repository,
    ).text
    click.echo(text, nl=not text.endswith("\n"))


@click.command()
@click.argument("step", metavar="WORKFLOW/STEP")
@_site
@_target
@_registry
@_catalog
@click.option("--output", type=click.Path(path_type=Path), help="Copy the SIF into this folder.")
@click.pass_context
def build(
    ctx: click.Context,
    step: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
    output: Path | None,
) -> None:
    """Build a step's image, or take it from the store."""
    from builder.build import BuildRequest, Phase
    from ci.folder_tree import FolderTree
    from hooks.cli.service import settings_of
    from hooks.dispatch.needs import files_of
    from hooks.wiring import image_service

    found = _step(registry, step)
    request = BuildRequest(
        workflow=found.workflow,
        step=found.name,
        environment=found.environment,
        target=_target_of(ctx, site, target),
        files=found.files,
        catalog=files_of(FolderTree(catalog)) if catalog else {},
    )
    service = image_service(settings_of(ctx))
    if missing := service.available():
        raise SettingsError(missing)
    reused = service.plan(request).reuse

    def progress(phase: Phase, text: str) -> None:
        if phase in {Phase.BUILDING, Phase.CONVERTING} and text:
            click.echo(click.style(f"  {text}", dim=True), err=True)

    image = service.ensure(request, progress)
    click.echo(f"{'from the store' if reused else 'built'}: {image.digest}")
    click.echo(_copied(image.sif, output, f"{found.workflow}-{found.name}.sif"))


def _copied(sif: Path, folder: Path | None, name: str) -> Path:
    if folder is None:
        return sif
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sif, folder / name)
    return folder / name


@click.group()
def images() -> None:
    """The image store."""


@images.command("list")
@as_json
@click.pass_context
def list_images(ctx: click.Context, as_json: bool) -> None:
    """All images, newest first."""
    rows = sorted((i.to_dict() for i in _store(ctx).list()), key=lambda r: r["created"])
    for row in rows:
        row["microarchitecture"] = row["target"]["microarchitecture"]
        row["MB"] = f"{row['size'] / 1e6:.1f}"
        row["short"] = row["key"][:12]
    columns = ["short", "workflow", "step", "microarchitecture", "MB", "created"]
    show(rows[::-1], columns, json_wanted=as_json)


@images.command("show")
@click.argument("key")
@click.pass_context
def show_image(ctx: click.Context, key: str) -> None:
    """The metadata of the image whose key begins with KEY, as JSON."""
    found = [i for i in _store(ctx).list() if i.key.startswith(key)]
    if len(found) != 1:
        raise EntryError(f"{len(found)} images have a key that begins with {key!r}")
    click.echo(json.dumps(found[0].to_dict() | {"sif": str(found[0].sif)}, indent=2))


def _store(ctx: click.Context) -> Any:
    from builder.store import ImageStore
    from hooks.cli.service import settings_of

    return ImageStore(settings_of(ctx).images)
