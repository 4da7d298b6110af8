"""What runs inside ``git push`` to a bare repository of ours (see ``bare_git.install_hooks``).

``update`` is the gate: main only moves forward, and only along a pair (main, commit) that was
validated. ``post-receive`` hands the push to the service and shows the pusher its verdict.
Started with ``python -P``: nothing of the repository may be imported, and little of ours, since
it must be quick.

Who pushes is what the server that let them in says (``WAAS_USER``, ``WAAS_RIGHT``: see
``ci.git.serving``); without it, an account of this machine that may write to the repository.
"""

from __future__ import annotations

import getpass
import os
import sys
import time
from pathlib import Path
from typing import Any

from ci.errors import WaasError
from ci.git.ancestry import is_ancestor
from ci.git.names import check_ref
from hooks.forges.mailbox import MAIN, NONE, Mailbox

WAIT_SECONDS = 20.0
MOST_OPTIONS = 20
LONGEST_TITLE = 250  # characters
BRANCHES = "refs/heads/"


def update(repository: Path, ref: str, old: str, new: str) -> str:
    """Why this ref may not be updated; empty if it may."""
    if (refused := _not_allowed(ref, new)) or ref != MAIN:
        return refused
    if new == NONE:
        return "main cannot be deleted"
    if old == NONE:
        return ""  # the very first commit
    if not is_ancestor(repository, old, new):
        return "main only moves forward: rebase your branch on main and push the branch first"
    status = Mailbox(repository).status(new) or {}
    if status.get("state") == "PASSED" and status.get("base") == old:
        return ""
    return _refusal(status, new)


def _not_allowed(ref: str, new: str) -> str:
    """Why nobody, or not this pusher, may push to a ref of this name."""
    if not ref.startswith(BRANCHES):
        return f"{ref}: only branches can be pushed here"
    if new != NONE:  # one that came in otherwise may be deleted
        try:
            check_ref(ref)
        except WaasError as error:
            return f"this cannot be the name of a branch: {error.message}"
    right = os.environ.get("WAAS_RIGHT")
    if "WAAS_USER" not in os.environ or right == "merge" or (right == "propose" and ref != MAIN):
        return ""
    what = "merge: ask a maintainer" if ref == MAIN else "push here: you may read"
    return f"{os.environ['WAAS_USER']} may not {what}"


def _refusal(status: dict[str, Any], new: str) -> str:
    short = new[:10]
    if not status:
        return (
            f"{short} has not been validated: push it as a branch first "
            "(git push origin HEAD:my-topic), then to main"
        )
    if status["state"] == "PENDING":
        return f"{short} is still being validated: try again in a moment"
    if status["state"] == "FAILED":
        return f"{short} did not pass: {status['summary']}; push a corrected commit to your branch"
    return f"{short} was validated against an older main: push your branch again"


def post_receive(repository: Path, lines: list[str]) -> None:
    """Hand every updated ref to the service; show the verdict on the branches."""
    box = Mailbox(repository)
    updates = [line.split(maxsplit=2) for line in lines if line.strip()]
    options = _options()
    for old, new, ref in updates:
        event = {"event": "push", "ref": ref.strip(), "old": old, "new": new, "pusher": _pusher()}
        box.send(event | {"options": options})
    until = time.monotonic() + WAIT_SECONDS  # for all together: the pusher's server waits too
    for _, new, ref in updates:
        if new == NONE or not ref.startswith(BRANCHES):
            continue
        if ref.strip() == MAIN:
            print("merged: the service now deploys what this changes (waas deployments list)")
        else:
            _show_verdict(box, new, until)


def _show_verdict(box: Mailbox, commit: str, until: float) -> None:
    print(f"validating {commit[:10]} …", flush=True)
    while True:
        status = box.status(commit)
        if status and status["state"] != "PENDING":
            print(box.comment(status["pull"]), flush=True)
            return
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    print(
        "your push is safely recorded, but the service has not answered yet: "
        "it will be judged as soon as the service runs",
        flush=True,
    )


def _pusher() -> str:
    return os.environ.get("WAAS_USER") or getpass.getuser()


def _options() -> dict[str, Any]:
    """What was said with ``git push -o``: ``title=…``, ``draft``, ``draft=false``."""
    count = os.environ.get("GIT_PUSH_OPTION_COUNT", "0")
    found: dict[str, Any] = {}
    for number in range(min(int(count), MOST_OPTIONS) if count.isdigit() else 0):
        text = os.environ.get(f"GIT_PUSH_OPTION_{number}", "")
        name, _, value = text.partition("=")
        if name == "title" and value:
            found["title"] = value[:LONGEST_TITLE]
        elif name == "draft" and value in {"", "true", "false"}:
            found["draft"] = value != "false"
        else:
            shown = "".join(c if c.isprintable() else "?" for c in text[:80])
            print(f"unknown push option {shown!r}; there are: title=TEXT, draft, draft=false")
    return found


def main(arguments: list[str]) -> int:
    """Run as ``update REF OLD NEW`` or ``post-receive`` (updates on standard input)."""
    repository = Path(os.environ.get("GIT_DIR", ".")).resolve()
    try:
        if arguments[0] == "update":
            refusal = update(repository, *arguments[1:4])
            if refusal:
                print(refusal, file=sys.stderr)
            return 1 if refusal else 0
        post_receive(repository, sys.stdin.read().splitlines())
    except (OSError, WaasError) as error:
        print(f"the service's hook could not work: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
