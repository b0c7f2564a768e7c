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
from bayesgmm.inference.maximise import FLOOR, m_step, raised_to_floor
from bayesgmm.inference.soundness import Bounds, Soundness
from bayesgmm.model.density import LogPosterior
from bayesgmm.model.parameters import MixtureParameters
from bayesgmm.model.point import Point
from bayesgmm.model.precision import PrecisionForm
from bayesgmm.model.statistics import SufficientStatistics
from bayesgmm.status import Status

Array = NDArray[np.float64]

SHORT = 20  # iterations of a short run
_SLOPE = 1e-4  # convergence: largest slope in complete-data standard errors


@dataclass(frozen=True)
class EMRun:
    """One run of EM, on the standardised scale."""

    point: Point
    objective: float  # log-likelihood, plus the log prior for the mode; data units
    log_likelihood: float
    n_iterations: int
    status: Status
    trace: tuple[float, ...]  # objective before each iteration
    soundness: Soundness
    rank_last: bool  # not sound, where a sound run is wanted first

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the better first; a run that is not sound after every one that is."""
        return self.rank_last, -self.objective

    @property
    def place(self) -> tuple[tuple[float, ...], ...]:
        """The means in order, to six digits: what tells one of two mirror images."""
        return tuple(sorted(tuple(np.round(mean, 6) + 0.0) for mean in self.point.means))

    def parameters(self, density: LogPosterior) -> MixtureParameters:
        """In the data's units."""
        return density.mixture(self.point)


class _Monotone:
    """Raises if an objective that must not fall does, beyond rounding."""

    def __init__(self, size: float) -> None:
        self.last = -np.inf
        self.size = size

    def see(self, value: float) -> None:
        if not np.isfinite(value):
            raise FitError("EM reached a log-likelihood that is not finite; rescale the data.")
        # Rounding: of the sum, and of the log determinant of a covariance on the floor,
        # whose smallest eigenvalue is known to D eps / FLOOR, about 2e-8 D, per row.
        if value < self.last - 1e-9 * abs(self.last) - 2e-8 * self.size:
            raise FitError(
                f"EM lowered its objective from {self.last!r} to {value!r}, which it must never "
                "do; please report this with the data."
            )
        self.last = value


def run_em(
    bounds: Bounds,
    start: Point,
    *,
    max_iter: int,
    tol: float,
    ridge: Array | None = None,
    accelerate: bool = True,
    avoid_collapse: bool = True,
    give_up: bool = False,
) -> EMRun:
    """Run EM from ``start`` on the data of a density.

    Parameters
    ----------
    bounds : Bounds
        Of a density with ``jacobian=False``; its prior decides between likelihood and mode.
    tol : float
        Plain EM stops where an iteration raises the objective by less than
        ``tol`` per row.
    ridge : array (D,), optional
        Added to the variances, standardised; EM is then no longer monotone.
    accelerate : bool
        Hand over to the quasi-Newton climb once EM slows down.
    avoid_collapse : bool
        Mark a run that is not sound as one to be ranked last.
    give_up : bool
        Stop where the run is not sound after the iterations of a short run.
    """
    density = bounds.density
    n = density.observations.total_weight
    prior, no_ridge = density.prior, ridge is None
    ridge = np.zeros(density.observations.n_features) if ridge is None else ridge
    point = start
    if not prior.active and no_ridge:
        raised = raised_to_floor(point.factors, density.structure, bounds.floor)
        point = point._replace(factors=raised)
    give_up = give_up and no_ridge  # a ridge has bounds of its own
    floor = bounds.floor if no_ridge else np.full_like(bounds.floor, FLOOR)
    trace: list[float] = []
    monotone = _Monotone(n * len(ridge))
    status = Status.ITERATION_LIMIT
    climbs = 0
    statistics, form = density.statistics(point)
    for _ in range(max_iter):
        objective = _objective(density, point, form, statistics)
        if no_ridge:
            monotone.see(objective)
        trace.append(objective)
        gain = (objective - trace[-2]) / n if len(trace) > 1 else np.inf
        if give_up and len(trace) % SHORT == 0 and not bounds.judge(point).sound:
            break
        slow = gain < (max(tol, 1e-5) if climbs == 0 else tol)
        if accelerate and no_ridge and slow and climbs < 4 and len(trace) >= SHORT:
            climbs += 1
            if not bounds.collapsed(point):
                top, value, slope = ascend(density, point, max_iter=500)
                if value >= objective and not bounds.collapsed(top):
                    point = top
                    statistics, form = density.statistics(point)
                    if slope < _SLOPE * max(1.0, 1e-4 * np.sqrt(n)):
                        status = Status.CONVERGED
                        trace.append(value)
                        break
                    continue
        if prior.active and bounds.collapsed(point):
            break  # to a scale or a matrix that its prior lets vanish, and nothing is to be found
        still_to_climb = accelerate and no_ridge and climbs == 0
        if not still_to_climb and abs(gain) < tol:
            status = Status.CONVERGED
            break
        point = m_step(statistics, form, prior, ridge, floor, point)
        statistics, form = density.statistics(point)
    objective = _objective(density, point, form, statistics)
    soundness = bounds.judge(point) if no_ridge else Soundness((), ())
    if soundness.collapsed:
        status = Status.DEGENERATE
    elif soundness.spurious and status is Status.CONVERGED:
        status = Status.SPURIOUS
    return EMRun(
        point, objective, statistics.log_likelihood - density.log_unit,
        len(trace), status, tuple(trace), soundness, avoid_collapse and not soundness.sound,
    )  # fmt: skip


def _objective(
    density: LogPosterior, point: Point, form: PrecisionForm, statistics: SufficientStatistics
) -> float:
    value = statistics.log_likelihood - density.log_unit
    if density.prior.active:
        value += density.log_prior_and_gradient(point, form, statistics)[0]
    return value
