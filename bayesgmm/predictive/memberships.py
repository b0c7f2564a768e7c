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


def entropies(memberships: Floats) -> Floats:
    """How unsure the membership of each row (N,) is, from memberships (N, M), in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(memberships > 0, memberships * np.log(memberships), 0.0)
    return np.asarray(-terms.sum(axis=1))


def averaged_memberships(parameters: MixtureParameters, rows: Observations) -> xr.DataArray:
    """Memberships (obs, component), averaged over all mixtures of the batch.

    The last component is ``"noise"`` where the mixture has any.
    """
    seen, forms = parameters.with_rows(rows)
    mean = np.zeros((rows.n_rows, parameters.n_classes))

    def one(part: slice) -> None:
        for form in forms:
            mean[part] += row_memberships(seen.part(part), form)

    with one_blas_thread():
        over_slices(one, rows.n_rows, CHUNK, available_cores(None))
    return _labelled(mean / len(forms), rows, parameters)


def membership_intervals(
    parameters: MixtureParameters, rows: Observations, mass: float
) -> xr.Dataset:
    """Memberships with equal-tailed intervals over the batch, and the most probable of each row."""
    seen, forms = parameters.with_rows(rows)
    out = np.empty((3, rows.n_rows, parameters.n_classes))
    tail = (1 - mass) / 2

    def one(part: slice) -> None:
        drawn = np.stack([row_memberships(seen.part(part), form) for form in forms])
        out[0, part] = drawn.mean(axis=0)
        out[1:, part] = np.quantile(drawn, [tail, 1 - tail], axis=0)

    held = max(1, _HELD // (len(forms) * parameters.n_classes))
    with one_blas_thread():
        over_slices(one, rows.n_rows, held, available_cores(None))
    probability, lower, upper = (_labelled(values, rows, parameters) for values in out)
    return xr.Dataset(
        {
            "probability": probability,
            "lower": lower,
            "upper": upper,
            "assigned": most_probable(probability),
            "correct": probability.max("component"),
        }
    )


def most_probable(memberships: xr.DataArray) -> xr.DataArray:
    """The most probable component (obs) of memberships (obs, component); -1 for noise."""
    chosen = memberships.argmax("component")
    labels = memberships["component"].values
    if labels.dtype.kind != "O":
        return chosen
    return chosen.where(chosen < len(labels) - 1, -1)


def _labelled(values: Floats, rows: Observations, parameters: MixtureParameters) -> xr.DataArray:
    labels = np.arange(values.shape[1])
    if parameters.noise is not None:
        labels = np.array([*labels[:-1].tolist(), "noise"], dtype=object)
    return xr.DataArray(
        values,
        dims=("obs", "component"),
        coords={"obs": rows.index, "component": labels},
        name="memberships",
    )
