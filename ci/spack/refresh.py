"""Makes the index of Spack's own packages from a checkout of Spack, or of spack-packages.

``python -m ci.spack.refresh CHECKOUT``: recipes are parsed, nothing of them is run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ci.errors import EntryError
from ci.software.package_recipe import PackageRecipe, read_package_recipe
from ci.spack.index import FILE, Listing, has_all_variants, pack, provided_by

FOLDERS = (  # of Spack up to 0.23, of 1.0, and of github.com/spack/spack-packages
    "var/spack/repos/builtin/packages",
    "var/spack/repos/spack_repo/builtin/packages",
    "repos/spack_repo/builtin/packages",
)


def package_name(folder: str) -> str:
    """The package of a folder: since Spack 1.0 these are Python names, ``_7zip``, ``py_numpy``."""
    return folder.removeprefix("_").replace("_", "-")


def listing_of(recipe: PackageRecipe, text: str) -> Listing:
    """What a recipe says; nothing of it is certain where it builds on another or computes."""
    versions = tuple(dict.fromkeys(version.name for version in recipe.versions))
    certain = versions and not recipe.computed and not recipe.inherits
    return Listing(
        versions if certain else None,
        frozenset(recipe.variants) if has_all_variants(recipe, text) else None,
    )


def recipes(checkout: Path) -> Iterator[tuple[str, bytes]]:
    """Names of packages and their recipes. Raises ``EntryError``: there are none."""
    found = [checkout / folder for folder in FOLDERS if (checkout / folder).is_dir()]
    if not found:
        raise EntryError("no Spack checkout", path=str(checkout), hint=f"expected {FOLDERS[0]}")
    for path in sorted(found[0].glob("*/package.py")):
        yield package_name(path.parent.name), path.read_bytes()


def read_checkout(checkout: Path) -> tuple[bytes, int, list[str]]:
    """The index of a checkout, the number of its packages, and what could not be read."""
    packages: dict[str, Listing] = {}
    virtual: set[str] = set()
    unread = []
    for name, data in recipes(checkout):
        text = data.decode("utf-8", "replace")
        virtual.update(provided_by(text))
        try:
            recipe = read_package_recipe(data, f"packages/{name}/package.py")
            packages[name] = listing_of(recipe, text)
        except EntryError as error:
            packages[name] = Listing(None, None)
            unread.append(str(error))
    return pack(packages, virtual), len(packages), unread


def main(arguments: list[str]) -> int:
    """Write the file; 1 if there is no checkout."""
    parser = argparse.ArgumentParser(prog="python -m ci.spack.refresh", description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--output", type=Path, default=FILE)
    chosen = parser.parse_args(arguments)
    try:
        content, count, unread = read_checkout(chosen.checkout)
    except EntryError as error:
        print(error, file=sys.stderr)
        return 1
    chosen.output.write_bytes(content)
    print(f"{count} packages, {len(unread)} of them unread, {len(content)} bytes")
    for line in unread:
        print(line, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
