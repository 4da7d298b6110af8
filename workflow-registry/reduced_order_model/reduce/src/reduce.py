#!/usr/bin/env python3
"""Learn a reduced model from the training runs: ``snapshots.npz`` -> ``model.npz``.

    reduce.py --rank 24

Proper orthogonal decomposition with interpolation (POD-GP; M. Guo, J. S. Hesthaven: Reduced order
modeling for nonlinear structural analysis using Gaussian process regression, Computer Methods in
Applied Mechanics and Engineering 341 (2018) 807-826): the snapshots are written in the few modes
that carry nearly all of their energy, and how the coefficients depend on the parameters is learnt
by regression. The simulation is a black box here: swap it for yours, and this step still works.

``model.npz`` holds ``modes`` (n*n, rank); ``singular_values`` (of the sketch: rank and 10 more);
``low``, ``high``, ``logarithmic`` (varied,), which scale a parameter to [0, 1]; ``points``
(training, varied), ``lengths`` (varied,), ``mean`` (outputs,), ``weights`` (training, outputs) of
the regression, whose outputs are (snapshots, rank) flattened; ``leave_one_out``, the relative error
that the training runs predict for a new one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from regression import Array, fit
from rsvd import randomised_svd


def scale(parameters: Array, low: Array, high: Array, logarithmic: Any) -> Array:
    """Map parameters ``(runs, d)`` from ``[low, high]`` to [0, 1], in the logarithm where asked."""
    scaled = np.empty_like(parameters)
    for k, in_log in enumerate(logarithmic):
        to = np.log if in_log else np.asarray
        scaled[:, k] = (to(parameters[:, k]) - to(low[k])) / (to(high[k]) - to(low[k]))
    return scaled


def learn(fields: Array, parameters: Array, logarithmic: Any, rank: int) -> dict[str, Any]:
    """The content of ``model.npz`` from ``fields`` (training, snapshots, n, n), ``parameters``.

    Raises:
        ValueError: fewer than two runs, a parameter that does not vary, or a rank out of range.
    """
    runs, snapshots = fields.shape[:2]
    low, high = parameters.min(axis=0), parameters.max(axis=0)
    if runs < 2 or not np.all(low < high):
        raise ValueError("training needs two runs or more, and every parameter must vary")
    matrix = fields.reshape(runs * snapshots, -1).T.astype(np.float64)
    if not 1 <= rank <= min(matrix.shape):
        raise ValueError(f"--rank must be between 1 and {min(matrix.shape)}, not {rank}")
    modes, values, vt = randomised_svd(matrix, min(rank + 10, *matrix.shape))
    coefficients = (values[:rank, None] * vt[:rank]).T.reshape(runs, snapshots * rank)
    found = fit(scale(parameters, low, high, logarithmic), coefficients)
    missed = np.linalg.norm(found.residuals) ** 2 + np.linalg.norm(matrix) ** 2
    missed -= np.linalg.norm(coefficients) ** 2  # what truncation leaves out: Pythagoras
    return {
        "modes": modes[:, :rank],
        "singular_values": values,
        "low": low,
        "high": high,
        "logarithmic": logarithmic,
        "points": found.points,
        "lengths": found.lengths,
        "mean": found.mean,
        "weights": found.weights,
        "leave_one_out": np.sqrt(missed) / np.linalg.norm(matrix),
    }


def main(argv: list[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Reduced model of a sweep's snapshots.")
    parser.add_argument("--snapshots", type=Path, default=Path("snapshots.npz"))
    parser.add_argument("--output", type=Path, default=Path("model.npz"))
    parser.add_argument("--rank", type=int, default=24, help="modes to keep")
    given = parser.parse_args(argv)
    start = time.perf_counter()
    try:
        with np.load(given.snapshots) as data:
            training = int(data["training"])
            fields, parameters = data["fields"][:training], data["parameters"][:training]
            model = learn(fields, parameters, data["logarithmic"], given.rank)
    except (OSError, KeyError, ValueError) as error:
        print(f"reduce: {given.snapshots}: {error}", file=sys.stderr)
        return 2
    temporary = given.output.with_name(given.output.name + ".part")
    with temporary.open("wb") as stream:
        np.savez(stream, **model)
    os.replace(temporary, given.output)
    print(f"{fields.shape[0]} runs of {fields.shape[1]} snapshots -> {given.rank} modes")
    print(f"expected relative error {model['leave_one_out']:.2e} (leave one out)")
    print(f"wrote {given.output} after {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
