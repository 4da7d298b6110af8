"""Rules on a step: the Spack specs of its software environment."""

from __future__ import annotations

from collections.abc import Iterator

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.registry import Step
from ci.rules.base import Context, StepRule
from ci.rules.entries import entries, inside, specs
from ci.spack.index import INHERITED
from ci.spack.lookup import Facts, Lookup
from ci.spack.specs import Spec, parse_spec
from ci.spack.versions import order

_SHOWN = 8  # versions in a hint


class InvalidSpec(StepRule):
    """Every entry of ``spack: {specs: …}`` is a Spack spec: one package, and what is asked of it.

    That is ``name@version +variant key=value %compiler ^dependency``, of which only the name must
    be there. Names are in lower case. A range is ``@1.2:1.4``, ``@1.2:`` (or later) or ``@:1.4``
    (or earlier). Not ``==`` as pip has it, and not two packages in one entry.
    """

    id = "environment/invalid-spec"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Read every spec."""
        for place in entries(self.context.registry, subject, "spack"):
            try:
                parse_spec(place.text)
            except EntryError as error:
                where = inside(self.context.registry, place, error.column)
                yield self.at(where, error.message, error.hint)


class SpecWithoutVersion(StepRule):
    """A spec has a version: without one, the image changes whenever the package does.

    Write the version that the workflow was tried with: ``openmpi@4.1.6``.
    """

    id = "environment/no-version"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look at every spec."""
        for place, spec in specs(self.context.registry, subject):
            if not spec.version and not spec.hash:
                yield self.at(place, f"{spec.name} has no version", f"{spec.name}@<version>")


class UnknownPackage(StepRule):
    """A spec names packages of the Software Catalogue, or some of those that come with Spack.

    This holds for its dependencies (``^name``) too. If the name is right and the package new, add
    it to the Software Catalogue: ``packages/<name>/package.py``. A name that is nearly that of a
    package there is an error; any other is a warning, since another Spack than the one that is
    known here may have it.
    """

    id = "environment/unknown-package"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every name up, where the catalogue is known."""
        lookup = _lookup(self.context)
        for place, node in _nodes(self.context, subject):
            if node.name and lookup.is_missing(node.name):
                message = f"neither the Software Catalogue nor Spack has a package {node.name!r}"
                hint, misspelt = lookup.near(node.name)
                level = Severity.ERROR if misspelt else Severity.WARNING
                yield self.at(_at(self.context, place, node), message, hint, level)


class UnknownVersion(StepRule):
    """The version of a spec is one that the package has.

    ``@1.2`` is good if the package has 1.2 or anything that begins with it, such as 1.2.3. For a
    package of the Software Catalogue, add the version to its ``package.py`` if it is missing. For
    one of Spack's own this is a warning: Spack may be newer than what is known here.
    """

    id = "environment/unknown-version"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Compare with every version that is known."""
        for place, node in _nodes(self.context, subject):
            facts = _lookup(self.context).facts(node.name, node.namespace) if node.version else None
            if facts and facts.versions and not node.versions.allows_any(facts.versions):
                newest = sorted(facts.versions, key=order, reverse=True)
                more = " …" if len(newest) > _SHOWN else ""
                yield self.at(
                    _at(self.context, place, node),
                    f"{_owner(facts)} {node.name} has no version {node.version[:80]}",
                    f"it has {', '.join(newest[:_SHOWN])}{more}",
                    _level(facts),
                )


class UnknownVariant(StepRule):
    """A variant of a spec (``+mpi``, ``~shared``, ``apps=A,B``) is one that the package has.

    ``spack info <package>`` lists them. For one of Spack's own packages this is a warning: Spack
    may be newer than what is known here.
    """

    id = "environment/unknown-variant"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every variant up."""
        for place, node in _nodes(self.context, subject):
            facts = _lookup(self.context).facts(node.name, node.namespace)
            if facts is None or facts.variants is None:
                continue
            for name in node.variants:
                if name not in facts.variants and name not in node.propagated:
                    message = f"{_owner(facts)} {node.name} has no variant {name[:80]!r}"
                    hint = nearest(name, facts.variants - INHERITED)
                    where = _at(self.context, place, node)
                    yield self.at(where, message, hint, _level(facts))


class UnknownCompiler(StepRule):
    """What stands after ``%`` is a compiler that Spack knows, such as ``%gcc@12``.

    A site may have a toolchain with a name of its own, so this is a warning.
    """

    id = "environment/unknown-compiler"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every compiler up."""
        lookup = _lookup(self.context)
        for place, node in _nodes(self.context, subject):
            for compiler in node.compilers:
                if not lookup.is_compiler(compiler.name):
                    where = _at(self.context, place, compiler)
                    message = f"there is no compiler {compiler.name[:80]!r}"
                    yield self.at(where, message, lookup.near_compiler(compiler.name))


def _lookup(context: Context) -> Lookup:
    return context.registry.kept("lookup of packages", lambda: Lookup(context.catalog))


def _nodes(context: Context, step: Step) -> Iterator[tuple[Located, Spec]]:
    """Every package that the specs of a step name, dependencies included."""
    for place, spec in specs(context.registry, step):
        yield from ((place, node) for node in spec.nodes)


def _at(context: Context, place: Located, node: Spec) -> Located:
    return inside(context.registry, place, node.column)


def _owner(facts: Facts) -> str:
    return "the Software Catalogue's" if facts.ours else "Spack's own"


def _level(facts: Facts) -> Severity:
    return Severity.ERROR if facts.ours else Severity.WARNING


RULES = (
    InvalidSpec,
    SpecWithoutVersion,
    UnknownPackage,
    UnknownVersion,
    UnknownVariant,
    UnknownCompiler,
)
