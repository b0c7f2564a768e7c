"""Starting points for EM.

Four kinds, because no one kind finds the best maximum everywhere: k-means, its
k-means++ seeds alone, cuts of a Ward tree (as mclust's hierarchical starts), and
random rows.
All are hard partitions of a sample of rows, turned into parameters with
covariances shrunk towards the pooled one, so that a small group does not start
collapsed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.triangular import cholesky
from bayesgmm.expectation.point import Point
from bayesgmm.model.spec import MixtureSpec

#: Rows on which starts are sought; more add cost, hardly quality.
SAMPLE = 20_000
_TREE_SAMPLE = 1_000
_K_MEANS_STEPS = 50
#: Share of noise at a start.
NOISE = 0.05


def starts(
    x: NDArray[np.float64],
    unit: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    spec: MixtureSpec,
    n_starts: int,
    rng: np.random.Generator,
    allowed: NDArray[np.bool_] | None = None,
) -> Iterator[Point]:
    """Yield ``n_starts`` starts from standardised rows ``x`` (N, D).

    ``allowed`` (N, M) says what each row may be of.  Distances between rows are taken on the
    standardised scale and, every other time, in the data's units, where they may mean more
    (principal components).
    """
    k = spec.n_components
    if weights is not None and (weights > 0).sum() >= k:  # the others may be anywhere
        counted = weights > 0
        x, weights = x[counted], weights[counted]
        allowed = None if allowed is None else allowed[counted]
    if k == 1:
        yield from_labels(x, np.zeros(len(x), dtype=int), weights, spec)
        return
    makers = (_k_means_labels, _tree_labels, _careful_labels, _random_labels)
    spaces = (x, x * unit)
    for i in range(n_starts):
        maker, space = makers[i % len(makers)], spaces[(i // len(makers)) % len(spaces)]
        labels = maker(space, k, rng)
        if allowed is not None:
            labels = _obeying(labels, space, allowed[:, :k])
        yield from_labels(x, labels, weights, spec)


def from_labels(
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    spec: MixtureSpec,
) -> Point:
    """Parameters of a hard partition."""
    k, d = spec.n_components, x.shape[1]
    share = np.zeros((len(x), k))
    share[np.arange(len(x)), labels] = 1.0 if weights is None else weights
    counts = share.sum(axis=0)
    means = share.T @ x / np.maximum(counts, 1e-300)[:, None]
    empty = counts <= 0
    means[empty] = x[:1]
    deviations = x - means[labels]
    size = share.sum(axis=1)
    pooled = (deviations * size[:, None]).T @ deviations / size.sum()
    pooled += 1e-3 * np.eye(d)  # rows that fit exactly still start with some spread
    structure = spec.structure
    pooled = structure.restricted(pooled)
    prior_rows = d + 2.0
    tril = np.empty((k, d, d))
    for j in range(k):
        mine = deviations[labels == j]
        weight = size[labels == j]
        own = (mine * weight[:, None]).T @ mine
        own = pooled * counts[j] if structure.shared else structure.restricted(own)
        cholesky((own + prior_rows * pooled) / (counts[j] + prior_rows), tril[j])
    proportions = (counts + 1.0) / (counts + 1.0).sum()
    if spec.noise:
        proportions = np.append((1 - NOISE) * proportions, NOISE)
    return Point(np.log(proportions), means, structure.to_factors(tril))


def _obeying(
    labels: NDArray[np.int64], x: NDArray[np.float64], allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The partition, its parts named as most rows allow, and no row where it may not be."""
    from scipy.optimize import linear_sum_assignment

    k = allowed.shape[1]
    # A row that may be of few says more of which part is which.
    said = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1)
    agreed = np.stack([said[labels == part].sum(axis=0) for part in range(k)])
    labels = linear_sum_assignment(-agreed)[1][labels]
    own = (allowed & ((labels[:, None] == np.arange(k)) | ~allowed.all(axis=1)[:, None])).T
    own[~own.any(axis=1)] = True  # in a sample there may be none
    means = (own @ x) / own.sum(axis=1, keepdims=True)
    distance = (means**2).sum(axis=1) - 2 * x @ means.T
    nearest = np.argmin(np.where(allowed, distance, np.inf), axis=1)
    wrong = ~allowed[np.arange(len(x)), labels]
    return np.where(wrong, nearest, labels)


def split_and_merge(
    places: list[Point], spec: MixtureSpec, n_moves: int, rng: np.random.Generator
) -> Iterator[Point]:
    """Yield starts that move one component of a converged run elsewhere.

    A component is taken away, and another is split in two along an axis of its
    covariance: the move by which EM leaves a local maximum that holds two
    components where one would do, and one where two are needed (Ueda, Nakano,
    Ghahramani and Hinton 2000, SMEM algorithm for mixture models).
    """
    for i in range(n_moves):
        place = places[i % len(places)]
        k, d = place.means.shape
        gone, split = rng.choice(k, 2, replace=False)
        tril = spec.structure.to_tril(place.factors, k).copy()
        axis = tril[split] @ rng.standard_normal(d)
        axis *= 0.8 / np.linalg.norm(np.linalg.solve(tril[split], axis))
        means, weights = place.means.copy(), np.exp(place.log_weights)
        means[gone], means[split] = means[split] + axis, means[split] - axis
        share = weights[split] * rng.uniform(0.3, 0.7)
        weights[gone], weights[split] = share, weights[split] - share
        if not spec.structure.shared:
            tril[gone] = tril[split] = 0.8 * tril[split]
        factors = spec.structure.to_factors(tril)
        yield Point(np.log(weights / weights.sum()), means, factors)


def _random_labels(x: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return _nearest(x, x[rng.choice(len(x), k, replace=False)])


def _careful_labels(x: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return _nearest(x, _seeds(x, k, rng))


def _k_means_labels(x: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    centres = _seeds(x, k, rng)
    labels = _nearest(x, centres)
    for _ in range(_K_MEANS_STEPS):
        share = np.equal.outer(np.arange(k), labels).astype(float)
        counts = share.sum(axis=1, keepdims=True)
        centres = np.where(counts > 0, share @ x / np.maximum(counts, 1), centres)
        before, labels = labels, _nearest(x, centres)
        if np.array_equal(before, labels):
            break
    return labels


def _seeds(x: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rows far from each other: each drawn by its squared distance from those before it, the
    best of a few (k-means++, Arthur and Vassilvitskii 2007).

    scikit-learn has it as well, and takes a second to import, a fifth of a first fit.
    """
    from scipy.spatial.distance import cdist

    chosen = [int(rng.integers(len(x)))]
    square = cdist(x[chosen], x, "sqeuclidean")[0]
    for _ in range(k - 1):
        up_to = np.cumsum(square)
        few = np.searchsorted(up_to, rng.random(2 + int(np.log(k))) * up_to[-1], side="right")
        few = np.minimum(few, len(x) - 1)
        squares = np.minimum(square, cdist(x[few], x, "sqeuclidean"))
        best = int(squares.sum(axis=1).argmin())
        chosen.append(int(few[best]))
        square = squares[best]
    return x[chosen]


def _tree_labels(x: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A cut of Ward's tree of a random part of the rows, the others by nearest mean."""
    from scipy.cluster.hierarchy import fcluster, linkage

    part = x
    size = min(_TREE_SAMPLE, max(4 * k, int(0.8 * len(x))))
    if size < len(x):
        part = x[rng.choice(len(x), size, replace=False)]
    cut = fcluster(linkage(part, method="ward"), k, criterion="maxclust") - 1
    means = np.stack([part[cut == j].mean(axis=0) for j in range(cut.max() + 1)])
    return _nearest(x, means)


def _nearest(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    # |x - c|^2 less |x|^2, one product, no N x K x D array
    return np.argmin((centres**2).sum(axis=1) - 2 * x @ centres.T, axis=1)
