"""Quasi-Newton finish: from where EM slows down to the top, on the same statistics.

EM converges linearly, slowly where components overlap.  L-BFGS on the same
density converges superlinearly, and in coordinates scaled by the complete-data
information (what EM would use as curvature) it needs few steps, because there the
Hessian is the identity less the share of information that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.density.coordinates import constrain, in_frame, unconstrain_many
from bayesgmm.density.log_posterior import Evaluation, LogPosterior
from bayesgmm.errors import FitError
from bayesgmm.expectation.point import Point

Array = NDArray[np.float64]

#: Slope in complete-data standard errors at which a climb ends: what is left to gain is a
#: square of it.  Far below, sums over many rows have no digits, and searches along a line fail.
_LEVEL = 1e-6
#: Of a sum over many rows, relative: a gain below it cannot be seen.
_ROUNDING = float(np.finfo(float).eps)


@dataclass(frozen=True)
class CompleteDataScale:
    """Block-diagonal B with B B' the inverse of the complete-data information."""

    blocks: list[tuple[slice, Array]]

    def forward(self, z: Array) -> Array:
        """B z."""
        out = np.empty_like(z)
        for where, block in self.blocks:
            out[where] = block * z[where] if block.ndim == 1 else block @ z[where]
        return out

    def pull(self, gradient: Array) -> Array:
        """B' g: a gradient in these coordinates."""
        out = np.empty_like(gradient)
        for where, block in self.blocks:
            out[where] = block * gradient[where] if block.ndim == 1 else block.T @ gradient[where]
        return out

    def matrix(self, size: int) -> Array:
        """B (P, P)."""
        return np.column_stack([self.forward(row) for row in np.eye(size)])

    @classmethod
    def at(cls, density: LogPosterior, point: Point) -> CompleteDataScale:
        """From the parameters alone: n_k = N w_k, and the information of each block."""
        log_weights, factors = point.log_weights, point.factors
        k, d = point.means.shape
        counts = density.rows.total_weight * np.exp(log_weights)
        prior, blocks, classes = density.prior, [], len(counts)
        if classes > 1:
            n = counts + (prior.weights if prior.active else 0.0)
            information = density.basis.T @ (np.diag(n) - np.outer(n, n) / n.sum()) @ density.basis
            information += 1e-6 * np.eye(classes - 1)
            blocks.append((slice(0, classes - 1), _root_of_inverse(information)))
        counts = counts[:k]
        p = classes - 1
        structure = density.spec.structure
        prior_precision = prior.mean_scale**-2.0 if prior.active else np.full(d, 1e-3)
        for j in range(k):
            if structure.matrices:
                whiten = np.linalg.inv(factors[0 if structure.shared else j])
                with np.errstate(over="ignore", invalid="ignore"):  # refused in the next line
                    information = counts[j] * whiten.T @ whiten + np.diag(prior_precision)
                block = _root_of_inverse(information)
            else:
                block = 1 / np.sqrt(counts[j] / factors[0, j] ** 2 + prior_precision)
            blocks.append((slice(p, p + d), block))
            p += d
        room = 4.0  # what a prior of moderate strength adds to the information
        owned = counts.sum(keepdims=True) if structure.shared else counts
        if structure.matrices:
            for n, tril in zip(owned, factors, strict=True):
                own = np.empty_like(tril)
                in_frame(density.prior.frame, tril, own)
                block = _factor_block(own, n, room)
                blocks.append((slice(p, p + len(block)), block))
                p += len(block)
        else:
            entries = structure.entries(d)
            each = np.repeat(owned, entries) * d / entries
            blocks.append((slice(p, density.size), 1 / np.sqrt(2 * each + room)))
        return cls(blocks)


def _root_of_inverse(information: Array) -> Array:
    """B with B B' the inverse, or a refusal where a collapsed component leaves none."""
    try:
        return np.linalg.inv(np.linalg.cholesky(information)).T
    except np.linalg.LinAlgError:
        raise FitError(
            "A component has collapsed so far that its curvature is lost to rounding; use fewer "
            "components or covariance='diag', and look for a row weight far above the others."
        ) from None


def _factor_block(tril: Array, n: float, room: float) -> Array:
    """d theta / d E at E = 0 for T exp(E), over the root of the information of E."""
    d = len(tril)
    rows, columns = np.tril_indices(d)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    at = {pair: p for p, pair in enumerate(pairs)}
    block = np.zeros((len(rows), len(rows)))
    for (i, j), p in at.items():
        if i == j:
            block[p, p] = 1 / np.sqrt(2 * n + room)
            continue
        for m in range(j, i + 1):
            information = (2 * n if m == j else n) + room
            block[p, at[m, j]] = tril[i, m] / tril[i, i] / np.sqrt(information)
        block[p, at[i, i]] = -tril[i, j] / tril[i, i] / np.sqrt(2 * n + room)
    return block


def ascend(
    density: LogPosterior,
    point: Point,
    *,
    max_iter: int,
    here: Evaluation | None = None,
    root: Array | None = None,
) -> tuple[Point, float, float]:
    """Climb from a point, in coordinates in which the density is known to be round by ``root``.

    ``here`` is the density at the point, where it is known.  Returns where to, the value there,
    and the largest slope in complete-data standard errors; never a value below the start's.
    """
    from scipy.optimize import minimize

    origin = unconstrain_many(point.interior, density.spec.structure, density.prior.frame)
    if here is None:
        start, gradient = density.value_and_grad(origin)
    else:
        start, gradient = here.value, here.gradient
    best = (start, origin, gradient)
    standard = CompleteDataScale.at(density, point)
    scale, level = standard, max(_LEVEL, float(np.sqrt(_ROUNDING * abs(start))))
    if root is not None:
        # The first step is of length 1 along the slope: with this unit it is Newton's.
        newton = max(float(np.linalg.norm(root.T @ gradient)), level)
        scale, level = CompleteDataScale([(slice(None), newton * root)]), level * newton

    def descent(z: Array) -> tuple[float, Array]:
        nonlocal best
        theta = origin + scale.forward(z)
        with np.errstate(all="ignore"):
            value, gradient = density.value_and_grad(theta)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return np.inf, np.zeros_like(z)
        if value > best[0]:
            best = (value, theta, gradient)
        return start - value, -scale.pull(gradient)  # about zero: no digit lost to the level

    minimize(
        descent,
        np.zeros(density.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxcor": 20, "ftol": 1e-15, "gtol": level, "maxls": 40},
    )
    value, theta, gradient = best
    top = point.copy()
    constrain(theta, density.basis, density.structure, density.prior.frame, top)
    return top, value, float(np.abs(standard.pull(gradient)).max(initial=0.0))
