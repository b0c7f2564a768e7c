"""What a ``GaussianMixture`` is given and what it has: arguments checked, attributes kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.errors import DataError, SpecError
from bayesgmm.interface.sklearn.online import LEARNING_DECAY
from bayesgmm.interface.sklearn.plain_em import Mixture, Moments
from bayesgmm.interface.sklearn.plain_start import INITS
from bayesgmm.interface.sklearn.shapes import (
    from_factors,
    inverse_factors,
    squares,
    to_factors,
)
from bayesgmm.model.spec import COVARIANCE
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.options import (
    COUNT,
    LIMIT,
    LIMIT_FROM_ZERO,
    NOT_NEGATIVE,
    RANDOM_STATE,
    TRUTH,
    one_of,
)


def check_arguments(model: Any) -> None:
    """Refuse an argument that is not what it has to be."""
    for name, kind in (
        ("n_components", COUNT),
        ("max_iter", LIMIT_FROM_ZERO),
        ("n_init", COUNT),
        ("verbose_interval", LIMIT),
        ("tol", NOT_NEGATIVE),
        ("reg_covar", NOT_NEGATIVE),
        ("covariance_type", COVARIANCE),
        ("init_params", one_of(*INITS)),
        ("random_state", RANDOM_STATE),
        ("warm_start", TRUTH),
        ("learning_decay", LEARNING_DECAY),
    ):
        kind(f"GaussianMixture: {name}", getattr(model, name))
    if not isinstance(model.verbose, bool):  # scikit-learn takes both
        LIMIT_FROM_ZERO("GaussianMixture: verbose", model.verbose)


def refuse_other(model: Any, moments: Moments, n_features: int) -> None:
    """Refuse to go on with a mixture of another shape than that of the rows seen so far."""
    k, d = moments.means.shape
    if n_features != d:
        raise DataError(f"X has {n_features} features and the rows before had {d}.")
    if k != model.n_components or moments.structure != STRUCTURES[model.covariance_type]:
        covariance = next(name for name, it in STRUCTURES.items() if it == moments.structure)
        raise SpecError(
            f"The rows before were learned from with n_components={k} and "
            f"covariance_type={covariance!r}, and now these are {model.n_components} and "
            f"{model.covariance_type!r}; put them back, or begin again by fit or a clone."
        )


def keep(model: Any, mixture: Mixture, dtype: Any) -> None:
    """A mixture as the model's attributes, in scikit-learn's shapes."""
    structure = mixture.structure
    root = inverse_factors(mixture.factors, structure)
    found = {
        "weights_": mixture.weights,
        "means_": mixture.means,
        "covariances_": from_factors(squares(mixture.factors, structure), structure),
        "precisions_": from_factors(squares(root, structure), structure),
        "precisions_cholesky_": from_factors(root, structure),
    }
    for name, array in found.items():
        setattr(model, name, array.astype(dtype, copy=False))


def kept(model: Any) -> Mixture:
    """The mixture that the attributes are, which people do assign to."""
    weights, means = np.asarray(model.weights_, float), np.asarray(model.means_, float)
    structure = STRUCTURES[model.covariance_type]
    root = to_factors("precisions_cholesky_", model.precisions_cholesky_, structure, *means.shape)
    return Mixture(weights, means, inverse_factors(root, structure), structure)
