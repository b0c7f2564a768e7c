"""What recording to a resolution adds to a covariance: T = Sigma + S, S diagonal, and back.

Values recorded to r carry a variance of r^2 / 12 (Sheppard 1898); docs/mathematics.md.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.triangular import marginal_factor
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
    if is_recorded(recorded):
        marginal_factor(tril, np.arange(recorded.size), recorded, out)
        return
    for i in range(recorded.size):
        for j in range(recorded.size):
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
