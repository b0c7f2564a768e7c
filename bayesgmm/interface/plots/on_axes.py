"""ArviZ's pictures on axes that are there already: its collections make figures of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr


def collection_on(axes: Any, data: xr.Dataset, panel: str | None = None, **looks: Any) -> Any:
    """A PlotCollection of data on one Axes, or on one for each entry of the dimension ``panel``.

    ``looks`` are what PlotCollection takes of aesthetics.
    """
    from arviz_plots.plot_collection import PlotCollection

    first = axes if panel is None else axes[0]
    cells = xr.Dataset(
        {
            "figure": ((), np.array(first.figure.get_figure(root=True), dtype=object)),
            "plot": (() if panel is None else (panel,), np.array(axes, dtype=object)),
        },
        coords={} if panel is None else {panel: data[panel]},
    )
    return PlotCollection(data, xr.DataTree(cells), backend="matplotlib", **looks)
