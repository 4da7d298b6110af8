"""Randomised singular value decomposition.

N. Halko, P.-G. Martinsson, J. A. Tropp: Finding structure with randomness: probabilistic algorithms
for constructing approximate matrix decompositions. SIAM Review 53 (2011) 217-288. Algorithm 4.4
finds the range by power iterations that are made orthonormal in between, algorithm 5.1 the SVD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def randomised_svd(
    a: Array, rank: int, *, oversampling: int = 10, power_iterations: int = 2, seed: int = 0
) -> tuple[Array, Array, Array]:
    """The leading ``rank`` singular triplets of ``a`` ``(m, n)``: ``a ~ u @ diag(s) @ vt``.

    Only products with ``a`` are needed, O(m n rank), where a full SVD takes O(m n min(m, n)).
    ``oversampling`` more directions are tried than kept; each power iteration sharpens a slowly
    decaying spectrum. The same ``seed`` gives the same result.

    Returns:
        ``u (m, rank)`` and ``vt (rank, n)`` with orthonormal columns and rows, ``s (rank,)``
        descending.

    Raises:
        ValueError: ``rank`` is not between 1 and ``min(m, n)``.
    """
    if not 1 <= rank <= min(a.shape):
        raise ValueError(f"rank must be between 1 and {min(a.shape)}, not {rank}")
    sketch = min(rank + oversampling, *a.shape)
    random = np.random.default_rng(seed).standard_normal((a.shape[1], sketch))
    basis = np.linalg.qr(a @ random)[0]
    for _ in range(power_iterations):
        basis = np.linalg.qr(a.T @ basis)[0]
        basis = np.linalg.qr(a @ basis)[0]
    u, s, vt = np.linalg.svd(basis.T @ a, full_matrices=False)
    return basis @ u[:, :rank], s[:rank], vt[:rank]
