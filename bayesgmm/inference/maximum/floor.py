"""The least covariances: where maximum likelihood ends that would otherwise have no bound.

The likelihood of a mixture is unbounded, so maximum likelihood here is over
covariances C with C - F positive semidefinite, F diagonal: the variance that
recording to a resolution leaves in a feature, or ``FLOOR`` where that is less.
(Hathaway 1985 bounds ratios of eigenvalues to the same end.)  Under that constraint
the M-step is the clipping of eigenvalues in the metric of F, an exact maximiser, so
that EM is monotone on the bound as well.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.triangular import cholesky
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.expectation.point import Point
from bayesgmm.model.structure import SCALES

#: Smallest variance on the standardised scale: a standard deviation of 1e-4.
FLOOR = 1e-8
#: A covariance is on its floor if it is within it by no more than this factor: where
#: eigenvalues are clipped, and where the steps of a posterior mode towards it are cut.
_CLIPPED, _CUT = 1.0001, 4.0


@njit(**COMPILED)
def above_floor(covariance, floor, square, factor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether ``covariance`` less the diagonal ``floor`` is positive definite."""
    for i in range(floor.size):
        for j in range(floor.size):
            square[i, j] = covariance[i, j]
        square[i, i] -= floor[i]
    return cholesky(square, factor)


def variance_floor(density: LogPosterior) -> NDArray[np.float64]:
    """Smallest variance of each feature (D,) of a component, on the standardised scale.

    Values recorded to r carry a variance of r^2 / 12 whatever they are of (Sheppard 1898).
    A posterior mode has it on top of its covariances, and is watched for what numbers can hold.
    """
    if density.prior.active:
        return np.full(len(density.scale), FLOOR)
    recorded = density.observations.recorded_variance(density.spec.covariance)
    return np.maximum(recorded, FLOOR)


def raise_to_floor(point: Point, outside: NDArray[np.float64], floor: NDArray[np.float64]) -> None:
    """Give a point the covariances left ``outside``, within their bounds."""
    for g, covariance in enumerate(outside):
        if not np.isnan(covariance[0, 0]):
            point.factors[g] = _raised(covariance, floor)
            covariance[:] = np.nan


def _raised(covariance: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cholesky factor of the matrix with its eigenvalues in the metric of ``floor`` at least 1."""
    root = np.sqrt(floor)
    values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
    raised = (vectors * np.maximum(values, 1.0)) @ vectors.T
    tril = np.empty_like(covariance)
    cholesky(0.5 * (raised + raised.T), tril)
    return tril * root[:, None]


def raised_to_floor(
    factors: NDArray[np.float64], structure: int, floor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The factors with every covariance within the bound, for a start that is not."""
    if structure & SCALES:
        return np.maximum(factors, np.sqrt(floor))
    return np.stack(
        [_raised(tril @ tril.T, floor) if _near(tril, floor, 1.0) else tril for tril in factors]
    )


def on_the_floor(
    factors: NDArray[np.float64], structure: int, floor: NDArray[np.float64], *, clipped: bool
) -> NDArray[np.bool_]:
    """Whether each component's covariance, or the one that all share, is at its bound.

    ``clipped`` says that eigenvalues are clipped there, as for maximum likelihood.
    """
    factor = _CLIPPED if clipped else _CUT
    if structure & SCALES:
        return np.asarray((factors[0] ** 2 < factor * floor).any(axis=-1))
    return np.array([_near(tril, floor, factor) for tril in factors])


def _near(tril: NDArray[np.float64], floor: NDArray[np.float64], factor: float) -> bool:
    square, out = np.empty_like(tril), np.empty_like(tril)
    return not above_floor(tril @ tril.T, factor * floor, square, out)
