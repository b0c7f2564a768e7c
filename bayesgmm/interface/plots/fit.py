"""The picture of a fit, because a mixture is judged by eye before it is judged by number.

:func:`plot_fit` lays the fitted components over the data.  A point's colour is
its membership, so doubtful rows look doubtful; a posterior shows a few dozen of
its draws, so doubtful components look doubtful too.  Nothing here calls
``plt.show`` or changes Matplotlib's settings: axes come in and go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.interface.plots.directions import Shown, center_of, choose
from bayesgmm.interface.plots.palette import legend_outside, membership_colors
from bayesgmm.interface.plots.panels import draw_density, draw_pairs, draw_plane
from bayesgmm.interface.plots.places import place
from bayesgmm.interface.plots.view import View
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import METHODS
from bayesgmm.options import LIMIT, PROBABILITY, TRUTH, optional, whole
from bayesgmm.predictive.imputation import expected_rows
from bayesgmm.result.fit import MixtureFit, require_fit

#: Draws behind a mean density and its band, where there are more.
_BAND_DRAWS = 2000
_MOST_BINS = 10_000  # bars that each are less than a pixel


@whole_imports
def plot_fit(
    fit: MixtureFit,
    *,
    features: Sequence[str | int] | Literal["projection"] | None = None,
    levels: Sequence[float] = (0.5, 0.9),
    n_draws: int = 40,
    interval: float = 0.9,
    max_points: int = 5000,
    bins: int | None = None,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw the data with the fitted mixture over them.

    Two features: the points, coloured by membership, and each component as
    ellipses that hold stated shares of its mass, with its number at its mean.
    One feature: a histogram with the mixture density and its weighted
    components.  More: a pairs plot of such panels.  A fit that holds draws
    shows some of them as thin lines, its posterior mean in bold, and a pointwise
    interval about a density.

    Parameters
    ----------
    fit : MixtureFit
        From any method.
    features : sequence of str or int, or "projection", optional
        Names or positions of the features to draw, in this order; the others are
        integrated out.  ``"projection"`` is the directions that separate the components
        most, at most four, each named by its largest coefficients.  All features by
        default, and the projection where there are more than 6.
    levels : sequence of float, default (0.5, 0.9)
        Mass of a component inside each of its ellipses: half says where it is,
        nine tenths how far it reaches.  In a panel it is the mass of the
        component's marginal in those two features.
    n_draws : int, default 40
        Draws shown as thin lines where the fit holds draws, evenly spaced over
        the chains; enough to show the spread, few enough to see through.  Of an
        ellipse the largest level is shown.
    interval : float, default 0.9
        Mass of the pointwise interval about a posterior mean density.
    max_points : int, default 5000
        Points drawn at most.  Where there are more rows, the rows with the extreme
        values and a random choice of the others, with a fixed seed, are drawn, and
        the title says so.  Histograms use every row.
    bins : int, optional
        Bars of a histogram; by default Scott's rule for the average component.
    legend : bool, default True
        Add a legend, beside the data and never over them: to the right, or below where there
        is no room.  Axes so small that it would take half of them get none.
    ax : Axes, array of Axes, Figure or SubFigure, optional
        Where to draw.  One or two features need one Axes; d > 2 need an array of
        (d, d) Axes; a Figure or SubFigure is filled with what is needed.  A new
        figure by default.

    Returns
    -------
    Axes, or array of Axes of shape (d, d)
        For d > 2 drawn features an array, whose upper triangle is left empty.

    Raises
    ------
    DataError
        If a feature is not the fit's.
    FitError
        If the first argument is not a fit.
    SpecError
        If an option is out of its range, or ``ax`` is not what the features need.

    Notes
    -----
    Rows that are most probably noise are crosses, those of known class are ringed, and the bounds
    of a selection are dotted.  A point's colour mixes its components' colours in the proportions of
    ``fit.predict_proba`` and turns grey as the two most probable become equal.  Numbers that
    would hide each other stand beside their means, with a line to them; a component four times as
    high as all else, a collapsed one, is cut off and marked.
    Memberships use all features, also where some are not drawn.  In bold, an ellipse
    of a posterior is that of the posterior means of the mean and the covariance.
    Point sizes follow row weights.  A density and its band use at most 2000 draws.

    A projection's directions are generalised eigenvectors of the covariance between the means
    and the one within components (of the posterior means, where there are draws), in units in
    which the latter is one; a name has coefficients of standardised features whose squares sum
    to one.  Holes of rows that are drawn are filled by their expectations, the bounds of a
    selection and the density of noise are not shown.

    References
    ----------
    Scrucca (2010), Dimension reduction for model-based clustering, Statistics and Computing 20.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_fit
    >>> em = bg.fit(bg.MixtureSpec(n_components=2), bg.datasets.faithful(), method="em", seed=1)
    >>> ax = plot_fit(em)
    >>> ax.get_title(), ax.get_xlabel(), len(ax.patches)
    ('K=2, full (EM)', 'eruptions', 4)
    """
    fit = require_fit(fit, "plot_fit")
    shares, interval = _levels(levels), PROBABILITY("interval", interval)
    n_draws, max_points = LIMIT("n_draws", n_draws), LIMIT("max_points", max_points)
    bins, legend = optional(whole(1, _MOST_BINS))("bins", bins), TRUTH("legend", legend)
    chosen = choose(fit, features)
    d = len(chosen.names)
    shape = (d, d) if d > 2 else ()
    axes = place(ax, shape, (1.9 * d + 1.0, 1.8 * d + 0.6) if d > 2 else (7.2, 4.6))
    view = _view(fit, chosen, shares, n_draws, interval, max_points, bins)
    axes, title = axes(), _title(fit, view, chosen)
    if d > 2:
        handles = draw_pairs(axes, view)
        axes[0, 0].set_title(title, loc="left", fontsize="medium").set_in_layout(False)
        # Its height is kept free and its width is not, which would widen one column.
        axes[0, 0].set_title("\n".join(" " for _ in title.split("\n")), fontsize="medium")
        if legend:  # in the empty triangle, so no room need be made
            axes[0, -1].legend(
                handles=handles,
                loc="upper right",
                borderaxespad=0,
                frameon=False,
                fontsize="small",
                ncols=1 + (len(handles) - 1) // (10 * (d - 1)),
            ).set_in_layout(False)
        return axes
    if d == 1:
        handles = draw_density(axes, view, 0)
        axes.set(xlabel=view.names[0], ylabel="density")
    else:
        handles = draw_plane(axes, view, 0, 1)
        axes.set(xlabel=view.names[0], ylabel=view.names[1])
    axes.set_title(title)
    if legend:
        legend_outside(axes, handles)
    return axes


def _view(
    fit: MixtureFit,
    chosen: Shown,
    levels: tuple[float, ...],
    n_draws: int,
    interval: float,
    max_points: int,
    bins: int | None,
) -> View:
    observations = fit.observations.kept
    values = chosen.rows(observations.values)
    rows = _rows_to_draw(values, max_points)
    drawn = observations.part(rows)
    flat = fit.parameters.flat()
    some = flat[evenly_spaced(len(flat.weights), _BAND_DRAWS)]
    draws, posterior = chosen.mixture(some), fit.is_posterior
    if chosen.matrix is not None and drawn.has_holes:
        whole_mixture = center_of(some)[None]
        values[rows] = chosen.rows(expected_rows(whole_mixture, drawn)[0])
    memberships = fit.predict_proba(drawn).values
    labels = drawn.views.labels
    return View(
        names=chosen.names,
        values=values,
        row_weights=observations.row_weights,
        rows=rows,
        colors=membership_colors(memberships, fit.spec.n_components),
        stray=memberships.argmax(axis=1) == fit.spec.n_components,
        known=np.zeros(len(rows), dtype=bool) if labels is None else labels >= 0,
        bounds=chosen.box(observations.views.selection),
        draws=draws,
        thin=draws[evenly_spaced(len(draws.weights), n_draws)] if posterior else None,
        center=center_of(draws),
        levels=levels,
        interval=interval,
        bins=bins,
    )


def _title(fit: MixtureFit, view: View, chosen: Shown) -> str:
    title = f"{fit.spec.label} ({METHODS[fit.method].short})"
    if not fit.status.ok:
        title += f", {fit.status}"
    notes = []
    drawn, n = len(view.rows if len(view.names) > 1 else view.values), fit.fact("n_rows")
    if drawn < n:
        notes.append(f"{drawn:,} of {n:,} rows shown")
    if chosen.note:
        notes.append(chosen.note)
    return title + ("\n" + ", ".join(notes) if notes else "")


def _levels(given: Any) -> tuple[float, ...]:
    several = isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given) == 1 and len(given)
    listed = given if several else [given]
    return tuple(sorted({PROBABILITY("levels", share) for share in listed}))


def _rows_to_draw(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Rows drawn as points: all, or the extremes and a fixed random choice."""
    n = len(values)
    if n <= most:
        return np.arange(n)
    extremes = np.unique(np.concatenate([_extremes(column) for column in values.T]))[:most]
    chosen = np.random.default_rng(0).choice(n, most, replace=False)
    others = chosen[~np.isin(chosen, extremes)][: most - len(extremes)]
    return np.sort(np.concatenate([extremes, others]))


def _extremes(column: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where the least and the largest value are; nowhere if none was seen."""
    ends = np.array([column.argmin(), column.argmax()])
    if not np.isnan(column[ends]).any():  # a hole is both
        return ends
    seen = ~np.isnan(column)
    if not seen.any():
        return ends[:0]
    return np.array([np.nanargmin(column), np.nanargmax(column)])
