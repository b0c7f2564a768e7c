"""Where one more component would pay most: places for it, judged by the data.

A run of EM ends at a local maximum where one component does too little and another is
wanted elsewhere.  Random moves seldom hit the place.  Here the mixture without a
component is held as it is, and a new one is tried everywhere: many small candidates, each
improved by a few steps of EM that move it alone, ranked by the likelihood they add
(Verbeek, Vlassis and Kröse 2003, Efficient greedy learning of Gaussian mixture models,
Neural Computation 15).  The log density of the rows under the others is all that a
candidate needs to know of them, so one costs about as much as one component in a pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import thread_map
from bayesgmm.compiled.triangular import cholesky, invert_triangular
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.statistics import expected_statistics, row_log_density
from bayesgmm.inference.maximum.filled import filled
from bayesgmm.inference.maximum.m_step import m_step
from bayesgmm.inference.maximum.soundness import Bounds
from bayesgmm.model.structure import ROUND, SCALES, SHARED, Structure

Array = NDArray[np.float64]

_CENTRES = 60  # rows around which a candidate starts
_SIZES = (1, 2, 4)  # its neighbours, in multiples of 2 D + 2
_STEPS = 4  # of EM on a candidate
_SETTLE = 5  # of EM on what is left when a component goes
_MOST_ROWS = 2_000  # looked at


@njit(**COMPILED)
def _improve(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    x, row_weights, others, structure, floor, steps, weights, means, covariances, tril, gains
):
    """Improve each candidate by ``steps`` of EM that leave the others' log density as it is.

    ``weights`` (C,), ``means`` (C, D) and ``covariances`` (C, D, D) are updated, and where
    covariances are shared stay; their factors go to ``tril``, the gain in log-likelihood to
    ``gains``, which is -inf for a candidate that has too few rows for its covariance.
    """
    n, d = x.shape
    total = 0.0
    for i in range(n):
        total += row_weights[i]
    whiten, z, s1, s2 = np.empty((d, d)), np.empty(d), np.empty(d), np.empty((d, d))
    for c in range(weights.size):
        gains[c] = -np.inf
        for step in range(steps + 1):
            if not cholesky(covariances[c], tril[c]):
                break
            invert_triangular(tril[c], whiten)
            constant = np.log(weights[c]) - 0.9189385332046727 * d
            for i in range(d):
                constant -= np.log(tril[c, i, i])
            rest = np.log(1.0 - weights[c])
            count, gain = 0.0, 0.0
            for i in range(d):
                s1[i] = 0.0
                for j in range(d):
                    s2[i, j] = 0.0
            for row in range(n):
                q = constant
                for i in range(d):
                    t = 0.0
                    for j in range(i + 1):
                        t += whiten[i, j] * (x[row, j] - means[c, j])
                    q -= 0.5 * t * t
                p = rest + others[row]
                if step == steps:
                    high = max(p, q)
                    low = min(p, q)
                    gain += row_weights[row] * (high + np.log1p(np.exp(low - high)) - others[row])
                    continue
                if q - p < -30.0:
                    continue
                r = row_weights[row] / (1.0 + np.exp(p - q))
                count += r
                for i in range(d):
                    z[i] = x[row, i] - means[c, i]
                    s1[i] += r * z[i]
                    for j in range(i + 1):
                        s2[i, j] += r * z[i] * z[j]
            if step == steps:
                gains[c] = gain
                break
            if count < d + 1.5:
                break
            weights[c] = min(count / total, 0.9)
            pooled = 0.0
            for i in range(d):
                s1[i] /= count
                means[c, i] += s1[i]
                for j in range(i + 1):
                    s2[i, j] = s2[i, j] / count - s1[i] * s1[j]
                pooled += s2[i, i] / d
            if structure & SHARED:
                continue
            for i in range(d):
                for j in range(i + 1):
                    value = s2[i, j]
                    if structure & SCALES and i != j:
                        value = 0.0
                    if i == j:
                        # A candidate of few rows in a plane is given a little room off it.
                        value = (pooled if structure & ROUND else value) + floor[i]
                        value += 1e-4 * pooled
                    covariances[c, i, j] = covariances[c, j, i] = value


def insertions(
    bounds: Bounds, place: Point, best: int, rng: np.random.Generator, *, cores: int = 1
) -> Iterator[Point]:
    """Starts that take each component of ``place`` away in turn and insert one where it pays.

    Yields the ``best`` of distinct places for each; candidates are improved on ``cores`` threads.
    """
    density, rows = bounds.density, bounds.density.rows_in_memory
    k = len(place.means)
    structure = density.spec.structure
    part = np.arange(len(rows.values))
    if len(part) > _MOST_ROWS:
        part = rng.choice(len(part), _MOST_ROWS, replace=False)
    few = rows.part(part).unlabelled.unselected
    row_weights = np.ones(len(part))
    if len(few.row_weights):
        row_weights = few.row_weights / density.observations.typical_weight
    x = filled(few)
    tries = []
    for gone in range(k):
        rest = _without(bounds, place, gone)
        others = row_log_density(few, density.precision(rest))
        weights, candidates, covariances = _around_rows(x, rng)
        if structure.shared:
            total = structure.to_tril(density.of_recorded(rest.factors), len(rest.means))[0]
            covariances[:] = total @ total.T
        else:
            covariances[:] += np.diag(bounds.floor)
        tries.append((rest, others, weights, candidates, covariances))

    def improved(number: int) -> tuple[Array, Array]:
        _, others, weights, candidates, covariances = tries[number]
        tril, gains = np.empty_like(covariances), np.empty(len(weights))
        _improve(
            x,
            row_weights,
            others,
            structure.code,
            bounds.floor,
            _STEPS,
            weights,
            candidates,
            covariances,
            tril,
            gains,
        )
        return tril, gains

    found = thread_map(improved, range(k), cores)
    for (rest, _, weights, candidates, _), (tril, gains) in zip(tries, found, strict=True):
        for c in _distinct(gains, best):
            log_weights = rest.log_weights + np.log1p(-weights[c])
            yield Point(
                np.insert(log_weights, k - 1, np.log(weights[c])),  # before noise
                np.vstack([rest.means, candidates[c]]),
                _with(rest.factors, tril[c], structure),
            )


def _without(bounds: Bounds, place: Point, gone: int) -> Point:
    """The others, settled by a few steps of EM."""
    density = bounds.density
    keep = np.delete(np.arange(len(place.means)), gone)
    log_weights = np.delete(place.log_weights, gone)
    log_weights = log_weights - np.logaddexp.reduce(log_weights)
    factors = place.factors
    if not density.spec.structure.matrices:
        factors = np.ascontiguousarray(factors[:, keep])
    elif not density.spec.structure.shared:
        factors = factors[keep]
    likelihood = density.prior._replace(active=False)
    point, no_ridge = Point(log_weights, place.means[keep], factors), np.zeros(place.means.shape[1])
    rows = density.rows_in_memory.unlabelled
    for _ in range(_SETTLE):
        form = density.precision(point)
        statistics = expected_statistics(rows, form, cores=density.cores)
        point = m_step(statistics, form, likelihood, no_ridge, bounds.floor, point)
    return point


def _around_rows(x: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Candidates (C,), (C, D), (C, D, D) from rows and their neighbours."""
    n, d = x.shape
    centres = x[rng.choice(n, min(_CENTRES, n), replace=False)]
    order = np.argsort(((centres[:, None] - x[None]) ** 2).sum(axis=-1), axis=1, kind="stable")
    weights, means, covariances = [], [], []
    for size in sorted({min(times * (2 * d + 2), max(n // 2, 1)) for times in _SIZES}):
        near = x[order[:, :size]]
        middle = near.mean(axis=1)
        off = near - middle[:, None]
        weights.append(np.full(len(centres), size / (n + size)))
        means.append(middle)
        covariances.append(np.swapaxes(off, 1, 2) @ off / size + 1e-4 * np.eye(d))
    return np.concatenate(weights), np.concatenate(means), np.concatenate(covariances)


def _distinct(gains: Array, best: int) -> list[int]:
    """The candidates that add most, without those that ended in the same place."""
    chosen: list[int] = []
    for c in np.argsort(-gains, kind="stable"):
        if len(chosen) == best or not np.isfinite(gains[c]):
            break
        if all(abs(gains[c] - gains[other]) > 0.02 * (1 + abs(gains[c])) for other in chosen):
            chosen.append(int(c))
    return chosen


def _with(factors: Array, tril: Array, structure: Structure) -> Array:
    """The factors with those of one more component."""
    if not structure.matrices:
        own = factors[:, :1] if structure.shared else np.diagonal(tril)[None, None]
        return np.concatenate([factors, own], axis=1)
    return factors if structure.shared else np.concatenate([factors, tril[None]])
