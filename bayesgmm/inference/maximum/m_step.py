"""The M-step: parameters that maximise the expected complete-data objective.

Maximum likelihood has it in closed form.  With priors the weights and the means
(given the covariances) still do; scales and correlations take a few scoring steps
on the D x D statistics, each accepted only if it raises the objective, so that
generalised EM stays monotone.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, CUBE, VECTOR, by_address
from bayesgmm.compiled.triangular import cholesky, invert_triangular
from bayesgmm.density.prior_terms import PRIOR_TERMS, PriorTerms, scale_log_prior
from bayesgmm.density.recording import recorded_factor
from bayesgmm.density.slopes import tril_log_density
from bayesgmm.expectation.kernel import TOTALS
from bayesgmm.expectation.point import POINT, Point
from bayesgmm.expectation.precision import PRECISION_FORM, PrecisionForm
from bayesgmm.expectation.statistics import SufficientStatistics, scatter_about_means
from bayesgmm.inference.maximum.floor import FLOOR, above_floor, raise_to_floor
from bayesgmm.model.structure import ROUND, SCALES, SHARED

#: Fewer expected rows than this, or of all where they weigh less than one, and a component
#: keeps its mean and covariance.
_EMPTY = 1e-8


@njit(**COMPILED)
def _mode_of_mean(n, s1, whiten, prior, mean, precision, factor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The mean that maximises likelihood and normal prior given the covariance."""
    d = mean.size
    for i in range(d):
        for j in range(d):
            t = 0.0
            for m in range(max(i, j), d):
                t += whiten[m, i] * whiten[m, j]
            precision[i, j] = t
    for i in range(d):
        p = 1.0 / (prior.mean_scale[i] * prior.mean_scale[i])
        t = p * prior.mean_location[i]
        for j in range(d):
            t += precision[i, j] * s1[j]
        mean[i] = t
    for i in range(d):
        for j in range(d):
            precision[i, j] *= n
        precision[i, i] += 1.0 / (prior.mean_scale[i] * prior.mean_scale[i])
    cholesky(precision, factor)
    for i in range(d):
        for m in range(i):
            mean[i] -= factor[i, m] * mean[m]
        mean[i] /= factor[i, i]
    for i in range(d - 1, -1, -1):
        for m in range(i + 1, d):
            mean[i] -= factor[m, i] * mean[m]
        mean[i] /= factor[i, i]


@njit(**COMPILED)
def _whiten(tril, prior, whiten):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Inverse of the factor of T of a factor of Sigma."""
    total = np.empty(tril.shape)
    recorded_factor(tril, prior.recorded, total)
    invert_triangular(total, whiten)


@njit(**COMPILED)
def _improve_factor(tril, scatter, n, prior):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Raise the objective of one Cholesky factor by scoring steps, in place.

    In the coordinates L exp(E), E lower triangular, the complete-data information
    is n off the diagonal and 2 n on it, whatever the covariance: dividing by it,
    with some room for the prior, makes a step that is nearly Newton's.
    """
    d = tril.shape[0]
    whiten, slopes = np.empty((d, d)), np.empty((d, d))
    trial, step = np.empty((d, d)), np.empty((d, d))
    _whiten(tril, prior, whiten)
    a, b = tril_log_density(tril, whiten, scatter, n, prior, slopes)
    value = a + b
    room = 2.0 + 2.0 * prior.eta
    for _ in range(4):
        largest = 0.0
        for i in range(d):
            for j in range(i + 1):
                t = 0.0
                for m in range(i, d):
                    t += tril[m, i] * slopes[m, j]
                step[i, j] = t / ((2.0 * n if i == j else n) + room)
                largest = max(largest, abs(step[i, j]))
        if largest < 1e-12:
            return
        length = min(1.0, 1.0 / largest)
        accepted = False
        for _ in range(25):
            for i in range(d):
                for j in range(i + 1):
                    t = tril[i, j] * np.exp(length * step[j, j])
                    for m in range(j + 1, i + 1):
                        t += tril[i, m] * length * step[m, j]
                    trial[i, j] = t
                for j in range(i + 1, d):
                    trial[i, j] = 0.0
            smallest = trial[0, 0]
            for i in range(1, d):
                smallest = min(smallest, trial[i, i])
            if smallest * smallest < FLOOR:  # where the scatter has no digits left
                length *= 0.5
                continue
            _whiten(trial, prior, whiten)
            a, b = tril_log_density(trial, whiten, scatter, n, prior, slopes)
            if a + b >= value:
                accepted = True
                break
            length *= 0.5
        if not accepted:
            return
        for i in range(d):
            for j in range(i + 1):
                tril[i, j] = trial[i, j]
        value = a + b


@njit(**COMPILED)
def _improve_scale(sigma, scatter, n, family, a, b, recorded):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The scale s that maximises -n/2 log t - scatter / (2 t) + log prior(s), by scoring.

    ``t`` is s^2 and the variance of recording, the prior of a family with entries ``a``, ``b``.
    """
    v, slope = scale_log_prior(family, a, b, sigma)
    total = sigma * sigma + recorded
    value = v - 0.5 * n * np.log(total) - 0.5 * scatter / total
    for _ in range(20):
        q, share = scatter / total, sigma * sigma / total
        step = ((q - n) * share + slope) / ((n + q) * share + 2.0)
        if abs(step) < 1e-13:
            break
        step = max(-1.0, min(1.0, step))
        accepted = False
        for _ in range(25):
            trial = max(sigma * np.exp(step), np.sqrt(FLOOR))
            v, s = scale_log_prior(family, a, b, trial)
            total = trial * trial + recorded
            u = v - 0.5 * n * np.log(total) - 0.5 * scatter / total
            if u >= value:
                accepted = True
                break
            step *= 0.5
        if not accepted:
            break
        sigma, value, slope = trial, u, s
    return sigma


@njit(**COMPILED)
def _new_weights(counts, prior, log_weights):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = 0.0
    for j in range(counts.size):
        log_weights[j] = counts[j] + (prior.weights[j] - 1.0 if prior.active else 0.0)
        log_weights[j] = max(log_weights[j], 1e-300)
        total += log_weights[j]
    for j in range(counts.size):
        log_weights[j] = np.log(log_weights[j] / total)


@njit(**COMPILED)
def _m_step_of_scales(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    totals, form, prior, ridge, floor, point
):
    """Update a point with standard deviations, in place."""
    counts, sums, scatters = totals.counts, totals.sums, totals.scatters
    whiten, means, scales = form.whiten, point.means, point.factors[0]
    k, d = means.shape
    _new_weights(counts, prior, point.log_weights)
    empty = _EMPTY * min(1.0, counts.sum())
    for j in range(k):
        for i in range(d):
            if prior.active:
                p = 1.0 / (prior.mean_scale[i] * prior.mean_scale[i])
                q = whiten[j, i] * whiten[j, i]
                means[j, i] = (q * sums[j, i] + p * prior.mean_location[i]) / (q * counts[j] + p)
            elif counts[j] > empty:
                means[j, i] = sums[j, i] / counts[j]
    # One scale for each block of components and features.
    high = k if form.structure & SHARED else 1
    wide = d if form.structure & ROUND else 1
    for first in range(0, k, high):
        for of in range(0, d, wide):
            scatter = n = 0.0
            for j in range(first, first + high):
                n += wide * counts[j]
                for i in range(of, of + wide):
                    own = scatters[0, j, i]
                    scatter += own - means[j, i] * (2.0 * sums[j, i] - counts[j] * means[j, i])
            sigma = scales[first, of]
            if prior.active:
                sigma = _improve_scale(
                    sigma,
                    max(scatter, 0.0),
                    n,
                    prior.family,
                    prior.scale_a[of],
                    prior.scale_b[of],
                    prior.recorded[of],
                )
            elif n > empty:
                sigma = np.sqrt(max(scatter / n + ridge[of], floor[of]))
            for j in range(first, first + high):
                for i in range(of, of + wide):
                    scales[j, i] = sigma


@njit(**COMPILED)
def _m_step_of_matrices(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    totals, form, prior, ridge, floor, point, outside
):
    """Update a point with Cholesky factors, in place; a covariance out of bounds is left in
    ``outside``.  Returns whether there is one."""
    counts, sums, scatters, whiten = totals.counts, totals.sums, totals.scatters, form.whiten
    means, factors = point.means, point.factors
    k, d = means.shape
    _new_weights(counts, prior, point.log_weights)
    square, factor, scatter = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    any_outside, empty = False, _EMPTY * min(1.0, counts.sum())
    for j in range(k):
        n, g = counts[j], min(j, factors.shape[0] - 1)
        if prior.active:
            _mode_of_mean(n, sums[j], whiten[g * d : (g + 1) * d], prior, means[j], square, factor)
        elif n > empty:
            for i in range(d):
                means[j, i] = sums[j, i] / n
    for g in range(factors.shape[0]):
        n = scatter_about_means(counts, sums, scatters, means, g, scatter)
        if prior.active:
            _improve_factor(factors[g], scatter, n, prior)
        elif n > empty:
            for i in range(d):
                for j in range(d):
                    scatter[i, j] /= n
                scatter[i, i] += ridge[i]
            if above_floor(scatter, floor, square, factor):
                cholesky(scatter, factors[g])
                continue
            any_outside = True
            for i in range(d):
                for j in range(d):
                    outside[g, i, j] = scatter[i, j]
    return any_outside


@njit(**COMPILED)
def update(totals, form, prior, ridge, floor, point, outside):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The M-step in place, but for covariances left in ``outside``: 1.0 if there are any.

    Entries of ``outside`` are NaN for the others.
    """
    if form.structure & SCALES:
        _m_step_of_scales(totals, form, prior, ridge, floor, point)
        return 0.0
    any_outside = _m_step_of_matrices(totals, form, prior, ridge, floor, point, outside)
    return 1.0 if any_outside else 0.0


update_address, call_update = by_address(
    update, (TOTALS, PRECISION_FORM, PRIOR_TERMS, VECTOR, VECTOR, POINT, CUBE)
)


def m_step(
    statistics: SufficientStatistics,
    form: PrecisionForm,
    prior: PriorTerms,
    ridge: NDArray[np.float64],
    floor: NDArray[np.float64],
    point: Point,
) -> Point:
    """The next point, from the statistics at this one.

    ``ridge`` (D,) is added to the variances of maximum likelihood, ``floor`` (D,) bounds them.
    """
    point = point.copy()
    outside = np.full(point.factors.shape, np.nan)
    if update(statistics.totals, form, prior, ridge, floor, point, outside):
        raise_to_floor(point, outside, floor)
    return point
