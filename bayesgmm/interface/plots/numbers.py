"""Numbers of components that do not hide each other.

Components may have means that lie close together, and their numbers are what names them in
a picture without colours.  Numbers that would overlap are moved apart, each with a line
to where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDS = 300


def number_points(
    ax: Axes, points: Array, colors: Any, *, small: bool = False, names: Sequence[str] | None = None
) -> None:
    """Circles with numbers at points (K, 2) of axes whose limits are set."""
    diameter, width = (8.5, 1.1) if small else (12.0, 1.8)
    placed = spread_points(ax, points, diameter + width)
    for k, color in enumerate(colors):
        moved = not np.array_equal(placed[k], points[k])
        if moved:
            ax.plot(*np.stack([points[k], placed[k]]).T, color=color, lw=0.8, zorder=4.8)
            ax.plot(*points[k], "o", ms=3 if small else 4, color=color, mec="white", mew=0.5,
                    zorder=4.9)  # fmt: skip
        ax.plot(*placed[k], "o", ms=diameter, mfc=(1, 1, 1, 0.85), mec=color, mew=width, zorder=5)
        if not ax.viewLim.contains(*placed[k]):
            continue  # Matplotlib cannot place type 1e100 pixels away, seen or not
        ax.text(
            placed[k, 0],
            placed[k, 1],
            str(k) if names is None else names[k],
            ha="center",
            va="center_baseline",
            zorder=6,
            fontsize=(5.5 if k > 9 else 6.5) if small else (7 if k > 9 else 8),
            clip_on=True,
        )


def spread_points(ax: Axes, points: Array, apart: float) -> Array:
    """The points, in data units, with those nearer to another than ``apart`` (in points of type)
    moved to where there is room, inside the axes."""
    frame, scale = _frame(ax)
    at = (ax.transData.transform(points) - frame[0]) * scale
    size = (frame[1] - frame[0]) * scale
    inside = np.all((at >= 0) & (at <= size), axis=1)
    new, margin = at.copy(), np.minimum(0.6 * apart, 0.4 * size)
    angles = 2.399963 * np.arange(len(points))  # equal points part in different directions
    nudge = 1e-3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for _ in range(_ROUNDS):
        gap = (new + nudge)[:, None] - (new + nudge)
        distance = np.sqrt((gap**2).sum(axis=-1))
        np.fill_diagonal(distance, np.inf)
        lacking = np.maximum(apart - distance, 0)
        if not lacking.any():
            break
        new += 0.5 * ((lacking / distance)[..., None] * gap).sum(axis=1)
        new[inside] = new[inside].clip(margin, size - margin)
    moved = np.abs(new - at).max(axis=1) > 0.2 * apart
    back = ax.transData.inverted().transform(new / scale + frame[0])
    return np.where(moved[:, None], back, points)


def spread_line(ax: Axes, values: Array, apart: float, *, axis: int = 0) -> Array:
    """Positions on an axis, x by default, those nearer than ``apart`` (in points of type) moved
    apart."""
    frame, scale = _frame(ax)
    at = ax.transData.transform(np.column_stack([values, values]))[:, axis] - frame[0, axis]
    at = at * scale
    order, width = np.argsort(at, kind="stable"), (frame[1, axis] - frame[0, axis]) * scale
    new, apart = at[order], min(apart, width / max(len(values), 1))
    # Blocks of neighbours about their mean, as least squares under the gaps has it.
    blocks: list[list[float]] = []
    for value in (new - apart * np.arange(len(new))).tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    placed = np.concatenate([np.full(int(n), value) for value, n in blocks])
    placed = placed + apart * np.arange(len(new))
    # From the ends inwards, so that none leaves the axes.
    placed = np.maximum(placed, 0.5 * apart + apart * np.arange(len(new)))
    placed = np.minimum(placed, width - 0.5 * apart - apart * np.arange(len(new))[::-1])
    out, close = np.empty(len(values)), np.empty(len(values), dtype=bool)
    pixels = placed / scale + frame[0, axis]
    out[order] = ax.transData.inverted().transform(np.column_stack([pixels, pixels]))[:, axis]
    close[order] = np.abs(placed - new) < 0.3
    return np.where(close, values, out)


def _frame(ax: Axes) -> tuple[Array, float]:
    """Corners (2, 2) of the axes in pixels, and points of type to a pixel."""
    box = ax.get_window_extent()
    dpi = ax.figure.get_figure(root=True).dpi
    return np.array([[box.x0, box.y0], [box.x1, box.y1]]), 72 / dpi
