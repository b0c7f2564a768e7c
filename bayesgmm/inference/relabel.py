"""Relabelling: undo the label switching of draws.

A mixture's posterior is symmetric under relabelling, so before anything is
averaged by component the draws are brought to one labelling: that of a pivot,
each draw by the permutation that brings its components nearest to the pivot's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.model.parameters import MixtureParameters


def to_pivot(parameters: MixtureParameters, pivot: MixtureParameters) -> NDArray[np.int64]:
    """Permutations (..., K) that bring each mixture nearest to ``pivot``.

    Nearest in the sum over components of the pivot's weight times the
    Kullback-Leibler divergence from the pivot's component to the draw's, the
    large-sample form of equivalence-classes-representatives relabelling, solved
    as an assignment problem and not by going through K! permutations.

    Parameters
    ----------
    parameters : MixtureParameters
        Batch shape (...).
    pivot : MixtureParameters
        One mixture.

    References
    ----------
    Papastamoulis and Iliopoulos (2010), An artificial allocations based solution to
    the label switching problem, J. Computational and Graphical Statistics 19.
    """
    from scipy.optimize import linear_sum_assignment

    pivot, draws = pivot.flat()[0], parameters.flat()
    cost = pivot.weights[:, None] * (
        _divergence(pivot, draws) - np.log(np.maximum(draws.weights, 1e-300))[:, None, :]
    )
    permutations = np.stack([linear_sum_assignment(table)[1] for table in cost])
    return permutations.reshape(*parameters.batch_shape, -1)


def _divergence(pivot: MixtureParameters, draws: MixtureParameters) -> NDArray[np.float64]:
    """KL divergence (S, K, K) from component j of the pivot to component i of a draw."""
    d = pivot.n_features
    whiten = np.linalg.inv(draws.scale_tril)  # (S, K, D, D)
    relative = whiten[:, None] @ pivot.scale_tril[None, :, None]
    shift = draws.means[:, None] - pivot.means[None, :, None]
    white = (whiten[:, None] @ shift[..., None])[..., 0]
    log_ratio = np.log(np.diagonal(draws.scale_tril, axis1=-2, axis2=-1)).sum(-1)[:, None] - (
        np.log(np.diagonal(pivot.scale_tril, axis1=-2, axis2=-1)).sum(-1)[None, :, None]
    )
    return 0.5 * ((relative**2).sum((-1, -2)) + (white**2).sum(-1) - d) + log_ratio
