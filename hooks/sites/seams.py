"""The seams of a site: a transport that acts, and a queue system that is text in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command left behind: exit code, and both streams as UTF-8 (errors replaced)."""

    exit_code: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """A connection to a site as one login: runs commands and moves files.

    Every method raises ``SiteError``; ``transient`` tells a network or time-out fault from a
    refusal (wrong key, unknown host key, permission denied).
    """

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 60.0) -> Completed:
        """Run one command to its end; a non-zero exit code is a result, not an error."""

    def put(
        self,
        local: Path,
        remote: PurePosixPath,
        *,
        mode: int = 0o644,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Copy a file; parents are made; it appears whole (temporary name, then rename) or not."""

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file here; it appears whole or not. A missing file is a non-transient error."""

    def close(self) -> None:
        """Let go of the connection."""


class State(StrEnum):
    """Of a job or an execution; the last three are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What the queue system says of one job."""

    state: State
    exit_code: int | None = None
    reason: str = ""  # the queue system's own word: TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, …


@dataclass(frozen=True, slots=True)
class Job:
    """One submission: resources and a body. ``name`` is unique, so a job can be looked up by it.

    ``time_limit`` is HH:MM:SS; ``memory_mb`` per node, 0 = the site's default; ``body`` is shell
    text that runs after the directives; ``directory`` is where it starts and where output goes.
    """

    name: str
    directory: PurePosixPath
    body: str
    nodes: int = 1
    tasks: int = 1
    cpus_per_task: int = 1
    memory_mb: int = 0
    time_limit: str = "00:10:00"
    partition: str = ""
    account: str = ""
    qos: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A command to run on the site and how to read what it answers."""

    argv: tuple[str, ...]
    parse: Callable[[Completed], T]
    stdin: str = ""


class QueueSystem(Protocol):
    """The command language of a queue system. No I/O in it."""

    def submit(self, job: Job) -> Request[str]:
        """Submit; the parsed answer is the native id. Raises ``EntryError`` on unusable fields."""

    def find(self, name: str) -> Request[str | None]:
        """The native id of the job with this name, running or lately ended; None if unknown."""

    def status(self, native_ids: Sequence[str]) -> Request[Mapping[str, JobStatus]]:
        """The status of all these jobs by one command; jobs it no longer knows are left out."""

    def cancel(self, native_id: str) -> Request[None]:
        """Cancel; a job that has already ended is no error."""
