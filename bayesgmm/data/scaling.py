"""The standardised scale, on which everything is computed, and the way there and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Scaling(NamedTuple):
    """z = (x - center) / unit."""

    center: Array  # (D,)
    unit: Array  # (D,)

    def there(self, values: Array) -> Array:
        """Rows, means or locations (..., D) of the data's units on the standardised scale."""
        return np.asarray((values - self.center) / self.unit)

    def back(self, values: Array) -> Array:
        """The inverse of :meth:`there`."""
        return np.asarray(values * self.unit + self.center)

    def factors_there(self, tril: Array) -> Array:
        """Factors (..., D, D) of covariances in the data's units on the standardised scale."""
        return np.asarray(tril / self.unit[:, None])

    def factors_back(self, tril: Array) -> Array:
        """The inverse of :meth:`factors_there`."""
        return np.asarray(tril * self.unit[:, None])

    def log_jacobian(self, seen_weight: Array) -> float:
        """What log densities of rows lose in the data's units; ``seen_weight`` (D,) of values."""
        return float(seen_weight @ np.log(self.unit))


#: Least variance of a feature without its errors, in variances with them.
_LEAST = 1e-3
_STEPS = 20


def centers_and_scales(
    values: Array, weights: Array | None, variances: Array | None
) -> tuple[Array, Array]:
    """Means and standard deviations (D,) of what was seen of rows (N, D), without their errors."""
    found = np.empty((2, values.shape[1]))
    for j, column in enumerate(values.T):  # a column at a time: no copy of all the data
        parts = [column, weights, None if variances is None else variances[:, j]]
        seen = ~np.isnan(column)
        if not seen.all():
            parts = [None if part is None else part[seen] for part in parts]
        found[:, j] = _center_and_scale(*parts)
    return found[0], found[1]


def _center_and_scale(
    column: Array, weights: Array | None, variances: Array | None
) -> tuple[float, float]:
    """Mean and standard deviation (divisor N) of a feature, of what was seen.

    Without the errors whose ``variances`` (N,) are known: by moments in which a row counts the
    less, the larger its error is (DerSimonian and Laird 1986), so that a few rows that say
    nothing do not decide on the scale.
    """
    if not (len(column) if weights is None else weights.sum()) > 0:
        return np.nan, np.nan  # of nothing; a fit refuses such a feature by its name
    center = float(np.average(column, weights=weights))
    deviation = column - center
    variance = float(np.average(deviation * deviation, weights=weights))
    if variances is None or not variances.any():
        return center, float(np.sqrt(variance))
    own = np.ones(len(column)) if weights is None else weights
    counted = own > 0
    column, variances, own = column[counted], variances[counted], own[counted]
    for _ in range(_STEPS):
        spread = variance + variances
        if not spread.all():  # what has no error is all at the center, and the rest says nothing
            return center, 0.0
        share = spread.min() / spread  # whose square does not overflow
        center = float(np.average(column, weights=own * share))
        squares = (column - center) ** 2 - variances
        counts = own * share**2
        least = _LEAST * float(np.average(squares + variances, weights=counts))
        variance = max(float(np.average(squares, weights=counts)), least)
    return center, float(np.sqrt(variance))


def without_errors(variance: Array, of_errors: Array) -> Array:
    """Variances (D,) of features whose errors have the same variance in every row."""
    return np.asarray(np.maximum(variance - of_errors, _LEAST * variance))
