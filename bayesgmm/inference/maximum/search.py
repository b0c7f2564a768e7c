"""The search for the best sound maximum: short runs of EM from many starts, the best to
convergence, then rounds of moves from the best.

The likelihood of a mixture has many maxima, and which one a run reaches depends on
its start.  A round of moves takes each component of a good solution away and inserts one
where the data gain most by it, and splits and merges at random beside.  Effort goes where
it pays: where a pass over the data costs much, fewer and longer runs are made; on many
rows the search is made on a sample of them, and its best go on over all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import Evaluation, LogPosterior
from bayesgmm.errors import FitError, SpecError
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.rows import cores_of_one_pass
from bayesgmm.inference.maximum.curvature import whitening_by_sample
from bayesgmm.inference.maximum.em import SHORT, EMRun, run_em
from bayesgmm.inference.maximum.filled import filled
from bayesgmm.inference.maximum.insertion import insertions
from bayesgmm.inference.maximum.soundness import Bounds
from bayesgmm.inference.maximum.starts import NOISE, SAMPLE, split_and_merge, starts
from bayesgmm.methods import EM, MAP, Run, Search
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import Progress, generator

#: Work of a pass, as the density has it, up to which nothing is spared.
_CHEAP = 1e6
_ROWS_PER_PARAMETER = 50  # of a sample on which to search, within these bounds
_FEWEST_ROWS = 2_000
_APART = 0.1  # standard deviations of a feature between means that are not the same
_INSERTIONS = 3  # places tried for each component that is taken away
_CANDIDATES = 3  # solutions of a sample looked at on all rows, or unsound ones gone on with
_STALE = 8  # rounds in a row without improvement that end the search
_GAIN = 1e-4  # what is an improvement: less is of no use, and where there is no top, without end

Array = NDArray[np.float64]


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


@dataclass(frozen=True)
class Effort:
    """How much is tried."""

    n_starts: int  # short runs from starts
    n_best: int  # runs to convergence, at first and in each round
    rounds: int  # of moves from the best solutions
    parents: int  # solutions whose components are inserted anew in a round
    n_moves: int  # random moves in a round

    @classmethod
    def of(cls, work: float, asked: Search) -> Effort:
        """What is asked for, and where nothing is what is worth its time, by the work of a pass."""
        share = min(1.0, _CHEAP / work)
        rounds = round(20 * share) if share > 0.2 else 0
        return cls(
            max(4, round(40 * share)) if asked.n_starts is None else asked.n_starts,
            max(2, round(10 * share)) if asked.n_best is None else asked.n_best,
            rounds if asked.rounds is None else asked.rounds,
            2,
            max(2, round(12 * share)),
        )


def without_mode(spec: MixtureSpec) -> bool:
    """Whether a prior is unbounded where a weight is zero."""
    concentrations = [*np.ravel(spec.priors.weights), *[spec.priors.noise] * spec.noise]
    return min(concentrations) < 1


def search(
    spec: MixtureSpec,
    observations: Observations,
    method: Search,
    run: Run,
) -> EMResult:
    """Maximise likelihood, or the posterior's density, from many starts or from one."""
    prior, avoid_collapse = isinstance(method, MAP), method.avoid_collapse
    reg_covar = method.reg_covar if isinstance(method, EM) else 0.0
    if prior and without_mode(spec):
        raise SpecError(
            "A Dirichlet prior below 1 has no posterior mode (its density is unbounded where a "
            "weight is zero); use method='nuts', or 1.0 or more for weights and noise."
        )
    observations.require(
        spec.n_components,
        spec.covariance,
        likelihood_only=not prior and reg_covar == 0,
        noise=spec.noise,
    )
    cores = available_cores(run.cores)
    density = LogPosterior(
        spec,
        observations,
        jacobian=False,
        prior=prior,
        cores=cores_of_one_pass(observations.n_rows, cores),
    ).watched(run.passes)
    ridge = reg_covar / density.scale**2 if reg_covar else None

    def finish_on(
        bounds: Bounds,
        *,
        give_up: bool,
        here: Evaluation | None = None,
        root: Array | None = None,
    ) -> Callable[[Point], EMRun]:
        return lambda candidate: run_em(
            bounds,
            candidate,
            max_iter=method.max_iter,
            tol=method.tol,
            ridge=ridge,
            accelerate=method.accelerate,
            avoid_collapse=avoid_collapse,
            give_up=give_up and avoid_collapse,
            here=here,
            root=root,
        )

    whole = Bounds(density)
    with one_blas_thread():
        if run.start is not None:
            mixture = _fitting(run.start, spec, observations)
            given = density.standardise(mixture).interior
            if prior and whole.collapsed(given):
                # What is recorded leaves nothing for Sigma, which may be all of it to begin with.
                exact = LogPosterior(spec, observations, prior=False)
                given = exact.standardise(mixture).interior
            best = finish_on(whole, give_up=False)(given)
            return EMResult(best, density, (), 1)
        rng = generator(run.seed)
        part, few = _sample(density, rng)
        x, weights = filled(part.rows_in_memory), few.row_weights
        bounds = whole if part is density else Bounds(part)
        effort = Effort.of(part.work, method)
        explore = _Explorer(
            bounds,
            finish_on(bounds, give_up=True),
            effort,
            ridge,
            avoid_collapse,
            cores,
            run.progress,
        )
        first = explore.short(
            list(
                starts(
                    x,
                    density.scale,
                    None if weights is None else weights / observations.typical_weight,
                    spec,
                    effort.n_starts,
                    rng,
                    few.views.allowed_of(spec.n_components, spec.noise),
                )
            ),
            "starting",
        )
        runs = explore.best_of(first, "converging", till_sound=True)
        if spec.n_components > 1:
            runs = explore.improved(runs, spec, rng)
        if part is not density:  # the best of what was found on a sample, over all the rows
            runs = _on_all_rows(part, runs, whole, finish_on, 2 if prior else 1)
        elif runs[0].rank_last:  # nothing sound: the best of what there is, to their ends
            ends = [finish_on(bounds, give_up=False)(run.point) for run in runs[:_CANDIDATES]]
            runs = [*_distinct(ends), *runs[_CANDIDATES:]]
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
    # Covariances that the structure does not have are brought to the nearest that it has.
    structure, given = spec.structure, single[0].covariances
    wanted = given
    if structure.shared:
        wanted = np.broadcast_to(np.tensordot(single.weights[0], given, 1), given.shape)
    wanted = np.stack([structure.restricted(covariance) for covariance in wanted])
    if not np.allclose(given, wanted, rtol=1e-9, atol=0.0):
        single = replace(single, scale_tril=np.linalg.cholesky(wanted)[None])
    if spec.noise != (single.noise is not None):
        shares = single.weights / single.weights.sum(axis=-1, keepdims=True)
        noise = Noise(np.full(1, NOISE), observations.noise_box()) if spec.noise else None
        single = replace(single, weights=shares * (1 - NOISE * spec.noise), noise=noise)
    return single[0]


def _sample(density: LogPosterior, rng: np.random.Generator) -> tuple[LogPosterior, Observations]:
    """The density on as many rows as tell its parameters, and these rows."""
    rows = density.observations
    enough = min(max(_ROWS_PER_PARAMETER * density.size, _FEWEST_ROWS), SAMPLE)
    if rows.stored is not None:
        kept = rows.sample(min(rows.n_rows, enough), seed=rng)
        return density.on(kept), kept
    if density.rows_worth > SAMPLE and rows.n_rows > enough:
        rows = rows.part(rng.choice(rows.n_rows, enough, replace=False))
        density = density.on(rows)
    return density, rows


def _on_all_rows(
    part: LogPosterior,
    found: list[EMRun],
    whole: Bounds,
    finish_on: Callable[..., Callable[[Point], EMRun]],
    enough: int,
) -> list[EMRun]:
    """The best ``enough`` of what was found on a sample, over all the rows.

    From the top of a sample the top of all rows is a few of its standard errors away, and its
    curvature is known from the sample's: a few passes are enough.
    """
    few = found[:_CANDIDATES]
    here = whole.density.at_each([run.point for run in few])
    order = sorted(range(len(few)), key=lambda i: (few[i].rank_last, -here[i].value))
    runs: list[EMRun] = []
    for i in order:
        root = None
        with suppress(FitError):  # a collapsed component's, of which EM makes what it can
            root = whitening_by_sample(part, whole.density, few[i].point)
        runs.append(finish_on(whole, give_up=False, here=here[i], root=root)(few[i].point))
        # A posterior's lesser modes may hold mass of it; a lesser likelihood is of no use.
        if len(runs) >= enough and not all(run.rank_last for run in runs):
            break
    return _distinct(runs)


@dataclass(frozen=True)
class _Explorer:
    """Runs of EM from many starts at once, on the rows of one density."""

    bounds: Bounds
    finish: Callable[[Point], EMRun]
    effort: Effort
    ridge: Array | None
    avoid_collapse: bool
    cores: int
    progress: Progress | None

    def short(self, candidates: list[Point], stage: str) -> list[EMRun]:
        """A few iterations from each."""

        def run(start: Point) -> EMRun:
            return run_em(
                self.bounds,
                start,
                max_iter=SHORT,
                tol=0.0,
                ridge=self.ridge,
                accelerate=False,
                avoid_collapse=self.avoid_collapse,
            )

        return self._map(run, candidates, stage)

    def best_of(self, tries: list[EMRun], stage: str, *, till_sound: bool = False) -> list[EMRun]:
        """The best distinct tries brought to convergence, best first.

        If asked, those that are less good as well, as long as none ends at a sound maximum.
        """
        left = [run.point for run in _distinct(tries)]
        runs: list[EMRun] = []
        while left and (not runs or (till_sound and all(run.rank_last for run in runs))):
            chosen, left = left[: self.effort.n_best], left[self.effort.n_best :]
            runs += self._map(self.finish, chosen, stage)
        return _distinct(runs)

    def improved(
        self, runs: list[EMRun], spec: MixtureSpec, rng: np.random.Generator
    ) -> list[EMRun]:
        """Rounds of moves from the best runs, until some in a row improve nothing."""
        stale, moved = 0, set[float]()
        for _ in range(self.effort.rounds):
            sound = [run for run in runs if not run.rank_last] or runs
            fresh = [run for run in sound if run.objective not in moved][: self.effort.parents]
            moved.update(run.objective for run in fresh)
            tries = [
                start
                for run in fresh
                for start in insertions(self.bounds, run.point, _INSERTIONS, rng, cores=self.cores)
            ]
            tries += split_and_merge(
                [run.point for run in sound[:3]], spec, self.effort.n_moves, rng
            )
            found = self.best_of(self.short(tries, "moving components"), "converging")
            last, tightness, below = runs[0].rank
            better = found[0].rank < (last, tightness, below - _GAIN)
            runs = _distinct(runs + found)
            stale = 0 if better else stale + 1
            if stale == _STALE:
                break
        return runs

    def _map(
        self, function: Callable[[Point], EMRun], items: list[Point], stage: str
    ) -> list[EMRun]:
        done = 0

        def one(item: Point) -> EMRun:
            nonlocal done
            result = function(item)
            done += 1
            if self.progress is not None:
                self.progress(stage, done, len(items))
            return result

        return thread_map(one, items, 1 if self.bounds.density.cores > 1 else self.cores)


def _distinct(runs: list[EMRun]) -> list[EMRun]:
    """Best first, repeats of the same place left out.

    Places that are equally good up to rounding, as mirror images are, come in the order of
    their means, whatever the rounding.
    """
    chosen: list[EMRun] = []
    for run in sorted(runs, key=lambda run: run.rank):
        at = len(chosen)
        for i, other in enumerate(chosen):
            if not abs(run.objective - other.objective) < 1e-7 * (1 + abs(other.objective)):
                continue
            first = run.rank_last == other.rank_last and run.place < other.place
            if _same_means(run.point.means, other.point.means):
                if first:
                    chosen[i] = run
                break
            at = min(at, i) if first else at
        else:
            chosen.insert(at, run)
    return chosen


def _same_means(one: Array, other: Array) -> bool:
    """Whether means (K, D) are the same in some order, up to what a climb leaves."""
    if np.abs(one[np.lexsort(one.T[::-1])] - other[np.lexsort(other.T[::-1])]).max() < _APART:
        return True
    from scipy.optimize import linear_sum_assignment

    distance = np.abs(one[:, None] - other[None]).max(axis=-1)
    return bool(distance[linear_sum_assignment(distance)].max() < _APART)
