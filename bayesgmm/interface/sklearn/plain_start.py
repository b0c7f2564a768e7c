"""Where plain EM starts: as the arguments say, in scikit-learn's shapes and by its draws.

An argument that is given is used as it is; what is missing comes from memberships,
made by the same sequence of random draws as scikit-learn's, so that one seed leads
both to the same start.  Of several starts the best is kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.errors import SpecError
from bayesgmm.interface.sklearn.plain_em import Mixture, PlainRun, moments, plain_em
from bayesgmm.interface.sklearn.shapes import checked, to_factors
from bayesgmm.model.structure import STRUCTURES, Structure

Array = NDArray[np.float64]

INITS = ("kmeans", "k-means++", "random", "random_from_data")


def best_run(model: Any, values: Array, row_weights: Array | None, max_iter: int) -> PlainRun:
    """EM from as many starts as the arguments of a ``GaussianMixture`` ask for, the best."""
    random_state = check_random_state(model.random_state)
    runs = []
    for number in range(model.n_init):
        if model.verbose:
            print(f"Start {number}")
        first = first_mixture(model, values, row_weights, random_state)
        runs.append(run(model, values, row_weights, max_iter, first, -np.inf))
    return max(runs, key=lambda run: run.bound)  # the first of equals


def run(
    model: Any,
    values: Array,
    row_weights: Array | None,
    max_iter: int,
    mixture: Mixture,
    bound: float,
) -> PlainRun:
    """EM from one mixture, after a step that had a mean log-likelihood of ``bound``."""
    return plain_em(
        values,
        row_weights,
        mixture,
        bound,
        max_iter=max_iter,
        tol=model.tol,
        reg_covar=model.reg_covar,
        print_every=model.verbose_interval if model.verbose else 0,
    )


def first_mixture(
    model: Any, values: Array, row_weights: Array | None, random_state: np.random.RandomState
) -> Mixture:
    """The start that the arguments of a ``GaussianMixture`` ask for on ``values``."""
    k, d = model.n_components, values.shape[1]
    structure = STRUCTURES[model.covariance_type]
    given = (model.weights_init, model.means_init, model.precisions_init)
    if any(array is None for array in given):
        memberships = _memberships(values, row_weights, k, model.init_params, random_state)
        weights, means, covariances = moments(
            values, row_weights, memberships, model.reg_covar, structure
        )
    if model.weights_init is not None:
        weights = _weights(model.weights_init, k)
    if model.means_init is not None:
        means = checked("means_init", model.means_init, (k, d))
    if model.precisions_init is not None:
        covariances = _covariances(model.precisions_init, structure, k, d)
    return Mixture.of(weights, means, covariances, structure)


def _memberships(
    values: Array,
    row_weights: Array | None,
    k: int,
    how: str,
    random_state: np.random.RandomState,
) -> Array:
    """Memberships (N, K); a row without any is zeros where single rows are the start."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    n = len(values)
    if how == "random":
        memberships = random_state.uniform(size=(n, k))
        return memberships / memberships.sum(axis=1, keepdims=True)
    memberships = np.zeros((n, k))
    if how == "kmeans":
        with one_blas_thread():  # it runs on OpenMP's
            search = KMeans(k, n_init=1, random_state=random_state)
            labels = search.fit(values, sample_weight=row_weights).labels_
        memberships[np.arange(n), labels] = 1
        return memberships
    if how == "random_from_data":
        shares = None if row_weights is None else row_weights / row_weights.sum()
        chosen = random_state.choice(n, size=k, replace=False, p=shares)
    else:
        found = kmeans_plusplus(values, k, sample_weight=row_weights, random_state=random_state)
        chosen = found[1]
    memberships[chosen, np.arange(k)] = 1
    return memberships


def _weights(array: Any, k: int) -> Array:
    weights = checked("weights_init", array, (k,))
    if np.any(weights < 0) or abs(weights.sum() - 1) > 1e-6:
        raise SpecError("weights_init must not be negative and must sum to one.")
    return weights


def _covariances(precisions: Any, structure: Structure, k: int, d: int) -> Array:
    """Inverses of ``precisions_init``, in the shape of factors."""
    own = to_factors("precisions_init", precisions, structure, k, d)
    if not structure.matrices:
        if np.any(own <= 0):
            raise SpecError("precisions_init must be positive.")
        return 1 / own
    symmetric = np.allclose(own, np.swapaxes(own, -1, -2))
    if not symmetric or np.any(np.linalg.eigvalsh(own) <= 0):
        raise SpecError("precisions_init must be symmetric and positive definite.")
    return np.linalg.inv(own)
