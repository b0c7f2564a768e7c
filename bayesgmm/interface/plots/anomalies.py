"""The picture of what is strange: a map of tail probabilities, with the rows that are flagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bayesgmm.errors import DataError
from bayesgmm.interface.plots.directions import center_of, feature_index, most_separating
from bayesgmm.interface.plots.palette import PALETTE, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.words import plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, PROBABILITY, TRUTH, shown
from bayesgmm.result.fit import MixtureFit, require_fit

Array = NDArray[np.float64]

_GRID = 90
#: Points behind a map's levels: a picture needs fewer than a score does.
_POINTS = 16_384
_LEVELS = (0.01, 0.1, 0.5)
_GREYS = ("0.62", "0.76", "0.88", "1.0")


@whole_imports
def plot_anomalies(
    fit: MixtureFit,
    *,
    features: Sequence[str | int] | None = None,
    rate: float = 0.01,
    max_points: int = 5000,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw a map of the anomaly score over two features, with the rows that are flagged.

    The score of a place is the probability of a row no more likely than one there: the
    darker, the stranger.  Flagged are the rows whose score, by all features, is at most
    ``rate``: so large a share of the model's own rows is flagged as well.  A row may be strange
    in a feature that is not drawn, and stand where the map is white.

    Parameters
    ----------
    fit : MixtureFit
        From any method.
    features : sequence of one or two str or int, optional
        By default those in which the components differ most.
    rate : float, default 0.01
        False-alarm rate, as of :meth:`MixtureFit.outliers`.
    max_points : int, default 5000
        Rows drawn and scored at most: a random choice, with a fixed seed, of more.
    legend : bool, default True
    ax : Axes, Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If a feature is not the fit's, or there are more than two.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_anomalies
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> plot_anomalies(fit, rate=0.01).get_title().split(" of ", 1)[1]
    '272 rows flagged at a rate of 1 %'
    """
    rate, legend = PROBABILITY("rate", rate), TRUTH("legend", legend)
    max_points, where = LIMIT("max_points", max_points), place(ax, (), (7.2, 4.6))
    fit = require_fit(fit, "plot_anomalies")
    names = list(fit.feature_names)
    if features is None:
        index = most_separating(center_of(fit.parameters), min(2, len(names)))
    else:
        index = feature_index(names, features)
    if len(index) > 2:
        raise DataError(
            f"features must be one or two for a map, got {shown([names[j] for j in index])}."
        )
    n, kept_rows = fit.fact("n_rows"), fit.observations.kept
    rows = np.arange(kept_rows.n_rows)
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), max_points, replace=False))
    drawn = kept_rows.part(rows)
    points = max(_POINTS, 2 ** int(np.ceil(np.log2(10 / rate))))
    flagged = fit.outliers(drawn, rate=rate, points=points).values
    values = drawn.values[:, index]
    low, high = _range(values)
    plane = fit.predictive.marginal([names[j] for j in index])
    axes = where()
    kept = ~np.isnan(values).any(axis=1)
    if len(index) == 1:
        _draw_line(axes, plane, values[:, 0], flagged, kept, (low[0], high[0]), rate)
        axes.set(xlabel=plain(names[index[0]]), ylabel="anomaly score")
    else:
        grid = np.stack(
            np.meshgrid(*(np.linspace(a, b, _GRID) for a, b in zip(low, high, strict=True))), -1
        )
        score = plane.anomaly_score(grid.reshape(-1, 2), points=_POINTS).values
        score = score.reshape(_GRID, _GRID)
        style: dict[str, Any] = {"levels": [0, *_LEVELS, 1], "zorder": 0}
        axes.contourf(grid[..., 0], grid[..., 1], score, colors=_GREYS, **style)
        axes.contour(grid[..., 0], grid[..., 1], score, levels=[rate], colors="black",
                     linewidths=1.2, linestyles="--", zorder=1)  # fmt: skip
        size = float(np.clip(6000 / max(len(values), 1), 3, 14))
        axes.scatter(*values[kept & ~flagged].T, s=size, color=PALETTE[0], alpha=0.7,
                     linewidths=0, zorder=2)  # fmt: skip
        axes.scatter(*values[kept & flagged].T, s=46, color=PALETTE[1], marker="x",
                     linewidths=1.8, zorder=3)  # fmt: skip
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axes.set(xlabel=plain(names[index[0]]), ylabel=plain(names[index[1]]))
    title = f"{int(flagged.sum())} of {len(rows):,} rows flagged at a rate of {100 * rate:g} %"
    others = len(names) - len(index)
    if others:
        title += f"\nby all {len(names)} features; the map is of {len(index)}"
    if n > len(rows):
        title += f"\n{len(rows):,} of {n:,} rows looked at"
    axes.set_title(title)
    if legend:
        handles: list[Any] = [
            Line2D([], [], ls="", marker="x", mew=1.8, color=PALETTE[1], label="flagged row"),
            Line2D([], [], ls="", marker="o", ms=4, color=PALETTE[0], label="row"),
        ]
        if len(index) == 2:
            told = [f"below {_LEVELS[0]:g}"]
            told += [f"{a:g} to {b:g}" for a, b in zip(_LEVELS, [*_LEVELS[1:], 1], strict=True)]
            handles.append(Line2D([], [], ls="", label="score of a place:"))
            handles += [
                Patch(fc=grey, ec="0.5", lw=0.5, label=text)
                for grey, text in zip(_GREYS, told, strict=True)
            ]
        else:
            handles.append(Line2D([], [], color="black", lw=1.6, label="score of a place"))
        handles.append(Line2D([], [], color="black", lw=1.2, ls="--", label="the rate"))
        legend_outside(axes, handles)
    return axes


def _range(values: Array) -> tuple[Array, Array]:
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    room = np.where(high > low, 0.1 * (high - low), 1.0)
    return low - room, high + room


def _draw_line(
    ax: Axes,
    plane: Any,
    values: Array,
    flagged: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    ends: tuple[float, float],
    rate: float,
) -> None:
    """The score along one feature, on a logarithmic axis, with each row at its own."""
    grid = np.linspace(*ends, 4 * _GRID)
    score = plane.anomaly_score(grid[:, None], points=_POINTS).values
    floor = max(0.1 * rate, float(score.min()), 1e-6)
    ax.plot(grid, np.maximum(score, floor), color="black", lw=1.6, zorder=2)
    ax.axhline(rate, color="black", lw=1.2, ls="--", zorder=1)
    at = np.maximum(np.interp(values[kept], grid, score), floor)
    bad = flagged[kept]
    ax.plot(values[kept][~bad], at[~bad], "o", ms=4, color=PALETTE[0], alpha=0.7, mew=0, zorder=3)
    ax.plot(values[kept][bad], at[bad], "x", ms=7, color=PALETTE[1], mew=1.8, zorder=4)
    ax.set_yscale("log")
    ax.set(xlim=ends, ylim=(0.7 * floor, 1.5))
