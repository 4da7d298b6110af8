"""Validation: every rule on every entry that is to be judged, as one report.

Fast, offline and pure: nothing of the tree is executed, and only what a rule asks for is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from ci.dependents import (
    dependent_packages,
    dependent_workflows,
    folders_of,
    provided_by,
    users_of,
)
from ci.errors import EntryError
from ci.findings import Finding, Report
from ci.parallel import spread
from ci.registry import Registry, Workflow
from ci.rules import (
    CONTENTS,
    FILES,
    STEPS,
    TOPOLOGIES,
    USERS,
    WORKFLOWS,
    Context,
    Rule,
    SourceFile,
    TopologyOf,
    User,
    all_rules,
)
from ci.rules import PACKAGES as PACKAGE_RULES
from ci.software.catalog import PACKAGES, Catalog, is_catalog
from ci.trees import MAX_READ, Entry, Tree
from ci.validation_settings import validation_settings_of

UNREADABLE = "entry/unreadable"
_LARGEST = 1024 * 1024  # bytes of a file that all rules on contents look at
_MOST_LARGE = 64 * 1024 * 1024  # bytes of a folder's larger ones, which some rules look at
_ALWAYS = tuple(rule for rule in CONTENTS if not rule.optional)
_MOST = 100  # findings of one rule on one subject: more help nobody

S = TypeVar("S")


def validate(
    tree: Tree,
    *,
    catalog: Tree | None = None,
    sites: Collection[str] | None = None,
    changed: Collection[str] | None = None,
    settings: Tree | None = None,
    before: Tree | None = None,
    registry: Tree | None = None,
    workers: int = 1,
) -> Report:
    """Judge a Workflow Registry, or a Software Catalogue (a tree with ``packages/``).

    Args:
        tree: what is judged: of a pull request, what main would be once it is merged.
        catalog: the Software Catalogue that specs are looked up in; None: they are not.
        sites: names of the sites there are; None: names of sites are not judged.
        changed: paths that changed; only files, workflows and packages touched by them, and what
            depends on these, are judged. None: everything.
        settings: the tree whose ``validation.yaml`` counts, which is main's; None: ``tree``.
        before: for a Software Catalogue, what main has.
        registry: the Workflow Registry that uses the catalogue: then the report names the
            workflows that are affected, and what breaks in them that was right ``before``.
        workers: how many processes judge a large registry; 1 in a program with threads.

    Never raises for what is in a tree; a tree that cannot be listed is one finding.
    """
    try:
        context = _context(tree, catalog, sites, settings or tree)
        entries = tuple(tree.entries()) if changed is None else _touched(tree, changed)
        found = list(_run(FILES, entries, context))
        if not is_catalog(tree):
            return _judge_registry(entries, changed, context, found, workers)
        names = _packages(Catalog(tree), changed, before)
        users = [] if registry is None else _users(registry, tree, before, names, context)
        return _judge_catalog(entries, names, users, context, found)
    except EntryError as error:
        return Report.of([Finding.of(error, UNREADABLE)])


def _context(
    tree: Tree, catalog: Tree | None, sites: Collection[str] | None, settings: Tree
) -> Context:
    rules = {rule.id: rule.optional for rule in all_rules()}
    off = frozenset(validation_settings_of(settings, rules).disabled)
    known = Catalog(catalog) if catalog is not None else None
    return Context(Registry(tree), known, sites, rules, off)


def judge_workflow(workflow: Workflow, context: Context) -> Iterator[Finding]:
    """All rules on a workflow, its topologies and its steps."""
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


def _judge_registry(
    entries: Sequence[Entry],
    changed: Collection[str] | None,
    context: Context,
    found: list[Finding],
    workers: int,
) -> Report:
    registry = context.registry
    names = registry.workflows if changed is None else dependent_workflows(registry, changed)
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(_top_folder(entry), []).append(entry)

    def judge(name: str) -> tuple[list[Finding], int]:
        findings = list(_judge_contents(folders.get(name, ()), context))
        steps = 0
        if name in names:
            findings += judge_workflow(registry.workflows[name], context)
            steps = len(registry.workflows[name].steps)
        registry.forget(name)  # its turn is over: memory is that of one
        return findings, steps

    results = list(spread(judge, sorted({*names, *folders}), workers))
    found += (finding for findings, _ in results for finding in findings)
    steps = sum(count for _, count in results)
    return _report(found, workflows=len(names), steps=steps, files=len(entries))


def _top_folder(entry: Entry) -> str:
    return entry.path.partition("/")[0] if "/" in entry.path else ""


def _packages(
    catalog: Catalog, changed: Collection[str] | None, before: Tree | None
) -> Collection[str]:
    """The names of the packages that changed or are gone, and of those that depend on them."""
    if changed is None:
        gone = Catalog(before).packages if before is not None else ()
        return {*catalog.packages, *gone}
    names = folders_of(changed, PACKAGES)
    provided = provided_by(catalog, names)
    if before is not None:
        provided |= provided_by(Catalog(before), names)
    return dependent_packages(catalog, names | provided)


def _users(
    registry: Tree, tree: Tree, before: Tree | None, names: Collection[str], context: Context
) -> list[User]:
    """The workflows that use the packages, each with what is wrong with it only now."""
    now = replace(context, registry=Registry(registry), catalog=Catalog(tree))
    found = []
    for workflow in users_of(now.registry, names):
        new: list[Finding] = []
        if before is not None:
            then = replace(now, registry=Registry(registry), catalog=Catalog(before))
            old = set(map(_gist, judge_workflow(then.registry.workflows[workflow.name], then)))
            new = [f for f in judge_workflow(workflow, now) if _gist(f) not in old]
        found.append(User(workflow, names, tuple(new)))
        now.registry.forget(workflow.name)
    return found


def _judge_catalog(
    entries: Sequence[Entry],
    names: Collection[str],
    users: Sequence[User],
    context: Context,
    found: list[Finding],
) -> Report:
    found += _judge_contents(entries, context)
    for user in users:
        found += _run(USERS, user, context)
    catalog = Catalog(context.registry.tree)
    there = sorted(set(names) & set(catalog.packages))
    for name in there:
        found += _run(PACKAGE_RULES, catalog.packages[name], context)
    affected = [user.workflow.name for user in users]
    return _report(found, affected, packages=len(there), files=len(entries))


def _judge_contents(entries: Iterable[Entry], context: Context) -> Iterator[Finding]:
    left = _MOST_LARGE
    for entry in (entry for entry in entries if entry.is_file and entry.size <= MAX_READ):
        is_large = entry.size > _LARGEST
        left -= entry.size * is_large
        if left < 0:
            hint = "stage them in instead"
            yield Finding.of(EntryError("too many large files", hint=hint), UNREADABLE)
            return
        try:
            subject = SourceFile(entry, context.registry.read(entry.path))
        except EntryError as error:
            yield Finding.of(error, UNREADABLE)
            continue
        yield from _run(_ALWAYS if is_large else CONTENTS, subject, context)
        if is_large:
            context.registry.forget(entry.path.rpartition("/")[0])


def _run(rules: Iterable[type[Rule[S]]], subject: S, context: Context) -> Iterator[Finding]:
    """All rules on one subject; an error that a rule met while reading is a finding too."""
    for rule in rules:
        if rule.id in context.off and rule.optional:
            continue
        try:
            yield from islice(rule(context).check(subject), _MOST)
        except EntryError as error:
            yield Finding.of(error, UNREADABLE)


def _report(found: Sequence[Finding], affected: Sequence[str] = (), **counts: int) -> Report:
    """Leave out what was met while reading where a rule has said the same with its own id."""
    said = {_gist(finding) for finding in found if finding.rule != UNREADABLE}
    kept = [f for f in found if f.rule != UNREADABLE or _gist(f) not in said]
    return Report.of(kept, affected=affected, **counts)


def _gist(finding: Finding) -> tuple[Any, ...]:
    return (finding.path, finding.line, finding.column, finding.message)


def _touched(tree: Tree, changed: Collection[str]) -> tuple[Entry, ...]:
    found = (tree.find(path) for path in sorted(changed))
    return tuple(entry for entry in found if entry is not None)
