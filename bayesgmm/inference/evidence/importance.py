"""The evidence by importance sampling: a second opinion on bridge sampling.

It uses the draws only to place its proposals, and puts some at the posterior's modes,
so that a mode that the chains have missed is not missed by both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.inference.evidence.one_labelling import LabellingRegion
from bayesgmm.inference.evidence.opinions import Estimate
from bayesgmm.inference.sampling.laplace import smoothed_weights
from bayesgmm.inference.sampling.normals import fitted_normals
from bayesgmm.inference.sampling.student_mixture import StudentMixture

Array = NDArray[np.float64]

#: Degrees of freedom of the proposal: tails heavier than a posterior's.
_DEGREES = 6.0
#: Share of the proposals at the posterior's modes.
_SHARE_OF_MODES = 0.2


def by_importance(region: LabellingRegion, rng: np.random.Generator) -> Estimate:
    """Log evidence from Student t's about the draws' normals and at the modes."""
    flat = region.theta.reshape(-1, region.theta.shape[-1])
    fitted = fitted_normals(flat, int(rng.integers(2**31)))
    weights, means, tril = region.modes(int(rng.integers(2**31)))
    proposal = _students(fitted.weights, fitted.means, fitted.scale_tril).mixed(
        _students(weights, means, tril), _SHARE_OF_MODES
    )
    # Half of the proposals show where the other half should be; only that half is counted.
    for last in (False, True):
        theta = proposal.simulate(max(2 * len(flat), 5_000), rng)
        log_weights = region.log_density(theta) - proposal.log_density(theta)
        largest = log_weights.max()
        if not np.isfinite(largest):
            raise FitError("No proposal falls where the posterior has mass; draw more.")
        if not last:
            proposal = proposal.adapted(theta, np.exp(smoothed_weights(log_weights)[0]))
    ratio = np.exp(log_weights - largest)
    return Estimate(
        "importance sampling",
        float(largest + np.log(ratio.mean()) + region.log_labellings),
        float(ratio.std() / np.sqrt(len(ratio)) / ratio.mean()),
        smoothed_weights(log_weights)[1],
    )


def _students(weights: Array, means: Array, factors: Array) -> StudentMixture:
    return StudentMixture(weights, means, factors, np.full(len(weights), _DEGREES))
