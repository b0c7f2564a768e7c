"""What a first pass over rows that are not in memory finds out, a block at a time.

Summaries of two parts add, so that parts are read by threads or workers.  The random sample
is of the rows whose numbers have the smallest hashes: which rows these are depends neither on
how the rows are cut nor on who reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rows that are kept in memory: a random sample of all.
KEPT = 100_000


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
        The sample: whole rows with all their columns, by increasing hash.
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
    ) -> Summary:
        """Of some rows: all their ``columns``, and the features among them; the number of the
        first of them."""
        n, d = values.shape
        holes = np.isnan(values)
        weights = np.ones(n) if row_weights is None else row_weights
        if not holes.any():
            seen = np.full(d, weights.sum())
            filled, low, high = values, values.min(axis=0), values.max(axis=0)
        else:
            seen, filled = weights @ ~holes, np.where(holes, 0.0, values)
            low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        mean = np.divide(weights @ filled, seen, out=np.zeros(d), where=seen > 0)
        off = filled - mean
        if filled is not values:
            off[holes] = 0.0
        square = weights @ (off * off)
        hashes = _hashed(first, n)
        kept = np.arange(n) if n <= KEPT else np.argpartition(hashes, KEPT)[:KEPT]
        order = kept[np.argsort(hashes[kept])]
        return cls(
            (n,),
            float(weights.sum()),
            seen,
            mean,
            square,
            low,
            high,
            int(holes.sum()),
            n_labelled,
            hashes[order],
            columns[order],
        )

    def within_part(self) -> Summary:
        """As the summary of one part, after those of its blocks were added."""
        return Summary((self.n_rows,), *list(vars(self).values())[1:])

    def __add__(self, other: Summary) -> Summary:
        seen = self.seen + other.seen
        share = np.divide(other.seen, seen, out=np.zeros(len(seen)), where=seen > 0)
        apart = other.mean - self.mean
        hashes = np.concatenate([self.hashes, other.hashes])
        order = np.argsort(hashes)[:KEPT]
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
            hashes[order],
            np.concatenate([self.rows, other.rows])[order],
        )

    def of_features(self, at: list[int]) -> Summary:
        """Of some of the features; the sample keeps all its columns."""
        some = {name: getattr(self, name)[at] for name in ("seen", "mean", "square", "low", "high")}
        return Summary(**(vars(self) | some))


def _hashed(first: int, n: int) -> NDArray[np.uint64]:
    """Of the row numbers from ``first`` on (SplitMix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + 1 + n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
