"""Why a fetch failed, told from git's own words.

What git prints on standard error has the other side's words in it (lines that begin with
``remote:``, and more): only known sentences of git are looked for, and none is repeated. The
sentences: https://github.com/git/git, ``http.c``, ``remote-curl.c``, ``fetch-pack.c``,
``index-pack.c``; they are English because ``LC_ALL`` is set.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ci.errors import EntryError, SettingsError, SiteError, WaasError


class _Kind(NamedTuple):
    """``who`` must act: "entry" (the contributor), "operator", "site" (theirs) or "world"."""

    sentence: re.Pattern[str]
    who: str
    message: str
    hint: str = ""


def _kind(pattern: str, who: str, message: str, hint: str = "") -> _Kind:
    return _Kind(re.compile(pattern), who, message, hint)


def _too_large(pattern: str) -> _Kind:
    hint = "keep large data outside the registry and stage it in"
    return _kind(pattern, "entry", "sent more than may be fetched", hint)


def _damaged(pattern: str) -> _Kind:
    hint = "look at them with `git fsck --strict`"
    return _kind(pattern, "entry", "sent objects that git's checks refuse", hint)


_RIGHTS = "give a token that may read this repository"
_KINDS = (
    _kind(
        r"fatal: could not read (Username|Password)|Authentication failed"
        r"|returned error: (401|403)$",
        "site",
        "refused the credentials, or wants some",
        _RIGHTS,
    ),
    _kind(
        r"fatal: repository '.*' not found$|returned error: (404|410)$",
        "site",
        "has no such repository, or does not show it to us",
        f"correct the address, or {_RIGHTS}",
    ),
    _kind(
        r"returned error: 30[12378]$",
        "site",
        "says that the repository is elsewhere",
        "write the new address into the settings: redirections are not followed",
    ),
    _kind(
        r"fatal: couldn't find remote ref",
        "entry",
        "has no such branch or pull request any more",
    ),
    _kind(r"certificate (verif|problem)", "site", "has a certificate that is not trusted here"),
    _kind(
        r"No space left on device|Disk quota exceeded|Read-only file system|[Pp]ermission denied",
        "operator",
        "was fetched, but cannot be stored",
        "look at the disk and the rights of the service's home",
    ),
    _kind(r"cannot lock ref", "world", "was fetched, but another process holds a reference"),
    _damaged(r"fsck error in|: object [0-9a-f]{40}: "),
    _too_large(r"died of signal|[Oo]ut of memory|unable to (malloc|mmap)|mmap failed"),
    # before what half a pack looks like to git
    _kind(r"early EOF|unexpected disconnect|RPC failed|hung up", "world", "broke off"),
    _damaged(
        r"did not send all necessary objects|bad pack|pack is corrupted|pack signature mismatch"
        r"|inflate returned|bad object"
    ),
    _too_large(r"invalid index-pack output|index-pack failed"),  # it was ended while it wrote
)


def fetch_error(url: str, output: bytes) -> WaasError:
    """The error for a fetch from ``url`` that ended with this on standard error."""
    lines = output.decode("utf-8", "replace")[:1_000_000].splitlines()
    lines = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    for kind in _KINDS:
        if any(kind.sentence.search(line) for line in lines):
            message = f"{url} {kind.message}"
            if kind.who == "entry":
                return EntryError(message, hint=kind.hint)
            if kind.who == "operator":
                return SettingsError(message, hint=kind.hint)
            return SiteError(message, transient=kind.who == "world", hint=kind.hint)
    return SiteError(f"{url} cannot be reached now", transient=True)
