"""Rules on a step: entries of its software environment that name the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from ci.findings import Finding, Severity
from ci.located import Located
from ci.registry import Registry, Step
from ci.rules.base import StepRule
from ci.rules.entries import entries, inside, requirements, specs
from ci.software.pip_versions import can_be_met
from ci.software.requirements import project_key
from ci.spack.specs import Spec

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_MOST = 20  # entries of one name that are compared


class _Named(NamedTuple):
    """An entry: what it names (entries with the same key name the same), where, what it asks."""

    key: tuple[str, ...]
    place: Located
    value: Any
    excludes: Callable[[Any, Any], bool]  # two values that cannot both be had


class _Pair(NamedTuple):
    """An entry that names what another one before it does."""

    first: _Named
    second: _Named
    contradictory: bool


class ContradictoryEntries(StepRule):
    """No two entries of a software environment exclude each other.

    All of a step's software goes into one image, with one version of each package. So
    ``hdf5@1.12`` and ``hdf5@1.14`` cannot both be had, nor ``hdf5+mpi`` and ``hdf5~mpi``, nor
    ``numpy<2`` and ``numpy>=2``. Keep the one that the step needs.
    """

    id = "environment/contradictory"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Compare what names the same, and what one entry asks."""
        registry = self.context.registry
        for pair in _pairs(registry, subject):
            if pair.contradictory:
                name, line = pair.second.key[-1], pair.first.place.line
                message = f"{name} as it is here excludes {name} in line {line}"
                yield self.at(pair.second.place, message, "keep one of them")
        for place, requirement in requirements(registry, subject):
            if not can_be_met(requirement.specifier):
                message = f"no version of {requirement.name} can be {requirement.specifier}"
                yield self.at(place, message, "leave out what is wrong")
        for place, spec in specs(registry, subject):
            for first, second in combinations(spec.nodes[:_MOST], 2):
                if first.name and first.name == second.name and _specs_exclude(first, second):
                    where = inside(registry, place, second.column)
                    message = f"{second.name} excludes what was asked of {first.name} before"
                    yield self.at(where, message, "keep one of them")


class RepeatedEntry(StepRule):
    """A software environment lists nothing twice: when one is changed the other is forgotten.

    This holds for packages of Debian, for specs in one file, for what pip installs, and for
    easyconfigs. Keep one of them, with all that is asked of it.
    """

    id = "environment/repeated"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Compare what names the same; where they exclude each other another rule says so."""
        for pair in _pairs(self.context.registry, subject):
            if not pair.contradictory:
                first, place = pair.first.place, pair.second.place
                where = f" of {first.path.rpartition('/')[2]}" if first.path != place.path else ""
                message = f"{pair.second.key[-1]} is in line {first.line}{where} already"
                yield self.at(place, message, "keep one of them")


def _pairs(registry: Registry, step: Step) -> tuple[_Pair, ...]:
    return registry.kept(f"pairs of {step.path}/", lambda: tuple(_find_pairs(registry, step)))


def _find_pairs(registry: Registry, step: Step) -> Iterator[_Pair]:
    before: dict[tuple[str, ...], list[_Named]] = {}
    for named in _named(registry, step):
        others = before.setdefault(named.key, [])
        wrong = (other for other in others if named.excludes(other.value, named.value))
        excluded = next(wrong, None)
        if others:
            yield _Pair(excluded or others[0], named, excluded is not None)
        if len(others) < _MOST:
            others.append(named)


def _named(registry: Registry, step: Step) -> Iterator[_Named]:
    for place in entries(registry, step, "apt"):
        name, _, version = place.text.partition("=")
        yield _Named(("apt", name), place, version, _apt_exclude)
    for place in entries(registry, step, "easybuild"):
        yield _Named(("easybuild", place.text), place, "", _apt_exclude)
    for place, spec in specs(registry, step):
        # Specs in two files are the finding of another rule.
        yield _Named(("spack", place.path, spec.name), place, spec, _specs_exclude)
    for place, requirement in requirements(registry, step):
        # Markers choose between requirements, and one that nothing meets is a finding by itself.
        if requirement.marker is None and can_be_met(requirement.specifier):
            key = ("pip", project_key(requirement.name))
            yield _Named(key, place, requirement, _requirements_exclude)


def _apt_exclude(first: str, second: str) -> bool:
    return bool(first and second) and first != second


def _requirements_exclude(first: Requirement, second: Requirement) -> bool:
    return not can_be_met(first.specifier & second.specifier)


def _specs_exclude(first: Spec, second: Spec) -> bool:
    """Whether versions have nothing in common, or a variant is on here and off there."""
    both = first.variants.keys() & second.variants.keys()
    values = ((first.variants[name], second.variants[name]) for name in both)
    switched = any(isinstance(a, bool) and isinstance(b, bool) and a != b for a, b in values)
    return switched or not first.versions.meets(second.versions)


RULES = (ContradictoryEntries, RepeatedEntry)
