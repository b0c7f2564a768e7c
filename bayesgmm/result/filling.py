"""What rows lack, filled in: all of them at once, or some after the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.data.observations import Observations
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import Seed, generator, seed_sequence
from bayesgmm.predictive.imputation import drawn_rows, expected_rows, some_of
from bayesgmm.result.by_block import OUT, Ask, answered


def filled(
    parameters: MixtureParameters,
    rows: Observations,
    n: int | None,
    *,
    seed: Seed,
    out: Any,
    errors: bool = False,
) -> Any:
    """Rows with their expectations, or ``n`` draws of them; the path where there is an ``out``.

    With ``errors`` it is the values without the errors with which they were seen.
    """
    out = OUT("out", out)
    if n is None:
        return answered(_expected(parameters, errors), rows, out)
    if out is None and rows.stored is None:
        rng = generator(seed)
        return _drawn(some_of(parameters, n, rng), rows, rng, errors)
    seeds = seed_sequence(seed)
    # A copy is of one draw of the parameters, all its rows are.
    mixtures = some_of(parameters, n, generator(seeds.spawn(1)[0]))

    def ask(some: Observations) -> xr.DataArray:  # each group has random numbers of its own
        return _drawn(mixtures, some, generator(seeds.spawn(1)[0]), errors)

    return answered(ask, rows, out, copies=n)


def _drawn(mixtures: MixtureParameters, rows: Observations, rng: Any, errors: bool) -> xr.DataArray:
    values = drawn_rows(mixtures, rows, rng, errors=errors)
    coords = {"obs": rows.index, "feature": list(rows.names)}
    name = "y" if errors else "x"
    return xr.DataArray(values, coords, ("draw", "obs", "feature"), name=name)


def _expected(parameters: MixtureParameters, errors: bool) -> Ask:
    def ask(rows: Observations) -> Any:
        mean, variance = expected_rows(parameters, rows, errors=errors)
        coords, dims = {"obs": rows.index, "feature": list(rows.names)}, ("obs", "feature")
        if not errors:
            return xr.DataArray(mean, coords, dims, name="x")
        return xr.Dataset({"mean": (dims, mean), "sd": (dims, np.sqrt(variance))}, coords)

    return ask
