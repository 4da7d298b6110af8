"""What the demo shows: headings, progress, tables; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text


class Screen:
    """Prints the story and keeps the time of its chapters."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.times: list[tuple[str, float]] = []

    @contextmanager
    def chapter(self, number: int, title: str) -> Iterator[None]:
        """A chapter of the story, timed."""
        self.console.print()
        self.console.rule(f"[bold]{number}. {title}", align="left")
        started = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - started))

    def say(self, text: str) -> None:
        """A sentence; markup is allowed."""
        self.console.print(f"  {text}")

    def quote(self, text: str) -> None:
        """Somebody else's words (a program's output), indented and unchanged."""
        for line in text.splitlines():
            self.console.print(Text(f"    {line}", style="dim"), soft_wrap=True)

    def command(self, text: str) -> None:
        """A command as the user would type it."""
        self.console.print(Text(f"  $ {text}", style="bold cyan"))

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """A line that changes while something long goes on."""
        if not self.console.is_terminal:
            shown: list[str] = []

            def tell(line: str) -> None:
                if line not in shown:
                    shown.append(line)
                    self.say(line)

            self.say(text)
            yield tell
            return
        with self.console.status(f"  {text}") as status:
            yield lambda line: status.update(f"  {line}")

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """A table."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def panel(self, text: str, title: str) -> None:
        """Something to remember."""
        self.console.print(Panel(text, title=title, expand=False))
