"""Who may give which command. Pure: the facts come from the forge, the record and main's policy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ci.policy import Policy
from hooks.commands.parse import Command

Rights = Callable[[str], bool]
"""Whether the person has a right (``build``, ``merge``, ``deploy``) by the forge's word."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the pull request."""

    state: str  # OPEN, MERGED, CLOSED
    author: str
    pusher: str
    trusted: bool
    head: str
    sites: Collection[str]  # of the service


def refusal(command: Command, person: str, may: Rights, facts: Facts, policy: Policy) -> str:
    """Why this person may not have this done; empty if they may.

    Asks the forge only where its answer counts.
    """
    unknown = [site for site in command.sites if site not in facts.sites]
    if unknown:
        known = ", ".join(sorted(facts.sites)) or "none"
        return f"there is no site {unknown[0]!r}; there are: {known}"
    if command.name == "build":
        return _open(facts) or _build(person, may, facts, policy) or _head(command, facts)
    if command.name in {"validate", "plan"}:
        return _open(facts)
    if command.name == "cancel":
        own = _same(person, facts.author)
        allowed = own or policy.may_build(person) or may("build")
        return "" if allowed else "only its author, or who may build, can cancel the builds"
    if command.name in {"deploy", "rollback"}:
        return _deploy(command, person, may, facts, policy)
    return ""


def _open(facts: Facts) -> str:
    return "" if facts.state == "OPEN" else f"this pull request is {facts.state.lower()}"


def _head(command: Command, facts: Facts) -> str:
    """A stranger may push while a maintainer still looks at the commit before."""
    if not command.commit:
        return "" if facts.trusted else f"name the commit you looked at: /build {facts.head[:10]}"
    same = facts.head.startswith(command.commit)
    return "" if same else f"{command.commit[:10]} is not what it is at: that is {facts.head[:10]}"


def _build(person: str, may: Rights, facts: Facts, policy: Policy) -> str:
    if facts.trusted:
        allowed = policy.may_build(person) or may("build")
        return "" if allowed else f"{person} may not have images built: ask a maintainer"
    if policy.fork_builds == "never":
        return "pull requests from forks are not built here (policy.yaml)"
    if _same(person, facts.author) or _same(person, facts.pusher):
        return "another maintainer than its author must ask for it: look at the changes first"
    return "" if may("build") else f"{person} may not have images built: ask a maintainer"


def _deploy(command: Command, person: str, may: Rights, facts: Facts, policy: Policy) -> str:
    if command.name == "deploy" and facts.state != "MERGED":
        return "only what was merged is deployed: merge it first"
    listed = policy.may_deploy(person, command.sites[0])
    allowed = may("deploy") if listed is None else listed
    return "" if allowed else f"{person} may not deploy to {command.sites[0]}: ask its maintainers"


def _same(one: str, other: str) -> bool:
    return bool(one) and one.lower() == other.lower()
