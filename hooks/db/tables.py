"""The application's own tables: the record of what users see.

The durable engine keeps its own tables in the same database; nothing here reads those.
Times are UTC, ISO 8601 text on the wire and ``DateTime`` here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> datetime:
    """The present moment, UTC, without a zone mark (SQLite keeps none)."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """Parent of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, datetime: DateTime}  # noqa: RUF012


class Delivery(Base):
    """One push or POST, stored before it is answered.

    ``state``: RECEIVED, then HANDLED, IGNORED or FAILED (set aside after its last try); ``reason``
    says why. ``event`` is its kind (push, pull_request …), ``source`` where it came from (mailbox,
    git, github, github-missed). One that is tried again is not looked at before ``next_at``.
    """

    __tablename__ = "deliveries"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(200), unique=True)
    source: Mapped[str] = mapped_column(String(40))
    repository: Mapped[str] = mapped_column(String(100))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(20), default="RECEIVED", index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    event: Mapped[str] = mapped_column(String(40), default="")
    received_at: Mapped[datetime] = mapped_column(default=now)
    next_at: Mapped[datetime | None] = mapped_column(default=None)
    handled_at: Mapped[datetime | None] = mapped_column(default=None)
    __table_args__ = (Index("ix_deliveries_lane", "state", "repository", "number"),)


class PullRequest(Base):
    """A pull request: of GitHub, or a branch of a bare repository.

    ``verdict`` (PENDING PASSED FAILED) speaks of exactly the pair (``base``, ``head``);
    the merge gate asks for that pair. ``state``: OPEN MERGED CLOSED. ``author`` opened it,
    ``pusher`` put ``head`` there. What is not ``trusted`` is built only with an ``Approval``.
    ``asked`` counts how often somebody asked for this pair to be judged anew. ``merge_commit`` is
    what it became on main.
    """

    __tablename__ = "pull_requests"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    repository: Mapped[str] = mapped_column(String(100))
    number: Mapped[int]
    branch: Mapped[str] = mapped_column(String(250))
    title: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str] = mapped_column(String(200), default="")
    base: Mapped[str] = mapped_column(String(40), default="")
    head: Mapped[str] = mapped_column(String(40))
    revision: Mapped[int] = mapped_column(default=0)  # counts the changes of (base, head)
    state: Mapped[str] = mapped_column(String(20), default="OPEN")
    verdict: Mapped[str] = mapped_column(String(20), default="PENDING")
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    plan: Mapped[dict[str, Any]] = mapped_column(default=dict)
    build_state: Mapped[str] = mapped_column(String(20), default="")
    pusher: Mapped[str] = mapped_column(String(200), default="")
    merge_commit: Mapped[str] = mapped_column(String(40), default="")
    draft: Mapped[bool] = mapped_column(default=False)
    trusted: Mapped[bool] = mapped_column(default=True)
    asked: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    __table_args__ = (
        UniqueConstraint("repository", "number"),
        Index("ix_pull_requests_merge", "repository", "merge_commit"),
        Index("ix_pull_requests_branch", "repository", "branch", "state"),
        Index("ix_pull_requests_head", "repository", "head"),
    )


class Approval(Base):
    """A maintainer wants this very commit to be built; another head voids it. No sites: all."""

    __tablename__ = "approvals"
    repository: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    head: Mapped[str] = mapped_column(String(40), primary_key=True)
    by: Mapped[str] = mapped_column(String(200), primary_key=True)
    sites: Mapped[list[Any]] = mapped_column(default=list)
    at: Mapped[datetime] = mapped_column(default=now)


class CommandRecord(Base):
    """A command that somebody wrote on a pull request. ``state``: RECEIVED DONE REFUSED.

    ``remark`` is the forge's id of what was written, so that it is taken up once; ``answer`` is
    what the person is told.
    """

    __tablename__ = "commands"
    repository: Mapped[str] = mapped_column(String(100), primary_key=True)
    remark: Mapped[str] = mapped_column(String(60), primary_key=True)
    number: Mapped[int]
    by: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20), default="RECEIVED")
    answer: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(default=now)
    __table_args__ = (Index("ix_commands_pull", "repository", "number"),)


class ForgeMark(Base):
    """How far a list of a forge (``remarks``, ``missed``) was read; the forge made ``value``."""

    __tablename__ = "forge_marks"
    repository: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text, default="")


class Build(Base):
    """One attempt at an image.

    ``state``: PENDING STARTED BUILDING CONVERTING, then FINISHED FAILED CANCELLED, which are final.
    ``active`` is ``<scope>:<key>`` until then, so that one attempt at an image goes on at a time.
    ``workflow``, ``step``, ``commit``, ``catalog_commit``, ``target`` say what the image is of, and
    ``key`` what was asked for; ``image`` and ``digest`` what answers it. ``runner`` is the flow
    that makes it, ``runs`` how often that began (once more after each kill). A lower ``priority``
    goes first. ``started_at`` is when building began: never, for an image that was there.
    """

    __tablename__ = "builds"
    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    workflow: Mapped[str] = mapped_column(String(200), index=True)
    step: Mapped[str] = mapped_column(String(200))
    commit: Mapped[str] = mapped_column(String(40))
    catalog_commit: Mapped[str] = mapped_column(String(40), default="")
    site: Mapped[str] = mapped_column(String(100), default="")
    target: Mapped[dict[str, Any]] = mapped_column(default=dict)
    scope: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(64), default="", index=True)
    active: Mapped[str | None] = mapped_column(String(110), unique=True, default=None)
    force: Mapped[bool] = mapped_column(default=False)
    priority: Mapped[int] = mapped_column(default=3)
    runner: Mapped[str] = mapped_column(String(120), default="")
    runs: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(20), default="PENDING", index=True)
    reused: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str] = mapped_column(Text, default="")
    image: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class BuildAsker(Base):
    """Who wants a build: ``pull:<repository>:<number>:<revision>``, ``merge:…``, ``user:<name>``.

    ``withdrawn_at`` is set when they no longer do.
    """

    __tablename__ = "build_askers"
    build: Mapped[str] = mapped_column(ForeignKey("builds.id"), primary_key=True)
    asker: Mapped[str] = mapped_column(String(250), primary_key=True, index=True)
    asked_at: Mapped[datetime] = mapped_column(default=now)
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class Deployment(Base):
    """A workflow at a site. ``commit`` is what is wanted, ``active`` what serves now.

    ``state``: DEPLOYING, WAITING (for the site), ACTIVE, FAILED, REMOVED. ``images``, step →
    content key, are those of the wanted commit, so that the image store keeps them.
    """

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(String(300), primary_key=True)  # workflow@site
    workflow: Mapped[str] = mapped_column(String(200))
    site: Mapped[str] = mapped_column(String(100))
    commit: Mapped[str] = mapped_column(String(40))
    content: Mapped[str] = mapped_column(String(64), default="")  # hash of the workflow's folder
    active: Mapped[str] = mapped_column(String(40), default="")
    state: Mapped[str] = mapped_column(String(20), default="DEPLOYING")
    message: Mapped[str] = mapped_column(Text, default="")
    images: Mapped[dict[str, Any]] = mapped_column(default=dict)
    manifest: Mapped[dict[str, Any]] = mapped_column(default=dict)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Execution(Base):
    """One run of a deployment. ``plan`` is the list of operations, fixed when it was accepted."""

    __tablename__ = "executions"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    deployment: Mapped[str] = mapped_column(String(300), index=True)
    workflow: Mapped[str] = mapped_column(String(200))
    site: Mapped[str] = mapped_column(String(100))
    commit: Mapped[str] = mapped_column(String(40))
    owner: Mapped[str] = mapped_column(String(100), index=True)
    login: Mapped[str] = mapped_column(String(100))
    credential: Mapped[str] = mapped_column(String(100))
    inputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    plan: Mapped[list[Any]] = mapped_column(default=list)
    state: Mapped[str] = mapped_column(String(20), default="QUEUED")
    cancelling: Mapped[bool] = mapped_column(default=False)
    message: Mapped[str] = mapped_column(Text, default="")
    outputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    idempotency_key: Mapped[str | None] = mapped_column(String(200), default=None)
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"),)


class JobRecord(Base):
    """One submission to a queue system, by its unique name."""

    __tablename__ = "jobs"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    execution: Mapped[str] = mapped_column(ForeignKey("executions.id"), index=True)
    operation: Mapped[str] = mapped_column(String(200))
    native_id: Mapped[str] = mapped_column(String(100), default="")
    state: Mapped[str] = mapped_column(String(20), default="QUEUED")
    exit_code: Mapped[int | None] = mapped_column(default=None)
    reason: Mapped[str] = mapped_column(String(200), default="")
    lines_taken: Mapped[int] = mapped_column(default=0)  # of its output, already in the log
    missed: Mapped[int] = mapped_column(default=0)  # looks in a row at which it was not found
    submitted_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class LogLine(Base):
    """A line of an execution's (or build's, deployment's) log.

    ``key`` names the effect that wrote it, so that a step that runs again adds nothing.
    ``level``: 1 debug, 2 info, 4 warning, 8 error (the bit mask of the Execution API).
    """

    __tablename__ = "log_lines"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(String(300))
    key: Mapped[str] = mapped_column(String(300))
    level: Mapped[int] = mapped_column(default=2)
    timestamp: Mapped[datetime] = mapped_column(default=now)
    content: Mapped[str] = mapped_column(Text)
    __table_args__ = (
        UniqueConstraint("subject", "key"),
        Index("ix_log_lines_subject", "subject", "number"),
    )


class Token(Base):
    """An API token: only its SHA-256 is kept (the token itself has 256 random bits)."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    user: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(20), default="user")
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)


class SshKey(Base):
    """A key pair made by the service for a user; the private half is in the secret store."""

    __tablename__ = "ssh_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(100), index=True)
    public_key: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
