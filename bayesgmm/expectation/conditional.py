"""What is not known of rows, given what was seen of them: normals, by component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.expectation.views import Views

Array = NDArray[np.float64]

_ROWS = 4_096  # with errors of their own that are taken at once


class Conditional(NamedTuple):
    """Some columns of some rows given what was seen of these, by component."""

    rows: NDArray[np.int64]  # (n,)
    columns: NDArray[np.int64]  # (U,)
    means: Array  # (n, K, U)
    roots: Array  # (n, K, U, U), or (1, K, U, U) where all rows have the same

    @property
    def variances(self) -> Array:
        """(n, K, U), or (1, K, U)."""
        return np.asarray((self.roots**2).sum(axis=-1))

    def draw(self, component: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Values (n, U) of rows that are of these components (n,)."""
        at = np.arange(len(self.rows))
        roots = self.roots[at if len(self.roots) > 1 else 0 * at, component]
        noise = rng.standard_normal(self.means.shape[::2])
        return np.asarray(self.means[at, component] + np.einsum("nuv,nv->nu", roots, noise))


def conditionals(
    values: Array, views: Views, means: Array, covariances: Array, *, errors: bool = False
) -> Iterator[Conditional]:
    """What rows (N, D) lack, of the mixture of these normals.

    That are the columns that were not seen; with ``errors`` all of them, without the errors with
    which they were seen.  All on the scale on which the errors of the views are.
    """
    holes = np.isnan(values)
    for pattern in np.unique(holes, axis=0):
        seen = np.flatnonzero(~pattern)
        columns = np.arange(len(pattern)) if errors else np.flatnonzero(pattern)
        if not len(columns):
            continue
        rows = np.flatnonzero((holes == pattern).all(axis=1))
        own = len(views.errors) > 0
        for some in np.array_split(rows, -(-len(rows) // _ROWS) if own else 1):
            within = covariances[:, seen][:, :, seen]
            if own:
                error = views.errors[views.of_row[some]]
                if error.shape[1] == 1 and len(pattern) > 1:
                    error = error * np.eye(len(pattern))
                within = within + error[:, None, seen][..., seen]
            across = covariances[:, seen][:, :, columns]
            slope = np.linalg.solve(
                within, np.broadcast_to(across, (*within.shape[:-1], len(columns)))
            )
            rest = covariances[:, columns][:, :, columns] - np.swapaxes(across, -1, -2) @ slope
            away = values[some][:, None, seen] - means[:, seen]
            slope = slope if own else slope[None]
            shift = np.einsum(
                "nko,nkou->nku", away, np.broadcast_to(slope, (len(some), *slope.shape[1:]))
            )
            yield Conditional(
                some, columns, means[:, columns] + shift, _root(rest if own else rest[None])
            )


def _root(covariances: Array) -> Array:
    """A with A A' a covariance, also where nothing is left of it in a direction."""
    symmetric = 0.5 * (covariances + np.swapaxes(covariances, -1, -2))
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])
