"""Evaluate the reduced model that the step ``reduce`` wrote: ``model.npz``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReducedModel:
    """Modes, and the regression that gives their coefficients; see ``reduce.py`` for the shapes."""

    modes: Array  # (n*n, rank)
    singular_values: Array
    low: Array  # (varied,)
    high: Array  # (varied,)
    logarithmic: NDArray[np.bool_]  # (varied,)
    points: Array  # (training, varied)
    lengths: Array  # (varied,)
    mean: Array  # (snapshots * rank,)
    weights: Array  # (training, snapshots * rank)
    leave_one_out: float

    @property
    def rank(self) -> int:
        """Number of modes."""
        return int(self.modes.shape[1])

    def coefficients(self, parameters: Array) -> Array:
        """What the modes weigh at ``parameters`` ``(varied,)``: shape ``(snapshots, rank)``.

        ``mean + k(parameters, points) @ weights`` with the squared-exponential kernel
        ``k = exp(-|(a - b) / lengths|^2 / 2)`` (Rasmussen and Williams 2006, eqs. 2.25 and 5.1).
        """
        distance = (self._scale(parameters) - self.points) / self.lengths
        kernel = np.exp(-0.5 * np.sum(distance**2, axis=1))
        return np.asarray(self.mean + kernel @ self.weights).reshape(-1, self.rank)

    def predict(self, parameters: Array) -> Array:
        """The fields [K] ``(snapshots, n*n)`` at the saved times, for ``parameters (varied,)``."""
        return np.asarray(self.coefficients(parameters) @ self.modes.T)

    def _scale(self, parameters: Array) -> Array:
        low, high, value = self.low.copy(), self.high.copy(), parameters.copy()
        for numbers in (low, high, value):
            numbers[self.logarithmic] = np.log(numbers[self.logarithmic])
        return (value - low) / (high - low)


def load(path: Path) -> ReducedModel:
    """Read ``model.npz``. Raises ``OSError``, ``KeyError`` or ``ValueError`` if it is not one."""
    with np.load(path) as data:
        content: dict[str, Any] = {name: data[name] for name in data.files}
    content["leave_one_out"] = float(content["leave_one_out"])
    try:
        return ReducedModel(**content)
    except TypeError as error:
        raise ValueError(f"{path} is not a reduced model: {error}") from error
