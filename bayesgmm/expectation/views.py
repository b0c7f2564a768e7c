"""How rows were seen: which of their features are there.

Rows of one view are, for the kernel, complete rows of the features seen under the marginal
mixture N(mu_o, T_oo): the same kernel, on smaller matrices.  Its statistics are then completed by
the conditional expectations of what was not seen, by component and not by row.  With

    B = T_:o T_oo^-1,   b = mu - B mu_o,   C = T - B T_o:

    s1 = B s1_o + n b,   s2 = B s2_oo B' + B s1_o b' + b s1_o' B' + n b b' + n C

so that EM, gradients and whatever rests on the statistics need not know (Little and Rubin 2019,
Statistical analysis with missing data, chapter 11; Ghahramani and Jordan 1994).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, VECTOR
from bayesgmm.compiled.triangular import cholesky, invert_triangular
from bayesgmm.model.structure import SCALES, SHARED

_NONE = np.empty(0, dtype=np.int64)


class Views(NamedTuple):
    """Rows by what of them was seen; all arrays empty where everything was."""

    seen: NDArray[np.int64]  # (V, D) columns, those seen first, the others after
    n_seen: NDArray[np.int64]  # (V,)
    starts: NDArray[np.int64]  # (V + 1,) in ``order``
    order: NDArray[np.int64]  # (N,) rows of view 0, then of view 1, ...
    packed: NDArray[np.float64]  # the values seen, row by row in that order

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Views:
        """Of rows (N, D) in which what was not seen is NaN."""
        holes = np.isnan(values)
        if not holes.any():
            return ALL_SEEN
        d = values.shape[1]
        patterns, view = np.unique(holes, axis=0, return_inverse=True)
        view = view.ravel()
        order = np.argsort(view, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(view, minlength=len(patterns)))])
        return cls(
            np.ascontiguousarray(np.argsort(patterns, axis=1, kind="stable")),
            d - patterns.sum(axis=1),
            starts,
            order,
            values[order][~holes[order]],
        )

    def pieces(self, size: int) -> list[Views]:
        """The same a number of rows at a time, in their order here and without a copy."""
        n = np.diff(self.starts)
        offsets = np.concatenate([[0], np.cumsum(n * self.n_seen)])
        found = []
        for begin in range(0, len(self.order), size):
            end = min(begin + size, len(self.order))
            first = int(np.searchsorted(self.starts, begin, side="right")) - 1
            last = int(np.searchsorted(self.starts, end, side="left"))
            low, high = (
                offsets[v] + (row - self.starts[v]) * self.n_seen[v]
                for row, v in ((begin, first), (end, last - 1))
            )
            found.append(
                Views(
                    self.seen[first:last],
                    self.n_seen[first:last],
                    np.clip(self.starts[first : last + 1], begin, end) - begin,
                    self.order[begin:end],
                    self.packed[low:high],
                )
            )
        return found


ALL_SEEN = Views(np.empty((0, 0), dtype=np.int64), _NONE, _NONE, _NONE, np.empty(0))
_INDICES = types.Array(types.int64, 1, "C")
#: Their type in compiled code.
VIEWS = types.NamedTuple(
    [types.Array(types.int64, 2, "C"), _INDICES, _INDICES, _INDICES, VECTOR], Views
)


@njit(**COMPILED)
def mixture_of(form, means, tril):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Means (K, D) and factors (G, D, D), or scales (1, K, D), back from a form."""
    k, d = means.shape
    if form.structure & SCALES:
        for j in range(k):
            for i in range(d):
                tril[0, j, i] = 1.0 / form.whiten[j, i]
                means[j, i] = form.shift[j, i] * tril[0, j, i]
        return
    for g in range(tril.shape[0]):
        invert_triangular(form.whiten[g * d : (g + 1) * d], tril[g])
    for j in range(k):
        g = 0 if form.structure & SHARED else j
        for i in range(d):
            means[j, i] = 0.0
            for m in range(i + 1):
                means[j, i] += tril[g, i, m] * form.shift[j, m]


@njit(**COMPILED)
def marginal_form(form, means, tril, columns, out, regression, rest):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The form ``out`` of some columns (O,); B (G, D, O) and C (G, D, D) of matrices."""
    k, d = means.shape
    o = columns.size
    if form.structure & SCALES:
        for j in range(k):
            out.log_constant[j] = form.log_constant[j] + 0.9189385332046727 * (d - o)
            for i in range(d):
                out.log_constant[j] -= np.log(form.whiten[j, i])
            for i in range(o):
                out.whiten[j, i] = form.whiten[j, columns[i]]
                out.shift[j, i] = form.shift[j, columns[i]]
                out.log_constant[j] += np.log(out.whiten[j, i])
        return
    total, block, factor = np.empty((d, d)), np.empty((o, o)), np.empty((o, o))
    half = np.empty((d, o))
    for g in range(tril.shape[0]):
        for a in range(d):
            for b in range(a + 1):
                t = 0.0
                for m in range(b + 1):
                    t += tril[g, a, m] * tril[g, b, m]
                total[a, b] = total[b, a] = t
        for a in range(o):
            for b in range(o):
                block[a, b] = total[columns[a], columns[b]]
        cholesky(block, factor)
        inverse = out.whiten[g * o : (g + 1) * o]
        invert_triangular(factor, inverse)
        for a in range(d):  # T_:o W'
            for b in range(o):
                half[a, b] = 0.0
                for m in range(b + 1):
                    half[a, b] += total[a, columns[m]] * inverse[b, m]
        for a in range(d):
            for b in range(o):
                regression[g, a, b] = 0.0
                for m in range(b, o):
                    regression[g, a, b] += half[a, m] * inverse[m, b]
            for b in range(d):
                rest[g, a, b] = total[a, b]
                for m in range(o):
                    rest[g, a, b] -= half[a, m] * half[b, m]
        for i in range(o):  # what was seen is known, to the last digit
            for b in range(o):
                regression[g, columns[i], b] = 1.0 if b == i else 0.0
            for b in range(d):
                rest[g, columns[i], b] = rest[g, b, columns[i]] = 0.0
    for j in range(k):
        g = 0 if form.structure & SHARED else j
        out.log_constant[j] = form.log_constant[j] + 0.9189385332046727 * (d - o)
        for i in range(d):
            out.log_constant[j] -= np.log(form.whiten[g * d + i, i])
        for i in range(o):
            out.log_constant[j] += np.log(out.whiten[g * o + i, i])
            out.shift[j, i] = 0.0
            for m in range(i + 1):
                out.shift[j, i] += out.whiten[g * o + i, m] * means[j, columns[m]]


@njit(**COMPILED)
def complete(form, means, tril, columns, regression, rest, found, totals):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the statistics ``found`` of the columns seen, completed, to ``totals``."""
    k, d = means.shape
    o = columns.size
    if form.structure & SCALES:
        unseen = np.ones(d, np.bool_)
        for i in range(o):
            unseen[columns[i]] = False
        for j in range(k):
            n = found.counts[j]
            totals.counts[j] += n
            for i in range(o):
                totals.sums[j, columns[i]] += found.sums[j, i]
                totals.scatters[0, j, columns[i]] += found.scatters[0, j, i]
            for i in range(d):
                if unseen[i]:
                    square = means[j, i] * means[j, i] + tril[0, j, i] * tril[0, j, i]
                    totals.sums[j, i] += n * means[j, i]
                    totals.scatters[0, j, i] += n * square
        return
    shared = form.structure & SHARED != 0
    away, filled, half = np.empty(d), np.empty(d), np.empty((d, o))
    for g in range(tril.shape[0]):  # B s2_oo B'
        for a in range(d):
            for b in range(o):
                half[a, b] = 0.0
                for m in range(o):
                    half[a, b] += regression[g, a, m] * found.scatters[g, m, b]
        for a in range(d):
            for b in range(d):
                for m in range(o):
                    totals.scatters[g, a, b] += half[a, m] * regression[g, b, m]
    for j in range(k):
        g = 0 if shared else j
        n = found.counts[j]
        totals.counts[j] += n
        for a in range(d):
            away[a] = means[j, a]
            filled[a] = 0.0
            for m in range(o):
                away[a] -= regression[g, a, m] * means[j, columns[m]]
                filled[a] += regression[g, a, m] * found.sums[j, m]
        for i in range(o):
            away[columns[i]] = 0.0
        for a in range(d):
            totals.sums[j, a] += filled[a] + n * away[a]
            for b in range(d):
                totals.scatters[g, a, b] += (
                    filled[a] * away[b]
                    + away[a] * filled[b]
                    + n * (away[a] * away[b] + rest[g, a, b])
                )
