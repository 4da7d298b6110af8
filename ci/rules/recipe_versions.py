"""Rules on the versions of a recipe: what exactly is downloaded, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.rules.recipes import RecipeRule
from ci.software.catalog import Package
from ci.software.package_recipe import PackageRecipe, Version
from ci.software.recipe_names import SOURCES

_DIGITS = {"md5": (32,), "sha1": (40,), "sha224": (56,), "sha256": (64,), "sha384": (96,)} | {
    "sha512": (128,),
    "checksum": (32, 40, 56, 64, 96, 128),
    "commit": (40, 64),
}
_HEX = re.compile(r"[0-9a-f]*", re.ASCII)
_FOUND_ON_THE_SYSTEM = frozenset(
    {"virtual", "executables", "libraries", "determine_version", "determine_spec_details"}
)
_SOURCE_KEYWORDS = frozenset({"url", "git", "hg", "svn", "cvs", "go"})


class NoVersion(RecipeRule):
    """A recipe has a version at least.

    Spack can only install what has one; ``version("1.0", sha256="…")``. Bundles need one as well,
    without a checksum. A recipe that is based on another one has the versions of that; one that
    only finds what a site has installed (``executables``) needs none.
    """

    id = "package/no-version"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Look for one."""
        elsewhere = recipe.computed or recipe.inherits or recipe.set & _FOUND_ON_THE_SYSTEM
        if not recipe.versions and not elsewhere:
            message = f"package {package.name} has no version"
            yield self.at(recipe.place, message, 'version("1.0", sha256=…)')


class UnpinnedVersion(RecipeRule):
    """A version says what exactly is downloaded: a ``sha256`` of the archive, or a ``commit``.

    A ``branch`` or ``tag`` alone moves, and is a warning: the same image cannot be built twice. No
    checksum at all is an error, since Spack does not install such a version.
    """

    id = "package/unpinned-version"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Look at every version."""
        for version in recipe.versions if recipe.has_sources else ():
            if not version.pinned:
                level = Severity.WARNING if version.moves else Severity.ERROR
                message = f"version {version.name[:80]} has no checksum and no commit"
                hint = (
                    "add commit=…" if version.moves else "add sha256=… (spack checksum prints it)"
                )
                yield self.at(version.place, message, hint, level)


class InvalidChecksum(RecipeRule):
    """A ``sha256`` is 64 hexadecimal digits in lower case, a ``commit`` is 40 (or 64) of them.

    With any other text the download never fits. A short commit works as long as no second one
    begins with the same digits, and is a warning.
    """

    id = "package/invalid-checksum"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Look at every version."""
        for version in recipe.versions:
            for kind, digits in _DIGITS.items():
                place = version.texts.get(kind)
                hexadecimal = place is not None and _HEX.fullmatch(place.text)
                if place is None or (hexadecimal and len(place.text) in digits):
                    continue
                short = kind == "commit" and hexadecimal and len(place.text) in range(7, 40)
                wanted = 64 if kind == "checksum" else digits[0]
                what = f"the {kind} of version {version.name[:80]}"
                hint = _hint(kind, place.text, wanted)
                level = Severity.WARNING if short else Severity.ERROR
                yield self.at(place, f"{what} is not {wanted} hexadecimal digits", hint, level)


class DuplicateVersion(RecipeRule):
    """Each version is there once.

    Spack takes one of the two, and says nothing: which archive is built is left to chance.
    """

    id = "package/duplicate-version"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Count them; those in an ``if`` may be each other's alternative."""
        seen: dict[str, Version] = {}
        for version in recipe.versions:
            if version.choice:
                continue
            if version.name in seen:
                first = seen[version.name].place.line
                message = f"version {version.name[:80]} is there twice, first in line {first}"
                yield self.at(version.place, message, "delete one of them")
            seen.setdefault(version.name, version)


class NoSource(RecipeRule):
    """A recipe says where its versions are downloaded from: ``url``, ``git``, ``pypi`` or another.

    The class has one of these attributes (or a method ``url_for_version``), or each version has a
    ``url`` or ``git`` of its own. A bundle, or a recipe with ``has_code = False``, downloads
    nothing.
    """

    id = "package/no-source"
    severity = Severity.WARNING

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Look for an attribute, then at every version."""
        if not recipe.has_sources or recipe.inherits or recipe.set & SOURCES:
            return
        for version in recipe.versions:
            if not version.keywords & _SOURCE_KEYWORDS:
                message = f"nothing says where version {version.name[:80]} is downloaded from"
                yield self.at(
                    version.place, message, f'url = "https://…/{package.name}-1.0.tar.gz"'
                )
                return


def _hint(kind: str, text: str, wanted: int) -> str:
    if len(text) == wanted:
        return "the digits are 0-9 and a-f, in lower case"
    source = "`git rev-parse` prints" if kind == "commit" else "`spack checksum` prints"
    return f"it has {len(text)} characters; {source} the right one"


RULES = (NoVersion, UnpinnedVersion, InvalidChecksum, DuplicateVersion, NoSource)
