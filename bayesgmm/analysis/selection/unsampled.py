"""What the models that were not sampled may hold of the posterior probability.

To sample every candidate would answer that, and costs minutes where seconds are enough.  So
the log evidence of a model that was not sampled is guessed from those that were, high rather
than low, by the larger of two guesses.

*By BIC.*  The log evidence is -BIC / 2 and an amount that changes slowly from model to model;
it is taken from the sampled model of the same structure whose K is nearest.  BIC sees every
component that the data ask for.  But a component too many it charges (p / 2) log N for p
parameters of which the data tell nothing; the evidence charges far less, so that -BIC / 2
falls faster in K than the evidence does.

*By the fall in K.*  Past the last component that the data ask for, the log evidence of a
structure falls, by as much as for the component before or more: it is concave there.  So
beyond the largest K sampled it falls on at the rate seen last.

A structure that has not been seen to fall, because its evidence rose to the largest K
sampled, or one K of it was sampled or none, is given 5 more: differences of BIC below 10
say nothing of it (Kass and Raftery 1995 call a Bayes factor of exp(5) very strong).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.selection.model_probabilities import prior_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: What a log evidence may be above its guess where no fall was seen.
_MARGIN = 5.0
#: Models that are sampled for elpd_loo in the order of BIC.
_FIRST_BY_BIC = 4
#: What models of one structure have in common.
_STRUCTURE = ["covariance", "noise"]


def guessed_log_evidence(table: pd.DataFrame) -> Array:
    """Log evidence of each row: its own where it was sampled, else the guess; -inf if no fit.

    The table has ``n_components``, ``covariance``, ``noise``, ``bic`` and ``log_evidence``.
    """
    k = table["n_components"].to_numpy()
    structure = table.groupby(_STRUCTURE).ngroup().to_numpy()
    by_bic, value = -table["bic"].to_numpy(float) / 2, table["log_evidence"].to_numpy(float)
    known = np.isfinite(value)
    found = np.where(known, value, by_bic)
    for i in np.flatnonzero(~known & np.isfinite(by_bic)):
        own = known & (structure == structure[i])
        near = (own if own.any() else known) & np.isfinite(by_bic)
        if near.any():
            gaps = np.where(near, np.abs(k - k[i]), np.inf)
            found[i] += (value - by_bic)[gaps == gaps.min()].max()
        below = np.flatnonzero(own & (k < k[i]))
        below = below[np.argsort(k[below])]
        if len(below):
            found[i] = max(found[i], _beyond(k[below], value[below], k[i]))
        if not own.any() or (len(below) == own.sum() and not _falls(value[below])):
            found[i] += _MARGIN
    return np.where(np.isfinite(found), found, -np.inf)


def _falls(value: Array) -> bool:
    """Whether the last of these, in order of K, is below the one before."""
    return len(value) > 1 and bool(value[-1] < value[-2])


def _beyond(k: NDArray[np.int64], value: Array, to: int) -> float:
    """The log evidence at a K beyond these if it falls on as it did last, or stays."""
    if not _falls(value):
        return float(value[-1])
    return float(value[-1] + (value[-1] - value[-2]) / (k[-1] - k[-2]) * (to - k[-1]))


def next_to_sample(
    table: pd.DataFrame,
    tried: Collection[str],
    by: str,
    prior_on_k: Mapping[int, float] | None,
    enough: float,
) -> str | None:
    """The model to sample after those that were tried; None where it is enough.

    By a point criterion it is the next in order.  By ``elpd_loo`` and by evidence the next
    K after the best goes before all others, so that a best model is never the largest that
    was looked at.  By evidence the most probable of the rest follow, until what is left can
    hold less than ``enough`` of the probability.  Models that could not be sampled are as if
    they were no candidates.
    """
    pending = table[table["bic"].notna() & ~table.index.isin(list(tried))]
    if not len(pending):
        return None
    if by not in ("loo", "evidence", "all") or (by == "loo" and len(tried) < _FIRST_BY_BIC):
        return str(pending.index[0])
    if by == "loo":
        following = _next_k(table, table["elpd_loo"].dropna())
        return following if following in pending.index else None
    known = table["log_evidence"].dropna().index
    share = share_of(table.loc[[*known, *pending.index]], prior_on_k)
    following = _next_k(table, share[known])
    if following in pending.index and share[following] > 0:
        return following
    share = share[pending.index]
    if share.sum() < enough * (1 + 1e-9):  # all of it is 1 up to rounding
        return None
    likely = share.index[share >= share.max() * (1 - 1e-9)]
    return str(pending.loc[likely, "n_components"].idxmin())


def share_of(table: pd.DataFrame, prior_on_k: Mapping[int, float] | None) -> pd.Series:
    """Probability of each model if the guesses were right, those sampled by their own evidence."""
    with np.errstate(divide="ignore"):
        log = guessed_log_evidence(table) + np.log(prior_of(table, prior_on_k))
    weights = np.exp(log - log.max()) if np.isfinite(log.max()) else np.zeros(len(log))
    return table["bic"] * 0.0 + weights / max(weights.sum(), 1e-300)


def _next_k(table: pd.DataFrame, known: pd.Series) -> str | None:
    """The model with the next larger K of the structure of the best, which has the largest."""
    if not len(known):
        return None
    best = table.loc[known.idxmax()]
    same = (table[_STRUCTURE] == best[_STRUCTURE]).all(axis=1)
    larger = table[same & (table["n_components"] > best["n_components"])]
    return str(larger["n_components"].idxmin()) if len(larger) else None
