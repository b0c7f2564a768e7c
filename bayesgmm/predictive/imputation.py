"""What was not seen of rows, filled in: by its expectation, or by draws of it.

Expectations are the best single guesses, and vary less than values do: what is computed from
several draws shows how uncertain it is (multiple imputation; Rubin 1987).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.data.observations import Observations
from bayesgmm.expectation.conditional import conditionals
from bayesgmm.expectation.statistics import row_memberships
from bayesgmm.mixture.parameters import MixtureParameters

Floats = NDArray[np.float64]

#: Mixtures of a posterior over which an expectation is averaged, at most, evenly spaced.
_AVERAGED = 500


def expected_rows(parameters: MixtureParameters, rows: Observations) -> Floats:
    """The rows (N, D), what was not seen by its expectation over mixtures and components."""
    flat = _evenly(parameters, _AVERAGED)
    seen, forms = flat.with_rows(rows.matrix)
    out = np.where(np.isnan(rows.matrix), 0.0, rows.matrix)
    with one_blas_thread():
        for mixture, form in zip((flat[s] for s in range(len(forms))), forms, strict=True):
            memberships = row_memberships(seen, form)
            for part in conditionals(seen.views, mixture.means, mixture.covariances):
                x = rows.matrix[np.ix_(part.rows, part.seen)]
                means = np.einsum("no,kou->nku", x, part.slope) + part.offset
                expected = np.einsum("nk,nku->nu", memberships[part.rows], means)
                out[np.ix_(part.rows, part.unseen)] += expected / len(forms)
    return out


def drawn_rows(
    parameters: MixtureParameters, rows: Observations, n: int, rng: np.random.Generator
) -> Floats:
    """``n`` copies of the rows (n, N, D), what was not seen drawn: each by one mixture."""
    mixtures = _evenly(parameters, n)
    if len(mixtures.weights) < n:
        mixtures = mixtures[rng.integers(len(mixtures.weights), size=n)]
    seen, forms = mixtures.with_rows(rows.matrix)
    out = np.repeat(rows.matrix[None], n, axis=0)
    with one_blas_thread():
        for s, form in enumerate(forms):
            upto = np.cumsum(row_memberships(seen, form), axis=1)
            chosen = (rng.random((rows.n_rows, 1)) * upto[:, -1:] > upto).sum(axis=1)
            for part in conditionals(seen.views, mixtures.means[s], mixtures.covariances[s]):
                component = chosen[part.rows]
                x = rows.matrix[np.ix_(part.rows, part.seen)]
                noise = rng.standard_normal((len(part.rows), len(part.unseen)))
                values = np.einsum("no,nou->nu", x, part.slope[component])
                values += part.offset[component]
                values += np.einsum("nuv,nv->nu", part.tril[component], noise)
                out[s][np.ix_(part.rows, part.unseen)] = values
    return out


def as_frame(values: Floats, rows: Observations, frame: str) -> Any:
    """One copy of the rows as a frame with their labels, where the kind of frame has any."""
    columns = {name: values[:, j] for j, name in enumerate(rows.names)}
    if frame == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    import pandas as pd

    return pd.DataFrame(columns, index=rows.index)


def _evenly(parameters: MixtureParameters, most: int) -> MixtureParameters:
    flat = parameters.flat()
    n = len(flat.weights)
    return flat if n <= most else flat[np.linspace(0, n - 1, most).astype(int)]
