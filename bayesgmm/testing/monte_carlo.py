"""How far two estimates from draws may be from each other: a stated number of standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.result.fit import MixtureFit
from bayesgmm.testing.expectations import Broken

Array = NDArray[np.float64]

#: Errors that a difference may have.  A normal one is beyond six in 2 of a billion cases, and an
#: error that is itself estimated, by 100 effective draws, is right to a tenth.
ERRORS = 6.0


def standard_errors(fit: MixtureFit, values: Array) -> Array:
    """Of means over draws of ``values`` (chain, draw, ...): by the effective number of draws.

    Draws that were taken from weighted proposals have the noise of the weights in them, and
    that of the taking; those of chains, ArviZ's.
    """
    import arviz as az

    if "proposal_log_weights" in fit.facts:
        weights = np.exp(fit.facts["proposal_log_weights"].values)
        share = 1 / values.shape[1] + (weights**2).sum()
        return np.asarray(values.std(axis=(0, 1)) * np.sqrt(share))
    dims = ["chain", "draw", *(f"dim_{i}" for i in range(values.ndim - 2))]
    found = az.mcse(xr.Dataset({"x": (dims, values)}))["x"].values
    return np.asarray(found)


def worst(names: str, gap: Array, error: Array) -> float:
    """The largest difference in standard errors, or what was found where it is too large."""
    moves = error > 1e-12 * (1 + np.abs(gap))
    scores = np.abs(np.where(moves, gap, 0.0)) / np.where(moves, error, 1.0)
    scores = np.where(~moves & (np.abs(gap) > 1e-6), np.inf, scores)
    scores = np.where(np.isnan(gap) | np.isnan(error), np.inf, scores)
    if scores.max(initial=0.0) > ERRORS:
        where: Any = np.unravel_index(int(scores.argmax()), scores.shape)
        at = f" at {[int(i) for i in where]}" if where else ""
        raise Broken(
            f"Found the mean of {names}{at} {gap[where]:+.3g} away, {scores[where]:.1f} standard "
            f"errors where {ERRORS:g} are allowed."
        )
    return float(scores.max(initial=0.0))
