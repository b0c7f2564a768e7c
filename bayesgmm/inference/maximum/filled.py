"""Rows with their holes filled, for what seeks places in them: starts, and candidates of moves.

Filled by the conditional mean under one normal that is fitted to what was seen, which is good
enough for a place to begin, and for nothing else: filled rows vary less than rows do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.expectation.conditional import conditionals
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import expected_statistics
from bayesgmm.model.structure import STRUCTURES

_STEPS = 20  # of EM
_ROOM = 1e-6  # added to variances on the standardised scale


def filled(rows: Rows) -> NDArray[np.float64]:
    """The rows (N, D) on the scale on which the pass sees them."""
    values, rows = rows.standardised, rows.unlabelled.unselected
    if not len(rows.views.order):
        return values
    d = values.shape[1]
    mean, covariance = np.zeros((1, d)), np.eye(d)[None]
    for _ in range(_STEPS):
        point = Point(np.zeros(1), mean, np.linalg.cholesky(covariance))
        form = PrecisionForm.of(point, STRUCTURES["full"].code)
        found = expected_statistics(rows, form)
        mean = found.sums / found.counts[:, None]
        covariance = found.scatters / found.counts[:, None, None] - mean.T @ mean
        covariance = covariance + _ROOM * np.eye(d)
    for part in conditionals(values, rows.views, mean, covariance):
        values[np.ix_(part.rows, part.columns)] = part.means[:, 0]
    return values
