"""The small triangular algebra that covariances need.

The compiled loops are plain on purpose: at these sizes they beat LAPACK calls, and they
compile in a moment.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.model.calls import COMPILED
from bayesgmm.model.structure import SCALES, Structure

#: Least variance of a component, in variances of recording, that numbers tell from none.
_LEAST = 1e-8


def without_recording(
    factors: NDArray[np.float64], recorded: NDArray[np.float64], structure: Structure
) -> NDArray[np.float64]:
    """Factors of Sigma = T - S of factors of T, with any leading batch shape.

    Where T leaves nothing for Sigma, in a direction, it is given the least that is told from
    nothing: the variance of recording has then all of T.
    """
    if not recorded.any():
        return factors
    least = _LEAST * recorded.max()
    if not structure.matrices:
        return np.sqrt(np.maximum(factors**2 - recorded, least))
    sigma = factors @ np.swapaxes(factors, -1, -2) - recorded * np.eye(len(recorded))
    try:
        return np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(sigma)
        raised = (vectors * np.maximum(values, least)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
        return np.linalg.cholesky(raised)


def scale_correlation(
    tril: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standard deviations (..., D) and Cholesky factors of correlations (..., D, D)."""
    scales = np.sqrt((tril**2).sum(axis=-1))
    return scales, tril / scales[..., None]


def correlation_factor(correlations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cholesky factors of correlation matrices (..., D, D), singular to rounding included.

    A factor that was kept as a correlation matrix has lost its smallest digits: one of a
    collapsed component may have no factor any more.  It is that of the matrix with the
    rounding's own size added to its diagonal.
    """
    try:
        return np.linalg.cholesky(correlations)
    except np.linalg.LinAlgError:
        pass
    d = correlations.shape[-1]
    out = np.empty_like(correlations)
    for at in np.ndindex(correlations.shape[:-2]):
        more = 0.0
        while True:
            try:
                out[at] = np.linalg.cholesky(correlations[at] + more * np.eye(d))
                break
            except np.linalg.LinAlgError:
                more = 2 * more or d * float(np.finfo(float).eps)
                if not more < 1e-6:
                    raise FitError(
                        "A correlation matrix of this fit is not positive definite, so the fit "
                        "was changed or damaged; make it again."
                    ) from None
    return out


@njit(**COMPILED)
def cholesky(a, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Lower Cholesky factor of ``a`` into ``out``; False if it is not positive definite."""
    d = a.shape[0]
    for i in range(d):
        for j in range(i + 1):
            t = a[i, j]
            for m in range(j):
                t -= out[i, m] * out[j, m]
            if i == j:
                if not t > 0.0:
                    return False
                out[i, i] = np.sqrt(t)
            else:
                out[i, j] = t / out[j, j]
        for j in range(i + 1, d):
            out[i, j] = 0.0
    return True


@njit(**COMPILED)
def invert_triangular(tril, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Inverse of the lower triangular ``tril`` into ``out``."""
    d = tril.shape[0]
    for j in range(d):
        for i in range(j):
            out[i, j] = 0.0
        out[j, j] = 1.0 / tril[j, j]
        for i in range(j + 1, d):
            t = 0.0
            for m in range(j, i):
                t -= tril[i, m] * out[m, j]
            out[i, j] = t / tril[i, i]


@njit(**COMPILED)
def is_recorded(recorded):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Whether recording adds a variance to any feature."""
    largest = 0.0
    for variance in recorded:
        largest = max(largest, variance)
    return largest > 0.0


@njit(**COMPILED)
def recorded_factor(tril, recorded, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Factor of L L' + S into ``out``, S the diagonal variances ``recorded`` (D,)."""
    d = recorded.size
    square, added = np.empty((d, d)), is_recorded(recorded)
    if added:
        for i in range(d):
            for j in range(i + 1):
                t = recorded[i] if i == j else 0.0
                for m in range(j + 1):
                    t += tril[i, m] * tril[j, m]
                square[i, j] = t
        added = cholesky(square, out)  # if not singular to rounding, which leaves it as it is
    if not added:
        for i in range(d):
            for j in range(d):
                out[i, j] = tril[i, j]


@njit(**COMPILED)
def recorded_factors(factors, structure, recorded, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Factors of T = Sigma + S into ``out``, S the diagonal variances ``recorded`` (D,)."""
    if not structure & SCALES:
        for g in range(factors.shape[0]):
            recorded_factor(factors[g], recorded, out[g])
        return
    for j in range(factors.shape[1]):
        for i in range(recorded.size):
            sigma = factors[0, j, i]
            added = recorded[i] > 0.0
            out[0, j, i] = np.sqrt(sigma * sigma + recorded[i]) if added else sigma


@njit(**COMPILED)
def scatter_about_means(counts, sums, scatters, means, g, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Scatter of covariance ``g`` about the means into ``out``; returns its rows' number.

    That is s2 - s1 mean' - mean s1' + n mean mean', of component ``g`` where each
    has its own matrix, summed over components where all share one.
    """
    k, d = means.shape
    shared = scatters.shape[0] == 1  # also where K = 1, and then it is the same thing
    for a in range(d):
        for b in range(d):
            out[a, b] = scatters[g, a, b]
    n = 0.0
    for j in range(k):
        if not shared and j != g:
            continue
        n += counts[j]
        for a in range(d):
            for b in range(d):
                out[a, b] += counts[j] * means[j, a] * means[j, b] - (
                    sums[j, a] * means[j, b] + means[j, a] * sums[j, b]
                )
    return n
