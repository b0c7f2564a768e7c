"""Rows that were not recorded, for they lay outside of a box: how many, and where, as expected.

Only rows inside were recorded, so a row has the density p(x) / P, P the probability of the box.
For W rows recorded W (1 - P) / P are expected that were not, of component k

    W w_k (1 - P_k) / P   with the moments of N(mu_k, T_k) outside of the box,

and with these as rows of which nothing else is known the statistics are complete again: their
slope is that of -W log P as well (Lee and Scott 2012, EM algorithms for multivariate Gaussian
mixture models with truncated and censored data, Computational Statistics and Data Analysis 56).

Moments inside of a box: of one feature and of uncorrelated ones in closed form, of two that are
correlated by their bivariate distribution function (Manjunath and Wilhelm 2021, Moments
calculation for the doubly truncated multivariate normal density, J. Behavioral Data Science 1).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.model.structure import SCALES, SHARED

#: Nodes and weights by which the distribution function of two correlated normals is integrated.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
#: Least probability of a box: of mixtures so far away from it nothing is to be known.
_LEAST = 1e-290
#: A probability below this has lost too many digits as a difference of four near one.
_SMALL = 1e-6
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # of a golden-section search
#: Ends of the pieces of a tail, in widths of its top; log-concave, it falls by e in each width.
_PIECES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 45.0])


@njit(**COMPILED)
def _normal(x):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Standard normal density; 0 at an infinity."""
    return 0.3989422804014327 * math.exp(-0.5 * x * x) if abs(x) < 38.0 else 0.0


@njit(**COMPILED)
def _between(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Probability of a standard normal between a and b, with its digits in both tails."""
    root = math.sqrt(0.5)
    if a > 0.0:
        return 0.5 * (math.erfc(a * root) - math.erfc(b * root))
    return 0.5 * (math.erfc(-b * root) - math.erfc(-a * root))


@njit(**COMPILED)
def _line(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Probability of a standard normal between a and b, and E z and E z^2 there times it."""
    at_a, at_b = _normal(a), _normal(b)
    inside = _between(a, b)
    edge_a = a * at_a if at_a > 0.0 else 0.0
    edge_b = b * at_b if at_b > 0.0 else 0.0
    return inside, at_a - at_b, inside + edge_a - edge_b


@njit(**COMPILED)
def _both_below(h, k, r):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Probability that standard normals of correlation r are below h and k.

    By its slope in r, a density on the angle of which r is the sine (Drezner and Wesolowsky 1990),
    in pieces that become smaller towards a correlation of one, where it is steep.
    """
    if h == -math.inf or k == -math.inf:
        return 0.0
    root = math.sqrt(0.5)
    alone = 0.25 * math.erfc(-h * root) * math.erfc(-k * root)
    if h == math.inf or k == math.inf:
        return alone
    angle, sign = math.asin(abs(r)), 1.0 if r > 0.0 else -1.0
    begin, total = 0.0, 0.0
    while begin < angle:
        end = min(angle, begin + 0.5 * (0.5 * math.pi - begin))
        if 0.5 * math.pi - end < 1e-7:
            end = angle
        half = 0.5 * (end - begin)
        for i in range(_NODES.size):
            s = sign * math.sin(begin + half * (1.0 + _NODES[i]))
            q = (h * h + k * k - 2.0 * h * k * s) / (1.0 - s * s)
            if q < 1400.0:
                total += half * _WEIGHTS[i] * math.exp(-0.5 * q)
        begin = end
    return alone + sign * total / (2.0 * math.pi)


@njit(**COMPILED)
def _corner(x, y, r):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Density of two standard normals of correlation r; 0 at an infinity."""
    if not (abs(x) < 1e150 and abs(y) < 1e150):
        return 0.0
    free = 1.0 - r * r
    q = (x * x + y * y - 2.0 * r * x * y) / free
    return math.exp(-0.5 * q) / (2.0 * math.pi * math.sqrt(free)) if q < 1400.0 else 0.0


@njit(**COMPILED)
def _edge(x, a, b, r):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Density of one at x times the chance that the other is between a and b."""
    at = _normal(x)
    if at == 0.0:
        return 0.0
    rest = math.sqrt(1.0 - r * r)
    return at * _between((a - r * x) / rest, (b - r * x) / rest)


@njit(**COMPILED)
def _log_between(a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """About the log of :func:`_between`, finite as far out as squares are."""
    if a + b < 0.0:
        a, b = -b, -a
    if a < 8.0:
        return math.log(max(_between(a, b), 1e-300))
    tail = -0.5 * a * a - math.log(a)  # of the normal, but for a constant
    return tail + math.log(max(1.0 - math.exp(min(0.5 * (a - b) * (a + b), 0.0)), 1e-300))


@njit(**COMPILED)
def _log_slice(x, a, b, r):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """About the log density of one at x and the other between a and b, but for constants."""
    rest = math.sqrt(1.0 - r * r)
    return -0.5 * x * x + _log_between((a - r * x) / rest, (b - r * x) / rest)


@njit(**COMPILED)
def _in_tail(a, b, r):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Probability of two standard normals between a (2,) and b (2,), with its digits in tails.

    An integral over the first of what is positive and log-concave: outwards from its top.
    """
    low, high = max(a[0], -40.0), min(b[0], 40.0)
    if not low < high:
        return 0.0
    begin, end = low, high
    for _ in range(120):
        part = _GOLDEN * (end - begin)
        left, right = end - part, begin + part
        if _log_slice(left, a[1], b[1], r) < _log_slice(right, a[1], b[1], r):
            begin = left
        else:
            end = right
    top = 0.5 * (begin + end)
    highest, total = _log_slice(top, a[1], b[1], r), 0.0
    for side in (-1.0, 1.0):
        reach = high - top if side > 0.0 else top - low
        width, narrow = reach, 0.0
        if reach > 0.0 and _log_slice(top + side * reach, a[1], b[1], r) < highest - 1.0:
            for _ in range(60):  # where it has fallen by e
                middle = 0.5 * (narrow + width)
                if _log_slice(top + side * middle, a[1], b[1], r) < highest - 1.0:
                    width = middle
                else:
                    narrow = middle
        for piece in range(_PIECES.size - 1):
            near, far = min(_PIECES[piece] * width, reach), min(_PIECES[piece + 1] * width, reach)
            half = 0.5 * (far - near)
            for i in range(_NODES.size):
                x = top + side * (near + half * (1.0 + _NODES[i]))
                total += half * _WEIGHTS[i] * _edge(x, a[1], b[1], r)
    return total


@njit(**COMPILED)
def _plane(a, b, r, first, second):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Probability of two standard normals of correlation r between a (2,) and b (2,).

    E z goes to ``first`` (2,), E z z' to ``second`` (2, 2), both times that probability.
    """
    inside = max(
        0.0,
        _both_below(b[0], b[1], r)
        - _both_below(a[0], b[1], r)
        - _both_below(b[0], a[1], r)
        + _both_below(a[0], a[1], r),
    )
    if inside < _SMALL:
        inside = _in_tail(a, b, r)
    low_0, high_0 = _edge(a[0], a[1], b[1], r), _edge(b[0], a[1], b[1], r)
    low_1, high_1 = _edge(a[1], a[0], b[0], r), _edge(b[1], a[0], b[0], r)
    p, q = low_0 - high_0, low_1 - high_1
    first[0], first[1] = p + r * q, q + r * p
    h_0 = (a[0] * low_0 if low_0 > 0.0 else 0.0) - (b[0] * high_0 if high_0 > 0.0 else 0.0)
    h_1 = (a[1] * low_1 if low_1 > 0.0 else 0.0) - (b[1] * high_1 if high_1 > 0.0 else 0.0)
    corners = (1.0 - r * r) * (
        _corner(a[0], a[1], r)
        - _corner(a[0], b[1], r)
        - _corner(b[0], a[1], r)
        + _corner(b[0], b[1], r)
    )
    second[0, 0] = inside + h_0 + r * r * h_1 + r * corners
    second[1, 1] = inside + h_1 + r * r * h_0 + r * corners
    second[0, 1] = second[1, 0] = r * (inside + h_0 + h_1) + corners
    return inside


@njit(**COMPILED)
def unrecorded(form, box, weight, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The log probability of a box (2, O), and into ``found``, of zeros, the rows outside of it.

    They are those expected beside ``weight`` rows inside, of a form of the O features that the box
    bounds: of scales, or of matrices of one or two features.
    """
    k, o = form.shift.shape
    scales = form.structure & SCALES != 0
    a, b = np.empty(o), np.empty(o)
    means, sds = np.empty(o), np.empty(o)
    first, second = np.empty(o), np.empty((o, o))
    shares, total = np.empty(form.log_constant.size), 0.0
    for j in range(k, shares.size):  # noise lies inside
        shares[j] = math.exp(form.log_constant[j])
        total += shares[j]
    # In two turns: how many rows there are outside hangs on the probability of all.
    for turn in range(2):
        for j in range(k):
            g = 0 if form.structure & SHARED else j
            log_weight, r = form.log_constant[j] + 0.9189385332046727 * o, 0.0
            if scales:
                for i in range(o):
                    sds[i] = 1.0 / form.whiten[j, i]
                    means[i] = form.shift[j, i] * sds[i]
            else:
                w = form.whiten[g * o : (g + 1) * o]
                sds[0] = 1.0 / w[0, 0]
                means[0] = form.shift[j, 0] * sds[0]
                if o == 2:
                    low = 1.0 / w[1, 1]
                    across = -w[1, 0] * sds[0] * low
                    means[1] = across * form.shift[j, 0] + low * form.shift[j, 1]
                    sds[1] = math.sqrt(across * across + low * low)
                    r = across / sds[1]
                    log_weight += math.log(low / sds[1])
            for i in range(o):
                log_weight += math.log(sds[i])
                a[i], b[i] = (box[0, i] - means[i]) / sds[i], (box[1, i] - means[i]) / sds[i]
            if not scales and o == 2:
                inside = _plane(a, b, r, first, second)
            else:
                inside = 1.0
                for i in range(o):
                    chance, m1, m2 = _line(a[i], b[i])
                    inside *= chance
                    first[i] = m1 / chance if chance > 0.0 else 0.0
                    second[i, i] = m2 / chance if chance > 0.0 else 0.0
                for i in range(o):
                    first[i] *= inside
                    second[i, i] *= inside
            share = math.exp(log_weight)
            if turn == 0:
                shares[j] = share
                total += share * inside
                continue
            n = weight * share / total
            found.counts[j] = n * (1.0 - inside)
            for i in range(o):
                found.sums[j, i] = n * ((1.0 - inside) * means[i] - sds[i] * first[i])
            for i in range(o):
                for m in range(o):
                    if scales and i != m:
                        continue
                    both = 1.0 if i == m else r
                    value = n * (
                        (1.0 - inside) * means[i] * means[m]
                        - means[i] * sds[m] * first[m]
                        - means[m] * sds[i] * first[i]
                        + sds[i] * sds[m] * (both - second[i, m])
                    )
                    if scales:
                        found.scatters[0, j, i] = value
                    else:
                        found.scatters[g, i, m] += value
        if turn == 0:
            total = max(total, _LEAST)
            if found.counts.size == 0:
                break
    return math.log(total)
