"""The forges that the settings name, put together: who hosts which repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hooks.config import Settings
from hooks.dispatch.merging import Mergeable
from hooks.forges.access import FILE_NAME, AccessFile
from hooks.forges.bare_git import BareGitForge
from hooks.forges.mailbox import Mailbox
from hooks.forges.seams import Forge, Notices


@dataclass(frozen=True, slots=True)
class Hosting:
    """The repositories by name, each by the seams that its forge has."""

    forges: Mapping[str, Forge]
    notices: Mapping[str, Notices]
    mergeable: Mapping[str, Mergeable]
    mailboxes: Mapping[str, Mailbox]
    access: AccessFile


def hosting_of(settings: Settings) -> Hosting:
    """Open the repositories. Raises ``SettingsError``."""
    access = AccessFile(settings.home / FILE_NAME)
    plain = {
        name: BareGitForge(path, partial(_may, access, name))
        for name, path in settings.repositories.items()
    }
    return Hosting(
        forges={**plain},
        notices={**plain},
        mergeable={**plain},
        mailboxes={name: forge.mailbox for name, forge in plain.items()},
        access=access,
    )


def _may(access: AccessFile, repository: str, user: str, right: str) -> bool:
    """By the file; without one, whoever could push may build and merge."""
    return access.read().may(user, repository, right) if access.exists else bool(user)
