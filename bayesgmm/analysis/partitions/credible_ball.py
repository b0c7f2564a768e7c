"""The credible ball around a partition: how far from it the posterior reaches.

An interval for a clustering: the smallest ball around the point partition, in the loss that
chose it, that holds the asked posterior mass, told by its extreme partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import Labels
from bayesgmm.analysis.partitions.loss import CrossTable, Floats, Loss, canonical
from bayesgmm.errors import DataError

#: Losses closer than this are equal: they differ by rounding.
_EQUAL = 1e-9


@dataclass(frozen=True, eq=False)
class CredibleBall:
    """Partitions within a radius of a centre, and the extreme ones among the draws.

    Attributes
    ----------
    center : DataArray (obs)
        The point partition.
    loss : {"vi", "binder"}
        The distance.
    mass : float
        Posterior probability that was asked for.
    covered : float
        Share of the draws in the ball; above ``mass`` where draws tie.
    radius : float
        The smallest that holds ``mass``.
    horizontal : DataArray (bound, obs)
        The draws in the ball farthest from the centre.
    upper : DataArray (bound, obs)
        Of those with the fewest clusters, the farthest.
    lower : DataArray (bound, obs)
        Of those with the most clusters, the farthest.

    References
    ----------
    Wade and Ghahramani (2018), Bayesian cluster analysis: point estimation and credible
    balls, Bayesian Analysis 13.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> post = bg.fit(bg.MixtureSpec(2), X, method="laplace", seed=1, draws=200)
    >>> ball = bg.partition(post, seed=1).credible_ball
    >>> ball.mass, ball.covered >= ball.mass, ball.center.values in ball
    (0.95, True, True)
    """

    center: xr.DataArray
    loss: Loss
    mass: float
    covered: float
    radius: float
    horizontal: xr.DataArray
    upper: xr.DataArray
    lower: xr.DataArray

    @classmethod
    def around(
        cls, center: xr.DataArray, draws: Labels, distance: Floats, loss: Loss, mass: float
    ) -> CredibleBall:
        """The ball that holds ``mass`` of the draws (S, N), at these distances (S,)."""
        held = max(ceil(mass * len(distance) - 1e-9), 1)  # draws, not one more by rounding
        radius = float(np.sort(distance)[held - 1])
        inside = distance <= radius + _EQUAL
        draws, widths = canonical(draws[inside])
        distance = distance[inside]

        def farthest(among: NDArray[np.bool_]) -> xr.DataArray:
            far = among & (distance >= distance[among].max() - _EQUAL)
            bounds = np.unique(draws[far], axis=0)
            return xr.DataArray(bounds, dims=("bound", "obs"), coords=center.coords)

        return cls(
            center,
            loss,
            mass,
            float(inside.mean()),
            radius,
            horizontal=farthest(np.full(len(draws), True)),
            upper=farthest(widths == widths.min()),
            lower=farthest(widths == widths.max()),
        )

    def distance(self, labels: Any) -> float:
        """Loss between the centre and a partition of the same rows."""
        return CrossTable.of(self.center.values, labels).loss(self.loss)

    def __contains__(self, labels: Any) -> bool:
        if np.shape(labels) != self.center.shape:
            raise DataError(
                f"The ball is of partitions of {len(self.center)} rows, got shape "
                f"{np.shape(labels)}."
            )
        return self.distance(labels) <= self.radius + _EQUAL

    def __repr__(self) -> str:
        unit = " bits" if self.loss == "vi" else ""
        fewest, most = _numbers(self.upper)[0], _numbers(self.lower)[0]
        numbers = f"{fewest} to {most}" if fewest < most else f"{most}"
        far = " or ".join(map(str, _numbers(self.horizontal)))
        return (
            f"{self.mass * 100:g} % credible ball: draws within {self.radius:.3g}{unit}, of "
            f"{numbers} cluster{'s' * (most != 1)}; the farthest has {far}"
        )


def _numbers(bound: xr.DataArray) -> list[int]:
    """Numbers of clusters of the partitions at a bound."""
    return sorted({len(np.unique(labels)) for labels in bound.values})
