"""The kernel of the one pass over the data: expected complete-data statistics of complete rows.

Everything that touches rows goes through it (``one_pass``).  For blocks of
rows that stay in cache it standardises, whitens by every component, turns the
squared distances into memberships, and adds up

    n_k = sum_n r_nk,   s1_k = sum_n r_nk x_n,   s2_k = sum_n r_nk x_n x_n'

about the data's centre, so that data far from the origin lose no digits.  The
two matrix products of a block are BLAS calls; between them are element-wise
loops along rows, which LLVM vectorises because nothing branches, the
exponential included.  Whole arrays are never assigned or added in compiled code:
the messages of such an operation's errors take longer to compile than the pass.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, CUBE, MATRIX, VECTOR
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import NO_ROWS
from bayesgmm.model.structure import SCALES, SHARED

_BLOCK_DOUBLES = 48_000  # scratch per block: fits a 512 KiB level-2 cache
NOTHING = np.empty((0, 0))
NO_SCATTER = np.empty((0, 0, 0))


class Totals(NamedTuple):
    """What a pass adds to, or writes; an empty array asks for none."""

    counts: NDArray[np.float64]  # (M,)
    sums: NDArray[np.float64]  # (K, D)
    scatters: NDArray[np.float64]  # (K, D, D), (1, D, D) or (1, K, D)
    log_density: NDArray[np.float64]  # (N,), of each row
    memberships: NDArray[np.float64]  # (N, M)

    @classmethod
    def zero(cls, form: PrecisionForm) -> Totals:
        """The statistics of no rows under a form, and nothing of single rows."""
        k, d = form.shift.shape
        owners = 1 if form.structure & SHARED else k
        shape = (1, k, d) if form.structure & SCALES else (owners, d, d)
        counts = np.zeros(len(form.log_constant))
        return cls(counts, np.zeros((k, d)), np.zeros(shape), NO_ROWS, NOTHING)


#: Their type in compiled code.
TOTALS = types.NamedTuple([VECTOR, MATRIX, CUBE, VECTOR, MATRIX], Totals)


@intrinsic
def _bits(typingctx, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The 64 bits of a double, as an integer."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def _double(typingctx, bits):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The double with these 64 bits."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@njit(**COMPILED, fastmath={"contract"})
def _exponentials(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """exp(x) in place for x <= 0: within 2.3e-16 relative, no branch, so it vectorises.

    exp(x) = 2^n exp(r) with |r| <= log(2) / 2 and exp(r) by its Taylor series to
    degree 13, whose remainder is 4e-18.  Adding 1.5 * 2^52 rounds to the nearest
    integer and leaves it in the low bits, from where it moves to the exponent.
    """
    magic = 6755399441055744.0
    for i in range(x.size):
        v = x[i] if x[i] > -708.0 else -708.0  # below, 2^n is not a normal number
        t = v * 1.4426950408889634 + magic
        n = t - magic
        r = (v - n * 0.693145751953125) - n * 1.42860682030941723212e-06
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        p = p * r + 1.0
        x[i] = p * _double((_bits(t) + 1023) << 52)


@njit(**COMPILED, fastmath={"contract"})
def accumulate_complete(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    x, center, inverse_scale, row_weights, background, form, totals
):
    """Add the statistics of complete rows to ``totals``, and return their log-likelihood.

    A form with one class more than components has noise, of log density ``background`` (N,).
    """
    whiten, shift, log_constant = form.whiten, form.shift, form.log_constant
    scales, shared_matrix = form.structure & SCALES, form.structure == SHARED
    counts, sums, scatters = totals.counts, totals.sums, totals.scatters
    log_density, memberships = totals.log_density, totals.memberships
    rows, d = x.shape
    k, classes = form.shift.shape[0], log_constant.size
    want_statistics = counts.size > 0
    weighted = row_weights.size > 0
    if scales:
        n_phi = 1 + 2 * d
    elif shared_matrix:
        n_phi = 1 + d
    else:
        n_phi = 1 + d + d * (d + 1) // 2
    block = max(32, min(1024, 8 * (_BLOCK_DOUBLES // (8 * (whiten.shape[0] + n_phi + classes)))))
    blocks = max(1, -(-rows // block))  # as many as needed, all of one size
    block = max(1, -(-rows // blocks))

    phi_store = np.empty(n_phi * block)
    z_store = np.empty(whiten.shape[0] * block)
    r_store = np.empty(classes * block)
    largest = np.empty(block)
    total = np.empty(block)
    sum_of_products = np.zeros((classes, n_phi))
    product = np.empty((classes, n_phi))
    shared = np.zeros((d, d))
    shared_product = np.empty((d, d))
    weighted_store = np.empty(d * block if shared_matrix else 0)
    loglik = 0.0

    for start in range(0, rows, block):
        m = min(block, rows - start)
        phi = phi_store[: n_phi * m].reshape(n_phi, m)
        r = r_store[: classes * m].reshape(classes, m)
        xt = phi[1 : 1 + d]
        part = x[start : start + m]
        for i in range(d):
            c, s = center[i], inverse_scale[i]
            for n in range(m):
                xt[i, n] = (part[n, i] - c) * s

        # Squared distances to every component, into r.
        if scales:
            for j in range(k):
                for n in range(m):
                    r[j, n] = 0.0
                for i in range(d):
                    w, b = whiten[j, i], shift[j, i]
                    for n in range(m):
                        t = w * xt[i, n] - b
                        r[j, n] += t * t
        else:
            z = z_store[: whiten.shape[0] * m].reshape(whiten.shape[0], m)
            np.dot(whiten, xt, z)
            for j in range(k):
                first = 0 if shared_matrix else j * d
                for n in range(m):
                    r[j, n] = 0.0
                for i in range(d):
                    b = shift[j, i]
                    for n in range(m):
                        t = z[first + i, n] - b
                        r[j, n] += t * t

        # Log densities, their largest, and the normalised exponentials.
        for n in range(m):
            largest[n] = -np.inf
            total[n] = 0.0
        for j in range(k):
            c = log_constant[j]
            for n in range(m):
                q = r[j, n]
                v = c - 0.5 * (q if q < 1e300 else 1e300)  # a far row stays finite
                r[j, n] = v
                largest[n] = v if v > largest[n] else largest[n]
        for j in range(k, classes):
            for n in range(m):
                v = log_constant[j] + background[start + n]
                r[j, n] = v
                largest[n] = v if v > largest[n] else largest[n]
        for j in range(classes):
            for n in range(m):
                r[j, n] -= largest[n]
        _exponentials(r_store[: classes * m])
        for j in range(classes):
            for n in range(m):
                total[n] += r[j, n]
        if weighted or log_density.size > 0:
            for n in range(m):
                v = largest[n] + np.log(total[n])
                if log_density.size > 0:
                    log_density[start + n] = v
                loglik += v * row_weights[start + n] if weighted else v
        else:  # a logarithm of a product in place of many: each factor is between 1 and K
            product_of_totals = 1.0
            for n in range(m):
                loglik += largest[n]
                product_of_totals *= total[n]
                if product_of_totals > 1e250:
                    loglik += np.log(product_of_totals)
                    product_of_totals = 1.0
            loglik += np.log(product_of_totals)
        for n in range(m):
            total[n] = 1.0 / total[n]
        if memberships.size > 0:
            for j in range(classes):
                for n in range(m):
                    memberships[start + n, j] = r[j, n] * total[n]
        if not want_statistics:
            continue

        # Statistics: one product of the memberships with (1, x, products of x).
        if weighted:
            for n in range(m):
                total[n] *= row_weights[start + n]
        for j in range(classes):
            for n in range(m):
                r[j, n] *= total[n]
        for n in range(m):
            phi[0, n] = 1.0
        p = 1 + d
        if scales:
            for a in range(d):
                for n in range(m):
                    phi[p, n] = xt[a, n] * xt[a, n]
                p += 1
        elif not shared_matrix:
            for a in range(d):
                for b in range(a + 1):
                    for n in range(m):
                        phi[p, n] = xt[a, n] * xt[b, n]
                    p += 1
        else:  # the memberships of a row sum to one, noise included: the shared scatter needs none
            for n in range(m):
                total[n] = row_weights[start + n] if weighted else 1.0
            for j in range(k, classes):
                for n in range(m):
                    total[n] -= r[j, n]
            wt = weighted_store[: d * m].reshape(d, m)
            for a in range(d):
                for n in range(m):
                    wt[a, n] = xt[a, n] * total[n]
            np.dot(xt, wt.T, shared_product)
            for a in range(d):
                for b in range(d):
                    shared[a, b] += shared_product[a, b]
        np.dot(r, phi.T, product)
        for j in range(classes):
            for p in range(n_phi):
                sum_of_products[j, p] += product[j, p]

    if want_statistics:
        for j in range(k, classes):
            counts[j] += sum_of_products[j, 0]
        for j in range(k):
            counts[j] += sum_of_products[j, 0]
            for i in range(d):
                sums[j, i] += sum_of_products[j, 1 + i]
            p = 1 + d
            if scales:
                for i in range(d):
                    scatters[0, j, i] += sum_of_products[j, p + i]
            elif not shared_matrix:
                for a in range(d):
                    for b in range(a + 1):
                        scatters[j, a, b] += sum_of_products[j, p]
                        if b < a:
                            scatters[j, b, a] += sum_of_products[j, p]
                        p += 1
        if shared_matrix:
            for a in range(d):
                for b in range(d):
                    scatters[0, a, b] += shared[a, b]
    return loglik
