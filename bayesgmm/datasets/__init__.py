"""Real data that ship with the package, each with its source.

``faithful``: 272 eruptions of the Old Faithful geyser in Yellowstone, with the
duration and the wait to the next eruption, both in minutes.  Source: Azzalini and
Bowman (1990), A look at some data on the Old Faithful geyser, Applied Statistics
39, 357-365; as distributed in R's ``datasets`` package.

``galaxies``: velocities in km/s of 82 galaxies in the Corona Borealis region.
Source: Postman, Huchra and Geller (1986), Probes of large-scale structures in the
Corona Borealis region, Astronomical Journal 92, 1238-1247; made a touchstone of
mixture modelling by Roeder (1990), JASA 85, 617-624.

>>> import bayesgmm as bg
>>> dict(bg.datasets.faithful().sizes), bg.datasets.galaxies().attrs["units"]
({'obs': 272, 'feature': 2}, 'km/s')
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np

from bayesgmm.errors import DataError
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import shown

NAMES = ("faithful", "galaxies")
_SOURCES = (__doc__ or "").partition("\n\n>>> ")[0]


@whole_imports
def load(name: str) -> Any:
    """A data set by name, as an xarray DataArray with dimensions (obs, feature).

    >>> import bayesgmm as bg
    >>> bg.datasets.load("faithful").sizes["obs"]
    272
    """
    import xarray as xr

    if not isinstance(name, str) or name not in NAMES:
        raise DataError(f"There is no data set {shown(name)}; known are {', '.join(NAMES)}.")
    text = files(__name__).joinpath(f"{name}.csv").read_text()
    header, *lines = text.splitlines()
    values = np.array([[float(entry) for entry in line.split(",")] for line in lines])
    features = header.split(",")
    return xr.DataArray(
        values,
        dims=("obs", "feature"),
        coords={"obs": np.arange(len(values)), "feature": features},
        name=name,
        attrs={"units": "km/s" if name == "galaxies" else "minutes", "source": _SOURCES},
    )


@whole_imports
def faithful() -> Any:
    """Old Faithful: eruption duration and waiting time in minutes, 272 x 2."""
    return load("faithful")


@whole_imports
def galaxies() -> Any:
    """Galaxy velocities in km/s, 82 x 1."""
    return load("galaxies")
