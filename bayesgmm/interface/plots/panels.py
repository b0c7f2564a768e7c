"""The panels that pictures of a fit are made of: a density, a plane, a triangle of both.

Functions put what :class:`View` holds on axes and return the entries of a legend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesgmm.interface.plots.directions import in_lines
from bayesgmm.interface.plots.numbers import number_points, spread_line
from bayesgmm.interface.plots.palette import AMBIGUOUS, NOISE, component_colors, line_style
from bayesgmm.interface.plots.view import (
    View,
    bin_edges,
    component_densities,
    grid_of,
    noise_density,
)
from bayesgmm.mixture.parameters import MixtureParameters

#: Rows up to which a histogram also shows each row.
_RUG_ROWS = 500
#: Points from which a scatter is a cloud.
_CLOUD = 1000
_ANGLES = np.linspace(0, 2 * np.pi, 145)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
_GREY, _BAND = "0.35", "#9DB7CF"
#: Times as high as all else from which a component is cut off: a collapsed one.
_SPIKE = 4.0


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
    ax.set(xlim=view.limits(a), ylim=view.limits(b))
    number_points(ax, center.means, colors, small=small)
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
    (low, high), posterior = view.limits(j), view.thin is not None
    seen, weights = view.seen(j)
    edges = bin_edges(view, j)
    counts = np.histogram(seen, len(edges) - 1, (edges[0], edges[-1]), weights=weights)[0]
    heights = counts / max(counts.sum() * (edges[1] - edges[0]), np.finfo(float).tiny)
    bars: dict[str, Any] = {"fc": "0.9", "ec": "0.72", "lw": 0.4, "zorder": 1}
    if small:  # one artist, where there may be dozens of panels
        ax.stairs(heights, edges, fill=True, **bars)
    else:
        ax.bar(edges[:-1], heights, np.diff(edges), align="edge", **bars)
    grid = grid_of(view, j, low, high)
    components = component_densities(view.draws, j, grid)  # K arrays (S, grid)
    level = noise_density(view.draws, j, grid)
    mixture = np.sum(components, axis=0) + level
    curves = [component.mean(axis=0) for component in components]
    mean, width = mixture.mean(axis=0), 0.65 if small else 1.0
    view.mark_bounds(ax, j, vertical=True)
    if level.any():
        ax.plot(grid, level.mean(axis=0), color=NOISE, lw=1.3, ls=":", zorder=5)
    spikes = _spikes(np.array([curve.max() for curve in curves]), float(heights.max()))
    calm = level.mean(axis=0) + sum(
        (curve for curve, spike in zip(curves, spikes, strict=True) if not spike),
        np.zeros(len(grid)),
    )
    peak = max(float(np.max(heights)), float(calm.max()))
    if posterior:
        peak = max(peak, min(_draw_uncertainty(ax, view, j, grid, mixture), 1.6 * peak))
    ax.plot(grid, mean, color="black", lw=(2.0 if posterior else 2.8) * width, zorder=4,
            label="mixture")  # fmt: skip
    for k, color in enumerate(colors):
        curve = curves[k]
        if not posterior:
            ax.fill_between(grid, curve, color=color, alpha=0.22, lw=0, zorder=2)
        # Above the mixture, which would hide it where it is alone; nothing where it is nothing.
        shown = np.where(curve > 0.002 * calm.max(), curve, np.nan)
        ax.plot(grid, shown, color=color, lw=1.3 * width, ls=line_style(k), zorder=5)
    bottom, top = 0.0, (1.05 if small else 1.16) * peak
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
    tops = np.array([curve.max() for curve in curves])
    _number_density(ax, view.center.means[:, j], tops, spikes, colors, peak, small)
    name = "mixture,\nposterior mean" if posterior else "mixture"
    handles = [*view.component_handles(), Line2D([], [], color="black", lw=2.8, label=name)]
    if view.thin is not None:
        handles.append(Patch(fc=_BAND, label=f"{100 * view.interval:g} % interval"))
        handles.append(Line2D([], [], color=_GREY, lw=0.6, label=f"{len(view.thin.weights)} draws"))
    if spikes.any() and not small:
        handles.append(
            Line2D([], [], ls="", marker="^", color="0.4", label="component higher\nthan the axis")
        )
    handles.append(Patch(fc="0.9", ec="0.72", lw=0.4, label="data"))
    return handles


def _spikes(tops: NDArray[np.float64], bars: float) -> NDArray[np.bool_]:
    """Components so narrow and high that nothing else could be seen beside them."""
    spikes = np.zeros(len(tops), dtype=bool)
    for k in np.argsort(-tops):
        others = tops[~spikes & (np.arange(len(tops)) != k)]
        if tops[k] <= _SPIKE * max(bars, others.max(initial=0.0)):
            break
        spikes[k] = True
    return spikes


def _draw_uncertainty(
    ax: Axes, view: View, j: int, grid: NDArray[np.float64], mixture: NDArray[np.float64]
) -> float:
    """The band of the mixture's density and some of its draws; how high they come."""
    assert view.thin is not None
    tail = (1 - view.interval) / 2
    band = np.quantile(mixture, [tail, 1 - tail], axis=0)
    ax.fill_between(grid, *band, color=_BAND, lw=0, zorder=2.2, label="interval")
    lines = np.sum(component_densities(view.thin, j, grid), axis=0)
    lines = lines + noise_density(view.thin, j, grid)
    ax.add_collection(
        LineCollection(
            [np.column_stack([grid, line]) for line in lines],
            colors=["black"],
            lw=0.4,
            alpha=0.35,
            zorder=3,
        )
    )
    return float(max(band.max(), lines.max()))


def _number_density(
    ax: Axes, means: Any, tops: Any, spikes: Any, colors: Any, peak: float, small: bool
) -> None:
    """Numbers above the panel's highest curve, each with a line to its component's mean."""
    if small:
        return
    placed = spread_line(ax, means, 11.0 if len(means) < 11 else 15.5)  # room for two digits
    for k, color in enumerate(colors):
        if placed[k] != means[k]:
            ax.plot([means[k], placed[k]], [1.01 * peak, 1.065 * peak], color=color, lw=0.8)
        if spikes[k]:
            ax.plot(means[k], 1.0 * peak, "^", color=color, ms=6, zorder=6)
        ax.text(
            placed[k],
            1.07 * peak,
            str(k),
            ha="center",
            color=color,
            weight="bold",
            clip_on=True,
            zorder=7,
            bbox={"fc": "white", "ec": "none", "pad": 0.8},
        )


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
            ax.set_xlabel(in_lines(view.names[j]) if i == d - 1 else "")
            ax.set_ylabel(in_lines(view.names[i]) if j == 0 < i else "")
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
