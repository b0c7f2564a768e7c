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

Bridge sampling knows only of the modes that the chains have visited, so it is not left alone:
importance sampling, which looks for the modes by itself, is the second opinion, and what a
fit has stored of a run through temperatures the third.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread
from bayesgmm.data.observations import Observations
from bayesgmm.errors import FitError, warn
from bayesgmm.inference.bridge import bridge_ratio
from bayesgmm.inference.evidence.importance import by_importance
from bayesgmm.inference.evidence.one_labelling import LabellingRegion
from bayesgmm.inference.evidence.opinions import Estimate, Evidence, combined
from bayesgmm.inference.sampling.normals import fitted_normals
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import generator, one_of
from bayesgmm.result.fit import MixtureFit, require_fit

Array = NDArray[np.float64]
Method = Literal["combined", "bridge", "importance", "smc"]

#: Draws, half of which are fitted by the proposal.
FEWEST = 100


@whole_imports
def log_evidence(
    fit: MixtureFit,
    *,
    method: Method = "combined",
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
    method : {"combined", "bridge", "importance", "smc"}, default "combined"
        ``"combined"``: bridge and importance sampling, which have different blindnesses.
        Where they agree they are averaged, by the inverse of their squared errors.  Where
        they differ by more than three combined errors, the value is the middle and the
        error covers both.  An importance sampler whose Pareto k-hat is above 0.7 is no
        check, and bridge sampling stands alone.
        ``"bridge"``: bridge sampling between the draws and a mixture of normals fitted
        to them.  ``"importance"``: importance sampling from Student t's about the same
        mixture and at the posterior's modes, which uses the draws only to place the
        proposal.  ``"smc"``: PyMC's sequential Monte Carlo on the PyMC model, which does
        not use the draws at all and takes minutes.
    seed : int, SeedSequence or Generator, optional
    cores : int, optional
        Threads; all that may be used by default.

    Returns
    -------
    Evidence
        ``value``, ``se``, ``method``, ``pareto_k`` (of importance sampling), ``note`` (what
        to know of the value, "" where nothing) and ``estimates``, each method's own.

    Raises
    ------
    FitError
        For a point fit, one with fewer than 100 draws, and where no proposal has mass.
    SpecError
        If an option is not valid.

    Warns
    -----
    FitWarning
        Where the estimates differ, and where there is only one that can be trusted; it is
        the ``note``.

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
    found = estimated(fit, method=method, seed=seed, cores=cores)
    if found.note:
        warn(found.note)
    return found


def estimated(
    fit: MixtureFit, *, method: Method = "combined", seed: Any = None, cores: int | None = None
) -> Evidence:
    """:func:`log_evidence` without a warning, for what reads the note by itself."""
    fit = require_fit(fit, "log_evidence")
    one_of(*get_args(Method))("method", method)
    rng, cores = generator(seed), available_cores(cores)
    if not fit.is_posterior:
        raise FitError("The evidence needs draws; fit with method='nuts'.")
    if method == "smc":
        return _by_smc(fit.spec, fit.observations, int(rng.integers(2**31)), cores)
    region = LabellingRegion(fit, cores)
    if region.theta.shape[0] * region.theta.shape[1] < FEWEST:
        raise FitError(f"The evidence needs {FEWEST} draws or more; draw more.")
    with one_blas_thread():
        if method == "importance":
            return _alone("importance", by_importance(region, rng))
        bridge = _by_bridge(region, rng)
        if method == "bridge":
            return _alone("bridge", bridge)
        try:
            second = by_importance(region, rng)
        except FitError:  # it is a second opinion, and the first stands without
            second = Estimate("importance sampling", np.nan, np.nan)
    return combined([bridge, second, *_stepping_stone(fit)], fit.spec.label)


def _alone(method: str, only: Estimate) -> Evidence:
    return Evidence(only.value, only.se, method, only.pareto_k, estimates=(only,))


def _stepping_stone(fit: MixtureFit) -> list[Estimate]:
    """What a run through temperatures has left of an estimate, where the draws are of one."""
    facts = fit.facts
    name = "log_evidence_stepping_stone"
    if name not in facts:
        return []
    return [Estimate("stepping stones", float(facts[name]), float(facts[f"{name}_se"]))]


def _by_bridge(region: LabellingRegion, rng: np.random.Generator) -> Estimate:
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
    return Estimate("bridge sampling", value, float(np.hypot(errors[0], errors[1]) / 2))


# PyMC's defaults move too little on mixtures: on the galaxies with K = 4 they give -226.3,
# with an error of 0.5, where these settings and two other methods give -221.8.
def _by_smc(spec: MixtureSpec, observations: Observations, seed: int, cores: int) -> Evidence:
    import pymc as pm

    from bayesgmm.inference.sampling.pymc_model import to_pymc

    try:
        with to_pymc(spec, observations):
            tree = pm.sample_smc(
                draws=4000,
                chains=4,
                cores=cores,
                random_seed=seed,
                kernel=pm.smc.MH,
                threshold=0.9,
                correlation_threshold=1e-4,
                progressbar=False,
                compute_convergence_checks=False,
            )
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
