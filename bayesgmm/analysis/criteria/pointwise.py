"""The pointwise log-likelihood as criteria read it: who has one, and rows that count twice.

A row of weight 2 stands for two observations.  Criteria that leave one observation out,
or sum over them, are therefore taken over the rows as often as they count; a weight that
is no whole number says nothing about how many observations there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import FitError, SpecError
from bayesgmm.options import refuse_beyond_memory
from bayesgmm.result.fit import MixtureFit

#: Draws whose upper fifth has a tail to be smoothed, which five values are.
FEWEST = 25
#: Arrays as large as the log-likelihood that criteria make of it at once.
_COPIES = 4


class Pointwise(NamedTuple):
    """Log-likelihood of each observation at each draw."""

    tree: xr.DataTree  # what ArviZ reads
    values: NDArray[np.float64]  # (chain, draw, observation)
    rows: NDArray[np.int64]  # the row of the data that each observation is


def why_not(fit: MixtureFit) -> str | None:
    """The sentence that says why a fit has no such criteria, None if it has."""
    if not fit.is_posterior:
        return "needs a posterior; fit with method='nuts'."
    chains, draws = fit.parameters.batch_shape
    if chains * draws < FEWEST:
        return f"needs {FEWEST} draws or more and this fit has {chains * draws}; draw more."
    if not fit.has_rows:
        if "data" not in fit.tree.attrs:
            return "needs the data, which this fit was saved without; fit again."
        return (
            "needs the log-likelihood of each row at each draw, which is for rows in memory; fit "
            "observations.sample(n)."
        )
    weights = fit.observations.row_weights
    if weights is None:
        if "log_likelihood" in fit.tree.children:
            return None
        return _too_large(chains * draws, fit.observations.n_rows)
    broken = np.flatnonzero(weights != np.round(weights))
    if len(broken):
        return (
            f"needs row weights that are counts, and row {broken[0]} has {weights[broken[0]]:g}; "
            "fit without row_weights, or compare by bic()."
        )
    return _too_large(chains * draws, float(weights.sum()))


def _too_large(draws: int, n: float) -> str | None:
    """The sentence that says that no memory holds so much, with what is made of it."""
    what = f"needs a number for each of {n:,.0f} observations at each of {draws:,} draws, which"
    try:
        refuse_beyond_memory(what, _COPIES * 8 * draws * n, "draw fewer, or compare by bic()")
    except SpecError as error:
        return str(error)
    return None


def pointwise(fit: MixtureFit, criterion: str) -> Pointwise:
    """The log-likelihood of every observation, or a refusal in the name of ``criterion``."""
    reason = why_not(fit)
    if reason is not None:
        raise FitError(f"{criterion} {reason}", reason=reason)
    tree, weights = fit.tree, fit.observations.row_weights
    values = on_demand(fit)
    # A row of which nothing was seen is no observation.
    rows = np.flatnonzero(~fit.observations.empty)
    if weights is not None:
        rows = np.repeat(rows, weights[rows].astype(np.int64))
    some = weights is not None or len(rows) < values.sizes["obs"]
    if some:
        values = values.isel(obs=rows).assign_coords(obs=np.arange(len(rows)))
    if some or "log_likelihood" not in tree.children:
        tree = xr.DataTree.from_dict(
            {"/posterior": tree["posterior"].to_dataset(), "/log_likelihood": values.to_dataset()}
        )
    return Pointwise(tree, values.values, rows)


def on_demand(fit: MixtureFit) -> xr.DataArray:
    """The log-likelihood of each row at each draw, computed where the fit does not hold it."""
    if "log_likelihood" in fit.tree.children:
        return fit.tree["log_likelihood"].to_dataset()["x"]
    posterior = fit.tree["posterior"].to_dataset()
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], "obs": fit.observations.index}
    values = fit.parameters.log_density(fit.observations)
    return xr.DataArray(values, coords, ("chain", "draw", "obs"), name="x")


def named_rows(rows: Sequence[int]) -> str:
    """``"row 3"``, or ``"rows 3, 8"``, as messages have it."""
    shown = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
    return f"row{'s' * (len(rows) != 1)} {shown}"


def weights_without_rows(
    log_density: NDArray[np.float64], relative: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log weights (N, S) of draws without each row of (N, S), and their k-hats (N,).

    They are smoothed (PSIS) by ArviZ and sum to one.  ``relative`` is the effective number of
    draws for each there is, which sets how many are the tail.  A row whose tail is one number
    has none to smooth and none to fear, and ArviZ stops there: its k-hat is 0.
    """
    from arviz_stats.base import array_stats

    log_weights, k_hat = np.empty(log_density.shape), np.zeros(len(log_density))
    for i, row in enumerate(log_density):
        try:
            with np.errstate(over="ignore"):  # a k-hat may be infinite
                log_weights[i], k_hat[i] = array_stats.psislw(row, r_eff=relative, axis=-1)
        except ValueError:
            log_weights[i] = -row - np.logaddexp.reduce(-row)
    return log_weights, k_hat
