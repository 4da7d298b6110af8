"""The forges that the settings name, put together: who hosts which repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hooks.config import Settings
from hooks.dispatch.merging import Mergeable
from hooks.forges.access import FILE_NAME, AccessFile
from hooks.forges.bare_git import BareGitForge
from hooks.forges.mailbox import Mailbox
from hooks.forges.seams import Forge, Notices, Outbox


@dataclass(frozen=True, slots=True)
class Hosting:
    """The repositories by name, each by the seams that its forge has.

    ``mirrors`` are the folders in which commits of repositories elsewhere are kept.
    """

    forges: Mapping[str, Forge]
    notices: Mapping[str, Notices]
    mergeable: Mapping[str, Mergeable]
    mailboxes: Mapping[str, Mailbox]
    outboxes: Mapping[str, Outbox]
    mirrors: Mapping[str, Path]
    access: AccessFile

    def seen_by(self, user: str) -> list[str]:
        """The repositories whose pull requests are shown to a user.

        Of those that we host, what the user may read; those elsewhere know other users than we do.
        """
        return [
            name
            for name, forge in self.forges.items()
            if name not in self.mergeable or forge.may(user, "read")
        ]


def hosting_of(
    settings: Settings, credential: Callable[[str], str], is_operator: Callable[[str], bool]
) -> Hosting:
    """Open the repositories; ``credential`` reads the secret store. Raises ``SettingsError``.

    ``is_operator`` says whether a user may do all that can be done with those that we host.
    """
    access = AccessFile(settings.home / FILE_NAME)
    plain = {
        name: BareGitForge(path, partial(_may, access, is_operator, name))
        for name, path in settings.repositories.items()
    }
    forges: dict[str, Forge] = {**plain}
    notices: dict[str, Notices] = {**plain}
    outboxes: dict[str, Outbox] = {}
    mirrors = {name: settings.mirrors / f"{name}.git" for name in settings.forges.hosted}
    if settings.forges.hosted:
        _add_github(settings, credential, mirrors, (forges, notices, outboxes))
    return Hosting(
        forges=forges,
        notices=notices,
        mergeable={**plain},
        mailboxes={name: forge.mailbox for name, forge in plain.items()},
        outboxes=outboxes,
        mirrors=mirrors,
        access=access,
    )


def _add_github(
    settings: Settings,
    credential: Callable[[str], str],
    mirrors: Mapping[str, Path],
    into: tuple[dict[str, Forge], dict[str, Notices], dict[str, Outbox]],
) -> None:
    # late: a service without a repository on GitHub does without the library
    from hooks.forges.github.connection import Connection
    from hooks.forges.github.notices import GitHubNotices
    from hooks.forges.github.outbox import GitHubOutbox
    from hooks.forges.github.reading import GitHubForge

    forges, notices, outboxes = into
    connections: dict[str, Connection] = {}
    settings.mirrors.mkdir(parents=True, exist_ok=True)
    for name, hosted in settings.forges.hosted.items():
        given = hosted.connection
        connection = connections.setdefault(given.name, Connection(given, credential))
        forges[name] = GitHubForge(connection, hosted.slug, mirrors[name])
        notices[name] = GitHubNotices(connection, hosted.slug)
        outboxes[name] = GitHubOutbox(connection, hosted.slug)


def _may(
    access: AccessFile,
    is_operator: Callable[[str], bool],
    repository: str,
    user: str,
    right: str,
) -> bool:
    """By the file; without one all may read, and whoever could push may have images built.
    Operators may all.
    """
    by_file = access.exists and access.read().may(user, repository, right)
    by_push = not access.exists and right in {"read", "build"} and bool(user)
    return by_file or by_push or is_operator(user)
