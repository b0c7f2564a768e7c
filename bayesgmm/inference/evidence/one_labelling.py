"""The posterior on the region of one labelling.

The matching of components to a pivot cuts the space of theta into K! regions that
relabelling maps onto each other.  The posterior on one of them has all that there is to
know; its mass is 1 / K! of the whole, exactly, and relabelled draws are draws from it,
whether the chains have visited one labelling or all.
"""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import NDArray

from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.inference.labels.matching import highest, to_pivot
from bayesgmm.inference.sampling.modes import modes_from, search_for_modes, shares_of
from bayesgmm.methods import Run
from bayesgmm.result.fit import MixtureFit

Array = NDArray[np.float64]


class LabellingRegion:
    """The posterior on the region of one labelling, and its draws.

    Attributes
    ----------
    theta : array (chain, draw, P)
        The fit's draws, in the region.
    log_labellings : float
        log K! where all components are exchangeable, what the whole is more than the region.
    """

    def __init__(self, fit: MixtureFit, cores: int) -> None:
        density = LogPosterior(fit.spec, fit.observations, cores=cores)
        self.cores = cores
        lp = fit.statistics["lp"].values
        draws = fit.parameters
        self.pivot = highest(draws, lp)
        self.density = density.framed(self.pivot)
        draws = draws.permute(to_pivot(draws, self.pivot, groups=density.groups).permutation)
        self.theta = self.density.unconstrain(draws)  # (chain, draw, P)
        self.log_labellings = sum(lgamma(n + 1) for n in np.bincount(density.groups).tolist())

    def modes(self, seed: int) -> tuple[Array, Array, Array]:
        """Shares, places (M, P) and Cholesky factors (M, P, P) of the modes, in the region."""
        run = Run(np.random.SeedSequence(seed), cores=self.cores)
        runs = search_for_modes(self.density.spec, self.density.observations, run)
        found = modes_from(self.density, runs)
        order = to_pivot(
            self.density.constrain(np.stack([mode.theta for mode in found])),
            self.pivot,
            groups=self.density.groups,
        ).permutation
        moved = [
            mode.relabelled(self.density, permutation)
            for mode, permutation in zip(found, order, strict=True)
        ]
        return (
            shares_of(found),
            np.stack([mode.theta for mode in moved]),
            np.linalg.cholesky(
                np.stack([mode.whitening_matrix @ mode.whitening_matrix.T for mode in moved])
            ),
        )

    def log_density(self, theta: Array) -> Array:
        """Log posterior density (n,) of theta (n, P), without its constant; -inf outside."""
        values = self.density.values(theta)
        inside = np.isfinite(values)  # far out, where theta is no mixture in doubles, it is not
        if inside.any():
            order = to_pivot(
                self.density.constrain(theta[inside]), self.pivot, groups=self.density.groups
            ).permutation
            inside[inside] = (order == np.arange(self.density.spec.n_components)).all(axis=-1)
        return np.where(inside, values, -np.inf)
