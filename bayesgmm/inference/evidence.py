"""The evidence: the log marginal likelihood of the data under a spec, with its error.

Bridge sampling compares the posterior draws with draws of a proposal whose density is
known.  The K! labellings of a mixture are handled exactly, for any K: the matching of
components to a pivot cuts the space into K! regions that relabelling maps onto each
other, the relabelled draws are draws of the posterior on one of them, and so

    Z = K! times the integral over that region

whether the chains have visited one labelling or all.  A proposal outside of the region
counts as zero; nothing is summed over permutations.

Proposals come from a mixture of normals fitted by EM to half of the draws, and are
compared with the other half, then the other way about, so that no draw is judged by a
proposal that has seen it.
"""

from __future__ import annotations

import warnings
from math import lgamma
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError, FitWarning, SpecError
from bayesgmm.inference.labelling import to_pivot
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK
from bayesgmm.result import MixtureFit

Array = NDArray[np.float64]
Method = Literal["bridge", "importance", "smc"]

#: Components of the proposal that are tried.
_MOST_NORMALS = 4
#: Degrees of freedom of the importance sampler's proposal: tails heavier than a posterior's.
_DEGREES = 6.0
_K_HAT_LIMIT = 0.7


class Evidence(NamedTuple):
    """A log marginal likelihood, in the data's units."""

    value: float
    se: float  # Monte Carlo standard error of ``value``
    method: str


def log_evidence(
    fit: MixtureFit,
    *,
    method: Method = "bridge",
    check: bool = False,
    seed: Any = None,
    cores: int | None = None,
) -> Evidence:
    """Log marginal likelihood of the data of a posterior fit, with its Monte Carlo error.

    The difference of two is the log Bayes factor of their models.  It depends on the
    priors, also where the posterior hardly does: a component's prior that is twice as
    wide costs it about log 2 for each parameter.

    Parameters
    ----------
    fit : MixtureFit
        Draws by NUTS (``"laplace"`` draws serve as well if its k-hat is good).
    method : {"bridge", "importance", "smc"}
        ``"bridge"``: bridge sampling between the draws and a mixture of normals fitted
        to them.  ``"importance"``: importance sampling from Student t's about the same
        mixture, which uses the draws only to place the proposal.  ``"smc"``: PyMC's
        sequential Monte Carlo on the PyMC model, which does not use the draws at all
        and takes minutes.
    check : bool, default False
        Also compute the importance sampler's estimate, and warn where the two differ
        by more than four of their combined errors.
    seed : int, SeedSequence or Generator, optional
    cores : int, optional
        Threads; all that may be used by default.

    Returns
    -------
    Evidence
        ``value``, ``se`` and ``method``.

    Raises
    ------
    FitError
        For a point fit, one with fewer than 100 draws, and where no proposal has mass.

    References
    ----------
    Meng and Wong (1996), Simulating ratios of normalizing constants via a simple
    identity, Statistica Sinica 6; Fruehwirth-Schnatter (2004), Estimating marginal
    likelihoods for mixture and Markov switching models using bridge sampling
    techniques, Econometrics Journal 7 (the error, and the need for all labellings).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()
    >>> fits = [bg.fit(bg.MixtureSpec(k), X, method="laplace", seed=1) for k in (1, 2)]
    >>> one, two = (bg.log_evidence(fit, seed=1) for fit in fits)
    >>> two.value - one.value > 100
    True
    """
    if method not in get_args(Method):
        raise SpecError(
            f"method must be one of {', '.join(map(repr, get_args(Method)))}, got {method!r}."
        )
    if not fit.is_posterior:
        raise FitError("The evidence needs draws; fit with method='nuts'.")
    rng = np.random.default_rng(seed)
    if method == "smc":
        return _by_smc(fit.spec, fit.observations, int(rng.integers(2**31)), cores)
    region = _Region(fit, available_cores(cores))
    if region.theta.shape[0] * region.theta.shape[1] < 100:
        raise FitError("The evidence needs 100 draws or more; draw more.")
    with one_blas_thread():
        estimate = (_bridge if method == "bridge" else _importance)(region, rng)
        if check and method == "bridge":
            second = _importance(region, rng)
            apart, allowed = abs(estimate.value - second.value), np.hypot(estimate.se, second.se)
            if not apart <= 4 * allowed:
                warnings.warn(
                    f"Two estimates of the log evidence differ: {estimate.value:.2f} ± "
                    f"{estimate.se:.2f} by bridge sampling, {second.value:.2f} ± {second.se:.2f} "
                    "by importance sampling; the chains may have missed a mode, so draw more.",
                    FitWarning,
                    stacklevel=2,
                )
    return estimate


class _Region:
    """The posterior on the region of one labelling, and its draws."""

    def __init__(self, fit: MixtureFit, cores: int) -> None:
        self.density = LogPosterior(fit.spec, fit.observations)
        self.cores = cores
        lp = fit.tree["sample_stats"].to_dataset()["lp"].values
        draws = fit.parameters
        self.pivot = draws[np.unravel_index(np.argmax(lp), lp.shape)]
        draws = draws.permute(to_pivot(draws, self.pivot).permutation)
        self.theta = self.density.unconstrain(draws)  # (chain, draw, P)
        self.log_labellings = lgamma(fit.spec.n_components + 1)

    def log_density(self, theta: Array) -> Array:
        """Log posterior density (n,) of theta (n, P), without its constant; -inf outside."""
        threads = 1 if self.density.observations.n_rows > CHUNK else self.cores
        values = np.array(thread_map(self.density.value, list(theta), threads))
        inside = (
            to_pivot(self.density.constrain(theta), self.pivot).permutation
            == np.arange(self.density.spec.n_components)
        ).all(axis=-1)
        return np.where(inside & np.isfinite(values), values, -np.inf)


def _proposal(draws: Array, seed: int) -> MixtureParameters:
    """A mixture of normals fitted to draws (n, P), with as many as BIC asks for."""
    from bayesgmm.inference.fitting import fit

    n, p = draws.shape
    best, found = np.inf, None
    for k in range(1, _MOST_NORMALS + 1):
        if k > 1 and k * p * 5 > n:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            em = fit(MixtureSpec(k), draws, method="em", seed=seed, n_starts=4, tol=1e-4)
        if em.bic() >= best:
            break
        best, found = em.bic(), em.parameters[0, 0]
    assert found is not None
    return found


def _bridge(region: _Region, rng: np.random.Generator) -> Evidence:
    half = region.theta.shape[1] // 2
    halves = region.theta[:, :half], region.theta[:, half : 2 * half]
    values, errors = [], []
    for seen, held in (halves, halves[::-1]):
        flat = seen.reshape(-1, seen.shape[-1])
        proposal = _proposal(flat, int(rng.integers(2**31)))
        chains, draws = held.shape[:2]
        posterior = held.reshape(chains * draws, -1)
        proposed = proposal.simulate(2 * len(posterior), seed=rng)[0]
        on_draws = region.log_density(posterior) - proposal.log_density(posterior)
        on_proposed = region.log_density(proposed) - proposal.log_density(proposed)
        value, error = _meng_wong(on_draws.reshape(chains, draws), on_proposed)
        values.append(value)
        errors.append(error)
    # The halves' errors are nearly independent: each draw is compared once.
    value = float(np.logaddexp(values[0], values[1]) - np.log(2)) + region.log_labellings
    return Evidence(value, float(np.hypot(errors[0], errors[1]) / 2), "bridge")


def _meng_wong(on_draws: Array, on_proposed: Array) -> tuple[float, float]:
    """Log of the ratio of constants by the optimal bridge, and its relative error.

    Both take log density less log proposal: at draws (chain, draw), and at proposals.
    """
    from arviz_stats.base import array_stats

    if not np.isfinite(on_proposed).any():
        raise FitError("No proposal falls where the posterior has mass; draw more.")
    ess = max(float(array_stats.ess(on_draws, chain_axis=0, draw_axis=1, method="mean")), 1.0)
    flat = on_draws.ravel()
    s_draws = ess / (ess + len(on_proposed))
    s_proposed = 1 - s_draws
    log_z = float(np.median(flat))
    for _ in range(1000):
        # p = exp(l - log_z) is density over proposal; see Meng and Wong (1996), (4.1).
        upper = 1 / (s_draws + s_proposed * np.exp(np.minimum(log_z - on_proposed, 700)))
        lower = 1 / (s_draws * np.exp(np.minimum(flat - log_z, 700)) + s_proposed)
        step = float(np.log(upper.mean()) - np.log(lower.mean()))
        log_z += step
        if abs(step) < 1e-10:
            break
    rho = max(
        1.0,
        lower.size
        / float(array_stats.ess(lower.reshape(on_draws.shape), chain_axis=0, draw_axis=1,
                                method="mean")),
    )  # fmt: skip
    relative = upper.var(ddof=1) / (len(upper) * upper.mean() ** 2) + rho * lower.var(ddof=1) / (
        len(lower) * lower.mean() ** 2
    )
    return log_z, float(np.sqrt(relative))


def _importance(region: _Region, rng: np.random.Generator) -> Evidence:
    from scipy.special import gammaln

    flat = region.theta.reshape(-1, region.theta.shape[-1])
    mixture = _proposal(flat, int(rng.integers(2**31)))
    n, p = max(4 * len(flat), 10_000), flat.shape[1]
    component = rng.choice(len(mixture.weights), size=n, p=mixture.weights)
    z = rng.standard_normal((n, p)) / np.sqrt(rng.chisquare(_DEGREES, (n, 1)) / _DEGREES)
    theta = mixture.means[component] + np.einsum("nij,nj->ni", mixture.scale_tril[component], z)
    parts = []
    for weight, mean, tril in zip(
        mixture.weights, mixture.means, mixture.scale_tril, strict=True
    ):
        white = np.linalg.solve(tril, (theta - mean).T)
        parts.append(
            np.log(weight) - np.log(np.diag(tril)).sum()
            - 0.5 * (_DEGREES + p) * np.log1p((white**2).sum(axis=0) / _DEGREES)
        )  # fmt: skip
    constant = gammaln(0.5 * (_DEGREES + p)) - gammaln(0.5 * _DEGREES) - 0.5 * p * np.log(
        _DEGREES * np.pi
    )
    log_weights = region.log_density(theta) - np.logaddexp.reduce(parts, axis=0) - constant
    largest = log_weights.max()
    if not np.isfinite(largest):
        raise FitError("No proposal falls where the posterior has mass; draw more.")
    weights = np.exp(log_weights - largest)
    value = largest + np.log(weights.mean()) + region.log_labellings
    return Evidence(
        float(value), float(weights.std() / np.sqrt(n) / weights.mean()), "importance"
    )


def _by_smc(spec: MixtureSpec, observations: Any, seed: int, cores: int | None) -> Evidence:
    import pymc as pm

    from bayesgmm.inference.pymc_model import to_pymc

    with to_pymc(spec, observations):
        tree = pm.sample_smc(
            draws=2000, chains=4, cores=available_cores(cores), random_seed=seed,
            progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip
    stages = tree["sample_stats"]["log_marginal_likelihood"].values
    values = np.array([_last_number(chain) for chain in stages])
    largest = values.max()
    each = np.exp(values - largest)
    return Evidence(
        float(largest + np.log(each.mean())),
        float(each.std(ddof=1) / np.sqrt(len(each)) / each.mean()),
        "smc",
    )


def _last_number(stages: Any) -> float:
    """The last finite entry of a chain's estimates, one per stage."""
    flat = np.concatenate([np.atleast_1d(np.asarray(stage, dtype=float)) for stage in stages])
    return float(flat[np.isfinite(flat)][-1])
