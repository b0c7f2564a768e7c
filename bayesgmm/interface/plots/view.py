"""What is drawn of a fit, in numbers: rows and their colours, mixtures, ranges, curves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.special import ndtr

from bayesgmm.interface.plots.palette import NOISE, component_colors, line_style
from bayesgmm.mixture.parameters import MixtureParameters

#: Components that a legend names; every one has its number in a panel.
_NAMED = 12


@dataclass(frozen=True, eq=False)
class View:
    """What is drawn of a fit, d chosen features."""

    names: tuple[str, ...]
    values: NDArray[np.float64]  # (N, d), every row
    row_weights: NDArray[np.float64] | None  # (N,)
    rows: NDArray[np.int64]  # the rows drawn as points
    colors: NDArray[np.float64]  # of those rows, RGB
    stray: NDArray[np.bool_]  # which of them are most probably noise
    known: NDArray[np.bool_]  # which of them have a known label
    bounds: NDArray[np.float64] | None  # (2, d) of a selection
    draws: MixtureParameters  # batch (S,)
    thin: MixtureParameters | None  # batch (draws shown as lines,); None for a point estimate
    center: MixtureParameters  # no batch: the point, or the posterior means
    levels: tuple[float, ...]
    interval: float
    bins: int | None

    @property
    def radii(self) -> NDArray[np.float64]:
        """Mahalanobis radii in the plane that hold the levels' mass."""
        return np.sqrt(-2 * np.log1p(-np.array(self.levels)))

    def seen(self, j: int) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """The values of a feature that were seen, and their row weights."""
        return self._columns[j]

    @cached_property
    def _columns(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64] | None]]:
        """For each feature once: there may be millions of rows."""
        columns = []
        for column in self.values.T:
            there = ~np.isnan(column)
            if there.all():
                columns.append((np.ascontiguousarray(column), self.row_weights))
            else:
                weights = self.row_weights
                columns.append((column[there], None if weights is None else weights[there]))
        return columns

    @cached_property
    def reaches(self) -> list[tuple[float, float]]:
        """Least and largest value of each feature; a mean's where none was seen."""
        return [
            (float(column.min()), float(column.max())) if len(column) else (float(m), float(m))
            for (column, _), m in zip(self._columns, self.center.means[0], strict=True)
        ]

    def limits(self, j: int) -> tuple[float, float]:
        """Range of a feature that leaves out no row and next to no mass.

        Nor is there more room about the rows than a third of their range: a component of
        few rows can be as wide as its prior.
        """
        return self._limits[j]

    @cached_property
    def _limits(self) -> list[tuple[float, float]]:
        return [self._limits_of(j) for j in range(len(self.names))]

    def _limits_of(self, j: int) -> tuple[float, float]:
        first, last = self.reaches[j]
        w, m, s = self.center.weights, self.center.means[:, j], self.center.scales[:, j]
        points = np.sort((m + np.linspace(-4, 4, 161)[:, None] * s).ravel())
        cumulative = (w * ndtr((points[:, None] - m) / s)).sum(axis=1) / w.sum()
        tails = points[np.searchsorted(cumulative, [0.001, 0.999]).clip(max=len(points) - 1)]
        ends = [first, last, *tails]
        if len(self.names) > 1:
            reach = self.radii[-1]
            ends += [*(m - reach * s), *(m + reach * s)]
            if self.thin is not None:  # most of each thin ellipse: one wild draw sets no range
                mean, sd = self.thin.means[..., j], self.thin.scales[..., j]
                ends += [*np.quantile(mean - reach * sd, 0.1, axis=0)]
                ends += [*np.quantile(mean + reach * sd, 0.9, axis=0)]
        low, high = float(min(ends)), float(max(ends))
        if last > first:
            room = (last - first) / 3
            low, high = max(low, first - room), min(high, last + room)
        margin = 0.03 * (high - low)
        return low - margin, high + margin

    def component_handles(self) -> list[Any]:
        """Legend entries that name each component and its weight."""
        weights, sd = self.center.weights, self.draws.weights.std(axis=0)
        spread = [f" ± {s:.1g}" if self.thin is not None else "" for s in sd]
        handles = [
            Line2D(
                [],
                [],
                color=color,
                lw=2.5,
                ls=line_style(k),
                label=f"{k}: weight {weights[k]:.2f}{spread[k]}",
            )
            for k, color in enumerate(component_colors(len(weights)))
        ]
        if len(handles) > _NAMED:
            more = Line2D([], [], ls="", label=f"… {len(handles) - _NAMED} more components")
            handles = [*handles[:_NAMED], more]
        if (noise := self.center.noise) is not None:
            marks: dict[str, Any] = {"ls": "", "marker": "x", "mec": NOISE, "ms": 5}
            if len(self.names) == 1:
                marks = {"lw": 2.5, "color": NOISE, "ls": ":"}
            handles.append(Line2D([], [], label=f"noise: weight {noise.weight:.2f}", **marks))
        if self.known.any() and len(self.names) > 1:
            ring = Line2D([], [], ls="", marker="o", mfc="none", mec="black", label="known label")
            handles.append(ring)
        if self.bounds is not None:
            handles.append(
                Line2D([], [], color="black", lw=1, ls=":", label="nothing recorded beyond")
            )
        return handles

    def mark_bounds(self, ax: Axes, j: int, *, vertical: bool) -> None:
        """Dotted lines where a selection ends."""
        if self.bounds is not None:
            for bound in self.bounds[np.isfinite(self.bounds[:, j]), j]:
                mark = ax.axvline if vertical else ax.axhline
                mark(bound, color="black", lw=1, ls=":", zorder=2.5)


def component_densities(
    draws: MixtureParameters, j: int, grid: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Weighted density of each component at each draw: K arrays of shape (S, grid)."""
    w, m, s = draws.weights, draws.means[..., j], draws.scales[..., j]
    densities = []
    for k in range(draws.n_components):
        z = (grid - m[:, k, None]) / s[:, k, None]
        height = w[:, k] / (s[:, k] * np.sqrt(2 * np.pi))
        densities.append(height[:, None] * np.exp(-0.5 * z * z))
    return densities


def noise_density(
    draws: MixtureParameters, j: int, grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted density (S, grid) of noise at each draw; zero where there is none to draw."""
    noise = draws.noise
    if noise is None or noise.box is None:
        return np.zeros((len(draws.weights), len(grid)))
    return noise.marginal(np.array([j])).density_on(grid)


def grid_of(view: View, j: int, low: float, high: float) -> NDArray[np.float64]:
    """Points to draw a density at: close together wherever a component is narrow."""
    m, s = view.center.means[:, j], view.center.scales[:, j]
    near = m + np.linspace(-5, 5, 121)[:, None] * s
    points = np.unique(np.concatenate([np.linspace(low, high, 200), near.ravel()]))
    return points[(points >= low) & (points <= high)]


def bin_edges(view: View, j: int) -> NDArray[np.float64]:
    """Scott's rule for the average component, not for the data: their spread hides modes."""
    low, high = view.reaches[j]
    if high <= low:  # one value, or none
        low, high = low - 0.5, high + 0.5
    if view.bins is not None:
        return np.linspace(low, high, view.bins + 1)
    within = float(np.sqrt(view.center.weights @ view.center.scales[:, j] ** 2))
    width = 3.49 * within * max(len(view.seen(j)[0]), 1) ** (-1 / 3)
    # An outlier asks for more bars than a screen has; the cap keeps bars visible.
    return np.linspace(low, high, int(np.clip(np.ceil((high - low) / width), 8, 150)) + 1)
