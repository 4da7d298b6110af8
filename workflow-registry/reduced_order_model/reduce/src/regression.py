"""Gaussian-process regression of many outputs that share one kernel.

C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning, MIT Press 2006: the
mean of the posterior (eq. 2.25), the squared-exponential kernel with one length per input
(eq. 5.1), and the leave-one-out residuals in closed form (eq. 5.12), which choose the lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUGGET = 1e-8  # added to the kernel's diagonal: keeps its Cholesky factor stable


@dataclass(frozen=True)
class Fit:
    """``y(x) = mean + k(x, points) @ weights`` with the kernel's ``lengths``."""

    points: Array  # (n, d) inputs, scaled to about [0, 1]
    lengths: Array  # (d,)
    mean: Array  # (m,)
    weights: Array  # (n, m)
    residuals: Array  # (n, m): what each point misses when it is left out


def kernel(a: Array, b: Array, lengths: Array) -> Array:
    """``exp(-|(a - b) / lengths|^2 / 2)`` for all pairs of rows: ``(p, d), (q, d) -> (p, q)``."""
    difference = (a[:, None, :] - b[None, :, :]) / lengths
    return np.asarray(np.exp(-0.5 * np.sum(difference**2, axis=2)))


def fit(points: Array, values: Array) -> Fit:
    """Fit ``values (n, m)`` at ``points (n, d)``; ``n`` must be 2 or more.

    The lengths minimise the sum of squared leave-one-out residuals by a pattern search (Hooke and
    Jeeves, 1961, J. ACM 8, 212-229) in their logarithms, from the best equal lengths: no gradients,
    no dependencies.
    """
    mean = values.mean(axis=0)
    centred = values - mean

    def cost(logarithms: Array) -> float:
        return float(np.sum(_solve(points, centred, np.exp(logarithms))[1] ** 2))

    starts = [np.full(points.shape[1], np.log(length)) for length in (0.25, 0.5, 1.0, 2.0)]
    best = min(starts, key=cost)
    least, stride = cost(best), 0.5
    while stride > 0.02:
        improved = False
        for move in stride * np.vstack([np.eye(len(best)), -np.eye(len(best))]):
            trial = np.clip(best + move, -3.0, 3.0)
            if (value := cost(trial)) < least:
                best, least, improved = trial, value, True
        stride = stride if improved else stride / 2.0
    weights, residuals = _solve(points, centred, np.exp(best))
    return Fit(points, np.exp(best), mean, weights, residuals)


def _solve(points: Array, values: Array, lengths: Array) -> tuple[Array, Array]:
    """Weights ``K^-1 y`` and leave-one-out residuals ``(K^-1 y)_i / (K^-1)_ii``."""
    gram = kernel(points, points, lengths) + NUGGET * np.eye(len(points))
    inverse = np.linalg.inv(gram)
    weights = inverse @ values
    return weights, weights / np.diag(inverse)[:, None]
