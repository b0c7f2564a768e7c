"""Unconstrained coordinates of a mixture, and the way there and back.

``theta`` is the vector in which every smooth method works:

* M - 1 log-ratios ``u`` of the weights, that of noise included: log w = log_softmax(V u), V an
  orthonormal basis of the vectors that sum to zero, so that no component is special;
* the K D means;
* each factor L = F T by the rows of T: its diagonal on the log scale and the rest of a row
  in units of its diagonal; or the log standard deviations that differ.

In those units a row's scale moves one coordinate: entries as they are would widen with it,
a funnel where a component has few rows and its scale is hardly known.  The frame F, which
has what the components have in common, keeps these ratios small where features are nearly
collinear: a factor of their pooled covariance at a mode, or where none is known the identity.

Everything is on the standardised scale.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.expectation.point import Point
from bayesgmm.model.structure import ROUND, SCALES, SHARED, Structure


def zero_sum_basis(k: int) -> NDArray[np.float64]:
    """Orthonormal basis (K, K - 1) of the vectors of length K that sum to zero."""
    basis = np.zeros((k, max(k - 1, 0)))
    for j in range(k - 1):  # Helmert: entry j+1 against the mean of those before it
        basis[: j + 1, j] = 1.0
        basis[j + 1, j] = -(j + 1.0)
        basis[:, j] /= np.sqrt((j + 1.0) * (j + 2.0))
    return basis


def coordinate_names(
    structure: Structure, k: int, names: tuple[str, ...], classes: int
) -> list[str]:
    """What each entry of theta is, for messages."""
    weights = [f"weight log-ratio {j + 1}" for j in range(classes - 1)]
    means = [f"mean of {name!r} in component {j}" for j in range(k) for name in names]
    owners = ["all components"] if structure.shared else [f"component {j}" for j in range(k)]
    if structure.matrices:
        factors = [
            f"Cholesky entry ({a!r}, {b!r}) of {owner}"
            for owner in owners
            for i, a in enumerate(names)
            for b in names[: i + 1]
        ]
    elif structure.round:
        factors = [f"log scale of {owner}" for owner in owners]
    else:
        factors = [f"log scale of {name!r} in {owner}" for owner in owners for name in names]
    return weights + means + factors


@njit(**COMPILED)
def scale_coordinate(structure, d, j, i):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Which of the coordinates of scales is that of feature ``i`` in component ``j``."""
    first = 0 if structure & SHARED else j
    return first if structure & ROUND else first * d + i


@njit(**COMPILED)
def constrain(theta, basis, structure, frame, point):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the point of one theta."""
    log_weights, means, factors = point.log_weights, point.means, point.factors
    k, d = means.shape
    classes = log_weights.size
    largest = -np.inf
    for j in range(classes):
        t = 0.0
        for m in range(classes - 1):
            t += basis[j, m] * theta[m]
        log_weights[j] = t
        largest = max(largest, t)
    total = 0.0
    for j in range(classes):
        total += np.exp(log_weights[j] - largest)
    total = largest + np.log(total)
    for j in range(classes):
        log_weights[j] -= total
    p = classes - 1
    for j in range(k):
        for i in range(d):
            means[j, i] = theta[p]
            p += 1
    if structure & SCALES:
        for j in range(k):
            for i in range(d):
                factors[0, j, i] = np.exp(theta[p + scale_coordinate(structure, d, j, i)])
    else:
        own = np.zeros((d, d))
        for g in range(factors.shape[0]):
            for i in range(d):
                own[i, i] = np.exp(theta[p + i])
                for m in range(i):
                    own[i, m] = own[i, i] * theta[p + m]
                p += i + 1
            for i in range(d):
                for j in range(d):
                    t = 0.0
                    for m in range(j, i + 1):
                        t += frame[i, m] * own[m, j]
                    factors[g, i, j] = t


@njit(**COMPILED)
def in_frame(frame, tril, own):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The T of a factor L = F T."""
    d = len(frame)
    for j in range(d):
        for i in range(j):
            own[i, j] = 0.0
        for i in range(j, d):
            t = tril[i, j]
            for m in range(j, i):
                t -= frame[i, m] * own[m, j]
            own[i, j] = t / frame[i, i]


def constrain_many(
    theta: NDArray[np.float64],
    structure: Structure,
    k: int,
    d: int,
    frame: NDArray[np.float64],
) -> Point:
    """Points, with batch shape (...), of theta (..., P)."""
    batch = theta.shape[:-1]
    flat = np.ascontiguousarray(theta.reshape(-1, theta.shape[-1]))
    shape = structure.factor_shape(k, d)
    classes = theta.shape[-1] - k * d - structure.n_entries(k, d) + 1  # noise, if it is there
    log_weights, means = np.empty((len(flat), classes)), np.empty((len(flat), k, d))
    factors = np.empty((len(flat), *shape))
    basis, code = zero_sum_basis(classes), structure.code
    for s in range(len(flat)):
        point = Point(log_weights[s], means[s], factors[s])
        constrain(flat[s], basis, code, frame, point)
    return Point(
        log_weights.reshape(*batch, classes),
        means.reshape(*batch, k, d),
        factors.reshape(*batch, *shape),
    )


def unconstrain_many(
    points: Point, structure: Structure, frame: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The theta (..., P) of points with batch shape (...)."""
    log_weights, means, factors = points
    batch, (k, d) = log_weights.shape[:-1], means.shape[-2:]
    parts = [log_weights @ zero_sum_basis(log_weights.shape[-1]), means.reshape(*batch, k * d)]
    if not structure.matrices:
        scales = structure.to_distinct(factors[..., 0, :, :])
        parts.append(np.log(scales).reshape(*batch, -1))
    else:
        flat = np.ascontiguousarray(factors.reshape(-1, d, d))
        own = np.empty_like(flat)
        for s in range(len(flat)):
            in_frame(frame, flat[s], own[s])
        rows, columns = np.tril_indices(d)
        diagonal = own[:, rows, rows]
        ratios = own[:, rows, columns] / diagonal
        entries = np.where(rows == columns, np.log(diagonal), ratios)
        parts.append(entries.reshape(*batch, -1))
    return np.concatenate(parts, axis=-1)
