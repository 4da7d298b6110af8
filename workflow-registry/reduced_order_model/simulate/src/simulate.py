#!/usr/bin/env python3
"""Heat a plate with a spot, for every point of a sweep: ``sweep.json`` -> ``snapshots.npz``.

    mpirun -n 4 simulate.py --grid 80 --steps 1200

All runs of the sweep advance together as one array, so that one exchange of halo rows serves them
all. Every rank computes its rows with the same operations in the same order whatever the number of
ranks: the snapshots do not depend on it.

``snapshots.npz`` holds ``fields`` (runs, snapshots, n, n) float32 [K], indexed [run, time, y, x];
``times`` (snapshots,) [s]; ``parameters`` (runs, varied); ``names`` (varied,); ``logarithmic``
(varied,) bool; ``training`` (the first so many runs); ``side`` [m]; ``seconds_per_run`` (wall-clock
seconds shared out over the runs) and the number of ``ranks`` that it was measured with.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from heat import Array, Plate, Stepper, spot
from strips import Communicator, Strip, march
from sweep import LOGARITHMIC, Sweep, SweepError, read


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    sweep: Path
    output: Path
    grid: int
    steps: int


def arguments(argv: list[str] | None = None) -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Heat equation on a plate, for a sweep.")
    parser.add_argument("--sweep", type=Path, default=Path("sweep.json"))
    parser.add_argument("--output", type=Path, default=Path("snapshots.npz"))
    parser.add_argument("--grid", type=int, default=80, help="interior points along a side")
    parser.add_argument("--steps", type=int, default=1200, help="time steps")
    return Arguments(**vars(parser.parse_args(argv)))


def check(sweep: Sweep, plate: Plate, steps: int) -> None:
    """Refuse a grid or a number of steps that gives no meaningful result.

    Raises:
        SweepError: says what to change.
    """
    if plate.n < 8:
        raise SweepError("--grid must be 8 or more")
    least = plate.stable_steps(float(sweep.points["diffusivity"].max()), sweep.duration)
    if steps < least:
        raise SweepError(f"{steps} time steps are unstable on this grid: --steps {least} or more")
    if steps % sweep.snapshots:
        raise SweepError(f"--steps must be a multiple of the {sweep.snapshots} snapshots")


def simulate(sweep: Sweep, plate: Plate, steps: int, comm: Communicator, nobody: int) -> Any:
    """Run the whole sweep; returns ``fields`` (see above) on rank 0 and None elsewhere."""
    points, dt = sweep.points, sweep.duration / steps
    strip = Strip(comm, plate.n, nobody)
    where = (points["x"], points["y"], points["width"], points["peak"])
    stepper = Stepper(plate, points["diffusivity"], spot(plate, strip.rows, *where), dt)
    shape = (sweep.runs, sweep.snapshots, plate.n, plate.n)
    fields = np.empty(shape, dtype=np.float32) if comm.rank == 0 else None
    every = steps // sweep.snapshots

    def save(done: int, whole: Array | None) -> None:
        if fields is not None and whole is not None:
            fields[:, done // every - 1] = whole.transpose(1, 0, 2)
            print(f"step {done}/{steps}: hottest point {whole.max():.2f} K", flush=True)

    march(
        strip,
        np.zeros((strip.height + 2, sweep.runs, plate.n + 2)),
        stepper.step,
        steps,
        every,
        save,
    )
    return fields


def write(path: Path, sweep: Sweep, fields: Any, seconds: float, ranks: int) -> None:
    """Write ``snapshots.npz`` so that it appears whole or not at all."""
    times = sweep.duration * np.arange(1, sweep.snapshots + 1) / sweep.snapshots
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as stream:
        np.savez(
            stream,
            fields=fields,
            times=times,
            parameters=np.column_stack([sweep.points[name] for name in sweep.varied]),
            names=np.array(sweep.varied),
            logarithmic=np.array([name in LOGARITHMIC for name in sweep.varied]),
            training=sweep.training,
            side=sweep.side,
            seconds_per_run=seconds / sweep.runs,
            ranks=ranks,
        )
    os.replace(temporary, path)


def main() -> int:
    """Run as a program. Every rank reads the same files, so all of them refuse alike."""
    from mpi4py import MPI  # imported here: the rest of this step works without MPI

    comm = MPI.COMM_WORLD
    given = arguments()
    try:
        sweep = read(given.sweep)
        plate = Plate(sweep.side, given.grid)
        check(sweep, plate, given.steps)
        Strip(comm, plate.n, MPI.PROC_NULL)
    except ValueError as error:
        if comm.rank == 0:
            print(f"simulate: {error}", file=sys.stderr)
        return 2
    if comm.rank == 0:
        size = f"{plate.n} x {plate.n} points, {given.steps} steps"
        print(f"{sweep.runs} runs, {size}, {comm.size} ranks", flush=True)
    start = time.perf_counter()
    fields = simulate(sweep, plate, given.steps, comm, MPI.PROC_NULL)
    seconds = time.perf_counter() - start
    if fields is not None:
        write(given.output, sweep, fields, seconds, comm.size)
        print(f"wrote {given.output} after {seconds:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
