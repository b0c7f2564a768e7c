"""Features that are linear combinations of others, on which no full covariance has a density.

A component's covariance may then shrink without end across the plane that holds all rows.
Maximum likelihood and MAP stop at a bound and say so; a posterior has no such bound, and
there is nothing to draw from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.data.reading import largest_magnitudes
from bayesgmm.data.scaling import Scaling
from bayesgmm.errors import DataError
from bayesgmm.model.structure import STRUCTURES, Covariance

#: Rows on which all features are looked at first: what holds on all rows holds on some.
_FIRST = 1000
#: Relative coefficients below which a feature has no part in a combination.
_NO_PART = 1e-6


def refuse_collinear(observations: Observations, covariance: Covariance) -> None:
    """Refuse data of which a feature is a combination of those before it, by their names.

    Only where it is so exactly: no row is farther from it than the rounding of its own
    entries, 8 units in the last place of the largest.  As few rows as features lie in a
    plane whatever they are, and are not refused here.  Of stored rows the sample is looked at.
    """
    kept = observations.kept
    values, weights = kept.values, kept.row_weights
    counted = values if weights is None else values[weights > 0]
    if observations.has_holes:
        counted = counted[~np.isnan(counted).any(axis=1)]
    n, d = counted.shape
    if not STRUCTURES[covariance].matrices or d == 1 or n <= d:
        return
    scaling = Scaling(observations.center, observations.feature_scale)
    rounding = 8 * np.finfo(float).eps * largest_magnitudes(counted) / scaling.unit
    some = scaling.there(counted[: max(_FIRST, 4 * d)])
    # The diagonal of R is each feature's distance from those before it, over all rows.
    distances = np.abs(np.diagonal(np.linalg.qr(some, mode="r"))) / np.sqrt(len(some))
    for j in np.flatnonzero(distances < 1e-3).tolist():
        found = _combination(some, j, rounding)
        if found is not None and len(some) < n:
            found = _combination(scaling.there(counted), j, rounding)
        if found is not None:
            names = list(observations.names)
            parts = [names[i] for i in np.flatnonzero(np.abs(found) > _NO_PART)]
            raise DataError(_sentence(names[j], parts), column=names[j], columns=parts)


def _combination(
    z: NDArray[np.float64], j: int, rounding: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Coefficients with which column j is the sum of those before, to rounding, or None."""
    plane = np.column_stack([np.ones(len(z)), z[:, :j]])
    found = np.linalg.lstsq(plane, z[:, j])[0]
    away = np.abs(z[:, j] - plane @ found).max()
    allowed = rounding[j] + np.abs(found[1:]) @ rounding[:j]
    return found[1:] if away <= allowed else None


def _sentence(column: str, parts: list[str]) -> str:
    if len(parts) == 1:
        what = f"Columns {parts[0]!r} and {column!r} are the same up to shift and unit"
    else:
        shown = ", ".join(map(repr, parts[:6])) + (", …" if len(parts) > 6 else "")
        what = f"Column {column!r} is a linear combination of {shown}"
    return (
        f"{what}, so a full covariance has no posterior; drop one of them, or use "
        "covariance='diag' or method='em'."
    )
