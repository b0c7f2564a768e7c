"""Rows as the pass reads them, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import MATRIX, VECTOR
from bayesgmm.expectation.views import ALL_SEEN, VIEWS, Views

#: Rows given to one call of the kernel.  Fixed, so that sums are added in the
#: same order, and come out bit-equal, whatever the number of threads.
CHUNK = 16_384
NO_ROWS = np.empty(0)


class Rows(NamedTuple):
    """Rows with the scale on which the pass sees them: (x - center) / scale."""

    values: NDArray[np.float64]  # (N, D)
    center: NDArray[np.float64]  # (D,)
    inverse_scale: NDArray[np.float64]  # (D,)
    row_weights: NDArray[np.float64]  # (N,), or none
    views: Views  # what of them was seen

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        center: NDArray[np.float64] | None = None,
        scale: NDArray[np.float64] | None = None,
        row_weights: NDArray[np.float64] | None = None,
    ) -> Rows:
        """Rows as they are, or centred and scaled."""
        d = values.shape[1]
        parts = (
            np.zeros(d) if center is None else center,
            np.ones(d) if scale is None else 1.0 / scale,
            NO_ROWS if row_weights is None else row_weights,
        )
        values, *others = (
            np.ascontiguousarray(part, dtype=np.float64) for part in (values, *parts)
        )
        return cls(values, others[0], others[1], others[2], Views.of(values))

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

    def part(self, where: slice) -> Rows:
        """Some of the rows, without a copy where they are complete."""
        values = self.values[where]
        views = Views.of(values) if len(self.views.order) else ALL_SEEN
        return self._replace(values=values, row_weights=self.row_weights[where], views=views)


#: Their type in compiled code.
ROWS = types.NamedTuple([MATRIX, VECTOR, VECTOR, VECTOR, VIEWS], Rows)


def cores_of_one_pass(n_rows: int, cores: int) -> int:
    """How many of the cores one pass over the rows is for: all where there are many rows, and
    otherwise one, so that passes go side by side."""
    return cores if n_rows > CHUNK else 1
