"""NUTS: draws from the posterior, in one labelling, with a verdict on their mixing.

Two engines sample the same posterior.  ``bayesgmm`` runs nutpie on the fused
density in whitened coordinates, with nothing to compile; ``pymc`` samples the
PyMC model of the spec.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.chains import SAMPLER_STATISTICS, run_chains
from bayesgmm.inference.convergence import assess
from bayesgmm.inference.labelling import to_pivot
from bayesgmm.inference.search import Progress
from bayesgmm.inference.whitening import pivot_of, prepare
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import one_blas_thread
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.status import Status

#: Share of divergent transitions above which part of the posterior may be missed.
MANY_DIVERGENCES = 0.01


@dataclass(frozen=True)
class Draws:
    """What a sampler made, relabelled."""

    parameters: MixtureParameters  # batch (chain, draw), data units
    sample_stats: dict[str, NDArray[Any]]  # with permutation (chain, draw, component)
    status: Status
    facts: dict[str, Any]  # what the group ``fit`` keeps


def sample(
    spec: MixtureSpec,
    observations: Observations,
    *,
    engine: str,
    draws: int,
    tune: int,
    chains: int,
    start: MixtureParameters | None,
    target_accept: float,
    seed: Any,
    cores: int | None,
    progress: Progress | None,
    progressbar: bool | None,
) -> Draws:
    """Find the modes, sample from them by an engine, relabel, judge."""
    if progressbar is None:
        progressbar = progress is None and sys.stderr.isatty()
    density, modes, root = prepare(
        spec, observations, start=start, seed=seed, cores=cores, progress=progress
    )
    pivot = pivot_of(density, modes[0])
    settings = {
        "draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept,
        "cores": min(chains, density.cores),
        "seed": int(root.generate_state(1, np.uint64)[0] >> np.uint64(1)),
    }  # fmt: skip
    with one_blas_thread():
        if engine == "pymc":
            if progress is not None:
                progress("compiling with PyMC", 0, 0)
            parameters, stats = _by_pymc(spec, observations, pivot, settings, progressbar)
            status = Status.CONVERGED
        else:
            theta, stats, status = run_chains(density, modes, settings, progress, progressbar)
            parameters = density.constrain(theta)
    permutation, ambiguous = to_pivot(parameters, pivot, observations.total_weight)
    relabelled = parameters.permute(permutation)
    found = assess(relabelled, stats["lp"], ambiguous, observations)
    if status.ok:
        many = stats["diverging"].mean() > MANY_DIVERGENCES
        status = Status.DIVERGENT if many else found.status(len(modes))
    facts = {**found.facts(), "n_modes": len(modes)}
    return Draws(relabelled, {**stats, "permutation": permutation}, status, facts)


def _by_pymc(
    spec: MixtureSpec,
    observations: Observations,
    start: MixtureParameters,
    settings: dict[str, Any],
    progressbar: bool,
) -> tuple[MixtureParameters, dict[str, NDArray[Any]]]:
    import pymc as pm

    from bayesgmm.inference.pymc_model import initial_values, parameters_of, to_pymc

    options = {**settings, "random_seed": settings["seed"] % 2**32}
    del options["seed"]
    with to_pymc(spec, observations):
        tree = pm.sample(
            nuts_sampler="nutpie",
            initvals=initial_values(spec, start, observations),
            progressbar=progressbar,
            compute_convergence_checks=False,  # of draws before relabelling
            **options,
        )
    statistics = tree["sample_stats"]
    return parameters_of(spec, tree["posterior"], observations), {
        name: statistics[own].values for name, own in SAMPLER_STATISTICS.items()
    }
