"""Posterior probabilities of models from their evidence, by Bayes' theorem.

The prior is of all candidates, sampled or not: what a model's probability is beside another's
does not depend on which others were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayesgmm.options import generator

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_DRAWS = 4000  # of the log evidences' Monte Carlo errors


def prior_of(table: pd.DataFrame, prior_on_k: Mapping[int, float] | None) -> Array:
    """Prior weight of each candidate (a row each): on K, and equal for the models of one K.

    It is uniform on K where left out.  Candidates that could not be fitted have none.
    """
    k, there = table["n_components"].to_numpy(), table["bic"].notna().to_numpy()
    weights = np.array(
        [1.0 if prior_on_k is None else float(prior_on_k.get(int(each), 0.0)) for each in k]
    )
    return weights * there / [np.sum(there & (k == each)) or 1 for each in k]


def probabilities(
    table: pd.DataFrame, prior_on_k: Mapping[int, float] | None, seed: Any
) -> tuple[Array, Array]:
    """Posterior probability of each model among those with an evidence, and its error.

    The error is Monte Carlo's.  Rows without an evidence have NaN, and all have where the prior
    gives no weight to any that has one.
    """
    value, se = table["log_evidence"].to_numpy(float), table["log_evidence_se"].to_numpy(float)
    known = np.isfinite(value)
    mean, error = np.full(len(table), np.nan), np.full(len(table), np.nan)
    prior = prior_of(table, prior_on_k)[known]
    if not np.any(prior > 0):
        return mean, error
    with np.errstate(divide="ignore"):
        log = np.log(prior) + value[known]
    noise = se[known] * generator(seed).standard_normal((_DRAWS, known.sum()))
    mean[known] = softmax(log)
    error[known] = softmax(log + noise, axis=1).std(axis=0)
    return mean, error
