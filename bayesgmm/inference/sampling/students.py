"""Student t's about the modes of a posterior, on orbits of relabelling.

Relabellings of a mode are one mode here: the components of a state are matched to those of
each mode before its t is asked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, SUMMING
from bayesgmm.density.log_posterior import LogPosterior

Array = NDArray[np.float64]

_ROUNDING = 1e-9  # added to the diagonal of a correlation matrix
_DEGREES = 8.0
_NARROWER = 0.9  # the scale of such a t that is nearest to a standard normal


@njit(**COMPILED)
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


@njit(**COMPILED)
def match(theta, center, precision, groups, basis, d, each, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``theta`` with its components in the order of a mode's, into ``out``; whether it had it.

    Blocks of coordinates are compared in the mode's standard deviations, one over ``precision``;
    only components of one group may be exchanged.
    """
    k, classes = groups.size, basis.shape[0]
    cost, order = np.zeros((k, k)), np.empty(k, np.int64)
    means = classes - 1
    factors = means + k * d
    for a in range(k):  # of the mode
        for b in range(k):  # of theta
            for i in range(d):
                p = means + a * d + i
                t = (theta[means + b * d + i] - center[p]) * precision[p]
                cost[a, b] += t * t
            for i in range(each):
                p = factors + a * each + i
                t = (theta[factors + b * each + i] - center[p]) * precision[p]
                cost[a, b] += t * t
            # With nothing but infinities there is no way through.
            if groups[a] != groups[b] or not cost[a, b] < 1e290:
                cost[a, b] = 1e300 if groups[a] != groups[b] else 1e290
    _assign(cost, order)
    same = True
    for a in range(k):
        same = same and order[a] == a
    for p in range(len(theta)):
        out[p] = theta[p]
    if same:
        return True
    for m in range(means):
        out[m] = 0.0
    for a in range(classes):
        b = order[a] if a < k else a
        for m in range(means):
            ratio = 0.0
            for n in range(means):
                ratio += basis[b, n] * theta[n]
            out[m] += basis[a, m] * ratio
    for a in range(k):
        b = order[a]
        for i in range(d):
            out[means + a * d + i] = theta[means + b * d + i]
        for i in range(each):
            out[factors + a * each + i] = theta[factors + b * each + i]
    return False


@njit(**SUMMING)
def log_students(theta, students, basis, d, each, matched, logs):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log share times density of every mode's t at the state; relabelled states by mode."""
    size, degrees = len(theta), students.degrees
    power = 0.5 * (degrees + 1.0)
    largest = -np.inf
    for m in range(len(students.centers)):
        match(
            theta,
            students.centers[m],
            students.precisions[m],
            students.groups,
            basis,
            d,
            each,
            matched[m],
        )
        logs[m] = students.constants[m]
        product = 1.0
        for i in range(size):
            t = 0.0
            for j in range(i + 1):
                t += students.inverses[m, i, j] * (matched[m, j] - students.centers[m, j])
            product *= 1.0 + t * t / degrees
            if product > 1e250:  # few logarithms in place of many
                logs[m] -= power * np.log(product)
                product = 1.0
        logs[m] -= power * np.log(product)
        largest = max(largest, logs[m])
    total = 0.0
    for m in range(len(logs)):
        total += np.exp(logs[m] - largest)
    return largest + np.log(total)


@njit(**COMPILED)
def pick(shares, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A mode by its share."""
    u = rng.random()
    for m in range(len(shares)):
        u -= shares[m]
        if u < 0.0:
            return m
    return len(shares) - 1


@njit(**SUMMING)
def propose(m, students, white, rng, place):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """A draw of one mode's t into ``place``."""
    size = len(place)
    for i in range(size):
        white[i] = rng.standard_t(students.degrees)
        place[i] = students.centers[m, i]
        for j in range(i + 1):
            place[i] += students.roots[m, i, j] * white[j]


class Students(NamedTuple):
    """Student t's about modes: one in each whitened direction, independent.

    A posterior is far from its mode in some directions at a time (a component of few rows, all
    others in place).  A multivariate t holds such places for as improbable as a normal does, the
    more the more directions there are; this one does not.
    """

    centers: Array  # (M, P)
    precisions: Array  # (M, P) one over standard deviations
    roots: Array  # (M, P, P) lower Cholesky factors of the scale matrices
    inverses: Array  # (M, P, P)
    constants: Array  # (M,) log share and the t's constant
    shares: Array  # (M,)
    degrees: float
    groups: NDArray[np.int64]  # (K,) components of one group may be exchanged

    @classmethod
    def of(
        cls, centers: Array, covariances: Array, shares: Array, groups: NDArray[np.int64]
    ) -> Students:
        """About ``centers`` with these covariances of the posterior there."""
        from scipy.special import gammaln

        p = centers.shape[1]
        sds = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        # In units of the standard deviations, and a little more than singular: where scales are
        # far apart rounding would leave no factor, and a t need not be exact.
        correlations = covariances / (sds[:, :, None] * sds[:, None, :])
        roots = np.linalg.cholesky(correlations + _ROUNDING * np.eye(p))
        roots *= _NARROWER * sds[:, :, None]
        log_volume = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        constant = gammaln(0.5 * (_DEGREES + 1)) - gammaln(0.5 * _DEGREES)
        constant = p * (constant - 0.5 * np.log(_DEGREES * np.pi))
        return cls(
            np.ascontiguousarray(centers),
            1.0 / sds,
            roots,
            np.ascontiguousarray(np.linalg.inv(roots)),
            np.log(shares) + constant - log_volume,
            shares,
            _DEGREES,
            groups,
        )

    def covariance(self, m: int) -> Array:
        """Of what the ``m``-th was made for."""
        root = self.roots[m] / _NARROWER
        return np.asarray(root @ root.T)

    def shared(self, shares: Array) -> Students:
        """The same with other shares."""
        constants = self.constants - np.log(self.shares) + np.log(shares)
        return self._replace(constants=constants, shares=shares)

    def simulate(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """``n`` draws (n, P) of the first, and its log density there."""
        z = rng.standard_t(self.degrees, (n, self.centers.shape[1]))
        logs = -0.5 * (self.degrees + 1) * np.log1p(z**2 / self.degrees)
        log_t = self.constants[0] + logs.sum(axis=1)
        return self.centers[0] + z @ self.roots[0].T, log_t

    def only(self, m: int) -> Students:
        """One of them alone."""
        rows = slice(m, m + 1)
        return Students(
            self.centers[rows],
            self.precisions[rows],
            self.roots[rows],
            self.inverses[rows],
            self.constants[rows] - np.log(self.shares[rows]),
            np.ones(1),
            self.degrees,
            self.groups,
        )


@njit(**COMPILED)
def _nearest(theta, students, basis, d, each, found, moved):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    n_modes = len(students.centers)
    matched, logs = np.empty((n_modes, theta.shape[1])), np.empty(n_modes)
    for s in range(len(theta)):
        log_students(theta[s], students, basis, d, each, matched, logs)
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
        flat,
        students,
        density.basis,
        d,
        density.spec.structure.own_entries(d),
        found,
        moved,
    )
    return found.reshape(theta.shape[:-1]), moved.reshape(theta.shape)
