"""Whether a mixture can be fitted to rows at all: what no method could make up for is refused."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.reading import LARGEST
from bayesgmm.data.stored import Stored
from bayesgmm.errors import DataError
from bayesgmm.model.structure import STRUCTURES, Covariance

#: Below this a square loses digits, and soon is zero.
_LEAST = 1 / LARGEST


def refuse_unfittable(
    table: InMemory | Stored,
    names: tuple[str, ...],
    n_components: int,
    covariance: Covariance,
    *,
    likelihood_only: bool,
) -> None:
    """Refuse rows on which no mixture with so many components can be fitted."""
    d, n = len(names), table.n_counted
    (center, scale), seen_weight = table.moments, table.seen_weight
    for name, weight in zip(names, seen_weight, strict=True):
        if not weight > 0:
            raise DataError(
                f"Column {name!r} has no value at all; drop it before fitting.", column=name
            )
    if n == 1:
        raise DataError(
            "Only one row counts (n_samples=1), which has no spread to fit; give two or more."
        )
    if not table.total_weight > _LEAST:
        raise DataError("row_weights are too small to reckon with; divide them by their largest.")
    # The rounding of a mean is of this size; a column that varies less does not vary.
    rounding = 8 * np.finfo(float).eps * table.largest
    for j, name in enumerate(names):
        if 0 < scale[j] < _LEAST or 0 < table.largest[j] < _LEAST:
            raise DataError(
                f"Column {name!r} varies by less than {_LEAST:g}, whose square is below the range "
                "of numbers; rescale the column.",
                column=name,
            )
        if scale[j] <= rounding[j]:
            but = "" if table.views.errors is None else " but for its errors"
            raise DataError(
                f"Column {name!r} is constant ({center[j]:g} in every row{but}); "
                "drop it before fitting.",
                column=name,
            )
        # Only of rows that do not count, which have no part in the scale.
        if not max(-table.extremes[0][j], table.extremes[1][j]) < LARGEST * scale[j]:
            raise DataError(
                f"Column {name!r} has a row of weight 0 so far from the others that its square "
                "overflows on their scale; leave it out.",
                column=name,
            )
    distinct = _distinct_rows(table.counted, at_most=n_components)
    if n_components > distinct:
        raise DataError(
            f"{n_components} components were asked of data with only {distinct} distinct "
            f"rows; use n_components <= {distinct}.",
            distinct=distinct,
        )
    # With one feature full is diag, which needs no more rows than components.
    full = STRUCTURES[covariance].on(n_components, d)[:2] == (True, False)
    if likelihood_only and full and n < n_components * (d + 1):
        raise DataError(
            f"{n} rows are too few for {n_components} full covariance matrices of {d} "
            f"features, which need {n_components * (d + 1)}; use covariance='diag', fewer "
            "components, or method='map'.",
            rows=n,
        )


def _distinct_rows(values: NDArray[np.float64], at_most: int) -> int:
    """Number of distinct rows, counted only as far as ``at_most``."""
    seen: set[bytes] = set()
    for row in values + 0.0:  # + 0.0 makes -0.0 and 0.0 the same bytes
        seen.add(row.tobytes())
        if len(seen) >= at_most:
            break
    return len(seen)
