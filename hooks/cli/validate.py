"""``waas validate``: on any checkout, offline, without a server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci.errors import EntryError, SettingsError

if TYPE_CHECKING:
    from ci.findings import Report
    from ci.folder_tree import FolderTree
    from ci.git.store import GitStore

FORMATS = ("text", "json", "markdown", "github", "sarif")


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--catalog", type=click.Path(path_type=Path), help="Software Catalogue checkout.")
@click.option(
    "--registry",
    type=click.Path(path_type=Path),
    help="For a catalogue: the Workflow Registry checkout that uses it.",
)
@click.option("--site", "sites", multiple=True, help="A site there is (waas.yaml may name it).")
@click.option("--base", metavar="SHA", help="Judge only what a merge into this commit changes …")
@click.option("--head", metavar="SHA", help="… of this one (with --base; default HEAD).")
@click.option("--format", "shape", type=click.Choice(FORMATS), default="text")
@click.option("--explain", metavar="RULE", help="Print what a rule demands, and why.")
def validate(
    path: Path,
    catalog: Path | None,
    registry: Path | None,
    sites: tuple[str, ...],
    base: str | None,
    head: str | None,
    shape: str,
    explain: str | None,
) -> None:
    """Judge a Workflow Registry or Software Catalogue: PATH, by default this folder.

    Exit 0: no errors (warnings are allowed); 1: errors found; 2: it cannot run.
    """
    from ci import report

    if explain:
        click.echo(_documentation(explain))
        return
    if head and not base:
        raise SettingsError("--head needs --base", hint="--base main")
    found = _judge(path, catalog, registry, sites or None, base, head or "HEAD")
    if shape == "text":
        click.echo(report.render_text(found, colour=sys.stdout.isatty()), nl=False)
    else:
        # GitHub places findings by their paths in the repository
        placed = found.below(_folder_of(path)) if shape in {"github", "sarif"} else found
        click.echo(report.RENDERERS[shape](placed), nl=False)
    if not found.passed:
        raise click.exceptions.Exit(1)


def _judge(
    path: Path,
    catalog: Path | None,
    registry: Path | None,
    sites: tuple[str, ...] | None,
    base: str | None,
    head: str,
) -> Report:
    from ci.findings import Finding, Report
    from ci.folder_tree import FolderTree
    from ci.pull_request import validate_pull_request
    from ci.validate import validate

    known = _catalogue(catalog) if catalog else None
    users = FolderTree(registry) if registry else None
    if base is None:
        tree = FolderTree(path)
        if not any(name.endswith("/") for name in tree.names()):
            hint = "the folder that has the workflows, or packages/"
            raise SettingsError(f"{path} is neither registry nor catalogue", hint=hint)
        workers = len(os.sched_getaffinity(0))
        return validate(tree, catalog=known, registry=users, sites=sites, workers=workers)
    store, folder = _repository(path)
    onto, branch = store.resolve(base), store.resolve(head)
    try:
        return validate_pull_request(
            store,
            onto,
            branch,
            folder=folder,
            catalog=known,
            registry=users,
            sites=sites,
        )
    except EntryError as error:
        return Report.of([Finding.of(error, "pull/refused")])


def _catalogue(path: Path) -> FolderTree:
    from ci.folder_tree import FolderTree
    from ci.software.catalog import is_catalog

    tree = FolderTree(path)
    if not is_catalog(tree):
        hint = "the folder that has packages/"
        raise SettingsError(f"{path} is no Software Catalogue", hint=hint)
    return tree


def _repository(path: Path) -> tuple[GitStore, str]:
    """The repository that a path is in, and where in it."""
    from ci.git.store import GitStore, find_git_dir

    if not path.is_dir():
        raise SettingsError(f"{path} is not a folder")
    found = find_git_dir(path)
    if found is None:
        raise SettingsError(f"{path} is not in a git repository", hint="leave --base away")
    return GitStore(found[0]), found[1]


def _folder_of(path: Path) -> str:
    from ci.git.store import find_git_dir

    try:
        found = find_git_dir(path) if path.is_dir() else None
    except SettingsError:
        found = None
    return found[1] if found else ""


def _documentation(rule_id: str) -> str:
    from ci.located import nearest
    from ci.rules import all_rules

    rules = {rule.id: rule for rule in all_rules()}
    if rule_id not in rules:
        raise EntryError(f"there is no rule {rule_id!r}", hint=nearest(rule_id, rules))
    rule = rules[rule_id]
    return f"{rule.id} ({rule.severity})\n\n{rule.documentation()}"
