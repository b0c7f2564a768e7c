"""scikit-learn's arrays and this package's: which shape holds the same numbers.

Its covariances, precisions and factors are (K, D, D), (D, D), (K, D) or (K,) by
covariance type; here all are factors as ``model.covariance`` keeps them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import SpecError
from bayesgmm.model.parameters import numeric_array
from bayesgmm.model.spec import Structure

Array = NDArray[np.float64]

#: Structures whose factors are triangular matrices; the others' are standard deviations.
MATRICES = ("full", "tied")


def checked(name: str, array: Any, shape: tuple[int, ...]) -> Array:
    """A copy of an argument, or a refusal of its shape or of numbers not finite."""
    own = numeric_array(name, array).copy()
    if own.shape != shape or not np.all(np.isfinite(own)):
        raise SpecError(f"{name} must be finite and of shape {shape}, got shape {own.shape}.")
    return own


def to_factors(name: str, array: Any, kind: Structure, k: int, d: int) -> Array:
    """scikit-learn's shape to factors'; ``name`` is for a refusal."""
    shape = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]
    own = checked(name, array, shape)
    if kind == "full":
        return own
    return own[None, :, None].repeat(d, axis=2) if kind == "spherical" else own[None]


def from_factors(factors: Array, kind: Structure) -> Array:
    """Factors' shape to scikit-learn's."""
    if kind == "full":
        return factors
    return factors[0, :, 0].copy() if kind == "spherical" else factors[0]


def squares(factors: Array, kind: Structure) -> Array:
    """Covariances of their factors, or precisions of theirs."""
    return factors @ np.swapaxes(factors, -1, -2) if kind in MATRICES else factors**2


def inverse_factors(factors: Array, kind: Structure) -> Array:
    """Upper factors of the precisions from lower ones of the covariances, or back."""
    return np.linalg.inv(np.swapaxes(factors, -1, -2)) if kind in MATRICES else 1 / factors
