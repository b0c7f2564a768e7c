"""A mixture's parameters on the standardised scale, as compiled code takes them whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import CUBE, MATRIX, VECTOR


class Point(NamedTuple):
    """Log weights, means and the factors of Sigma of one mixture; what ``theta`` stands for."""

    log_weights: NDArray[np.float64]  # (M,): K, and that of noise where there is any
    means: NDArray[np.float64]  # (K, D)
    factors: NDArray[np.float64]  # (K, D, D), (1, D, D) or (1, K, D)

    @property
    def interior(self) -> Point:
        """With a least weight above zero: an empty component has no log-ratio."""
        return self._replace(log_weights=np.maximum(self.log_weights, -700.0))

    def copy(self) -> Point:
        """The same, to be changed in place."""
        return Point(*(np.array(part) for part in self))


#: Its type in compiled code.
POINT = types.NamedTuple([VECTOR, MATRIX, CUBE], Point)
