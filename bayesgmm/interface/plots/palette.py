"""Colours that everybody can tell apart, and legends that hide nothing.

One palette for every plot, so that component 1 has one colour wherever it is
drawn.  Its colours are those of Okabe and Ito (2008), chosen to differ for all
common forms of colour vision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

#: Okabe and Ito's colours, those that read well as thin lines on white first; a brown is in
#: the place of their yellow, which white paper swallows.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A5C00",
)  # fmt: skip
#: Colour of noise, which is none of the components.
NOISE = "0.25"
#: Colour of a row that could as well belong to another component.
AMBIGUOUS = "0.62"
_STYLES = ("-", "--", ":", "-.")
_LEGEND_ROWS = 16
#: Part of a panel's width, or height, that a legend may take.
_MOST_TAKEN, _MOST_TAKEN_BELOW = 0.55, 0.3
#: Inches under the axes that ticks and the name of the axis take.
_UNDER = 0.5


def component_colors(n_components: int) -> NDArray[np.float64]:
    """RGB of each component, shape (K, 3); beyond 8 the colours come again."""
    return np.array([to_rgb(PALETTE[k % len(PALETTE)]) for k in range(n_components)])


def line_style(k: int) -> str:
    """Line style of component ``k``: another one each time that the colours come again."""
    return _STYLES[(k // len(PALETTE)) % len(_STYLES)]


def membership_colors(memberships: Any, n_components: int) -> NDArray[np.float64]:
    """RGB of rows from their membership probabilities (N, M), shape (N, 3).

    The components' colours mixed in these proportions, and the greyer the closer
    the two most probable are: a mixture of two colours alone can look like a third
    component's.
    """
    own = np.asarray(memberships, dtype=float)
    noise = [to_rgb(NOISE)] * (own.shape[1] - n_components)
    mixed = own @ np.array([*component_colors(n_components), *noise])
    if own.shape[1] == 1:
        return mixed.clip(0, 1)
    second, first = np.partition(own, -2, axis=1)[:, -2:].T
    doubt = (1 - (first - second))[:, None]
    colors: NDArray[np.float64] = (1 - doubt) * mixed + doubt * np.array(to_rgb(AMBIGUOUS))
    return colors.clip(0, 1)


def legend_outside(ax: Axes, handles: Sequence[Any]) -> Any:
    """A legend beside the axes, with room made for it; None where there is none to be had.

    To the right, or below where that would take half of the panel's width; in a panel so
    small that either would leave too little to see, the legend is left out.
    """
    dpi = ax.figure.get_figure(root=True).dpi
    frame = ax.get_window_extent()
    height = 72 * frame.height / dpi
    for size, line in (("small", 13.5), ("x-small", 11.5)):
        rows = int(np.clip(height / line, 3, _LEGEND_ROWS))
        legend = _legend(ax, handles, size, "upper left", (1.02, 1), 1 + (len(handles) - 1) // rows)
        if legend.get_window_extent().width <= _MOST_TAKEN * frame.width:
            _make_room(ax, legend, below=False)
            return legend
    for columns in range(min(4, len(handles)), 0, -1):
        legend = _legend(ax, handles, "x-small", "upper center", (0.5, 0.0), columns)
        taken = legend.get_window_extent()
        if taken.width <= 1.1 * frame.width:
            if taken.height <= _MOST_TAKEN_BELOW * frame.height:
                _make_room(ax, legend, below=True)
                return legend
            break
    legend.remove()
    return None


def _legend(
    ax: Axes, handles: Sequence[Any], size: str, loc: str, anchor: Any, columns: int
) -> Any:
    options: dict[str, Any] = {"loc": loc, "bbox_to_anchor": anchor, "fontsize": size}
    if anchor[1] == 0:  # under the ticks and the axis label, whatever the axes become
        inches = ax.figure.get_figure(root=True).dpi_scale_trans
        options["bbox_transform"] = ax.transAxes + ScaledTranslation(0, -_UNDER, inches)
    return ax.legend(
        handles=list(handles),
        borderaxespad=0,
        frameon=False,
        ncols=columns,
        handlelength=1.6,
        columnspacing=1.2,
        **options,
    )


def _make_room(ax: Axes, legend: Any, *, below: bool) -> None:
    """Where no layout engine does it, the axes give up what the legend takes."""
    figure = ax.figure
    if figure is None or figure.get_layout_engine() is not None:
        return
    box, taken = ax.get_position(), legend.get_window_extent()
    if below:
        less = taken.height / figure.bbox.height
        ax.set_position((box.x0, box.y0 + less, box.width, box.height - less))
    else:
        less = taken.width / figure.bbox.width + 0.02 * box.width
        ax.set_position((box.x0, box.y0, box.width - less, box.height))
