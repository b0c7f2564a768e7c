"""One ladder of tempered posteriors, in compiled code: the rungs' moves and their swaps.

Rung r holds a draw of prior x likelihood^beta_r, from the prior at the foot to the posterior
at the top.  A scan refreshes the foot from the prior, moves every other rung by one
trajectory of Hamiltonian Monte Carlo, and swaps neighbours, even pairs and odd pairs in
turn: without that choice being random, what is new at the foot travels up in a straight
line (Syed, Bouchard-Cote, Deligiannidis and Doucet 2022, Non-reversible parallel tempering,
JRSS B 84).  Every labelling is as likely as every other at the foot, and so no mode and no
labelling is out of reach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.target import call_log_posterior
from bayesgmm.inference.sampling.temperatures import swap_neighbours

Array = NDArray[np.float64]

_TARGET = 0.8  # acceptance of a trajectory
LEAPFROGS = 5  # of a trajectory


@njit(**COMPILED)
def _scan(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target,
    betas,
    widths,
    log_steps,
    adapting,
    rng,
    done,
    fresh,
    states,
    likelihoods,
    tops,
    traces,
    log_squares,
    rejected,
    replicas,
    lately,
    trips,
):
    """Run ``len(fresh)`` scans; arrays are updated in place."""
    rungs, size = states.shape
    theta, slope = np.empty(size), np.empty(size)
    momentum, here = np.empty(size), np.empty(1)
    for t in range(len(fresh)):
        for r in range(rungs):
            if r == 0:
                states[0] = fresh[t]
            theta[:] = states[r]
            value = call_log_posterior(target.posterior_at, (target, betas[r], theta, slope, here))
            likelihoods[r] = here[0] if np.isfinite(here[0]) else -1e300
            if r == 0:
                continue  # an exact draw of the prior is taken as it is
            for i in range(size):
                square = slope[i] * slope[i] + 1e-12
                log_squares[r, i] += np.log(square) if np.isfinite(square) else 0.0
            step = np.exp(log_steps[r]) * (0.5 + rng.random())
            energy = -value
            for i in range(size):
                momentum[i] = rng.standard_normal()
                energy += 0.5 * momentum[i] * momentum[i]
            for _ in range(LEAPFROGS):
                for i in range(size):
                    momentum[i] += 0.5 * step * widths[r, i] * slope[i]
                    theta[i] += step * widths[r, i] * momentum[i]
                value = call_log_posterior(
                    target.posterior_at, (target, betas[r], theta, slope, here)
                )
                if not np.isfinite(value):
                    break
                for i in range(size):
                    momentum[i] += 0.5 * step * widths[r, i] * slope[i]
            after = -value
            for i in range(size):
                after += 0.5 * momentum[i] * momentum[i]
            chance = 0.0
            if np.isfinite(after) and not np.isnan(energy):
                chance = np.exp(min(0.0, energy - after))
            if rng.random() < chance:
                for i in range(size):
                    states[r, i] = theta[i]
                likelihoods[r] = here[0]
            if adapting:
                rate = 1.0 / (10.0 + done + t) ** 0.6
                log_steps[r] += rate * (chance - _TARGET)
        swap_neighbours(
            done + t,
            betas,
            likelihoods.reshape(1, rungs),
            states,
            replicas,
            lately,
            rejected,
            trips,
            rng,
        )
        tops[t] = states[rungs - 1]
        traces[t] = likelihoods


class Scans(NamedTuple):
    """What some scans of a ladder gave."""

    tops: Array  # (scan, P) states of the top rung
    traces: Array  # (scan, rung) log-likelihoods, standardised scale
    log_squares: Array  # (rung, P) sums of log squared slopes
    rejected: Array  # (rung - 1,) mean rejection of swaps
    trips: int  # from the foot to the top and back


class Ladder:
    """A ladder's state between its scans."""

    def __init__(self, density: LogPosterior, betas: Array, states: Array, seed: int) -> None:
        self.density = density
        self.betas = betas
        self.states = np.ascontiguousarray(states)  # (rung, P)
        self.likelihoods = np.full(len(betas), -1e300)
        self.widths = np.ones_like(self.states)
        self.log_steps = np.full(len(betas), -1.5)
        self.rng = np.random.default_rng(seed)
        self.done = 0
        self._replicas = np.arange(len(betas))
        self._lately = np.zeros(len(betas), dtype=np.int64)

    def scan(self, fresh: Array, *, adapting: bool) -> Scans:
        """As many scans as ``fresh`` (scan, P) has draws of the prior."""
        rungs, size = self.states.shape
        n = len(fresh)
        tops, traces = np.empty((n, size)), np.empty((n, rungs))
        log_squares = np.zeros((rungs, size))
        rejected = np.zeros(rungs - 1)
        trips = np.zeros(1, dtype=np.int64)
        _scan(
            self.density.target,
            self.betas,
            self.widths,
            self.log_steps,
            adapting,
            self.rng,
            self.done,
            fresh,
            self.states,
            self.likelihoods,
            tops,
            traces,
            log_squares,
            rejected,
            self._replicas,
            self._lately,
            trips,
        )
        self.done += n
        return Scans(tops, traces, log_squares, rejected / n, int(trips[0]))

    def climbed(
        self, betas: Array, places: NDArray[np.int64], widths: Array, log_steps: Array
    ) -> Ladder:
        """The ladder at other temperatures, from the states at ``places`` of this one."""
        other = Ladder(self.density, betas, self.states[places], 0)
        other.rng, other.widths, other.log_steps = self.rng, widths, log_steps.copy()
        return other
