"""Which components mean the same before data are seen, so that labels may be exchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.model.spec import MixtureSpec


def exchangeable(spec: MixtureSpec, observations: Observations) -> NDArray[np.int64]:
    """A number for each component (K,): those of one number have the same prior, and every row
    may be of one if it may be of the other.

    All have number 0 unless Dirichlet concentrations differ or labels are known.
    """
    k = spec.n_components
    columns = [np.broadcast_to(np.asarray(spec.priors.weights, dtype=float), k)]
    allowed = observations.views.allowed_of(k, spec.noise)
    if allowed is not None:
        columns = [*columns, *np.unique(allowed[:, :k], axis=0)]
    _, first, alike = np.unique(
        np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True
    )
    return np.argsort(np.argsort(first))[alike.ravel()]  # numbered by their first components


def by_means(means: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order of components (K,): exchangeable ones by the mean of their first feature.

    ``means`` are (K, D), ``groups`` (K,) those of :func:`exchangeable`.
    """
    order = np.arange(len(groups))
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        order[own] = own[np.lexsort(means[own].T[::-1])]
    return order
