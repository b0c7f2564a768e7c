"""The picture of relabelling: traces of the components' means before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import evenly_spaced
from bayesgmm.errors import FitError
from bayesgmm.interface.plots.directions import center_of, feature_index, most_separating
from bayesgmm.interface.plots.numbers import spread_line
from bayesgmm.interface.plots.on_axes import collection_on
from bayesgmm.interface.plots.palette import component_colors, line_style
from bayesgmm.interface.plots.places import place, require_draws
from bayesgmm.interface.plots.words import in_percent, plain
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, TRUTH
from bayesgmm.result.fit import MixtureFit


@whole_imports
def plot_labels(
    fit: MixtureFit,
    *,
    feature: str | int | None = None,
    max_draws: int = 1000,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw each component's mean along the draws, as they were sampled and relabelled.

    Labels of a mixture may switch while it is sampled: on the left a colour then jumps from
    one mean to another.  On the right each colour stays with its component, or the
    relabelling has failed.  Traces are drawn by ``arviz_plots.plot_trace``, chains one
    after the other, with a line where one begins.

    Parameters
    ----------
    fit : MixtureFit
        With draws.
    feature : str or int, optional
        The feature of the means; by default that in which they differ most.
    max_draws : int, default 1000
        Draws shown at most, evenly spaced over each chain.
    legend : bool, default True
        Whether to number the traces.
    ax : pair of Axes, Figure or SubFigure, optional
        A new figure by default.

    Returns
    -------
    array of two Axes

    Raises
    ------
    DataError
        If there is no such feature.
    FitError
        If the fit holds no draws, or does not know how they were relabelled.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_labels
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> before, after = plot_labels(fit)
    >>> before.get_title(), after.get_title()
    ('as sampled: 0% of draws switched labels', 'relabelled')
    """
    import arviz_plots

    legend, most = TRUTH("legend", legend), LIMIT("max_draws", max_draws)
    where = place(ax, (2,), (10.0, 4.0), sharey=True)
    fit = require_draws(fit, "plot_labels")
    names = list(fit.feature_names)
    if feature is None:
        (j,) = most_separating(center_of(fit.parameters), 1)
    else:
        (j,) = feature_index(names, [feature])
    statistics = fit.statistics
    if "permutation" not in statistics:
        raise FitError("plot_labels needs draws that were relabelled, and this fit's were not.")
    after = fit.parameters
    before = after.permute(np.argsort(statistics["permutation"].values, axis=-1))
    chains, draws = after.batch_shape
    kept = evenly_spaced(draws, max(most // chains, 1))
    # One trace a component, chains end to end: (labels, draw, component).
    traces = np.stack(
        [each.means[..., j][:, kept].reshape(-1, after.n_components) for each in (before, after)]
    )
    labels = ["as sampled", "relabelled"]
    values = xr.Dataset(
        {"mean": (("labels", "draw", "component"), traces)}, coords={"labels": labels}
    )
    values = values.assign_coords(component=np.arange(after.n_components))
    axes = where()
    colors = [tuple(color) for color in component_colors(after.n_components).tolist()]
    collection = collection_on(
        axes,
        values,
        "labels",
        aes={"color": ["component"], "linestyle": ["component"]},
        color=colors,
        linestyle=[line_style(k) for k in range(after.n_components)],
    )
    arviz_plots.plot_trace(
        xr.DataTree.from_dict({"/posterior": values}),
        sample_dims=["draw"],
        plot_collection=collection,
        visuals={"trace": {"width": 0.8, "alpha": 0.85}, "xlabel": False, "ticklabels": True,
                 "title": False, "divergence": False},
        aes_by_visuals={"trace": ["color", "linestyle"]},
    )  # fmt: skip
    n = len(kept)
    for panel, label in zip(axes, labels, strict=True):
        for c in range(1, chains):
            panel.axvline(c * n - 0.5, color="0.5", lw=0.8, ls=":")
        panel.set_title(label)
        panel.set(xlabel="draw" if chains == 1 else f"draw of {chains} chains, end to end")
        panel.set_xlim(0, n * chains - 1)
    axes[0].set_ylabel(plain(f"mean of {names[j]}"))
    orders = statistics["permutation"].values.reshape(-1, after.n_components)
    commonest = np.unique(orders, axis=0, return_counts=True)[1].max()
    switched = in_percent(1 - commonest / len(orders))
    axes[0].set_title(f"as sampled: {switched}% of draws switched labels")
    if legend:
        for panel, each in zip(axes, traces, strict=True):
            _number_ends(panel, each, colors)
    return axes


def _number_ends(ax: Axes, traces: NDArray[np.float64], colors: list[Any]) -> None:
    """Each component's number beside the middle of its trace, apart from the others."""
    middle = np.median(traces, axis=0)
    placed = spread_line(ax, middle, 8.0, axis=1)
    for k, color in enumerate(colors):
        ax.annotate(
            str(k),
            (1, middle[k]),
            xycoords=("axes fraction", "data"),
            xytext=(1.025, placed[k]),
            textcoords=("axes fraction", "data"),
            va="center",
            color=color,
            weight="bold",
            fontsize="small",
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.7, "shrinkA": 0, "shrinkB": 0},
        )
