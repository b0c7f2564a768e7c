"""A covariance structure under check: rows, places to try it at, and what it says of sharing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.structure import Covariance, Structure
from bayesgmm.options import generator

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A structure with rows and places to try it at."""

    name: Covariance
    k: int
    d: int
    seed: int

    @property
    def spec(self) -> MixtureSpec:
        return MixtureSpec(self.k, self.name)

    @property
    def structure(self) -> Structure:
        return self.spec.structure

    @cached_property
    def rows(self) -> Observations:
        """Rows in units that differ, far from zero."""
        rng = generator(self.seed)
        x = rng.normal(size=(40, self.d)) + 2.0 * rng.integers(0, self.k, size=(40, 1))
        return Observations(x * np.geomspace(0.1, 10, self.d) + 100, resolution=0)

    def density(
        self, rows: Observations | None = None, *, jacobian: bool = True, prior: bool = True
    ) -> LogPosterior:
        some = self.rows if rows is None else rows
        return LogPosterior(self.spec, some, jacobian=jacobian, prior=prior)

    @cached_property
    def theta(self) -> Array:
        """Places (4, P) about the middle of the data."""
        return np.asarray(0.4 * generator(self.seed + 1).normal(size=(4, self.density().size)))

    @cached_property
    def mixtures(self) -> MixtureParameters:
        """The mixtures (4,) there."""
        return self.density().constrain(self.theta)


def differences(function: Callable[[Array], Any], theta: Array, step: float = 1e-5) -> Array:
    """Central differences, the last axis of which is that of theta."""
    steps = step * np.eye(len(theta))
    return np.stack([(function(theta + e) - function(theta - e)) / (2 * step) for e in steps], -1)


def free_entries(case: Case, density: LogPosterior, theta: Array) -> Array:
    """The free entries of (w, mu, sigma, R) on the standardised scale, without the structure's
    own words for them: what it says of sharing, said again."""
    p = density.constrain(theta)
    owners = slice(0, 1) if case.structure.shared else slice(None)
    sigma = (p.scales / density.scale)[owners]
    means = (p.means - density.scaling.center) / density.scale
    parts = [p.weights[:-1], means.ravel()]
    parts.append((sigma[:, :1] if case.structure.round else sigma).ravel())
    if case.structure.matrices:
        i, j = np.tril_indices(case.d, -1)
        parts.append(p.correlations[owners][:, i, j].ravel())
    return np.concatenate(parts)
