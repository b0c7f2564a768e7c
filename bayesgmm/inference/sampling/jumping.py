"""A chain that jumps between modes, in compiled code.

A draw is a trajectory of Hamiltonian Monte Carlo in the whitened coordinates of one mode,
chosen by its density here, and then proposals that do not depend on where the chain is, from
Student t's about all modes.  Both leave the posterior as it is whatever the t's are; how good
they are decides only how often a chain jumps.

A proposal whose components match its own mode in another order belongs to another labelling,
and is refused.  docs/mathematics.md derives the balance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, SUMMING
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.target import evaluate
from bayesgmm.inference.sampling.students import Students, log_students, match, pick, propose

Array = NDArray[np.float64]

_TARGET = 0.85  # acceptance of a trajectory
_LONGEST = 10  # leapfrog steps of a trajectory
MEAN_LENGTH = 0.5 * (1 + _LONGEST)


class Place(NamedTuple):
    """Where a chain is: theta, its likeness to each mode, and arrays to work in."""

    theta: Array  # (P,)
    matched: Array  # (M, P) in the labelling of each mode
    logs: Array  # (M,) log share times density of each t

    @classmethod
    def empty(cls, students: Students) -> Place:
        """Anywhere."""
        n_modes, size = students.centers.shape
        return cls(np.empty(size), np.empty((n_modes, size)), np.empty(n_modes))


@njit(**SUMMING)
def _push(momentum, step, beta, root, slope, u, degrees):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A step of the momentum by the slopes of posterior and t, in whitened coordinates."""
    for j in range(len(u)):
        s = 0.0
        for i in range(j, len(u)):
            s += root[i, j] * slope[i]
        pull = (degrees + 1.0) * u[j] / (degrees + u[j] * u[j])
        momentum[j] += step * (beta * s - (1.0 - beta) * pull)


@njit(**SUMMING)
def trajectory(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target,
    students,
    beta,
    log_steps,
    rate,
    rng,
    now,
    then,
    value,
    proposed,
    slope,
    here,
    u,
    momentum,
):
    """Move ``now`` by a trajectory on t's^(1 - beta) x posterior^beta.

    Returns the log density of posterior and of t's there, and whether it diverged;
    ``log_steps`` (M,) learn at ``rate``.
    """
    size, d = len(u), target.rows.center.size
    # In the whitened coordinates u of a mode that is chosen by its share of the t's here.
    m = pick(np.exp(now.logs - proposed), rng)
    center, root, place = students.centers[m], students.roots[m], then.theta
    for i in range(size):
        place[i] = now.matched[m, i]
    for i in range(size):
        u[i] = 0.0
        for j in range(i + 1):
            u[i] += students.inverses[m, i, j] * (place[j] - center[j])
    evaluate(target, place, slope, here)
    energy = -(beta * value + (1.0 - beta) * proposed)
    for i in range(size):
        momentum[i] = rng.standard_normal()
        energy += 0.5 * momentum[i] * momentum[i]
    step = np.exp(log_steps[m]) * (0.7 + 0.6 * rng.random())
    new = value
    for leap in range(1 + int(rng.random() * _LONGEST)):
        half = 0.5 if leap == 0 else 1.0
        _push(momentum, half * step, beta, root, slope, u, students.degrees)
        for i in range(size):
            u[i] += step * momentum[i]
        for i in range(size):
            place[i] = center[i]
            for j in range(i + 1):
                place[i] += root[i, j] * u[j]
        new = evaluate(target, place, slope, here)
        if not np.isfinite(new):
            break
    after, there, chance = np.inf, proposed, 0.0
    if np.isfinite(new):
        _push(momentum, 0.5 * step, beta, root, slope, u, students.degrees)
        there = log_students(place, students, target.basis, d, target.each, then.matched, then.logs)
        after = -(beta * new + (1.0 - beta) * there)
        for i in range(size):
            after += 0.5 * momentum[i] * momentum[i]
    if np.isfinite(after):
        # The way back starts here only if components still match the mode's as they are.
        same = True
        for i in range(size):
            same = same and then.matched[m, i] == place[i]
        if same:
            chosen = (then.logs[m] - there) - (now.logs[m] - proposed)
            chance = np.exp(min(0.0, energy - after + chosen))
    log_steps[m] += rate * (chance - _TARGET)
    diverged = not energy - after > -1000.0
    if rng.random() < chance:
        _settle(now, then)
        return new, there, diverged
    return value, proposed, diverged


@njit(**COMPILED)
def _settle(now, then):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    now.theta[:] = then.theta
    now.matched[:] = then.matched
    now.logs[:] = then.logs


@njit(**COMPILED)
def _chain(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target, students, log_steps, adapting, jumps, rng, now, then, draws, values, diverging, counts
):
    """Fill ``draws``; ``counts`` becomes the jumps tried and made."""
    size, d = len(now.theta), target.rows.center.size
    slope, here = np.empty(size), np.empty(1)
    u, momentum = np.empty(size), np.empty(size)
    value = evaluate(target, now.theta, slope, here)
    if np.isnan(value):
        value = -np.inf  # a bad start is left for the first place that is better
    proposed = log_students(
        now.theta, students, target.basis, d, target.each, now.matched, now.logs
    )
    for t in range(len(draws)):
        rate = 1.0 / (10.0 + t) ** 0.6 if adapting else 0.0
        value, proposed, diverging[t] = trajectory(
            target,
            students,
            1.0,
            log_steps,
            rate,
            rng,
            now,
            then,
            value,
            proposed,
            slope,
            here,
            u,
            momentum,
        )
        for _ in range(jumps):
            m = pick(students.shares, rng)
            propose(m, students, u, rng, then.theta)
            counts[0] += 1
            if not match(
                then.theta,
                students.centers[m],
                students.precisions[m],
                students.groups,
                target.basis,
                d,
                target.each,
                then.matched[m],
            ):
                continue
            new = evaluate(target, then.theta, slope, here)
            if not np.isfinite(new):
                continue
            there = log_students(
                then.theta, students, target.basis, d, target.each, then.matched, then.logs
            )
            if rng.random() < np.exp(min(0.0, new - value - there + proposed)):
                counts[1] += 1
                value, proposed = new, there
                _settle(now, then)
        draws[t] = now.theta
        values[t] = value


class Jumper(NamedTuple):
    """What a chain drew."""

    draws: Array  # (draw, P)
    values: Array  # (draw,) log density
    jumped: float  # share of the proposals of modes
    diverging: NDArray[np.bool_]  # (draw,)


def run_jumper(
    density: LogPosterior,
    students: Students,
    log_steps: Array,
    theta: Array,
    n: int,
    *,
    jumps: int,
    adapting: bool,
    rng: np.random.Generator,
) -> Jumper:
    """A chain of ``n`` draws from ``theta``; ``log_steps`` (M,) are tuned where adapting."""
    draws, values = np.empty((n, density.size)), np.empty(n)
    diverging = np.zeros(n, dtype=np.bool_)
    counts = np.zeros(2)
    now = Place.empty(students)
    now.theta[:] = theta
    _chain(
        density.target,
        students,
        log_steps,
        adapting,
        jumps,
        rng,
        now,
        Place.empty(students),
        draws,
        values,
        diverging,
        counts,
    )
    return Jumper(draws, values - density.log_jacobian, counts[1] / max(counts[0], 1.0), diverging)
