"""The seams of a forge: what hosts the git repositories, on GitHub or as bare ones here.

What it is asked (``Forge``), what it is told (``Notices``), and which of its webhooks never came
(``Outbox``). Every method raises ``SiteError`` when the forge cannot be reached: transient where
a later try may help (outages, rate limits, time-outs), not where somebody must act first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ci.findings import Finding
from ci.git.store import GitStore

RIGHTS = ("build", "merge", "deploy")
VERDICT = "validate"  # the name of the status that the merge gate asks for


@dataclass(frozen=True, slots=True)
class Proposal:
    """An open pull request as the forge has it now.

    ``number`` is 0 where the forge has no numbers: the record gives one. ``pusher`` is who put
    ``head`` there, ``author`` who opened it. ``trusted`` is False for a fork or for somebody who
    never contributed before: validated, but built only when a maintainer asks for this commit.
    """

    branch: str
    head: str
    number: int = 0
    title: str = ""
    author: str = ""
    pusher: str = ""
    draft: bool = False
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository now: the commit of main (empty if there is none) and all open proposals."""

    main: str
    proposals: tuple[Proposal, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a pull request that is no longer open ended; ``commit`` is what it became on main."""

    merged: bool
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person wrote on a pull request. ``id`` is the forge's, ``text`` as it is now."""

    id: str
    pull: int
    author: str
    text: str


class Forge(Protocol):
    """Hosts one repository: what is asked of it."""

    def look(self) -> Snapshot:
        """What is there now."""

    def fetch(self, *commits: str) -> GitStore:
        """A local object store that holds these commits (40 hex digits) and their history."""

    def ending(self, number: int, head: str) -> Ending | None:
        """How the pull request ended that was last seen at ``head``; None while it is open."""

    def may(self, user: str, right: str) -> bool:
        """Whether this user has one of ``RIGHTS`` in the repository."""

    def remarks(self, since: str) -> tuple[Sequence[Remark], str]:
        """What was written on open pull requests since a mark of this method, and the next mark.

        The first mark is empty and stands for now. Remarks may come twice, never not at all.
        """


@dataclass(frozen=True, slots=True)
class Status:
    """What is shown at a commit. It speaks of ``head`` judged against ``base``.

    ``name`` is ``validate`` or ``build <site>``; ``state`` PENDING, PASSED,
    FAILED or CANCELLED; ``summary`` one line, ``text`` Markdown; ``pull`` the number.
    """

    head: str
    base: str
    state: str
    summary: str
    pull: int
    name: str = VERDICT
    text: str = ""
    findings: tuple[Finding, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """Our one comment on a pull request, for a terminal and for a page of Markdown."""

    text: str
    markdown: str


@dataclass(frozen=True, slots=True)
class DeploymentNotice:
    """How far a commit of main is at a site.

    ``state``: DEPLOYING, WAITING (for the site), ACTIVE, FAILED, REMOVED.
    """

    commit: str
    site: str
    workflow: str
    state: str
    summary: str = ""
    link: str = ""


class Notices(Protocol):
    """What a forge is told. All idempotent: telling it twice shows it once."""

    def show(self, status: Status) -> None:
        """Show a status at a commit; the newest of a name counts."""

    def upsert_comment(self, pull: int, comment: Comment) -> None:
        """Put our one comment on the pull request, or edit it."""

    def label(self, pull: int, state: str) -> None:
        """Show the state of a pull request (``validated``, ``building`` …) as our one label.

        An empty state takes it away.
        """

    def show_deployment(self, notice: DeploymentNotice) -> None:
        """Show how far a deployment is."""

    def answer(self, remark: str, pull: int, *, accepted: bool) -> None:
        """Mark a remark as a command that was taken up, or refused."""


@dataclass(frozen=True, slots=True)
class MissedDelivery:
    """A webhook that the forge could not deliver: its id, kind of event, and payload."""

    id: str
    event: str
    payload: dict[str, Any]


class Outbox(Protocol):
    """The forge's own record of the webhooks that it sent us."""

    def missed(self, since: str) -> tuple[Sequence[MissedDelivery], str]:
        """Those that failed and were not sent again with success, and the next mark."""
