"""A mixture as the pass over the data reads it: inverse factors, whitened means, constants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, MATRIX, VECTOR
from bayesgmm.compiled.triangular import invert_triangular
from bayesgmm.expectation.point import Point
from bayesgmm.model.structure import SCALES, SHARED


class PrecisionForm(NamedTuple):
    """What the pass needs of a mixture."""

    whiten: NDArray[np.float64]  # (K D, D) or (D, D) inverse factors, or (K, D) inverse scales
    shift: NDArray[np.float64]  # (K, D) whitened means
    log_constant: NDArray[np.float64]  # (M,) log weights less log determinants; noise last
    structure: int

    @classmethod
    def of(cls, point: Point, structure: int) -> PrecisionForm:
        """Of a point whose factors are those of T, of a structure."""
        form = cls.empty(point, structure)
        write_precision_form(point, form)
        return form

    @classmethod
    def empty(cls, point: Point, structure: int) -> PrecisionForm:
        """For a point, to be written."""
        k, d = point.means.shape
        rows = k if structure & SCALES else point.factors.shape[0] * d
        classes = np.empty(len(point.log_weights))
        return cls(np.empty((rows, d)), np.empty((k, d)), classes, structure)


#: Its type in compiled code.
PRECISION_FORM = types.NamedTuple([MATRIX, MATRIX, VECTOR, types.int64], PrecisionForm)


@njit(**COMPILED)
def write_precision_form(point, form):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the arrays of a form."""
    log_weights, means, factors = point.log_weights, point.means, point.factors
    whiten, shift, log_constant = form.whiten, form.shift, form.log_constant
    k, d = means.shape
    half_log_two_pi = 0.9189385332046727
    for j in range(k, log_weights.size):  # noise, whose density is the rows' own
        log_constant[j] = log_weights[j]
    if form.structure & SCALES:
        for j in range(k):
            log_constant[j] = log_weights[j] - d * half_log_two_pi
            for i in range(d):
                whiten[j, i] = 1.0 / factors[0, j, i]
                shift[j, i] = means[j, i] / factors[0, j, i]
                log_constant[j] -= np.log(factors[0, j, i])
        return
    for g in range(factors.shape[0]):
        invert_triangular(factors[g], whiten[g * d : (g + 1) * d])
    for j in range(k):
        g = 0 if form.structure & SHARED else j
        log_constant[j] = log_weights[j] - d * half_log_two_pi
        for i in range(d):
            log_constant[j] -= np.log(factors[g, i, i])
            t = 0.0
            for m in range(i + 1):
                t += whiten[g * d + i, m] * means[j, m]
            shift[j, i] = t
