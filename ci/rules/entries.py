"""What the files of a step's software environment list, each entry with its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ci.errors import EntryError
from ci.located import Located
from ci.registry import Registry, Step
from ci.software.requirements import LOCK, REQUIREMENTS, parse_requirement, requirement_lines
from ci.spack.specs import Spec, parse_spec

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def entries(registry: Registry, step: Step, kind: str) -> tuple[Located, ...]:
    """The texts under ``apt``, ``pip``, ``spack`` or ``easybuild``.

    Nothing of an environment that cannot be read, which is another rule's finding.
    """
    return registry.kept(f"{kind} of {step.path}/", lambda: tuple(_entries(registry, step, kind)))


def _entries(registry: Registry, step: Step, kind: str) -> Iterator[Located]:
    with suppress(EntryError):
        environment = step.environment
        if not getattr(environment, kind) and not (kind == "pip" and environment.pip_lock):
            return
        for name in step.environment_files:
            path = f"{step.path}/{name}"
            if name == LOCK:
                continue  # it repeats the others, with everything that they need
            if name == REQUIREMENTS:
                text = registry.tree.read(path).decode() if kind == "pip" else ""
                for line in requirement_lines(text):
                    yield Located(line.text, path, line.line, line.column, text=line.text)
            else:
                yield from _listed(registry.document(path), kind)


def _listed(document: Located, kind: str) -> Iterator[Located]:
    section = document.mapping("the file").get(kind, Located(None))
    if kind == "spack":
        section = section.mapping("spack").get("specs", Located(None))
    yield from section.sequence(kind)


def specs(registry: Registry, step: Step) -> tuple[tuple[Located, Spec], ...]:
    """The specs that can be read."""
    return registry.kept(f"specs of {step.path}/", lambda: tuple(_specs(registry, step)))


def _specs(registry: Registry, step: Step) -> Iterator[tuple[Located, Spec]]:
    for place in entries(registry, step, "spack"):
        with suppress(EntryError):  # another rule's finding
            yield place, parse_spec(place.text)


def requirements(registry: Registry, step: Step) -> tuple[tuple[Located, Requirement], ...]:
    """The requirements for pip."""
    key = f"requirements of {step.path}/"
    return registry.kept(key, lambda: tuple(_requirements(registry, step)))


def _requirements(registry: Registry, step: Step) -> Iterator[tuple[Located, Requirement]]:
    for place in entries(registry, step, "pip"):
        with suppress(EntryError):  # another rule's finding
            yield place, parse_requirement(place.text).requirement


def inside(registry: Registry, place: Located, column: int) -> Located:
    """The place of a character (from 1) of an entry, as far as the entry is written as it is."""
    with suppress(EntryError):
        lines = registry.tree.read(place.path).decode("utf-8", "replace").split("\n")
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        start = line.find(place.text, place.column - 1)
        if start >= 0:
            return replace(place, column=start + column)
    return place
