"""A pull request judged: what main would be with it, by the rules that main has."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from ci.errors import EntryError
from ci.findings import Report
from ci.git.merged_tree import merged
from ci.git.store import GitStore
from ci.registry import Registry
from ci.software.catalog import PACKAGES, is_catalog
from ci.trees import SubTree, Tree
from ci.validate import validate


def validate_pull_request(
    store: GitStore,
    base: str,
    head: str,
    *,
    folder: str = "",
    catalog: Tree | None = None,
    registry: Tree | None = None,
    sites: Collection[str] | None = None,
) -> Report:
    """Judge what changes when ``head`` is merged into main at ``base``.

    Args:
        store: the repository.
        base: main's commit, 40 hex digits; ``head`` is the branch's.
        head: see ``base``.
        folder: where in the repository the registry or catalogue lies; empty: it is all of it.
        catalog: see ``ci.validate.validate``, as for ``registry`` and ``sites``.
        registry: see there.
        sites: see there.

    Raises ``EntryError`` if there is nothing to be judged: no common history, a conflict, a tree
    that cannot be listed.
    """
    tree, changed = merged(store, base, head)
    main: Tree = store.tree(base)
    if folder:
        _check_folder(tree, main, folder)
        start = f"{folder}/"
        changed = tuple(p[len(start) :] for p in changed if p.startswith(start))
        tree, main = SubTree(tree, folder), SubTree(main, folder)
    _check_kind(tree, main)
    judge = partial(validate, tree, changed=changed, settings=main, before=main)
    return judge(catalog=catalog, registry=registry, sites=sites)


def _check_folder(tree: Tree, main: Tree, folder: str) -> None:
    parts = folder.split("/")
    for end in range(1, len(parts) + 1):
        if tree.find("/".join(parts[:end])) is not None:
            raise EntryError("is no folder any more", path="/".join(parts[:end]))
    if not tree.names(folder) and not main.names(folder):
        raise EntryError("there is no such folder in either commit", path=folder)


def _check_kind(tree: Tree, main: Tree) -> None:
    """What main is, a registry or a catalogue, a pull request does not change."""
    was, now = is_catalog(main), is_catalog(tree)
    if was and not now:
        raise EntryError("a Software Catalogue keeps its packages/", path=PACKAGES)
    if now and not was and Registry(main).workflows:
        hint = "packages belong to the Software Catalogue"
        raise EntryError("a Workflow Registry has no packages/", path=PACKAGES, hint=hint)
