"""Rows drawn from mixtures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.mixture.noise import Noise

Array = NDArray[np.float64]


def simulated(
    class_weights: Array,
    means: Array,
    scale_tril: Array,
    noise: Noise | None,
    n: int,
    rng: np.random.Generator,
) -> tuple[Array, NDArray[np.int64]]:
    """``n`` rows (S, n, D) of each of S mixtures, and the class (S, n) that each came from."""
    k, d = means.shape[-2:]
    cumulative = np.cumsum(class_weights, axis=-1)
    cumulative /= cumulative[:, -1:]
    x = np.empty((len(cumulative), n, d))
    component = np.empty((len(cumulative), n), dtype=np.int64)
    for s, edges in enumerate(cumulative):
        component[s] = np.searchsorted(edges, rng.random(n), side="right")
        white = rng.standard_normal((n, d))
        for j in range(k):
            mine = component[s] == j
            x[s, mine] = means[s, j] + white[mine] @ scale_tril[s, j].T
        if noise is not None:
            mine = component[s] == k
            x[s, mine] = noise.simulate(int(mine.sum()), rng)
    return x, component
