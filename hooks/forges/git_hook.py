"""What runs inside ``git push`` to a bare repository of ours (see ``bare_git.install_hooks``).

``update`` is the gate: main only moves forward, and only along a pair (main, commit) that was
validated. ``post-receive`` hands the push to the service and shows the pusher its verdict.
Standard library only, and started with ``python -P``: it must be quick, and nothing of the
repository may be imported.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hooks.forges.mailbox import MAIN, NONE, Mailbox

WAIT_SECONDS = 20.0
BRANCHES = "refs/heads/"


def update(repository: Path, ref: str, old: str, new: str) -> str:
    """Why this ref may not be updated; empty if it may."""
    if ref != MAIN:
        return "" if ref.startswith(BRANCHES) else f"{ref}: only branches can be pushed here"
    if new == NONE:
        return "main cannot be deleted"
    if old == NONE:
        return ""  # the very first commit
    if not _is_ancestor(repository, old, new):
        return "main only moves forward: rebase your branch on main and push the branch first"
    status = Mailbox(repository).status(new) or {}
    if status.get("state") == "PASSED" and status.get("base") == old:
        return ""
    return _refusal(status, new)


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


def _is_ancestor(repository: Path, old: str, new: str) -> bool:
    command = ["git", "--git-dir", str(repository), "merge-base", "--is-ancestor", old, new]
    return subprocess.run(command, check=False, timeout=30).returncode == 0


def post_receive(repository: Path, lines: list[str]) -> None:
    """Hand every updated ref to the service; show the verdict on the branches."""
    box = Mailbox(repository)
    updates = [line.split(maxsplit=2) for line in lines if line.strip()]
    for old, new, ref in updates:
        event = {"ref": ref.strip(), "old": old, "new": new, "pusher": _pusher()}
        box.send(event | {"options": _options()})
    for _, new, ref in updates:
        if new == NONE or not ref.startswith(BRANCHES):
            continue
        if ref.strip() == MAIN:
            print("merged: the service now deploys what this changes (waas deployments list)")
        else:
            _show_verdict(box, new)


def _show_verdict(box: Mailbox, commit: str) -> None:
    print(f"validating {commit[:10]} …", flush=True)
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        status = box.status(commit)
        if status and status["state"] != "PENDING":
            print(box.comment(status["pull"]), flush=True)
            return
        time.sleep(0.1)
    print(
        "your push is safely recorded, but the service has not answered yet: "
        "it will be judged as soon as the service runs",
        flush=True,
    )


def _pusher() -> str:
    # Set by the server that let the pusher in (SSH forced command, HTTP); else the login.
    return os.environ.get("WAAS_USER") or getpass.getuser()


def _options() -> list[str]:
    count = os.environ.get("GIT_PUSH_OPTION_COUNT", "0")
    return [os.environ.get(f"GIT_PUSH_OPTION_{i}", "") for i in range(int(count) % 20)]


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
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the service's hook could not work: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
