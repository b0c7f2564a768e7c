"""The picture of a partition: who is with whom, and how far the posterior is from one answer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle

from bayesgmm.analysis.partitions.partition import Partition
from bayesgmm.errors import FitError
from bayesgmm.interface.plots.palette import PALETTE, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, TRUTH

_BLACK = 1.3  # similarity that would be black: a block of ones is not to hide its frame
_STRIP = 0.045  # height of a strip, as a part of the matrix's


@whole_imports
def plot_similarity(
    partition: Partition, *, max_rows: int = 1000, legend: bool = True, ax: Any = None
) -> Any:
    """Draw the posterior similarity of rows, ordered by their cluster, with its credible ball.

    A cell is the darker the likelier it is that two rows are in one cluster; clusters of the
    partition are framed, and within each the surest rows come first.  Strips below show
    partitions of the same rows, a colour and a number for each cluster: the estimate, and
    the bounds of its credible ball, which are the draws in it with the fewest and with the
    most clusters and the farthest one.

    Parameters
    ----------
    partition : Partition
        As :func:`bayesgmm.partition` makes it.
    max_rows : int, default 1000
        Rows drawn at most, evenly spaced in that order.
    legend : bool, default True
    ax : Axes, Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If the first argument is no partition.

    References
    ----------
    Wade and Ghahramani (2018), Bayesian cluster analysis: point estimation and credible
    balls, Bayesian Analysis 13.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_similarity
    >>> post = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> ax = plot_similarity(bg.partition(post, max_draws=200, seed=1))
    >>> ax.get_title().split(";")[0]
    '2 clusters of 272 rows'
    """
    max_rows, legend = LIMIT("max_rows", max_rows), TRUTH("legend", legend)
    where = place(ax, (), (6.8, 6.2))
    if not isinstance(partition, Partition):
        raise FitError(
            f"plot_similarity takes a Partition, got {type(partition).__name__}; make one by "
            "bayesgmm.partition."
        )
    labels, ball = partition.labels.values, partition.credible_ball
    order = np.lexsort((-partition.certainty.values, labels))
    total = len(order)
    if total > max_rows:
        order = order[np.linspace(0, total - 1, max_rows).round().astype(int)]
    matrix = partition.similarity(order).values
    axes, n = where(), len(order)
    axes.imshow(
        matrix,
        cmap="Greys",
        vmin=0,
        vmax=_BLACK,
        interpolation="nearest",
        extent=(0, n, n, 0),
        zorder=1,
    )
    ends = [0, *(np.flatnonzero(np.diff(labels[order])) + 1).tolist(), n]
    for number, (begin, end) in enumerate(pairwise(ends)):
        axes.add_patch(
            Rectangle((begin, begin), end - begin, end - begin, fc="none",
                      ec=PALETTE[number % len(PALETTE)], lw=2, zorder=3)
        )  # fmt: skip
    strips = {
        "estimate": labels,
        "fewest": ball.upper.values[0],
        "most": ball.lower.values[0],
        "farthest": ball.horizontal.values[0],
    }
    height, ticks = _STRIP * n, []
    for i, (name, bound) in enumerate(strips.items()):
        top = n + (0.5 + 1.35 * i) * height
        own = _matched(bound, labels)[order]
        image = np.array([to_rgb(PALETTE[c % len(PALETTE)]) for c in own])[None]
        axes.imshow(image, extent=(0, n, top + height, top), interpolation="nearest", zorder=1,
                    aspect="auto")  # fmt: skip
        _number_runs(axes, own, top + height / 2, n)
        many = len(np.unique(bound))
        ticks.append((top + height / 2, f"{name}: {many}"))
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize="small")
    axes.set_aspect("auto")
    bottom = n + (0.8 + 1.35 * len(strips)) * height
    axes.set(xlim=(0, n), ylim=(bottom, 0), xticks=[])
    axes.tick_params(axis="y", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    fewest, most = (len(np.unique(strips[name])) for name in ("fewest", "most"))
    clusters = f"{partition.n_clusters} cluster{'s' * (partition.n_clusters != 1)}"
    numbers = f"{fewest} to {most}" if fewest < most else f"{fewest}"
    title = f"{clusters} of {total:,} rows; {numbers} in the {100 * ball.mass:g} % credible ball"
    if n < total:
        title += f"\n{n:,} rows shown"
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("rows, sorted by cluster")
    if legend:
        greys = colormaps["Greys"]
        grey = [(1.0, "always together"), (0.5, "in half of the draws"), (0.0, "never")]
        handles: list[Any] = [Patch(fc=greys(p / _BLACK), ec="0.6", label=text) for p, text in grey]
        handles.append(Patch(fc="none", ec=PALETTE[0], lw=2, label="cluster"))
        legend_outside(axes, handles)
    return axes


def _matched(bound: Any, labels: Any) -> Any:
    """A partition's clusters by the numbers of those of the estimate that they share most with.

    Where several share most with one, the largest has its number and the others new ones.
    """
    values, own = np.unique(bound, return_inverse=True)
    table = np.zeros((len(values), int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (own, labels), 1)
    named: dict[int, int] = {}
    new = table.shape[1]
    for i in np.argsort(-table.max(axis=1), kind="stable").tolist():
        best = int(table[i].argmax())
        if best in named.values():
            best, new = new, new + 1
        named[i] = best
    return np.array([named[i] for i in range(len(values))])[own]


def _number_runs(axes: Any, own: Any, y: float, n: int) -> None:
    """A cluster's number on its longest run, where it has room."""
    cuts = [0, *(np.flatnonzero(np.diff(own)) + 1).tolist(), len(own)]
    longest: dict[int, tuple[int, int]] = {}
    for begin, end in pairwise(cuts):
        known = longest.get(int(own[begin]), (0, 0))
        if end - begin > known[1] - known[0]:
            longest[int(own[begin])] = (begin, end)
    for number, (begin, end) in longest.items():
        if end - begin > 0.03 * n:
            axes.text((begin + end) / 2, y, str(number), ha="center", va="center_baseline",
                      fontsize="x-small", color="white", weight="bold")  # fmt: skip
