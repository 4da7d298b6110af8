"""``waas plan | recipe | build``: on any checkout, before any push."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci.errors import EntryError, SettingsError
from hooks.cli.output import as_json, show

if TYPE_CHECKING:
    from builder.request import BuildRequest

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
    from hooks.image_service import image_service
    from hooks.sites.directory import SiteDirectory

    settings = settings_of(ctx)
    directory = SiteDirectory(settings.sites)
    read = Registry(FolderTree(registry))
    found = read.workflow(workflow)
    chosen = [directory.get(name) for name in sites or found.settings.sites]
    if not chosen:
        hint = "name one with --site, or list them under `sites:`"
        raise EntryError(f"{workflow} names no sites in its waas.yaml", hint=hint)
    files = needs.files_of(FolderTree(catalog)) if catalog else {}
    rows = needs.planned(
        image_service(settings), needs.image_needs(read, found, chosen, MAIN, files)
    )
    columns = ["step", "site", "action", "why"]
    show(rows, columns, json_wanted=as_json or shape == "json")


def _target_of(ctx: click.Context, site: str | None, target: str | None) -> Any:
    from builder.targets import check
    from hooks.cli.service import settings_of
    from hooks.cli.target_text import parse_target
    from hooks.sites.directory import SiteDirectory

    if bool(site) == bool(target):
        raise SettingsError("give either --site or --target")
    if site:
        found = SiteDirectory(settings_of(ctx).sites).get(site).target
        check(found)
        return found
    return parse_target(target or "")


def request_of(
    ctx: click.Context,
    name: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
) -> BuildRequest:
    """What is asked for: the image of WORKFLOW/STEP, from checkouts."""
    from builder.store import MAIN
    from ci.folder_tree import FolderTree
    from ci.registry import Registry
    from hooks.builds import spec

    workflow, slash, step = name.partition("/")
    if not slash:
        raise EntryError(f"{name!r} is not WORKFLOW/STEP")
    return spec.request_of(
        Registry(FolderTree(registry)),
        workflow,
        step,
        _target_of(ctx, site, target),
        scope=MAIN,
        catalog=spec.files_of(FolderTree(catalog)) if catalog else {},
    )


@click.command()
@click.argument("step", metavar="WORKFLOW/STEP")
@_site
@_target
@_registry
@_catalog
@click.option("--definition", is_flag=True, help="As a definition file of Singularity/Apptainer.")
@click.pass_context
def recipe(
    ctx: click.Context,
    step: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
    definition: bool,
) -> None:
    """Print the recipe of a step's image."""
    from builder.compatibility import relevant
    from builder.recipe import render

    asked = request_of(ctx, step, site, target, registry, catalog)
    found = render(
        asked.environment,
        relevant(asked.environment, asked.target),
        asked.step,
        catalog_has_repository="repo.yaml" in asked.catalog,
        tests=asked.tests,
    )
    text = found.definition("docker://debian:bookworm-slim") if definition else found.text
    click.echo(text, nl=not text.endswith("\n"))


@click.command()
@click.argument("step", metavar="WORKFLOW/STEP")
@_site
@_target
@_registry
@_catalog
@click.option("--output", type=click.Path(path_type=Path), help="Copy the SIF into this folder.")
@click.option("--force", is_flag=True, help="Build anew, and replace the image that is there.")
@click.pass_context
def build(
    ctx: click.Context,
    step: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Build a step's image, or take it from the store."""
    from builder.request import Phase
    from builder.supply.signers import read_signers_file
    from builder.supply.verify import verify
    from hooks.cli.service import settings_of
    from hooks.image_service import image_service

    request = request_of(ctx, step, site, target, registry, catalog)
    service = image_service(settings_of(ctx))
    if missing := service.available():
        raise SettingsError(missing)
    reused = not force and service.plan(request).reuse

    def progress(phase: Phase, text: str) -> None:
        if phase in {Phase.BUILDING, Phase.CONVERTING} and text:
            click.echo(click.style(f"  {text}", dim=True), err=True)

    image = service.ensure(request, progress, force=force)
    verify(image.folder, read_signers_file(settings_of(ctx).signers))
    click.echo(f"{'from the store' if reused else 'built'}: {image.digest}")
    click.echo(_copied(image.sif, output, f"{request.workflow}-{request.step}.sif"))


def _copied(sif: Path, folder: Path | None, name: str) -> Path:
    if folder is None:
        return sif
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sif, folder / name)
    except OSError as error:
        raise SettingsError(f"--output {folder}: {error.strerror}") from error
    return folder / name
