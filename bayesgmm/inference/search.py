"""The search for the best maximum: many short runs of EM, the best to convergence,
then rounds of splitting and merging components.

The likelihood of a mixture has many maxima, and which one a run reaches depends on
its start.  On more rows than ``SAMPLE`` the search is made on a sample of them, and
its best two go on over all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import SpecError
from bayesgmm.inference.em import SHORT, EMRun, run_em
from bayesgmm.inference.initialize import SAMPLE, Start, starts, swaps
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK
from bayesgmm.options import generator

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EMResult:
    """The best run of a search, and how the others compare."""

    best: EMRun
    density: LogPosterior
    others: tuple[EMRun, ...]  # the other converged runs, best first
    n_starts: int

    @property
    def modes(self) -> tuple[EMRun, ...]:
        """The converged runs, best first."""
        return (self.best, *self.others)


def search(
    spec: MixtureSpec,
    observations: Observations,
    *,
    prior: bool,
    start: MixtureParameters | None = None,
    n_starts: int = 40,
    n_best: int = 10,
    rounds: int = 10,
    max_iter: int = 2000,
    tol: float = 1e-9,
    reg_covar: float = 0.0,
    accelerate: bool = True,
    avoid_collapse: bool = True,
    seed: int | np.random.SeedSequence | np.random.Generator | None = None,
    cores: int | None = None,
    progress: Progress | None = None,
) -> EMResult:
    """Maximise likelihood (or posterior, with ``prior``) from many starts.

    See :func:`bayesgmm.fit` for the options, which it has checked.
    """
    if prior and np.any(np.asarray(spec.priors.weights) < 1):
        raise SpecError(
            "A Dirichlet prior below 1 has no posterior mode (its density is unbounded where a "
            "weight is zero); use method='nuts', or Priors(weights=1.0) or more."
        )
    observations.require(
        spec.n_components, spec.covariance, likelihood_only=not prior and reg_covar == 0
    )
    cores = available_cores(cores)
    large = observations.n_rows > CHUNK
    density = LogPosterior(
        spec, observations, jacobian=False, prior=prior, cores=cores if large else 1
    )
    ridge = reg_covar / density.scale**2 if reg_covar else None

    def finish_on(rows: LogPosterior) -> Callable[[Start], EMRun]:
        return lambda candidate: run_em(
            rows, candidate, max_iter=max_iter, tol=tol, ridge=ridge, accelerate=accelerate,
            avoid_collapse=avoid_collapse,
        )  # fmt: skip

    with one_blas_thread():
        if start is not None:
            given = Start(*density.standardise(_fitting(start, spec, observations)), "given")
            return EMResult(finish_on(density)(given), density, (), 1)
        rng = generator(seed)
        part, x, weights = _sample(density, rng)
        explore = _Explorer(part, finish_on(part), ridge, avoid_collapse, cores, progress)
        candidates = list(starts(x, density.scale, weights, spec, n_starts, rng))
        first = explore.short(candidates, "starting")
        runs = explore.best_of(first, n_best, "converging")
        stale = 0
        for _ in range(rounds if spec.n_components > 1 else 0):
            swapped = list(swaps([run.start for run in runs[:3]], spec, n_starts, rng))
            tried = explore.short(swapped, "splitting and merging")
            found = explore.best_of(tried, n_best, "converging")
            improved = found[0].rank < (runs[0].shunned, runs[0].rank[1] - 1e-6)
            runs = _distinct(runs + found)
            stale = 0 if improved else stale + 1
            if stale == 2:
                break
        if part is not density:  # what was found on a sample goes on over all the rows
            runs = sorted(
                (finish_on(density)(run.start) for run in runs[:2]), key=lambda run: run.rank
            )
    return EMResult(runs[0], density, tuple(runs[1:]), len(first))


def _fitting(
    start: MixtureParameters, spec: MixtureSpec, observations: Observations
) -> MixtureParameters:
    single = start.flat()
    if len(single.weights) != 1:
        raise SpecError(f"start holds {len(single.weights)} mixtures; give one.")
    if single.means.shape[1:] != (spec.n_components, observations.n_features):
        raise SpecError(
            f"start has {start.n_components} components of {start.n_features} features; the model "
            f"has {spec.n_components} of {observations.n_features}."
        )
    return single[0]


def _sample(
    density: LogPosterior, rng: np.random.Generator
) -> tuple[LogPosterior, Array, Array | None]:
    """The density on at most ``SAMPLE`` rows, with those rows standardised."""
    observations = density.observations
    values, weights = observations.matrix, observations.row_weights
    if len(values) > SAMPLE:
        part = rng.choice(len(values), SAMPLE, replace=False)
        values = values[part]
        weights = None if weights is None else weights[part]
        density = density.on(values, weights)
    return density, (values - observations.center) / density.scale, weights


@dataclass(frozen=True)
class _Explorer:
    """Runs of EM from many starts at once, on the rows of one density."""

    density: LogPosterior
    finish: Callable[[Start], EMRun]
    ridge: Array | None
    avoid_collapse: bool
    cores: int
    progress: Progress | None

    def short(self, candidates: list[Start], stage: str) -> list[EMRun]:
        """A few iterations from each."""

        def run(start: Start) -> EMRun:
            return run_em(
                self.density, start, max_iter=SHORT, tol=0.0, ridge=self.ridge, accelerate=False,
                avoid_collapse=self.avoid_collapse,
            )  # fmt: skip

        return self._map(run, candidates, stage)

    def best_of(self, tries: list[EMRun], n_best: int, stage: str) -> list[EMRun]:
        """The best distinct tries brought to convergence, best first."""
        chosen = [run.start for run in _distinct(tries)[:n_best]]
        return _distinct(self._map(self.finish, chosen, stage))

    def _map(
        self, function: Callable[[Start], EMRun], items: list[Start], stage: str
    ) -> list[EMRun]:
        done = 0

        def one(item: Start) -> EMRun:
            nonlocal done
            result = function(item)
            done += 1
            if self.progress is not None:
                self.progress(stage, done, len(items))
            return result

        return thread_map(one, items, 1 if self.density.cores > 1 else self.cores)


def _distinct(runs: list[EMRun]) -> list[EMRun]:
    """Best first, repeats of the same place left out."""
    chosen: list[EMRun] = []
    for run in sorted(runs, key=lambda run: run.rank):
        if not any(
            abs(run.objective - other.objective) < 1e-7 * (1 + abs(other.objective))
            for other in chosen
        ):
            chosen.append(run)
    return chosen
