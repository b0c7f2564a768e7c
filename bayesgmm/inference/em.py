"""EM for maximum likelihood, and generalised EM for the posterior mode.

Many short runs find where to go; the best few go on to convergence.  Every run
is monotone, which is asserted.  Where EM slows down, a quasi-Newton climb on the
same statistics (``ascent``) takes over, and EM confirms its end point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError, SpecError
from bayesgmm.inference.ascent import ascend
from bayesgmm.inference.initialize import SAMPLE, Start, starts, swaps
from bayesgmm.inference.maximise import m_step, on_the_floor, raised_to_floor
from bayesgmm.model.covariance import factors_to_tril
from bayesgmm.model.density import LogPosterior, log_prior_and_gradient
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, one_blas_thread, thread_map
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.statistics import CHUNK, PrecisionForm, SufficientStatistics
from bayesgmm.status import Status

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

_SHORT = 20  # iterations of a short run
_EMPTY_WEIGHT = 1e-6  # less than this share of the rows is an emptied component
_SLOPE = 1e-4  # convergence: largest slope in complete-data standard errors


@dataclass(frozen=True)
class EMRun:
    """One run of EM, on the standardised scale."""

    log_weights: Array
    means: Array
    factors: Array
    objective: float  # log-likelihood, plus the log prior for the mode; data units
    log_likelihood: float
    n_iterations: int
    status: Status
    trace: tuple[float, ...]  # objective before each iteration
    shunned: bool  # collapsed, where a sound run is wanted first
    kind: str = "given"

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the better first; a shunned run after every sound one."""
        return self.shunned, -self.objective

    @property
    def start(self) -> Start:
        """Where a further run would go on."""
        return Start(self.log_weights, self.means, self.factors, self.kind)

    def parameters(self, density: LogPosterior) -> MixtureParameters:
        """In the data's units."""
        tril = factors_to_tril(self.factors, density.spec.covariance, len(self.means))
        return MixtureParameters(
            np.exp(self.log_weights),
            self.means * density.scale + density.observations.center,
            tril * density.scale[:, None],
        )


class _Monotone:
    """Raises if an objective that must not fall does, beyond rounding."""

    def __init__(self, size: float) -> None:
        self.last = -np.inf
        self.size = size

    def see(self, value: float) -> None:
        if not np.isfinite(value):
            raise FitError("EM reached a log-likelihood that is not finite; rescale the data.")
        if value < self.last - 1e-9 * (abs(self.last) + self.size):
            raise FitError(
                f"EM lowered its objective from {self.last!r} to {value!r}, which it must never "
                "do; please report this with the data."
            )
        self.last = value


def run_em(
    density: LogPosterior,
    start: Start,
    *,
    max_iter: int,
    tol: float,
    ridge: Array | None = None,
    accelerate: bool = True,
    avoid_collapse: bool = True,
) -> EMRun:
    """Run EM from ``start`` on the density's data.

    Parameters
    ----------
    density : LogPosterior
        With ``jacobian=False``; its prior decides between likelihood and mode.
    tol : float
        Plain EM stops where an iteration raises the objective by less than
        ``tol`` per row.
    ridge : array (D,), optional
        Added to the variances, standardised; EM is then no longer monotone.
    accelerate : bool
        Hand over to the quasi-Newton climb once EM slows down.
    avoid_collapse : bool
        Mark a collapsed run as one to be ranked last.
    """
    n = density.observations.total_weight
    prior, no_ridge = density.prior, ridge is None
    ridge = np.zeros(density.observations.n_features) if ridge is None else ridge
    log_weights, means, factors = start.log_weights, start.means, start.factors
    if not prior.active and no_ridge:
        factors = raised_to_floor(factors, density.structure)
    trace: list[float] = []
    monotone = _Monotone(n)
    status = Status.ITERATION_LIMIT
    climbs = 0
    statistics, form = density.statistics(log_weights, means, factors)
    for _ in range(max_iter):
        objective = _objective(density, statistics, form, log_weights, means, factors)
        if no_ridge:
            monotone.see(objective)
        trace.append(objective)
        gain = (objective - trace[-2]) / n if len(trace) > 1 else np.inf
        slow = gain < (max(tol, 1e-5) if climbs == 0 else tol)
        if accelerate and no_ridge and slow and climbs < 4 and len(trace) >= _SHORT:
            climbs += 1
            if not _bounded(factors, log_weights, density):
                *top, value, slope = ascend(density, log_weights, means, factors, max_iter=500)
                if value >= objective and not _bounded(top[2], top[0], density):
                    log_weights, means, factors = top
                    statistics, form = density.statistics(log_weights, means, factors)
                    if slope < _SLOPE * max(1.0, 1e-4 * np.sqrt(n)):
                        status = Status.CONVERGED
                        trace.append(value)
                        break
                    continue
        if prior.active and _bounded(factors, log_weights, density):
            break  # to a density without bound; there is nothing further to find
        if (not accelerate or climbs >= 4 or not no_ridge or climbs > 0) and abs(gain) < tol:
            status = Status.CONVERGED
            break
        log_weights, means, factors = m_step(statistics, form, prior, ridge, means, factors)
        statistics, form = density.statistics(log_weights, means, factors)
    objective = _objective(density, statistics, form, log_weights, means, factors)
    collapsed = no_ridge and _bounded(factors, log_weights, density)
    if collapsed:
        status = Status.DEGENERATE
    return EMRun(
        log_weights, means, factors, objective, statistics.log_likelihood - density.log_unit,
        len(trace), status, tuple(trace), collapsed and avoid_collapse, start.kind,
    )  # fmt: skip


def _objective(
    density: LogPosterior,
    statistics: SufficientStatistics,
    form: PrecisionForm,
    log_weights: Array,
    means: Array,
    factors: Array,
) -> float:
    value = statistics.log_likelihood - density.log_unit
    if density.prior.active:
        value += log_prior_and_gradient(
            log_weights, means, factors, form.whiten, density.structure, statistics.counts,
            statistics.sums, statistics.scatters, density.basis, density.prior,
            np.empty(density.size),
        )  # fmt: skip
    return value


def _bounded(factors: Array, log_weights: Array, density: LogPosterior) -> bool:
    """Whether a component has collapsed, or, without a prior, emptied.

    A scale prior keeps scales off zero, but LKJ does not keep correlation matrices
    off the singular ones: D rows always lie in a plane, and the joint density of a
    component that fits them alone is unbounded where D > 2 (eta - 1).
    """
    if on_the_floor(factors, density.structure):
        return True
    return not density.prior.active and bool(np.exp(log_weights.min()) < _EMPTY_WEIGHT)


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

    See :func:`bayesgmm.fit` for the options.
    """
    _check_options(n_starts, n_best, rounds, max_iter, tol, reg_covar)
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
        rng = np.random.default_rng(seed)
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


def _check_options(
    n_starts: int, n_best: int, rounds: int, max_iter: int, tol: float, reg_covar: float
) -> None:
    for name, value in (("n_starts", n_starts), ("n_best", n_best), ("max_iter", max_iter)):
        if value < 1:
            raise SpecError(f"{name} must be at least 1, got {value}.")
    for name, value in (("rounds", rounds), ("tol", tol), ("reg_covar", reg_covar)):
        if not value >= 0:
            raise SpecError(f"{name} must not be negative, got {value}.")


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
                self.density, start, max_iter=_SHORT, tol=0.0, ridge=self.ridge, accelerate=False,
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
