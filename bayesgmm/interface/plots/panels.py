"""The panels that pictures of a fit are made of: a density, a plane, a triangle of both.

:class:`View` holds what is drawn, in numbers; the functions put it on axes and
return the entries of a legend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from bayesgmm.interface.plots.palette import AMBIGUOUS, NOISE, component_colors, line_style
from bayesgmm.mixture.parameters import MixtureParameters

#: Rows up to which a histogram also shows each row.
_RUG_ROWS = 500
#: Points from which a scatter is a cloud.
_CLOUD = 1000
#: Components that a legend names; every one has its number in a panel.
_NAMED = 12
_ANGLES = np.linspace(0, 2 * np.pi, 145)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
_GREY = "0.35"


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
        column, weights = self.values[:, j], self.row_weights
        there = ~np.isnan(column)
        return column[there], None if weights is None else weights[there]

    def limits(self, j: int) -> tuple[float, float]:
        """Range of a feature that leaves out no row and next to no mass."""
        column, _ = self.seen(j)
        w, m, s = self.center.weights, self.center.means[:, j], self.center.scales[:, j]
        points = np.sort((m + np.linspace(-4, 4, 161)[:, None] * s).ravel())
        cumulative = (w * ndtr((points[:, None] - m) / s)).sum(axis=1) / w.sum()
        tails = points[np.searchsorted(cumulative, [0.001, 0.999]).clip(max=len(points) - 1)]
        ends = [column.min(), column.max(), *tails]
        if len(self.names) > 1:
            reach = self.radii[-1]
            ends += [*(m - reach * s), *(m + reach * s)]
            if self.thin is not None:  # most of each thin ellipse: one wild draw sets no range
                mean, sd = self.thin.means[..., j], self.thin.scales[..., j]
                ends += [*np.quantile(mean - reach * sd, 0.1, axis=0)]
                ends += [*np.quantile(mean + reach * sd, 0.9, axis=0)]
        low, high = float(min(ends)), float(max(ends))
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


def ellipse_outline(means: Any, scale_tril: Any, radius: float) -> NDArray[np.float64]:
    """Outlines of ellipses at a Mahalanobis radius, shape (..., 145, 2).

    From the Cholesky factor: it stays exact where an eigendecomposition would lose
    the smaller of two very different scales.
    """
    outline = radius * (_CIRCLE @ np.swapaxes(np.asarray(scale_tril), -1, -2))
    return np.asarray(means)[..., None, :] + outline


def draw_plane(ax: Axes, view: View, a: int, b: int, *, small: bool = False) -> list[Any]:
    """Points and ellipses of two features."""
    center, colors = view.center.marginal([a, b]), component_colors(view.center.n_components)
    points, scale = view.values[view.rows][:, [a, b]], 0.6 if small else 1.0
    sizes, alpha = _point_sizes(view, points, center)
    plain: dict[str, Any] = {"linewidths": 0}
    cross: dict[str, Any] = {"linewidths": 0.9, "marker": "x"}
    for some, marks in ((~view.stray, plain), (view.stray, cross)):
        if some.any():
            ax.scatter(
                points[some, 0],
                points[some, 1],
                c=view.colors[some],
                s=scale * sizes[some],
                alpha=alpha[some],
                zorder=2,
                rasterized=len(points) > _CLOUD,
                **marks,
            )
    if view.known.any():
        known = points[view.known]
        ring: dict[str, Any] = {"ms": 5 * scale, "mfc": "none", "mec": "black", "mew": 0.7}
        ax.plot(known[:, 0], known[:, 1], "o", zorder=2, **ring)
    view.mark_bounds(ax, a, vertical=True)
    view.mark_bounds(ax, b, vertical=False)
    if view.thin is not None:
        thin = view.thin.marginal([a, b])
        outlines = ellipse_outline(thin.means, thin.scale_tril, view.radii[-1])
        for k, color in enumerate(colors):
            ax.add_collection(
                LineCollection(list(outlines[:, k]), colors=[color], lw=0.5, alpha=0.4, zorder=3)
            )
    for k, color in enumerate(colors):
        for radius in view.radii[::-1]:
            outline = ellipse_outline(center.means[k], center.scale_tril[k], radius)
            if len(points) > _CLOUD:  # a white rim shows an ellipse on a cloud of its colour
                ax.plot(*outline.T, color="white", lw=3.4 * scale, alpha=0.7, zorder=3.5)
            ax.add_patch(
                Polygon(
                    outline, fc=(*color, 0.07), ec=color, lw=1.6 * scale, ls=line_style(k), zorder=4
                )
            )
    for k, color in enumerate(colors):
        ax.plot(
            *center.means[k],
            "o",
            ms=8.5 if small else 12,
            mfc=(1, 1, 1, 0.85),
            mec=color,
            mew=1.8 * scale,
            zorder=5,
        )
        ax.text(
            center.means[k, 0],
            center.means[k, 1],
            str(k),
            ha="center",
            va="center_baseline",
            zorder=6,
            fontsize=6.5 if small else 8,
            clip_on=True,
        )
    ax.set(xlim=view.limits(a), ylim=view.limits(b))
    shares = ", ".join(f"{100 * level:g} %" for level in view.levels)
    handles = view.component_handles()
    if view.thin is None:
        handles.append(Patch(fc="0.93", ec=_GREY, label=f"{shares} of its mass"))
    else:
        handles.append(Patch(fc="0.93", ec=_GREY, label=f"posterior mean,\n{shares} of its mass"))
        handles.append(Line2D([], [], color=_GREY, lw=0.6, label=f"{len(view.thin.weights)} draws"))
    if len(colors) > 1:
        handles.append(
            Line2D([], [], ls="", marker="o", mec="none", mfc=AMBIGUOUS, label="doubtful point")
        )
    return handles


def draw_density(ax: Axes, view: View, j: int, *, small: bool = False) -> list[Any]:
    """Histogram, mixture density and weighted components of one feature."""
    column, colors = view.values[:, j], component_colors(view.center.n_components)
    low, high = view.limits(j)
    seen, weights = view.seen(j)
    heights = ax.hist(
        seen,
        bins=_bin_edges(view, j).tolist(),
        weights=weights,
        density=True,
        fc="0.9",
        ec="0.75",
        lw=0.4,
        zorder=1,
    )[0]
    grid = _grid(view, j, low, high)
    components = _component_densities(view.draws, j, grid)  # K arrays (S, grid)
    mixture = np.sum(components, axis=0)
    view.mark_bounds(ax, j, vertical=True)
    level = _noise_density(view.draws, j, grid)
    mixture = mixture + level
    if level.any():
        ax.plot(grid, level.mean(axis=0), color=NOISE, lw=1.3, ls=":", zorder=5)
    mean, width = mixture.mean(axis=0), 0.65 if small else 1.0
    peak = max(np.max(heights), mean.max())
    if view.thin is not None:
        tail = (1 - view.interval) / 2
        band = np.quantile(mixture, [tail, 1 - tail], axis=0)
        ax.fill_between(grid, *band, color="0.55", alpha=0.45, lw=0, zorder=3, label="interval")
        lines = np.sum(_component_densities(view.thin, j, grid), axis=0)
        lines = lines + _noise_density(view.thin, j, grid)
        ax.add_collection(
            LineCollection(
                [np.column_stack([grid, line]) for line in lines],
                colors=[_GREY],
                lw=0.4,
                alpha=0.35,
                zorder=3,
            )
        )
        peak = max(peak, band.max())
    ax.plot(grid, mean, color="black", lw=2.8 * width, zorder=4, label="mixture")
    for k, color in enumerate(colors):
        curve = components[k].mean(axis=0)
        ax.fill_between(grid, curve, color=color, alpha=0.22, lw=0, zorder=2)
        # Above the mixture, which would hide it where it is alone; nothing where it is nothing.
        shown = np.where(curve > 0.002 * mean.max(), curve, np.nan)
        ax.plot(grid, shown, color=color, lw=1.3 * width, ls=line_style(k), zorder=5)
        if not small:
            ax.text(
                view.center.means[k, j],
                1.04 * peak,
                str(k),
                ha="center",
                color=color,
                weight="bold",
                clip_on=True,
                zorder=6,
            )
    bottom, top = 0.0, (1.05 if small else 1.13) * peak
    if len(column) <= _RUG_ROWS and not small:
        bottom = -0.05 * top  # the rug lies below zero, where it hides no bar
        ax.vlines(
            column[view.rows],
            0.8 * bottom,
            0.2 * bottom,
            colors=list(view.colors),
            lw=0.8,
            zorder=3,
        )
        ax.axhline(0, color="0.6", lw=0.8, zorder=1)
    ax.set(xlim=(low, high), ylim=(bottom, top))
    ax.ticklabel_format(axis="y", scilimits=(-3, 4))
    name = "mixture" if view.thin is None else "mixture,\nposterior mean"
    handles = [*view.component_handles(), Line2D([], [], color="black", lw=2.8, label=name)]
    if view.thin is not None:
        handles.append(Patch(fc="0.75", label=f"{100 * view.interval:g} % interval"))
        handles.append(Line2D([], [], color=_GREY, lw=0.6, label=f"{len(view.thin.weights)} draws"))
    handles.append(Patch(fc="0.9", ec="0.75", lw=0.4, label="data"))
    return handles


def draw_pairs(axes: NDArray[Any], view: View) -> list[Any]:
    """Densities on the diagonal, planes below it, nothing above."""
    d = len(view.names)
    handles: dict[str, Any] = {}
    for i in range(d):
        for j in range(d):
            ax = axes[i, j]
            if j > i:
                ax.set_axis_off()
                continue
            if i == j:
                entries = draw_density(ax, view, i, small=True)
                ax.set_yticks([])
            else:
                entries = draw_plane(ax, view, j, i, small=True)
            handles |= {entry.get_label(): entry for entry in entries}
            ax.tick_params(labelsize=8, labelbottom=i == d - 1, labelleft=j == 0 < i)
            ax.set_xlabel(view.names[j] if i == d - 1 else "")
            ax.set_ylabel(view.names[i] if j == 0 < i else "")
    return list(handles.values())


def _point_sizes(
    view: View, points: NDArray[np.float64], center: MixtureParameters
) -> tuple[NDArray[np.float64], Any]:
    """Area and opacity of each point: small and faint in a crowd, never so outside it."""
    n = len(points)
    sizes = np.full(n, np.clip(6000 / n, 3, 22))
    alpha = np.full(n, np.clip(1200 / n, 0.35, 0.85))
    outside = np.ones(n, dtype=bool)
    for mean, tril in zip(center.means, center.scale_tril, strict=True):
        white = solve_triangular(tril, (points - mean).T, lower=True, check_finite=False)
        outside &= (white**2).sum(axis=0) > view.radii[-1] ** 2
    sizes[outside], alpha[outside] = np.maximum(sizes[outside], 8), 0.85
    if view.row_weights is not None:
        sizes *= np.clip(view.row_weights[view.rows] / view.row_weights.mean(), 0.1, 6)
    return sizes, alpha


def _component_densities(
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


def _noise_density(
    draws: MixtureParameters, j: int, grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted density (S, grid) of noise at each draw; zero where there is none to draw."""
    noise = draws.noise
    if noise is None or noise.box is None:
        return np.zeros((len(draws.weights), len(grid)))
    return noise.marginal(np.array([j])).density_on(grid)


def _grid(view: View, j: int, low: float, high: float) -> NDArray[np.float64]:
    """Points to draw a density at: close together wherever a component is narrow."""
    m, s = view.center.means[:, j], view.center.scales[:, j]
    near = m + np.linspace(-5, 5, 121)[:, None] * s
    points = np.unique(np.concatenate([np.linspace(low, high, 200), near.ravel()]))
    return points[(points >= low) & (points <= high)]


def _bin_edges(view: View, j: int) -> NDArray[np.float64]:
    """Scott's rule for the average component, not for the data: their spread hides modes."""
    column, _ = view.seen(j)
    low, high = float(column.min()), float(column.max())
    if view.bins is not None:
        return np.linspace(low, high, view.bins + 1)
    within = float(np.sqrt(view.center.weights @ view.center.scales[:, j] ** 2))
    width = 3.49 * within * len(column) ** (-1 / 3)
    # An outlier asks for more bars than a screen has; the cap keeps bars visible.
    return np.linspace(low, high, int(np.clip(np.ceil((high - low) / width), 8, 150)) + 1)
