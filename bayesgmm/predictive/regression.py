"""Regression by a mixture: one feature's distribution as a function of others.

Given x, a mixture's components are straight lines in y with weights that depend on x, so
their mixture is a curve that bends, with spread that varies and as many branches as the data
have.  Two uncertainties are kept apart: that of the curve, over draws, and that of a new
value about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.data.features import features_like
from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError, FitError
from bayesgmm.options import PROBABILITY
from bayesgmm.predictive.asked import positions
from bayesgmm.predictive.averaged import AveragedMixture
from bayesgmm.predictive.credible import over_draws
from bayesgmm.predictive.distribution import PREDICTIVE, PredictiveDistribution
from bayesgmm.predictive.univariate import UnivariateMixture

Floats = NDArray[np.float64]

#: Entries of rows x draws x components that are held at once.
_HELD = 4_000_000


def regress(
    predictive: PredictiveDistribution, y: str, at: Any, *, mass: float = 0.89
) -> xr.Dataset:
    """The distribution of one feature where others have given values.

    Parameters
    ----------
    predictive : PredictiveDistribution
    y : str
        The feature to be predicted.
    at : mapping, frame or array
        Rows of values of other features: ``{"waiting": [50, 60, 70]}``, where single numbers
        are repeated; or a frame, or an array of all features but y.  Features that
        are not among them are averaged over, and a frame's column y is passed over.
    mass : float, default 0.89
        Probability of both bands.

    Returns
    -------
    Dataset
        Over rows (obs):

        ``at`` (obs, given)
            The given values.
        ``mean``, ``sd``
            Of the predictive distribution of y.
        ``credible`` (obs, bound)
            Band of the conditional mean: how well the curve is known.  Equal-tailed over
            the draws, as they are weighed before the given values are seen, which are
            places at which to look and not rows that were observed.
        ``predictive`` (obs, bound)
            Band of a new value of y: equal-tailed, of the predictive distribution.
        ``mode``, ``mode_probability`` (obs, mode_number)
            Peaks of the predictive density in ascending order, and the probability between
            the valleys around each; NaN where a row has fewer than others.
        ``log_density``
            Of the given values: how far from the data the question is.
        ``effective_draws``
            How many draws carry the row's predictive distribution, which weighs them by
            how well they explain the given values.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> curve = fit.regress("eruptions", at={"waiting": [55, 67, 80]})
    >>> curve["mean"].values.round(1)
    array([2. , 3.3, 4.3])
    >>> curve["mode"].values.round()[1], curve["mode_probability"].values.round(1)[1]
    (array([2., 4.]), array([0.4, 0.6]))
    """
    predictive = PREDICTIVE("predictive", predictive)
    mass = PROBABILITY("mass", mass)
    if predictive.mixture.log_noise is not None:
        raise FitError(
            "regress is for components alone, and this fit has noise; use condition, which takes "
            "it into account."
        )
    positions([y], predictive.feature_names)
    rows = _given(predictive, y, at)
    if rows.has_holes:
        raise DataError(
            f"regress is given values, and {rows.n_unseen:,} of those in at are missing; leave "
            "their rows out, or ask impute."
        )
    if not rows.seen_whole:
        raise DataError("regress is given values without errors; leave the errors of at out.")
    given = [str(name) for name in rows.names]
    joint = predictive.mixture.marginal(positions([*given, y], predictive.feature_names))
    lines, tails = _Lines(joint), np.array([(1 - mass) / 2, (1 + mass) / 2])
    n = rows.n_rows
    curves = np.empty((4, n))  # mean, sd, log density, effective draws
    credible, bands = np.empty((n, 2)), np.empty((n, 2))
    modes: list[tuple[Floats, Floats]] = []
    size = max(1, _HELD // joint.log_weights.size)
    with one_blas_thread():
        for begin in range(0, n, size):
            part = slice(begin, begin + size)
            curves[2, part], log_weights, means = lines.at(rows.matrix[part])
            weights = np.exp(log_weights)
            curves[0, part] = center = (weights * means).sum(axis=(1, 2))
            spread = (means - center[:, None, None]) ** 2 + lines.scales**2
            curves[1, part] = np.sqrt((weights * spread).sum(axis=(1, 2)))
            curves[3, part] = 1 / (weights.sum(axis=2) ** 2).sum(axis=1)
            credible[part] = over_draws(
                _means_by_draw(log_weights, means), joint.draw_weights, tails
            )
            found = thread_map(
                lambda row: _answers(UnivariateMixture.of(row[0], row[1], lines.scales), tails),
                list(zip(weights, means, strict=True)),
                available_cores(None),
            )
            bands[part] = [band for band, _, _ in found]
            modes += [(peaks, shares) for _, peaks, shares in found]
    most = max(len(peaks) for peaks, _ in modes)
    padded = np.full((2, n, most), np.nan)
    for i, pair in enumerate(modes):
        padded[:, i, : len(pair[0])] = pair
    return xr.Dataset(
        {
            "at": (("obs", "given"), rows.values),
            "mean": ("obs", curves[0]),
            "sd": ("obs", curves[1]),
            "credible": (("obs", "bound"), credible),
            "predictive": (("obs", "bound"), bands),
            "mode": (("obs", "mode_number"), padded[0]),
            "mode_probability": (("obs", "mode_number"), padded[1]),
            "log_density": ("obs", curves[2]),
            "effective_draws": ("obs", curves[3]),
        },
        coords={"obs": rows.index, "given": given, "bound": ["lower", "upper"]},
        attrs={"y": y, "mass": mass},
    )


def _answers(line: UnivariateMixture, tails: Floats) -> tuple[Floats, Floats, Floats]:
    """Quantiles, modes, and the probability between the valleys around each mode."""
    peaks, valleys = line.turning_points()
    below = np.concatenate([[0.0], line.cdf(valleys), [1.0]])
    return line.quantile(tails), peaks, np.diff(below)


def _given(predictive: PredictiveDistribution, y: str, at: Any) -> Observations:
    """Rows of the given features, with their names."""
    if isinstance(at, Mapping) and not hasattr(at, "dims"):  # a Dataset is a mapping as well
        if not at:
            raise DataError("at names no feature; give values of one, or take marginal instead.")
        try:
            columns = np.broadcast_arrays(*(np.atleast_1d(values) for values in at.values()))
        except ValueError:
            sizes = ", ".join(f"{name} {np.size(values)}" for name, values in at.items())
            raise DataError(
                f"at gives different numbers of values ({sizes}); give as many of each, or one."
            ) from None
        rows = Observations(np.column_stack(columns), names=[str(name) for name in at])
    else:
        rows = Observations(at)
        rest = [name for name in predictive.feature_names if name != y]
        whole = rows.n_features > len(rest)  # the whole data set, where an array has no names
        if (rows.labelled or whole) and y in rows.names and rows.n_features > 1:
            rows = rows.select([name for name in rows.names if name != y])
        if not rows.labelled:
            return Observations(features_like(rows, rest), names=rest)
    names = list(rows.names)
    if y in names:
        raise DataError(f"at gives {y!r}, which is to be predicted; leave it out.", column=y)
    positions(names, predictive.feature_names)
    return rows


class _Lines:
    """Each component of each draw as a line: y given x, (S, K) of them, for y the last feature."""

    def __init__(self, joint: AveragedMixture) -> None:
        tril, m = joint.scale_tril, joint.means.shape[-1] - 1
        inner = tril[..., :m, :m]
        self.shape = joint.log_weights.shape
        self.center = joint.mean()[:m]
        centered = joint.means[..., :m] - self.center
        self.whiten = np.linalg.solve(inner, np.broadcast_to(np.eye(m), inner.shape))
        self.shift = (self.whiten @ centered[..., None])[..., 0]
        diagonal = np.diagonal(inner, axis1=-2, axis2=-1)
        self.log_constant = (
            joint.log_weights - np.log(diagonal).sum(axis=-1) - m / 2 * np.log(2 * np.pi)
        )
        self.slopes = (tril[..., m, None, :m] @ self.whiten)[..., 0, :]
        self.intercepts = joint.means[..., m] - (centered * self.slopes).sum(axis=-1)
        self.scales = tril[..., m, m]

    def at(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Log density (N,) of rows x, and log weights and means of the lines (N, S, K) there."""
        x = x - self.center
        distance = np.zeros((len(x), *self.shape))
        for i in range(x.shape[1]):
            distance += (self._times(x, self.whiten[..., i, :]) - self.shift[..., i]) ** 2
        log_weights = self.log_constant - 0.5 * np.minimum(distance, 1e300)
        largest = log_weights.max(axis=(1, 2))  # taken off first: beside it a far row's sum is lost
        log_weights -= largest[:, None, None]
        log_sum = np.log(np.exp(log_weights).sum(axis=(1, 2)))
        log_weights -= log_sum[:, None, None]
        return largest + log_sum, log_weights, self.intercepts + self._times(x, self.slopes)

    def _times(self, x: Floats, vectors: Floats) -> Floats:
        """Inner products (N, S, K) of rows (N, D) and vectors (S, K, D)."""
        return (x @ vectors.reshape(-1, x.shape[1]).T).reshape(len(x), *self.shape)


def _means_by_draw(log_weights: Floats, means: Floats) -> Floats:
    """Conditional mean of y by each draw alone (N, S)."""
    shares = np.exp(log_weights - log_weights.max(axis=2, keepdims=True))
    return (shares * means).sum(axis=2) / shares.sum(axis=2)
