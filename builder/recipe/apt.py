"""Debian packages."""

from __future__ import annotations

from collections.abc import Sequence

from builder.recipe.model import Cache, Run
from builder.recipe.quoting import script, settled
from ci.target import Target


def apt(packages: Sequence[str], target: Target) -> Run:
    """Return the step that installs packages.

    No code of contributors runs in it, so all builds of a platform share its caches.

    Raises:
        EntryError: a name cannot be quoted.
    """
    platform = target.platform.replace("/", "-")
    caches = tuple(
        Cache(f"{name}-{platform}", folder, scoped=False, sharing="locked")
        for name, folder in (
            ("apt-archives", "/var/cache/apt"),
            ("apt-lists", "/var/lib/apt/lists"),
        )
    )
    lines = settled(script("apt", packages=tuple(packages)))
    secrets = ("aptsources", "aptconf", "ca")
    return Run(lines, secrets, caches, title="install Debian packages")
