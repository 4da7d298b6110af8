"""Rules on the recipes of packages: Spack's ``package.py``, read and never run."""

from __future__ import annotations

from collections.abc import Iterator

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import PackageRule
from ci.software.catalog import Package
from ci.software.package_recipe import PackageRecipe, class_name_of
from ci.software.recipe_names import BASES
from ci.spack import index
from ci.spack.lookup import Lookup
from ci.spack.specs import parse_spec

_WITH_HOMEPAGE = frozenset({"pypi", "cran", "bioc"})
_SPACK_STARS = frozenset({"*spack", "*spack.package"})


class RecipeRule(PackageRule):
    """A rule on a recipe that could be read."""

    def check(self, subject: Package) -> Iterator[Finding]:
        """Judge the recipe, if there is one."""
        try:
            recipe = subject.recipe if subject.has_recipe else None
        except EntryError:
            return  # another rule's finding
        if recipe is not None:
            yield from self.judge(subject, recipe)

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Yield what is wrong with the recipe."""
        raise NotImplementedError


class InvalidRecipe(PackageRule):
    """``package.py`` is Python with a class in it.

    Spack reads every recipe of a repository to look at one of them, so a single mistake in the
    syntax breaks all packages. The service reads the file and never runs it.
    """

    id = "package/invalid-recipe"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Try to read it."""
        if subject.has_recipe:
            yield from self.refused(lambda: subject.recipe)


class WrongClassName(RecipeRule):
    """The class has the name that Spack looks for: ``py-dislib`` → ``PyDislib``, ``3proxy`` →
    ``_3proxy``.

    Words between ``-`` or ``_`` are capitalised and joined; before a first digit comes ``_``. Spack
    says that the package does not exist if its class is called otherwise.
    """

    id = "package/wrong-class"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Compare folder and class."""
        wanted = class_name_of(package.name)
        if recipe.class_name != wanted:
            message = f"the class of package {package.name} is called {recipe.class_name}"
            yield self.at(recipe.place, message, f"class {wanted}(…)")


class UnknownBase(RecipeRule):
    """The class is based on a build system that Spack has, or on what the recipe imports.

    ``CMakePackage``, ``AutotoolsPackage``, ``PythonPackage``, ``MakefilePackage``, ``Package``
    (with an ``install`` of its own), ``BundlePackage`` (nothing but dependencies) and others;
    mixins such as ``CudaPackage`` and ``ROCmPackage`` beside them. A recipe of Spack can be built
    on as well: ``from spack.pkg.builtin.boost import Boost``.
    """

    id = "package/unknown-base"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Look every base up."""
        if any(name.startswith("*") and name not in _SPACK_STARS for name in recipe.imports):
            return  # names that only that module knows
        known = BASES | recipe.imports.keys() | recipe.classes | {"object"}
        for base in recipe.bases:
            if "." not in base.text and base.text not in known:
                message = f"Spack has no build system {base.text[:80]!r}"
                yield self.at(base, message, nearest(base.text, BASES))


class MissingImport(RecipeRule):
    """A recipe imports what Spack gives to recipes: ``from spack.package import *``.

    Without that line ``CMakePackage``, ``version`` and the others are names that Python does not
    know, and Spack cannot load the recipe.
    """

    id = "package/missing-import"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Look for an import of the first base that comes from Spack."""
        if any(name.startswith("*") for name in recipe.imports):
            return
        for base in recipe.bases:
            if base.text in BASES - recipe.imports.keys() - recipe.classes:
                message = f"{base.text} is not imported"
                yield self.at(base, message, "begin the file with: from spack.package import *")
                return


class OldImport(RecipeRule):
    """``from spack import *`` is ``from spack.package import *`` since Spack 0.18.

    Spack 1.0 does not know the old form any more, and does not load the recipe; the new one works
    with all.
    """

    id = "package/old-import"
    severity = Severity.WARNING

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Look for the old form."""
        if recipe.old_import is not None:
            message = "`from spack import *` does not load with Spack 1.0"
            yield self.at(recipe.old_import, message, "from spack.package import *")


class CodeAtImport(RecipeRule):
    """A recipe does nothing when it is merely read: what acts belongs into its methods.

    Spack imports all recipes of a catalogue whenever it looks for one, on the computer of whoever
    asks. So outside of methods there are only directives (``version``, ``depends_on``, …), simple
    values, and ``if``, ``for`` and ``with`` around these. Programs, files, the network, ``eval``,
    ``getattr`` and changes to other modules belong into ``install`` and the like, which run while
    the package is built, in a container of its own.
    """

    id = "package/code-at-import"
    optional = False

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Report what the screen found."""
        for place in recipe.at_import:
            message = f"{place.text[:80]} would run whenever Spack reads the recipe"
            yield self.at(place, message, "move it into a method, such as install")


class InvalidDependency(RecipeRule):
    """What a recipe depends on is one Spack spec: ``depends_on("hdf5@1.12: +mpi")``.

    ``^`` is not allowed in it: since Spack 0.21 the recipe does not load. What a dependency must
    itself be built with is a second directive: ``depends_on("zlib@1.3")``. (In ``when=`` it is
    allowed.)
    """

    id = "package/invalid-dependency"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Read each as a spec."""
        for spec in recipe.dependencies:
            try:
                below = parse_spec(spec.text.strip()).dependencies
            except EntryError as error:
                yield self.at(spec, error.message, error.hint)
                continue
            if below:
                message = f"`^` in depends_on({spec.text[:80]!r}) does not load since Spack 0.21"
                yield self.at(spec, message, "write a depends_on of its own for it")


class UnknownDependency(RecipeRule):
    """What a recipe depends on is a package of the catalogue, one of Spack's own, or provided by
    one (``mpi``, ``blas``, ``c``).

    Spack stops at the first name that it does not know. Names that are nearly those of a package
    are an error; others are a warning, since Spack's newest packages may not be known here.
    """

    id = "package/unknown-dependency"

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Look every name up."""
        catalog = package.catalog
        for spec in recipe.dependencies:
            name = package_named(spec)
            if not name or name in catalog.packages or index.known(name):
                continue
            if name not in catalog.provided:
                hint, misspelt = Lookup(catalog).near(name)
                level = Severity.ERROR if misspelt else Severity.WARNING
                message = f"neither the catalogue nor Spack has a package {name[:80]!r}"
                yield self.at(spec, message, hint, level)


class NoHomepage(RecipeRule):
    """A recipe says where the software is at home: ``homepage = "https://…"``.

    Whoever reads the catalogue finds the documentation there, and can tell two programs of one name
    apart. With ``pypi``, ``cran`` or ``bioc`` Spack knows it by itself.
    """

    id = "package/no-homepage"
    severity = Severity.WARNING

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Look for the attribute."""
        known = recipe.set & _WITH_HOMEPAGE or any(b.text == "RacketPackage" for b in recipe.bases)
        if "homepage" not in recipe.set and not known and not recipe.inherits:
            message = f"package {package.name} has no homepage"
            yield self.at(recipe.place, message, 'homepage = "https://…"')


class NoLicense(RecipeRule):
    """A recipe says under what licence the software may be used: ``license("MIT")``.

    Images with it are copied to computing centres, which some licences do not allow. Names are
    those of SPDX (https://spdx.org/licenses).
    """

    id = "package/no-license"
    severity = Severity.WARNING

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:
        """Look for the directive."""
        if "license" not in recipe.set and not recipe.inherits:
            message = f"package {package.name} names no licence"
            yield self.at(recipe.place, message, 'license("…"), with a name of spdx.org/licenses')


class LeftOver(RecipeRule):
    """Nothing is left of the template that ``spack create`` writes: no ``FIXME``.

    Each of them marks a place where the template waits for something: a description, a dependency,
    what the build needs.
    """

    id = "package/left-over"
    severity = Severity.WARNING

    def judge(self, package: Package, recipe: PackageRecipe) -> Iterator[Finding]:  # noqa: ARG002
        """Report the first."""
        if recipe.fixmes:
            more = len(recipe.fixmes) - 1
            message = "a FIXME is left" + (f", and {more} more below" if more else "")
            yield self.at(recipe.fixmes[0], message, "do what it says, and delete the line")


def package_named(spec: Located) -> str:
    """The package that a spec names, or empty."""
    try:
        return parse_spec(spec.text.strip()).name
    except EntryError:
        return ""  # another rule's finding


RULES = (
    InvalidRecipe,
    WrongClassName,
    UnknownBase,
    MissingImport,
    OldImport,
    CodeAtImport,
    InvalidDependency,
    UnknownDependency,
    NoHomepage,
    NoLicense,
    LeftOver,
)
