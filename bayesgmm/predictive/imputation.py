"""What is not known of rows, filled in: what was not seen, and what was seen with an error.

Expectations are the best single guesses, and vary less than values do: what is computed from
several draws shows how uncertain it is (multiple imputation; Rubin 1987).
"""

from __future__ import annotations

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


def expected_rows(
    parameters: MixtureParameters, rows: Observations, *, errors: bool = False
) -> tuple[Floats, Floats]:
    """The rows (N, D), what is not known by its expectation, and the variance of that.

    With ``errors`` that is the values without the errors with which they were seen.  Of a row
    that is noise nothing more is known than was seen, and of the rest that it is in the box.
    """
    flat = _evenly(parameters, _AVERAGED)
    seen, forms = flat.with_rows(rows)
    center = seen.center  # about which moments are: far from zero a variance would lose its digits
    known = np.where(np.isnan(rows.matrix), 0.0, rows.matrix - center)
    first, second = np.zeros_like(known), np.zeros_like(known)
    touched = np.zeros(known.shape, dtype=bool)
    with one_blas_thread():
        for mixture, form in zip((flat[s] for s in range(len(forms))), forms, strict=True):
            memberships = row_memberships(seen, form)
            k = mixture.n_components
            parts = conditionals(
                rows.matrix, seen.views, mixture.means, mixture.covariances, errors=errors
            )
            for part in parts:
                own, at = memberships[part.rows], np.ix_(part.rows, part.columns)
                touched[at] = True
                means = part.means - center[part.columns]
                first[at] += np.einsum("nk,nku->nu", own[:, :k], means)
                square = means**2 + part.variances
                second[at] += np.einsum("nk,nku->nu", own[:, :k], square)
                if mixture.noise is not None:
                    value, spread, gone = known[at], 0.0, np.isnan(rows.matrix[at])
                    if gone.any():  # of which it is known that they are in the box
                        low, high = mixture.noise.required_box[:, part.columns]
                        value = np.where(gone, 0.5 * (low + high) - center[part.columns], value)
                        spread = gone * (high - low) ** 2 / 12
                    first[at] += own[:, k:] * value
                    second[at] += own[:, k:] * (value**2 + spread)
    first, second = first / len(forms), second / len(forms)
    variance = np.where(touched, np.maximum(second - first**2, 0.0), 0.0)
    return np.where(touched, first + center, rows.matrix), variance


def some_of(parameters: MixtureParameters, n: int, rng: np.random.Generator) -> MixtureParameters:
    """``n`` of the mixtures (n,) at random: as many of each part of the draws as can be."""
    flat = parameters.flat()
    s = len(flat.weights)
    if s < n:
        return flat[rng.integers(s, size=n)]
    return flat[((np.arange(n) + rng.random()) * (s / n)).astype(int)]


def drawn_rows(
    mixtures: MixtureParameters,
    rows: Observations,
    rng: np.random.Generator,
    *,
    errors: bool = False,
) -> Floats:
    """Copies of the rows (n, N, D), what is not known drawn: each by one of the mixtures (n,)."""
    seen, forms = mixtures.with_rows(rows)
    out = np.repeat(rows.matrix[None], len(forms), axis=0)
    with one_blas_thread():
        for s, form in enumerate(forms):
            upto = np.cumsum(row_memberships(seen, form), axis=1)
            chosen = (rng.random((rows.n_rows, 1)) * upto[:, -1:] > upto).sum(axis=1)
            parts = conditionals(
                rows.matrix, seen.views, mixtures.means[s], mixtures.covariances[s], errors=errors
            )
            for part in parts:
                component, at = chosen[part.rows], np.ix_(part.rows, part.columns)
                stray = component >= mixtures.n_components
                values = part.draw(np.where(stray, 0, component), rng)
                if mixtures.noise is not None:
                    made = rows.matrix[at]
                    if np.isnan(made).any():
                        drawn = mixtures.noise.simulate(len(component), rng)[:, part.columns]
                        made = np.where(np.isnan(made), drawn, made)
                    values = np.where(stray[:, None], made, values)
                out[s][at] = values
    return out


def _evenly(parameters: MixtureParameters, most: int) -> MixtureParameters:
    flat = parameters.flat()
    n = len(flat.weights)
    return flat if n <= most else flat[np.linspace(0, n - 1, most).astype(int)]
