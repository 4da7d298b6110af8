"""Rules on a step: its software environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.registry import Registry, Step
from ci.rules.base import StepRule
from ci.specs import Spec, parse_spec


class InvalidEnvironment(StepRule):
    """The files of a software environment can be read, and every name in them is well-formed.

    ``eflows4hpc.yaml`` has the keys ``apt``, ``pip``, ``spack: {specs: …}`` and ``easybuild``;
    ``requirements.txt`` has one requirement a line. Names of Debian packages, requirements, specs
    and easyconfigs follow the syntax of their worlds; no options, no URLs.
    """

    id = "environment/invalid"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Try to read it."""
        yield from self.refused(lambda: subject.environment)


class NoEnvironmentFile(StepRule):
    """A step's folder describes the software environment of the step."""

    id = "environment/missing"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look for the files."""
        if not subject.environment_files:
            hint = f"add {subject.path}/eflows4hpc.yaml"
            yield self.on(subject.path, f"step {subject.name} has no software environment", hint)


class InvalidSpec(StepRule):
    """Every entry of ``spack: {specs: …}`` is a spec that begins with a package's name."""

    id = "environment/invalid-spec"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Read every spec."""
        for place in _spec_places(self.context.registry, subject):
            try:
                parse_spec(place.text)
            except EntryError as error:
                yield self.at(place, error.message, error.hint)


class SpecWithoutVersion(StepRule):
    """A spec has a version: without one, the image changes whenever the package does."""

    id = "environment/no-version"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look at every spec."""
        for place, spec in _specs(self.context.registry, subject):
            if not spec.version:
                yield self.at(place, f"{spec.name} has no version", f"{spec.name}@<version>")


class UnknownPackage(StepRule):
    """A spec names a package of the Software Catalogue, or one of Spack's own.

    Packages that the catalogue does not have are taken to be Spack's own, so this is a warning.
    """

    id = "environment/unknown-package"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every name up, where the catalogue is known."""
        catalog = self.context.catalog
        if catalog is None:
            return
        for place, spec in _specs(self.context.registry, subject):
            if spec.name not in catalog.packages:
                near = nearest(spec.name, catalog.packages)
                hint = near if near.startswith("did") else "right if it is one of Spack's own"
                yield self.at(place, f"the Software Catalogue has no package {spec.name!r}", hint)


class DoubleEnvironment(StepRule):
    """``eflows4hpc.yaml`` and ``spack.yaml`` do not both list specs: one of them would be stale."""

    id = "environment/double"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look for both."""
        paths = {place.path for place in _spec_places(self.context.registry, subject)}
        if len(paths) > 1:
            first, second = sorted(paths)[:2]
            hint = "keep the specs in one of them"
            yield self.on(second, f"lists specs, as {first.rpartition('/')[2]} does", hint)


def _spec_places(registry: Registry, step: Step) -> Iterator[Located]:
    """The specs of a step with their places, once its environment could be read."""
    for name in step.environment_files:
        if step.environment.spack and name.startswith(("eflows4hpc.", "spack.")):
            items = registry.document(f"{step.path}/{name}").mapping(name)
            section = items.get("spack", Located(None)).mapping("spack")
            yield from section.get("specs", Located(None)).sequence("specs")


def _specs(registry: Registry, step: Step) -> Iterator[tuple[Located, Spec]]:
    for place in _spec_places(registry, step):
        with suppress(EntryError):  # another rule's finding
            yield place, parse_spec(place.text)


RULES = (
    InvalidEnvironment,
    NoEnvironmentFile,
    InvalidSpec,
    SpecWithoutVersion,
    UnknownPackage,
    DoubleEnvironment,
)
