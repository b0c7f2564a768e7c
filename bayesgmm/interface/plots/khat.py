"""The picture behind a leave-one-out estimate: which rows it cannot leave out."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesgmm.analysis.criteria.leave_one_out import leave_one_out
from bayesgmm.analysis.criteria.pointwise import pointwise
from bayesgmm.inference.sampling.laplace import K_HAT_LIMIT
from bayesgmm.interface.plots.on_axes import collection_on
from bayesgmm.interface.plots.palette import PALETTE
from bayesgmm.interface.plots.places import place, require_draws
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import TRUTH
from bayesgmm.result.fit import MixtureFit

#: Rows above the limit that are named.
_NAMED = 12
#: Where those stand that are higher still.
_HIGHEST = 1.5


@whole_imports
def plot_k_hat(fit: MixtureFit, *, legend: bool = True, ax: Any = None) -> Any:
    """Draw Pareto k-hat of leaving each row out, with the limit of what can be relied on.

    By ``arviz_plots.plot_khat``.  A row above the line has shaped the posterior so much that
    its draws say little of the posterior without it; rows above it are diamonds with their
    numbers.

    Parameters
    ----------
    fit : MixtureFit
        With draws and a pointwise log-likelihood.
    legend : bool, default True
        Whether to name rows above the line by their numbers.
    ax : Axes, Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If the fit has no posterior, or no leave-one-out estimate.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling,
    Journal of Machine Learning Research 25.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_k_hat
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> plot_k_hat(fit).get_title()
    'no row of 272 above 0.7'
    """
    import arviz_plots

    legend, where = TRUTH("legend", legend), place(ax, (), (7.2, 3.8))
    fit = require_draws(fit, "plot_k_hat")
    found = leave_one_out(fit)
    rows = pointwise(fit, "plot_k_hat").rows
    one_each = bool(np.array_equal(rows, np.arange(fit.observations.n_rows)))
    axes = where()
    k_hat = np.asarray(found.arviz.pareto_k.values, dtype=float)
    above = np.flatnonzero(k_hat > K_HAT_LIMIT)
    k_hat = np.minimum(k_hat, _HIGHEST)  # infinite ones among them
    drawn = copy(found.arviz)
    drawn.pareto_k = found.arviz.pareto_k.copy(data=k_hat)
    arviz_plots.plot_khat(
        drawn,
        plot_collection=collection_on(axes, drawn.pareto_k.to_dataset(name="pareto_k")),
        marker="o",
        visuals={
            "khat": {"color": PALETTE[0], "size": 14, "alpha": 0.7},
            "xlabel": False,
            "ylabel": False,
        },
    )
    axes.plot(above, k_hat[above], "D", color=PALETTE[1], ms=6, zorder=4)
    axes.axhline(K_HAT_LIMIT, color="black", lw=1.2, ls="--", zorder=3)
    low, high = np.nanmin(k_hat, initial=0.0), np.nanmax(k_hat, initial=K_HAT_LIMIT)
    low = max(low, -0.5)  # far below, which is as good as it gets
    axes.set(
        xlabel="row" if one_each else "observation; numbers are those of rows",
        ylabel="Pareto k-hat of leaving it out",
        xlim=(-0.02 * len(k_hat) - 0.5, 1.02 * len(k_hat) - 0.5),
        ylim=(low - 0.05 * (high - low), high + 0.14 * (high - low)),
    )
    told = (
        f"{len(above) or 'no'} row{'s' * (len(above) > 1)} of {len(k_hat):,} above {K_HAT_LIMIT:g}"
    )
    if len(above):
        told += ", where the estimate cannot be relied on"
    unknown = int(np.isnan(k_hat).sum())
    if unknown:  # all draws weigh the same
        told += f", not known of {unknown}"
    axes.set_title(told)
    if legend:
        _name_rows(axes, above, k_hat, rows)
    return axes


def _name_rows(ax: Axes, above: Any, k_hat: Any, rows: NDArray[np.int64]) -> None:
    """Numbers of the highest rows, but for those that would lie on others."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    named: list[tuple[float, float]] = []
    for i in sorted(above.tolist(), key=lambda i: -k_hat[i]):
        at = ((i - left) / (right - left), (k_hat[i] - low) / (high - low))
        if any(abs(at[0] - x) < 0.06 and abs(at[1] - y) < 0.05 for x, y in named):
            continue
        named.append(at)
        ax.annotate(
            str(rows[i]),
            (i, k_hat[i]),
            xytext=(6, 0) if at[0] < 0.93 else (-6, 0),
            textcoords="offset points",
            ha="left" if at[0] < 0.93 else "right",
            va="center",
            fontsize="small",
            bbox={"fc": "white", "ec": "none", "pad": 0.3},  # or the limit would strike it out
            zorder=3.5,
        )
        if len(named) == _NAMED:
            break
