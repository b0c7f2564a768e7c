"""The average of S mixtures as what it is, one mixture of S K normals; numbers, no names.

Averaged over the draws, a mixture of K normals has a component for every draw and component.
Marginals, conditionals and moments of a predictive distribution are those of this one large
mixture, so conditioning weighs draws as well as components by how well they explain what
was given, and p(x) p(y | x) is p(x, y), as it must be.  Weights are kept as logarithms: what
seems impossible given one feature can be the only explanation of the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread, over_slices
from bayesgmm.errors import SpecError
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import CHUNK, Rows
from bayesgmm.expectation.statistics import row_log_density
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.options import SEED, generator, seed_value, shown
from bayesgmm.predictive.generation import Cells, spread_points
from bayesgmm.predictive.regions import REPLICATES, Levels, checked_points
from bayesgmm.predictive.univariate import UnivariateMixture

Floats = NDArray[np.float64]

#: Which draws data are generated from: all, the mean parameters, or one by its number.
Draw = int | Literal["all", "mean"]
_GROUP = 48  # components given to one call of the pass: few calls, and scratch stays in cache


@dataclass(frozen=True, eq=False)
class AveragedMixture:
    """S K normals: ``log_weights`` (S, K), ``means`` (S, K, D), ``scale_tril`` (S, K, D, D).

    The weights of all of them together sum to one.
    """

    log_weights: Floats
    means: Floats
    scale_tril: Floats

    @classmethod
    def of(cls, parameters: MixtureParameters) -> AveragedMixture:
        """Mixtures of any batch shape, each counted alike."""
        flat = parameters.flat()
        with np.errstate(divide="ignore"):
            log_weights = np.log(flat.weights) - np.log(len(flat.weights))
        return cls(log_weights, flat.means, flat.scale_tril)

    @property
    def n_draws(self) -> int:
        """S."""
        return len(self.log_weights)

    @cached_property
    def weights(self) -> Floats:
        """Weights (S, K); those too small for a double are 0."""
        weights = np.exp(self.log_weights)
        return weights / weights.sum()

    @cached_property
    def draw_weights(self) -> Floats:
        """Weight of each draw (S,): 1 / S each until something is conditioned on."""
        return self.weights.sum(axis=1)

    @cached_property
    def parameters(self) -> MixtureParameters:
        """The mixture of each draw by itself, batch shape (S,)."""
        weights = np.exp(self.log_weights - self.log_weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return MixtureParameters(weights, self.means, self.scale_tril)

    def mean_parameters(self) -> MixtureParameters:
        """One mixture, batch shape (1,): mean weights, means and covariances."""
        p = self.parameters
        if self.n_draws == 1:
            return p
        return MixtureParameters.from_covariances(
            *(
                np.einsum("s,s...->...", self.draw_weights, values)[None]
                for values in (p.weights, p.means, p.covariances)
            )
        )

    def mean(self) -> Floats:
        """Expectation (D,)."""
        return np.einsum("sk,skd->d", self.weights, self.means)

    def covariance(self) -> Floats:
        """Covariance (D, D): within components, between them, and of draws."""
        deviation = self.means - self.mean()
        within = np.einsum("sk,skij,sklj->il", self.weights, self.scale_tril, self.scale_tril)
        return within + np.einsum("sk,ski,skl->il", self.weights, deviation, deviation)

    @cached_property
    def _groups(self) -> list[PrecisionForm]:
        """The components in groups, as the pass reads them, about the mean."""
        center = self.mean()
        kept = self.log_weights > -np.inf
        weights, means, tril = self.log_weights[kept], self.means[kept], self.scale_tril[kept]
        forms = [
            PrecisionForm.of(
                Point(
                    weights[part],
                    np.ascontiguousarray(means[part] - center),
                    np.ascontiguousarray(tril[part]),
                ),
                STRUCTURES["full"].code,
            )
            for part in (slice(i, i + _GROUP) for i in range(0, len(weights), _GROUP))
        ]
        return forms

    def log_density(self, x: Floats) -> Floats:
        """Log density (N,) of rows (N, D)."""
        first, *others = self._groups
        rows, out = Rows.of(x, self.mean()), np.empty(len(x))

        def one(part: slice) -> None:
            chunk = rows.part(part)
            total = row_log_density(chunk, first)
            for form in others:
                np.logaddexp(total, row_log_density(chunk, form), out=total)
            out[part] = total

        with one_blas_thread():
            over_slices(one, len(x), CHUNK, available_cores(None))
        return out

    def marginal(self, features: Sequence[int]) -> AveragedMixture:
        """Of some features, in the order given."""
        some = self.parameters.marginal(features)
        return AveragedMixture(self.log_weights, some.means, some.scale_tril)

    def condition(self, given: Mapping[int, float]) -> AveragedMixture:
        """Of the other features where these have these values."""
        seen, rest = self.parameters.marginal(list(given)), self.parameters.condition(given)
        log_weights = self.log_weights + _log_densities(seen, np.array(list(given.values())))
        log_weights -= log_weights.max()  # first: beside it a far value's sum is lost
        log_weights -= np.log(np.exp(log_weights).sum())
        return AveragedMixture(log_weights, rest.means, rest.scale_tril)

    @cached_property
    def line(self) -> UnivariateMixture:
        """The mixture on the line; of one feature only."""
        return UnivariateMixture.of(self.weights, self.means[..., 0], self.scale_tril[..., 0, 0])

    def cells(self, draw: Draw = "all") -> Cells:
        """The normals that data come from."""
        if isinstance(draw, str):
            if draw == "all":
                every = np.arange(self.n_draws)
                return Cells.of(self.weights, self.means, self.scale_tril, draws=every)
            if draw == "mean":
                mean = self.mean_parameters()
                return Cells.of(mean.weights, mean.means, mean.scale_tril, draws=np.array([-1]))
        elif (
            isinstance(draw, (int, np.integer))
            and not isinstance(draw, bool)
            and (0 <= draw < self.n_draws)
        ):
            one = self.parameters[draw : draw + 1]
            return Cells.of(one.weights, one.means, one.scale_tril, draws=np.array([draw]))
        raise SpecError(
            f"draw must be 'all', 'mean', or a number from 0 to {self.n_draws - 1}, got "
            f"{shown(draw)}."
        )

    @cached_property
    def _kept_levels(self) -> dict[tuple[int, int], Levels]:
        return {}

    def levels(self, points: int, seed: Any) -> Levels:
        """Log densities at the mixture's own points; kept, for the same number and seed."""
        log2_size = checked_points(points)
        seed = SEED("seed", seed)
        key = (points, seed) if isinstance(seed, int) else None
        if key in self._kept_levels:
            return self._kept_levels[key]
        # SciPy spawns from what it is given, and a caller's Generator is not to be spawned from.
        rng, cells = generator(seed_value(seed)), self.cells()
        sets = [spread_points(cells, log2_size, rng) for _ in range(REPLICATES)]
        found = Levels.of(self.log_density(np.concatenate(sets)).reshape(REPLICATES, -1))
        if key is not None:
            self._kept_levels[key] = found
        return found


def _log_densities(seen: MixtureParameters, at: Floats) -> Floats:
    """Log density (S, K) of each component at one point (D,)."""
    white = np.linalg.solve(seen.scale_tril, (at - seen.means)[..., None])[..., 0]
    with np.errstate(over="ignore"):
        distance = np.minimum((white**2).sum(-1), 1e300)  # a far value stays finite
    diagonal = np.diagonal(seen.scale_tril, axis1=-2, axis2=-1)
    return -0.5 * (distance + at.size * np.log(2 * np.pi)) - np.log(diagonal).sum(-1)
