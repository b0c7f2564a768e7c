"""From the statistics of one pass over the data to the log prior and the slope of the posterior.

The gradient of the log-likelihood is the gradient of the expected complete-data
log-likelihood (Fisher's identity), so the statistics of one pass over the data
are all that it needs.  With A_k the scatter about mu_k and W_k the inverse of L_k:

    d / d mu_k    = W_k' W_k (s1_k - n_k mu_k)
    d / d L_k     = tril(W_k' W_k A_k W_k') - n_k diag(1 / diag L_k)
    d / d log w_k = n_k                       (before the simplex map)

Values recorded to a resolution have the covariance T = Sigma + S (docs/mathematics.md): the
pass works with the factors of T, W is their inverse, and with M = W A W' - n I

    d / d L_k     = tril(W' M W L_k)

of which the line above is the case S = 0.

The prior of scales and correlations in these coordinates, sigma_i the norm of
row i of L (from one):

    sum_i log p(sigma_i) + up log L_ii - down log sigma_i + constant

with up = D - 1 + 2 eta and down = D + 2 eta - 2 where the Jacobian of the map is
included (a density over theta), and up = down = 2 (eta - 1) where it is not (the
joint density of sigma and R, whose maximum is the MAP).  Correlations of uniform
marginals add their density to that of eta = 1, which is flat.  docs/mathematics.md
derives both.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bayesgmm.compiled.calls import COMPILED, MATRIX, VECTOR, by_address
from bayesgmm.compiled.triangular import invert_triangular
from bayesgmm.density.coordinates import in_frame, scale_coordinate
from bayesgmm.density.prior_terms import PRIOR_TERMS, scale_log_prior
from bayesgmm.density.recording import is_recorded
from bayesgmm.expectation.kernel import TOTALS
from bayesgmm.expectation.point import POINT
from bayesgmm.expectation.precision import PRECISION_FORM
from bayesgmm.expectation.statistics import scatter_about_means
from bayesgmm.model.structure import ROUND, SCALES, SHARED


@njit(**COMPILED)
def add_uniform_marginals(tril, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density of correlations with uniform marginals, its slope added to ``gradient``.

    That is |R|^-(D + 1) prod_i (R^-1)_ii^(-(D + 1) / 2), without its constant.
    """
    d = tril.shape[0]
    whiten = np.empty((d, d))
    invert_triangular(tril, whiten)
    power = d + 1.0
    value = 0.0
    for i in range(d):
        square, inverse = 0.0, 0.0
        for j in range(i + 1):
            square += tril[i, j] * tril[i, j]
        for m in range(i, d):
            inverse += whiten[m, i] * whiten[m, i]  # of Sigma^-1 at (i, i)
        log_scale = 0.5 * np.log(square)
        value -= power * (2.0 * (np.log(tril[i, i]) - log_scale))
        value -= power * (0.5 * np.log(inverse) + log_scale)
        gradient[i, i] -= 2.0 * power / tril[i, i]
        for j in range(i + 1):
            gradient[i, j] += power * tril[i, j] / square
        # d (Sigma^-1)_ii / d L = -2 p (W e_i)', p = Sigma^-1 e_i
        for a in range(d):
            p = 0.0
            for m in range(max(a, i), d):
                p += whiten[m, a] * whiten[m, i]
            for b in range(i, a + 1):  # below, W e_i is zero
                gradient[a, b] += power * p * whiten[b, i] / inverse
    return value


@njit(**COMPILED)
def tril_log_density(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    tril, whiten, scatter, n, prior, gradient
):
    """Expected log density of one Cholesky factor of Sigma plus its prior.

    ``scatter`` is about the mean, ``whiten`` the inverse of the factor of T.  Writes the
    slope in the entries of ``tril`` (not in the logarithm of its diagonal) and returns
    (likelihood part, prior part).
    """
    d = tril.shape[0]
    half = np.zeros((d, d))  # W A
    for i in range(d):
        for m in range(i + 1):
            for j in range(d):
                half[i, j] += whiten[i, m] * scatter[m, j]
    inner = np.zeros((d, d))  # W A W'
    value = 0.0
    for i in range(d):
        for j in range(d):
            for m in range(j + 1):
                inner[i, j] += half[i, m] * whiten[j, m]
        value += n * np.log(whiten[i, i]) - 0.5 * inner[i, i]
        inner[i, i] -= n
    if is_recorded(prior.recorded):
        for i in range(d):
            for j in range(d):
                t = 0.0  # of M W
                for m in range(j, d):
                    t += inner[i, m] * whiten[m, j]
                half[i, j] = t
        for i in range(d):
            for j in range(d):
                inner[i, j] = 0.0
                for m in range(j, d):
                    inner[i, j] += half[i, m] * tril[m, j]
    for i in range(d):
        for j in range(i + 1):
            t = 0.0
            for m in range(i, d):
                t += whiten[m, i] * inner[m, j]
            gradient[i, j] = t
    if not prior.active:
        return value, 0.0
    log_prior = 0.0
    eta = prior.eta
    for i in range(d):
        up = down = 2.0 * (eta - 1.0)
        if prior.jacobian:
            up, down = d - 1.0 + 2.0 * eta, d + 2.0 * eta - 2.0
        square = 0.0
        for j in range(i + 1):
            square += tril[i, j] * tril[i, j]
        v, slope = scale_log_prior(
            prior.family, prior.scale_a[i], prior.scale_b[i], np.sqrt(square)
        )
        log_prior += v + up * np.log(tril[i, i]) - 0.5 * down * np.log(square)
        for j in range(i + 1):
            gradient[i, j] += (slope - down) / square * tril[i, j]
        gradient[i, i] += up / tril[i, i]
    if prior.marginals:
        log_prior += add_uniform_marginals(tril, gradient)
    return value, log_prior


@njit(**COMPILED)
def log_prior_and_gradient(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    point, form, totals, basis, prior, gradient
):
    """Log prior at a point; the slope of prior and likelihood into ``gradient``."""
    log_weights, means, factors = point.log_weights, point.means, point.factors
    whiten, structure = form.whiten, form.structure
    counts, sums, scatters = totals.counts, totals.sums, totals.scatters
    k, d = means.shape
    classes = log_weights.size
    log_prior = prior.constant if prior.active else 0.0

    slope = np.empty(classes)
    total = 0.0
    for j in range(classes):
        slope[j] = counts[j]
        if prior.active:
            a = prior.weights[j] if prior.jacobian else prior.weights[j] - 1.0
            slope[j] += a
            log_prior += a * log_weights[j]
        total += slope[j]
    for m in range(classes - 1):
        gradient[m] = 0.0
        for j in range(classes):
            gradient[m] += basis[j, m] * (slope[j] - total * np.exp(log_weights[j]))

    p = classes - 1
    residual, white = np.empty(d), np.empty(d)
    for j in range(k):
        for i in range(d):
            residual[i] = sums[j, i] - counts[j] * means[j, i]
        if structure & SCALES:
            for i in range(d):
                gradient[p + i] = residual[i] * whiten[j, i] * whiten[j, i]
        else:
            g = 0 if structure & SHARED else j
            for i in range(d):
                white[i] = 0.0
                for m in range(i + 1):
                    white[i] += whiten[g * d + i, m] * residual[m]
            for i in range(d):
                gradient[p + i] = 0.0
                for m in range(i, d):
                    gradient[p + i] += whiten[g * d + m, i] * white[m]
        if prior.active:
            for i in range(d):
                t = (means[j, i] - prior.mean_location[i]) / prior.mean_scale[i]
                log_prior -= 0.5 * t * t
                gradient[p + i] -= t / prior.mean_scale[i]
        p += d

    if structure & SCALES:
        for m in range(p, gradient.size):
            gradient[m] = 0.0
        for j in range(k):
            for i in range(d):
                sigma, at = factors[0, j, i], p + scale_coordinate(structure, d, j, i)
                a = scatters[0, j, i] - means[j, i] * (2.0 * sums[j, i] - counts[j] * means[j, i])
                t = a * whiten[j, i] * whiten[j, i] - counts[j]
                gradient[at] += t * (sigma * whiten[j, i]) ** 2  # Sigma's share of T
                again = (structure & SHARED and j > 0) or (structure & ROUND and i > 0)
                if again or not prior.active:  # a scale of several has one prior
                    continue
                v, s = scale_log_prior(prior.family, prior.scale_a[i], prior.scale_b[i], sigma)
                log_prior += v
                gradient[at] += s
                if prior.jacobian:
                    log_prior += np.log(sigma)
                    gradient[at] += 1.0
        return log_prior

    scatter, slopes, own = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    for g in range(factors.shape[0]):
        n = scatter_about_means(counts, sums, scatters, means, g, scatter)
        v, prior_part = tril_log_density(
            factors[g], whiten[g * d : (g + 1) * d], scatter, n, prior, slopes
        )
        log_prior += prior_part
        in_frame(prior.frame, factors[g], own)
        for i in range(d):
            total = 0.0
            for j in range(i + 1):
                t = 0.0  # the slope in the entry of T
                for m in range(i, d):
                    t += prior.frame[m, i] * slopes[m, j]
                gradient[p + j] = t * own[i, i]
                total += t * own[i, j]
            p += i + 1
            gradient[p - 1] = total  # the diagonal scales its row
    return log_prior


log_prior_address, call_log_prior = by_address(
    log_prior_and_gradient, (POINT, PRECISION_FORM, TOTALS, MATRIX, PRIOR_TERMS, VECTOR)
)
