"""The posterior density as compiled code takes it whole, and its value and slope at a theta.

Samplers reach it by address, so that it is compiled once whatever calls it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, MATRIX, VECTOR, by_address
from bayesgmm.density.coordinates import constrain
from bayesgmm.density.prior_terms import PRIOR_TERMS, PriorTerms
from bayesgmm.density.recording import recorded_factors
from bayesgmm.density.slopes import call_log_prior, log_prior_address
from bayesgmm.expectation.kernel import TOTALS, Totals
from bayesgmm.expectation.one_pass import accumulate_address, call_accumulate
from bayesgmm.expectation.point import POINT, Point
from bayesgmm.expectation.precision import PRECISION_FORM, PrecisionForm, write_precision_form
from bayesgmm.expectation.rows import ROWS, Rows
from bayesgmm.model.structure import SCALES, SHARED


class Target(NamedTuple):
    """Data, structure and priors of a posterior, and where the code for them is."""

    posterior_at: int
    point_at: int
    pass_at: int
    prior_at: int
    rows: Rows
    n_components: int
    basis: NDArray[np.float64]  # (M, M - 1) of the log-ratios of the weights
    structure: int
    each: int  # coordinates of a component's factor
    prior: PriorTerms

    @classmethod
    def of(
        cls,
        rows: Rows,
        n_components: int,
        basis: NDArray[np.float64],
        structure: int,
        each: int,
        prior: PriorTerms,
    ) -> Target:
        """With the code's addresses in this process; the rows are few enough for one pass."""
        return cls(
            log_posterior_address(),
            log_posterior_of_point_address(),
            accumulate_address(),
            log_prior_address(),
            rows,
            n_components,
            basis,
            structure,
            each,
            prior,
        )


#: Its type in compiled code.
TARGET = types.NamedTuple(
    [*4 * [types.int64], ROWS, types.int64, MATRIX, types.int64, types.int64, PRIOR_TERMS], Target
)


@njit(**COMPILED)
def log_posterior_of_point(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target, temperature, point, form, totals, gradient, likelihood
):
    """Log of prior x likelihood^temperature at a point, on the standardised scale.

    Its slope goes to ``gradient``, the log-likelihood by itself to ``likelihood`` (1,), and
    ``form`` and ``totals``, of zeros, are written on the way.
    """
    prior = target.prior
    total = np.empty(point.factors.shape)
    recorded_factors(point.factors, target.structure, prior.recorded, total)
    write_precision_form(Point(point.log_weights, point.means, total), form)
    loglik = call_accumulate(target.pass_at, (target.rows, form, totals))
    likelihood[0] = loglik
    if temperature != 1.0:  # the slope is linear in the statistics
        for part in (totals.counts.ravel(), totals.sums.ravel(), totals.scatters.ravel()):
            for i in range(part.size):
                part[i] *= temperature
    log_prior = call_log_prior(
        target.prior_at, (point, form, totals, target.basis, prior, gradient)
    )
    return temperature * loglik + log_prior


log_posterior_of_point_address, call_log_posterior_of_point = by_address(
    log_posterior_of_point,
    (TARGET, types.float64, POINT, PRECISION_FORM, TOTALS, VECTOR, VECTOR),
)


@njit(**COMPILED)
def log_posterior(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    target, temperature, theta, gradient, likelihood
):
    """The same at ``theta``."""
    structure = target.structure
    k, d, classes = target.n_components, target.rows.center.size, target.basis.shape[0]
    owners = 1 if structure & SHARED else k
    if structure & SCALES:
        shape, rows = (1, k, d), k
    else:
        shape, rows = (owners, d, d), owners * d
    point = Point(np.empty(classes), np.empty((k, d)), np.empty(shape))
    constrain(theta, target.basis, structure, target.prior.frame, point)
    form = PrecisionForm(np.empty((rows, d)), np.empty((k, d)), np.empty(classes), structure)
    totals = Totals(
        np.zeros(classes), np.zeros((k, d)), np.zeros(shape), np.empty(0), np.empty((0, 0))
    )
    return call_log_posterior_of_point(
        target.point_at, (target, temperature, point, form, totals, gradient, likelihood)
    )


log_posterior_address, call_log_posterior = by_address(
    log_posterior, (TARGET, types.float64, VECTOR, VECTOR, VECTOR)
)


@njit(**COMPILED)
def evaluate(target, theta, gradient, likelihood):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density at ``theta``, its slope into ``gradient``."""
    return call_log_posterior(target.posterior_at, (target, 1.0, theta, gradient, likelihood))


@njit(**COMPILED)
def log_posteriors(target, thetas, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density at each row of ``thetas``, into ``out``."""
    gradient, likelihood = np.empty(thetas.shape[1]), np.empty(1)
    for i in range(len(thetas)):
        out[i] = evaluate(target, thetas[i], gradient, likelihood)
