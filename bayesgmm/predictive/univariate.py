"""Mixtures of normals on the line: distribution function, quantiles, modes and regions.

In one dimension everything is exact: a distribution function is a sum of error functions,
a quantile its root, modes and valleys are roots of the slope, and between them the density
is monotone, so a highest-density region is a handful of intervals.  A predictive
distribution has a component for every draw and component, thousands of them, so the sums
are compiled; roots are found by bisection, which no shape of density leads astray.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.errors import FitError

Floats = NDArray[np.float64]

_NEGLIGIBLE = 1e-17  # of the largest weight: thousands of such components are below rounding
_FAR = 38.0  # standard deviations beyond which a density is below the smallest double


class UnivariateMixture(NamedTuple):
    """Weights (J,), means (J,) and standard deviations (J,) of normals on the line.

    Beside them a ``share`` may be uniform from ``low`` to ``high``.
    """

    weights: Floats
    means: Floats
    scales: Floats
    share: float = 0.0
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, weights: Floats, means: Floats, scales: Floats) -> UnivariateMixture:
        """From arrays of one shape, without the components that do not count."""
        kept = weights > _NEGLIGIBLE * weights.max()
        weights = weights[kept]
        return cls(weights / weights.sum(), means[kept], scales[kept])

    def beside_uniform(self, share: float, low: float, high: float) -> UnivariateMixture:
        """The same with a share that is uniform."""
        return UnivariateMixture(
            self.weights * (1 - share), self.means, self.scales, share, low, high
        )

    def cdf(self, points: Floats) -> Floats:
        """Probability of values up to each point."""
        out = np.empty(len(points))
        _cdf(points, *self, out)
        return out

    def density(self, points: Floats) -> Floats:
        """Density at each point."""
        out = np.empty((2, len(points)))
        _density_and_slope(points, *self, out[0], out[1])
        return out[0]

    def quantile(self, probabilities: Floats) -> Floats:
        """Values below which these probabilities (0 < q < 1) lie, to rounding."""
        from scipy.special import ndtri

        out = np.empty(len(probabilities))
        for i, q in enumerate(probabilities):
            # The upper half by reflection, so that both tails keep their digits.
            sign, tail = (1.0, q) if q <= 0.5 else (-1.0, 1.0 - q)
            centers = sign * self.means
            reached = centers + ndtri(tail) * self.scales  # of each component by itself
            ends = sorted([sign * self.low, sign * self.high])
            if self.share:
                reached = np.append(reached, ends[0] + tail * (ends[1] - ends[0]))
            mirrored = (self.weights, centers, self.scales, self.share, *ends)
            out[i] = sign * _quantile(tail, *mirrored, reached.min(), reached.max())
        return out

    def turning_points(self) -> tuple[Floats, Floats]:
        """Modes (M,) and the valleys (M - 1,) between them, each in ascending order."""
        # Both sides of every mean: a component that stands alone has its mode between them.
        candidates = np.concatenate([self.means - self.scales / 4, self.means + self.scales / 4])
        widths = np.concatenate([self.scales, self.scales])
        order = np.argsort(candidates)
        found = _turning_points(candidates[order], widths[order], *self[:3])
        return found[::2], found[1::2]

    def region(self, mass: float) -> tuple[Floats, float]:
        """Intervals (I, 2) of highest density with this probability, and their density level."""
        from scipy.optimize import brentq

        modes, valleys = self.turning_points()
        # Ends of the pieces on which the density is monotone, rising first.
        reach: list[Any] = [
            (self.means - _FAR * self.scales).min(),
            (self.means + _FAR * self.scales).max(),
        ]
        steps: list[Any] = []
        if self.share:  # the density falls by a step on both sides of the uniform part
            outside = np.nextafter([self.low, self.high], [-np.inf, np.inf])
            width = self.high - self.low
            steps = [self.low, self.high, *outside]
            # The components' own stays: bisection from the ends of a wide box would not resolve it.
            reach += [min(reach[0], self.low - width), max(reach[1], self.high + width)]
        ends = np.sort(np.concatenate([reach, modes, valleys, steps]))
        heights = self.density(ends)
        highest = heights.max()

        def intervals(log_level: float) -> Floats:
            crossed = np.empty(len(ends) + 1)
            found = _crossings(highest * math.exp(log_level), ends, heights, *self, crossed)
            return crossed[:found].reshape(-1, 2)

        def surplus(log_level: float) -> float:
            return float(np.diff(self.cdf(intervals(log_level).ravel()))[::2].sum()) - mass

        within = surplus(-1e-14) < 0 < surplus(-700.0)
        level = brentq(surplus, -700.0, -1e-14, xtol=1e-13) if within else 0.0
        if self.share and not (within and abs(surplus(level)) <= 1e-6):
            raise FitError(
                f"A region of mass {mass:g} ends where the density is that of noise, the same "
                "everywhere; ask for another mass."
            )
        if not within:
            raise FitError(
                f"A region of mass {mass:g} cannot be told from one point or from the whole line; "
                "ask for a mass farther from 0 and 1."
            )
        return intervals(level), float(highest * math.exp(level))


@njit(**COMPILED)
def _cdf(points, weights, means, scales, share, low, high, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Distribution function at each point into ``out``."""
    for i in range(points.size):
        total = 0.0
        for j in range(weights.size):
            total += weights[j] * math.erfc((means[j] - points[i]) / scales[j] * math.sqrt(0.5))
        inside = min(max((points[i] - low) / (high - low), 0.0), 1.0)
        out[i] = 0.5 * total + share * inside


@njit(**COMPILED)
def _density_and_slope(points, weights, means, scales, share, low, high, density, slope):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Density and its derivative at each point into ``density`` and ``slope``."""
    for i in range(points.size):
        f = 0.0
        g = 0.0
        for j in range(weights.size):
            z = (points[i] - means[j]) / scales[j]
            if abs(z) < 38.0:
                t = weights[j] * math.exp(-0.5 * z * z) / scales[j]
                f += t
                g -= t * z / scales[j]
        density[i] = 0.3989422804014327 * f
        if share > 0.0 and low <= points[i] <= high:
            density[i] += share / (high - low)
        slope[i] = 0.3989422804014327 * g


@njit(**COMPILED)
def _quantile(q, weights, means, scales, share, begin, end, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Root of the distribution function at q between ``low`` and ``high``: Newton, held in."""
    at = np.empty(1)
    value = np.empty(1)
    density = np.empty(1)
    slope = np.empty(1)
    at[0] = 0.5 * (low + high)
    narrowest = scales[0]
    for j in range(scales.size):
        narrowest = min(narrowest, scales[j])
    for _ in range(200):
        _cdf(at, weights, means, scales, share, begin, end, value)
        if value[0] < q:
            low = at[0]
        else:
            high = at[0]
        _density_and_slope(at, weights, means, scales, share, begin, end, density, slope)
        step = at[0] - (value[0] - q) / density[0]
        if not low < step < high:  # also where the density underflows
            step = 0.5 * (low + high)
        moved = abs(step - at[0])
        at[0] = step
        if moved <= 1e-15 * (abs(step) + narrowest):
            break
    return at[0]


@njit(**COMPILED)
def _turning_points(candidates, widths, weights, means, scales):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Modes and valleys in turn, modes first and last, from signs of the slope on a grid.

    The grid goes through the candidates in order, an eighth of a standard deviation apart
    where they are dense, with up to eight points in every gap.
    """
    n = candidates.size
    grid = np.empty(8 * n + 1)
    grid[0] = candidates[0]
    size = 1
    for i in range(1, n):
        gap = candidates[i] - grid[size - 1]
        if i < n - 1 and gap <= 0.125 * widths[i]:
            continue
        pieces = min(8, int(min(8.0, gap / (0.125 * widths[i]))) + 1)
        last = grid[size - 1]
        for p in range(1, pieces + 1):
            grid[size] = last + gap * p / pieces
            size += 1
    grid = grid[:size]
    density = np.empty(size)
    slope = np.empty(size)
    _density_and_slope(grid, weights, means, scales, 0.0, 0.0, 1.0, density, slope)
    slope[0] = 1.0  # below every mean the density rises, above every mean it falls
    slope[size - 1] = -1.0
    found = np.empty(size)
    count = 0
    middle = np.empty(1)
    f = np.empty(1)
    g = np.empty(1)
    for i in range(size - 1):
        rises = slope[i] > 0.0
        if rises == (slope[i + 1] > 0.0):
            continue
        low, high = grid[i], grid[i + 1]
        for _ in range(60):
            middle[0] = 0.5 * (low + high)
            if middle[0] <= low or middle[0] >= high:
                break
            _density_and_slope(middle, weights, means, scales, 0.0, 0.0, 1.0, f, g)
            if (g[0] > 0.0) == rises:
                low = middle[0]
            else:
                high = middle[0]
        found[count] = 0.5 * (low + high)
        count += 1
    return found[:count].copy()


@njit(**COMPILED)
def _crossings(level, ends, heights, weights, means, scales, share, begin, end, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Where the density crosses ``level``, ascending, into ``out``; returns how many there are.

    Between neighbouring ``ends`` the density is monotone.
    """
    middle = np.empty(1)
    f = np.empty(1)
    g = np.empty(1)
    count = 0
    for i in range(ends.size - 1):
        above = heights[i] > level
        if above == (heights[i + 1] > level):
            continue
        low, high = ends[i], ends[i + 1]
        for _ in range(60):
            middle[0] = 0.5 * (low + high)
            _density_and_slope(middle, weights, means, scales, share, begin, end, f, g)
            if (f[0] > level) == above:
                low = middle[0]
            else:
                high = middle[0]
        out[count] = 0.5 * (low + high)
        count += 1
    return count
