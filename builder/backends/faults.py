"""Whose fault a failed step is: a server's that does not answer, or the recipe's. Pure.

Only what the programs that fetch say themselves counts, in their own words and form: "Connection
refused" alone may come from a test of the contributor's. What a server refuses for good (HTTP
404, a host that does not exist) is the recipe's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ci.errors import EntryError, SiteError

_MESSAGE_CHARACTERS = 400
_SERVER_SAYS = r"(?:429|50[0234])"  # too many requests; errors that pass (RFC 9110, 15.6)

# apt's `Failed to fetch` lines are its last word on a file (apt-pkg/acquire-item.cc); the reasons
# are of methods/connect.cc, http.cc and basehttp.cc. `apt-get update` ends well even so.
_APT = re.compile(
    r"^[EW]: Failed to fetch \S+\s+(?:.*\b(?:"
    r"Temporary failure resolving|Could not connect to|Unable to connect to|Connection timed out"
    r"|Connection timeout|Connection refused|Connection failed|Connection reset"
    r"|Network is unreachable|Error reading from server|Hash Sum mismatch|Mirror sync in progress"
    rf")|{_SERVER_SAYS} )"
)
# urllib3's exceptions as pip writes them: in its last retry, or as the error
_PIP_REASON = (
    r"(?:Temporary failure in name resolution|Connection refused|Connection timed out"
    r"|Connection reset|Network is unreachable|No route to host|Read timed out"
    r"|ConnectTimeoutError|RemoteDisconnected|Max retries exceeded)"
)
_PIP = re.compile(
    rf"^\s*(?:WARNING: Retrying \(Retry\(total=0,.*{_PIP_REASON}"
    rf"|(?:ERROR: |\S*urllib3\.exceptions\.).*HTTPS?ConnectionPool\(.*{_PIP_REASON}"
    rf"|ERROR: HTTP error {_SERVER_SAYS} while getting "
    rf"|.*\bHTTPError: {_SERVER_SAYS} Server Error: )"
)
# https://curl.se/libcurl/c/libcurl-errors.html, as curl says it and as git does
_CURL = re.compile(
    r"^\s*(?:curl: \((?:6|7|28|35|52|55|56|92)\) "
    rf"|curl: \(22\) .*returned error: {_SERVER_SAYS}\b)"
)
_GIT = re.compile(
    r"^\s*fatal: unable to access '[^']+': (?:Could not resolve host|Failed to connect to"
    r"|Connection timed out|Operation timed out|Recv failure|Empty reply from server|.*timed out"
    rf"|The requested URL returned error: {_SERVER_SAYS}\b)"
    r"|^\s*error: RPC failed; curl \d+ |^\s*fatal: (?:the remote end hung up|early EOF)"
)
_WGET = re.compile(
    r"^.*\.\.\. failed: (?:Connection (?:refused|timed out)|Temporary failure in name resolution)"
    rf"|^.*\bERROR {_SERVER_SAYS}: "
)
_SAY_SO = (_APT, _PIP, _CURL, _GIT, _WGET)


def worlds_fault(lines: Sequence[str]) -> str:
    """Return the first line that says a server did not do its part, or nothing.

    ``lines`` are the output of the step that failed. apt's warnings count as well: its next
    command then fails because a package "cannot be located".
    """
    return next((line for line in lines if any(say.search(line) for say in _SAY_SO)), "").strip()


def failed(reason: str, step: str, lines: Sequence[str]) -> EntryError | SiteError:
    """Return the error for a step that failed: its text ``reason``, its output ``lines``."""
    fault = worlds_fault(lines)
    where = f"it failed at: {step}"
    if fault:
        told = f"the image does not build now: {fault[:_MESSAGE_CHARACTERS]}"
        return SiteError(told, transient=True, hint=f"a server did not answer; {where}")
    return EntryError(f"the image does not build: {reason[:_MESSAGE_CHARACTERS]}", hint=where)
