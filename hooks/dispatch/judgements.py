"""Starting and ending what goes on for a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hooks.db.tables import PullRequest
from hooks.dispatch.flows import PULL_REQUEST


class Starter(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""


class Wanted(Protocol):
    """The part of the builds that this needs."""

    def unwanted(self, pull: str, *, before: int | None = None, keep: str = "") -> None:
        """A pull request wants its builds no longer, or those of revisions before this one; but
        those of the commit ``keep``.
        """

    def adopt(self, scope: str, commit: str, flow: str) -> None:
        """A merge's flow wants what goes on for the pull request of the commit that is merged."""


@dataclass(frozen=True)
class Judgements:
    """The flows and builds of pull requests."""

    engine: Starter
    builds: Wanted

    def begin(self, pull: PullRequest) -> None:
        """Have a pull request judged as it is recorded; once, however often this is called.

        Builds of the same commit go on until it is known what this judgement wants: main moves,
        and everybody may ask for another judgement.
        """
        name = f"{pull.repository}:{pull.number}"
        self.builds.unwanted(name, before=pull.revision, keep=pull.head)
        payload = {
            "repository": pull.repository,
            "id": pull.id,
            "number": pull.number,
            "base": pull.base,
            "head": pull.head,
        }
        self.engine.start(PULL_REQUEST, payload, id=f"pull:{name}:{pull.revision}")

    def unwanted(self, pull: PullRequest) -> None:
        """Nothing is to be built for it any more."""
        self.builds.unwanted(f"{pull.repository}:{pull.number}")
