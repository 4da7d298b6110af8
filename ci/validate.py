"""Validation: every rule on every entry that is to be judged, as one report.

Fast, offline and pure: nothing of the tree is executed, and only what a rule asks for is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from ci.catalog import PACKAGES, Catalog, is_catalog
from ci.errors import EntryError
from ci.findings import Finding, Report
from ci.registry import Registry, Workflow
from ci.rules import (
    CONTENTS,
    FILES,
    STEPS,
    TOPOLOGIES,
    WORKFLOWS,
    Context,
    Rule,
    SourceFile,
    TopologyOf,
)
from ci.rules import PACKAGES as PACKAGE_RULES
from ci.trees import Entry, Tree

UNREADABLE = "entry/unreadable"
_LARGEST = 1024 * 1024  # bytes of a file whose content is judged
_MOST = 100  # findings of one rule on one subject: more help nobody

S = TypeVar("S")


def validate(
    tree: Tree,
    *,
    catalog: Tree | None = None,
    sites: Collection[str] | None = None,
    changed: Collection[str] | None = None,
) -> Report:
    """Judge a Workflow Registry, or a Software Catalogue (a tree with ``packages/``).

    Args:
        tree: what is judged.
        catalog: the Software Catalogue that specs are looked up in; None: they are not.
        sites: names of the sites there are; None: names of sites are not judged.
        changed: paths that changed; only files, workflows and packages touched by them are
            judged. None: everything.

    Never raises for what is in a tree; a tree that cannot be listed is one finding.
    """
    try:
        entries = tuple(tree.entries())
        known = Catalog(catalog) if catalog is not None else None
        context = Context(Registry(tree), known, sites)
        judged = entries if changed is None else _touched(entries, changed)
        found = [*_run(FILES, judged, context), *_judge_contents(tree, judged, context)]
        if is_catalog(tree):
            names = _names(changed, depth=1, under=PACKAGES)
            packages = [p for n, p in Catalog(tree).packages.items() if names is None or n in names]
            for package in packages:
                found += _run(PACKAGE_RULES, package, context)
            return _report(found, packages=len(packages), files=len(judged))
        names = _names(changed, depth=0)
        workflows = [
            w for n, w in context.registry.workflows.items() if names is None or n in names
        ]
        for workflow in workflows:
            found += _judge_workflow(workflow, context)
    except EntryError as error:
        return Report.of([Finding.of(error, UNREADABLE)])
    steps = sum(len(workflow.steps) for workflow in workflows)
    return _report(found, workflows=len(workflows), steps=steps, files=len(judged))


def _judge_contents(tree: Tree, entries: Iterable[Entry], context: Context) -> Iterator[Finding]:
    for entry in entries:
        if entry.is_file and entry.size <= _LARGEST:
            try:
                subject = SourceFile(entry, tree.read(entry.path))
            except EntryError as error:
                yield Finding.of(error, UNREADABLE)
                continue
            yield from _run(CONTENTS, subject, context)


def _judge_workflow(workflow: Workflow, context: Context) -> Iterator[Finding]:
    yield from _run(WORKFLOWS, workflow, context)
    for path in workflow.topology_files:
        try:
            topology = context.registry.topology(path)
        except EntryError:
            continue  # a finding of the workflow's rules
        if topology is not None:
            yield from _run(TOPOLOGIES, TopologyOf(topology, workflow), context)
    for step in workflow.steps.values():
        yield from _run(STEPS, step, context)


def _run(rules: Iterable[type[Rule[S]]], subject: S, context: Context) -> Iterator[Finding]:
    """All rules on one subject; an error that a rule met while reading is a finding too."""
    for rule in rules:
        try:
            yield from islice(rule(context).check(subject), _MOST)
        except EntryError as error:
            yield Finding.of(error, UNREADABLE)


def _report(found: Sequence[Finding], **counts: int) -> Report:
    """Leave out what was met while reading where a rule has said the same with its own id."""
    said = {_gist(finding) for finding in found if finding.rule != UNREADABLE}
    kept = [f for f in found if f.rule != UNREADABLE or _gist(f) not in said]
    return Report.of(kept, **counts)


def _gist(finding: Finding) -> tuple[Any, ...]:
    return (finding.path, finding.line, finding.column, finding.message)


def _touched(entries: Iterable[Entry], changed: Collection[str]) -> tuple[Entry, ...]:
    paths = set(changed)
    return tuple(entry for entry in entries if entry.path in paths)


def _names(changed: Collection[str] | None, depth: int, under: str = "") -> set[str] | None:
    """The folders at this depth that hold a changed path; None: all."""
    if changed is None:
        return None
    parts = (path.split("/") for path in changed)
    return {p[depth] for p in parts if len(p) > depth + 1 and (not under or p[0] == under)}
