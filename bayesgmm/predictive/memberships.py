"""Memberships of rows in components, averaged over draws, and how sure they are.

Given the parameters a membership is a probability, and the parameters are not known: what is
averaged here is the first, and its intervals show the second.  Rows are taken a chunk at
a time, so that no array of draws x rows x components is held.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread, over_slices
from bayesgmm.data.observations import Observations
from bayesgmm.expectation.rows import CHUNK
from bayesgmm.expectation.statistics import row_memberships
from bayesgmm.mixture.parameters import MixtureParameters

Floats = NDArray[np.float64]

#: Entries of draws x rows x components that are held at once, by each thread.
_HELD = 8_000_000


def averaged_memberships(parameters: MixtureParameters, rows: Observations) -> xr.DataArray:
    """Memberships (obs, component), averaged over all mixtures of the batch."""
    seen, forms = parameters.with_rows(rows.matrix)
    mean = np.zeros((rows.n_rows, parameters.n_components))

    def one(part: slice) -> None:
        for form in forms:
            mean[part] += row_memberships(seen.part(part), form)

    with one_blas_thread():
        over_slices(one, rows.n_rows, CHUNK, available_cores(None))
    return _labelled(mean / len(forms), rows)


def membership_intervals(
    parameters: MixtureParameters, rows: Observations, mass: float
) -> xr.Dataset:
    """Memberships with equal-tailed intervals over the batch, and the most probable of each row."""
    seen, forms = parameters.with_rows(rows.matrix)
    out = np.empty((3, rows.n_rows, parameters.n_components))
    tail = (1 - mass) / 2

    def one(part: slice) -> None:
        drawn = np.stack([row_memberships(seen.part(part), form) for form in forms])
        out[0, part] = drawn.mean(axis=0)
        out[1:, part] = np.quantile(drawn, [tail, 1 - tail], axis=0)

    held = max(1, _HELD // (len(forms) * parameters.n_components))
    with one_blas_thread():
        over_slices(one, rows.n_rows, held, available_cores(None))
    probability, lower, upper = (_labelled(values, rows) for values in out)
    return xr.Dataset(
        {
            "probability": probability,
            "lower": lower,
            "upper": upper,
            "assigned": probability.argmax("component"),
            "correct": probability.max("component"),
        }
    )


def _labelled(values: Floats, rows: Observations) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("obs", "component"),
        coords={"obs": rows.index, "component": np.arange(values.shape[1])},
        name="memberships",
    )
