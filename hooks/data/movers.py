"""Data movers by the scheme of a source. A backend is a module here and a line in ``MOVERS``."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ci.errors import EntryError
from hooks.data.http import HttpMover
from hooks.data.seams import DataMover


def movers(private_hosts: frozenset[str] = frozenset()) -> Mapping[str, DataMover]:
    """The movers; ``private_hosts`` are hosts of private networks that may be fetched from."""
    http = HttpMover(private_hosts=private_hosts)
    return {"http": http, "https": http}


def mover_for(source: str, known: Mapping[str, DataMover]) -> DataMover:
    """The mover of a source. Raises ``EntryError`` if there is none."""
    scheme = urlsplit(source).scheme
    try:
        return known[scheme]
    except KeyError:
        raise EntryError(
            f"data cannot be fetched from {source!r}",
            hint=f"sources begin with {', '.join(f'{name}:' for name in known)}",
        ) from None
