"""Simple values: what their text means, and how two of them compare.

TOSCA Simple Profile 1.3, 3.3: version, range, timestamp and ``scalar-unit.*`` beside YAML's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

UNBOUNDED = "UNBOUNDED"
_LONGEST = 100  # characters of a scalar
_SCALAR = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)", re.ASCII)
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+_-]*", re.ASCII)
_PARTS = re.compile(r"[0-9]{1,18}|[A-Za-z]+", re.ASCII)
_ZONE = re.compile(r"\s*(z|[+-][0-9]{1,2}(:?[0-9]{2})?)$", re.ASCII | re.IGNORECASE)
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{0,9})?)?",
    re.ASCII,
)
_SIZES = {"b": 1.0}
_RATES = {"bps": 1.0}
for _power, _letter in enumerate("kmgt", start=1):
    _SIZES |= {f"{_letter}b": 1000.0**_power, f"{_letter}ib": 1024.0**_power}
    _RATES |= {f"{_letter}bps": 1000.0**_power, f"{_letter}ibps": 1024.0**_power}
UNITS = {
    "scalar-unit.size": _SIZES,
    "scalar-unit.time": {
        "d": 86400.0,
        "h": 3600.0,
        "m": 60.0,
        "s": 1.0,
        "ms": 1e-3,
        "us": 1e-6,
        "ns": 1e-9,
    },
    "scalar-unit.frequency": {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    "scalar-unit.bitrate": _RATES,
}
SIMPLE = frozenset(
    {"string", "integer", "float", "boolean", "timestamp", "version", "range", "list", "map"}
    | {"scalar-unit", "any", "null"}
    | set(UNITS)
)
_EXAMPLES = {
    "scalar-unit.size": "a number and a unit such as 10 MB",
    "scalar-unit.time": "a number and a unit such as 10 s",
    "scalar-unit.frequency": "a number and a unit such as 2.5 GHz",
    "scalar-unit.bitrate": "a number and a unit such as 10 Mbps",
    "version": "a version such as 1.2.3",
    "timestamp": "a date and time such as 2026-01-31T12:00:00Z",
    "range": "two numbers such as [1, 10]",
}


def example(kind: str) -> str:
    """What a value of a type looks like, in words; empty for types without a form of their own."""
    return _EXAMPLES.get(kind, "")


def has_form(value: Any, kind: str) -> bool:
    """Whether a value has the form that its type asks for; true for types without one."""
    if kind not in _EXAMPLES:
        return True
    return comparable(value, kind) is not None


def comparable(value: Any, kind: str) -> Any:
    """What a value is compared by: a number of base units, a tuple, …; None if it has none."""
    if isinstance(value, (dict, type(None))):
        return None
    if kind == "range":
        return _range(value)
    if kind in UNITS:
        return _scalar(value, UNITS[kind])
    special = _SPECIAL.get(kind)
    if special is not None:
        text = str(value)
        return special(text) if len(text) <= _LONGEST else None
    if kind in {"integer", "float"}:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value if number else None
    return value if isinstance(value, str) else None


def _scalar(value: Any, units: dict[str, float]) -> float | None:
    text = str(value).strip()
    found = _SCALAR.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or found[2].lower() not in units:
        return None
    return float(found[1]) * units[found[2].lower()]


def _version(text: str) -> tuple[tuple[int, int, str], ...] | None:
    if not _VERSION.fullmatch(text):
        return None
    parts = _PARTS.findall(text)
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p.lower()) for p in parts)


def _timestamp(text: str) -> datetime | None:
    local = _ZONE.sub("", text.strip()) if ":" in text else text.strip()
    found = _MOMENT.fullmatch(local)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _range(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = (bound(end) for end in value)
    if low is None or high is None:
        return None
    least = float("-inf") if value[0] == UNBOUNDED else low
    return (least, high) if least <= high else None


def bound(value: Any) -> float | None:
    """An end of a range: a number, or no bound at all; None if it is neither."""
    if value == UNBOUNDED:
        return float("inf")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e300 else None


_SPECIAL: dict[str, Callable[[str], Any]] = {"version": _version, "timestamp": _timestamp}
