"""How strange rows are, each beside rows that are seen as it was.

A density is small or large beside the densities of other rows, and only of rows seen alike: what
was seen of a row with holes has a density of other features, in other units, and an error of
measurement widens what a row may be.  So each row is held against the distribution of what would
be seen of a row like it, and scores are uniform on data from the model whatever was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError
from bayesgmm.predictive.averaged import AveragedMixture
from bayesgmm.predictive.regions import Levels

Floats = NDArray[np.float64]

#: Ways of being seen with errors that each get all the points asked for, and all the draws; of
#: more, each gets ``_OF_EACH``, or as many as the rate needs, and a distribution of ``_DRAWS``,
#: since rows may all have errors of their own.
_FEW_WAYS = 16
_OF_EACH, _DRAWS = 2048, 500


def scoring(
    mixture: AveragedMixture, points: int, seed: Any, rate: float | None = None
) -> Callable[[Observations], Floats]:
    """What scores rows (N,): the probability of a row, seen alike, that is no more likely.

    ``points`` of the distribution are what rows are held against; those of whole rows are made
    here, once.  With a ``rate``, there have to be enough of them to tell it.
    """
    whole = mixture.levels(points, seed)
    if rate is not None:
        whole.require(rate, f"A false-alarm rate of {rate:g}")
    of_each = min(points, max(_OF_EACH, 1 if rate is None else Levels.needed(rate)))

    def scores(rows: Observations) -> Floats:
        _require_box(mixture, rows)
        if rows.seen_whole:
            return whole.tail_probability(mixture.log_density(rows))
        ways = list(_ways(rows))
        many = sum(errors is not None for *_, errors in ways) > _FEW_WAYS
        rough = mixture.of_fewer_draws(_DRAWS) if many else mixture
        out = np.empty(rows.n_rows)
        for some, seen, errors in ways:
            if not seen:  # no row is less likely than one that says nothing
                out[some] = 1.0
                continue
            few = many and errors is not None
            own = (rough if few else mixture).as_seen(seen, errors)
            levels = whole if own is mixture else own.levels(of_each if few else points, seed)
            values = Observations(rows.matrix[np.ix_(some, seen)], resolution=0)
            out[some] = levels.tail_probability(own.log_density(values))
        return out

    return scores


def _require_box(mixture: AveragedMixture, rows: Observations) -> None:
    """Refuse rows of whose noise nothing is known but its density at each."""
    given = rows.views.background
    if mixture.noise is not None and given is not None and given.ndim == 1:
        raise DataError(
            "The noise of these rows has a density that is given row by row, so that no row can be "
            "drawn to hold them against; give a box, Observations(..., background=[low, high])."
        )


def _ways(
    rows: Observations,
) -> Iterator[tuple[NDArray[np.intp], list[int], Floats | None]]:
    """Rows that were seen alike: their numbers, their features, the covariance of their errors."""
    gone = np.isnan(rows.matrix)
    errors = rows.views.errors
    described = [gone.astype(np.float64)]
    if errors is not None:
        described.append(errors.reshape(rows.n_rows, -1))
    _, first, which = np.unique(
        np.hstack(described), axis=0, return_index=True, return_inverse=True
    )
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which))
    for i, some in zip(first, np.split(order, ends[:-1]), strict=True):
        seen = np.flatnonzero(~gone[i])
        covariance = None
        if errors is not None:
            own = errors[i]
            covariance = (np.diag(own**2) if own.ndim == 1 else own)[np.ix_(seen, seen)]
            covariance = covariance if covariance.any() else None
        yield some, seen.tolist(), covariance
