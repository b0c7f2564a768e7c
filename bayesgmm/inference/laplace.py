"""Laplace: the posterior as normals at its modes, corrected by importance weights.

Proposals come from the normal approximation at every mode that holds mass, in
proportion to it; weights against the exact density are smoothed by PSIS, whose
Pareto k-hat is the verdict: above 0.7, modes and curvature do not summarise the
posterior.  The draws are resampled by weight, so that they are used like any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.inference.labelling import to_pivot
from bayesgmm.inference.nuts import Draws
from bayesgmm.inference.search import Progress
from bayesgmm.inference.whitening import Mode, pivot_of, prepare, shares_of
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK
from bayesgmm.status import Status

#: Proposals for each draw that is kept: resampling without replacement wants spare ones.
_SPARE = 4
#: Proposals at least: k-hat is of the tail of their weights, and a tail has five or more.
_FEWEST = 100
#: Pareto k-hat above which importance weights have no finite variance to rely on
#: (Vehtari, Simpson, Gelman, Yao and Gabry 2024).
K_HAT_LIMIT = 0.7


def sample_laplace(
    spec: MixtureSpec,
    observations: Observations,
    *,
    draws: int,
    start: MixtureParameters | None,
    seed: Any,
    cores: int | None,
    progress: Progress | None,
) -> Draws:
    """Draws, with the Pareto k-hat and the smoothed log weights of all proposals.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance
    sampling, JMLR 25.
    """
    density, modes, root = prepare(
        spec, observations, start=start, seed=seed, cores=cores, progress=progress
    )
    rng = np.random.default_rng(root)
    theta = _proposals(modes, max(_SPARE * draws, _FEWEST), rng)
    # On many rows the density runs its chunks on threads by itself.
    threads = 1 if observations.n_rows > CHUNK else density.cores
    with one_blas_thread():
        values = thread_map(density.value, list(theta), threads)
    weights = np.asarray(values) - _log_proposal(modes, theta)
    if not np.all(np.isfinite(weights)):
        raise FitError(
            "The posterior's density is not finite near its modes; give priors nearer to the "
            "data, or use fewer components."
        )
    smoothed, k_hat = smoothed_weights(weights)
    kept = _resampled(smoothed, draws, rng)
    parameters = density.constrain(theta[kept][None])
    pivot = pivot_of(density, modes[0])
    permutation, ambiguous = to_pivot(parameters, pivot, observations.total_weight)
    statistics = {"lp": np.asarray(values)[kept][None], "permutation": permutation}
    status = Status.CONVERGED if k_hat <= K_HAT_LIMIT else Status.UNRELIABLE
    holds = "hold" if status.ok else "do not hold"
    k_hat_told = "undefined" if np.isnan(k_hat) else f"{k_hat:.2f}"
    facts = {
        "pareto_k": k_hat, "proposal_log_weights": smoothed, "n_modes": len(modes),
        "ambiguous": float(ambiguous.mean()),
        "verdict": f"Mode and curvature {holds} (Pareto k-hat {k_hat_told}).",
    }  # fmt: skip
    return Draws(parameters.permute(permutation), statistics, status, facts)


def _proposals(modes: list[Mode], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    which = rng.choice(len(modes), size=n, p=shares_of(modes))
    z = rng.standard_normal((n, len(modes[0].theta)))
    return np.stack([modes[m].at(row) for m, row in zip(which, z, strict=True)])


def _log_proposal(modes: list[Mode], theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of the mixture of normals that proposals came from."""
    parts = []
    for share, mode in zip(shares_of(modes), modes, strict=True):
        z = np.linalg.solve(mode.spread, (theta - mode.theta).T)
        p = len(mode.theta)
        parts.append(
            np.log(share) - 0.5 * (z**2).sum(axis=0) - 0.5 * p * np.log(2 * np.pi)
            - np.linalg.slogdet(mode.spread)[1]
        )  # fmt: skip
    return np.logaddexp.reduce(parts, axis=0)


def smoothed_weights(log_weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """PSIS by ArviZ: smoothed log weights that sum to one, and k-hat.

    Weights without a tail, which are too few or all the same, are as they are, and k-hat NaN.
    """
    from arviz_stats.base import array_stats

    # ArviZ takes log likelihoods, whose reciprocals are the weights of leaving one out.
    try:
        smoothed, k_hat = array_stats.psislw(log_weights.max() - log_weights, axis=-1)
    except (IndexError, ValueError):
        smoothed, k_hat = log_weights, np.nan
    return smoothed - np.logaddexp.reduce(smoothed), float(k_hat)


def _resampled(
    log_weights: NDArray[np.float64], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of ``n`` proposals without replacement, in proportion to their weights."""
    # Gumbel's trick: the n largest of log weight plus Gumbel noise are such a sample.
    noisy = log_weights + rng.gumbel(size=len(log_weights))
    return rng.permutation(np.argpartition(-noisy, n - 1)[:n])
