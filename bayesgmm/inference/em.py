"""EM for maximum likelihood, and generalised EM for the posterior mode.

One run, from one start; ``search`` makes many.  Every run is monotone, which is
asserted.  Where EM slows down, a quasi-Newton climb on the same statistics
(``ascent``) takes over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.inference.ascent import ascend
from bayesgmm.inference.initialize import Start
from bayesgmm.inference.maximise import m_step, on_the_floor, raised_to_floor
from bayesgmm.model.covariance import factors_to_tril
from bayesgmm.model.density import LogPosterior, log_prior_and_gradient
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.statistics import PrecisionForm, SufficientStatistics
from bayesgmm.status import Status

Array = NDArray[np.float64]

SHORT = 20  # iterations of a short run
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
        # Rounding: of the sum, and of the log determinant of a covariance on the floor,
        # whose smallest eigenvalue is known to eps / FLOOR, about 2e-8, per row.
        if value < self.last - 1e-9 * abs(self.last) - 2e-8 * self.size:
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
        if accelerate and no_ridge and slow and climbs < 4 and len(trace) >= SHORT:
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
        still_to_climb = accelerate and no_ridge and climbs == 0
        if not still_to_climb and abs(gain) < tol:
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
