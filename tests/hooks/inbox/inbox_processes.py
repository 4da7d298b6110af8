"""What the processes do that tests of the inbox kill: they write down what they did in a file.

A line is appended by one write(2), so it is whole or not there, and stays when its process goes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from hooks.db import Database
from hooks.inbox import Inbox


def noting(path: str) -> Callable[..., None]:
    """``note(*words)`` appends a line."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return lambda *words: os.write(file, (" ".join(map(str, words)) + "\n").encode()) and None


def accept(url: str, notes: str, life: str, threads: int) -> None:
    """Accept deliveries from many threads without an end; a line for each that was accepted."""
    inbox, note = Inbox(Database(url)), noting(notes)
    begun = threading.Barrier(threads)

    def run(thread: int) -> None:
        begun.wait()
        for number in range(1_000_000):
            name = f"{life}-{thread}-{number}"
            inbox.accept(name, "git", f"r{thread % 3}", {"ref": name})
            note(name)

    for thread in range(threads):
        threading.Thread(target=run, args=(thread,), daemon=True).start()
    time.sleep(60)


def handle(url: str, notes: str, life: str, milliseconds: float) -> None:
    """Handle without an end; a line when a try begins and one when it ends."""
    database = Database(url)
    inbox, note = Inbox(database), noting(notes)

    def handler(repository: str, event: dict[str, Any]) -> str:
        note("begin", life, repository, event["n"])
        time.sleep(random.uniform(0, 2 * milliseconds) / 1000)
        note("end", life, repository, event["n"])
        return ""

    inbox.run(handler)
