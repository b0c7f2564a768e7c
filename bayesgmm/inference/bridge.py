"""The ratio of two normalising constants, by the optimal bridge between two sets of draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError

Array = NDArray[np.float64]


def bridge_ratio(on_draws: Array, on_proposed: Array) -> tuple[float, float]:
    """Log of the ratio of constants by the optimal bridge, and its relative error.

    Both take log density less log proposal: at draws (chain, draw), and at proposals.
    """
    from arviz_stats.base import array_stats

    if not np.isfinite(on_proposed).any():
        raise FitError("No proposal falls where the posterior has mass; draw more.")
    ess = max(float(array_stats.ess(on_draws, chain_axis=0, draw_axis=1, method="mean")), 1.0)
    flat = on_draws.ravel()
    s_draws = ess / (ess + len(on_proposed))
    s_proposed = 1 - s_draws
    log_z = float(np.median(flat))
    for _ in range(1000):
        # p = exp(l - log_z) is density over proposal; see Meng and Wong (1996), (4.1).
        upper = 1 / (s_draws + s_proposed * np.exp(np.minimum(log_z - on_proposed, 700)))
        lower = 1 / (s_draws * np.exp(np.minimum(flat - log_z, 700)) + s_proposed)
        step = float(np.log(upper.mean()) - np.log(lower.mean()))
        log_z += step
        if abs(step) < 1e-10:
            break
    rho = max(
        1.0,
        lower.size
        / float(
            array_stats.ess(lower.reshape(on_draws.shape), chain_axis=0, draw_axis=1, method="mean")
        ),
    )
    relative = upper.var(ddof=1) / (len(upper) * upper.mean() ** 2) + rho * lower.var(ddof=1) / (
        len(lower) * lower.mean() ** 2
    )
    return log_z, float(np.sqrt(relative))
