"""``policy.yaml`` at the root of a Workflow Registry: who may ask for what, besides the forge.

build: [ada, grace]           # may have images built, like those who may write to the repository
deploy:                       # by site: who may deploy and roll back, and nobody else;
  alpha: [ada]                # without an entry, those who maintain the repository
fork_builds: maintainers      # pull requests of forks are built when a maintainer asks; or never

Only the file on main counts: a pull request cannot give its author rights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ci.documents import load
from ci.errors import EntryError
from ci.located import Located, nearest
from ci.trees import Tree

FILE_NAME = "policy.yaml"
ALL_SITES = "*"
_KEYS = ("build", "deploy", "fork_builds")
_FORK_BUILDS = ("maintainers", "never")
# logins of GitHub, and users of this service
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}", re.ASCII)
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_MOST = 1_000  # users in a list, sites


@dataclass(frozen=True, slots=True)
class Policy:
    """What the file says. Names of users are compared without regard to case, as GitHub does."""

    build: frozenset[str] = frozenset()
    deploy: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fork_builds: str = _FORK_BUILDS[0]

    def may_build(self, user: str) -> bool:
        """Whether the list names this user."""
        return user.lower() in self.build

    def may_deploy(self, user: str, site: str) -> bool | None:
        """Whether the site's list names this user; None if there is no list for it."""
        names = self.deploy.get(site, self.deploy.get(ALL_SITES))
        return None if names is None else user.lower() in names


def read_policy(data: bytes, path: str = FILE_NAME) -> Policy:
    """Read the file. Raises ``EntryError`` with the place of the first thing that is wrong."""
    items = load(data, path).only(_KEYS, FILE_NAME)
    deploy: dict[str, frozenset[str]] = {}
    sites = items["deploy"].mapping("deploy") if "deploy" in items else {}
    for site, names in sites.items():
        if site != ALL_SITES and not _SITE.fullmatch(site):
            raise items["deploy"].key_error(site, f"deploy: {site[:80]!r} is not a site's name")
        deploy[site] = _users(names, f"deploy: {site}")
    if len(deploy) > _MOST:
        raise items["deploy"].error(f"deploy: more than {_MOST} sites")
    return Policy(
        build=_users(items["build"], "build") if "build" in items else frozenset(),
        deploy=deploy,
        fork_builds=_choice(items["fork_builds"]) if "fork_builds" in items else _FORK_BUILDS[0],
    )


def policy_of(tree: Tree) -> Policy:
    """The policy of main. One that cannot be read gives nobody a right, and deploys nothing."""
    if tree.find(FILE_NAME) is None:
        return Policy()
    try:
        return read_policy(tree.read(FILE_NAME))
    except EntryError:  # a rule says what is wrong
        return Policy(deploy={ALL_SITES: frozenset()}, fork_builds="never")


def _users(listed: Located, what: str) -> frozenset[str]:
    names = listed.sequence(what)
    if len(names) > _MOST:
        raise listed.error(f"{what}: more than {_MOST} users")
    found = set()
    for item in names:
        name = item.string(f"{what}: a user")
        if not _USER.fullmatch(name):
            raise item.error(f"{what}: {name[:80]!r} is not a user's name")
        found.add(name.lower())
    return frozenset(found)


def _choice(given: Located) -> str:
    text = given.string("fork_builds")
    if text not in _FORK_BUILDS:
        raise given.error(f"fork_builds: {text[:80]!r}", hint=nearest(text, _FORK_BUILDS))
    return text
