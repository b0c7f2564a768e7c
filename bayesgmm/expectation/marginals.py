"""The mixture of what was seen of rows, and their statistics completed by what was not.

A row is x = y + e: y has a component's covariance T, and e, of a covariance E that is known, is
the error of its measurement.  Of some columns, o, the rows have the mixture of
N(mu_o, T_oo + E_oo): the same kernel, on smaller matrices.  Its statistics are those of x_o, and
are completed to those of y by conditional expectations, by component and not by row.  With

    B = T_:o (T_oo + E_oo)^-1,   b = mu - B mu_o,   C = T - B T_o:

    s1 = B s1_o + n b,   s2 = B s2_oo B' + B s1_o b' + b s1_o' B' + n b b' + n C

so that EM, gradients and whatever rests on the statistics need not know (Little and Rubin 2019,
Statistical analysis with missing data, chapter 11; Ghahramani and Jordan 1994 for holes, and Bovy,
Hogg and Roweis 2011, Annals of Applied Statistics 5, for errors).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.triangular import cholesky, invert_triangular, marginal_factor
from bayesgmm.model.structure import SCALES, SHARED

Array = NDArray[np.float64]


class Whole(NamedTuple):
    """The mixture of y, of which rows are views: a form taken back to means and factors."""

    means: Array  # (K, D)
    tril: Array  # (G, D, D) factors of T, or (1, K, D) scales
    log_constant: Array  # (M,) log weights, less D log(2 pi) / 2 and log determinants
    log_volume: Array  # (K,) log determinants of the factors
    structure: int  # that of views: of matrices where errors are correlated


class Conditional(NamedTuple):
    """B (G, D, O) and C (G, D, D) of a view of a mixture of matrices."""

    regression: Array
    rest: Array


@njit(**COMPILED)
def whole_of(form, correlated):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The mixture of a form; of matrices whatever its structure, if errors are ``correlated``."""
    k, d = form.shift.shape
    scales = form.structure & SCALES != 0
    structure = 0 if scales and correlated else form.structure
    if structure & SCALES:
        tril = np.empty((1, k, d))
    else:
        tril = np.zeros((1 if structure & SHARED else k, d, d))
    means, log_volume = np.empty((k, d)), np.empty(k)
    if scales:
        for j in range(k):
            log_volume[j] = 0.0
            for i in range(d):
                scale = 1.0 / form.whiten[j, i]
                means[j, i] = form.shift[j, i] * scale
                log_volume[j] += np.log(scale)
                if structure & SCALES:
                    tril[0, j, i] = scale
                else:
                    tril[j, i, i] = scale
        return Whole(means, tril, form.log_constant, log_volume, structure)
    for g in range(tril.shape[0]):
        invert_triangular(form.whiten[g * d : (g + 1) * d], tril[g])
    for j in range(k):
        g = 0 if structure & SHARED else j
        log_volume[j] = 0.0
        for i in range(d):
            log_volume[j] += np.log(tril[g, i, i])
            means[j, i] = 0.0
            for m in range(i + 1):
                means[j, i] += tril[g, i, m] * form.shift[j, m]
    return Whole(means, tril, form.log_constant, log_volume, structure)


@njit(**COMPILED)
def _variance(error, i):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """That of the error of column ``i``: of no errors, variances (1, D) or covariances (D, D)."""
    if error.shape[0] == 0:
        return 0.0
    return error[0, i] if error.shape[0] == 1 else error[i, i]


@njit(**COMPILED)
def marginal_form(whole, columns, error, out, conditional):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The form ``out`` of columns (O,) of rows with an error, and how the rest goes with them."""
    means, tril, shared = whole.means, whole.tril, whole.structure & SHARED != 0
    k, d = means.shape
    o = columns.size
    for j in range(out.log_constant.size):
        out.log_constant[j] = whole.log_constant[j]
        if j < k:
            out.log_constant[j] += whole.log_volume[j] + 0.9189385332046727 * (d - o)
    if whole.structure & SCALES:
        for j in range(k):
            for i in range(o):
                scale, variance = tril[0, j, columns[i]], _variance(error, columns[i])
                if variance > 0.0:
                    scale = np.sqrt(scale * scale + variance)
                out.whiten[j, i] = 1.0 / scale
                out.shift[j, i] = means[j, columns[i]] / scale
                out.log_constant[j] -= np.log(scale)
        return
    regression, rest = conditional.regression, conditional.rest
    total, block, factor = np.empty((d, d)), np.empty((o, o)), np.empty((o, o))
    half = np.empty((d, o))
    for g in range(tril.shape[0]):
        for a in range(d):
            for b in range(a + 1):
                t = 0.0
                for m in range(b + 1):
                    t += tril[g, a, m] * tril[g, b, m]
                total[a, b] = total[b, a] = t
        if error.shape[0] > 1:
            for a in range(o):
                for b in range(o):
                    block[a, b] = total[columns[a], columns[b]] + error[columns[a], columns[b]]
            cholesky(block, factor)
        else:
            marginal_factor(tril[g], columns, error.ravel(), factor)
        inverse = out.whiten[g * o : (g + 1) * o]
        invert_triangular(factor, inverse)
        for a in range(d):  # T_:o W'
            for b in range(o):
                half[a, b] = 0.0
                for m in range(b + 1):
                    half[a, b] += total[a, columns[m]] * inverse[b, m]
        for a in range(d):
            for b in range(o):
                regression[g, a, b] = 0.0
                for m in range(b, o):
                    regression[g, a, b] += half[a, m] * inverse[m, b]
            for b in range(d):
                rest[g, a, b] = total[a, b]
                for m in range(o):
                    rest[g, a, b] -= half[a, m] * half[b, m]
        if error.shape[0] == 0:  # what was seen is known, to the last digit
            for i in range(o):
                for b in range(o):
                    regression[g, columns[i], b] = 1.0 if b == i else 0.0
                for b in range(d):
                    rest[g, columns[i], b] = rest[g, b, columns[i]] = 0.0
    for j in range(k):
        g = 0 if shared else j
        for i in range(o):
            out.log_constant[j] += np.log(out.whiten[g * o + i, i])
            out.shift[j, i] = 0.0
            for m in range(i + 1):
                out.shift[j, i] += out.whiten[g * o + i, m] * means[j, columns[m]]


@njit(**COMPILED)
def complete(whole, columns, error, conditional, found, totals):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the statistics ``found`` of columns of rows with an error, completed, to ``totals``."""
    means, tril = whole.means, whole.tril
    k, d = means.shape
    o = columns.size
    for j in range(totals.counts.size):
        totals.counts[j] += found.counts[j]
    if whole.structure & SCALES:
        place = np.full(d, -1)
        for i in range(o):
            place[columns[i]] = i
        for j in range(k):
            n = found.counts[j]
            for i in range(d):
                mean, variance, share, s1, s2 = means[j, i], tril[0, j, i] ** 2, 0.0, 0.0, 0.0
                if place[i] >= 0:
                    share = variance / (variance + _variance(error, i))
                    s1, s2 = found.sums[j, place[i]], found.scatters[0, j, place[i]]
                away = (1.0 - share) * mean
                totals.sums[j, i] += share * s1 + n * away
                totals.scatters[0, j, i] += (
                    share * (share * s2 + 2.0 * away * s1)
                    + n * (away * away + (1.0 - share) * variance)
                )  # fmt: skip
        return
    regression, rest = conditional.regression, conditional.rest
    shared = whole.structure & SHARED != 0
    away, filled, half = np.empty(d), np.empty(d), np.empty((d, o))
    for g in range(tril.shape[0]):  # B s2_oo B'
        for a in range(d):
            for b in range(o):
                half[a, b] = 0.0
                for m in range(o):
                    half[a, b] += regression[g, a, m] * found.scatters[g, m, b]
        for a in range(d):
            for b in range(d):
                for m in range(o):
                    totals.scatters[g, a, b] += half[a, m] * regression[g, b, m]
    for j in range(k):
        g = 0 if shared else j
        n = found.counts[j]
        for a in range(d):
            away[a] = means[j, a]
            filled[a] = 0.0
            for m in range(o):
                away[a] -= regression[g, a, m] * means[j, columns[m]]
                filled[a] += regression[g, a, m] * found.sums[j, m]
        if error.shape[0] == 0:
            for i in range(o):
                away[columns[i]] = 0.0
        for a in range(d):
            totals.sums[j, a] += filled[a] + n * away[a]
            for b in range(d):
                totals.scatters[g, a, b] += (
                    filled[a] * away[b]
                    + away[a] * filled[b]
                    + n * (away[a] * away[b] + rest[g, a, b])
                )
