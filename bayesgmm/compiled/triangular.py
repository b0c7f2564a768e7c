"""The small triangular algebra that covariances need.

The compiled loops are plain on purpose: at these sizes they beat LAPACK calls, and they
compile in a moment.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.errors import FitError


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
def marginal_factor(tril, columns, variances, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lower factor of L L' + diag(variances), of some ``columns`` in order, into ``out``.

    ``variances`` (D,) or none.  By modified Gram-Schmidt on the rows of (L, diag(sd)), so that
    nothing is squared: a Cholesky factor of the sum would lose twice the digits (Bjorck 1967).
    """
    o, apart = columns.size, 2 if variances.size else 1  # each sd comes after its own column of L
    rows = np.zeros((o, apart * tril.shape[0]))
    for i in range(o):
        column = columns[i]
        for m in range(column + 1):
            rows[i, apart * m] = tril[column, m]
        if variances.size:
            rows[i, apart * column + 1] = np.sqrt(variances[column])
        for j in range(i):
            end, t = apart * (columns[j] + 1), 0.0
            for m in range(end):
                t += rows[j, m] * rows[i, m]
            for m in range(end):
                rows[i, m] -= t * rows[j, m]
            out[i, j], out[j, i] = t, 0.0
        end, square = apart * (column + 1), 0.0
        for m in range(end):
            square += rows[i, m] * rows[i, m]
        out[i, i] = np.sqrt(square)
        for m in range(end):
            rows[i, m] /= out[i, i]
