"""Memberships of rows in components, averaged over draws, and how sure they are.

Given the parameters a membership is a probability, and the parameters are not known: what is
averaged here is the first, and its intervals show the second.  Rows are taken a chunk at
a time, so that no array of draws x rows x components is held.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.statistics import CHUNK, Rows, row_log_density

Floats = NDArray[np.float64]

#: Entries of draws x rows x components that are held at once, by each thread.
_HELD = 8_000_000


def averaged_memberships(parameters: MixtureParameters, rows: Observations) -> xr.DataArray:
    """Memberships (obs, component), averaged over all mixtures of the batch."""
    x, (forms, center) = rows.matrix, parameters.forms()
    mean = np.zeros((len(x), parameters.n_components))

    def one(part: slice) -> None:
        scaled = Rows.of(x[part], center)
        for form in forms:
            mean[part] += row_log_density(scaled, form, memberships=True)[1]

    _over_rows(one, len(x), CHUNK)
    return _labelled(mean / len(forms), rows)


def membership_intervals(
    parameters: MixtureParameters, rows: Observations, mass: float
) -> xr.Dataset:
    """Memberships with equal-tailed intervals over the batch, and the most probable of each row."""
    x, (forms, center) = rows.matrix, parameters.forms()
    out = np.empty((3, len(x), parameters.n_components))
    tail = (1 - mass) / 2

    def one(part: slice) -> None:
        scaled = Rows.of(x[part], center)
        drawn = np.stack([row_log_density(scaled, form, memberships=True)[1] for form in forms])
        out[0, part] = drawn.mean(axis=0)
        out[1:, part] = np.quantile(drawn, [tail, 1 - tail], axis=0)

    held = len(forms) * parameters.n_components
    _over_rows(one, len(x), max(1, _HELD // held))
    probability, lower, upper = (_labelled(values, rows) for values in out)
    return xr.Dataset(
        {
            "probability": probability, "lower": lower, "upper": upper,
            "assigned": probability.argmax("component"),
            "correct": probability.max("component"),
        }
    )  # fmt: skip


def _labelled(values: Floats, rows: Observations) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("obs", "component"),
        coords={"obs": rows.index, "component": np.arange(values.shape[1])},
        name="memberships",
    )


def _over_rows(one: Callable[[slice], None], n: int, size: int) -> None:
    """Call ``one`` for every slice of ``size`` rows, on threads."""
    with one_blas_thread():
        thread_map(one, [slice(i, i + size) for i in range(0, n, size)], available_cores(None))
