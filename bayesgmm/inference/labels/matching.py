"""Labellings: which component of a draw is which.

A mixture's posterior is symmetric under relabelling, so before anything is
averaged by component the draws are brought to one labelling.  Every way of doing
so here is an assignment problem for each draw, solved as one and never by going
through K! permutations, and no array of draws x rows x K is held.

The default needs no pass over the rows: components are matched to those of a pivot
by the log-likelihood that rows of the pivot would lose.  In the same unit it is said
of each draw whether another labelling would have done nearly as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import one_blas_thread, thread_map
from bayesgmm.data.observations import Observations
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.statistics import row_memberships
from bayesgmm.mixture.parameters import MixtureParameters

Array = NDArray[np.float64]
Permutations = NDArray[np.int64]

#: Two labels are ambiguous if to exchange them costs less than this log-likelihood:
#: odds of less than 20 to 1 against the exchange.
AMBIGUOUS = float(np.log(20.0))
_BLOCK = 4_000_000  # doubles in the largest array held at once
_ROWS = 2_000  # rows that Stephens' algorithm looks at
_ITERATIONS = 50
_LARGEST = 1e90  # of what components can differ by
_FORBIDDEN = 1e100  # the cost of exchanging what must not be


def highest(parameters: MixtureParameters, lp: Array) -> MixtureParameters:
    """The draw of highest posterior density."""
    return parameters[np.unravel_index(np.argmax(lp), lp.shape)]


class Match(NamedTuple):
    """Draws matched to a pivot."""

    permutation: Permutations  # (..., K)
    ambiguous: NDArray[np.bool_]  # (...), whether two labels could be exchanged


def to_pivot(
    parameters: MixtureParameters,
    pivot: MixtureParameters,
    n_rows: float = 1.0,
    *,
    groups: NDArray[np.int64],
) -> Match:
    """Bring each mixture of a batch nearest to ``pivot``.

    Nearest in the log-likelihood that rows of the pivot are expected to lose if each
    component of the pivot is replaced by the one given its label: the large-sample form
    of equivalence-classes-representatives relabelling.  A match is ambiguous where to
    exchange two labels would cost ``n_rows`` rows less than log 20.  Only components of one
    group (K,) may be exchanged.

    References
    ----------
    Papastamoulis and Iliopoulos (2010), An artificial allocations based solution to
    the label switching problem, J. Computational and Graphical Statistics 19.
    """
    draws, batch = parameters.flat(), parameters.batch_shape
    found, gaps = [], []
    for costs in _losses(draws, pivot):
        costs = np.where(costs < _LARGEST, costs, _LARGEST)  # NaN as well
        costs[:, groups[:, None] != groups] = _FORBIDDEN
        found.append(_assigned(costs))
        gaps.append(_exchange(np.take_along_axis(costs, found[-1][:, None, :], axis=-1)))
    return Match(
        np.concatenate(found).reshape(*batch, -1),
        (n_rows * np.concatenate(gaps) < AMBIGUOUS).reshape(batch),
    )


def _assigned(costs: Array) -> Permutations:
    """The least costly assignment of each table (S, K, K) of labels by components."""
    from scipy.optimize import linear_sum_assignment

    return np.stack([linear_sum_assignment(table)[1] for table in costs])


def _exchange(costs: Array) -> Array:
    """What the cheapest exchange of two labels costs, in tables (S, K, K) put in order."""
    if costs.shape[-1] == 1:
        return np.full(len(costs), np.inf)
    own = np.diagonal(costs, axis1=-2, axis2=-1)
    gap = costs + np.swapaxes(costs, -1, -2) - own[:, :, None] - own[:, None, :]
    upper = np.triu_indices(costs.shape[-1], 1)
    return np.asarray(gap[:, upper[0], upper[1]].min(axis=-1))


def _losses(draws: MixtureParameters, pivot: MixtureParameters) -> Iterator[Array]:
    """Costs (S, K, K), pivot's component by draw's, a block of draws at a time."""
    pivot = pivot.flat()[0]
    k, d = pivot.means.shape
    step = max(1, _BLOCK // (k * k * d * d))
    for begin in range(0, len(draws.weights), step):
        block = draws[begin : begin + step]
        log_weights = np.log(np.maximum(block.weights, 1e-300))
        yield pivot.weights[:, None] * (_divergence(pivot, block) - log_weights[:, None, :])


def _divergence(pivot: MixtureParameters, draws: MixtureParameters) -> Array:
    """KL divergence (S, K, K) from component j of the pivot to component i of a draw."""
    d = pivot.n_features
    whiten = np.linalg.inv(draws.scale_tril)  # (S, K, D, D)
    relative = whiten[:, None] @ pivot.scale_tril[None, :, None]
    shift = draws.means[:, None] - pivot.means[None, :, None]
    white = (whiten[:, None] @ shift[..., None])[..., 0]
    log_ratio = (
        np.log(np.diagonal(draws.scale_tril, axis1=-2, axis2=-1)).sum(-1)[:, None]
        - (np.log(np.diagonal(pivot.scale_tril, axis1=-2, axis2=-1)).sum(-1)[None, :, None])
    )
    with np.errstate(over="ignore"):  # of scales that underflow
        squares = (relative**2).sum((-1, -2)) + (white**2).sum(-1)
    return np.asarray(0.5 * (squares - d) + log_ratio)


def by_order(
    parameters: MixtureParameters,
    by: str,
    feature: str | None,
    names: tuple[str, ...],
    groups: NDArray[np.int64],
) -> Permutations:
    """Components of a group in increasing order of weights, or means or scales of a feature."""
    values: Array = getattr(parameters, by)
    if by != "weights":
        values = values[..., 0 if feature is None else names.index(feature)]
    order = np.broadcast_to(np.arange(len(groups)), values.shape).copy()
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        order[..., own] = own[np.argsort(values[..., own], axis=-1, kind="stable")]
    return order


def by_ecr(
    parameters: MixtureParameters,
    pivot: MixtureParameters,
    data: Observations,
    groups: NDArray[np.int64],
    cores: int,
) -> Permutations:
    """The labels under which most rows are expected to be where the pivot puts them.

    References
    ----------
    Papastamoulis and Iliopoulos (2010), as in :func:`to_pivot`; allocations are
    replaced by their expectation.
    """
    rows, forms = parameters.with_rows(data)
    of_pivot, (form,) = pivot.with_rows(data)
    k, n = pivot.n_components, data.n_rows
    label = np.zeros((n, pivot.n_classes))
    label[np.arange(n), row_memberships(of_pivot, form).argmax(axis=-1)] = 1.0
    label = label[:, :k]  # noise is not relabelled

    def one(form: PrecisionForm) -> Array:
        return np.asarray(
            sum(
                -label[part].T @ row_memberships(chunk, form)[:, :k]
                for part, chunk in rows.numbered()
            )
        )

    with one_blas_thread():
        costs = np.stack(thread_map(one, forms, cores))
    costs[:, groups[:, None] != groups] = _FORBIDDEN
    return _assigned(costs).reshape(*parameters.batch_shape, -1)


def by_stephens(
    parameters: MixtureParameters,
    start: Permutations,
    data: Observations,
    groups: NDArray[np.int64],
    cores: int,
) -> Permutations:
    """The labels that bring memberships nearest to their own average.

    References
    ----------
    Stephens (2000), Dealing with label switching in mixture models, JRSS B 62.
    """
    if data.n_rows > _ROWS:
        data = data.part(np.linspace(0, data.n_rows - 1, _ROWS).astype(int))
    rows, forms = parameters.with_rows(data)
    n, k = data.n_rows, parameters.n_components
    apart = _FORBIDDEN * (groups[:, None] != groups)
    permutation = start.reshape(-1, k)
    shares = np.array_split(np.arange(len(forms)), cores)

    def one(part: NDArray[np.int64]) -> tuple[Array, Permutations]:
        total, chosen = np.zeros((n, k)), np.empty((len(part), k), dtype=np.int64)
        for i, s in enumerate(part):
            memberships = row_memberships(rows, forms[s])[:, :k]
            chosen[i] = permutation[s]
            if average is not None:
                chosen[i] = _assigned((apart - average.T @ memberships)[None])[0]
            total += memberships[:, chosen[i]]
        return total, chosen

    average: Array | None = None  # log of the average memberships
    with one_blas_thread():
        for _ in range(_ITERATIONS):
            parts = thread_map(one, shares, cores)
            found = np.concatenate([chosen for _, chosen in parts])
            total = np.sum([part for part, _ in parts], axis=0)
            if average is not None and np.array_equal(found, permutation):
                break
            permutation = found
            average = np.log(np.maximum(total / len(forms), 1e-300))
    return permutation.reshape(*parameters.batch_shape, k)
