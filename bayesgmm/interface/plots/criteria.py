"""Criteria over the number of components: the picture behind a choice of model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from bayesgmm.analysis.compare import ranks
from bayesgmm.errors import DataError, SpecError
from bayesgmm.interface.plots.palette import PALETTE, legend_outside
from bayesgmm.interface.plots.places import place
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.options import TRUTH, one_of

#: Each criterion's name on an axis, and whether its smallest or largest value is best.
CRITERIA = {
    "aic": ("AIC", "smaller"),
    "bic": ("BIC", "smaller"),
    "icl": ("ICL", "smaller"),
    "elpd_loo": ("elpd_loo", "larger"),
    "log_evidence": ("log evidence", "larger"),
}
#: A marker for each structure, so that no one depends on the colours.
_MARKERS = "osDXPp"


@whole_imports
def plot_criteria(
    table: Any,
    *,
    criterion: str | Sequence[str] = "bic",
    zoom: bool = True,
    legend: bool = True,
    ax: Any = None,
) -> Any:
    """Draw model criteria over K, a line for each covariance structure.

    A star marks the best model.  A criterion that is known with an error (a column
    ``elpd_loo_se``, say) has bars of one standard error on each side; they are wider
    than the error of a difference between models, so overlapping bars do not say that
    two models are equally good.

    Parameters
    ----------
    table : DataFrame, or an object whose ``.table`` is one
        A row per model, with columns ``n_components``, ``covariance`` and the
        criteria; a selection will do.  Rows where a criterion is NaN are left out of
        its panel.
    criterion : str or sequence of str, default "bic"
        ``aic``, ``bic``, ``icl`` (smaller is better), ``elpd_loo`` or
        ``log_evidence`` (larger is better).  The default needs a point fit only
        and is consistent for the number of components.
    zoom : bool, default True
        Where a wide gap parts the better models from far worse ones, let the axis
        show the better, or nothing could be told among them.  At least half of the
        models stay; the others stand as carets at the edge.
    legend : bool, default True
    ax : Axes, sequence of Axes, Figure or SubFigure, optional
        Where to draw: one Axes for each criterion.  A new figure by default.

    Returns
    -------
    Axes, or array of Axes of shape (number of criteria,)
        An array where ``criterion`` is a sequence.

    Raises
    ------
    DataError
        If the table lacks a column, holds a model twice, or has no value to draw.
    SpecError
        If a criterion is not known or ``ax`` does not match.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesgmm.interface.plots import plot_criteria
    >>> table = pd.DataFrame({
    ...     "n_components": [1, 2, 3], "covariance": "full", "bic": [2607.6, 2322.2, 2355.1]
    ... })
    >>> plot_criteria(table).get_title()
    'best BIC: K=2, full'
    """
    several, zoom = not isinstance(criterion, str), TRUTH("zoom", zoom)
    legend = TRUTH("legend", legend)
    listed = criterion if isinstance(criterion, (list, tuple)) else [criterion]
    names = [one_of(*CRITERIA)("criterion", name) for name in listed]
    if not names:
        raise SpecError(f"criterion is empty; name at least one of {', '.join(CRITERIA)}.")
    if not hasattr(table, "columns"):
        table = getattr(table, "table", table)
    lines = [_lines(table, name) for name in names]
    n = len(names)
    if n == 1 and isinstance(ax, (list, tuple, np.ndarray)) and np.size(ax) == 1:
        ax = np.asarray(ax, dtype=object).item()
    where = place(ax, (n,) if n > 1 else (), (4.2 * n + 1.6, 3.8))
    axes = np.atleast_1d(np.asarray(where(), dtype=object))
    structures = in_order(label for panel in lines for label in panel)
    beyond = 0
    for panel, name, values in zip(axes, names, lines, strict=True):
        _draw(panel, name, values, structures)
        beyond += _zoom(panel, name, values, structures) if zoom else 0
    handles: list[Any] = [
        Line2D([], [], color=structure_color(structures, s), marker=_marker(structures, s), label=s)
        for s in structures
    ]
    handles.append(Line2D([], [], ls="", marker="*", ms=14, mfc="white", mec="black", label="best"))
    if beyond:
        handles.append(Line2D([], [], ls="", marker="^", color="0.4", label="off the axis"))
    if legend:
        legend_outside(axes[-1], handles)
    return axes if several else axes[0]


def _lines(table: Any, name: str) -> dict[str, NDArray[np.float64]]:
    """For each structure an array of rows (K, value, standard error), K ascending."""
    if not hasattr(table, "columns"):
        raise DataError(
            f"plot_criteria draws a DataFrame or a selection, got {type(table).__name__}."
        )
    for column in ("n_components", "covariance", name):
        if column not in table.columns:
            raise DataError(
                f"The table has no column {column!r}; it has "
                f"{', '.join(str(c) for c in table.columns)}.",
                column=column,
            )
    k = np.asarray(table["n_components"], dtype=float)
    value = np.asarray(table[name], dtype=float)
    error = np.zeros(len(k))
    if f"{name}_se" in table.columns:
        error = np.nan_to_num(np.asarray(table[f"{name}_se"], dtype=float))
    labels = np.array(structure_labels(table))
    kept = np.isfinite(value)
    if not kept.any():
        raise DataError(
            f"Column {name!r} holds no value in any row; compute it first.", column=name
        )
    lines = {}
    for label in in_order(labels[kept]):
        mine = kept & (labels == label)
        rows = np.column_stack([k[mine], value[mine], error[mine]])
        rows = rows[np.argsort(rows[:, 0])]
        twice = rows[1:, 0][np.diff(rows[:, 0]) == 0]
        if len(twice):
            raise DataError(
                f"The table holds K={twice[0]:g}, {label} more than once; keep one row per model."
            )
        lines[label] = rows
    return lines


def _draw(
    ax: Axes, name: str, lines: dict[str, NDArray[np.float64]], structures: list[str]
) -> None:
    title, better = CRITERIA[name]
    best = _best(name, lines)
    bars = any((rows[:, 2] > 0).any() for rows in lines.values())
    for label, rows in lines.items():
        place = structures.index(label)
        # Bars at one K stand side by side, or none could be read.
        shift = 0.07 * (place - (len(structures) - 1) / 2) if bars else 0.0
        style: dict[str, Any] = {
            "color": structure_color(structures, label),
            "marker": _marker(structures, label),
            "ms": 5,
            "lw": 1.5,
            "label": label,
        }
        x = rows[:, 0] + shift
        if bars:
            ax.errorbar(x, rows[:, 1], yerr=rows[:, 2], capsize=2.5, elinewidth=1.0, **style)
        else:
            ax.plot(x, rows[:, 1], **style)
        if label == best[1]:
            at = int(np.flatnonzero(rows[:, 0] == best[0])[0])
            star = (float(x[at]), float(rows[at, 1]))
    ax.plot(
        *star,
        "*",
        ms=15,
        mfc=structure_color(structures, best[1]),
        mec="black",
        mew=0.8,
        zorder=6,
        label="best",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    ax.set(
        xlabel="number of components K",
        ylabel=f"{title} ({better} is better)",
        title=f"best {title}: K={best[0]:g}, {best[1]}",
    )
    ks = np.concatenate([rows[:, 0] for rows in lines.values()])
    ax.set_xlim(ks.min() - 0.5, ks.max() + 0.5)


def _best(name: str, lines: dict[str, NDArray[np.float64]]) -> tuple[float, str]:
    """K and structure of the best model; of those equal up to rounding the simplest."""
    sign = 1.0 if CRITERIA[name][1] == "smaller" else -1.0
    order = ranks(sign * np.concatenate([rows[:, 1] for rows in lines.values()]))
    models = [(float(k), label) for label, rows in lines.items() for k in rows[:, 0]]
    first = [model for model, rank in zip(models, order, strict=True) if rank == 0]
    return min(first, key=lambda model: model[0])  # structures are in their usual order


def _zoom(ax: Axes, name: str, lines: dict[str, NDArray[np.float64]], structures: list[str]) -> int:
    """Leave models beyond the widest gap off the axis, as carets; how many there are."""
    sign = 1.0 if CRITERIA[name][1] == "smaller" else -1.0
    values = np.concatenate([rows[:, 1] for rows in lines.values()])
    worse = sign * values - (sign * values).min()
    ranked = np.sort(worse)
    least = max(len(ranked) // 2, 4)  # models that stay in any case
    inner, outer = ranked[least - 1 : -1], ranked[least:]
    gap = outer / np.maximum(inner, np.finfo(float).tiny)
    if not len(gap) or gap.max() < 2:
        return 0
    reach = inner[np.argmax(gap)]
    bars = np.concatenate([rows[:, 2] for rows in lines.values()])
    shown = worse <= reach
    nearest, farthest = (worse - bars)[shown].min(), (worse + bars)[shown].max()
    margin = 0.1 * (farthest - nearest)
    best = sign * (sign * values).min()
    ax.set_ylim(*sorted(best + sign * np.array([nearest - margin, farthest + margin])))
    up = sign > 0
    for label, rows in lines.items():
        k = rows[sign * (rows[:, 1] - best) > farthest + margin, 0]
        shift = 0.13 * (structures.index(label) - (len(structures) - 1) / 2)
        ax.plot(
            k + shift,
            np.full(len(k), 0.975 if up else 0.025),
            ls="",
            ms=7,
            zorder=5,
            marker="^" if up else "v",
            color=structure_color(structures, label),
            transform=ax.get_xaxis_transform(),
        )
    return int((worse > farthest + margin).sum())


def structure_labels(table: Any) -> list[str]:
    """The structure of each model, and its noise: of a selection, whose index says so."""
    return [
        f"{label} + noise" if str(name).endswith(", noise") else str(label)
        for name, label in zip(table.index, table["covariance"], strict=True)
    ]


def in_order(labels: Any) -> list[str]:
    """Distinct structures, the known ones in their usual order first."""
    found = dict.fromkeys(str(label) for label in labels)
    known: list[str] = [s for s in STRUCTURES if s in found]
    return known + [s for s in found if s not in known]


def structure_color(structures: list[str], label: str) -> str:
    return PALETTE[_place(structures, label) % len(PALETTE)]


def _marker(structures: list[str], label: str) -> str:
    return _MARKERS[_place(structures, label) % len(_MARKERS)]


def _place(structures: list[str], label: str) -> int:
    """A structure's own place, the same in every plot, whatever else is drawn."""
    if label in STRUCTURES:
        return list(STRUCTURES).index(label)
    return len(STRUCTURES) + [s for s in structures if s not in STRUCTURES].index(label)
