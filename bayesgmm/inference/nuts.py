"""Draws from the posterior, in one labelling, with a verdict on their mixing.

Two engines sample the same posterior.  ``bayesgmm`` samples the fused density, with nothing
to compile; ``pymc`` samples the PyMC model of the spec by NUTS.

The first decides by itself how: by NUTS (nutpie) where the search has found one mode, by
chains that jump where it has found several, and where either is not enough by tempering,
which needs no modes to be found and takes longer.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.chains import SAMPLER_STATISTICS, run_chains
from bayesgmm.inference.convergence import Convergence, assess
from bayesgmm.inference.drawn import Drawn
from bayesgmm.inference.jumping import nearest_modes
from bayesgmm.inference.jumps import about, jump
from bayesgmm.inference.labelling import to_pivot
from bayesgmm.inference.search import Progress
from bayesgmm.inference.tempering import temper
from bayesgmm.inference.whitening import Mode, pivot_of, prepare, shares_of
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import one_blas_thread
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.status import Status

#: Share of divergent transitions above which part of the posterior may be missed.
MANY_DIVERGENCES = 0.01
#: R-hat above which another way to sample is tried.
_TRY_ON = 1.02
#: Work of tempering, in densities x rows x components x (D^2 + 12), and coordinates, up to
#: which it is tried unasked: half a minute on two cores, and what it mixes well.
_AFFORDABLE, _MOST_COORDINATES = 1e11, 45
_DENSITIES = 120  # of tempering, for each draw: temperatures times steps of a trajectory


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
    method: str,
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
    """Find the modes, sample, relabel, judge."""
    if progressbar is None:
        progressbar = progress is None and sys.stderr.isatty()
    density, modes, root = prepare(
        spec, observations, start=start, seed=seed, cores=cores, progress=progress
    )
    pivot = pivot_of(density, modes[0])
    settings = {"draws": draws, "tune": tune, "chains": chains}
    nutpie = {
        **settings, "target_accept": target_accept, "cores": min(chains, density.cores),
        "seed": int(root.generate_state(1, np.uint64)[0] >> np.uint64(1)),
    }  # fmt: skip
    by_ladder, by_jumps = root.spawn(2)
    own: dict[str, Any] = {**settings, "cores": density.cores, "progress": progress}

    def judged(drawn: Drawn) -> _Judged:
        return _Judged.of(density.constrain(drawn.theta), drawn, pivot, observations)

    with one_blas_thread():
        if engine == "pymc":
            if progress is not None:
                progress("compiling with PyMC", 0, 0)
            parameters, drawn = _by_pymc(spec, observations, pivot, nutpie, progressbar)
            best = _Judged.of(parameters, drawn, pivot, observations)
        elif method == "tempering":
            best = judged(temper(density, **own, seed=by_ladder))
        else:
            cheap = _affordable(density, draws + tune, chains)
            if len(modes) > 1 and cheap and _exchangeable(density):
                best = judged(jump(density, modes, **own, seed=by_jumps))
            else:
                best = judged(run_chains(density, modes, nutpie, progress, progressbar))
            tempering = cheap and density.size <= _MOST_COORDINATES
            poor = best.found.r_hat > best.found.limit(_TRY_ON)
            if poor and best.drawn.status.ok and tempering:
                try:
                    other = judged(temper(density, **own, seed=by_ladder))
                    best = min(best, other, key=lambda each: each.found.r_hat)
                except KeyboardInterrupt:  # which leaves what there is
                    best = replace(best, drawn=best.drawn._replace(status=Status.INTERRUPTED))
    return best.draws(density, modes, pivot)


def _exchangeable(density: LogPosterior) -> bool:
    """Whether the prior is the same for every component, so that labels mean nothing."""
    return bool(np.ptp(density.prior.weights) == 0)


def _affordable(density: LogPosterior, length: int, chains: int) -> bool:
    n, d = density.rows.values.shape
    work = n * density.spec.n_components * (d * d + 12.0)
    return work * length * chains * _DENSITIES <= _AFFORDABLE


@dataclass(frozen=True)
class _Judged:
    """Draws in one labelling, and how well they mix."""

    parameters: MixtureParameters
    permutation: NDArray[np.int64]
    drawn: Drawn
    found: Convergence

    @classmethod
    def of(
        cls,
        parameters: MixtureParameters,
        drawn: Drawn,
        pivot: MixtureParameters,
        observations: Observations,
    ) -> _Judged:
        """Relabel and judge."""
        permutation, ambiguous = to_pivot(parameters, pivot, observations.total_weight)
        relabelled = parameters.permute(permutation)
        found = assess(relabelled, drawn.statistics["lp"], ambiguous, observations)
        return cls(relabelled, permutation, drawn, found)

    def draws(
        self, density: LogPosterior, modes: list[Mode], pivot: MixtureParameters
    ) -> Draws:
        """What a fit keeps."""
        drawn, status = self.drawn, self.drawn.status
        if status.ok:
            diverging = drawn.statistics.get("diverging", np.zeros(1))
            many = diverging.mean() > MANY_DIVERGENCES
            status = Status.DIVERGENT if many else self.found.status(len(modes))
        facts = {**self.found.facts(), **drawn.facts, "n_modes": len(modes)}
        statistics = {**drawn.statistics, "permutation": self.permutation}
        if len(drawn.theta):
            statistics["mode"] = nearest_modes(density, about(modes), drawn.theta)
            facts |= _of_modes(density, modes, statistics["mode"], pivot)
        return Draws(self.parameters, statistics, status, facts)


def _of_modes(
    density: LogPosterior, modes: list[Mode], nearest: NDArray[np.int64], pivot: MixtureParameters
) -> dict[str, Any]:
    """The modes' places, in the labelling of the draws, and what is about each."""
    places = density.constrain(np.stack([mode.theta for mode in modes]))
    places = places.permute(to_pivot(places, pivot).permutation)
    return {
        "mode_log_density": ("mode", np.array([mode.value for mode in modes])),
        "mode_laplace_share": ("mode", shares_of(modes)),
        "mode_share": ("mode", np.bincount(nearest.ravel(), minlength=len(modes)) / nearest.size),
        "mode_weights": (("mode", "component"), places.weights),
        "mode_means": (("mode", "component", "feature"), places.means),
        "mode_scale_tril": (("mode", "component", "feature", "feature_bis"), places.scale_tril),
    }


def _by_pymc(
    spec: MixtureSpec,
    observations: Observations,
    start: MixtureParameters,
    settings: dict[str, Any],
    progressbar: bool,
) -> tuple[MixtureParameters, Drawn]:
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
    kept = tree["sample_stats"]
    statistics = {name: kept[own].values for name, own in SAMPLER_STATISTICS.items()}
    drawn = Drawn(np.empty(0), statistics, Status.CONVERGED, {"sampler": "nuts"})
    return parameters_of(spec, tree["posterior"], observations), drawn
