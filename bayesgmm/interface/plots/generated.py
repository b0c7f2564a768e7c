"""The picture of generated rows beside real ones, which a right model makes hard to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.interface.plots.directions import choose, in_lines
from bayesgmm.interface.plots.palette import PALETTE, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, TRUTH, generator
from bayesgmm.result.fit import MixtureFit, require_fit

Array = NDArray[np.float64]

_REAL, _MADE = PALETTE[0], PALETTE[1]
_MOST_PANELS = 5
_ROUNDS = 20  # of new rows, where a selection rejects some


@whole_imports
def plot_generated(
    fit: MixtureFit,
    *,
    features: Sequence[str | int] | Literal["projection"] | None = None,
    max_points: int = 2000,
    legend: bool = True,
    ax: Any = None,
    seed: Any = 0,
) -> Any:
    """Draw rows generated from a fit beside those that it was fitted to.

    One feature: both histograms.  More: below the diagonal the data, above it as many
    generated rows in mirrored panels of the same scales, and both histograms on it.  If the
    model is right the picture is symmetric; what is on one side alone is what the model makes
    and the data do not have, or the other way round.

    Parameters
    ----------
    fit : MixtureFit
        From any method; each row is from a draw of its own.
    features : sequence of str or int, or "projection", optional
        What is drawn, as in :func:`plot_fit`; all by default, and the projection where there
        are more than 5.
    max_points : int, default 2000
        Rows drawn at most, of the data and of the generated.
    legend : bool, default True
    ax : Axes, array of (d, d) Axes, Figure or SubFigure, optional
        A new figure by default.
    seed : int, SeedSequence or Generator, default 0
        Of the generated rows.

    Returns
    -------
    Axes, or array of Axes of shape (d, d)

    Raises
    ------
    DataError
        If a feature is not the fit's, or noise has a density that is known at the fitted
        rows alone.

    Notes
    -----
    Generated rows outside of the bounds of a selection are drawn again, errors of
    measurement are added as the data have them, and values are missing where they are
    in rows of the data.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_generated
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> axes = plot_generated(fit)
    >>> axes[1, 0].get_title(), axes[0, 1].get_title()
    ('data', 'generated')
    """
    legend, max_points = TRUTH("legend", legend), LIMIT("max_points", max_points)
    rng = generator(seed)
    fit = require_fit(fit, "plot_generated")
    chosen = choose(fit, features, most=_MOST_PANELS)
    d = len(chosen.names)
    where = place(ax, (d, d) if d > 1 else (), (2.1 * d + 0.9, 2.0 * d) if d > 1 else (7.2, 4.2))
    n, kept = fit.fact("n_rows"), fit.observations.kept
    rows = np.arange(kept.n_rows)
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), max_points, replace=False))
    real = chosen.rows(kept.values[rows])
    made = chosen.rows(_made(fit, kept, rows, rng))
    axes = where()
    note = chosen.note + (f"\n{len(rows):,} of {n:,} rows" if n > len(rows) else "")
    handles: list[Any] = [
        Patch(fc=_REAL, alpha=0.35, label="data"),
        Line2D([], [], color=_MADE, lw=1.8, label="generated"),
    ]
    if d == 1:
        _histograms(axes, real[:, 0], made[:, 0])
        axes.set(xlabel=chosen.names[0], ylabel="density", title=f"{fit.spec.label} {note}".strip())
        if legend:
            legend_outside(axes, handles)
        return axes
    limits = [_limits(real[:, j], made[:, j]) for j in range(d)]
    for i in range(d):
        for j in range(d):
            panel = axes[i, j]
            if i == j:
                _histograms(panel, real[:, i], made[:, i])
                panel.set_yticks([])
            else:
                of, color, marker = (real, _REAL, "o") if j < i else (made, _MADE, "D")
                size = float(np.clip(3000 / max(len(of), 1), 3, 12))
                panel.scatter(of[:, j], of[:, i], s=size, color=color, marker=marker, alpha=0.55,
                              linewidths=0, rasterized=len(of) > 1000)  # fmt: skip
                panel.set_ylim(limits[i])
            panel.set_xlim(limits[j])
            outer = j == 0 if j < i else j == d - 1
            if j > i:
                panel.yaxis.tick_right()
            panel.tick_params(labelsize=8, labelbottom=i == d - 1, labelleft=outer and j < i,
                              labelright=outer and j > i)  # fmt: skip
            panel.set_xlabel(in_lines(chosen.names[j]) if i == d - 1 else "")
            panel.set_ylabel(in_lines(chosen.names[i]) if j == 0 else "")
    axes[1, 0].set_title("data", color=_REAL, fontsize="medium")
    axes[0, d - 1].set_title("generated", color=_MADE, fontsize="medium")
    if note or legend:
        # Above the panel, for no corner of a histogram is sure to be empty.
        told = "\n".join(fill(line, 26) for line in note.split("\n"))
        axes[0, 0].set_title(told + "\n" * legend, loc="left", fontsize="x-small")
    if legend:
        axes[0, 0].legend(handles=handles, fontsize="x-small", frameon=False, ncols=2,
                          loc="lower left", bbox_to_anchor=(0, 1), handlelength=1.2,
                          columnspacing=1.0, borderaxespad=0.2, borderpad=0)  # fmt: skip
    return axes


def _made(
    fit: MixtureFit, kept: Observations, rows: NDArray[np.int64], rng: np.random.Generator
) -> Array:
    """As many generated rows, seen as those rows of the data were."""
    views, values = kept.views, kept.values[rows]
    made = fit.generate(len(rows), seed=rng)["x"].values.copy()
    for _ in range(_ROUNDS):
        seen = made + _errors(views.errors, rows, rng)
        if views.selection is None:
            break
        outside = ((seen < views.selection[0]) | (seen > views.selection[1])).any(axis=1)
        if not outside.any():
            break
        made[outside] = fit.generate(int(outside.sum()), seed=rng)["x"].values
    if views.selection is not None:
        seen[((seen < views.selection[0]) | (seen > views.selection[1])).any(axis=1)] = np.nan
    return np.where(np.isnan(values), np.nan, seen)


def _errors(errors: Any, rows: NDArray[np.int64], rng: np.random.Generator) -> Any:
    """Errors of measurement of those rows; 0 without any."""
    if errors is None:
        return 0.0
    own = errors[rows]
    if own.ndim == 2:
        return own * rng.standard_normal(own.shape)
    values, vectors = np.linalg.eigh(own)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return (roots @ rng.standard_normal((*own.shape[:2], 1)))[..., 0]


def _histograms(ax: Axes, real: Array, made: Array) -> None:
    real, made = real[~np.isnan(real)], made[~np.isnan(made)]
    both = np.concatenate([real, made])
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    bins = int(np.clip(2.5 * np.sqrt(max(len(real), 1)) * 0.6, 8, 50))
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    looks: tuple[tuple[Array, dict[str, Any]], ...] = (
        (real, {"fill": True, "color": _REAL, "alpha": 0.35, "lw": 0}),
        (made, {"color": _MADE, "lw": 1.8}),
    )
    for values, style in looks:
        counts = np.histogram(values, edges)[0]
        heights = counts / max(counts.sum() * (edges[1] - edges[0]), np.finfo(float).tiny)
        ax.stairs(heights, edges, **style)


def _limits(real: Array, made: Array) -> tuple[float, float]:
    """Of both, though a few generated rows far out are left off the axis."""
    real, made = real[~np.isnan(real)], made[~np.isnan(made)]
    if not len(real) or not len(made):
        return 0.0, 1.0
    inner = np.quantile(made, [0.005, 0.995])
    low, high = min(real.min(), inner[0]), max(real.max(), inner[1])
    room = 0.05 * (high - low) or 1.0
    return float(low - room), float(high + room)
