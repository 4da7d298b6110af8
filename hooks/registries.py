"""Several registries in one service: which repositories belong together, and how names tell.

A workflow of the registry ``main`` has its folder's name; one of another registry is called
``<registry>+<workflow>`` wherever names meet (deployments, builds, folders on sites): ``+`` is in
no workflow's name, and neither a shell nor a container engine minds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from ci.errors import EntryError
from hooks.forge_choice import MAIN_REGISTRY, SOFTWARE, WORKFLOWS, RegistryPair

_MARK = "+"


class Registries:
    """The pairs of repositories of this service."""

    def __init__(self, pairs: Mapping[str, RegistryPair]) -> None:
        self._pairs = dict(pairs)

    @classmethod
    def single(cls) -> Registries:
        """One registry, on repositories of the usual names."""
        return cls({MAIN_REGISTRY: RegistryPair(MAIN_REGISTRY, WORKFLOWS, SOFTWARE)})

    def __iter__(self) -> Iterator[RegistryPair]:
        return iter(self._pairs.values())

    def named(self, name: str) -> RegistryPair:
        """A registry by name. Raises ``EntryError``."""
        if name not in self._pairs:
            raise EntryError(
                f"there is no registry {name!r}", hint=f"there are: {', '.join(self._pairs)}"
            )
        return self._pairs[name]

    def with_workflows(self, repository: str) -> list[RegistryPair]:
        """The registries whose workflows lie in this repository."""
        return [pair for pair in self if pair.workflows == repository]

    def with_software(self, repository: str) -> list[RegistryPair]:
        """The registries whose catalogue is this repository."""
        return [pair for pair in self if pair.software == repository]

    def using(self, repository: str) -> list[RegistryPair]:
        """The registries that this repository is a part of."""
        return [pair for pair in self if repository in {pair.workflows, pair.software}]

    def split(self, workflow: str) -> tuple[RegistryPair, str]:
        """The registry and the folder of a workflow by its full name. Raises ``EntryError``."""
        registry, mark, name = workflow.rpartition(_MARK)
        return self.named(registry if mark else MAIN_REGISTRY), name


def full_name(pair: RegistryPair, workflow: str) -> str:
    """What a workflow of this registry is called where names of several registries meet."""
    return workflow if pair.name == MAIN_REGISTRY else f"{pair.name}{_MARK}{workflow}"


def in_registry(
    workflow: ColumnElement[str] | InstrumentedAttribute[str], registry: str
) -> ColumnElement[bool]:
    """The condition that a column of full names has one of this registry."""
    if registry == MAIN_REGISTRY:
        return ~workflow.contains(_MARK)
    return workflow.startswith(f"{registry}{_MARK}", autoescape=True)


def scope_of(pair: RegistryPair, number: int) -> str:
    """The scope of the images of a pull request to the registry's workflows."""
    return f"pull-{number}" if pair.name == MAIN_REGISTRY else f"pull-{pair.name}-{number}"
