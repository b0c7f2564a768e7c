"""Draws from the posterior, in one labelling, with a verdict on their mixing.

Two engines sample the same posterior.  ``bayesgmm`` samples the fused density, with nothing
to compile; ``pymc`` samples the PyMC model of the spec by NUTS.

The first decides by itself how: by NUTS (nutpie) where the search has found one mode, by
chains that jump where it has found several, and where either is not enough by tempering,
which needs no modes to be found and takes longer.  In many dimensions NUTS is tried first
whatever the modes, since the chains that start in different ones often meet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import one_blas_thread
from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FitError, SpecError, warn
from bayesgmm.inference.convergence import Convergence, assess
from bayesgmm.inference.labels.matching import to_pivot
from bayesgmm.inference.sampling.chains import SAMPLER_STATISTICS, run_chains
from bayesgmm.inference.sampling.drawn import Drawn
from bayesgmm.inference.sampling.fit import Draws, Modes, posterior_fit
from bayesgmm.inference.sampling.jumps import about, jump
from bayesgmm.inference.sampling.modes import Mode, pivot_of, prepare, shares_of
from bayesgmm.inference.sampling.students import nearest_modes
from bayesgmm.inference.sampling.tempering import temper
from bayesgmm.methods import NUTS, Chains, Run, Tempering
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.status import Status

#: Share of divergent transitions above which part of the posterior may be missed.
MANY_DIVERGENCES = 0.01
#: R-hat above which another way to sample is tried.
_TRY_ON = 1.02
#: Work, in densities x rows x components x (entries of a covariance + 12), up to which more
#: than NUTS is tried unasked: half a minute on two cores.
_AFFORDABLE = 1e11
#: Coordinates up to which tempering mixes well, and up to which t's are near to a posterior.
_TEMPERING_UP_TO, _JUMPS_UP_TO = 45, 100
_STEPS = 7  # of a trajectory in whitened coordinates
_DENSITIES = 120  # of tempering, for each draw: temperatures times steps of a trajectory


def fitted(spec: MixtureSpec, observations: Observations, method: Chains, run: Run) -> MixtureFit:
    """Find the modes, sample, relabel, judge."""
    progress, nuts = run.progress, method if isinstance(method, NUTS) else NUTS()
    progressbar = nuts.progressbar
    if progressbar is None:
        progressbar = progress is None and sys.stderr.isatty()
    if observations.stored is not None and (nuts.engine == "pymc" or isinstance(method, Tempering)):
        raise SpecError(
            f"The {observations.n_rows:,} rows are not in memory, which this needs; use "
            "method='laplace', method='nuts' with its own engine, or observations.sample(n)."
        )
    density, modes, root = prepare(spec, observations, run)
    if observations.stored is not None:
        _say_how_long(observations, method, run)
    pivot = pivot_of(density, modes[0])
    settings = {"draws": method.draws, "tune": method.tune, "chains": method.chains}
    nutpie = {
        **settings,
        "target_accept": nuts.target_accept,
        "cores": min(method.chains, density.cores),
        "seed": int(root.generate_state(1, np.uint64)[0] >> np.uint64(1)),
    }
    by_ladder, by_jumps = root.spawn(2)
    own: dict[str, Any] = {**settings, "cores": density.cores, "progress": progress}

    def judged(drawn: Drawn) -> _Judged:
        return _Judged.of(density.constrain(drawn.theta), drawn, pivot, density)

    with one_blas_thread():
        if nuts.engine == "pymc":
            if progress is not None:
                progress("compiling with PyMC", 0, 0)
            parameters, drawn = _by_pymc(spec, observations, pivot, nutpie, progressbar)
            best = _Judged.of(parameters, drawn, pivot, density)
        elif isinstance(method, Tempering):
            best = judged(temper(density, **own, seed=by_ladder))
        else:
            ways: dict[str, Callable[[], Drawn]] = {
                "nuts": lambda: run_chains(density, modes, nutpie, progress, progressbar),
                "jumps": lambda: jump(density, modes, **own, seed=by_jumps),
                "tempering": lambda: temper(density, **own, seed=by_ladder),
            }
            transitions = (method.draws + method.tune) * method.chains
            first, *others = _ways(density, len(modes), transitions)
            best = judged(ways[first]())
            for way in others:
                # After jumps, NUTS is for those that did not converge: it holds modes in no share.
                enough = best.found.limit() if way == "nuts" else best.found.limit(_TRY_ON)
                if best.found.r_hat > enough and best.drawn.status.ok:
                    try:
                        best = min(best, judged(ways[way]()), key=lambda each: each.found.r_hat)
                    except KeyboardInterrupt:  # which leaves what there is
                        best = replace(best, drawn=best.drawn._replace(status=Status.INTERRUPTED))
                    except FitError as error:  # of a way that is tried because the first was poor
                        warn(f"Sampling by {way} as well failed, so the first draws stand: {error}")
    facts = {"engine": nuts.engine, "tune": method.tune}
    return posterior_fit(spec, observations, method, run, best.draws(density, modes, pivot), facts)


def _say_how_long(observations: Observations, method: Chains, run: Run) -> None:
    """Before chains that read all rows at every step: what that takes, and what takes less."""
    passes = (method.draws + method.tune) * method.chains * _STEPS
    seconds = passes * run.passes.seconds
    time = f"{seconds / 3600:,.1f} hours" if seconds > 3600 else f"{seconds / 60:.1f} minutes"
    warn(
        f"NUTS goes over the {observations.n_rows:,} rows at every step: about {passes:,} "
        f"passes, {time}; method='laplace' takes a few thousand at most, and a fit to "
        "observations.sample(n) says what n rows say."
    )


def _ways(density: LogPosterior, n_modes: int, draws: int) -> list[str]:
    """Ways to sample, the first to be tried first."""
    jumps, tempering = [], []
    if density.work * draws * _DENSITIES <= _AFFORDABLE and density.observations.stored is None:
        if n_modes > 1 and density.size <= _JUMPS_UP_TO:
            jumps = ["jumps"]
        if density.size <= _TEMPERING_UP_TO:
            tempering = ["tempering"]
    if jumps:
        return [*jumps, *(tempering or ["nuts"])]
    return ["nuts", *tempering]


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
        density: LogPosterior,
    ) -> _Judged:
        """Relabel and judge."""
        observations = density.observations
        permutation, ambiguous = to_pivot(
            parameters, pivot, observations.total_weight, groups=density.groups
        )
        relabelled = parameters.permute(permutation)
        found = assess(relabelled, drawn.statistics["lp"], ambiguous, observations)
        return cls(relabelled, permutation, drawn, found)

    def draws(self, density: LogPosterior, modes: list[Mode], pivot: MixtureParameters) -> Draws:
        """What a fit keeps."""
        drawn, status = self.drawn, self.drawn.status
        if status.ok:
            diverging = drawn.statistics.get("diverging", np.zeros(1))
            many = diverging.mean() > MANY_DIVERGENCES
            status = Status.DIVERGENT if many else self.found.status(len(modes))
        facts = {**self.found.facts(), **drawn.facts, "n_modes": len(modes)}
        statistics = {**drawn.statistics, "permutation": self.permutation}
        if not len(drawn.theta):
            return Draws(self.parameters, statistics, status, facts)
        statistics["mode"] = np.zeros(drawn.theta.shape[:2], dtype=np.int64)
        if len(modes) > 1:
            statistics["mode"] = nearest_modes(density, about(modes, density.groups), drawn.theta)[
                0
            ]
        places = density.constrain(np.stack([mode.theta for mode in modes]))
        held = np.bincount(statistics["mode"].ravel(), minlength=len(modes))
        table = Modes(
            places.permute(to_pivot(places, pivot, groups=density.groups).permutation),
            np.array([mode.value for mode in modes]),
            shares_of(modes),
            held / held.sum(),
        )
        return Draws(self.parameters, statistics, status, facts, table)


def _by_pymc(
    spec: MixtureSpec,
    observations: Observations,
    start: MixtureParameters,
    settings: dict[str, Any],
    progressbar: bool,
) -> tuple[MixtureParameters, Drawn]:
    import pymc as pm

    from bayesgmm.inference.sampling.pymc_model import initial_values, parameters_of, to_pymc

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
