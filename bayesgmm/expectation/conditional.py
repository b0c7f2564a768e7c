"""What was not seen, given what was: the normals of the rest of a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.expectation.views import Views

Array = NDArray[np.float64]


class Conditional(NamedTuple):
    """The rest of a row given the columns seen, by component: means offset + x_o @ slope."""

    rows: NDArray[np.int64]  # which rows have this view
    seen: NDArray[np.int64]
    unseen: NDArray[np.int64]
    slope: Array  # (K, O, U)
    offset: Array  # (K, U)
    tril: Array  # (K, U, U)


def conditionals(views: Views, means: Array, covariances: Array) -> Iterator[Conditional]:
    """For each view that lacks something, of the mixture of these normals."""
    for v, n_seen in enumerate(views.n_seen):
        seen, unseen = views.seen[v, :n_seen], views.seen[v, n_seen:]
        if not len(unseen):
            continue
        across = covariances[:, seen][:, :, unseen]
        slope = np.linalg.solve(covariances[:, seen][:, :, seen], across)
        rest = covariances[:, unseen][:, :, unseen] - np.swapaxes(across, 1, 2) @ slope
        offset = means[:, unseen] - np.einsum("ko,kou->ku", means[:, seen], slope)
        rest = 0.5 * (rest + np.swapaxes(rest, 1, 2))
        rows = views.order[views.starts[v] : views.starts[v + 1]]
        yield Conditional(rows, seen, unseen, slope, offset, np.linalg.cholesky(rest))
