"""The physics: heat conduction in a thin square plate, by finite differences.

    du/dt = kappa (d2u/dx2 + d2u/dy2) + q(x, y)     in the plate
        u = 0                                       on its edges, and everywhere at t = 0

``u`` is the temperature above that of the edges [K], ``kappa`` the diffusivity [m2/s] and ``q``
the heating rate of a spot [K/s]. The grid has ``n x n`` interior points with spacing
``h = side / (n + 1)``; derivatives are the five-point stencil, time steps are explicit Euler
(FTCS: Press et al., Numerical Recipes, 3rd ed., section 20.2). The error is O(h^2) when the time
step shrinks with h^2, as stability demands.

Nothing here knows about files or MPI. A field is an array ``(rows + 2, runs, n + 2)``: rows of the
grid first, so that one row of *all* runs lies together in memory and can be sent as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plate:
    """A square plate of ``side`` [m] with ``n x n`` interior grid points."""

    side: float
    n: int

    @property
    def h(self) -> float:
        """Distance between grid points [m]."""
        return self.side / (self.n + 1)

    def points(self) -> Array:
        """Coordinates of the interior points along either axis [m]: shape ``(n,)``."""
        return self.h * np.arange(1, self.n + 1, dtype=np.float64)

    def stable_steps(self, diffusivity: float, duration: float) -> int:
        """The least number of time steps that is stable: ``dt <= h^2 / (4 kappa)``.

        ``diffusivity`` is the largest of the sweep [m2/s], ``duration`` the simulated time [s].
        """
        return math.ceil(4.0 * diffusivity * duration / self.h**2)


def spot(plate: Plate, rows: slice, x: Array, y: Array, width: Array, peak: Array) -> Array:
    """Heating rate of a Gaussian spot for every run: ``peak exp(-r^2 / (2 width^2))`` [K/s].

    ``rows`` are the rows (y) wanted; ``x``, ``y``, ``width`` [m] and ``peak`` [K/s] have shape
    ``(runs,)``. Returns shape ``(rows, runs, n)``.
    """
    points = plate.points()
    across = np.exp(-0.5 * ((points - x[:, None]) / width[:, None]) ** 2)
    along = np.exp(-0.5 * ((points[rows, None] - y) / width) ** 2)
    return peak[:, None] * along[:, :, None] * across


class Stepper:
    """Advances a block of rows by one time step, in place and without allocating."""

    def __init__(self, plate: Plate, diffusivity: Array, source: Array, dt: float) -> None:
        """``diffusivity`` ``(runs,)`` [m2/s]; ``source`` ``(rows, runs, n)`` [K/s]; ``dt`` [s]."""
        self._fourier = (diffusivity * dt / plate.h**2)[:, None]  # the grid's Fourier number
        self._heat = source * dt
        self._change = np.empty_like(source)

    def step(self, u: Array) -> None:
        """Replace ``u`` at t by ``u`` at t + dt; its outermost rows and columns are only read."""
        centre, change = u[1:-1, :, 1:-1], self._change
        np.multiply(centre, -4.0, out=change)
        change += u[:-2, :, 1:-1]
        change += u[2:, :, 1:-1]
        change += u[1:-1, :, :-2]
        change += u[1:-1, :, 2:]
        change *= self._fourier
        change += self._heat
        centre += change
