"""What a rule is: one check, whose docstring is its documentation.

A rule looks at one subject (the files, a workflow, a topology, a step, a package) and yields
findings. It may let an ``EntryError`` of a reader pass: the engine reports it (see
``ci.validate``), and the rules of ``ci.rules.reading`` say it with an id of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import cleandoc
from typing import ClassVar, Generic, TypeVar

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located
from ci.registry import Registry, Step, Workflow
from ci.software.catalog import PACKAGES, Catalog, Package
from ci.tosca.model import Topology
from ci.trees import Entry

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Context:
    """What rules may look at beside their subject; None: not known, so not judged."""

    registry: Registry
    catalog: Catalog | None = None
    sites: Collection[str] | None = None
    rules: Mapping[str, bool] = field(default_factory=dict)  # id to whether it may be off
    off: Collection[str] = ()  # ids of those that are


@dataclass(frozen=True, slots=True)
class TopologyOf:
    """A topology and the workflow that it belongs to."""

    topology: Topology
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class User:
    """A workflow that uses packages that changed, and what is wrong with it only since then."""

    workflow: Workflow
    packages: Collection[str]
    new: tuple[Finding, ...]

    def package_of(self, finding: Finding) -> str:
        """The folder of the package that a finding names, as far as can be told."""
        named = [
            name
            for name in sorted(self.packages, key=lambda n: (len(n), n))
            if name in finding.message
        ]
        return f"{PACKAGES}/{named[-1]}" if named else PACKAGES


@dataclass(frozen=True)
class SourceFile:
    """A regular file of at most 1 MiB, read once for all rules on contents."""

    entry: Entry
    data: bytes

    @property
    def path(self) -> str:
        """Where it lies in the tree."""
        return self.entry.path

    @cached_property
    def is_binary(self) -> bool:
        """Whether it is no text: it has a NUL byte in its first 8000, git's own rule."""
        return b"\0" in self.data[:8000]

    @cached_property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 become U+FFFD. Empty if it is binary."""
        return "" if self.is_binary else self.data.decode("utf-8", "replace")

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, without their line breaks."""
        return [line.removesuffix("\r") for line in self.text.split("\n")]


class Rule(ABC, Generic[S]):
    """One check. ``id`` is ``<subject>/<what is wrong>``.

    A rule that is ``optional`` can be switched off by the registry's own settings; those that keep
    the service itself safe are not.
    """

    id: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    optional: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def check(self, subject: S) -> Iterator[Finding]:
        """Yield what is wrong with the subject."""

    @classmethod
    def documentation(cls) -> str:
        """What the rule demands and why."""
        return cleandoc(cls.__doc__ or "")

    def at(
        self, place: Located, message: str, hint: str = "", severity: Severity | None = None
    ) -> Finding:
        """A finding at a value."""
        level = severity or self.severity
        return Finding(self.id, level, place.path, place.line, place.column, message, hint)

    def on(
        self, path: str, message: str, hint: str = "", severity: Severity | None = None
    ) -> Finding:
        """A finding on a whole file or folder."""
        return Finding(self.id, severity or self.severity, path, 0, 0, message, hint)

    def refused(self, read: Callable[[], object]) -> Iterator[Finding]:
        """The finding that says why something cannot be read, if it cannot."""
        try:
            read()
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)


class FilesRule(Rule[Sequence[Entry]], ABC):
    """A rule on the files of a tree: those that changed, or all."""


class ContentRule(Rule[SourceFile], ABC):
    """A rule on what a file holds, whatever it is for."""


class WorkflowRule(Rule[Workflow], ABC):
    """A rule on a workflow."""


class TopologyRule(Rule[TopologyOf], ABC):
    """A rule on a topology that could be read."""


class StepRule(Rule[Step], ABC):
    """A rule on a step."""


class UserRule(Rule[User], ABC):
    """A rule on a workflow that uses what changed in the Software Catalogue."""


class PackageRule(Rule[Package], ABC):
    """A rule on a package of the Software Catalogue."""
