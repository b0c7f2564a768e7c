"""Rows as the pass reads them, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import MATRIX, VECTOR
from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.scaling import Scaling
from bayesgmm.expectation.views import ALL_SEEN, VIEWS, Views

Array = NDArray[np.float64]

#: Rows given to one call of the kernel.  Fixed, so that sums are added in the
#: same order, and come out bit-equal, whatever the number of threads.
CHUNK = 16_384
NO_ROWS = np.empty(0)
_NO_BOX = np.empty((0, 0))


class Rows(NamedTuple):
    """Rows with the scale on which the pass sees them: (x - center) / scale."""

    values: Array  # (N, D)
    center: Array  # (D,)
    inverse_scale: Array  # (D,)
    row_weights: Array  # (N,), or none
    views: Views  # what of them was seen
    background: Array  # (N,) log density of noise, on the scale of the pass; none without noise
    selection: Array  # (2, D) the box outside of which no row was recorded; none where all were

    @classmethod
    def of(
        cls,
        values: Array,
        center: Array | None = None,
        scale: Array | None = None,
        row_weights: Array | None = None,
        *,
        errors: Array | None = None,
        allowed: NDArray[np.bool_] | None = None,
        background: Array | None = None,
        selection: Array | None = None,
        complete: bool = False,
    ) -> Rows:
        """Rows as they are, or centred and scaled; all in the data's units.

        ``errors`` are standard deviations (N, D) or covariances (N, D, D).
        """
        d = values.shape[1]
        parts = (
            np.zeros(d) if center is None else center,
            np.ones(d) if scale is None else 1.0 / scale,
            NO_ROWS if row_weights is None else row_weights,
        )
        values, center, inverse, row_weights = (
            np.ascontiguousarray(part, dtype=np.float64) for part in (values, *parts)
        )
        if errors is not None:
            square = errors[:, None] ** 2 if errors.ndim == 2 else errors
            errors = square * (inverse**2 if errors.ndim == 2 else np.outer(inverse, inverse))
        if background is not None:
            background = np.ascontiguousarray(background - ~np.isnan(values) @ np.log(inverse))
        if selection is not None:
            selection = np.ascontiguousarray((selection - center) * inverse)
        return cls(
            values,
            center,
            inverse,
            row_weights,
            Views.of(values, errors, allowed, complete=complete),
            NO_ROWS if background is None else background,
            _NO_BOX if selection is None else selection,
        )

    @classmethod
    def seen(
        cls,
        table: InMemory,
        scaling: Scaling,
        n_components: int,
        noise_box: Array | None = None,
        *,
        noise: bool = False,
    ) -> Rows:
        """A table, with all that is known of how its rows were seen.

        With ``noise`` its log density is that of the table, or uniform over ``noise_box`` (2, D)
        in the data's units.
        """
        views, background = table.views, None
        if noise:
            background = views.background
            if background is None or background.ndim == 2:
                assert noise_box is not None
                background = uniform_log_density(noise_box, table.matrix)
        return cls.of(
            table.matrix,
            *scaling,
            table.row_weights,
            errors=views.errors,
            allowed=views.allowed_of(n_components, noise),
            background=background,
            selection=views.selection,
            complete=not table.holes,
        )

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.values)

    @property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return float(self.row_weights.sum()) if len(self.row_weights) else float(self.n_rows)

    @property
    def standardised(self) -> Array:
        """The values (N, D) on the scale on which the pass sees them."""
        return (self.values - self.center) * self.inverse_scale

    def chunks(self) -> list[Rows]:
        """Consecutive rows, ``CHUNK`` at a time, without a copy."""
        return [self.part(slice(i, i + CHUNK)) for i in range(0, max(len(self.values), 1), CHUNK)]

    def pieces(self) -> list[Rows]:
        """All rows, ``CHUNK`` at a time in any order, for what adds up."""
        if not len(self.views.order):
            return self.chunks()
        return [self._replace(views=views) for views in self.views.pieces(CHUNK)]

    def numbered(self) -> Iterator[tuple[slice, Rows]]:
        """The chunks, and which rows each has."""
        begin = 0
        for chunk in self.chunks():
            yield slice(begin, begin + len(chunk.values)), chunk
            begin += len(chunk.values)

    @property
    def unlabelled(self) -> Rows:
        """The same with every row free to be of every class."""
        return self._replace(views=self.views._replace(allowed=ALL_SEEN.allowed))

    @property
    def unselected(self) -> Rows:
        """The same as if all rows had been recorded."""
        return self._replace(selection=_NO_BOX)

    def part(self, where: slice | NDArray[np.int64]) -> Rows:
        """Some of the rows, without a copy where they are complete."""
        values = self.values[where]
        views = self.views.part(values, where) if len(self.views.order) else ALL_SEEN
        return self._replace(
            values=values,
            row_weights=self.row_weights[where] if len(self.row_weights) else NO_ROWS,
            views=views,
            background=self.background[where] if len(self.background) else NO_ROWS,
        )


#: Their type in compiled code.
ROWS = types.NamedTuple([MATRIX, VECTOR, VECTOR, VECTOR, VIEWS, VECTOR, MATRIX], Rows)


def uniform_log_density(box: Array, values: Array) -> Array:
    """Log density (N,) of rows (N, D) uniform over a box (2, D), of what was seen of them."""
    seen = ~np.isnan(values)
    outside = ((values < box[0]) | (values > box[1])).any(axis=1)
    return np.where(outside, -np.inf, -(seen @ np.log(box[1] - box[0])))


def cores_of_one_pass(n_rows: int, cores: int) -> int:
    """How many of the cores one pass over the rows is for: all where there are many rows, and
    otherwise one, so that passes go side by side."""
    return cores if n_rows > CHUNK else 1
