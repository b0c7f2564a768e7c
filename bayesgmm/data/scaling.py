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
