"""Where a picture goes: one Axes, several, or a figure to be filled; a new one by default.

What is given is looked at before any work begins, and a new figure is made after it, so that
a refusal leaves no empty figure behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bayesgmm.errors import FitError, SpecError
from bayesgmm.options import shown
from bayesgmm.result.fit import MixtureFit, require_fit


def place(
    ax: Any, shape: tuple[int, ...], size: tuple[float, float], **grid: Any
) -> Callable[[], Any]:
    """A function that gives the axes: one for shape (), else an array of that shape.

    ``size`` is that of a new figure in inches; ``grid`` are options of ``Figure.subplots``.
    """
    if isinstance(ax, (Figure, SubFigure)) or ax is None:

        def made() -> Any:
            figure = plt.figure(figsize=size, layout="constrained") if ax is None else ax
            rows, columns = ((1, 1), (1, *shape), shape)[len(shape)]
            axes = figure.subplots(rows, columns, squeeze=False, **grid)
            return axes.reshape(shape) if shape else axes[0, 0]

        return made
    given = np.asarray(ax, dtype=object)
    if given.shape != shape or not all(isinstance(one, Axes) for one in given.flat):
        if not shape:
            need = "one Axes"
        elif len(shape) == 1:
            need = "a pair of Axes" if shape == (2,) else f"an array of {shape[0]} Axes"
        else:
            need = f"an array of {shape[0]} x {shape[1]} Axes"
        raise SpecError(f"ax must be {need} or a Figure here, got {shown(ax)}.")
    return lambda: given if shape else given.item()


def require_draws(fit: Any, what: str) -> MixtureFit:
    """A fit with draws, or a refusal in the name of the function that needs them."""
    fit = require_fit(fit, what)
    if not fit.is_posterior:
        raise FitError(
            f"{what} draws a posterior, and this fit by {fit.method} is a point; fit with "
            "method='nuts' or 'laplace'."
        )
    return fit
