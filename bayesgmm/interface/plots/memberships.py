"""The picture of memberships: each row's own, sorted, and how unsure each row is."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Patch

from bayesgmm.interface.plots.palette import NOISE, component_colors, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import LIMIT, TRUTH
from bayesgmm.predictive.memberships import entropies
from bayesgmm.result.fit import MixtureFit, require_fit

#: Part of the rows that a component needs for its number to be written on it.
_ROOM = 0.025


@whole_imports
def plot_memberships(
    fit: MixtureFit, *, max_rows: int = 2000, legend: bool = True, ax: Any = None
) -> Any:
    """Draw the membership probabilities of rows, sorted by component, with their entropy.

    Above, each row is a column that its components share in proportion to their
    probabilities; rows of a component stand together, the surest first.  Below, the entropy
    of each row's memberships: 0 bits where it is sure, 1 where two components are as
    likely.

    Parameters
    ----------
    fit : MixtureFit
        From any method; memberships are averaged over draws.
    max_rows : int, default 2000
        Rows drawn at most; a random choice with a fixed seed of more.
    legend : bool, default True
    ax : pair of Axes, Figure or SubFigure, optional
        A new figure by default.

    Returns
    -------
    array of two Axes

    Raises
    ------
    FitError
        If the first argument is not a fit.
    SpecError
        If an option is out of its range, or ``ax`` is not what is needed.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_memberships
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> above, below = plot_memberships(fit)
    >>> above.get_title()
    'K=2, full: 97 and 175 rows'
    """
    legend, max_rows = TRUTH("legend", legend), LIMIT("max_rows", max_rows)
    grid: dict[str, Any] = {"height_ratios": [2.2, 1.0], "sharex": True}
    where = place(ax, (2, 1), (7.6, 4.6), **grid) if _is_room(ax) else place(ax, (2,), (1, 1))
    fit = require_fit(fit, "plot_memberships")
    n, k, kept = fit.fact("n_rows"), fit.spec.n_components, fit.observations.kept
    rows = np.arange(kept.n_rows)
    if len(rows) > max_rows:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), max_rows, replace=False))
    own = fit.predict_proba(kept.part(rows)).values
    chosen = own.argmax(axis=1)
    own = own[np.lexsort((-own.max(axis=1), chosen))]
    entropy = entropies(own) / np.log(2)
    upper, lower = axes = where().reshape(2)
    edges = np.arange(len(rows) + 1)
    colors = [*component_colors(k), *[NOISE] * (own.shape[1] - k)]
    base = np.zeros(len(rows))
    counts = np.bincount(chosen, minlength=own.shape[1])
    order = range(own.shape[1])
    for m in order:
        top = base + own[:, m]
        upper.stairs(top, edges, baseline=base, fill=True, color=colors[m], lw=0)
        base = top
    ends = np.concatenate([[0], np.cumsum(counts)])
    for m in order:
        name = str(m) if m < k else "noise"
        if counts[m]:
            for panel in axes:
                panel.axvline(ends[m], color="white" if panel is upper else "0.8", lw=1.2)
        if counts[m] >= _ROOM * len(rows):
            upper.text(
                0.5 * (ends[m] + ends[m + 1]),
                0.5,
                name,
                ha="center",
                va="center",
                rotation=90 if m == k else 0,
                bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.9},
            )
    lower.stairs(entropy, edges, fill=True, color="0.35", lw=0)
    lower.axhline(entropy.mean(), color="black", lw=1, ls="--")
    lower.annotate(
        f"mean {entropy.mean():.2f}" if entropy.mean() >= 0.005 else "mean below 0.01",
        (1, entropy.mean()),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 2),
        textcoords="offset points",
        ha="right",
        fontsize="small",
        bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85},
    )
    upper.set(ylim=(0, 1), ylabel="membership", xlim=(0, len(rows)))
    lower.set(
        ylim=(0, max(1.0, 1.1 * entropy.max())),
        ylabel="entropy (bits)",
        xlabel="rows, sorted by component",
        xlim=(0, len(rows)),
    )
    told = [f"{count:,}" for count in counts[:k]]
    many = ", ".join(told[:-1]) + " and " + told[-1] if len(told) > 1 else told[0]
    title = f"{fit.spec.label}: {many} rows" if k <= 6 else f"{fit.spec.label}: {len(rows):,} rows"
    if n > len(rows):
        title += f" ({len(rows):,} of {n:,} shown)"
    upper.set_title(title)
    if legend:
        names = [*map(str, range(k)), *["noise"] * (own.shape[1] - k)]
        labels = [f"{name}: {c:,} rows" for name, c in zip(names, counts, strict=True)]
        legend_outside(
            upper, [Patch(fc=c, label=text) for c, text in zip(colors, labels, strict=True)]
        )
    return axes


def _is_room(ax: Any) -> bool:
    return ax is None or hasattr(ax, "subplots")
