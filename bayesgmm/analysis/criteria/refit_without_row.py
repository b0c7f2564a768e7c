"""The density of a row under the posterior of the others, by a fit without it.

Importance sampling from the posterior of all rows fails for a row that shaped it.  With
a second set of draws, from the posterior without the row, its density given the others
is a ratio of two normalising constants,

    p(y_i | y_-i) = p(y) / p(y_-i)

and each posterior has draws.  Averaging the row's density over the second set alone is
correct and useless for an outlier, whose density hangs on a few draws; bridge sampling
between the two sets (the ratio of their densities is the row's likelihood) is better by
far, and where they hardly overlap each constant is estimated by itself.

The priors stay where they were.  They are in units of the data's spread, and a fit
that is simply given the other rows would have other priors, which for an outlier are
much narrower: another model.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.data.scaling import Scaling
from bayesgmm.errors import FitError
from bayesgmm.inference.bridge import bridge_ratio
from bayesgmm.inference.evidence.log_evidence import estimated
from bayesgmm.inference.evidence.opinions import Evidence
from bayesgmm.inference.fitting import fitted
from bayesgmm.methods import NUTS
from bayesgmm.options import generator
from bayesgmm.result.fit import MixtureFit

#: Standard error up to which an estimate is taken; differences of elpd that matter are
#: of several units.
PRECISE = 0.1


class LogDensity(NamedTuple):
    """An estimate of log p(y_i | y_-i), in the data's units."""

    value: float
    se: float  # Monte Carlo standard error


class RowsLeftOut:
    """Leaves rows out of a posterior fit, one at a time and each by a fit of its own."""

    def __init__(self, fit: MixtureFit, *, seed: Any, cores: int | None) -> None:
        self.fit = fit
        self.cores = cores
        self.rng = generator(seed)
        priors, observations = fit.spec.priors, fit.observations
        d = observations.n_features
        self.scaling = Scaling(np.zeros(d), np.ones(d))
        if priors.units == "standardised":
            self.scaling = observations.scaling(fit.spec.covariance)
        # On this scale the priors' numbers hold as they are, whichever rows are given.
        box = observations.noise_box() if fit.spec.noise else None  # the same whoever is left out
        self.rows = _scaled(observations, self.scaling, box)
        self.spec = fit.spec.replace(priors=replace(priors, units="data"))

    @cached_property
    def log_evidence(self) -> Evidence:
        """Of all rows; computed once, and only if it is needed."""
        return self._log_evidence(self.fit)

    def log_density(self, row: int, on_draws: NDArray[np.float64]) -> LogDensity:
        """log p(y_row | the others), one observation of that row left out.

        ``on_draws`` (chain, draw) is its log-likelihood at the draws of the fit.

        Raises
        ------
        FitError or DataError
            If the other rows cannot be fitted, or the estimate is not precise.
        """
        others = self._without(row)
        found = fitted(self.spec, others, NUTS(), seed=self._seed(), cores=self.cores)
        if self.fit.status.but_for_labels and found.status.but_for_labels:
            direct = self._between(on_draws, found, row)
            if direct.se <= PRECISE:
                return direct
        rest = self._log_evidence(found)
        constant = rest.value - self.scaling.log_jacobian(others.seen_weight)
        estimate = LogDensity(
            self.log_evidence.value - constant, float(np.hypot(self.log_evidence.se, rest.se))
        )
        if not estimate.se <= PRECISE:
            raise FitError(f"its refit leaves it uncertain by {estimate.se:.2g}, so draw more.")
        return estimate

    def _between(self, on_draws: NDArray[np.float64], found: MixtureFit, row: int) -> LogDensity:
        """Bridge sampling between the two posteriors (Meng and Wong 1996)."""
        from arviz_stats.base import array_stats

        one = self.rows.part([row])
        seen = (~np.isnan(one.matrix[0])).astype(float)  # once, whatever the row's weight
        unit = self.scaling.log_jacobian(seen)
        on_others = found.parameters.log_density(one)[..., 0] - unit
        ess = float(array_stats.ess(on_others, chain_axis=0, draw_axis=1, method="mean"))
        step = max(1, ceil(on_others.size / max(ess, 1.0)))  # the error takes them as independent
        try:
            return LogDensity(*bridge_ratio(on_draws, on_others.ravel()[::step]))
        except FitError:  # no overlap at all
            return LogDensity(np.nan, np.inf)

    def _log_evidence(self, fit: MixtureFit) -> Evidence:
        return estimated(fit, seed=self._seed(), cores=self.cores)

    def _without(self, row: int) -> Observations:
        weights = self.fit.observations.row_weights
        if weights is not None and weights[row] > 1:
            fewer = weights - (np.arange(len(weights)) == row)
            return Observations(self.rows, row_weights=fewer)
        return self.rows.part(np.delete(np.arange(self.rows.n_rows), row))

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))


def _scaled(
    observations: Observations, scaling: Scaling, noise_box: NDArray[np.float64] | None
) -> Observations:
    """The same rows on another scale, with all that is known of them."""
    views = observations.views
    if noise_box is not None:
        views = replace(views, background=noise_box)
    return Observations(
        scaling.there(observations.matrix),
        row_weights=observations.row_weights,
        names=observations.names,
        resolution=observations.resolution / scaling.unit,
        missing=observations.missing,
        **vars(views.scaled(scaling, observations.matrix)),
    )
