"""Highest-density regions and tail probabilities, from the density's own levels.

A region of highest density is where the density exceeds a level, and the level is a quantile
of the density at the distribution's own points: one number, whatever the number of
dimensions (Hyndman 1996).  The same levels turn a point's density into the probability of
anything less likely, which is uniform on data from the model, so that a threshold on it is
a false-alarm rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.options import Kind, whole

Floats = NDArray[np.float64]

#: Sets of points that are made independently: their spread is the Monte Carlo error.
REPLICATES = 16
#: Points of all sets together, where nothing else is asked for.
POINTS = 65_536
_MOST_POINTS = 2**30  # what Sobol points have bits for


def _power_of_two(value: Any) -> int:
    number = whole(2 * REPLICATES, _MOST_POINTS).read(value)
    if number & (number - 1):
        raise ValueError
    return number


_POWER_OF_TWO = Kind(
    f"a power of two from {2 * REPLICATES} to {_MOST_POINTS:,}, such as {POINTS}", _power_of_two
)


class Density(Protocol):
    """What has a log density at rows."""

    def log_density(self, data: Any) -> xr.DataArray: ...


@dataclass(frozen=True, eq=False, repr=False)
class HighestDensityRegion:
    """Where the density exceeds a level: the smallest region of a given probability.

    Attributes
    ----------
    mass : float
        Its probability.
    log_threshold : float
        Log density at its boundary.
    log_threshold_error : float
        Monte Carlo standard error of that; 0 in one dimension, where the level is exact.
    mass_error : float
        The same error as one of the region's probability.
    intervals : DataArray or None
        In one dimension, the intervals (interval, bound) that it consists of; several where
        the density has several peaks.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> region = fit.predictive.region(0.5)
    >>> region.contains([[4.4, 80.0], [3.0, 65.0]]).values
    array([ True, False])
    """

    mass: float
    log_threshold: float
    log_threshold_error: float
    mass_error: float
    intervals: xr.DataArray | None
    distribution: Density

    def contains(self, data: Any) -> xr.DataArray:
        """Whether each row (obs) lies in the region.

        Raises
        ------
        DataError
            For rows with holes or errors of measurement, whose densities are of something else;
            ``anomaly_score(rows) >= 1 - mass`` asks the same of what was seen of them.
        """
        if isinstance(data, Observations) and not data.seen_whole:
            raise DataError(
                "A region is of whole rows, and some of these have holes or errors of measurement; "
                "ask whether anomaly_score(rows) >= 1 - mass, which holds each against what would "
                "be seen of a row like it."
            )
        inside = self.distribution.log_density(data) >= self.log_threshold
        return inside.rename("inside")

    def __repr__(self) -> str:
        if self.intervals is None:
            error = f" ± {self.log_threshold_error:.2g}"
            where = f"log density above {self.log_threshold:.4g}{error}"
        else:
            where = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in self.intervals.values)
        return f"HighestDensityRegion({self.mass:g}: {where})"


@dataclass(frozen=True, eq=False)
class Levels:
    """Log densities (R, M) at the distribution's own points, in R independent sets.

    Each set in ascending order, and ``pooled`` (R M,) all of them.
    """

    FEWEST: ClassVar[int] = 10  # points beyond a level, without which it is a guess

    sets: Floats
    pooled: Floats

    @classmethod
    def of(cls, log_densities: Floats) -> Levels:
        return cls(np.sort(log_densities, axis=1), np.sort(log_densities, axis=None))

    def tail_probability(self, log_density: Floats) -> Floats:
        """Share of the distribution that is no more likely; never 0, because it is estimated."""
        below = np.searchsorted(self.pooled, log_density, side="right")
        return np.asarray((below + 1.0) / (len(self.pooled) + 1.0), dtype=np.float64)

    def threshold(self, mass: float) -> tuple[float, float, float]:
        """Level of a region of this mass, its standard error, and that of the mass."""
        self.require(1 - mass, f"A region of mass {mass:g}")
        self.require(mass, f"A region of mass {mass:g}")
        level = np.quantile(self.pooled, 1 - mass)
        each = np.quantile(self.sets, 1 - mass, axis=1)
        shares = (self.sets < level).mean(axis=1)
        root = np.sqrt(len(each))
        return float(level), float(each.std(ddof=1) / root), float(shares.std(ddof=1) / root)

    @classmethod
    def needed(cls, tail: float) -> int:
        """Points, a power of two, of which enough lie in such a tail."""
        return 2 ** int(np.ceil(np.log2(cls.FEWEST / tail)))

    def require(self, tail: float, what: str) -> None:
        """Refuse probabilities beyond which too few of the points lie."""
        if tail * len(self.pooled) < self.FEWEST:
            needed = self.needed(tail)
            raise SpecError(
                f"{what} leaves {tail * len(self.pooled):.2g} of {len(self.pooled):,} points "
                f"beyond its boundary, too few to place it; pass points={needed}.",
                points=needed,
            )


def checked_points(points: Any) -> int:
    """log2 of the points in each set, or a refusal."""
    return (_POWER_OF_TWO("points", points) // REPLICATES).bit_length() - 1
