"""The one pass over the data: the kernel on what was seen of each row, completed by what was not.

Everything that touches rows goes through :func:`accumulate`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bayesgmm.compiled.calls import COMPILED, by_address
from bayesgmm.expectation.kernel import TOTALS, Totals, accumulate_complete
from bayesgmm.expectation.marginals import Conditional, complete, marginal_form, whole_of
from bayesgmm.expectation.precision import PRECISION_FORM, PrecisionForm
from bayesgmm.expectation.rows import ROWS
from bayesgmm.expectation.unrecorded import unrecorded
from bayesgmm.model.structure import SCALES, SHARED


@njit(**COMPILED)
def _room(whole, o, classes, n, members, statistics):  # type: ignore[no-untyped-def]  # pragma: no cover
    """For a view of O columns: its form, how the rest goes with them, and totals of ``n`` rows."""
    k, d = whole.means.shape
    owners = 1 if whole.structure & SHARED else k
    if whole.structure & SCALES:
        high, scatters, conditional = k, (1, k, o), Conditional(
            np.empty((0, 0, 0)), np.empty((0, 0, 0))
        )  # fmt: skip
    else:
        high, scatters, conditional = owners * o, (owners, o, o), Conditional(
            np.empty((owners, d, o)), np.empty((owners, d, d))
        )  # fmt: skip
    own = PrecisionForm(np.empty((high, o)), np.empty((k, o)), np.empty(classes), whole.structure)
    found = Totals(
        np.zeros(classes if statistics else 0),
        np.zeros((k, o)),
        np.zeros(scatters),
        np.empty(n),
        np.empty((members, classes)),
    )
    return own, conditional, found


@njit(**COMPILED)
def _add_unrecorded(whole, data, bounded, error, weight, totals):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The rows that were not recorded beside some of a view; log probability of being recorded."""
    classes = whole.log_constant.size
    own, conditional, found = _room(whole, bounded.size, classes, 0, 0, totals.counts.size > 0)
    marginal_form(whole, bounded, error, own, conditional)
    box = np.empty((2, bounded.size))
    for i in range(bounded.size):
        box[0, i], box[1, i] = data.selection[0, bounded[i]], data.selection[1, bounded[i]]
    log_probability = unrecorded(own, box, weight, found)
    if totals.counts.size:
        complete(whole, bounded, error, conditional, found, totals)
    return log_probability


@njit(**COMPILED)
def _bounded(selection, d):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The features that a selection bounds."""
    out, n = np.empty(d, np.int64), 0
    if selection.shape[0]:
        for i in range(d):
            if selection[0, i] > -np.inf or selection[1, i] < np.inf:
                out[n] = i
                n += 1
    return out[:n]


@njit(**COMPILED)
def _total_weight(row_weights, n):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    total = float(n)
    if row_weights.size:
        total = 0.0
        for i in range(n):
            total += row_weights[i]
    return total


@njit(**COMPILED)
def accumulate(data, form, totals):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the statistics of some rows to ``totals``, and return their log-likelihood."""
    views = data.views
    k, d = form.shift.shape
    bounded = _bounded(data.selection, d)
    if views.n_seen.size == 0:
        loglik = accumulate_complete(
            data.values,
            data.center,
            data.inverse_scale,
            data.row_weights,
            data.background,
            form,
            totals,
        )
        if bounded.size:
            weight = _total_weight(data.row_weights, data.values.shape[0])
            no_error = np.empty((0, d))
            lost = _add_unrecorded(whole_of(form, False), data, bounded, no_error, weight, totals)
            loglik -= weight * lost
            for i in range(totals.log_density.size):
                totals.log_density[i] -= lost
        return loglik
    correlated = views.errors.shape[1] > 1
    whole = whole_of(form, correlated)
    classes = form.log_constant.size
    statistics = totals.counts.size > 0
    # Of scales with correlated errors, matrices of which the diagonals are wanted.
    diagonals = form.structure & SCALES != 0 and not whole.structure & SCALES
    to = totals
    if diagonals:
        to = Totals(
            totals.counts, totals.sums, np.zeros((k, d, d)), totals.log_density, totals.memberships
        )
    no_error = np.empty((0, d))
    loglik, at = 0.0, 0
    for v in range(views.n_seen.size):
        first, last, o = views.starts[v], views.starts[v + 1], views.n_seen[v]
        n, columns, order = last - first, views.seen[v, :o], views.order[first:last]
        x = views.packed[at : at + n * o].reshape(n, o)
        at += n * o
        error = views.errors[v] if views.errors.shape[0] else no_error
        own, conditional, found = _room(
            whole,
            o,
            classes,
            n if totals.log_density.size else 0,
            n if totals.memberships.size else 0,
            statistics,
        )
        marginal_form(whole, columns, error, own, conditional)
        row_weights = data.row_weights[order] if data.row_weights.size else data.row_weights
        background = data.background[order] if data.background.size else data.background
        for j in range(views.allowed.shape[1]):
            if views.allowed[v, j] == 0.0:
                own.log_constant[j] = -np.inf
        part = accumulate_complete(
            x,
            data.center[columns],
            data.inverse_scale[columns],
            row_weights,
            background,
            own,
            found,
        )
        if o == 0 and views.allowed.shape[1] == 0:  # the weights' logarithm, zero but for rounding
            part = 0.0
            for i in range(found.log_density.size):
                found.log_density[i] = 0.0
        if statistics:
            complete(whole, columns, error, conditional, found, to)
        lost = 0.0
        if bounded.size:
            weight = _total_weight(row_weights, n)
            lost = _add_unrecorded(whole, data, bounded, error, weight, to)
            part -= weight * lost
        loglik += part
        for i in range(found.log_density.size):
            totals.log_density[order[i]] = found.log_density[i] - lost
        for i in range(found.memberships.shape[0]):
            for m in range(classes):
                may_be = views.allowed.shape[1] == 0 or views.allowed[v, m] > 0.0
                totals.memberships[order[i], m] = found.memberships[i, m] if may_be else 0.0
    if statistics and diagonals:
        for j in range(k):
            for i in range(d):
                totals.scatters[0, j, i] += to.scatters[j, i, i]
    return loglik


accumulate_address, call_accumulate = by_address(accumulate, (ROWS, PRECISION_FORM, TOTALS))
