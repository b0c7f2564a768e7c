"""EM for maximum likelihood, and generalised EM for the posterior mode.

One run, from one start; ``search`` makes many.  Every run is monotone, which is
asserted.  Where EM slows down, a quasi-Newton climb on the same statistics
(``lbfgs``) takes over.  Iterations over few rows are one compiled call, since a pass over
them takes less time than a call from Python.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.density.log_posterior import Evaluation, LogPosterior
from bayesgmm.density.target import call_log_posterior_of_point
from bayesgmm.errors import FitError
from bayesgmm.expectation.point import Point
from bayesgmm.inference.maximum.floor import FLOOR, raise_to_floor, raised_to_floor
from bayesgmm.inference.maximum.lbfgs import ascend
from bayesgmm.inference.maximum.m_step import call_update, m_step, update_address
from bayesgmm.inference.maximum.soundness import Bounds, Soundness
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.result.status import Status

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
    trace: tuple[float, ...]  # objective at the start, and after each iteration
    soundness: Soundness
    rank_last: bool  # not sound, where a sound run is wanted first
    tightness: float = 0.0  # of one that is not, beside others that are not

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Sorts the better first; a run that is not sound after every one that is.

        Of these the higher is the tighter, without end, and so the less tight comes first.
        """
        return self.rank_last, self.tightness, -self.objective

    @property
    def place(self) -> tuple[tuple[float, ...], ...]:
        """The means in order, to six digits: what tells one of two mirror images."""
        return tuple(sorted(tuple(np.round(mean, 6) + 0.0) for mean in self.point.means))

    def parameters(self, density: LogPosterior) -> MixtureParameters:
        """In the data's units."""
        return density.mixture(self.point)


def _check_monotone(values: list[float], size: float) -> None:
    """Raise if an objective that must not fall does, beyond rounding."""
    for before, value in pairwise(values):
        if not np.isfinite(value):
            raise FitError("EM reached a log-likelihood that is not finite; rescale the data.")
        # Rounding: of the sum, and of the log determinant of a covariance on the floor,
        # whose smallest eigenvalue is known to D eps / FLOOR, about 2e-8 D, per row.
        if value < before - 1e-9 * abs(before) - 2e-8 * size:
            raise FitError(
                f"EM lowered its objective from {before!r} to {value!r}, which it must never "
                "do; please report this with the data."
            )


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
    here: Evaluation | None = None,
    root: Array | None = None,
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
    here : Evaluation, optional
        The density at ``start``, where it is known.
    root : array (P, P), optional
        Climb at once, from near the top, where this makes the density round.
    """
    density = bounds.density
    n = density.rows.total_weight
    prior, no_ridge = density.prior, ridge is None
    ridge = np.zeros(density.observations.n_features) if ridge is None else ridge
    point = start
    if not prior.active and no_ridge:
        raised = raised_to_floor(point.factors, density.structure, bounds.floor)
        if not np.array_equal(raised, point.factors):
            point, here = point._replace(factors=raised), None
    give_up = give_up and no_ridge  # a ridge has bounds of its own
    floor = bounds.floor if no_ridge else np.full_like(bounds.floor, FLOOR)
    status = Status.ITERATION_LIMIT
    climbs, steps = 0, min(100 + 10 * density.size, 500)
    here = density.at(point) if here is None else here
    trace = [here.value]
    _check_monotone([-np.inf, here.value], n * len(ridge))
    while True:
        gain = (trace[-1] - trace[-2]) / n if len(trace) > 1 else np.inf
        if give_up and len(trace) % SHORT == 0 and not bounds.judge(point).sound:
            break
        still_to_climb = accelerate and no_ridge and climbs == 0
        level = max(tol, 1e-5) if still_to_climb else tol
        slow = gain < level and climbs < 4 and len(trace) >= SHORT
        if accelerate and no_ridge and (slow or root is not None):
            climbs += 1
            begin, root = root, None
            if not bounds.collapsed(point):
                top, value, slope = ascend(density, point, max_iter=steps, here=here, root=begin)
                if value >= trace[-1] and not bounds.collapsed(top):
                    point, here = top, density.at(top)
                    trace.append(here.value)
                    if slope < _SLOPE * max(1.0, 1e-4 * np.sqrt(n)):
                        status = Status.CONVERGED
                        break
                    continue
        elif not still_to_climb and abs(gain) < tol:
            status = Status.CONVERGED
            break
        if prior.active and bounds.collapsed(point):
            break  # to a scale or a matrix that its prior lets vanish, and nothing is to be found
        if len(trace) > max_iter:
            break
        at_most = min(SHORT - len(trace) % SHORT, max_iter + 1 - len(trace))
        least = -np.inf if still_to_climb and len(trace) < SHORT else level * n
        point, here, values = _iterate(bounds, point, here, ridge, floor, at_most, least)
        trace += values
        if no_ridge:
            _check_monotone(trace[-len(values) - 1 :], n * len(ridge))
    soundness = bounds.judge(point) if no_ridge else Soundness((), ())
    rank_last = avoid_collapse and not soundness.sound
    if soundness.collapsed:
        status = Status.DEGENERATE
    elif soundness.spurious and status is Status.CONVERGED:
        status = Status.SPURIOUS
    return EMRun(
        point,
        here.value,
        here.statistics.log_likelihood - density.log_jacobian,
        len(trace) - 1,
        status,
        tuple(trace),
        soundness,
        rank_last,
        bounds.tightness(point) if rank_last else 0.0,
    )


def _iterate(
    bounds: Bounds, point: Point, here: Evaluation, ridge: Array, floor: Array, n: int, least: float
) -> tuple[Point, Evaluation, list[float]]:
    """Up to ``n`` iterations, until one raises the objective by less than ``least``.

    Returns where to, the density there, and the objective after each.
    """
    density = bounds.density
    if not density.few_rows:
        point = m_step(here.statistics, here.form, density.prior, ridge, floor, point)
        here = density.at(point)
        return point, here, [here.value]
    point, (_, gradient, statistics, form) = point.copy(), here
    values, outside = np.empty(n + 1), np.full(point.factors.shape, np.nan)
    values[0], likelihood = here.value + density.log_jacobian, np.array([statistics.log_likelihood])
    done = _steps(
        update_address(),
        density.target,
        ridge,
        floor,
        least,
        point,
        form,
        statistics.totals,
        gradient,
        likelihood,
        outside,
        values,
    )
    trace = (values[1:done] - density.log_jacobian).tolist()
    if done <= n and not np.isnan(outside).all():
        raise_to_floor(point, outside, floor)
        here = density.at(point)
        return point, here, [*trace, here.value]
    statistics = replace(statistics, log_likelihood=float(likelihood[0]))
    return point, Evaluation(trace[-1], gradient, statistics, form), trace


@njit(**COMPILED)
def _steps(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    update_at,
    target,
    ridge,
    floor,
    least,
    point,
    form,
    totals,
    gradient,
    likelihood,
    outside,
    values,
):
    """EM in place, the objective of each place into ``values``, whose first is known.

    Returns how many are known then.  An M-step that leaves covariances in ``outside`` is the
    last, and not yet done.
    """
    for i in range(1, values.size):
        given = (totals, form, target.prior, ridge, floor, point, outside)
        if call_update(update_at, given) > 0.0:
            return i
        for part in (totals.counts.ravel(), totals.sums.ravel(), totals.scatters.ravel()):
            for j in range(part.size):
                part[j] = 0.0
        values[i] = call_log_posterior_of_point(
            target.point_at, (target, 1.0, point, form, totals, gradient, likelihood)
        )
        if values[i] - values[i - 1] < least:
            return i + 1
    return values.size
