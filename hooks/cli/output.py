"""Tables and colours on a terminal, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

_COLOURS = {
    "SUCCESS": "green", "SUCCEEDED": "green", "ACTIVE": "green", "PASSED": "green",
    "FINISHED": "green", "HANDLED": "green", "genuine": "green",
    "FAILED": "red", "REFUSED": "red",
    "CANCELLED": "yellow", "RUNNING": "yellow", "PENDING": "yellow", "WAITING": "yellow",
    "DEPLOYING": "yellow", "STARTED": "yellow", "BUILDING": "yellow", "CONVERTING": "yellow",
}  # fmt: skip

_LEAST_ROOM = 10  # characters; a column that has less is left to the terminal

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def coloured(word: str) -> str:
    """A state in its colour; plain where the output is not a terminal."""
    return click.style(word, fg=_COLOURS[word]) if word in _COLOURS else word


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, json_wanted: bool) -> None:
    """Print rows as an aligned table, or as a JSON array."""
    if json_wanted:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        click.echo("(none)", err=True)
        return
    cells = [[_cell(row.get(c, "")) for c in columns] for row in rows]
    widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
    header = "  ".join(c.upper().ljust(w) for c, w in zip(columns, widths, strict=True))
    click.echo(click.style(header.rstrip(), bold=True))
    for row in cells:
        row[-1] = _shortened(row[-1], sum(widths[:-1]) + 2 * len(widths[:-1]))
        padded = [c.ljust(w).replace(c, coloured(c), 1) for c, w in zip(row, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def _shortened(text: str, before: int) -> str:
    """The last column as far as the terminal has room for it; whole for programs."""
    room = shutil.get_terminal_size().columns - before
    if not sys.stdout.isatty() or len(text) <= room or room < _LEAST_ROOM:
        return text
    return f"{text[: room - 1]}…"


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("\n", " ")
