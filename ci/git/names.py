"""Names that are passed to git: commits, references and addresses, each by a strict pattern."""

from __future__ import annotations

import re
from typing import NamedTuple

from ci.errors import EntryError, SettingsError

NONE = "0" * 40  # stands for "there is no such reference" in git's own protocols
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_PULL = re.compile(r"refs/pull/[1-9][0-9]{0,9}/head", re.ASCII)
_BRANCH = re.compile(r"refs/heads/[A-Za-z0-9_][A-Za-z0-9_./+@#=-]{0,199}", re.ASCII)
_ODD = re.compile(r"\.\.|//|/\.|@\{|\.lock(/|$)|[./]$|/@?$", re.ASCII)  # git-check-ref-format(1)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?|\[::1\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){1,8})",
    re.ASCII | re.IGNORECASE,
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def check_commit(commit: str) -> str:
    """The commit, if it is 40 hex digits. Raises ``EntryError``."""
    if not _COMMIT.fullmatch(commit):
        raise EntryError(f"{commit[:80]!r} is not a commit (40 hex digits)")
    return commit


def check_ref(ref: str) -> str:
    """The reference, if it is ``refs/heads/<branch>`` or ``refs/pull/<number>/head``.

    Names that git allows but that mean something else somewhere are refused too. Raises
    ``EntryError``.
    """
    if not _PULL.fullmatch(ref) and (not _BRANCH.fullmatch(ref) or _ODD.search(ref)):
        hint = "letters, digits and . _ + @ # = - / make the name of a branch"
        raise EntryError(f"{ref[:80]!r} is not the name of a branch or pull request", hint=hint)
    return ref


class Address(NamedTuple):
    """Where a repository is: ``url``, and the part of it that a credential is for."""

    url: str
    origin: str
    is_loopback: bool


def check_url(url: str) -> Address:
    """The address of a repository: ``https://``, or ``http://`` on this very machine.

    Raises ``SettingsError``: the address comes from the settings. User names, passwords, queries
    and ``..`` have no place in it.
    """
    found = _URL.fullmatch(url)
    if found is None:
        shown = url.rpartition("@")[2][:80]  # what stands before may be a password
        hint = "https://host/owner/name.git, without user name or password"
        raise SettingsError(f"{shown!r} is not the address of a git repository", hint=hint)
    is_loopback = found["host"].lower() in _LOOPBACK
    if found["scheme"].lower() == "http" and not is_loopback:
        raise SettingsError(f"{url}: repositories are fetched over https only")
    origin = f"{found['scheme'].lower()}://{found['host'].lower()}{found['port'] or ''}/"
    return Address(url, origin, is_loopback)
