"""How well a number of the predictive distribution is known: its interval over draws.

The predictive distribution averages over the parameters, so its quantile, say, is one
number.  By each draw alone it is another, and their spread is how uncertain it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import DataError, SpecError
from bayesgmm.options import FUNCTION, PROBABILITY, shown
from bayesgmm.predictive.distribution import PREDICTIVE, PredictiveDistribution

Floats = NDArray[np.float64]


def credible_interval(
    predictive: PredictiveDistribution,
    statistic: Callable[[PredictiveDistribution], xr.DataArray],
    *,
    mass: float = 0.89,
) -> xr.Dataset:
    """A statistic of the distribution, with its interval over draws.

    Parameters
    ----------
    predictive : PredictiveDistribution
    statistic : callable
        From a distribution to an array whose shape does not depend on it, such as
        ``lambda d: d.quantile([0.1, 0.9])`` or ``lambda d: d.log_density(rows)``.
    mass : float, default 0.89
        Probability of the equal-tailed interval.

    Returns
    -------
    Dataset
        ``predictive``, the statistic of the whole; ``lower`` and ``upper``, its interval
        by each draw alone, draws weighed as the distribution weighs them.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.predictive.credible import credible_interval
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> found = credible_interval(fit.marginal("waiting"), lambda d: d.quantile(0.9))
    >>> found.to_array().values.round(0)
    array([86., 85., 87.])
    """
    predictive = PREDICTIVE("predictive", predictive)
    statistic, mass = FUNCTION("statistic", statistic), PROBABILITY("mass", mass)
    whole, p = statistic(predictive), predictive.parameters
    if not isinstance(whole, xr.DataArray):
        raise SpecError(f"statistic must give a DataArray, and gave {shown(whole)}.")
    each: list[Floats] = []
    for s in range(len(p.weights)):
        each.append(statistic(PredictiveDistribution.of(p[s], predictive.feature_names)).values)
        if each[s].shape != each[0].shape:
            raise DataError("The statistic has another shape for some draws; make it one for all.")
    tails = np.array([(1 - mass) / 2, (1 + mass) / 2])
    stacked = np.stack(each, axis=-1)
    bands = over_draws(stacked, predictive.mixture.draw_weights, tails)
    lower, upper = (whole.copy(data=bands[..., i]) for i in range(2))
    return xr.Dataset({"predictive": whole, "lower": lower, "upper": upper})


def over_draws(values: Floats, weights: Floats, tails: Floats) -> Floats:
    """Quantiles (..., 2) over draws of values (..., S), for weights (S,) of the draws."""
    if np.ptp(weights) < 1e-12:
        return np.moveaxis(np.quantile(values, tails, axis=-1), 0, -1)
    found = np.quantile(
        values,
        tails,
        axis=-1,
        weights=np.broadcast_to(weights, values.shape),
        method="inverted_cdf",
    )
    return np.asarray(np.moveaxis(found, 0, -1))
