"""Invocations: how PyCOMPSs calls a package, as JSON (``@software(config_file=…)``).

Sections and keys are those of PyCOMPSs 3.0 to 3.3
(https://compss-doc.readthedocs.io, "@software" and the decorator of each type). PyCOMPSs looks at
little of a file before it runs it, so most mistakes show when a job has waited in a queue already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ci.documents import load
from ci.errors import EntryError
from ci.located import Located

SECTIONS = ("execution", "parameters", "constraints", "container", "prolog", "epilog")
ENGINES = ("DOCKER", "SINGULARITY", "UDOCKER")


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of a section: those it must have, those it may, and old names with the new ones."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    old: tuple[tuple[str, str], ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """All that have a meaning."""
        return frozenset(self.required) | frozenset(self.optional) | dict(self.old).keys()


_WORKING_DIR = ("workingDir", "working_dir")
_NODES = ("computingNodes", "computing_nodes")
TYPES = {
    "task": Keys(),
    "workflow": Keys(),
    "binary": Keys(("binary",), ("working_dir", "args", "fail_by_exit_value"), (_WORKING_DIR,)),
    "mpi": Keys(
        ("runner",),
        (
            "binary",
            "processes",
            "processes_per_node",
            "scale_by_cu",
            "flags",
            "args",
            "working_dir",
            "fail_by_exit_value",
        ),
        (("computing_nodes", "processes"), ("computingNodes", "processes"), _WORKING_DIR),
    ),
    "mpmd_mpi": Keys(
        ("runner", "programs"),
        ("working_dir", "processes_per_node", "fail_by_exit_value"),
    ),
    "multinode": Keys((), ("computing_nodes",), (_NODES,)),
    "http": Keys(
        ("service_name", "resource", "request"),
        ("payload", "payload_type", "produces", "updates"),
    ),
    "compss": Keys(
        ("app_name",),
        (
            "computing_nodes",
            "runcompss",
            "flags",
            "worker_in_master",
            "working_dir",
            "fail_by_exit_value",
        ),
        (
            _NODES,
            ("workerInMaster", "worker_in_master"),
            ("appName", "app_name"),
            _WORKING_DIR,
        ),
    ),
}
PROGRAM = Keys(("binary",), ("processes", "args"))
STEP = Keys(("binary",), ("args", "fail_by_exit_value"))  # prolog and epilog
CONTAINER = Keys(("engine", "image"), ("options",))

# Names of earlier versions that have no effect any more.
GONE = {"params": "args", "ppn": "processes_per_node"}

# Of ``@task``: keys of ``parameters`` that are no parameters of the function.
TASK = frozenset(
    [
        *("returns", "cache_returns", "priority", "defaults", "time_out", "timeOut"),
        *("is_replicated", "isReplicated", "is_distributed", "isDistributed", "is_reduce"),
        *("computing_nodes", "computingNodes", "processes_per_node", "chunk_size", "on_failure"),
        *("tracing_hook", "numba", "numba_flags", "numba_signature", "numba_declaration"),
        *("varargs_type", "varargsType", "target_direction", "targetDirection"),
    ]
)
_WAYS = ("IN", "OUT", "INOUT", "CONCURRENT", "COMMUTATIVE")
_STREAMS = ("STDIN", "STDOUT", "STDERR")
DIRECTIONS = frozenset(
    [
        *(*_WAYS, "IN_DELETE", "FILE", "DIRECTORY", "COLLECTION", "COLLECTION_IN_DELETE"),
        *("DICTIONARY", "DICTIONARY_IN_DELETE", "COLLECTION_FILE", "STREAM_IN", "STREAM_OUT"),
        *(f"FILE_{way}" for way in _WAYS),
        *(f"FILE_{stream}" for stream in _STREAMS),
        *(f"FILE_{way}_{stream}" for way in _WAYS for stream in _STREAMS),
        *(
            f"{kind}_{way}"
            for kind in ("DIRECTORY", "COLLECTION", "COLLECTION_FILE", "DICTIONARY")
            for way in ("IN", "OUT", "INOUT")
        ),
    ]
)
DESCRIPTION = frozenset(
    [
        *("type", "direction", "stream", "prefix", "depth", "weight", "keep_rename", "cache"),
        *("content_type", "is_file_collection"),
    ]
)
_REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation whose sections are mappings; what is in them is for the rules to judge.

    ``type`` is none if it is missing; sections that are missing are empty.
    """

    document: Located
    execution: Located
    parameters: Located
    constraints: Located
    container: Located
    prolog: Located
    epilog: Located

    @property
    def type(self) -> Located | None:
        """``execution.type``."""
        found: Located | None = self.execution.value.get("type")
        return found

    @property
    def keys(self) -> Keys | None:
        """The keys of its type; None if there is no such type."""
        given = self.type
        # PyCOMPSs takes ``MPI`` for ``mpi``, but needs these two as they are
        name = given.text if given is not None and given.is_text else ""
        lower = name.lower() if name.lower() not in {"task", "workflow"} else name
        return TYPES.get(lower)

    @property
    def programs(self) -> list[Located]:
        """The programs of an MPMD run, if they are a list."""
        found = self.execution.value.get("programs", Located([]))
        return [item for item in found.value if item.is_mapping] if found.is_list else []

    def references(self) -> Iterator[tuple[str, Located]]:
        """Each ``{{parameter}}`` that PyCOMPSs puts a value in for, and the text it stands in."""
        places = [self.execution, self.prolog, self.epilog, *self.programs]
        for place in places:
            for key in ("args", "params", "working_dir", "workingDir", "payload"):
                text = place.value.get(key)
                if text is not None and text.is_text:
                    yield from ((name.strip(), text) for name in _REFERENCE.findall(text.text))

    def parameter_names(self) -> list[str]:
        """Parameters of the function that the file describes."""
        return [name for name in self.parameters.value if name not in TASK]


def read_invocation(data: bytes, path: str) -> Invocation:
    """Read an invocation. Raises ``EntryError``: no JSON, or a section that is no mapping."""
    document = load(data, path)
    items = document.mapping("an invocation")
    sections = {}
    for name in SECTIONS:
        given = items.get(name)
        optional = name not in {"execution", "parameters"}  # COMPSs stops at null in these
        if given is None or (given.value is None and optional):
            given = Located({}, path, document.line, document.column)
        elif not given.is_mapping:
            raise given.error(
                f"{name} must be a mapping, not {given.kind}", hint=f'"{name}": {{…}}'
            )
        sections[name] = given
    if document.value is None:
        raise EntryError("an invocation must be a mapping, not nothing", path=path, line=1)
    return Invocation(document, **sections)
