"""The algebra of normals given some of their features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def given_features(
    means: Array, scale_tril: Array, seen: NDArray[np.int64], rest: NDArray[np.int64], at: Array
) -> tuple[Array, Array, Array]:
    """Normals (..., D) given that the features ``seen`` have the values ``at``.

    Returns the log density (...) of what was seen, and means and factors of the rest.
    """
    # Features seen first: the Cholesky factor of the reordered covariance holds
    # the marginal of the seen, the regression on them and the conditional factor.
    tril = factor_of(scale_tril[..., np.concatenate([seen, rest]), :])
    m = len(seen)
    with np.errstate(over="ignore", invalid="ignore"):
        white = np.linalg.solve(tril[..., :m, :m], (at - means[..., seen])[..., None])
        moved = means[..., rest] + (tril[..., m:, :m] @ white)[..., 0]
        distance = np.minimum((white[..., 0] ** 2).sum(-1), 1e300)  # a far value stays finite
    log_det = np.log(np.diagonal(tril[..., :m, :m], axis1=-2, axis2=-1)).sum(-1)
    log_seen = -0.5 * (distance + m * np.log(2 * np.pi)) - log_det
    return log_seen, moved, tril[..., m:, m:]


def factor_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cholesky factors of A A' for rows A (..., m, D) of other factors, m <= D.

    From A itself: A A' of nearly collinear features is singular to rounding.
    """
    upper = np.linalg.qr(np.swapaxes(rows, -1, -2), mode="r")
    signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return np.tril(np.swapaxes(signs[..., None] * upper, -1, -2))
