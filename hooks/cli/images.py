"""``waas images``: what is there, why one was taken or not, whether it is genuine, what may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci.errors import EntryError, WaasError
from hooks.cli.output import as_json, show

if TYPE_CHECKING:
    from builder.plan import Considered, ImagePlan
    from builder.store import Image, ImageStore

_SHOWN_IMAGES = 3


@click.group()
def images() -> None:
    """The image store."""


@images.command("list")
@as_json
@click.pass_context
def list_images(ctx: click.Context, as_json: bool) -> None:
    """All images, newest first."""
    rows = [image.to_dict() | {"scope": image.scope} for image in _store(ctx).list()]
    for row in rows:
        row["microarchitecture"] = row["target"]["microarchitecture"]
        row["MB"] = f"{row['size'] / 1e6:.1f}"
        row["short"] = row["key"][:12]
    columns = ["short", "workflow", "step", "microarchitecture", "scope", "MB", "created"]
    show(rows, columns, json_wanted=as_json)


@images.command("show")
@click.argument("key")
@click.pass_context
def show_image(ctx: click.Context, key: str) -> None:
    """The metadata of the image whose key or digest begins with KEY, as JSON."""
    found = _one(_store(ctx), key)
    files = sorted(str(p.relative_to(found.folder)) for p in found.folder.rglob("*") if p.is_file())
    document = found.to_dict() | {"scope": found.scope, "sif": str(found.sif), "files": files}
    click.echo(json.dumps(document, indent=2))


@images.command("why")
@click.argument("step", metavar="WORKFLOW/STEP")
@click.option("--site", help="A site of the service home.")
@click.option("--target", metavar="T", help="A YAML file, or platform=…,microarchitecture=…")
@click.option("--registry", type=click.Path(path_type=Path), default=".", help="A checkout.")
@click.option("--catalog", type=click.Path(path_type=Path), help="A checkout.")
@click.option("--all", "everything", is_flag=True, help="Every image, not only the closest.")
@as_json
@click.pass_context
def why(
    ctx: click.Context,
    step: str,
    site: str | None,
    target: str | None,
    registry: Path,
    catalog: Path | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Field by field, why an image answers for WORKFLOW/STEP at a site, or why none does."""
    from hooks.cli.author import request_of
    from hooks.cli.service import settings_of
    from hooks.image_service import image_service

    request = request_of(ctx, step, site, target, registry, catalog)
    service = image_service(settings_of(ctx))
    plan = service.plan(request)
    others = _others(service.store, plan, request.workflow, request.step)
    considered = plan.considered if everything else plan.considered[:_SHOWN_IMAGES]
    if as_json:
        click.echo(json.dumps(_document(plan, considered, others), indent=2))
        return
    place = site or request.target.microarchitecture
    answer = "answered by" if plan.image else "would be built:"
    click.echo(
        f"{step} for {place}: {answer} {plan.image.key[:12] if plan.image else plan.key[:12]}"
    )
    click.echo(f"  {plan.why}")
    for one in considered:
        _show_considered(one, plan)
    for image, told in others[:_SHOWN_IMAGES]:
        click.echo(f"\nimage {image.key[:12]} of {image.created[:10]} is of other software:")
        click.echo("".join(f"  {line}\n" for line in told), nl=False)


def _show_considered(one: Considered, plan: ImagePlan) -> None:
    taken = plan.image is not None and one.image.key == plan.image.key
    word = "taken" if taken else "would fit too" if one.fits else "does not fit"
    click.echo(f"\nimage {one.image.key[:12]} of {one.image.created[:10]}: {word}")
    rows = [
        {
            "field": v.field,
            "image": v.image or "–",
            "site": v.site or "–",
            "": "✓" if v.fits else "✗",
            "why": v.why,
        }
        for v in one.verdicts
    ]
    show(rows, ["field", "image", "site", "", "why"], json_wanted=False)


def _others(
    store: ImageStore, plan: ImagePlan, workflow: str, step: str
) -> list[tuple[Image, list[str]]]:
    """Images of the same step with other software, the newest first, and what differs."""
    from builder.plan import differences

    return [
        (image, list(differences(plan.inputs, _inputs_of(image))))
        for image in store.list()
        if (image.workflow, image.step) == (workflow, step) and image.software_key != plan.software
    ]


def _inputs_of(image: Image) -> dict[str, Any]:
    """What went into an image; nothing for one whose files are in the registry only."""
    from builder.making import INPUTS

    try:
        found: dict[str, Any] = json.loads((image.folder / INPUTS).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _document(
    plan: ImagePlan, considered: tuple[Considered, ...], others: list[tuple[Image, list[str]]]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "key": plan.key,
        "software_key": plan.software,
        "image": plan.image.key if plan.image else None,
        "why": plan.why,
        "considered": [
            {"key": c.image.key, "fits": c.fits, "fields": [asdict(v) for v in c.verdicts]}
            for c in considered
        ],
        "other_software": [{"key": i.key, "created": i.created, "differs": d} for i, d in others],
    }


@images.command("verify")
@click.argument("keys", metavar="[KEY]…", nargs=-1)
@as_json
@click.pass_context
def verify_images(ctx: click.Context, keys: tuple[str, ...], as_json: bool) -> None:
    """Check signature and every file of images (all, or those whose key begins with KEY).

    Exit code 1 if one is not as it was signed.
    """
    from builder.supply.signers import read_signers_file
    from builder.supply.verify import verify
    from hooks.cli.service import settings_of

    store = _store(ctx)
    allowed = read_signers_file(settings_of(ctx).signers)
    rows = []
    for image in [_one(store, key) for key in keys] if keys else store.list():
        row = {"short": image.key[:12], "workflow": image.workflow, "step": image.step}
        try:
            verified = verify(image.folder, allowed)
            rows.append(
                row | {"result": "genuine", "why": f"signed by {verified.signer.fingerprint}"}
            )
        except WaasError as error:
            rows.append(row | {"result": "REFUSED", "why": str(error)})
    show(rows, ["short", "workflow", "step", "result", "why"], json_wanted=as_json)
    if any(row["result"] == "REFUSED" for row in rows):
        raise click.exceptions.Exit(1)


@images.command("rotate-key")
@click.pass_context
def rotate_key(ctx: click.Context) -> None:
    """Sign with a new key from now on. Images that older keys have signed still hold."""
    from hooks.cli.service import settings_of
    from hooks.home import image_signing

    settings = settings_of(ctx)
    public = image_signing(settings).rotate()
    click.echo(f"images are signed by {public.fingerprint} from now on")
    click.echo(f"{settings.signers} names it; remove a line there to refuse what that key signed")


@images.command("gc")
@click.option("--keep-days", type=float, help="Images unused for longer may go (settings).")
@click.option("--max-gb", type=float, help="Then the least used, until so much is left (settings).")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@as_json
@click.pass_context
def gc(
    ctx: click.Context, keep_days: float | None, max_gb: float | None, dry_run: bool, as_json: bool
) -> None:
    """Remove images that nobody needs; never one that a deployment uses."""
    from hooks.cli.service import settings_of
    from hooks.db import Database
    from hooks.registries import Registries
    from hooks.upkeep import Upkeep

    settings = settings_of(ctx)
    database = Database(settings.database)
    database.check()
    registries = Registries(settings.forges.registries)
    upkeep = Upkeep(database, _store(ctx), settings.builder, registries)
    act = upkeep.plan if dry_run else upkeep.apply
    going = act(keep_days=keep_days, max_gb=max_gb)
    rows = [
        {"short": i.key[:12], "workflow": i.workflow, "step": i.step, "scope": i.scope}
        | {"MB": f"{i.size / 1e6:.1f}", "why": reason}
        for i, reason in going
    ]
    show(rows, ["short", "workflow", "step", "scope", "MB", "why"], json_wanted=as_json)
    if not as_json:
        freed = sum(image.size for image, _ in going) / 1e6
        click.echo(f"{'would free' if dry_run else 'freed'} {freed:.1f} MB", err=True)


def _one(store: ImageStore, key: str) -> Image:
    wanted = key.removeprefix("sha256:")
    found = [
        image
        for image in store.list()
        if image.key.startswith(wanted) or image.digest.removeprefix("sha256:").startswith(wanted)
    ]
    if len(found) != 1:
        raise EntryError(f"{len(found)} images have a key or digest that begins with {key!r}")
    return found[0]


def _store(ctx: click.Context) -> ImageStore:
    from hooks.cli.service import settings_of
    from hooks.image_service import image_store

    return image_store(settings_of(ctx))
