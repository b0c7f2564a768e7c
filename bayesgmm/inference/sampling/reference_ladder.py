"""One ladder from Student t's about the modes to the posterior, in compiled code.

Where a straight jump to another mode is seldom accepted, the way there is taken in steps:
rung r holds a draw of t's^(1 - beta_r) x posterior^beta_r, from the t's at the foot to the
posterior at the top.  A scan draws the foot anew, moves every other rung by a trajectory,
and swaps neighbours, even pairs and odd pairs in turn (Surjanovic, Syed, Bouchard-Cote and
Campbell 2022, Parallel tempering with a variational reference, NeurIPS 35).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.target import evaluate
from bayesgmm.inference.sampling.jumping import Place, trajectory
from bayesgmm.inference.sampling.students import Students, log_students, match, pick, propose
from bayesgmm.inference.sampling.temperatures import swap_neighbours

Array = NDArray[np.float64]

_TRIES = 1000  # of a draw of the t's in their own labelling


@njit(**COMPILED)
def _scan(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target,
    students,
    betas,
    log_steps,
    adapting,
    rng,
    done,
    states,
    scores,
    now,
    then,
    tops,
    top_values,
    diverging,
    rejected,
    replicas,
    lately,
    trips,
):
    """Run ``len(tops)`` scans; arrays are updated in place."""
    rungs, size = states.shape
    d = target.rows.center.size
    slope, here = np.empty(size), np.empty(1)
    u, momentum = np.empty(size), np.empty(size)
    ratios, values = scores[0], scores[1]  # log density less that of the t's, and by itself
    for t in range(len(tops)):
        for _ in range(_TRIES):
            m = pick(students.shares, rng)
            propose(m, students, u, rng, now.theta)
            if match(
                now.theta,
                students.centers[m],
                students.precisions[m],
                students.groups,
                target.basis,
                d,
                target.each,
                now.matched[m],
            ):
                states[0] = now.theta
                values[0] = evaluate(target, now.theta, slope, here)
                if np.isnan(values[0]):
                    values[0] = -np.inf  # no swap takes it up
                break
        rate = 1.0 / (10.0 + done + t) ** 0.6 if adapting else 0.0
        for r in range(rungs):
            now.theta[:] = states[r]
            proposed = log_students(
                now.theta, students, target.basis, d, target.each, now.matched, now.logs
            )
            diverged = False
            if r > 0:
                values[r], proposed, diverged = trajectory(
                    target,
                    students,
                    betas[r],
                    log_steps[r],
                    rate,
                    rng,
                    now,
                    then,
                    values[r],
                    proposed,
                    slope,
                    here,
                    u,
                    momentum,
                )
                states[r] = now.theta
            ratios[r] = values[r] - proposed if np.isfinite(values[r]) else -1e300
            diverging[t] = diverged  # of the top, which is the last
        swap_neighbours(done + t, betas, scores, states, replicas, lately, rejected, trips, rng)
        tops[t] = states[rungs - 1]
        top_values[t] = values[rungs - 1]


class Scans(NamedTuple):
    """What some scans of a ladder gave."""

    draws: Array  # (scan, P) states of the top rung
    values: Array  # (scan,) log density there
    diverging: NDArray[np.bool_]  # (scan,)
    rejected: Array  # (rung - 1,) mean rejection of swaps
    trips: int  # from the foot to the top and back


class ReferenceLadder:
    """A ladder's state between its scans."""

    def __init__(
        self,
        density: LogPosterior,
        students: Students,
        betas: Array,
        states: Array,
        log_steps: Array,
        rng: np.random.Generator,
    ) -> None:
        self.density, self.students, self.betas, self.rng = density, students, betas, rng
        self.states = np.ascontiguousarray(states)  # (rung, P)
        self.scores = np.zeros((2, len(betas)))
        self.scores[1] = density.values(self.states) + density.log_jacobian
        self.log_steps = log_steps.copy()  # (rung, M)
        self.done = 0
        self._replicas = np.arange(len(betas))
        self._lately = np.zeros(len(betas), dtype=np.int64)

    def scan(self, n: int, *, adapting: bool) -> Scans:
        """Make ``n`` scans."""
        rungs, size = self.states.shape
        tops, values = np.empty((n, size)), np.empty(n)
        diverging, rejected = np.zeros(n, dtype=np.bool_), np.zeros(rungs - 1)
        trips = np.zeros(1, dtype=np.int64)
        _scan(
            self.density.target,
            self.students,
            self.betas,
            self.log_steps,
            adapting,
            self.rng,
            self.done,
            self.states,
            self.scores,
            Place.empty(self.students),
            Place.empty(self.students),
            tops,
            values,
            diverging,
            rejected,
            self._replicas,
            self._lately,
            trips,
        )
        self.done += n
        return Scans(
            tops, values - self.density.log_jacobian, diverging, rejected / n, int(trips[0])
        )

    def climbed(
        self, students: Students, betas: Array, places: NDArray[np.int64], log_steps: Array
    ) -> ReferenceLadder:
        """A ladder at other temperatures, from the states at ``places`` of this one."""
        return ReferenceLadder(
            self.density, students, betas, self.states[places], log_steps, self.rng
        )
