"""What a first pass over rows that are not in memory finds out, a block at a time.

Summaries of two parts add, so that parts are read by threads or workers.  The random sample
is of the rows whose numbers have the smallest hashes: which rows these are depends neither on
how the rows are cut nor on who reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.data.reading import LARGEST

Array = NDArray[np.float64]

#: Rows that are kept in memory: a random sample of all.
KEPT = 100_000
_ALL = np.uint64(2**64 - 1)
_EQUAL = np.empty(0)


@dataclass(frozen=True)
class Summary:
    """Of features (D,), by weight; what was not seen is left out.

    Attributes
    ----------
    counts : tuple of int
        Rows of each part.
    weight : float
        Of all rows.
    seen, mean, square : array of shape (D,)
        Weight of what was seen of a feature, its mean, its sum of squares about it.
    low, high : array of shape (D,)
    n_unseen : int
    n_labelled : int
    hashes : array of shape (m,)
    rows : array of shape (m, C)
        Whole rows with all their columns, those of the sample among them.
    """

    counts: tuple[int, ...]
    weight: float
    seen: Array
    mean: Array
    square: Array
    low: Array
    high: Array
    n_unseen: int
    n_labelled: int
    hashes: NDArray[np.uint64]
    rows: Array

    @property
    def n_rows(self) -> int:
        """N."""
        return sum(self.counts)

    @classmethod
    def none(cls, d: int, n_columns: int) -> Summary:
        """Of no row: what others are added to."""
        zero, unknown = np.zeros(d), np.full(d, np.nan)
        return cls(
            (),
            0.0,
            zero,
            zero,
            zero,
            unknown,
            unknown,
            0,
            0,
            np.empty(0, np.uint64),
            np.empty((0, n_columns)),
        )

    @classmethod
    def of(
        cls,
        columns: Array,
        values: Array,
        row_weights: Array | None,
        n_labelled: int,
        first: int,
        below: np.uint64,
    ) -> Summary:
        """Of some rows: all their ``columns``, and the features among them.

        ``first`` is the number of the first of them; rows whose hashes are not ``below`` need not
        be kept.
        """
        n, d = values.shape
        seen, mean, square, low, high = np.empty((5, d))
        weights = _EQUAL if row_weights is None else row_weights
        n_unseen = _look(values, weights, seen, mean, square, low, high)
        hashes = _hashed(first, n)
        kept = np.flatnonzero(hashes <= below)
        return cls(
            (n,),
            float(n if row_weights is None else row_weights.sum()),
            seen,
            mean,
            square,
            low,
            high,
            n_unseen,
            n_labelled,
            hashes[kept],
            columns[kept],
        )

    def within_part(self) -> Summary:
        """As the summary of one part, after those of its blocks were added."""
        return Summary((self.n_rows,), *list(vars(self).values())[1:])

    def __add__(self, other: Summary) -> Summary:
        seen = self.seen + other.seen
        share = np.divide(other.seen, seen, out=np.zeros(len(seen)), where=seen > 0)
        apart = other.mean - self.mean
        hashes = np.concatenate([self.hashes, other.hashes])
        rows = np.concatenate([self.rows, other.rows])
        if len(hashes) > 2 * KEPT:
            few = np.argpartition(hashes, KEPT)[:KEPT]
            hashes, rows = hashes[few], rows[few]
        return Summary(
            self.counts + other.counts,
            self.weight + other.weight,
            seen,
            self.mean + share * apart,
            self.square + other.square + apart**2 * share * self.seen,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
            self.n_unseen + other.n_unseen,
            self.n_labelled + other.n_labelled,
            hashes,
            rows,
        )

    @property
    def sample(self) -> Array:
        """Whole rows (m, C), all or ``KEPT`` at random, in an order that is random as well."""
        return self.rows[np.argsort(self.hashes)[:KEPT]]

    def of_features(self, at: list[int]) -> Summary:
        """Of some of the features; the sample keeps all its columns."""
        some = {name: getattr(self, name)[at] for name in ("seen", "mean", "square", "low", "high")}
        return Summary(**(vars(self) | some))


def below(n_rows: int | None) -> np.uint64:
    """A bound on hashes below which more than ``KEPT`` of so many rows are, and not many more."""
    share = 1.0 if n_rows is None else (KEPT + 10 * KEPT**0.5) / max(n_rows, 1)
    return _ALL if share >= 1.0 else np.uint64(share * 2.0**64)


@njit(**COMPILED)
def usable(values, holes):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Whether all values (N, D) are numbers to compute with; NaN may be ``holes``."""
    for x in values.ravel():  # noqa: SIM110  - compiled
        if not (abs(x) < LARGEST or (holes and x != x)):
            return False
    return True


@njit(**COMPILED)
def _look(values, weights, seen, mean, square, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Moments and extremes of the features (n, D) into arrays (D,); how many were not seen."""
    n, d = values.shape
    unseen = 0
    for j in range(d):
        seen[j] = mean[j] = square[j] = 0.0
        low[j], high[j] = np.inf, -np.inf
    for i in range(n):
        w = weights[i] if weights.size else 1.0
        for j in range(d):
            x = values[i, j]
            if x == x:
                seen[j] += w
                mean[j] += w * x
                low[j] = min(low[j], x)
                high[j] = max(high[j], x)
            else:
                unseen += 1
    for j in range(d):
        mean[j] = mean[j] / seen[j] if seen[j] > 0.0 else 0.0
        if low[j] > high[j]:
            low[j] = high[j] = np.nan
    for i in range(n):
        w = weights[i] if weights.size else 1.0
        for j in range(d):
            x = values[i, j]
            if x == x:
                square[j] += w * (x - mean[j]) * (x - mean[j])
    return unseen


def _hashed(first: int, n: int) -> NDArray[np.uint64]:
    """Of the row numbers from ``first`` on (SplitMix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + 1 + n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
