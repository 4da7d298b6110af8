"""What goes wrong on request: which requests, how often, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase

KINDS = frozenset(
    {"500", "502", "503", "404", "422", "401", "primary", "secondary"}
    | {"slow", "lost", "lost-after", "cut", "html"}
)


@dataclass
class Rule:
    """``match`` is like ``POST /repos/*/issues/*/comments``; ``seconds`` for slow answers, and for
    how long a limit says that it lasts.
    """

    match: str
    times: int
    how: str
    seconds: float = 1.0


class Faults:
    """The rules in force. A rule that was used ``times`` times is gone."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.done: list[tuple[str, str]] = []  # what was asked, and how it failed

    def add(self, rule: Rule) -> None:
        """A rule for the next requests that match. Raises ``ValueError``: no such fault."""
        if rule.how not in KINDS:
            raise ValueError(rule.how)
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def of(self, asked: str) -> Rule | None:
        """The first rule for a request, which is used up by it."""
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and fnmatchcase(asked, rule.match):
                    rule.times -= 1
                    self.done.append((asked, rule.how))
                    return rule
        return None
