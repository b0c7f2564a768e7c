"""Covariances of classes that share parts: their volume, their shape, their orientation.

A covariance is S = v Q A Q': its volume v = |S|^(1/D), its shape A (the variances along its
axes, of product one) and its orientation Q.  Classes may share any of the three, which
makes the eight ellipsoidal models of Celeux and Govaert (1995) and Bensmail and Celeux (1996),
and the six of axis-aligned and round ones.  Where every row's class is known, maximum likelihood
asks for nothing but the scatter matrix of each class; what has no closed form
are short alternations on these.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import FitError
from bayesgmm.model.structure import Structure

Array = NDArray[np.float64]

Part = Literal["volume", "shape", "orientation"]
PARTS: tuple[Part, ...] = get_args(Part)

_STEPS, _GAIN = 2000, 1e-11
#: A variance below this share of the largest of its class is none.
_FLAT = 1e-12


def covariances_sharing(
    counts: Array, scatters: Array, shared: frozenset[Part], structure: Structure
) -> Array:
    """Maximum-likelihood covariances (C, D, D) of classes that share some parts.

    Parameters
    ----------
    counts : array of shape (C,)
        Rows of each class, or the sum of their weights.
    scatters : array of shape (C, D, D)
        Sums of squares about each class's mean.
    shared : set of {"volume", "shape", "orientation"}
        What all classes have in common.  Axis-aligned ellipses have one orientation in any
        case, and circles one shape.
    structure : Structure
        Whether covariances are matrices, diagonal or round.

    Raises
    ------
    FitError
        If a class has too few distinct rows for what is its own.

    References
    ----------
    Celeux and Govaert (1995), Gaussian parsimonious clustering models, Pattern Recognition 28.
    Flury and Gautschi (1986), An algorithm for simultaneous orthogonal transformation of several
    positive definite symmetric matrices to nearly diagonal form, SIAM J. Sci. Stat. Comput. 7
    (the rotations by which a common orientation is found, in the plane of two axes at a time).
    """
    d = scatters.shape[-1]
    volume, shape = "volume" in shared, "shape" in shared
    if structure.round:
        spread = np.trace(scatters, axis1=1, axis2=2)[:, None] / d
        spread = spread.repeat(d, axis=1)
        return _checked(np.eye(d) * _variances(counts, spread, volume, True)[:, None, :])
    if not structure.matrices:
        spread = np.diagonal(scatters, axis1=1, axis2=2)
        return _checked(np.eye(d) * _variances(counts, spread, volume, shape)[:, None, :])
    if "orientation" not in shared:
        spread, axes = np.linalg.eigh(scatters)  # all in the same order, so shapes match
        variances = _variances(counts, np.maximum(spread, 0.0), volume, shape)
        return _checked(axes * variances[:, None, :] @ np.swapaxes(axes, 1, 2))
    if shape:
        return _checked(_proportional(counts, scatters, volume))
    return _checked(_common_axes(counts, scatters, volume))


def _variances(counts: Array, spread: Array, volume: bool, shape: bool) -> Array:
    """Variances (C, D) along axes, from sums of squares along them."""
    if volume and shape:
        return np.broadcast_to(spread.sum(axis=0) / counts.sum(), spread.shape)
    if not (volume or shape):
        return spread / counts[:, None]
    if volume:
        size = _volumes(spread)[:, None]
        return spread / size * (size.sum() / counts.sum())
    sizes = np.ones(len(counts))
    for _ in range(_STEPS):
        common = (spread / sizes[:, None]).sum(axis=0)
        common /= _volumes(common[None])
        before, sizes = sizes, (spread / common).mean(axis=1) / counts
        if np.allclose(sizes, before, rtol=_GAIN, atol=0):
            break
    return sizes[:, None] * common


def _volumes(spread: Array) -> Array:
    """Geometric means (C,) of what is along the axes (C, D), which has to be positive."""
    _refuse_flat(spread)
    return np.exp(np.log(spread).mean(axis=1))


def _proportional(counts: Array, scatters: Array, volume: bool) -> Array:
    """One ellipse for all, of one size or of a size for each class."""
    pooled = scatters.sum(axis=0)
    _refuse_flat(np.linalg.eigvalsh(pooled)[None])
    if volume:
        return np.broadcast_to(pooled / counts.sum(), scatters.shape)
    d, sizes = len(pooled), np.ones(len(counts))
    for _ in range(_STEPS):
        common = (scatters / sizes[:, None, None]).sum(axis=0)
        common /= np.exp(np.linalg.slogdet(common)[1] / d)
        inverse = np.linalg.inv(common)
        before, sizes = sizes, np.einsum("cij,ji->c", scatters, inverse) / (d * counts)
        if np.allclose(sizes, before, rtol=_GAIN, atol=0):
            break
    return sizes[:, None, None] * common


def _common_axes(counts: Array, scatters: Array, volume: bool) -> Array:
    """One orientation for all, of the best of several starts."""
    best, least = scatters, np.inf
    for start in (scatters.sum(axis=0), *scatters):
        axes, value = np.linalg.eigh(start)[1], np.inf
        for _ in range(_STEPS):
            spread = np.einsum("di,cde,ei->ci", axes, scatters, axes)
            variances = _variances(counts, spread, volume, False)
            _refuse_flat(variances)
            before = value
            value = float((counts[:, None] * np.log(variances) + spread / variances).sum())
            if before - value < _GAIN * max(1.0, abs(value)):
                break
            axes = _turned(axes, scatters, variances)
        if value < least:
            best, least = np.einsum("di,ci,ei->cde", axes, variances, axes), value
    return best


def _turned(axes: Array, scatters: Array, variances: Array) -> Array:
    """Axes after one turn of every pair, each by the angle that is best for given variances.

    With the axes i and j at an angle t, what is minimised is a + b cos 2t + c sin 2t.
    """
    axes = axes.copy()
    d = len(axes)
    for i in range(d):
        for j in range(i):
            pair = axes[:, [i, j]]
            within = np.swapaxes(pair, 0, 1) @ scatters @ pair  # (C, 2, 2)
            gap = 1 / variances[:, i] - 1 / variances[:, j]
            b = 0.5 * ((within[:, 0, 0] - within[:, 1, 1]) * gap).sum()
            c = (within[:, 0, 1] * gap).sum()
            t = 0.5 * np.arctan2(-c, -b)
            turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
            axes[:, [i, j]] = pair @ turn
    return axes


def _refuse_flat(spread: Array) -> None:
    """Refuse classes (C, D) with no extent along an axis where they need one."""
    if not np.all(spread.min(axis=1) > _FLAT * spread.max(axis=1)):
        raise FitError(
            "A class has too few distinct rows, or features that do not vary within it, for the "
            "covariances asked for; share more, use covariance='diag', or use method='map' with "
            "shared=True or False."
        )


def _checked(covariances: Array) -> Array:
    _refuse_flat(np.linalg.eigvalsh(covariances))
    return np.array(covariances)
