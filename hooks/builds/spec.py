"""What is asked for: an image of a step, as plain values that a row can keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from builder.request import BuildRequest
from builder.store import MAIN
from ci.errors import EntryError
from ci.registry import Registry
from ci.target import Target
from ci.trees import Tree
from hooks.forges.marks import Mains
from hooks.forges.seams import Forge
from hooks.registries import Registries


class Priority(IntEnum):
    """Whose builds go first: the lowest does."""

    MERGE = 1
    USER = 2
    PULL_REQUEST = 3


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants a build.

    ``name`` says it to people too. ``once``: asking again is the same question (a flow's step that
    ran twice), not a new one (a user's next attempt after a failure).
    """

    name: str
    priority: Priority
    once: bool = True

    @classmethod
    def user(cls, name: str) -> Asker:
        """A user of the API."""
        return cls(f"user:{name}", Priority.USER, once=False)

    @classmethod
    def flow(cls, id: str) -> Asker:  # noqa: A002
        """The flow of a pull request (``pull:<repository>:<number>:<revision>``) or a merge."""
        return cls(id, Priority.PULL_REQUEST if id.startswith("pull:") else Priority.MERGE)


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """The image of a step at a commit, for a target; ``workflow`` by its full name.

    ``catalog_commit`` is the Software Catalogue's; ``site`` is who the target is from, for people.
    """

    workflow: str
    step: str
    commit: str
    catalog_commit: str
    target: Target
    scope: str = MAIN
    site: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = ("workflow", "step", "commit", "catalog_commit", "scope", "site")
        return {name: getattr(self, name) for name in fields} | {"target": self.target.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BuildSpec:
        """The reverse."""
        return cls(**{**values, "target": Target(**values["target"])})


def request_of(
    registry: Registry,
    workflow: str,
    step: str,
    target: Target,
    *,
    scope: str,
    catalog: Mapping[str, bytes],
    commit: str = "",
    catalog_commit: str = "",
) -> BuildRequest:
    """The request for a step's image. Raises ``EntryError``: there is no such step."""
    owner = registry.workflow(workflow)
    found = owner.step(step)
    return BuildRequest(
        workflow=workflow,
        step=step,
        environment=found.environment,
        target=target,
        files=found.files,
        scope=scope,
        catalog=catalog,
        tests=owner.settings.images.get(step, ()),
        commit=commit,
        catalog_commit=catalog_commit,
    )


def files_of(tree: Tree, limit: int = 50_000_000) -> dict[str, bytes]:
    """All regular files of a tree. Raises ``EntryError`` beyond ``limit`` bytes."""
    entries = [entry for entry in tree.entries() if entry.is_file]
    if sum(entry.size for entry in entries) > limit:
        raise EntryError(f"the Software Catalogue has more than {limit // 1_000_000} MB of files")
    return {entry.path: tree.read(entry.path) for entry in entries}


@dataclass
class Requests:
    """Reads requests from the commits that specs name. Raises ``EntryError``, ``SiteError``."""

    forges: Mapping[str, Forge]
    mains: Mains
    registries: Registries = field(default_factory=Registries.single)
    _catalog: tuple[str, Mapping[str, bytes]] = field(default=("", {}))  # the last one read

    def of(self, spec: BuildSpec) -> BuildRequest:
        """The request behind a spec: the same for ever, since commits do not change."""
        pair, workflow = self.registries.split(spec.workflow)
        return request_of(
            Registry(self._tree(pair.workflows, spec.commit)),
            workflow,
            spec.step,
            spec.target,
            scope=spec.scope,
            catalog=self.catalog(pair.software, spec.catalog_commit),
            commit=spec.commit,
            catalog_commit=spec.catalog_commit,
        )

    def catalog(self, repository: str, commit: str) -> Mapping[str, bytes]:
        """The files of a Software Catalogue at a commit; none for no commit."""
        if not commit:
            return {}
        known, files = self._catalog
        if known != commit:
            files = files_of(self._tree(repository, commit))
            self._catalog = (commit, files)
        return files

    def _tree(self, repository: str, commit: str) -> Tree:
        return self.forges[repository].fetch(commit).tree(commit)
