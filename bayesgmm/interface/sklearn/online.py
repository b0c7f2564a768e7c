"""EM on a stream: each batch of rows is seen once, and what is kept of it are moments.

A step is an E-step on the batch alone; its moments are averaged with those of the rows
before, and the M-step is of the average (Cappe and Moulines 2009).  What is kept does not
grow.  The rate at which earlier rows fade is told by a clock that counts rows, not
batches, so that a stream leads to the same place however it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import exprel

from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.data.reading import default_names, refuse_unusable
from bayesgmm.interface.sklearn.conventions import DTYPES, read_sample_weight, validated
from bayesgmm.interface.sklearn.plain_em import (
    Mixture,
    Moments,
    centred,
    expected_moments,
    total_weight,
)
from bayesgmm.options import real

Array = NDArray[np.float64]

#: Below this magnitude no square overflows.
_SAFE = 1e100

LEARNING_DECAY = real("a number above 0.5 and at most 1", lambda number: 0.5 < number <= 1)


@dataclass(frozen=True)
class Stream:
    """What is kept of the rows seen so far."""

    moments: Moments  # of rows as they are remembered
    seen: float  # how many rows there were (an int), or the sum of their weights
    unit: float  # how many of them were in the first batch

    @classmethod
    def begun(
        cls, moments: Moments | None, values: Array, row_weights: Array | None
    ) -> Stream | None:
        """After a first batch, or all rows of a fit; None if there was no E-step on them."""
        seen = total_weight(values, row_weights)
        return None if moments is None else cls(moments, seen, seen)

    def followed_by(self, new: Moments, rows: float, decay: float) -> Stream:
        """After a further batch that counts for so many rows."""
        moments = self.moments.followed_by(new, self.kept(rows, decay))
        return Stream(moments, self.seen + rows, self.unit)

    def kept(self, rows: float, decay: float) -> float:
        """The factor on the counts of earlier rows for which the new ones have their share.

        At time t, rows seen in units of the first batch, rows have the share t^-decay dt of
        the average, and others fade by as much.  Over a batch, from t to t + h, others fade to
        exp(-i), where i is the integral of t^-decay: two batches fade them to the product, and
        with a decay of 1 to t / (t + h), so that all rows count the same.
        """
        if rows > 1e30 * self.seen:  # next to which earlier ones are nothing
            return 0.0
        time, passed = self.seen / self.unit, np.log1p(rows / self.seen)
        integral = passed * time ** (1 - decay) * exprel((1 - decay) * passed)
        remembered = self.moments.counts.sum()
        if integral == 0:  # rows of a weight next to which these are as good as none
            return 1.0
        with np.errstate(over="ignore"):  # then they have faded to nothing
            return float(rows / remembered / np.expm1(integral))


def stepped(
    stream: Stream,
    values: Array,
    row_weights: Array | None,
    mixture: Mixture,
    *,
    decay: float,
    reg_covar: float,
) -> tuple[Stream, Mixture, float]:
    """One step from ``mixture``, and the mean log-likelihood of a row of the batch before it."""
    rows, total = centred(values, row_weights), total_weight(values, row_weights)
    with one_blas_thread():
        bound, moments = expected_moments(rows, total, mixture, reg_covar)
        after = stream.followed_by(moments, total, decay)
        return after, after.moments.maximised(reg_covar), bound


def read_batch(
    model: Any, X: Any, sample_weight: Any, *, first: bool
) -> tuple[Array, Array | None, np.dtype[Any]]:
    """Rows with their weights, and the data type that results are to have."""
    checked = validated(
        model,
        X,
        dtype=DTYPES,
        order="C",
        force_writeable=True,
        reset=first,
        ensure_min_samples=2 if first else 1,
    )
    values = checked.astype(np.float64, copy=False)
    if max(values.max(), -values.min()) > _SAFE:
        names = getattr(model, "feature_names_in_", default_names(values.shape[1]))
        refuse_unusable(values, list(names), holes=False)
    return values, read_sample_weight(sample_weight, len(values)), checked.dtype
