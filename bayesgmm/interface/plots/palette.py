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
from numpy.typing import NDArray

#: Okabe and Ito's colours, those that read well as thin lines on white first.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
#: Colour of noise, which is none of the components.
NOISE = "0.25"
#: Colour of a row that could as well belong to another component.
AMBIGUOUS = "0.62"
_STYLES = ("-", "--", ":", "-.")
_LEGEND_ROWS = 16


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
    """A legend to the right of the axes, with room made for it."""
    legend = ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        borderaxespad=0,
        frameon=False,
        fontsize="small",
        ncols=1 + (len(handles) - 1) // _LEGEND_ROWS,
    )
    figure = ax.figure
    if figure is not None and figure.get_layout_engine() is None:
        # Nothing else makes room here, so the axes give up what the legend takes.
        box = ax.get_position()
        taken = legend.get_window_extent().width / figure.bbox.width + 0.02 * box.width
        ax.set_position((box.x0, box.y0, max(box.width - taken, box.width / 3), box.height))
    return legend
