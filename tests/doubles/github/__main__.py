"""``python -m tests.doubles.github --state DIR [--port N]``: the double as a process."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from .double import GitHubDouble
from .remote import offer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="a folder for all it keeps")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    double = GitHubDouble(given.state, port=given.port, seed=given.seed)
    offer(double)
    print(double.web, flush=True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    double.stop()
    for line in double.violations:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
