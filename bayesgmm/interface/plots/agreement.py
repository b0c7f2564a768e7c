"""The picture of an agreement: where a point estimate lies inside a posterior."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from bayesgmm.analysis.compare import agreement
from bayesgmm.interface.plots.palette import NOISE, component_colors, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.words import plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, PROBABILITY, TRUTH
from bayesgmm.result.fit import MixtureFit

_COMPONENT = re.compile(r"\[(\d+)")
#: Posterior standard deviations beyond which a point stands at the edge, as a caret.
_FARTHEST = 6.0


@whole_imports
def plot_agreement(
    point: MixtureFit,
    posterior: MixtureFit,
    *,
    mass: float = 0.89,
    max_parameters: int = 40,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw where a point estimate lies in the posterior of the same spec, per parameter.

    A row for each parameter, on the scale of its posterior: 0 is the posterior mean, 1 one
    standard deviation above it.  The bar is the interval, the tick in it the median, and
    the mark the point estimate, hollow where it lies outside of the interval.

    Parameters
    ----------
    point : MixtureFit
        By EM or MAP.
    posterior : MixtureFit
        Draws, by any method.
    mass : float, default 0.89
        Probability of the equal-tailed interval.
    max_parameters : int, default 40
        Parameters drawn at most: those where the point is farthest from the mean.
    legend : bool, default True
    ax : Axes, Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        As :func:`bayesgmm.agreement` does, whose table this is.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_agreement
    >>> X, spec = bg.datasets.faithful(), bg.MixtureSpec(2)
    >>> em = bg.fit(spec, X, method="em", seed=1)
    >>> laplace = bg.fit(spec, X, method="laplace", seed=1)
    >>> ax = plot_agreement(em, laplace)
    >>> ax.get_yticklabels()[0].get_text(), len(ax.get_yticks())
    ('weights[0]', 12)
    """
    mass, legend = PROBABILITY("mass", mass), TRUTH("legend", legend)
    most = LIMIT("max_parameters", max_parameters)
    where = place(ax, (), (1.0, 1.0))
    table = agreement(point, posterior, mass=mass)
    table = table[table["sd"] > 0]  # one component's weight is known
    n = len(table)
    if n > most:
        kept = np.sort(np.argsort(-table["z"].abs().to_numpy(), kind="stable")[:most])
        table = table.iloc[kept]
    where = place(ax, (), (7.2, 1.4 + 0.2 * len(table)))
    axes = where()
    colors = component_colors(posterior.spec.n_components)
    low, high = (((table[end] - table["mean"]) / table["sd"]).to_numpy() for end in
                 ("lower", "upper"))  # fmt: skip
    reach = max(2.2, float(np.max(np.abs([low, high]))))
    z = table["z"].to_numpy()
    edge = max(reach, min(float(np.abs(z).max()), _FARTHEST)) + 0.3
    outside = (z < low) | (z > high)
    for i, label in enumerate(table.index):
        number = _COMPONENT.search(label)
        color = NOISE if number is None else colors[int(number[1])]
        axes.plot([low[i], high[i]], [i, i], color="0.75", lw=6, solid_capstyle="butt", zorder=2)
        far = abs(z[i]) > edge
        marker = (">" if z[i] > 0 else "<") if far else "o"
        axes.plot(
            np.clip(z[i], 0.1 - edge, edge - 0.1),
            i,
            marker,
            ms=7,
            mec=color,
            mfc="white" if outside[i] else color,
            mew=1.8,
            zorder=4,
        )
    axes.axvline(0, color="0.45", lw=0.9, zorder=3)
    axes.set_yticks(range(len(table)), list(map(plain, table.index)), fontsize="small")
    for text, z_here in zip(axes.get_yticklabels(), outside, strict=True):
        text.set_fontweight("bold" if z_here else "normal")
    axes.tick_params(axis="y", length=0)
    title = f"{point.method.upper()} inside the posterior: {int(outside.sum())} of {len(table)}"
    title += f" outside of {100 * mass:g} %"
    if n > len(table):
        title += f"\n{len(table)} of {n} parameters shown, those farthest from the mean"
    axes.set(
        xlim=(-edge, edge),
        ylim=(len(table) - 0.4, -0.6),
        xlabel="distance from the posterior mean, in posterior standard deviations",
    )
    axes.set_title(title)
    if legend:
        mark: dict[str, Any] = {"ls": "", "marker": "o", "mec": "0.3", "mew": 1.8}
        legend_outside(
            axes,
            [
                Line2D([], [], color="0.75", lw=6, label=f"{100 * mass:g} % interval"),
                Line2D([], [], mfc="0.3", label="point inside it", **mark),
                Line2D([], [], mfc="white", label="point outside it", **mark),
            ],
        )
    return axes
