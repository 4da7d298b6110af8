"""Tables and colours on a terminal, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

_COLOURS = {
    "SUCCESS": "green", "SUCCEEDED": "green", "ACTIVE": "green", "PASSED": "green",
    "FINISHED": "green", "HANDLED": "green", "FAILED": "red", "CANCELLED": "yellow",
    "RUNNING": "yellow", "PENDING": "yellow", "WAITING": "yellow", "DEPLOYING": "yellow",
}  # fmt: skip

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
        padded = [c.ljust(w).replace(c, coloured(c), 1) for c, w in zip(row, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("\n", " ")
