"""Covariance structures: what the components' covariances have in common.

A structure is a way of sharing, said by three words: whether a covariance has
correlations (``matrices``) or is a row of standard deviations, whether all components
have the same (``shared``), and whether all features have the same scale (``round``).
Whatever depends on the structure, from the pass over the data to the words of a table,
asks these three, so that a further structure is a line of :data:`STRUCTURES`.

A set of covariances is kept as *factors*: lower Cholesky factors (K, D, D), or (1, D, D)
where they are shared; or standard deviations (1, K, D), equal where they are shared.
Scatter matrices have the same shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Bits of a structure's code, as compiled code reads it.
SCALES, SHARED, ROUND = 1, 2, 4

Covariance = Literal["full", "tied", "diag", "spherical", "tied-diag", "tied-spherical"]


@dataclass(frozen=True)
class Structure:
    """One covariance structure."""

    words: str  # what it means, as users read it
    matrices: bool
    shared: bool
    round: bool

    @property
    def code(self) -> int:
        """As compiled code reads it."""
        return SCALES * (not self.matrices) + SHARED * self.shared + ROUND * self.round

    def owners(self, k: int) -> int:
        """Different covariances of K components."""
        return 1 if self.shared else k

    def entries(self, d: int) -> int:
        """Free numbers of one covariance."""
        if self.matrices:
            return d * (d + 1) // 2
        return 1 if self.round else d

    def own_entries(self, d: int) -> int:
        """Free numbers of a covariance that is one component's own: none where it is shared."""
        return 0 if self.shared else self.entries(d)

    def n_entries(self, k: int, d: int) -> int:
        """Free numbers of all covariances."""
        return self.owners(k) * self.entries(d)

    def factor_shape(self, k: int, d: int) -> tuple[int, int, int]:
        """Shape of the factors, and of the scatters, of K components in D dimensions."""
        return (self.owners(k), d, d) if self.matrices else (1, k, d)

    def to_tril(self, factors: Array, k: int) -> Array:
        """Lower Cholesky factors (..., K, D, D) of factors with any leading batch shape."""
        if self.matrices:
            d = factors.shape[-1]
            return np.broadcast_to(factors, (*factors.shape[:-3], k, d, d))
        scales = factors[..., 0, :, :]
        return np.asarray(scales[..., None] * np.eye(scales.shape[-1]))

    def to_factors(self, tril: Array) -> Array:
        """The inverse of :meth:`to_tril`."""
        if self.matrices:
            return np.ascontiguousarray(tril[..., :1, :, :] if self.shared else tril)
        # A copy, because a view of a diagonal is read-only.
        return np.diagonal(tril, axis1=-2, axis2=-1)[..., None, :, :].copy()

    def restricted(self, covariance: Array) -> Array:
        """A covariance (D, D) with the orientation that the structure allows."""
        if self.round:
            return np.asarray(np.eye(len(covariance)) * np.trace(covariance) / len(covariance))
        return covariance if self.matrices else np.diag(np.diag(covariance))

    def to_distinct(self, scales: Array) -> Array:
        """The scales that differ, of scales (..., K, D)."""
        scales = scales[..., 0, :] if self.shared else scales
        return scales[..., 0] if self.round else scales

    def from_distinct(self, scales: Array, k: int, d: int) -> Array:
        """The inverse of :meth:`to_distinct`."""
        scales = scales[..., None] if self.round else scales
        scales = scales[..., None, :] if self.shared else scales
        return np.broadcast_to(scales, (*scales.shape[:-2], k, d))

    def on(self, k: int, d: int) -> tuple[bool, bool, bool]:
        """What is left of the differences for K components in D dimensions.

        One component's covariance is everybody's; one feature has no correlations, and one
        scale.
        """
        return self.matrices and d > 1, self.shared or k == 1, self.round or d == 1


#: The structures, plainest first.
STRUCTURES: dict[Covariance, Structure] = {
    "full": Structure(
        "each component its own ellipse, of any orientation",
        matrices=True, shared=False, round=False,
    ),
    "tied": Structure(
        "one ellipse of any orientation, shared by all components",
        matrices=True, shared=True, round=False,
    ),
    "diag": Structure(
        "each component its own axis-aligned ellipse",
        matrices=False, shared=False, round=False,
    ),
    "spherical": Structure(
        "each component its own circle",
        matrices=False, shared=False, round=True,
    ),
    "tied-diag": Structure(
        "one axis-aligned ellipse, shared by all components",
        matrices=False, shared=True, round=False,
    ),
    "tied-spherical": Structure(
        "one circle, shared by all components",
        matrices=False, shared=True, round=True,
    ),
}  # fmt: skip
assert tuple(STRUCTURES) == get_args(Covariance)
