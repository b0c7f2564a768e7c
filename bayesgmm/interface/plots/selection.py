"""The picture of a selection by evidence: how probable each model is, and how many components."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Patch

from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.errors import FitError
from bayesgmm.interface.plots.criteria import (
    in_order,
    plot_criteria,
    structure_color,
    structure_labels,
)
from bayesgmm.interface.plots.palette import legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import TRUTH

_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")


@whole_imports
def plot_selection(selection: Selection, *, legend: bool = True, ax: Any = None) -> Any:
    """Draw what a selection's evidence supports: each model's, and probabilities of K.

    On the left the log evidence over K with its errors, as :func:`plot_criteria` has it.  On
    the right the posterior probability of each K among the models that were sampled, parted
    by structure, with a line of one Monte Carlo standard error on each side of the largest
    part; what the models that were not sampled may hold at most stands beside it.

    Parameters
    ----------
    selection : Selection
        Made with ``by="evidence"`` or ``"all"``.
    legend : bool, default True
    ax : pair of Axes, Figure or SubFigure, optional
        A new figure by default.

    Returns
    -------
    array of two Axes

    Raises
    ------
    FitError
        If the argument is no selection, or has no evidence.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.interface.plots import plot_selection
    >>> found = bg.select(bg.datasets.galaxies(), [1, 2], ["full"], by="bic", seed=1, posteriors=0)
    >>> plot_selection(found)
    Traceback (most recent call last):
        ...
    bayesgmm.errors.FitError: No model has an evidence; select with by='evidence' and posteriors=2 \
or more, or draw the other criteria by plot_criteria.
    """
    legend, where = TRUTH("legend", legend), place(ax, (2,), (10.0, 4.0))
    if not isinstance(selection, Selection):
        raise FitError(
            f"plot_selection takes a Selection, got {type(selection).__name__}; make one by "
            "bayesgmm.select."
        )
    known = selection.table.dropna(subset=["probability"])
    if not len(known):
        raise FitError(
            "No model has an evidence; select with by='evidence' and posteriors=2 or more, or "
            "draw the other criteria by plot_criteria."
        )
    left, right = axes = where()
    plot_criteria(selection, criterion="log_evidence", legend=False, ax=left)
    labels = structure_labels(known)
    structures = in_order(labels)
    every = in_order(structure_labels(selection.table))
    ks = known["n_components"].to_numpy()
    base: dict[int, float] = dict.fromkeys(map(int, ks), 0.0)
    handles: list[Any] = []
    for structure in structures:
        hatch = _HATCHES[every.index(structure) % len(_HATCHES)]
        style: dict[str, Any] = {
            "fc": structure_color(every, structure), "hatch": hatch, "ec": "white", "lw": 0.8,
        }  # fmt: skip
        for row in np.flatnonzero(np.array(labels) == structure):
            k, p = int(ks[row]), float(known["probability"].iloc[row])
            right.bar(k, p, 0.7, bottom=base[k], zorder=2, **style)
            base[k] += p
        handles.append(Patch(label=structure, **style))
    top = int(np.argmax(known["probability"].to_numpy()))
    error = known["probability_se"].iloc[top]
    ends = base.copy()
    if np.isfinite(error):
        ends[int(ks[top])] += error
        right.errorbar(int(ks[top]), base[int(ks[top])], yerr=error, color="black", capsize=3)
    for k, total in base.items():
        right.annotate(f"{total:.2f}", (k, ends[k]), xytext=(0, 4), textcoords="offset points",
                       ha="center", fontsize="small", zorder=4)  # fmt: skip
    first, last = int(selection.table["n_components"].min()), int(max(base))
    ticks = {k: str(k) for k in range(first, int(selection.table["n_components"].max()) + 1)}
    left_out = float(selection.unsampled)
    if len(known) < len(selection.table) and np.isfinite(left_out):
        at = max(ticks) + 1
        ticks[at] = "others"
        right.bar(at, left_out, 0.7, fc="none", ec="0.3", ls="--", zorder=2)
        right.annotate(f"{left_out:.2g}" if left_out >= 1e-3 else "< 0.001", (at, left_out),
                       xytext=(0, 3), textcoords="offset points", ha="center", fontsize="small",
                       zorder=4)  # fmt: skip
        handles.append(Patch(fc="none", ec="0.3", ls="--", label="not sampled,\nat most"))
        last = max(last, at)
    step = 1 + len(ticks) // 12
    shown = [k for k in ticks if (k - first) % step == 0 or ticks[k] == "others"]
    right.set_xticks(shown, [ticks[k] for k in shown])
    right.set(
        xlim=(first - 0.7, last + 0.7),
        ylim=(0, 1.1),
        xlabel="number of components K",
        ylabel="posterior probability",
        title=f"K = {max(base, key=lambda k: base[k])} has probability {max(base.values()):.2f}",
    )
    if legend:
        legend_outside(right, handles)
    return axes
