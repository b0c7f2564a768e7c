"""Rows in memory, and what is known of them: what :class:`Stored` knows of rows that are not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import largest_magnitudes
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.scaling import centers_and_scales

Array = NDArray[np.float64]

_FEW_ENOUGH_TO_COMPARE = 100_000  # rows, to look for equal ones among them


@dataclass(frozen=True, eq=False)
class InMemory:
    """A matrix (N, D) with what else is known of its rows."""

    matrix: Array
    index: NDArray[Any] | range  # labels of the rows
    row_weights: Array | None
    views: RowViews
    holes: bool  # whether there may be any

    @property
    def n_rows(self) -> int:
        """N."""
        return self.matrix.shape[0]

    @cached_property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return float(self.n_rows if self.row_weights is None else self.row_weights.sum())

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation (D,) of each feature, errors of measurement taken out."""
        return centers_and_scales(self.matrix, self.row_weights, self.views.error_variances)

    @cached_property
    def extremes(self) -> tuple[Array, Array]:
        """Smallest and largest value (D,) of each feature."""
        return np.fmin.reduce(self.matrix), np.fmax.reduce(self.matrix)

    @cached_property
    def n_unseen(self) -> int:
        """How many values were not seen."""
        return int(np.isnan(self.matrix).sum()) if self.holes else 0

    @cached_property
    def seen_weight(self) -> Array:
        """Weight (D,) of the rows in which each feature was seen."""
        if not self.n_unseen:
            return np.full(self.matrix.shape[1], self.total_weight)
        seen = ~np.isnan(self.matrix)
        return seen.sum(axis=0) * 1.0 if self.row_weights is None else self.row_weights @ seen

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Whether nothing was seen of each row (N,)."""
        return np.isnan(self.matrix).all(axis=1)

    @cached_property
    def empty_weight(self) -> float:
        """Weight of the rows of which nothing was seen."""
        if self.seen_weight.max() == self.total_weight:
            return 0.0
        weights = self.row_weights
        return float(self.empty.sum() if weights is None else weights[self.empty].sum())

    @cached_property
    def typical_weight(self) -> float:
        """Median weight of a distinct row: 1, or 2 where every row is there twice."""
        weights = np.ones(self.n_rows) if self.row_weights is None else self.row_weights
        if self.n_rows <= _FEW_ENOUGH_TO_COMPARE:
            place = np.unique(self.matrix + 0.0, axis=0, return_inverse=True)[1]
            weights = np.bincount(place.ravel(), weights)
        return float(np.median(weights[weights > 0]))

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.row_weights is not None

    @property
    def counted(self) -> Array:
        """The rows that count."""
        weights = self.row_weights
        return self.matrix if weights is None else self.matrix[weights > 0]

    @property
    def n_counted(self) -> int:
        """How many rows count."""
        return len(self.counted)

    @cached_property
    def largest(self) -> Array:
        """Largest magnitude (D,) of each feature, of the rows that count."""
        if self.row_weights is None:
            return np.asarray(np.fmax(-self.extremes[0], self.extremes[1]))
        return largest_magnitudes(self.counted)

    def part(self, rows: Any) -> InMemory:
        """Some of the rows, by number."""
        weights = self.row_weights
        return InMemory(
            np.ascontiguousarray(self.matrix[rows]),
            np.asarray(self.index)[rows],
            None if weights is None else weights[rows],
            self.views.part(rows),
            self.holes,
        )
