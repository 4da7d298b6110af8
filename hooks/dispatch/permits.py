"""Who may have images built: the forge's rights, the allow-list on main, and approvals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from ci.policy import Policy
from hooks.forges.seams import Forge


class Approvals(Protocol):
    """The part of the commands' records that this needs."""

    def approved(self, repository: str, number: int, head: str) -> Collection[str] | None:
        """The sites that this commit may be built for, empty for all; None: nobody asked."""


@dataclass(frozen=True)
class BuildPermits:
    """Answers from the approvals, the forge and the policy of main."""

    approvals: Approvals
    forges: Mapping[str, Forge]
    policy: Callable[[str], Policy]

    def approved(self, repository: str, number: int, head: str) -> Collection[str] | None:
        """See ``Approvals``."""
        return self.approvals.approved(repository, number, head)

    def may_build(self, repository: str, user: str) -> bool:
        """Whether what this user proposes is built without being asked for."""
        if not user:
            return False
        return self.policy(repository).may_build(user) or self.forges[repository].may(user, "build")
