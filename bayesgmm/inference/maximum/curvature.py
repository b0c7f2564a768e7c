"""The curvature at a maximum: coordinates in which the density there is close to round.

Samplers draw in them, and a climb over many rows takes few steps in those of a sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.density.coordinates import unconstrain_many
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FitError
from bayesgmm.expectation.point import Point
from bayesgmm.inference.maximum.lbfgs import CompleteDataScale

_STEP = 1e-4  # of a complete-data standard error, in central differences


def whitening(density: LogPosterior, point: Point) -> NDArray[np.float64]:
    """C (P, P) with C C' the inverse of the negative Hessian at a point.

    A flat or saddle direction, where a maximum is not one of a quadratic, is given the spread
    of ten complete-data standard errors: enough to move, not to leave.
    """
    theta = unconstrain_many(point, density.spec.structure, density.prior.frame)
    scale = CompleteDataScale.at(density, point)
    block = scale.matrix(density.size)
    # Central differences of the exact gradient, in coordinates where one unit is one
    # standard error of the complete data, so that one step suits all of them.
    off = _STEP * block.T
    _, slopes = density.values_and_grads(np.concatenate([theta + off, theta - off]))
    ahead, behind = slopes[: density.size], slopes[density.size :]
    hessian = np.stack([scale.pull(slope) for slope in behind - ahead]) / (2 * _STEP)
    if not np.all(np.isfinite(hessian)):
        raise FitError(
            "The posterior's curvature is not finite at its mode; give priors nearer to the data, "
            "or use fewer components."
        )
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    return block @ (vectors / np.sqrt(np.maximum(values, 0.01)))


def whitening_by_sample(
    part: LogPosterior, density: LogPosterior, point: Point
) -> NDArray[np.float64]:
    """The same of a density, by its ``part`` on a sample of the rows.

    Standard errors are those of the sample, divided by the root of how many times as many rows
    there are; from n rows they are known to a share of about the root of P / n.
    """
    shrunk = np.sqrt(part.rows.total_weight / density.rows.total_weight)
    return np.asarray(shrunk * whitening(part, point))
