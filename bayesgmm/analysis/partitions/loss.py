"""How far apart two partitions are: variation of information, Binder's loss, adjusted Rand.

All three are sums over the cells of a cross table, and the two losses have one form:
with n_i and m_j the sizes of the clusters, n_ij those of their intersections, and f(n)
either n log2 n or n^2,

    loss = [ sum_i f(n_i) + sum_j f(m_j) - 2 sum_ij f(n_ij) ] / scale

with scale N for variation of information, in bits as in Wade and Ghahramani (2018), and N^2 for
Binder's loss, which then is the share of ordered pairs of rows on which the partitions
disagree, 0 to 1.  Both are metrics.  Whatever works on the table of f has both losses.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import Labels
from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import thread_map
from bayesgmm.errors import DataError
from bayesgmm.options import Progress

Floats = NDArray[np.float64]
Loss = Literal["vi", "binder"]


# Two partitions ------------------------------------------------------------


class CrossTable(NamedTuple):
    """Sizes of the clusters of two partitions, and of the intersections that are not empty."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    both: NDArray[np.int64]

    @classmethod
    def of(cls, first: Any, second: Any) -> CrossTable:
        """From two arrays of labels of the same rows, of any type that sorts."""
        a, b = _labels(first), _labels(second)
        if len(a) != len(b) or not len(a):
            raise DataError(
                f"Partitions of {len(a)} and {len(b)} rows cannot be compared; give labels of the "
                "same rows, at least one."
            )
        both = np.unique(a.astype(np.int64) * (int(b.max()) + 1) + b, return_counts=True)[1]
        return cls(np.bincount(a), np.bincount(b), both)

    def loss(self, loss: Loss) -> float:
        """Either loss between the two."""
        n = int(self.first.sum())
        f, scale = loss_table(loss, n)
        total = f[self.first].sum() + f[self.second].sum() - 2 * f[self.both].sum()
        return max(float(total) / scale, 0.0)  # rounding can leave a negative zero


def _labels(labels: Any) -> NDArray[np.int64]:
    """Labels of any type that sorts as numbers from 0, (N,)."""
    try:
        return np.unique(np.asarray(labels).ravel(), return_inverse=True)[1]
    except (TypeError, ValueError):
        raise DataError(
            "A partition must be one label for each row, all of one type; number them first."
        ) from None


def variation_of_information(first: Any, second: Any) -> float:
    """Variation of information between two partitions, in bits: 0 where they are the same.

    Parameters
    ----------
    first, second : array of shape (N,)
        Labels of any type; only who is with whom matters.

    References
    ----------
    Meilă (2007), Comparing clusterings: an information based distance, J. Multivariate
    Analysis 98.

    Examples
    --------
    >>> from bayesgmm.analysis.partitions.loss import variation_of_information
    >>> variation_of_information([0, 0, 1, 1], ["a", "b", "a", "b"])
    2.0
    """
    return CrossTable.of(first, second).loss("vi")


def binder_loss(first: Any, second: Any) -> float:
    """Binder's loss with equal costs: the share of ordered pairs of rows, a row with itself
    included, that are together in one partition and apart in the other.

    Parameters
    ----------
    first, second : array of shape (N,)

    References
    ----------
    Binder (1978), Bayesian cluster analysis, Biometrika 65.

    Examples
    --------
    >>> from bayesgmm.analysis.partitions.loss import binder_loss
    >>> binder_loss([0, 0, 1, 1], [0, 0, 0, 0])
    0.5
    """
    return CrossTable.of(first, second).loss("binder")


# One partition and many draws ------------------------------------------------


def loss_table(loss: Loss, n: int) -> tuple[Floats, float]:
    """f(0), ..., f(n), and the scale of the loss."""
    size = np.arange(n + 1, dtype=float)
    if loss == "binder":
        return size * size, float(n) ** 2
    return size * np.log2(np.maximum(size, 1.0)), float(n)


def canonical(labels: Labels) -> tuple[Labels, NDArray[np.int64]]:
    """Each draw's clusters numbered by first appearance, and how many there are."""
    out = np.empty_like(labels)
    widths = np.empty(len(labels), dtype=np.int64)
    _number(labels, np.empty(int(labels.max()) + 1, dtype=np.int64), out, widths)
    return out, widths


@njit(**COMPILED)
def _number(labels, names, out, widths):  # type: ignore[no-untyped-def]  # pragma: no cover
    for s in range(labels.shape[0]):
        for k in range(names.size):
            names[k] = -1
        used = 0
        for n in range(labels.shape[1]):
            k = labels[s, n]
            if names[k] < 0:
                names[k] = used
                used += 1
            out[s, n] = names[k]
        widths[s] = used


def distances(candidate: Labels, draws: Labels, widths: NDArray[np.int64], loss: Loss) -> Floats:
    """Loss between a partition and each draw, all numbered from 0; shape (S,)."""
    f, scale = loss_table(loss, draws.shape[1])
    own = f[np.bincount(candidate)].sum()
    width = int(candidate.max()) + 1
    cross = np.empty(len(draws))
    cells = np.zeros(width * int(widths.max()), dtype=np.int32)
    _cross_sums(candidate, width, draws, widths, 0, f, cells, cross)
    return np.maximum((own + _own_sums(draws, f) - 2 * cross) / scale, 0.0)


def expected_losses(
    draws: Labels,
    widths: NDArray[np.int64],
    loss: Loss,
    cores: int,
    progress: Progress | None = None,
) -> Floats:
    """Mean loss of each draw to all of them, shape (S,); every pair is looked at once."""
    f, scale = loss_table(loss, draws.shape[1])
    cross = np.zeros((len(draws), len(draws)))
    done = 0

    def one(s: int) -> None:
        nonlocal done
        cells = np.zeros(int(widths[s] * widths.max()), dtype=np.int32)
        _cross_sums(draws[s], widths[s], draws, widths, s, f, cells, cross[s])
        done += 1
        if progress is not None and done % 100 == 0:
            progress("comparing draws", done, len(draws))

    thread_map(one, range(len(draws)), cores)
    own = np.diagonal(cross).copy()  # a partition's intersections with itself are its clusters
    both = cross.sum(axis=0) + cross.sum(axis=1) - own
    return np.maximum(own + own.mean() - 2 * both / len(draws), 0.0) / scale


def _own_sums(draws: Labels, f: Floats) -> Floats:
    return np.array([f[np.bincount(draw)].sum() for draw in draws])


@njit(**COMPILED)
def _cross_sums(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    candidate, width, draws, widths, first, f, cells, out
):
    """Sum of f over the cross table of a candidate and each draw from ``first`` on.

    ``cells`` is scratch, zero before and after.
    """
    rows = candidate.size
    for s in range(first, draws.shape[0]):
        stride = widths[s]
        total = 0.0
        if width * stride <= rows:
            for n in range(rows):
                cells[candidate[n] * stride + draws[s, n]] += 1
            for i in range(width * stride):
                total += f[cells[i]]
                cells[i] = 0
        else:  # more cells than rows: look only at those with a row
            for n in range(rows):
                cells[candidate[n] * stride + draws[s, n]] += 1
            for n in range(rows):
                i = candidate[n] * stride + draws[s, n]
                total += f[cells[i]]
                cells[i] = 0
        out[s] = total
