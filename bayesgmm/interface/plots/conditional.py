"""The picture of a regression by a mixture: one feature's distribution along another."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.errors import DataError
from bayesgmm.interface.plots.directions import center_of, feature_index
from bayesgmm.interface.plots.palette import PALETTE, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.words import plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import LIMIT, PROBABILITY, TRUTH
from bayesgmm.result.fit import MixtureFit, require_fit

Array = NDArray[np.float64]

_COLUMNS, _ROWS = 120, 160  # of the density's image
_DRAWS = 100  # behind that image, where there are more


@whole_imports
def plot_conditional(
    fit: MixtureFit,
    y: str | int,
    x: str | int,
    *,
    mass: float = 0.89,
    max_points: int = 2000,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw one feature's distribution as a function of another.

    Grey is the density of y given x, by its root and relative to its peak at that x, so that
    branches are seen also where rows are few.  The line is the
    conditional mean, the band about it how well that is known, the dashed lines the band of a
    new value, by :meth:`MixtureFit.regress`.

    Parameters
    ----------
    fit : MixtureFit
        From any method; the band of the mean needs draws.
    y, x : str or int
        Features, by name or position; the others are averaged over.
    mass : float, default 0.89
        Probability of both bands.
    max_points : int, default 2000
        Rows drawn at most.
    legend : bool, default True
    ax : Axes, Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If a feature is not the fit's, or both are one.

    Notes
    -----
    With noise in the model, which ``regress`` does not take, the curve and the band of new
    values count it in, by sums over a grid, and there is no band of the mean.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_conditional
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> plot_conditional(fit, "waiting", "eruptions").get_title()
    'waiting given eruptions'
    """
    mass, legend = PROBABILITY("mass", mass), TRUTH("legend", legend)
    max_points = LIMIT("max_points", max_points)
    where = place(ax, (), (7.2, 4.6))
    fit = require_fit(fit, "plot_conditional")
    names = list(fit.feature_names)
    (first,), (second,) = feature_index(names, [y]), feature_index(names, [x])
    if first == second:
        raise DataError(f"y and x are both {names[first]!r}; give two features.")
    pair = fit.parameters.flat().marginal([second, first])
    values = fit.observations.kept.values[:, [second, first]]
    values = values[~np.isnan(values).any(axis=1)]
    (left, low), (right, high) = _range(values, pair)
    at = np.linspace(left, right, _COLUMNS)
    if fit.spec.noise:
        curve = _with_noise(pair, at, mass)
    else:
        curve = fit.regress(names[first], {names[second]: at}, mass=mass)
    low, high = (min(low, float(curve["predictive"].values[:, 0].min())),
                 max(high, float(curve["predictive"].values[:, 1].max())))  # fmt: skip
    image = _density(pair, at, np.linspace(low, high, _ROWS))
    axes = where()
    axes.imshow(
        image, cmap="Greys", vmin=0, vmax=1.6, origin="lower", aspect="auto", zorder=0,
        extent=(left, right, low, high), interpolation="bilinear",
    )  # fmt: skip
    if len(values) > max_points:
        chosen = np.random.default_rng(0).choice(len(values), max_points, replace=False)
        values = values[np.sort(chosen)]
    axes.scatter(*values.T, s=9, color=PALETTE[0], alpha=0.6, linewidths=0, zorder=2)
    bands, line = curve["predictive"].values, curve["mean"].values
    # A white rim tells the line from the grey under it.
    axes.plot(at, line, color="white", lw=4.4, zorder=3)
    axes.plot(at, line, color=PALETTE[1], lw=2.2, zorder=4, label="mean")
    for bound in bands.T:
        axes.plot(at, bound, color="black", lw=1.3, ls="--", zorder=3.5)
    handles: list[Any] = [Line2D([], [], color=PALETTE[1], lw=2.2, label="conditional mean")]
    if fit.is_posterior and "credible" in curve:
        axes.fill_between(at, *curve["credible"].values.T, color=PALETTE[1], alpha=0.35, lw=0,
                          zorder=3.2, label="credible")  # fmt: skip
        told = f"{100 * mass:g} % band of the mean"
        handles.append(Patch(fc=PALETTE[1], alpha=0.35, label=told))
    handles.append(
        Line2D([], [], color="black", lw=1.3, ls="--", label=f"{100 * mass:g} % of new values")
    )
    handles.append(Patch(fc="0.5", label="density at each x"))
    handles.append(Line2D([], [], ls="", marker="o", ms=3, color=PALETTE[0], label="data"))
    axes.set(
        xlim=(left, right),
        ylim=(low, high),
        xlabel=plain(names[second]),
        ylabel=plain(names[first]),
        title=plain(f"{names[first]} given {names[second]}"),
    )
    if legend:
        legend_outside(axes, handles)
    return axes


def _range(values: Array, pair: MixtureParameters) -> Any:
    """Lower left and upper right of the rows, with a little room; of the means without rows."""
    corners = values if len(values) else pair.means.reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.where(high > low, 0.06 * (high - low), 1.0)
    return low - room, high + room


def _density(pair: MixtureParameters, at: Array, up: Array) -> Array:
    """Density (rows, columns) of y at each x, relative to each column's peak, as a root."""
    some = pair[evenly_spaced(len(pair.weights), _DRAWS)]
    mesh = np.stack(np.meshgrid(at, up), axis=-1).reshape(-1, 2)
    joint = some.log_density(mesh)
    top = joint.max()
    density = np.exp(np.maximum(joint - top, -700)).mean(axis=0).reshape(len(up), len(at))
    columns = density.max(axis=0)
    return np.asarray(np.sqrt(density / np.where(columns > 0, columns, 1.0)))


def _with_noise(pair: MixtureParameters, at: Array, mass: float) -> xr.Dataset:
    """Mean and band of new values along x, noise counted in: sums over a grid of y."""
    some = pair[evenly_spaced(len(pair.weights), _DRAWS)]
    center = center_of(some)
    means, scales = center.means[:, 1], center.scales[:, 1]
    box = center.noise.required_box[:, 1] if center.noise is not None else means[:1]
    near = (means + np.linspace(-5, 5, 41)[:, None] * scales).ravel()
    ends = [*box, near.min(), near.max()]
    up = np.unique(np.concatenate([np.linspace(min(ends), max(ends), 400), near]))
    mesh = np.stack(np.meshgrid(at, up), axis=-1).reshape(-1, 2)
    joint = some.log_density(mesh)
    joint -= joint.max()
    density = np.exp(np.maximum(joint, -700)).mean(axis=0).reshape(len(up), len(at))
    part = density * np.gradient(up)[:, None]
    part /= part.sum(axis=0)
    below = np.cumsum(part, axis=0) - 0.5 * part
    tails = [(1 - mass) / 2, (1 + mass) / 2]
    bands = np.array([np.interp(tails, column, up) for column in below.T])
    return xr.Dataset({"mean": ("obs", up @ part), "predictive": (("obs", "bound"), bands)})
