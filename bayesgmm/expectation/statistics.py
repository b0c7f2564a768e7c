"""Expected complete-data statistics, densities and memberships of rows.

EM, gradients (by Fisher's identity), memberships and densities are small algebra on what
comes out of the pass; see docs/mathematics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.compiled.threads import thread_map
from bayesgmm.data.parts import Done
from bayesgmm.expectation.kernel import NO_SCATTER, NOTHING, Totals
from bayesgmm.expectation.one_pass import accumulate
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import NO_ROWS, Rows
from bayesgmm.expectation.stored_rows import StoredRows


@dataclass(frozen=True)
class SufficientStatistics:
    """Expected complete-data statistics; those of two parts of the data add.

    Attributes
    ----------
    log_likelihood : float
    counts : array of shape (M,)
        Expected number of rows of each class: of the K components, and of noise if there is any.
    sums : array of shape (K, D)
    scatters : array of shape (K, D, D), (1, D, D) or (1, K, D)
        Second moments about zero, shaped as the structure's factors.
    """

    log_likelihood: float
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    scatters: NDArray[np.float64]

    def __add__(self, other: SufficientStatistics) -> SufficientStatistics:
        return SufficientStatistics(
            self.log_likelihood + other.log_likelihood,
            self.counts + other.counts,
            self.sums + other.sums,
            self.scatters + other.scatters,
        )

    @property
    def totals(self) -> Totals:
        """As compiled code takes them."""
        return Totals(self.counts, self.sums, self.scatters, NO_ROWS, NOTHING)


class Batch(tuple[SufficientStatistics, ...]):
    """The statistics under several forms, of the same rows; those of two parts add."""

    def __add__(self, other: Any) -> Batch:
        return Batch(own + its for own, its in zip(self, other, strict=True))


def expected_statistics(
    rows: Rows | StoredRows, form: PrecisionForm, *, cores: int = 1
) -> SufficientStatistics:
    """One pass: the statistics of ``rows`` under ``form``, on ``cores`` threads."""
    return expected_statistics_under([form], rows, cores=cores)[0]


def expected_statistics_under(
    forms: Sequence[PrecisionForm],
    rows: Rows | StoredRows,
    *,
    cores: int = 1,
    likelihood_only: bool = False,
    done: Done | None = None,
) -> Batch:
    """The statistics under each form, in one pass: rows that are not in memory are read once.

    With ``likelihood_only`` they are zero but for the log-likelihood, which takes half the time.
    """
    one = _likelihood_of_piece if likelihood_only else _of_piece
    if isinstance(rows, StoredRows):
        return rows.reduced(partial(_of_rows, one, tuple(forms)), cores=cores, done=done)
    found = []
    for form in forms:
        parts = thread_map(partial(one, form), rows.pieces(), cores)
        found.append(parts[0] if len(parts) == 1 else reduce(add, parts))
    return Batch(found)


def _of_rows(one: Any, forms: tuple[PrecisionForm, ...], rows: Rows) -> Batch:
    return Batch(one(form, rows) for form in forms)


def _of_piece(form: PrecisionForm, piece: Rows) -> SufficientStatistics:
    totals = Totals.zero(form)
    return SufficientStatistics(accumulate(piece, form, totals), *totals[:3])


def _likelihood_of_piece(form: PrecisionForm, piece: Rows) -> SufficientStatistics:
    nothing = Totals(NO_ROWS, NOTHING, NO_SCATTER, NO_ROWS, NOTHING)
    return SufficientStatistics(accumulate(piece, form, nothing), *Totals.zero(form)[:3])


def row_log_density(rows: Rows, form: PrecisionForm) -> NDArray[np.float64]:
    """Log density of each row (N,)."""
    return _by_row(rows, form, 0)[0]


def row_memberships(rows: Rows, form: PrecisionForm) -> NDArray[np.float64]:
    """Memberships of each row (N, M)."""
    return _by_row(rows, form, len(rows.values))[1]


def _by_row(
    rows: Rows, form: PrecisionForm, n_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    log_density = np.empty(len(rows.values))
    memberships = np.empty((n_rows, len(form.log_constant)))
    totals = Totals(NO_ROWS, NOTHING, NO_SCATTER, log_density, memberships)
    accumulate(rows._replace(row_weights=NO_ROWS), form, totals)
    return log_density, memberships


@njit(**COMPILED)
def scatter_about_means(counts, sums, scatters, means, g, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Scatter of covariance ``g`` about the means into ``out``; returns its rows' number.

    That is s2 - s1 mean' - mean s1' + n mean mean', of component ``g`` where each
    has its own matrix, summed over components where all share one.
    """
    k, d = means.shape
    shared = scatters.shape[0] == 1  # also where K = 1, and then it is the same thing
    for a in range(d):
        for b in range(d):
            out[a, b] = scatters[g, a, b]
    n = 0.0
    for j in range(k):
        if not shared and j != g:
            continue
        n += counts[j]
        for a in range(d):
            for b in range(d):
                out[a, b] += counts[j] * means[j, a] * means[j, b] - (
                    sums[j, a] * means[j, b] + means[j, a] * sums[j, b]
                )
    return n
