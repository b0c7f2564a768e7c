"""The evidence by importance sampling: a second opinion on bridge sampling.

It uses the draws only to place its proposals, and puts some at the posterior's modes,
so that a mode that the chains have missed is not missed by both.
"""

from __future__ import annotations

from math import lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.inference.laplace import smoothed_weights
from bayesgmm.inference.normals import fitted_normals
from bayesgmm.inference.one_labelling import Region
from bayesgmm.inference.opinions import Estimate

Array = NDArray[np.float64]

#: Degrees of freedom of the proposal: tails heavier than a posterior's.
_DEGREES = 6.0
#: Share of the proposals at the posterior's modes.
_SHARE_OF_MODES = 0.2


def importance(region: Region, rng: np.random.Generator) -> Estimate:
    """Log evidence from Student t's about the draws' normals and at the modes."""
    flat = region.theta.reshape(-1, region.theta.shape[-1])
    fitted = fitted_normals(flat, int(rng.integers(2**31)))
    weights, means, tril = region.modes(int(rng.integers(2**31)))
    proposal = _StudentMixture(
        np.concatenate([(1 - _SHARE_OF_MODES) * fitted.weights, _SHARE_OF_MODES * weights]),
        np.concatenate([fitted.means, means]),
        np.concatenate([fitted.scale_tril, tril]),
    )
    theta = proposal.simulate(max(4 * len(flat), 10_000), rng)
    log_weights = region.log_density(theta) - proposal.log_density(theta)
    largest = log_weights.max()
    if not np.isfinite(largest):
        raise FitError("No proposal falls where the posterior has mass; draw more.")
    ratio = np.exp(log_weights - largest)
    return Estimate(
        "importance sampling",
        float(largest + np.log(ratio.mean()) + region.log_labellings),
        float(ratio.std() / np.sqrt(len(ratio)) / ratio.mean()),
        smoothed_weights(np.maximum(log_weights, largest - 700))[1],
    )


class _StudentMixture(NamedTuple):
    """A mixture of multivariate Student t's, tails heavier than a posterior's."""

    weights: Array  # (M,)
    means: Array  # (M, P)
    scale_tril: Array  # (M, P, P)

    def simulate(self, n: int, rng: np.random.Generator) -> Array:
        """Draws (n, P)."""
        p = self.means.shape[1]
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, p)) / np.sqrt(rng.chisquare(_DEGREES, (n, 1)) / _DEGREES)
        for j, tril in enumerate(self.scale_tril):
            z[which == j] = self.means[j] + z[which == j] @ tril.T
        return z

    def log_density(self, theta: Array) -> Array:
        """Log density (n,) of theta (n, P)."""
        p = theta.shape[1]
        parts = []
        for weight, mean, tril in zip(self.weights, self.means, self.scale_tril, strict=True):
            white = np.linalg.solve(tril, (theta - mean).T)
            parts.append(
                np.log(weight) - np.log(np.diag(tril)).sum()
                - 0.5 * (_DEGREES + p) * np.log1p((white**2).sum(axis=0) / _DEGREES)
            )  # fmt: skip
        constant = lgamma(0.5 * (_DEGREES + p)) - lgamma(0.5 * _DEGREES) - 0.5 * p * np.log(
            _DEGREES * np.pi
        )
        return np.asarray(np.logaddexp.reduce(parts, axis=0) + constant)
