"""Laplace: the posterior as normals at its modes, corrected by importance weights.

Proposals come from the normal approximation at every mode that holds mass, in
proportion to it, some from a wider Student t there.  Where their weights against the
exact density are too uneven, the proposal is adapted to them, and a larger round is drawn.
The weights of the last round are smoothed by PSIS; its Pareto k-hat and the effective
number of draws are the verdict.  The draws are resampled in proportion to the smoothed
weights, so that they are used like any.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FitError
from bayesgmm.inference.labels.matching import to_pivot
from bayesgmm.inference.sampling.fit import Draws, posterior_fit
from bayesgmm.inference.sampling.modes import Mode, pivot_of, prepare, shares_of
from bayesgmm.inference.sampling.student_mixture import NORMAL, StudentMixture, effective_number
from bayesgmm.methods import Laplace, Run
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import Progress
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.status import Status

Array = NDArray[np.float64]

#: Pareto k-hat above which importance weights have no finite variance to rely on
#: (Vehtari, Simpson, Gelman, Yao and Gabry 2024).
K_HAT_LIMIT = 0.7
#: Effective draws below which the weighted proposals do not hold the posterior: by 100, the
#: ends of a central 90 % interval are within 0.02 of their probability.
FEWEST_EFFECTIVE = 100
#: Proposals at first: as many for each draw, and at least so many, for k-hat is of a tail.
_SPARE, _FEWEST = 2, 250
#: Evaluations of the density at most: as many for each draw, and at least so many.
_MOST_SPARE, _LEAST_LIMIT = 4, 2_000
#: More where they cost little: up to so many, or so much work, as the density has it, which is
#: about a second on one core.
_MOST, _WORK = 20_000, 3e9
#: The wide part of the proposal: its share, degrees of freedom and width in standard errors.
_SHARE_WIDE, _DEGREES, _WIDTH = 0.2, 5.0, 1.5
#: The share of an adapted proposal that stays at the modes.
_SHARE_KEPT = 0.2


def fitted(spec: MixtureSpec, observations: Observations, method: Laplace, run: Run) -> MixtureFit:
    """Draws in proportion to their smoothed weights, with what these say of themselves.

    The facts are ``pareto_k``, ``weight_ess`` (the effective number of draws that the
    weighted proposals are worth) and ``proposal_log_weights`` (the smoothed log weights of
    all proposals that the draws were chosen from, normalised).  Draws are chosen with
    replacement, so that some may be the same where weights are uneven.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance
    sampling, JMLR 25; Kitagawa (1996), Monte Carlo filter and smoother for non-Gaussian
    nonlinear state space models, J. Computational and Graphical Statistics 5 (systematic
    resampling).
    """
    density, modes, root = prepare(spec, observations, run)
    draws = method.draws
    rng = np.random.default_rng(root)
    with one_blas_thread():
        found = _weighted(density, modes, draws, rng, run.progress)
    kept = resampled(found.weights, draws, rng)
    parameters = density.constrain(found.theta[kept][None])
    pivot = pivot_of(density, modes[0])
    permutation, ambiguous = to_pivot(
        parameters, pivot, observations.total_weight, groups=density.groups
    )
    statistics = {"lp": found.values[kept][None], "permutation": permutation}
    status = Status.CONVERGED if found.good else Status.UNRELIABLE
    facts = {
        "pareto_k": found.k_hat,
        "weight_ess": found.ess,
        "proposal_log_weights": found.log_weights,
        "n_modes": len(modes),
        "ambiguous": float(ambiguous.mean()),
        "verdict": found.verdict(),
    }
    drawn = Draws(parameters.permute(permutation), statistics, status, facts)
    return posterior_fit(spec, observations, method, run, drawn, {})


class _Weighted(NamedTuple):
    """Proposals and what their weights say."""

    theta: Array  # (n, P)
    values: Array  # (n,) log density
    log_weights: Array  # (n,) smoothed and normalised
    k_hat: float

    @property
    def weights(self) -> Array:
        return np.exp(self.log_weights)

    @property
    def ess(self) -> float:
        return effective_number(self.weights)

    @property
    def good(self) -> bool:
        """Whether both verdicts are; a k-hat that is not defined is not good."""
        return self.k_hat <= K_HAT_LIMIT and self.ess >= FEWEST_EFFECTIVE

    def verdict(self) -> str:
        """The sentence that is printed."""
        holds = "hold" if self.good else "do not hold"
        k_hat = "undefined" if np.isnan(self.k_hat) else f"{self.k_hat:.2f}"
        return (
            f"Mode and curvature {holds} (Pareto k-hat {k_hat}, {self.ess:.0f} effective draws "
            f"in {len(self.theta)} proposals)."
        )


def _weighted(
    density: LogPosterior,
    modes: list[Mode],
    draws: int,
    rng: np.random.Generator,
    progress: Progress | None,
) -> _Weighted:
    """Weighted proposals that are worth ``draws`` independent ones, or as many as may be.

    Those of the last round alone: all from one density, in whose choice none had a part.
    """
    at_modes = proposal = adapted = proposal_at(modes)
    used, left = 0, _evaluations(density, draws)
    more = max(_SPARE * draws, _FEWEST)
    while True:
        if progress is not None:
            progress("weighing proposals", used, used + more)
        theta = proposal.simulate(more, rng)
        found = _judged(theta, density.values(theta), proposal)
        used, left = used + more, left - more
        if left == 0 or (found.good and found.ess >= draws):
            return found
        adapted = adapted.adapted(theta, found.weights)
        proposal = adapted.mixed(at_modes, _SHARE_KEPT)
        more = used if left >= 2 * used else left  # as many again, and at last what there is


def _evaluations(density: LogPosterior, draws: int) -> int:
    """Evaluations of the density at most: more than are needed mostly, where they are cheap."""
    cheap = min(_MOST, _WORK / density.work)
    return max(_MOST_SPARE * draws, _LEAST_LIMIT, int(cheap))


def proposal_at(modes: list[Mode]) -> StudentMixture:
    """The normals at the modes, by their masses, and a wider Student t at each."""
    shares, n = shares_of(modes), len(modes)
    theta, roots = np.stack([m.theta for m in modes]), np.stack([m.whitening_matrix for m in modes])
    normals = StudentMixture(shares, theta, roots, np.full(n, NORMAL))
    wide = StudentMixture(shares, theta, _WIDTH * roots, np.full(n, _DEGREES))
    return normals.mixed(wide, _SHARE_WIDE)


def _judged(theta: Array, values: Array, proposal: StudentMixture) -> _Weighted:
    log_weights = values - proposal.log_density(theta)
    finite = np.isfinite(log_weights)
    if finite.mean() < 0.5:  # far out in the wide part some may be
        raise FitError(
            "The posterior's density is not finite near its modes; give priors nearer to the "
            "data, or use fewer components."
        )
    smoothed, k_hat = smoothed_weights(np.where(finite, log_weights, -np.inf))
    return _Weighted(theta, values, smoothed, k_hat)


def smoothed_weights(log_weights: Array) -> tuple[Array, float]:
    """PSIS by ArviZ: smoothed log weights that sum to one, and k-hat.

    Weights without a tail, which are too few or all the same, are as they are, and k-hat NaN.
    A weight of zero becomes one that is nothing beside the largest.
    """
    from arviz_stats.base import array_stats

    log_weights = np.maximum(log_weights, log_weights.max() - 700)
    # ArviZ takes log likelihoods, whose reciprocals are the weights of leaving one out.
    try:
        with np.errstate(over="ignore"):  # of a tail so long that k-hat is infinite
            smoothed, k_hat = array_stats.psislw(log_weights.max() - log_weights, axis=-1)
    except (IndexError, ValueError):
        smoothed, k_hat = log_weights, np.nan
    return smoothed - np.logaddexp.reduce(smoothed), float(k_hat)


def resampled(weights: Array, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ``n`` draws from proposals of ``weights`` that sum to one, systematically.

    Proposal i is taken n w_i times, rounded up or down with the chances that make it so on
    average: expectations are unbiased, and none is taken twice of a weight below 1 / n.
    """
    places = (np.arange(n) + rng.random()) / n
    edges = np.cumsum(weights)
    taken = np.searchsorted(edges, places * edges[-1], side="right")
    return rng.permutation(np.minimum(taken, len(weights) - 1))
