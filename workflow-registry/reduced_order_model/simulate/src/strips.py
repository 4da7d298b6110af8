"""Domain decomposition: each rank owns a strip of whole rows and one halo row on either side.

``Communicator`` lists what is used of an mpi4py communicator; the tests pass one made of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Communicator(Protocol):
    """The part of ``mpi4py.MPI.Comm`` that the solver needs."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    def Sendrecv(self, sendbuf: Any, dest: int, *, recvbuf: Any, source: int) -> None: ...
    def Gatherv(self, sendbuf: Any, recvbuf: Any, root: int = 0) -> None: ...


def split(rows: int, ranks: int) -> list[slice]:
    """Cut ``rows`` into ``ranks`` strips whose heights differ by at most one row.

    Raises:
        ValueError: there are more ranks than rows.
    """
    if ranks > rows:
        raise ValueError(f"{ranks} ranks cannot share {rows} rows: use fewer ranks or a finer grid")
    height, extra = divmod(rows, ranks)
    starts = [rank * height + min(rank, extra) for rank in range(ranks + 1)]
    return [slice(a, b) for a, b in pairwise(starts)]


class Strip:
    """The rows of one rank, and how they meet the neighbours' rows."""

    def __init__(self, comm: Communicator, rows: int, nobody: int) -> None:
        """``nobody`` is ``MPI.PROC_NULL``: sends to it vanish, receives from it change nothing."""
        self._comm = comm
        self._strips = split(rows, comm.size)
        self.rows = self._strips[comm.rank]
        self._before = comm.rank - 1 if comm.rank > 0 else nobody
        self._after = comm.rank + 1 if comm.rank + 1 < comm.size else nobody

    @property
    def height(self) -> int:
        """Number of rows owned."""
        return int(self.rows.stop - self.rows.start)

    def exchange(self, u: Array) -> None:
        """Fill both halo rows of ``u`` ``(height + 2, …)`` with the neighbours' outermost rows.

        At the edges of the plate the halo row is the boundary itself and keeps its value.
        """
        self._comm.Sendrecv(u[1], self._before, recvbuf=u[-1], source=self._after)
        self._comm.Sendrecv(u[-2], self._after, recvbuf=u[0], source=self._before)

    def gather(self, block: Array) -> Array | None:
        """Join the blocks ``(height, …)`` of all ranks on rank 0; None on the others."""
        row = block[0].size
        counts = [row * (strip.stop - strip.start) for strip in self._strips]
        whole: Array | None = None
        if self._comm.rank == 0:
            whole = np.empty((self._strips[-1].stop, *block.shape[1:]))
        self._comm.Gatherv(np.ascontiguousarray(block), [whole, counts], root=0)
        return whole


def march(
    strip: Strip,
    u: Array,
    step: Callable[[Array], None],
    steps: int,
    every: int,
    save: Callable[[int, Array | None], None],
) -> None:
    """Advance ``u (height + 2, runs, n + 2)`` by ``steps``; gather and ``save`` every ``every``.

    ``save(done, whole)`` is called on every rank; ``whole`` ``(n, runs, n)`` is None but on rank 0.
    """
    for done in range(1, steps + 1):
        strip.exchange(u)
        step(u)
        if done % every == 0:
            save(done, strip.gather(u[1:-1, :, 1:-1]))
