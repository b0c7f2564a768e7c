"""The picture of a posterior's modes: how much of it is about each, and what each says."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayesgmm.interface.plots.palette import NOISE, PALETTE, component_colors, legend_outside
from bayesgmm.interface.plots.places import place, require_draws
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, TRUTH
from bayesgmm.result.fit import MixtureFit


@whole_imports
def plot_modes(fit: MixtureFit, *, max_modes: int = 10, legend: bool = True, ax: Any = None) -> Any:
    """Draw the posterior's modes: the mass about each, and the weights of its components.

    On the left, the bar is the share of draws nearest to the mode, which is to be believed,
    the diamond what a normal approximation says, and the number the height of the mode's
    log density below the highest.  On the right, the weights of the mode's mixture: two
    modes with other weights are other explanations of the data.

    Parameters
    ----------
    fit : MixtureFit
        By NUTS or tempering, whose fits know their modes.
    max_modes : int, default 10
        Modes drawn at most, those of most mass.
    legend : bool, default True
    ax : pair of Axes, Figure or SubFigure, optional
        A new figure by default.

    Returns
    -------
    array of two Axes

    Raises
    ------
    FitError
        If the fit does not know its modes.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_modes
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.galaxies(), method="nuts", draws=200, seed=1)
    >>> left, right = plot_modes(fit)
    >>> left.get_xlabel()
    'share of the posterior'
    """
    legend, most = TRUTH("legend", legend), LIMIT("max_modes", max_modes)
    place(ax, (2,), (1, 1))
    fit = require_draws(fit, "plot_modes")
    table = fit.modes.iloc[:most]
    left, right = axes = place(ax, (2,), (8.6, 1.7 + 0.42 * len(table)))()
    at = np.arange(len(table))
    left.barh(at, table["share"], 0.6, color=PALETTE[0], zorder=2)
    left.plot(table["laplace_share"], at, "D", mfc="white", mec="black", mew=1.4, ms=6, zorder=4)
    below = table["log_density"].to_numpy() - float(fit.modes["log_density"].max())
    for i in range(len(table)):
        end = max(table["share"].iloc[i], table["laplace_share"].iloc[i])
        told = f"{below[i]:.1f}".replace("-0.0", "0.0").replace("-", "−")
        left.annotate(
            told, (end, i), xytext=(9, 0), textcoords="offset points", va="center",
            fontsize="small", zorder=5,
        )  # fmt: skip
    left.set_yticks(at, [f"mode {i}" for i in table.index])
    left.set(xlim=(0, 1.2), ylim=(len(at) - 0.5, -0.5), xlabel="share of the posterior")
    left.set_xticks(np.linspace(0, 1, 6))
    left.set_title(f"{len(fit.modes)} mode{'s' * (len(fit.modes) != 1)} of {fit.spec.label}")
    k = fit.spec.n_components
    colors = component_colors(k)
    for i, mode in enumerate(table.index):
        mixture, base = fit.mode(int(mode)), 0.0
        for m, weight in enumerate(mixture.class_weights):
            color = colors[m] if m < k else NOISE
            right.barh(i, weight, 0.6, left=base, color=color, ec="white", lw=1, zorder=2)
            if weight > 0.05 and m < k:
                right.text(
                    base + weight / 2, i, str(m), ha="center", va="center", fontsize="small",
                    bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"}, zorder=4,
                )  # fmt: skip
            base += float(weight)
    right.set(xlim=(0, 1), ylim=(len(at) - 0.5, -0.5), xlabel="weights of its components")
    right.set_yticks([])
    if legend:
        diamond: dict[str, Any] = {"ls": "", "marker": "D", "mfc": "white", "mec": "black"}
        legend_outside(
            right,
            [
                Patch(fc=PALETTE[0], label="share of draws"),
                Line2D([], [], label="by a normal approximation", **diamond),
                Line2D([], [], ls="", label="number: log density below\nthe highest mode"),
            ],
        )
    return axes
