#!/usr/bin/env python3
"""Compare the reduced model with the full one at held-out runs: ``report.json``, ``report.png``.

    report.py --error-bound 0.05

Ends with exit code 1 when the relative error (Euclidean norm over space and all saved times) of any
held-out run exceeds the bound; both files are written before, to show what went wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from picture import Picture, draw
from reduced_model import Array, ReducedModel, load


def relative_errors(fields: Array, predictions: Array) -> Array:
    """``|prediction - field| / |field|`` per run: ``(runs, snapshots, points) -> (runs,)``."""
    missed = np.linalg.norm(predictions - fields, axis=(1, 2))
    return np.asarray(missed / np.linalg.norm(fields, axis=(1, 2)))


def seconds_per_prediction(model: ReducedModel, parameters: Array, repeats: int = 20) -> float:
    """Wall-clock seconds of one prediction: the median, since the first ones warm the caches."""
    taken = []
    for k in range(repeats):
        start = time.perf_counter()
        model.predict(parameters[k % len(parameters)])
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def summary(
    data: dict[str, Any], model: ReducedModel, errors: Array, bound: float
) -> dict[str, Any]:
    """The content of ``report.json``; times in seconds, parameters in SI units."""
    held_out = data["parameters"][int(data["training"]) :]
    names = [str(name) for name in data["names"]]
    full, reduced = float(data["seconds_per_run"]), seconds_per_prediction(model, held_out)
    return {
        "passed": bool(errors.max() <= bound),
        "error_bound": bound,
        "largest_error": float(errors.max()),
        "mean_error": float(errors.mean()),
        "expected_error": model.leave_one_out,
        "held_out": [
            {"parameters": dict(zip(names, map(float, point), strict=True)), "error": float(error)}
            for point, error in zip(held_out, errors, strict=True)
        ],
        "grid": int(data["fields"].shape[-1]),
        "training_runs": int(data["training"]),
        "modes": model.rank,
        "singular_values": [float(value) for value in model.singular_values],
        "seconds_full": full,
        "ranks_full": int(data["ranks"]),
        "seconds_reduced": reduced,
        "speed_up": full / reduced,
    }


def caption(report: dict[str, Any], worst: int) -> str:
    """The picture's title: the worst point and the outcome, in a reader's units."""
    point = report["held_out"][worst]["parameters"]
    where = ", ".join(f"{name} = {_readable(name, value)}" for name, value in point.items())
    how = f"{report['modes']} modes, largest error {100 * report['largest_error']:.2g} %"
    return f"Heated plate, run {worst + 1}: {where}\n{how}, {report['speed_up']:.0f} times faster"


def _readable(name: str, value: float) -> str:
    if name == "diffusivity":
        return f"{1e6 * value:.0f} mm²/s"
    return f"{value:.1f} K/s" if name == "peak" else f"{100 * value:.1f} cm"


def write(report: dict[str, Any], picture: Picture, folder: Path) -> None:
    """Write both files so that each appears whole or not at all."""
    text = folder / "report.json.part"
    text.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(text, folder / "report.json")
    draw(picture, folder / "report.png.part")
    os.replace(folder / "report.png.part", folder / "report.png")


def make(data: dict[str, Any], model: ReducedModel, bound: float, folder: Path) -> dict[str, Any]:
    """Evaluate, write both files, return the report.

    Raises:
        ValueError: nothing is held out, or the files belong to different sweeps.
    """
    training = int(data["training"])
    fields = data["fields"][training:].astype(np.float64)
    runs, snapshots, n = fields.shape[:3]
    if not runs:
        raise ValueError("the sweep holds no run out: nothing to compare with")
    if model.modes.shape[0] != n * n or model.mean.size != snapshots * model.rank:
        raise ValueError("the model and the snapshots come from different sweeps")
    predictions = np.array([model.predict(point) for point in data["parameters"][training:]])
    errors = relative_errors(fields.reshape(runs, snapshots, n * n), predictions)
    report, worst = summary(data, model, errors, bound), int(errors.argmax())
    picture = Picture(
        true=fields[worst, -1],
        reduced=predictions[worst, -1].reshape(n, n),
        side=float(data["side"]),
        caption=caption(report, worst),
        singular_values=model.singular_values,
        rank=model.rank,
        errors=errors,
        bound=bound,
    )
    write(report, picture, folder)
    return report


def main(argv: list[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Compare the reduced model with the full one.")
    parser.add_argument("--snapshots", type=Path, default=Path("snapshots.npz"))
    parser.add_argument("--model", type=Path, default=Path("model.npz"))
    parser.add_argument("--folder", type=Path, default=Path(), help="where the report goes")
    parser.add_argument("--error-bound", type=float, default=0.05, help="largest relative error")
    given = parser.parse_args(argv)
    try:
        with np.load(given.snapshots) as stored:
            data = {name: stored[name] for name in stored.files}
        report = make(data, load(given.model), given.error_bound, given.folder)
    except (OSError, KeyError, ValueError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    largest = f"largest relative error {report['largest_error']:.2e}"
    if not report["passed"]:
        print(f"report: {largest} exceeds the bound {given.error_bound:g}", file=sys.stderr)
        return 1
    print(f"{largest}, bound {given.error_bound:g}; {report['speed_up']:.0f} times faster")
    return 0


if __name__ == "__main__":
    sys.exit(main())
