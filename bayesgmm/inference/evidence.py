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

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError, warn
from bayesgmm.inference.bridge import bridge_ratio
from bayesgmm.inference.importance import Importance, importance
from bayesgmm.inference.laplace import K_HAT_LIMIT
from bayesgmm.inference.normals import fitted_normals
from bayesgmm.inference.one_labelling import Region
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, one_blas_thread
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import TRUTH, generator, one_of
from bayesgmm.result import MixtureFit, require_fit

Array = NDArray[np.float64]
Method = Literal["bridge", "importance", "smc"]

#: Combined errors by which two estimates may differ.
_ALLOWED = 4.0


class Evidence(NamedTuple):
    """A log marginal likelihood, in the data's units."""

    value: float
    se: float  # Monte Carlo standard error of ``value``
    method: str
    pareto_k: float = float("nan")  # of importance sampling; above 0.7 ``se`` is too small


@whole_imports
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
        ``value``, ``se``, ``method`` and ``pareto_k``.

    Raises
    ------
    FitError
        For a point fit, one with fewer than 100 draws, and where no proposal has mass.
    SpecError
        If an option is not valid.

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
    fit = require_fit(fit, "log_evidence")
    one_of(*get_args(Method))("method", method)
    check, rng, cores = TRUTH("check", check), generator(seed), available_cores(cores)
    if not fit.is_posterior:
        raise FitError("The evidence needs draws; fit with method='nuts'.")
    if method == "smc":
        return _by_smc(fit.spec, fit.observations, int(rng.integers(2**31)), cores)
    region = Region(fit, cores)
    if region.theta.shape[0] * region.theta.shape[1] < 100:
        raise FitError("The evidence needs 100 draws or more; draw more.")
    with one_blas_thread():
        if method == "importance":
            second = importance(region, rng)
            return Evidence(second.value, second.se, "importance", second.pareto_k)
        estimate = _bridge(region, rng)
        if check:
            _compare(estimate, importance(region, rng))
    return estimate


def _compare(first: Evidence, second: Importance) -> None:
    """Warn where two estimates differ, or where the second is no check."""
    apart = abs(first.value - second.value)
    if second.pareto_k > K_HAT_LIMIT:
        warn(
            f"The log evidence could not be checked: importance sampling's Pareto k-hat is "
            f"{second.pareto_k:.2f}, above {K_HAT_LIMIT}; use method='smc' for a second estimate."
        )
    elif not apart <= _ALLOWED * np.hypot(first.se, second.se):
        warn(
            f"Two estimates of the log evidence differ: {first.value:.2f} ± {first.se:.2f} by "
            f"bridge sampling, {second.value:.2f} ± {second.se:.2f} by importance sampling; the "
            "chains may have missed a mode, so draw more."
        )


def _bridge(region: Region, rng: np.random.Generator) -> Evidence:
    half = region.theta.shape[1] // 2
    halves = region.theta[:, :half], region.theta[:, half : 2 * half]
    values, errors = [], []
    for seen, held in (halves, halves[::-1]):
        flat = seen.reshape(-1, seen.shape[-1])
        proposal = fitted_normals(flat, int(rng.integers(2**31)))
        chains, draws = held.shape[:2]
        posterior = held.reshape(chains * draws, -1)
        proposed = proposal.simulate(2 * len(posterior), seed=rng)[0]
        on_draws = region.log_density(posterior) - proposal.log_density(posterior)
        on_proposed = region.log_density(proposed) - proposal.log_density(proposed)
        value, error = bridge_ratio(on_draws.reshape(chains, draws), on_proposed)
        values.append(value)
        errors.append(error)
    # The halves' errors are nearly independent: each draw is compared once.
    value = float(np.logaddexp(values[0], values[1]) - np.log(2)) + region.log_labellings
    return Evidence(value, float(np.hypot(errors[0], errors[1]) / 2), "bridge")


# PyMC's defaults move too little on mixtures: on the galaxies with K = 4 they give -226.3,
# with an error of 0.5, where these settings and two other methods give -221.8.
def _by_smc(
    spec: MixtureSpec, observations: Observations, seed: int, cores: int
) -> Evidence:
    import pymc as pm

    from bayesgmm.inference.pymc_model import to_pymc

    try:
        with to_pymc(spec, observations):
            tree = pm.sample_smc(
                draws=4000, chains=4, cores=cores, random_seed=seed,
                kernel=pm.smc.MH, threshold=0.9, correlation_threshold=1e-4,
                progressbar=False, compute_convergence_checks=False,
            )  # fmt: skip
    except Exception as error:  # its workers raise what they like
        told = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise FitError(
            f"PyMC's SMC failed ({told}); features of very different size are a common cause: "
            "rescale them, and give priors in their units."
        ) from error
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
