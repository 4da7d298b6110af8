"""What the commands of a queue system answer when they do not do as told."""

from __future__ import annotations

from ci.errors import SiteError
from hooks.sites.seams import Completed

_NOT_FOUND = 127


def refused(done: Completed, what: str, *, transient: bool) -> SiteError:
    """The error for a command that failed: its own last words, for a person."""
    if done.exit_code == _NOT_FOUND:
        return SiteError(
            f"cannot {what}: {_last_line(done)}",
            hint="check queue.kind in the site's file, and the PATH of the login on the site",
        )
    return SiteError(f"cannot {what}: {_last_line(done)}", transient=transient)


def _last_line(done: Completed) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.exit_code}"
