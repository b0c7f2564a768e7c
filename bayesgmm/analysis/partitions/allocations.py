"""Allocation draws: which component each row came from, once for each posterior draw.

A fit's draws are of parameters; partitions are about rows.  Given the parameters the
rows are allocated independently, in proportion to their memberships, so a draw of the
allocations costs one pass.  What is said of partitions starts from these draws, which
no relabelling can help or harm: only who is with whom matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.errors import DataError, FitError
from bayesgmm.expectation.statistics import row_memberships
from bayesgmm.options import LIMIT, SEED, generator, refuse_beyond_memory, seed_sequence
from bayesgmm.result.fit import MixtureFit, require_fit

#: Small labels: one type for all draws, so that each kernel is compiled once.
Labels = NDArray[np.int16]
_LARGEST = np.iinfo(np.int16).max
_OF_SEED = 500  # bytes that a draw's random stream takes until it is used


def draw_allocations(
    fit: MixtureFit, *, max_draws: int = 1000, seed: Any = None, cores: int | None = None
) -> Labels:
    """Draw the component of each row, for each of some posterior draws.

    Parameters
    ----------
    fit : MixtureFit
        Of a posterior with more draws than ``max_draws``, that many evenly spaced ones
        are used, each once.  A point fit's one mixture is used ``max_draws`` times: its
        allocations vary because rows do, and not because parameters do.
    max_draws : int, default 1000
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same draws, on any number of threads.
    cores : int, optional
        Threads; all that the process may use by default.

    Returns
    -------
    array of shape (S, N), int16
        Components, 0 to K - 1; K for noise.

    Raises
    ------
    FitError
        If the first argument is not a fit, or has more components than 16 bits can number.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> bg.draw_allocations(em, max_draws=5, seed=1).shape
    (5, 272)
    """
    fit = require_fit(fit, "draw_allocations")
    max_draws, root = LIMIT("max_draws", max_draws), seed_sequence(seed)
    cores = available_cores(cores)
    if fit.spec.n_components > _LARGEST:
        raise FitError(f"Allocations need {_LARGEST} components or fewer.")
    rows, forms = fit.parameters.with_rows(fit.observations)
    n = fit.observations.n_rows
    if fit.is_posterior:
        forms = [forms[s] for s in evenly_spaced(len(forms), max_draws)]
    else:
        refuse_beyond_memory(
            f"max_draws={max_draws:,} allocations of {n:,} rows",
            max_draws * (2.0 * n + _OF_SEED),
            "draw fewer",
        )
        forms = forms * max_draws
    out = np.empty((len(forms), n), dtype=np.int16)
    seeds = root.spawn(len(forms))  # one a draw: threads cannot change it

    def one(s: int) -> None:
        rng = generator(seeds[s])
        for part, chunk in rows.numbered():
            shares = row_memberships(chunk, forms[s])
            _pick(shares, rng.random(len(shares)), out[s, part])

    with one_blas_thread():
        thread_map(one, range(len(forms)), cores)
    return out


@njit(**COMPILED)
def _pick(shares, uniform, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The component at which the cumulative shares of each row pass its uniform number."""
    for n in range(shares.shape[0]):
        total = 0.0
        for k in range(shares.shape[1]):
            total += shares[n, k]
        left = uniform[n] * total
        chosen = 0
        for k in range(shares.shape[1]):
            if shares[n, k] > 0.0:  # where rounding leaves a little, the last that can be
                chosen = k
                left -= shares[n, k]
                if left < 0.0:
                    break
        out[n] = chosen


def as_allocations(draws: Any, max_draws: int | None) -> Labels:
    """Allocation draws from any software, (S, N) or (chain, draw, N), as small labels from 0.

    Raises
    ------
    DataError
        If they are not a table of whole numbers.
    """
    try:
        array = np.asarray(draws)
    except ValueError:
        raise DataError("Allocation draws are ragged; give every draw a label a row.") from None
    except TypeError:  # a Dataset
        raise DataError("Allocation draws must be an array of (draws, rows).") from None
    if array.ndim == 3 and array.size:
        array = array.reshape(-1, array.shape[-1])
    if array.ndim != 2 or not array.size:
        raise DataError(
            f"Allocation draws have shape {array.shape}; give (draws, rows), at least one of each."
        )
    if array.dtype.kind not in "iub":
        raise DataError(
            f"Allocation draws must be whole numbers, got {array.dtype}; number the labels first."
        )
    if max_draws is not None and len(array) > max_draws:
        array = array[evenly_spaced(len(array), max_draws)]
    low, high = int(array.min()), int(array.max())
    if high - low > _LARGEST or high >= 2**63:  # ids: few labels, far apart
        array = np.unique(array, return_inverse=True)[1].reshape(array.shape)
        low, high = 0, int(array.max())
    if high - low > _LARGEST:
        raise DataError(
            f"Allocation draws hold {high - low + 1} different labels; number the clusters of "
            f"each draw from 0, so that there are {_LARGEST} or fewer."
        )
    return (array.astype(np.int64) - low).astype(np.int16)


def occupied(fit: MixtureFit | Any, *, max_draws: int = 4000, seed: Any = None) -> Any:
    """Posterior of the number of occupied components: those with a row at all.

    Of a fit rows of weight zero do not count, and noise is no component.

    With ``n_components`` larger than is needed and ``Priors(weights=)`` near zero, this is
    the posterior of the number of components that the data need (a sparse finite mixture).

    Parameters
    ----------
    fit : MixtureFit or array of shape (S, N)
        A fit, whose allocations are drawn; or labels of N rows in each of S draws.
    max_draws : int, default 4000
        Draws used of a fit, evenly spaced.
    seed : int, SeedSequence or Generator, optional

    Returns
    -------
    pandas.Series
        Posterior probability, by number of occupied components.

    Raises
    ------
    DataError
        If labels are not whole numbers of shape (S, N).

    References
    ----------
    Malsiner-Walli, Fruehwirth-Schnatter and Gruen (2016), Model-based clustering based on
    sparse finite Gaussian mixtures, Statistics and Computing 26.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.occupied([[0, 0, 1], [0, 0, 0], [1, 1, 1], [2, 1, 1]]).to_dict()
    {1: 0.5, 2: 0.5}
    """
    max_draws, seed = LIMIT("max_draws", max_draws), SEED("seed", seed)
    if isinstance(fit, MixtureFit):
        return occupied_in(draw_allocations(fit, max_draws=max_draws, seed=seed), fit)
    return occupied_in(as_allocations(fit, max_draws=None), None)


def occupied_in(labels: Labels, fit: MixtureFit | None) -> Any:
    """:func:`occupied` of allocations (S, N), which are those of a fit where one is given."""
    import pandas as pd

    counted, k = labels, int(labels.max()) + 1
    if fit is not None:
        weights, k = fit.observations.row_weights, fit.spec.n_components
        counted = labels if weights is None else labels[:, weights > 0]
    seen = np.zeros((len(labels), k + 1), dtype=bool)  # the last is noise
    for s, draw in enumerate(counted):
        seen[s, draw] = True
    numbers, counts = np.unique(seen[:, :k].sum(axis=1), return_counts=True)
    index = pd.Index(numbers, name="occupied components")
    return pd.Series(counts / len(labels), index=index, name="probability")


def evenly_spaced(n: int, at_most: int) -> NDArray[np.int64]:
    """Indices of at most that many of ``n`` draws, from the first to the last."""
    return np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64)
