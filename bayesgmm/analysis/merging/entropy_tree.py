"""Merging by the entropy of memberships: the tree of one table, and where to cut it.

Two components that share rows leave the memberships undecided, and joining them
takes that entropy away; joining two that are apart takes nothing away.  So the entropy
falls steeply while one cluster's parts are joined and hardly afterwards, and the elbow
between says how many clusters there are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.merging.ridgeline import best_pairs

Floats = NDArray[np.float64]

#: Memberships that lose fewer nats than this by a merge, for each merged row, were
#: certain before it: two unit normals of equal weight lose as many at distance 5.4.
CERTAIN = 0.01


def entropy_tree(
    shares: Floats, row_weights: Floats | None = None
) -> tuple[NDArray[np.int64], Floats, Floats, int]:
    """Merge columns of memberships (N, K) to one, the pair that lowers the entropy most first.

    Columns that are the largest of no row are taken up first, each by the one with which
    the entropy falls most (Baudry and others know no such columns).

    Parameters
    ----------
    shares : array of shape (N, K)
        Rows that sum to one.
    row_weights : array of shape (N,), optional
        How often each row counts.

    Returns
    -------
    pairs : array of shape (K - 1, 2)
        First columns of the two clusters that merge, the smaller first; the merged
        cluster goes by it.
    entropy : array of shape (K,)
        In nats, with K clusters, K - 1, ..., 1.
    rows : array of shape (K - 1,)
        Rows whose most probable cluster is the one just merged.
    n_empty : int
        How many of the merges, the first ones, took up a column without a row.

    References
    ----------
    Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for
    clustering, J. Computational and Graphical Statistics 19.
    """
    n, k = shares.shape
    weights = np.ones(n) if row_weights is None else row_weights
    columns = np.ascontiguousarray(shares.T)
    own = np.array([_negentropy(column, weights) for column in columns])
    hollow = empty_columns(shares, row_weights)
    n_empty = int(hollow.sum())
    drops = np.full((k, k), -np.inf)

    def renew(i: int, j: int) -> None:
        drops[i, j] = _negentropy(columns[i] + columns[j], weights) - own[i] - own[j]

    for i in range(k):
        for j in range(i + 1, k):
            renew(i, j)
    alive = np.ones(k, dtype=bool)
    pairs, rows = np.empty((k - 1, 2), dtype=np.int64), np.empty(k - 1)
    entropy = np.empty(k)
    entropy[0] = -own.sum()
    for step in range(k - 1):
        i, j = (int(index[0]) for index in best_pairs(drops[None], hollow[None]))
        pairs[step] = i, j
        columns[i] += columns[j]
        own[i], own[j] = _negentropy(columns[i], weights), 0.0
        columns[j] = -1.0  # never the largest
        alive[j] = hollow[i] = hollow[j] = False
        drops[j] = drops[:, j] = -np.inf
        for other in np.flatnonzero(alive):
            if other != i:
                renew(min(i, int(other)), max(i, int(other)))
        entropy[step + 1] = -own.sum()
        rows[step] = weights[columns.argmax(axis=0) == i].sum()
    # Sums of N terms round; an entropy is neither negative nor raised by a merge.
    return pairs, np.minimum.accumulate(np.maximum(entropy, 0.0)), rows, n_empty


def empty_columns(shares: Floats, row_weights: Floats | None = None) -> NDArray[np.bool_]:
    """Which columns of memberships (N, K) are the largest of no row that counts."""
    largest = shares.argmax(axis=1)
    if row_weights is not None:
        largest = largest[row_weights > 0]
    return ~np.isin(np.arange(shares.shape[1]), largest)


def _negentropy(share: Floats, weights: Floats) -> float:
    return float((share * np.log(np.maximum(share, 1e-300))) @ weights)


def chosen_merges(entropy: Floats, rows: Floats, n_empty: int, threshold: float | None) -> int:
    """How many merges of a tree to make, those of empty columns included.

    Parameters
    ----------
    entropy, rows, n_empty
        As :func:`entropy_tree` returns them.
    threshold : float or None
        Least drop of entropy for each merged row, up to the first merge that has less;
        None for the elbow.
    """
    if threshold is not None:
        drop, merged = -np.diff(entropy), rows
        enough = (np.arange(len(rows)) < n_empty) | (drop >= threshold * merged)
        return int(np.logical_and.accumulate(enough).sum())
    x = np.append(0.0, np.cumsum(rows))[n_empty:]
    y = entropy[n_empty:]
    at = elbow(x, y)
    if at == 0 or y[0] - y[at] < CERTAIN * (x[at] - x[0]):
        return n_empty
    return n_empty + at


def elbow(x: Floats, y: Floats) -> int:
    """Index of the inner point at which two straight lines, meeting there, fit best.

    The lines are fitted by least squares to the points up to and from that one, which
    belongs to both, as Baudry and others (2010) do and mclust with them.  Of equally
    good points it is the first; 0 where there are fewer than three points.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesgmm.analysis.merging.entropy_tree import elbow
    >>> elbow(np.arange(6.0), np.array([9.0, 6.0, 3.0, 0.2, 0.1, 0.0]))
    3
    """
    best, least, rounding = 0, np.inf, 1e-12 * float(y @ y)
    for at in range(1, len(x) - 1):
        misfit = _misfit(x[: at + 1], y[: at + 1]) + _misfit(x[at:], y[at:])
        if misfit < least - rounding:
            best, least = at, misfit
    return best


def _misfit(x: Floats, y: Floats) -> float:
    """Sum of squares about the least-squares line."""
    x, y = x - x.mean(), y - y.mean()
    spread = x @ x
    slope = (x @ y) / spread if spread > 0 else 0.0  # merges of no row are all at one x
    residual = y - slope * x
    return float(residual @ residual)
