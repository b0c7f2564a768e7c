"""The picture of what the data have taught: prior against posterior, by component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.prior_draws import prior_draws
from bayesgmm.interface.plots.directions import center_of, feature_index, most_separating
from bayesgmm.interface.plots.palette import NOISE, component_colors
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.words import plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import COUNT, PROBABILITY, TRUTH, generator
from bayesgmm.result.fit import MixtureFit, require_fit

Array = NDArray[np.float64]

#: Features shown where none are chosen.
_FEATURES = 3


@whole_imports
def plot_prior_posterior(
    fit: MixtureFit,
    *,
    features: Sequence[str | int] | None = None,
    mass: float = 0.89,
    n_draws: int = 4000,
    legend: bool = True,
    ax: Any = None,
    seed: Any = 0,
) -> Any:
    """Draw prior and posterior of weights, means and scales, by component.

    The upper row of each panel is the prior, the same for all components of the default
    priors; below it each component's posterior: thin lines hold ``mass``, thick ones half, and
    a mark stands at the median, or at the estimate of a point fit.  A posterior as wide as
    the prior has learnt nothing from the data; one at the prior's edge is pulled by it.

    Parameters
    ----------
    fit : MixtureFit
        From any method.
    features : sequence of str or int, optional
        Of the means and scales; by default all, or the three of most separation.
    mass : float, default 0.89
        Probability of the equal-tailed intervals.
    n_draws : int, default 4000
        Draws from the prior.
    legend : bool, default True
    ax : array of (2 d + 1) Axes for d features, Figure or SubFigure, optional
        A new figure by default.
    seed : int, SeedSequence or Generator, default 0
        Of the draws from the prior.

    Returns
    -------
    array of 2 d + 1 Axes
        Weights, then the mean and the scale of each feature.

    Raises
    ------
    DataError
        If a feature is not the fit's.
    FitError
        If the first argument is not a fit.
    SpecError
        If an option is out of its range, or ``ax`` is not what is needed.

    Notes
    -----
    Prior draws are of unconstrained coordinates, by the data's own scale, and are carried to
    the data's units.  Labels mean nothing in them: the posterior's are ordered and the prior's
    are not.  ArviZ's ``plot_prior_posterior`` has a panel for each number, K (2 d + 1)
    of them; one panel for all components lets them be compared.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_prior_posterior
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> axes = plot_prior_posterior(fit)
    >>> [ax.get_title() for ax in axes[:3]]
    ['weight', 'mean of eruptions', 'scale of eruptions']
    """
    mass, legend = PROBABILITY("mass", mass), TRUTH("legend", legend)
    n_draws, rng = COUNT("n_draws", n_draws), generator(seed)
    fit = require_fit(fit, "plot_prior_posterior")
    names = list(fit.feature_names)
    if features is None:
        index = most_separating(center_of(fit.parameters), min(_FEATURES, len(names)))
    else:
        index = feature_index(names, features)
    k, panels = fit.spec.n_components, 2 * len(index) + 1
    columns = panels if panels <= 3 else len(index) + 1
    size = (2.9 * columns + 0.4, (1.3 + 0.2 * k) * (1 if panels <= 3 else 2))
    where = place(ax, (panels,), (1, 1)) if _given(ax) else _layout(ax, index, size)
    density = LogPosterior(fit.spec, fit.observations)
    prior = density.constrain(prior_draws(density, n_draws, rng))
    axes, after = where(), fit.parameters.flat()
    _draw(axes[0], "weight", prior.class_weights, after.class_weights, k, mass)
    low, high = axes[0].get_xlim()
    axes[0].set_xlim(min(low, -0.02 * high), min(high, 1.05))
    for i, j in enumerate(index):
        mean, scale = axes[1 + 2 * i], axes[2 + 2 * i]
        _draw(mean, f"mean of {names[j]}", prior.means[..., j], after.means[..., j], k, mass)
        scale.set_xscale("log")
        _draw(scale, f"scale of {names[j]}", prior.scales[..., j], after.scales[..., j], k, mass)
        _few_ticks(scale)
    if legend:
        told = "median" if fit.is_posterior else "estimate"
        axes[0].legend(
            handles=[
                Line2D([], [], color="0.4", lw=1.5, label=f"{100 * mass:g} %"),
                Line2D([], [], color="0.4", lw=5, label="50 %"),
                Line2D([], [], ls="", marker="o", mfc="white", mec="0.2", label=told),
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16 if k > 3 else -0.28),
            ncols=3,
            frameon=False,
            fontsize="x-small",
            handlelength=1.2,
            columnspacing=1.0,
        )
    return axes


def _draw(ax: Axes, title: str, prior: Array, posterior: Array, k: int, mass: float) -> None:
    """A row for the prior, pooled over the components where it is one for all, and each one's."""
    tails = [(1 - mass) / 2, 0.25, 0.5, 0.75, (1 + mass) / 2]
    before = np.quantile(prior, tails, axis=0)  # (5, M)
    same = np.ptp(before[2, :k]) < 0.25 * (before[3] - before[1])[:k].mean() or k == 1
    pooled = np.quantile(prior[:, :k], tails)
    after = np.quantile(posterior, tails, axis=0)
    colors = [*component_colors(k), *[NOISE] * (posterior.shape[1] - k)]
    ax.axvspan(pooled[0], pooled[-1], fc="0.93", lw=0, zorder=0)
    _interval(ax, -1.0, pooled, "0.45")
    for m, color in enumerate(colors):
        if not same or m >= k:
            _interval(ax, m - 0.28, before[:, m], "0.7", thin=True)
        _interval(ax, m, after[:, m], color)
    labels = ["prior", *map(str, range(k)), *["noise"] * (posterior.shape[1] - k)]
    ax.set_yticks(range(-1, posterior.shape[1]), labels, fontsize="small")
    ax.axhline(-0.5, color="0.8", lw=0.8)
    ax.set_ylim(posterior.shape[1] - 0.4, -1.6)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="small")
    ax.set_title(plain(title), fontsize="medium")


def _interval(ax: Axes, y: float, q: Array, color: Any, *, thin: bool = False) -> None:
    scale = 0.5 if thin else 1.0
    ax.plot([q[0], q[4]], [y, y], color=color, lw=1.5 * scale, zorder=3)
    ax.plot([q[1], q[3]], [y, y], color=color, lw=5 * scale, solid_capstyle="butt", zorder=3.2)
    ax.plot(q[2], y, "o", ms=5 * scale, mfc="white", mec=color, mew=1.4 * scale, zorder=3.5)


def _few_ticks(ax: Axes) -> None:
    """At most four plain numbers on a logarithmic axis, which by default has too many."""
    low, high = ax.get_xlim()
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        at = np.sort(np.outer(powers, steps).ravel())
        at = at[(at >= low) & (at <= high)]
        if len(at) <= 4:
            break
    if not len(at):  # within a range so narrow that no round number is in it
        at = np.asarray(MaxNLocator(3).tick_values(low, high))
        at = at[(at >= low) & (at <= high)]
    at = at[:: 1 + (len(at) - 1) // 4]
    ax.set_xticks(at, [f"{value:g}" for value in at])
    ax.set_xticks([], minor=True)
    ax.set_xlim(low, high)


def _given(ax: Any) -> bool:
    return ax is not None and not hasattr(ax, "subplots")


def _layout(ax: Any, index: list[int], size: tuple[float, float]) -> Any:
    """Weights on the left, then a column for each feature: its mean above its scale."""
    d = len(index)
    if d == 1:
        return place(ax, (3,), size)
    made = place(ax, (2, d + 1), size)

    def axes() -> Any:
        grid = made()
        grid[1, 0].set_axis_off()
        return np.array([grid[0, 0], *(grid[i, j] for j in range(1, d + 1) for i in range(2))])

    return axes
