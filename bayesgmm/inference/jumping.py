"""A chain that jumps between modes, in compiled code.

A draw is a trajectory of Hamiltonian Monte Carlo in the whitened coordinates of one mode,
chosen by its density here, and then proposals that do not depend on where the chain is, from
Student t's about all modes.  Both leave the posterior as it is whatever the t's are; how good
they are decides only how often a chain jumps.

Relabellings of a mode are one mode here: the components of a state are matched to those of
each mode before its t is asked.  A proposal whose components match its own mode in another
order belongs to another labelling, and is refused.  docs/mathematics.md derives the balance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.model.coordinates import factor_coordinates
from bayesgmm.model.density import (
    LogPosterior,
    call_log_posterior,
    log_posterior_address,
    log_prior_address,
)
from bayesgmm.model.statistics import accumulate_address

Array = NDArray[np.float64]

_TARGET = 0.85  # acceptance of a trajectory
_ROUNDING = 1e-9  # added to the diagonal of a correlation matrix
_LONGEST = 10  # leapfrog steps of a trajectory


@njit(nogil=True, cache=True, error_model="numpy")
def _assign(cost, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The least costly assignment of rows (K) to columns, by shortest augmenting paths."""
    k = len(cost)
    u, v = np.zeros(k + 1), np.zeros(k + 1)
    owner, way = np.zeros(k + 1, np.int64), np.zeros(k + 1, np.int64)
    for i in range(1, k + 1):
        owner[0] = i
        at = 0
        least, used = np.full(k + 1, np.inf), np.zeros(k + 1, np.bool_)
        while True:
            used[at] = True
            row, delta, nearest = owner[at], np.inf, 0
            for j in range(1, k + 1):
                if not used[j]:
                    reduced = cost[row - 1, j - 1] - u[row] - v[j]
                    if reduced < least[j]:
                        least[j] = reduced
                        way[j] = at
                    if least[j] < delta:
                        delta = least[j]
                        nearest = j
            for j in range(k + 1):
                if used[j]:
                    u[owner[j]] += delta
                    v[j] -= delta
                else:
                    least[j] -= delta
            at = nearest
            if owner[at] == 0:
                break
        while at != 0:
            before = way[at]
            owner[at] = owner[before]
            at = before
    for j in range(1, k + 1):
        columns[owner[j] - 1] = j - 1


@njit(nogil=True, cache=True, error_model="numpy")
def match(theta, center, sd, basis, d, each, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``theta`` with its components in the order of a mode's, into ``out``; whether it had it.

    Blocks of coordinates are compared in units of the mode's standard deviations.
    """
    k = basis.shape[0]
    cost, order = np.zeros((k, k)), np.empty(k, np.int64)
    factors = k - 1 + k * d
    for a in range(k):  # of the mode
        for b in range(k):  # of theta
            for i in range(d):
                p = k - 1 + a * d + i
                t = (theta[k - 1 + b * d + i] - center[p]) / sd[p]
                cost[a, b] += t * t
            for i in range(each):
                p = factors + a * each + i
                t = (theta[factors + b * each + i] - center[p]) / sd[p]
                cost[a, b] += t * t
            if not cost[a, b] < 1e300:
                cost[a, b] = 1e300  # with nothing but infinities there is no way through
    _assign(cost, order)
    same = True
    for a in range(k):
        same = same and order[a] == a
    for p in range(len(theta)):
        out[p] = theta[p]
    if same:
        return True
    for m in range(k - 1):
        out[m] = 0.0
    for a in range(k):
        b = order[a]
        for m in range(k - 1):
            ratio = 0.0
            for n in range(k - 1):
                ratio += basis[b, n] * theta[n]
            out[m] += basis[a, m] * ratio
        for i in range(d):
            out[k - 1 + a * d + i] = theta[k - 1 + b * d + i]
        for i in range(each):
            out[factors + a * each + i] = theta[factors + b * each + i]
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def _log_students(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    theta, centers, sds, inverses, constants, degrees, basis, d, each, matched, logs
):
    """Log share times density of every mode's t at the state; relabelled states by mode."""
    size = len(theta)
    largest = -np.inf
    for m in range(len(centers)):
        match(theta, centers[m], sds[m], basis, d, each, matched[m])
        square = 0.0
        for i in range(size):
            t = 0.0
            for j in range(i + 1):
                t += inverses[m, i, j] * (matched[m, j] - centers[m, j])
            square += t * t
        logs[m] = constants[m] - 0.5 * (degrees + size) * np.log1p(square / degrees)
        largest = max(largest, logs[m])
    total = 0.0
    for m in range(len(centers)):
        total += np.exp(logs[m] - largest)
    return largest + np.log(total)


@njit(nogil=True, cache=True, error_model="numpy")
def _pick(shares, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A mode by its share."""
    u = rng.random()
    for m in range(len(shares)):
        u -= shares[m]
        if u < 0.0:
            return m
    return len(shares) - 1


@njit(nogil=True, cache=True, error_model="numpy")
def _chain(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    posterior_at, pass_at, prior_at, x, center, inverse_scale, row_weights, basis, structure, k,
    prior, each, centers, sds, roots, inverses, constants, degrees, shares, log_steps, adapting,
    jumps, rng, theta, draws, values, diverging, counts,
):
    """Fill ``draws``; ``counts`` becomes the jumps tried and made."""
    size, d, n_modes = len(theta), x.shape[1], len(centers)
    slope, here = np.empty(size), np.empty(1)
    place, white, momentum = np.empty(size), np.empty(size), np.empty(size)
    matched, logs = np.empty((n_modes, size)), np.empty(n_modes)
    other_matched, other_logs = np.empty((n_modes, size)), np.empty(n_modes)
    value = call_log_posterior(
        posterior_at,
        (
            pass_at, prior_at, theta, x, center, inverse_scale, row_weights, basis, structure, k,
            prior, slope, here,
        ),
    )
    if np.isnan(value):
        value = -np.inf  # a bad start is left for the first place that is better
    proposed = _log_students(
        theta, centers, sds, inverses, constants, degrees, basis, d, each, matched, logs
    )
    for t in range(len(draws)):
        # A trajectory in the coordinates of a mode that is chosen by its share of the t's here.
        m = _pick(np.exp(logs - proposed), rng)
        for i in range(size):
            place[i] = matched[m, i]
        call_log_posterior(
            posterior_at,
            (
                pass_at, prior_at, place, x, center, inverse_scale, row_weights, basis, structure,
                k, prior, slope, here,
            ),
        )
        energy = -value
        for i in range(size):
            momentum[i] = rng.standard_normal()
            energy += 0.5 * momentum[i] * momentum[i]
        step = np.exp(log_steps[m]) * (0.7 + 0.6 * rng.random())
        length = 1 + int(rng.random() * _LONGEST)
        new = value
        for leap in range(length):
            for j in range(size):
                s = 0.0
                for i in range(j, size):
                    s += roots[m, i, j] * slope[i]
                momentum[j] += (0.5 if leap == 0 else 1.0) * step * s
            for i in range(size):
                s = 0.0
                for j in range(i + 1):
                    s += roots[m, i, j] * momentum[j]
                place[i] += step * s
            new = call_log_posterior(
                posterior_at,
                (
                    pass_at, prior_at, place, x, center, inverse_scale, row_weights, basis,
                    structure, k, prior, slope, here,
                ),
            )
            if not np.isfinite(new):
                break
        after = np.inf
        if np.isfinite(new):
            after = -new
            for j in range(size):
                s = 0.0
                for i in range(j, size):
                    s += roots[m, i, j] * slope[i]
                momentum[j] += 0.5 * step * s
                after += 0.5 * momentum[j] * momentum[j]
        chance = 0.0
        if np.isfinite(after):
            there = _log_students(
                place, centers, sds, inverses, constants, degrees, basis, d, each,
                other_matched, other_logs,
            )
            # The way back starts here only if components still match the mode's as they are.
            same = True
            for i in range(size):
                same = same and other_matched[m, i] == place[i]
            if same:
                chosen = (other_logs[m] - there) - (logs[m] - proposed)
                chance = np.exp(min(0.0, energy - after + chosen))
        diverging[t] = not energy - after > -1000.0
        if rng.random() < chance:
            theta[:] = place
            value, proposed = new, there
            matched[:] = other_matched
            logs[:] = other_logs
        if adapting:
            log_steps[m] += (chance - _TARGET) / (10.0 + t) ** 0.6
        for _ in range(jumps):
            m = _pick(shares, rng)
            for i in range(size):
                white[i] = rng.standard_normal()
            chi = 2.0 * rng.standard_gamma(0.5 * degrees)
            widen = np.sqrt(degrees / chi)
            for i in range(size):
                s = 0.0
                for j in range(i + 1):
                    s += roots[m, i, j] * white[j]
                place[i] = centers[m, i] + widen * s
            counts[0] += 1
            if not match(place, centers[m], sds[m], basis, d, each, other_matched[m]):
                continue
            new = call_log_posterior(
                posterior_at,
                (
                    pass_at, prior_at, place, x, center, inverse_scale, row_weights, basis,
                    structure, k, prior, slope, here,
                ),
            )
            if not np.isfinite(new):
                continue
            there = _log_students(
                place, centers, sds, inverses, constants, degrees, basis, d, each,
                other_matched, other_logs,
            )
            if rng.random() < np.exp(min(0.0, new - value - there + proposed)):
                counts[1] += 1
                theta[:] = place
                value, proposed = new, there
                matched[:] = other_matched
                logs[:] = other_logs
        draws[t] = theta
        values[t] = value


class Students(NamedTuple):
    """Student t's about modes, and the whitening of each."""

    centers: Array  # (M, P)
    sds: Array  # (M, P)
    roots: Array  # (M, P, P) lower Cholesky factors of the scatter
    inverses: Array  # (M, P, P)
    constants: Array  # (M,) log share and the t's constant
    shares: Array  # (M,)
    degrees: float

    @classmethod
    def of(cls, centers: Array, covariances: Array, shares: Array) -> Students:
        """About ``centers`` with these covariances of the posterior there."""
        from scipy.special import gammaln

        p = centers.shape[1]
        degrees = max(8.0, float(p))  # a t's radius varies the more the lower they are
        sds = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        # In units of the standard deviations, and a little more than singular: where scales are
        # far apart rounding would leave no factor, and a t need not be exact.
        correlations = covariances / (sds[:, :, None] * sds[:, None, :])
        roots = sds[:, :, None] * np.linalg.cholesky(correlations + _ROUNDING * np.eye(p))
        log_volume = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        constant = gammaln(0.5 * (degrees + p)) - gammaln(0.5 * degrees)
        constant -= 0.5 * p * np.log(degrees * np.pi)
        return cls(
            np.ascontiguousarray(centers),
            sds,
            roots,
            np.ascontiguousarray(np.linalg.inv(roots)),
            np.log(shares) + constant - log_volume,
            shares,
            degrees,
        )

    def shared(self, shares: Array) -> Students:
        """The same with other shares."""
        constants = self.constants - np.log(self.shares) + np.log(shares)
        return self._replace(constants=constants, shares=shares)

    def simulate(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """``n`` draws (n, P) of the first, and its log density there."""
        p = self.centers.shape[1]
        z = rng.standard_normal((n, p))
        z /= np.sqrt(rng.chisquare(self.degrees, (n, 1)) / self.degrees)
        square = (z**2).sum(axis=1)
        log_t = self.constants[0] - 0.5 * (self.degrees + p) * np.log1p(square / self.degrees)
        return self.centers[0] + z @ self.roots[0].T, log_t

    def only(self, m: int) -> Students:
        """One of them alone."""
        rows = slice(m, m + 1)
        return Students(
            self.centers[rows], self.sds[rows], self.roots[rows], self.inverses[rows],
            self.constants[rows] - np.log(self.shares[rows]), np.ones(1), self.degrees,
        )  # fmt: skip


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
    rows, d = density.rows, density.observations.n_features
    draws, values = np.empty((n, density.size)), np.empty(n)
    diverging = np.zeros(n, dtype=np.bool_)
    counts = np.zeros(2)
    _chain(
        log_posterior_address(), accumulate_address(), log_prior_address(), rows.values,
        rows.center, rows.inverse_scale, rows.row_weights, density.basis, density.structure,
        density.spec.n_components, density.prior, factor_coordinates(density.spec.covariance, d),
        students.centers, students.sds, students.roots, students.inverses, students.constants,
        students.degrees, students.shares, log_steps, adapting, jumps, rng, theta.copy(), draws,
        values, diverging, counts,
    )  # fmt: skip
    return Jumper(
        draws, values - density.log_unit, counts[1] / max(counts[0], 1.0), diverging
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _nearest(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    theta, centers, sds, inverses, constants, degrees, basis, d, each, found, moved
):
    matched, logs = np.empty((len(centers), theta.shape[1])), np.empty(len(centers))
    for s in range(len(theta)):
        _log_students(
            theta[s], centers, sds, inverses, constants, degrees, basis, d, each, matched, logs
        )
        found[s] = np.argmax(logs)
        moved[s] = matched[found[s]]


def nearest_modes(
    density: LogPosterior, students: Students, theta: Array
) -> tuple[NDArray[np.int64], Array]:
    """The mode whose t is highest at each theta (..., P), and theta in its labelling."""
    flat = np.ascontiguousarray(theta.reshape(-1, theta.shape[-1]))
    found, moved = np.empty(len(flat), dtype=np.int64), np.empty_like(flat)
    d = density.observations.n_features
    _nearest(
        flat, students.centers, students.sds, students.inverses, students.constants,
        students.degrees, density.basis, d, factor_coordinates(density.spec.covariance, d), found,
        moved,
    )  # fmt: skip
    return found.reshape(theta.shape[:-1]), moved.reshape(theta.shape)
