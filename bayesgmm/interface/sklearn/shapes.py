"""scikit-learn's arrays and this package's: which shape holds the same numbers.

Its covariances, precisions and factors are (K, D, D), (D, D), (K, D) or (K,) by
covariance type, and (D,) or () by the two that it does not have; here all are factors
as ``model.structure`` keeps them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import SpecError
from bayesgmm.model.structure import Structure
from bayesgmm.options import numeric_array

Array = NDArray[np.float64]


def checked(name: str, array: Any, shape: tuple[int, ...]) -> Array:
    """A copy of an argument, or a refusal of its shape or of numbers not finite."""
    own = numeric_array(name, array).copy()
    if own.shape != shape or not np.all(np.isfinite(own)):
        raise SpecError(f"{name} must be finite and of shape {shape}, got shape {own.shape}.")
    return own


def to_factors(name: str, array: Any, structure: Structure, k: int, d: int) -> Array:
    """scikit-learn's shape to factors'; ``name`` is for a refusal."""
    like = from_factors(np.empty(structure.factor_shape(k, d)), structure)
    own = checked(name, array, like.shape)
    if structure.matrices:
        return own.reshape(-1, d, d)
    return structure.from_distinct(own, k, d)[None].copy()


def from_factors(factors: Array, structure: Structure) -> Array:
    """Factors' shape to scikit-learn's."""
    if structure.matrices:
        return factors[0] if structure.shared else factors
    return np.array(structure.to_distinct(factors[0]))


def squares(factors: Array, structure: Structure) -> Array:
    """Covariances of their factors, or precisions of theirs."""
    return factors @ np.swapaxes(factors, -1, -2) if structure.matrices else factors**2


def inverse_factors(factors: Array, structure: Structure) -> Array:
    """Upper factors of the precisions from lower ones of the covariances, or back."""
    return np.linalg.inv(np.swapaxes(factors, -1, -2)) if structure.matrices else 1 / factors
