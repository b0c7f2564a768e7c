"""The picture of a check: rows where they should not be, statistics that stand out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.special import bdtrik
from scipy.stats import binom

from bayesgmm.analysis.checks.posterior_check import PosteriorCheck, posterior_check
from bayesgmm.errors import SpecError
from bayesgmm.interface.plots.palette import PALETTE
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.words import plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import TRUTH, Seed
from bayesgmm.result.fit import MixtureFit

#: Statistics that a panel has room to name.
_STATISTICS = 16
#: Directions that have a colour and a name of their own.
_NAMED = 6
_GRID = 201
_BAND = 0.95  # of the lines, whole
_SIMULATIONS = 2000
_GOOD, _BAD = PALETTE[0], PALETTE[1]


@whole_imports
def plot_check(
    check: PosteriorCheck | MixtureFit, *, legend: bool = True, ax: Any = None, seed: Seed = None
) -> Any:
    """Draw what a check found: the rows' distribution, and the statistics.

    On the left, for each feature and projection, the share of rows whose (leave-one-out)
    probability of smaller values is at most p, less p: it wavers about zero inside the band
    if the model is right.  A line that first falls and then rises says that the model is too
    wide there, the reverse that it is too narrow; one that is below zero throughout, that
    the data lie higher.  On the right, the data's statistics among those of replicated data.

    Parameters
    ----------
    check : PosteriorCheck or MixtureFit
        A fit is checked first, as :func:`bayesgmm.posterior_check` does by default.
    legend : bool, default True
    ax : pair of Axes, Figure or SubFigure, optional
        A new figure by default.
    seed : int, SeedSequence or Generator, optional
        Of the check, where a fit is given.

    Returns
    -------
    array of two Axes

    Raises
    ------
    SpecError
        If ``ax`` is no pair, or a seed is given with a finished check.

    Notes
    -----
    The band holds all of a line with probability 95 % for independent uniform values
    (Säilynoja, Bürkner and Vehtari 2022); rows left out of a fitted model vary less, so a
    line that leaves it means more than that.  Features and projections that are found
    misplaced have a colour and a name, then the other features, with their p adjusted for
    asking of many; projections that are not are grey.  Deviations are from the mean of the
    replicated, in units in which the central 95 % end at -1 and 1; at most 16 statistics are
    shown, those that deviate most.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots.check import plot_check
    >>> fit = bg.fit(bg.MixtureSpec(1), bg.datasets.faithful(), method="laplace", seed=1)
    >>> left, right = plot_check(fit, seed=1)
    >>> left.get_title(), right.get_yticklabels()[0].get_text()
    ('LOO-PIT', 'kurtosis of eruptions')
    """
    legend, where = TRUTH("legend", legend), place(ax, (2,), (11.0, 5.0))
    if not isinstance(check, PosteriorCheck):
        check = posterior_check(check, seed=seed)
    elif seed is not None:
        raise SpecError("seed is of the check, which is made already; give the fit in its place.")
    left, right = axes = where()
    handles = _draw_pit(left, check)
    marks = _draw_statistics(right, check)
    if legend:
        left.legend(
            handles=handles,
            loc="upper left",  # the names of the panel beside it leave room on the right
            bbox_to_anchor=(-0.1, -0.15),
            ncols=2,
            frameon=False,
            fontsize="small",
            borderaxespad=0,
        )
        right.legend(
            handles=marks,
            loc="upper center",
            bbox_to_anchor=(0.35, -0.15),
            ncols=3,
            frameon=False,
            fontsize="small",
            borderaxespad=0,
        )
    return axes


def uniform_band(n: int, grid: NDArray[np.float64]) -> tuple[Any, Any]:
    """Limits of the share of n uniform values up to each point, all held at once with 95 %."""
    uniform = np.sort(np.random.default_rng(0).random((_SIMULATIONS, n)), axis=1)
    counts = np.stack([np.searchsorted(row, grid, side="right") for row in uniform])
    below = binom.cdf(counts, n, grid)
    above = binom.sf(counts - 1, n, grid)
    extreme = np.minimum(below, above).min(axis=1)  # of each simulation, over the grid
    tail = np.quantile(extreme, 1 - _BAND)
    # Between whole numbers as well: a band with steps would be hard to look at.
    low, high = bdtrik(tail, n, grid), bdtrik(1 - tail, n, grid) + 1
    return np.nan_to_num(low).clip(0, n) / n, np.nan_to_num(high, nan=n).clip(0, n) / n


def _draw_pit(ax: Axes, check: PosteriorCheck) -> list[Any]:
    values = check.pit_values
    n, names = len(values), [str(name) for name in values["direction"].values]
    features = [str(name) for name in check.directions["feature"].values]
    grid = np.linspace(0, 1, _GRID)
    low, high = uniform_band(min(n, 2000), grid[1:-1])
    shrink = np.sqrt(min(n, 2000) / n)  # beyond that the band is normal, and scales
    ax.fill_between(
        grid[1:-1],
        shrink * (low - grid[1:-1]),
        shrink * (high - grid[1:-1]),
        fc="0.9",
        lw=0,
        zorder=1,
    )
    ax.axhline(0, color="0.6", lw=0.8, zorder=1.5)
    misplaced = check.misplaced
    named = (misplaced + [name for name in features if name not in misplaced])[:_NAMED]
    named.sort(key=names.index)  # features first, so that each keeps its colour
    handles: list[Any] = []
    lines: dict[str, Any] = {}
    for name in sorted(names, key=lambda name: name in named):
        ordered = np.sort(values.sel(direction=name).values)
        # At each row the share just before it and just after it.
        x = np.concatenate([[0.0], np.repeat(ordered, 2), [1.0]])
        y = np.concatenate([[0.0], np.repeat(np.arange(n + 1) / n, 2)[1:-1], [1.0]]) - x
        if name in named:
            style: dict[str, Any] = {"color": PALETTE[named.index(name)], "lw": 1.6, "zorder": 4}
        else:
            style = {"color": "0.55", "lw": 0.7, "zorder": 3}
        dashed = name in named and name not in features
        (lines[name],) = ax.plot(x, y, ls="--" if dashed else "-", label=plain(name), **style)
    for name in named:
        found = "misplaced" if name in misplaced else "as expected"
        told = f"{name}: {found} ({_p(check.pit.loc[name, 'p_adjusted'])})"
        handles.append(
            Line2D(
                [],
                [],
                color=lines[name].get_color(),
                lw=1.6,
                ls=lines[name].get_linestyle(),
                label=plain(told),
            )
        )
    others = len(names) - len(named)
    if others:
        more = len(set(misplaced) - set(named))
        told = f"{others} more, " + (f"{more} of them misplaced" if more else "as expected")
        handles.append(Line2D([], [], color="0.55", lw=0.7, label=told))
    handles.append(Patch(fc="0.9", label="room of a right model"))
    ax.set(
        xlim=(0, 1),
        xlabel="p",
        ylabel="share of rows up to p, less p",
        title="LOO-PIT" if check.left_out else "PIT (rows seen by the fit)",
    )
    return handles


def _draw_statistics(ax: Axes, check: PosteriorCheck) -> list[Any]:
    table, away = check.statistics, check.deviations.values
    signed = np.sign(table["observed"].to_numpy() - table["replicated"].to_numpy()) * away[0]
    shown = np.argsort(-away[0], kind="stable")[:_STATISTICS]
    place, misfits = np.arange(len(shown)), check.misfits
    ax.axvspan(-1, 1, fc="0.9", lw=0, zorder=1)
    ax.axvline(0, color="0.6", lw=0.8, zorder=1.5)
    for i, m in zip(place, shown, strict=True):
        bad = table.index[m] in misfits
        color, marker = (_BAD, "D") if bad else (_GOOD, "o")
        ax.plot([0, signed[m]], [i, i], color=color, lw=1.2, zorder=3)
        ax.plot(signed[m], i, marker, color=color, ms=6, zorder=4)
    reach = max(1.6, 1.08 * np.abs(signed[shown]).max())
    ax.set_yticks(place, [plain(str(table.index[m])) for m in shown], fontsize="small")
    r = len(away) - 1
    ax.set(
        xlim=(-reach, reach),
        ylim=(len(shown) - 0.5, -0.5),
        xlabel="deviation, in units of the central 95 %",
        title=f"data among {r} replicated",
    )
    ax.tick_params(axis="y", length=0)
    handles = [
        Line2D([], [], ls="", marker="D", color=_BAD, label="not reproduced"),
        Line2D([], [], ls="", marker="o", color=_GOOD, label="reproduced"),
        Patch(fc="0.9", label="central 95 %"),
    ]
    return handles[0 if misfits else 1 :]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.{2 if value > 0.0995 else 3}f}"
