"""Valleys between components, along the ridgeline that holds every mode of a pair.

A cluster that is not Gaussian takes several components, so components say little
about clusters; valleys of the density say more.  In D dimensions a valley between two
components could be looked for anywhere, but all critical points of a two-component
mixture lie on one curve, its ridgeline, so the search is one-dimensional whatever D is.

In coordinates that whiten the first component and diagonalise the second, with
variances l_i and distances d_i, the point at a = expit(t) of the curve is
x_i = d_i expit(t - log l_i): no matrix is left, and many pairs are searched at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import one_blas_thread, thread_map
from bayesgmm.mixture.parameters import MixtureParameters

Floats = NDArray[np.float64]

#: Places at which a ridgeline is searched, as shares of its half-length in t.
_GRID = np.linspace(-1.0, 1.0, 257)
_BLOCK = 512  # pairs at a time: an array over their grids is 1 MB, and stays in cache
_HALVINGS = 24  # a cell of the grid, about 0.1 wide, to 1e-8
_TINY = 1e-300  # in place of a weight of zero, which has no logarithm


class Normals(NamedTuple):
    """Weighted normals along the leading axes: weights (...), means (..., D), factors."""

    weights: Floats
    means: Floats
    tril: Floats

    def at(self, *index: NDArray[np.int64]) -> Normals:
        return Normals(self.weights[index], self.means[index], self.tril[index])


def ridgeline_ratios(parameters: MixtureParameters, *, cores: int = 1) -> Floats:
    """Ridgeline ratio of each pair of components: 1 where there is no valley.

    The ridgeline of two normals is the curve of

        x(a) = [(1 - a) S1^-1 + a S2^-1]^-1 [(1 - a) S1^-1 m1 + a S2^-1 m2],  0 <= a <= 1,

    on which all critical points of their mixture lie (Ray and Lindsay 2005): a critical
    point is where a is the second one's membership.  The ratio is the lowest density
    between the outermost modes over the density of the second highest mode, and 1 where
    there is one mode (Hennig 2010; his package fpc takes the lower of the outermost
    modes, which is another one only where a pair has three modes or more).

    Parameters
    ----------
    parameters : MixtureParameters
        Any batch shape (...).
    cores : int, default 1

    Returns
    -------
    array of shape (..., K, K)
        Symmetric, with ones on the diagonal.

    References
    ----------
    Ray and Lindsay (2005), The topography of multivariate normal mixtures, Annals of
    Statistics 33.

    Hennig (2010), Methods for merging Gaussian mixture components, Advances in Data
    Analysis and Classification 4.

    Examples
    --------
    >>> from bayesgmm import MixtureParameters
    >>> from bayesgmm.analysis.merging.ridgeline import ridgeline_ratios
    >>> mixture = MixtureParameters([0.4, 0.3, 0.3], [[0.0], [1.5], [6.0]], [[[1.0]]] * 3)
    >>> ridgeline_ratios(mixture).round(3)
    array([[1.   , 1.   , 0.026],
           [1.   , 1.   , 0.159],
           [0.026, 0.159, 1.   ]])
    """
    flat, k = parameters.flat(), parameters.n_components
    scores = np.exp(_scores(Normals(flat.weights, flat.means, flat.scale_tril), cores))
    ratios = scores + np.swapaxes(scores, -1, -2) + np.eye(k)
    return ratios.reshape(*parameters.batch_shape, k, k)


def ridgeline_trees(
    parameters: MixtureParameters, empty: NDArray[np.bool_], cores: int
) -> tuple[NDArray[np.int64], Floats]:
    """Merge every mixture of a batch (S, ...) to one cluster, all in step.

    The two clusters of largest ratio merge, the first pair where several have it.  A
    merged cluster is from then on one normal, with the weight, mean and covariance of
    its components' mixture, as in Hennig (2010) and his software.  ``empty`` (S, K)
    components are taken up first, each by the cluster with which it has the largest
    ratio, to which they add their weight and not their shape.

    Returns
    -------
    pairs : array of shape (S, K - 1, 2)
        First components of the two clusters that merge, the smaller first; the merged
        cluster goes by it.
    ratios : array of shape (S, K - 1)
    """
    flat, k = parameters.flat(), parameters.n_components
    parts = Normals(np.maximum(flat.weights, _TINY), flat.means.copy(), flat.scale_tril.copy())
    scores, hollow = _scores(parts, cores), empty.copy()
    every = np.arange(len(hollow))
    pairs = np.empty((len(every), k - 1, 2), dtype=np.int64)
    ratios = np.empty((len(every), k - 1))
    alive = np.ones_like(hollow)
    for step in range(k - 1):
        i, j = best_pairs(scores, hollow)
        pairs[:, step, 0], pairs[:, step, 1] = i, j
        ratios[:, step] = np.exp(scores[every, i, j])
        kept = np.where(hollow[every, i], j, i)  # whose shape stays where one is empty
        one_empty = hollow[every, i] | hollow[every, j]
        both = _joined(parts.at(every, i), parts.at(every, j))
        parts.weights[every, i] = both.weights
        parts.means[every, i] = np.where(one_empty[:, None], parts.means[every, kept], both.means)
        parts.tril[every, i] = np.where(
            one_empty[:, None, None], parts.tril[every, kept], both.tril
        )
        hollow[every, i] = hollow[every, j] = alive[every, j] = False
        scores[every, j, :] = scores[every, :, j] = -np.inf
        others = alive.copy()
        others[every, i] = False
        s, other = np.nonzero(others)
        low, high = np.minimum(i[s], other), np.maximum(i[s], other)
        scores[s, low, high] = _log_ratios(parts.at(s, low), parts.at(s, high), cores)
    return pairs, ratios


def best_pairs(
    scores: Floats, hollow: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pair i < j of highest score (S, K, K) in each table, the first where several are.

    Where a table has ``hollow`` (S, K) clusters left, only pairs of one of them and
    another cluster count: nothing is a cluster that holds no row.
    """
    mixed = hollow[:, :, None] ^ hollow[:, None, :]
    allowed = np.where(hollow.any(axis=1)[:, None, None], mixed, True)
    best = np.where(allowed, scores, -np.inf).reshape(len(scores), -1).argmax(axis=1)
    i, j = np.divmod(best, scores.shape[-1])
    return i, j


def _scores(parts: Normals, cores: int) -> Floats:
    """Log ratios (S, K, K) above the diagonal, and minus infinity elsewhere."""
    draws, k = parts.weights.shape
    out = np.full((draws, k, k), -np.inf)
    i, j = np.triu_indices(k, 1)
    s = np.repeat(np.arange(draws), len(i))
    i, j = np.tile(i, draws), np.tile(j, draws)
    out[s, i, j] = _log_ratios(parts.at(s, i), parts.at(s, j), cores)
    return out


def _joined(first: Normals, second: Normals) -> Normals:
    """One normal with the weight, mean and covariance of two together."""
    weight = first.weights + second.weights
    share = (second.weights / weight)[:, None]
    shift = second.means - first.means
    # Its covariance is R'R of these rows, which no rounding makes indefinite.
    rows = np.concatenate(
        [
            np.sqrt(1 - share)[..., None] * np.swapaxes(first.tril, -1, -2),
            np.sqrt(share)[..., None] * np.swapaxes(second.tril, -1, -2),
            (np.sqrt(share * (1 - share)) * shift)[:, None, :],
        ],
        axis=1,
    )
    upper = np.linalg.qr(rows, mode="r")
    return Normals(weight, first.means + share * shift, np.swapaxes(upper, -1, -2))


def _log_ratios(first: Normals, second: Normals, cores: int) -> Floats:
    """Log ridgeline ratio of P pairs."""
    n = len(first.weights)
    out = np.empty(n)

    def one(begin: int) -> None:
        part = np.arange(begin, min(begin + _BLOCK, n))
        out[part] = _Ridgelines(first.at(part), second.at(part)).log_ratios()

    with one_blas_thread():
        thread_map(one, range(0, n, _BLOCK), cores)
    return out


class _Ridgelines:
    """The ridgelines of P pairs, in coordinates that make both covariances diagonal."""

    def __init__(self, first: Normals, second: Normals) -> None:
        factor = np.linalg.solve(first.tril, second.tril)
        shift = np.linalg.solve(first.tril, (second.means - first.means)[..., None])
        turn, scale, _ = np.linalg.svd(factor)
        scale = np.maximum(scale, _TINY**0.5)
        self.log_variance = 2 * np.log(scale)  # (P, D)
        self.square = (np.swapaxes(turn, -1, -2) @ shift)[..., 0] ** 2
        self.log_first = np.log(np.maximum(first.weights, _TINY))
        self.log_second = np.log(np.maximum(second.weights, _TINY)) - np.log(scale).sum(axis=1)

    def log_densities(self, t: Floats, pair: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Both components' weighted log densities at a = expit(t), t (P', ...) of pairs (P').

        Up to a constant of the pair, which no ratio sees.
        """
        tail = (slice(None),) + (None,) * (t.ndim - 1)
        one, two = np.zeros_like(t), np.zeros_like(t)
        for i in range(self.square.shape[1]):  # a feature at a time: no P x grid x D array
            log_variance = self.log_variance[pair, i][tail]
            square = self.square[pair, i][tail]
            odds = np.exp(np.minimum(log_variance - t, 700.0))
            share = 1.0 / (1.0 + odds)  # of the way to the second mean
            one += square * share**2
            two += square * np.exp(-log_variance) * (odds * share) ** 2
        return self.log_first[pair][tail] - 0.5 * one, self.log_second[pair][tail] - 0.5 * two

    def uphill(self, t: Floats, pair: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the mixture's density rises with t: the second's membership exceeds a."""
        one, two = self.log_densities(t, pair)
        return two - one > t

    def log_ratios(self) -> Floats:
        """Lowest density between the outermost modes over that of the second highest mode."""
        every = np.arange(len(self.log_first))
        # Beyond this the curve has arrived at a mean, to far below its component's spread.
        reach = 12 + np.abs(self.log_variance).max(axis=1) + np.log1p(self.square.sum(axis=1))
        rises = self.uphill(reach[:, None] * _GRID, every)
        rises[:, 0], rises[:, -1] = True, False  # the ends are at the means
        pair, cell = np.nonzero(rises[:, 1:] != rises[:, :-1])
        is_mode = rises[pair, cell]  # modes and valleys take turns, modes first and last
        low, high = reach[pair] * _GRID[cell], reach[pair] * _GRID[cell + 1]
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            left = self.uphill(middle, pair) == is_mode
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        density = np.logaddexp(*self.log_densities(0.5 * (low + high), pair))

        order = np.arange(len(pair)) - np.searchsorted(pair, pair)  # 0 is the first mode
        modes = np.full((len(every), order.max() // 2 + 2), -np.inf)
        modes[pair[is_mode], order[is_mode] // 2] = density[is_mode]
        valley = np.full(len(every), np.inf)
        np.minimum.at(valley, pair[~is_mode], density[~is_mode])
        second = np.partition(modes, -2, axis=1)[:, -2]
        found = np.isfinite(valley)
        return np.where(found, np.minimum(valley - np.where(found, second, 0.0), 0.0), 0.0)
