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

from bayesgmm.errors import FitError
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.tree import LARGEST_POINTWISE

#: Draws whose upper fifth has a tail to be smoothed, which five values are.
FEWEST = 25


class Pointwise(NamedTuple):
    """Log-likelihood of each observation at each draw."""

    tree: xr.DataTree  # what ArviZ reads
    values: NDArray[np.float64]  # (chain, draw, observation)
    rows: NDArray[np.int64]  # the row of the data that each observation is


def why_not(fit: MixtureFit) -> str | None:
    """The sentence that says why a fit has no such criteria, None if it has."""
    if not fit.is_posterior:
        return "needs a posterior; fit with method='nuts'."
    if "log_likelihood" not in fit.tree.children:
        return (
            "cannot be had: this fit holds no pointwise log-likelihood, which would have been too "
            "large; draw fewer, or compare by bic()."
        )
    chains, draws = fit.parameters.batch_shape
    if chains * draws < FEWEST:
        return f"needs {FEWEST} draws or more and this fit has {chains * draws}; draw more."
    weights = fit.observations.row_weights
    if weights is None:
        return None
    broken = np.flatnonzero(weights != np.round(weights))
    if len(broken):
        return (
            f"needs row weights that are counts, and row {broken[0]} has {weights[broken[0]]:g}; "
            "fit without row_weights, or compare by bic()."
        )
    if chains * draws * weights.sum() > LARGEST_POINTWISE:
        return (
            f"needs a number for each of {weights.sum():.0f} observations at each of "
            f"{chains * draws} draws, which is too large; draw fewer, or compare by bic()."
        )
    return None


def pointwise(fit: MixtureFit, criterion: str) -> Pointwise:
    """The log-likelihood of every observation, or a refusal in the name of ``criterion``."""
    reason = why_not(fit)
    if reason is not None:
        raise FitError(f"{criterion} {reason}", reason=reason)
    tree, weights = fit.tree, fit.observations.row_weights
    values = tree["log_likelihood"].to_dataset()["x"]
    # A row of which nothing was seen is no observation.
    rows = np.flatnonzero(~np.isnan(fit.observations.values).all(axis=1))
    if weights is not None:
        rows = np.repeat(rows, weights[rows].astype(np.int64))
    if weights is not None or len(rows) < values.sizes["obs"]:
        values = values.isel(obs=rows).assign_coords(obs=np.arange(len(rows)))
        tree = xr.DataTree.from_dict(
            {"/posterior": tree["posterior"].to_dataset(), "/log_likelihood": values.to_dataset()}
        )
    return Pointwise(tree, values.values, rows)


def named_rows(rows: Sequence[int]) -> str:
    """``"row 3"``, or ``"rows 3, 8"``, as messages have it."""
    shown = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
    return f"row{'s' * (len(rows) != 1)} {shown}"
