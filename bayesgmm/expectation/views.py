"""How rows were seen: which of their features, with what error, of which components they may be.

Rows of one view are, for the kernel, complete rows of the features seen under a mixture of its
own (``marginals``): whatever a row lacks is said once for all rows that lack the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import CUBE, MATRIX, VECTOR

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_NONE = np.empty(0, dtype=np.int64)
_NO_ERRORS, _ALL_ALLOWED = np.empty((0, 0, 0)), np.empty((0, 0))


class Views(NamedTuple):
    """Rows by what of them was seen; all arrays empty where everything was, without error."""

    seen: Indices  # (V, D) columns, those seen first, the others after
    n_seen: Indices  # (V,)
    starts: Indices  # (V + 1,) in ``order``
    order: Indices  # (N,) rows of view 0, then of view 1, ...
    packed: Array  # the values seen, row by row in that order
    errors: Array  # (V, 1, D) variances or (V, D, D) covariances of error; none where it is none
    allowed: Array  # (V, M) 1 for each class that its rows may be of, or 0; none where all
    of_row: Indices  # (N,) the view of each row

    @classmethod
    def of(
        cls,
        values: Array,
        errors: Array | None = None,
        allowed: NDArray[np.bool_] | None = None,
        *,
        complete: bool = False,
    ) -> Views:
        """Of rows (N, D) in which what was not seen is NaN.

        ``errors`` are variances (N, 1, D) or covariances (N, D, D), on the scale of the pass;
        ``allowed`` (N, M) says which classes; rows that are known to be ``complete`` are not looked
        at.
        """
        if complete and errors is None and allowed is None:
            return ALL_SEEN
        holes = np.isnan(values)
        if errors is None and allowed is None and not holes.any():
            return ALL_SEEN
        n, d = values.shape
        keys = [holes]
        if errors is not None:  # but for what concerns what was not seen
            gone = holes[:, None, :]
            if errors.shape[1] > 1:
                gone = gone | holes[:, :, None]
            errors = np.where(gone, 0.0, errors) + 0.0  # one zero, for -0.0 is other bytes
            keys.append(errors.reshape(n, -1).view(np.uint8))
        if allowed is not None:
            keys.append(allowed)
        key = np.ascontiguousarray(np.hstack([part.view(np.uint8) for part in keys]))
        _, first, view = np.unique(
            key.view([("", np.void, key.shape[1])]).ravel(), return_index=True, return_inverse=True
        )
        return _grouped(
            values,
            view.ravel(),
            np.ascontiguousarray(np.argsort(holes[first], axis=1, kind="stable")),
            d - holes[first].sum(axis=1),
            _NO_ERRORS if errors is None else np.ascontiguousarray(errors[first]),
            _ALL_ALLOWED if allowed is None else allowed[first].astype(np.float64),
        )

    def part(self, values: Array, where: slice | Indices) -> Views:
        """Of some of the rows, whose ``values`` these are."""
        kept, view = np.unique(self.of_row[where], return_inverse=True)
        errors, allowed = (part[kept] if len(part) else part for part in self[5:7])
        return _grouped(values, view, self.seen[kept], self.n_seen[kept], errors, allowed)

    def pieces(self, size: int) -> list[Views]:
        """The same a number of rows at a time, in their order here and without a copy."""
        n = np.diff(self.starts)
        offsets = np.concatenate([[0], np.cumsum(n * self.n_seen)])
        found = []
        for begin in range(0, len(self.order), size):
            end = min(begin + size, len(self.order))
            first = int(np.searchsorted(self.starts, begin, side="right")) - 1
            last = int(np.searchsorted(self.starts, end, side="left"))
            low, high = (
                offsets[v] + (row - self.starts[v]) * self.n_seen[v]
                for row, v in ((begin, first), (end, last - 1))
            )
            found.append(
                Views(
                    self.seen[first:last],
                    self.n_seen[first:last],
                    np.clip(self.starts[first : last + 1], begin, end) - begin,
                    self.order[begin:end],
                    self.packed[low:high],
                    self.errors[first:last],
                    self.allowed[first:last],
                    _NONE,
                )
            )
        return found


def _grouped(
    values: Array, view: Indices, seen: Indices, n_seen: Indices, errors: Array, allowed: Array
) -> Views:
    """Rows of known views, put in the order of these."""
    order = np.argsort(view, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(view, minlength=len(n_seen)))])
    sorted_rows = values[order]
    packed = sorted_rows[~np.isnan(sorted_rows)]
    return Views(seen, n_seen, starts, order, packed, errors, allowed, view)


ALL_SEEN = Views(
    np.empty((0, 0), dtype=np.int64),
    _NONE,
    _NONE,
    _NONE,
    np.empty(0),
    _NO_ERRORS,
    _ALL_ALLOWED,
    _NONE,
)
_INDICES = types.Array(types.int64, 1, "C")
#: Their type in compiled code.
VIEWS = types.NamedTuple(
    [types.Array(types.int64, 2, "C"), *3 * [_INDICES], VECTOR, CUBE, MATRIX, _INDICES], Views
)
