"""The Workflow Registry: workflows, their steps and topologies, read when they are asked for.

A workflow is a folder at the top of the registry, a step a folder in it; which folders are
neither, and where topologies lie, is what the public registry has taught (see the README of
``workflow-registry/``). Reading a part raises ``EntryError`` with the place of what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar, cast

from ci.documents import YAML_SUFFIXES, load
from ci.errors import EntryError
from ci.located import Located, nearest
from ci.software.environment import SoftwareEnvironment, read_environment
from ci.tosca.imports import FOLDER as TYPES
from ci.tosca.imports import index_of, with_types
from ci.tosca.model import Topology
from ci.tosca.reader import is_topology, read_topology
from ci.trees import Entry, Tree
from ci.workflow_settings import FILE_NAMES, WorkflowSettings, read_workflow_settings

NO_WORKFLOWS = frozenset({TYPES, "schemas", "docs"})
TOPOLOGY_FOLDERS = frozenset({"tosca", "toska"})
NO_STEPS = TOPOLOGY_FOLDERS | {"data", "docs", "doc"}
ENVIRONMENT_FILES = (
    "eflows4hpc.yaml",
    "eflows4hpc.yml",
    "spack.yaml",
    "spack.yml",
    "requirements.txt",
    "requirements.lock",
)
SCRIPTS = ("post_inst.sh", "env.sh")

T = TypeVar("T")


class Step:
    """A step: its files, and the software environment that its image is built from."""

    def __init__(self, registry: Registry, workflow: str, name: str, entries: list[Entry]) -> None:
        self.workflow, self.name = workflow, name
        self.path = f"{workflow}/{name}"
        self.entries = tuple(entries)
        self._registry = registry

    @cached_property
    def names(self) -> frozenset[str]:
        """Paths of the regular files, relative to the step's folder."""
        start = len(self.path) + 1
        return frozenset(entry.path[start:] for entry in self.entries if entry.is_file)

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """Content of every file, by path relative to the step's folder."""
        tree = self._registry.tree
        return {name: tree.read(f"{self.path}/{name}") for name in sorted(self.names)}

    @property
    def environment_files(self) -> list[str]:
        """Names of the files that describe the software environment, as far as they exist."""
        return [name for name in ENVIRONMENT_FILES if name in self.names]

    @property
    def environment(self) -> SoftwareEnvironment:
        """The software environment. Raises ``EntryError``."""
        return self._registry.kept(f"environment {self.path}", self._environment)

    def _environment(self) -> SoftwareEnvironment:
        names = [*self.environment_files, *(name for name in SCRIPTS if name in self.names)]
        files = {name: self._registry.read(f"{self.path}/{name}") for name in names}
        return read_environment(files, self.path)


class Workflow:
    """A workflow: its steps, topologies and settings."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.name = self.path = name
        self._registry = registry

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Everything that lies in the workflow's folder."""
        return tuple(self._registry.tree.entries(self.path))

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """Steps by name."""
        grouped = _grouped(self.entries)
        chosen = {n: e for n, e in grouped.items() if n not in NO_STEPS and not n.startswith(".")}
        return {name: Step(self._registry, self.name, name, e) for name, e in chosen.items()}

    def step(self, name: str) -> Step:
        """A step by name. Raises ``EntryError`` if there is none."""
        if name not in self.steps:
            hint = nearest(name, self.steps)
            raise EntryError(
                f"workflow {self.name} has no step {name!r}", path=self.path, hint=hint
            )
        return self.steps[name]

    @cached_property
    def topology_files(self) -> tuple[str, ...]:
        """Paths of the documents in which a topology may be."""
        found = []
        for entry in self.entries:
            _, *folders, name = entry.path.split("/")
            inside = bool(folders) and folders[0] in TOPOLOGY_FOLDERS
            at_root = not folders and name in {"topology.yaml", "topology.yml"}
            if entry.is_file and (at_root or (inside and name.endswith(YAML_SUFFIXES))):
                found.append(entry.path)
        return tuple(found)

    @property
    def topologies(self) -> tuple[Topology, ...]:
        """Every topology. Raises ``EntryError`` for the first that cannot be read."""
        read = (self._registry.topology(path) for path in self.topology_files)
        return tuple(topology for topology in read if topology is not None)

    @property
    def topology(self) -> Topology:
        """The topology that executions run: the only one that has a main workflow.

        Among several, one in a file called ``topology.*`` goes before the others. Raises
        ``EntryError``: there is none, or it cannot be read.
        """
        found = [topology for topology in self.topologies if topology.main_workflow]
        found.sort(key=lambda t: ("topology." not in t.path.rpartition("/")[2], t.path))
        if not found:
            hint = "put it at tosca/topology.yaml, with a workflow exec_job"
            raise EntryError("no topology says how to run it", path=self.path, hint=hint)
        return found[0]

    @property
    def settings(self) -> WorkflowSettings:
        """What ``waas.yaml`` says; its defaults if there is no such file. Raises ``EntryError``."""
        paths = [f"{self.path}/{name}" for name in FILE_NAMES]
        there = [path for path in paths if any(entry.path == path for entry in self.entries)]
        if not there:
            return WorkflowSettings()
        if len(there) > 1:
            raise EntryError("is there twice, as .yaml and as .yml", path=there[1])
        read = self._registry.read
        return self._registry.kept(
            f"settings {there[0]}", lambda: read_workflow_settings(read(there[0]), there[0])
        )


class Registry:
    """A tree read as the Workflow Registry. What was read once, or failed once, is kept."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._kept: dict[str, object] = {}

    @cached_property
    def workflows(self) -> Mapping[str, Workflow]:
        """Workflows by name; none of them is read yet."""
        folders = (name[:-1] for name in self.tree.names() if name.endswith("/"))
        names = (n for n in folders if n not in NO_WORKFLOWS and not n.startswith("."))
        return {name: Workflow(self, name) for name in names}

    def workflow(self, name: str) -> Workflow:
        """A workflow by name. Raises ``EntryError`` if there is none."""
        if name not in self.workflows:
            hint = nearest(name, self.workflows)
            raise EntryError(f"there is no workflow {name!r}", hint=hint)
        return self.workflows[name]

    def read(self, path: str) -> bytes:
        """The content of a regular file. Raises ``EntryError``."""
        return self.kept(f"content {path}", lambda: self.tree.read(path))

    def document(self, path: str) -> Located:
        """A YAML or JSON document. Raises ``EntryError``."""
        return self.kept(f"document {path}", lambda: load(self.read(path), path))

    def topology(self, path: str) -> Topology | None:
        """The topology in a document; None if it holds something else. Raises ``EntryError``."""
        document = self.document(path)
        if not is_topology(document):
            return None
        return self.kept(f"topology {path}", lambda: with_types(read_topology(document), self))

    @cached_property
    def types(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The packages of types in the folder ``types``: name to versions and paths."""
        entries = self.tree.entries(TYPES)
        paths = [e.path for e in entries if e.is_file and e.path.endswith(YAML_SUFFIXES)]
        return index_of(paths, self.document)

    def has_file(self, path: str) -> bool:
        """Whether a regular file lies at a path."""
        entry = self.tree.find(path)
        return entry is not None and entry.is_file

    def kept(self, key: str, read: Callable[[], T]) -> T:
        """What ``read`` gave or raised the first time."""
        if key not in self._kept:
            try:
                self._kept[key] = read()
            except EntryError as error:
                self._kept[key] = error
        found = self._kept[key]
        if isinstance(found, EntryError):
            raise found.with_traceback(None)
        return cast("T", found)  # a key belongs to one reader

    def forget(self, workflow: str) -> None:
        """Drop what was kept of a workflow."""
        for key in [key for key in self._kept if f" {workflow}/" in key]:
            del self._kept[key]


def _grouped(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries of a workflow by the folder in it; files right in the workflow are left out."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        parts = entry.path.split("/")
        if len(parts) > 2:
            found.setdefault(parts[1], []).append(entry)
    return found
