"""Read a sweep: which parameters vary, in which ranges, and how many runs are made.

``sweep.json``::

    {"side": 0.1, "duration": 4.0, "snapshots": 8, "training": 40, "held_out": 8,
     "parameters": {"diffusivity": [1e-5, 1.1e-4], "x": [0.03, 0.07], "y": 0.05, …}}

A parameter is a number (fixed) or a range ``[low, high]``. Points are a Halton sequence (Halton,
1960, Numerische Mathematik 2, 84-90): even coverage, the same points everywhere, and a longer sweep
begins with the points of a shorter one. The held-out points come after the training points.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNITS = {"diffusivity": "m2/s", "x": "m", "y": "m", "width": "m", "peak": "K/s"}
LOGARITHMIC = frozenset({"diffusivity"})  # spans a decade between alloys: sampled evenly in log
_PRIMES = (2, 3, 5, 7, 11)


class SweepError(ValueError):
    """What is wrong with the sweep file, for the person who wrote it."""


@dataclass(frozen=True)
class Sweep:
    """``points`` maps each of ``UNITS`` to its values ``(runs,)``; training runs come first."""

    side: float  # m
    duration: float  # s
    snapshots: int  # saved per run, evenly spaced in time; the last is at ``duration``
    training: int
    points: dict[str, Array]
    varied: tuple[str, ...]

    @property
    def runs(self) -> int:
        """Training and held-out runs together."""
        return len(self.points["x"])


def read(path: Path) -> Sweep:
    """Read and check a sweep file.

    Raises:
        SweepError: it cannot be read, or says something that makes no sense.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SweepError(f"{path}: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("parameters"), dict):
        raise SweepError(f"{path}: expected an object with an object named parameters")
    side, duration = _positive(data, "side"), _positive(data, "duration")
    training, held_out = _count(data, "training"), _count(data, "held_out")
    ranges = _ranges(data["parameters"])
    for axis in ("x", "y"):
        if not 0.0 < ranges[axis][0] <= ranges[axis][1] < side:
            raise SweepError(f"{axis} must lie inside the plate, between 0 and {side} m")
    varied = tuple(name for name, (low, high) in ranges.items() if low != high)
    if not varied:
        raise SweepError("no parameter varies: give at least one as a range [low, high]")
    points = sample(ranges, training + held_out)
    return Sweep(side, duration, _count(data, "snapshots"), training, points, varied)


def sample(ranges: dict[str, tuple[float, float]], runs: int) -> dict[str, Array]:
    """The first ``runs`` Halton points of the ranges; what varies takes the next prime."""
    primes = iter(_PRIMES)
    points: dict[str, Array] = {}
    for name, (low, high) in ranges.items():
        unit = halton(runs, next(primes)) if low != high else np.zeros(runs)
        if name in LOGARITHMIC:
            points[name] = low * (high / low) ** unit
        else:
            points[name] = low + (high - low) * unit
    return points


def halton(count: int, base: int) -> Array:
    """The first ``count`` radical inverses 1, 2, … in a prime ``base``: in (0, 1)."""
    numbers = np.arange(1, count + 1)
    result, weight = np.zeros(count), 1.0
    while numbers.any():
        weight /= base
        result += weight * (numbers % base)
        numbers //= base
    return result


def _ranges(given: dict[str, Any]) -> dict[str, tuple[float, float]]:
    if set(given) != set(UNITS):
        wrong = ", ".join(sorted(set(given) ^ set(UNITS)))
        raise SweepError(f"parameters must be exactly {', '.join(UNITS)}; differs in: {wrong}")
    return {name: _range(name, given[name]) for name in UNITS}


def _range(name: str, value: Any) -> tuple[float, float]:
    pair = value if isinstance(value, list) else [value, value]
    numbers = [item for item in pair if type(item) in (int, float)]
    if len(pair) != 2 or len(numbers) != 2 or not 0 < numbers[0] <= numbers[1] < np.inf:
        raise SweepError(f"{name} must be a positive number or [low, high], in {UNITS[name]}")
    return float(numbers[0]), float(numbers[1])


def _positive(data: dict[str, Any], name: str) -> float:
    value = data.get(name)
    if type(value) not in (int, float) or not 0 < value < np.inf:  # type: ignore[operator]
        raise SweepError(f"{name} must be a positive number")
    return float(value)  # type: ignore[arg-type]


def _count(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    if type(value) is not int or value < 1:
        raise SweepError(f"{name} must be a whole number, 1 or more")
    return value
