"""Rows of which not everything was seen, and what the pass says of them, row by row by SciPy."""

from __future__ import annotations

import numpy as np
from scipy.stats import multivariate_normal


def holed(x, share=0.3, seed=3):
    """Rows with a share of the values not seen; of the first two rows everything, and nothing."""
    gone = np.random.default_rng(seed).random(x.shape) < share
    gone[:2] = [[False] * x.shape[1], [True] * x.shape[1]]
    return np.where(gone, np.nan, x)


def by_row(x, weights, point, tril, errors=None, allowed=None, background=None):
    """Log density, memberships and completed statistics, a row at a time."""
    k, d = point.means.shape
    classes = len(point.log_weights)
    density, shares = np.empty(len(x)), np.empty((len(x), classes))
    counts, sums, scatters = np.zeros(classes), np.zeros((k, d)), np.zeros((k, d, d))
    for n, row in enumerate(x):
        seen = ~np.isnan(row)
        logs = point.log_weights.copy()
        filled, rest = point.means.copy(), tril @ np.swapaxes(tril, 1, 2)
        for j, covariance in enumerate(rest.copy()):
            if seen.any():
                own = covariance[np.ix_(seen, seen)]
                if errors is not None:
                    own = own + errors[n][np.ix_(seen, seen)]
                logs[j] += multivariate_normal(point.means[j, seen], own).logpdf(row[seen])
                slope = covariance[:, seen] @ np.linalg.inv(own)
                filled[j] += slope @ (row[seen] - point.means[j, seen])
                rest[j] -= slope @ covariance[seen]
        if background is not None:
            logs[k] += background[n]
        if allowed is not None:
            logs[~allowed[n]] = -np.inf
        density[n] = np.logaddexp.reduce(logs)
        shares[n] = np.exp(logs - density[n])
        r = weights[n] * shares[n]
        counts += r
        sums += r[:k, None] * filled
        scatters += r[:k, None, None] * (filled[:, :, None] * filled[:, None] + rest)
    return density, shares, counts, sums, scatters
