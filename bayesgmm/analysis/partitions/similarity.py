"""Posterior similarity: the probability that two rows are in one cluster.

It is what the draws say of pairs of rows, whatever the labels.  The matrix is made in
tiles that stay in cache, by comparing rows of labels, so that nothing but the result
grows with the square of the number of rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import Labels
from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import thread_map

_TILE = 64


def similarity(draws: Labels, *, cores: int = 1) -> NDArray[np.float32]:
    """Share of the draws (S, N) in which rows are together, shape (N, N)."""
    by_row = np.ascontiguousarray(draws.T)
    out = np.empty((len(by_row), len(by_row)), dtype=np.float32)
    begins = range(0, len(by_row), _TILE)
    # The last strips are the longest: they go first, so that threads end together.
    thread_map(lambda begin: _strip(by_row, begin, out), begins[::-1], cores)
    return out


@njit(**COMPILED)
def _strip(by_row, begin, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Rows ``begin`` to ``begin + 64`` of the lower triangle, and their mirror."""
    draws = by_row.shape[1]
    end = min(begin + 64, by_row.shape[0])
    share = 1.0 / draws
    for tile in range(0, end, 64):
        for i in range(begin, end):
            first = by_row[i]
            for j in range(tile, min(tile + 64, i + 1)):
                second = by_row[j]
                same = 0
                for part in range(0, draws, 16_384):
                    same += _equal(first[part : part + 16_384], second[part : part + 16_384])
                out[i, j] = same * share
                out[j, i] = same * share


@njit(**COMPILED)
def _equal(first, second):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    count = np.int16(0)  # as narrow as the labels, so that a register counts as many
    for s in range(first.size):
        count = np.int16(count + np.int16(first[s] == second[s]))
    return count
