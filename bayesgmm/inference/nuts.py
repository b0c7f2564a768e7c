"""NUTS: draws from the posterior, in one labelling, with a verdict on their mixing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.em import Progress, search
from bayesgmm.inference.pymc_model import initial_values, parameters_of, to_pymc
from bayesgmm.inference.relabel import to_pivot
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.status import Status

#: Sampler statistics kept, under ArviZ's names, by the names engines give them.
_KEPT = {
    "lp": ("lp", "logp"),
    "diverging": ("diverging",),
    "n_steps": ("n_steps",),
    "tree_depth": ("tree_depth", "depth"),
    "energy": ("energy",),
    "step_size": ("step_size",),
}


@dataclass(frozen=True)
class Draws:
    """What a sampler made, relabelled."""

    parameters: MixtureParameters  # batch (chain, draw), data units
    sample_stats: dict[str, NDArray[Any]]  # with permutation (chain, draw, component)
    status: Status


def sample_pymc(
    spec: MixtureSpec,
    observations: Observations,
    *,
    draws: int,
    tune: int,
    chains: int,
    start: MixtureParameters | None,
    target_accept: float,
    seed: Any,
    cores: int | None,
    progress: Progress | None,
    progressbar: bool,
) -> Draws:
    """Sample the PyMC model of the spec with nutpie, from the best EM start."""
    import pymc as pm

    seeds = np.random.SeedSequence(seed if isinstance(seed, int) else None).spawn(2)
    if start is None:
        start = _mode(spec, observations, seeds[0], cores, progress)
    if progress is not None:
        progress("compiling", 0, 0)
    with to_pymc(spec, observations):
        tree = pm.sample(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=min(chains, available_cores(cores)),
            nuts_sampler="nutpie",
            initvals=initial_values(spec, start),
            target_accept=target_accept,
            random_seed=int(seeds[1].generate_state(1)[0]),
            progressbar=progressbar,
        )
    statistics = tree["sample_stats"]
    kept = {
        name: statistics[own].values
        for name, candidates in _KEPT.items()
        for own in candidates[:1] + tuple(c for c in candidates[1:] if candidates[0] not in statistics)
        if own in statistics
    }
    return finish(parameters_of(spec, tree["posterior"]), start, kept)


def _mode(
    spec: MixtureSpec,
    observations: Observations,
    seed: np.random.SeedSequence,
    cores: int | None,
    progress: Progress | None,
) -> MixtureParameters:
    """The posterior mode; with sparse weights, which have none, that of flat ones."""
    if np.any(np.asarray(spec.priors.weights) < 1):
        from dataclasses import replace

        spec = spec.replace(priors=replace(spec.priors, weights=1.0))
    result = search(
        spec, observations, prior=True, seed=seed, cores=cores, progress=progress
    )
    return result.best.parameters(result.density)


def finish(
    parameters: MixtureParameters, pivot: MixtureParameters, sample_stats: dict[str, NDArray[Any]]
) -> Draws:
    """Relabel to the pivot, keep the permutations, and judge the mixing."""
    permutation = to_pivot(parameters, pivot)
    relabelled = parameters.permute(permutation)
    stats = {**sample_stats, "permutation": permutation}
    return Draws(relabelled, stats, _verdict(relabelled, sample_stats))


def _verdict(parameters: MixtureParameters, sample_stats: dict[str, NDArray[Any]]) -> Status:
    """The status of a set of chains."""
    diverging = sample_stats.get("diverging")
    if diverging is not None and diverging.mean() > 0.01:
        return Status.DIVERGENT
    if parameters.batch_shape[0] > 1:
        flat = np.concatenate(
            [a.reshape(*parameters.batch_shape, -1) for a in (
                parameters.weights, parameters.means, np.log(parameters.scales)
            )],
            axis=-1,
        )
        if _split_r_hat(flat).max() > 1.05:
            return Status.NOT_MIXED
    return Status.CONVERGED


def _split_r_hat(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Split R-hat of each column of draws (chain, draw, P) (Gelman and others 2013)."""
    half = draws.shape[1] // 2
    if half < 2:
        return np.ones(draws.shape[-1])
    parts = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = half * parts.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / (half * np.maximum(within, 1e-300)))
