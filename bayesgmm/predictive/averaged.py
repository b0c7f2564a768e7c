"""The average of S mixtures as what it is, one mixture of S K normals; numbers, no names.

Averaged over the draws, a mixture of K normals has a component for every draw and component.
Marginals, conditionals and moments of a predictive distribution are those of this one large
mixture, so conditioning weighs draws as well as components by how well they explain what
was given, and p(x) p(y | x) is p(x, y), as it must be.  Weights are kept as logarithms: what
seems impossible given one feature can be the only explanation of the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayesgmm.compiled.threads import available_cores, one_blas_thread, over_slices
from bayesgmm.data.observations import Observations
from bayesgmm.errors import SpecError
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import CHUNK, Rows, uniform_log_density
from bayesgmm.expectation.statistics import row_log_density
from bayesgmm.mixture.conditioning import factor_of
from bayesgmm.mixture.noise import Noise
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

    The weights of all of them together sum to one, with those of noise, ``log_noise`` (S,), which
    is uniform over a ``box`` (2, D), where there is any.
    """

    log_weights: Floats
    means: Floats
    scale_tril: Floats
    log_noise: Floats | None = None
    box: Floats | None = None

    @classmethod
    def of(cls, parameters: MixtureParameters) -> AveragedMixture:
        """Mixtures of any batch shape, each counted alike."""
        flat = parameters.flat()
        with np.errstate(divide="ignore"):
            log_weights = np.log(flat.weights) - np.log(len(flat.weights))
            if flat.noise is None:
                return cls(log_weights, flat.means, flat.scale_tril)
            log_noise = np.log(flat.noise.weight) - np.log(len(flat.weights))
        return cls(log_weights, flat.means, flat.scale_tril, log_noise, flat.noise.box)

    @property
    def n_draws(self) -> int:
        """S."""
        return len(self.log_weights)

    @cached_property
    def weights(self) -> Floats:
        """Weights (S, K); those too small for a double are 0."""
        weights = np.exp(self.log_weights)
        noise = 0.0 if self.log_noise is None else np.exp(self.log_noise).sum()
        return np.asarray(weights / (weights.sum() + noise))

    @cached_property
    def noise_weights(self) -> Floats:
        """Weights of noise (S,), 0 without."""
        if self.log_noise is None:
            return np.zeros(self.n_draws)
        weights = np.exp(self.log_noise)
        return np.asarray(weights / (weights.sum() + np.exp(self.log_weights).sum()))

    @cached_property
    def draw_weights(self) -> Floats:
        """Weight of each draw (S,): 1 / S each until something is conditioned on."""
        return self.weights.sum(axis=1) + self.noise_weights

    @property
    def noise(self) -> Noise | None:
        """Of all draws together, with its weight among all."""
        if self.log_noise is None:
            return None
        return Noise(np.asarray(self.noise_weights.sum()), self.box)

    @cached_property
    def parameters(self) -> MixtureParameters:
        """The mixture of each draw by itself, batch shape (S,)."""
        logs = self.log_weights
        if self.log_noise is not None:
            logs = np.concatenate([logs, self.log_noise[:, None]], axis=1)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        noise = None if self.log_noise is None else Noise(weights[:, -1], self.box)
        weights = weights[:, : self.log_weights.shape[1]]
        return MixtureParameters(weights, self.means, self.scale_tril, noise)

    def mean_parameters(self) -> MixtureParameters:
        """One mixture, batch shape (1,): mean weights, means and covariances."""
        p = self.parameters
        if self.n_draws == 1:
            return p

        def mean(values: Floats) -> Floats:
            return np.einsum("s,s...->...", self.draw_weights, values)[None]

        noise = None if p.noise is None else Noise(mean(p.noise.weight), self.box)
        parts = np.sqrt(self.draw_weights)[:, None, None, None] * self.scale_tril
        s, k, d, _ = parts.shape  # side by side, whose product is the mean covariance
        tril = factor_of(parts.transpose(1, 2, 0, 3).reshape(1, k, d, s * d))
        return MixtureParameters(mean(p.weights), mean(p.means), tril, noise)

    def mean(self) -> Floats:
        """Expectation (D,)."""
        mean = np.einsum("sk,skd->d", self.weights, self.means)
        if (noise := self.noise) is not None:
            mean = mean + noise.weight * noise.required_box.mean(axis=0)
        return np.asarray(mean)

    def covariance(self) -> Floats:
        """Covariance (D, D): within components, between them, and of draws."""
        deviation = self.means - self.mean()
        within = np.einsum("sk,skij,sklj->il", self.weights, self.scale_tril, self.scale_tril)
        total = within + np.einsum("sk,ski,skl->il", self.weights, deviation, deviation)
        if (noise := self.noise) is not None:
            low, high = noise.required_box
            away = 0.5 * (low + high) - self.mean()
            total = total + noise.weight * (np.diag((high - low) ** 2 / 12) + np.outer(away, away))
        return np.asarray(total)

    @cached_property
    def _groups(self) -> list[PrecisionForm]:
        """The components in groups, as the pass reads them, about the mean."""
        center = self._center
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

    @cached_property
    def _center(self) -> Floats:
        """Where densities are computed, so that data far from zero lose no digits."""
        return np.einsum("sk,skd->d", softmax(self.log_weights), self.means)

    def log_density(self, data: Observations) -> Floats:
        """Log density (N,) of rows, of what was seen of them, with the error it was seen with."""
        first, *others = self._groups
        rows = Rows.of(data.matrix, self._center, errors=data.views.errors)
        out = np.empty(data.n_rows)

        def one(part: slice) -> None:
            chunk = rows.part(part)
            total = row_log_density(chunk, first)
            for form in others:
                np.logaddexp(total, row_log_density(chunk, form), out=total)
            out[part] = total

        with one_blas_thread():
            over_slices(one, data.n_rows, CHUNK, available_cores(None))
        if (noise := self.noise) is not None:
            with np.errstate(divide="ignore"):
                out = np.logaddexp(
                    out, np.log(noise.weight) + noise.log_density(data.table_in_memory)
                )
        if data.has_holes:  # each part of the components has all the mass of nothing
            out[data.empty] = 0.0
        return out

    def marginal(self, features: Sequence[int]) -> AveragedMixture:
        """Of some features, in the order given."""
        some = self.parameters.marginal(features)
        box = None if self.box is None else self.box[:, list(features)]
        return AveragedMixture(self.log_weights, some.means, some.scale_tril, self.log_noise, box)

    def of_fewer_draws(self, most: int) -> AveragedMixture:
        """About the same with ``most`` draws at most: each taken as often as its weight says."""
        if self.n_draws <= most:
            return self
        upto = np.cumsum(self.draw_weights)
        chosen = np.searchsorted(upto, (np.arange(most) + 0.5) / most * upto[-1])
        shift = np.log(self.draw_weights[chosen]) + np.log(most)
        own = AveragedMixture(
            self.log_weights[chosen] - shift[:, None], self.means[chosen], self.scale_tril[chosen]
        )
        if self.log_noise is None:
            return own
        return replace(own, log_noise=self.log_noise[chosen] - shift, box=self.box)

    def as_seen(self, features: Sequence[int], errors: Floats | None) -> AveragedMixture:
        """Of some features, measured with errors of a covariance: what is seen of a row.

        Noise is what was seen, errors included.
        """
        own = self if len(features) == self.means.shape[-1] else self.marginal(features)
        if errors is None:
            return own
        variances, axes = np.linalg.eigh(errors)
        root = axes * np.sqrt(np.maximum(variances, 0.0))  # of a matrix that may be singular
        tril = own.scale_tril
        both = np.concatenate([tril, np.broadcast_to(root, tril.shape)], axis=-1)
        return replace(own, scale_tril=factor_of(both))

    def condition(self, given: Mapping[int, float]) -> AveragedMixture:
        """Of the other features where these have these values."""
        # Of even weights: a component's own may be below the smallest number, but for its log.
        log_noise = None if self.log_noise is None else np.zeros_like(self.log_noise)
        even = replace(self, log_weights=np.zeros_like(self.log_weights), log_noise=log_noise)
        seen, rest = even.parameters.marginal(list(given)), even.parameters.condition(given)
        at = np.array(list(given.values()))
        logs = [self.log_weights + _log_densities(seen, at)]
        if seen.noise is not None:
            here = uniform_log_density(seen.noise.required_box, at[None])[0]
            logs.append((self.log_noise + here)[:, None])
        both = np.concatenate(logs, axis=1)
        both -= both.max()  # first: beside it a far value's sum is lost
        both -= np.log(np.exp(both).sum())
        log_weights = np.ascontiguousarray(both[:, : self.log_weights.shape[1]])
        if rest.noise is None:
            return AveragedMixture(log_weights, rest.means, rest.scale_tril)
        return AveragedMixture(
            log_weights, rest.means, rest.scale_tril, both[:, -1], rest.noise.box
        )

    @cached_property
    def line(self) -> UnivariateMixture:
        """The mixture on the line; of one feature only."""
        shares = softmax(self.log_weights)
        normals = UnivariateMixture.of(shares, self.means[..., 0], self.scale_tril[..., 0, 0])
        if (noise := self.noise) is None:
            return normals
        return normals.beside_uniform(float(noise.weight), *noise.required_box[:, 0].tolist())

    def cells(self, draw: Draw = "all") -> Cells:
        """The normals that data come from."""
        if isinstance(draw, str):
            if draw == "all":
                every = np.arange(self.n_draws)
                noise = None if self.log_noise is None else Noise(self.noise_weights, self.box)
                return Cells.of(self.weights, self.means, self.scale_tril, draws=every, noise=noise)
            if draw == "mean":
                mean = self.mean_parameters()
                return Cells.of(
                    mean.weights,
                    mean.means,
                    mean.scale_tril,
                    draws=np.array([-1]),
                    noise=mean.noise,
                )
        elif (
            isinstance(draw, (int, np.integer))
            and not isinstance(draw, bool)
            and (0 <= draw < self.n_draws)
        ):
            one = self.parameters[draw : draw + 1]
            return Cells.of(
                one.weights, one.means, one.scale_tril, draws=np.array([draw]), noise=one.noise
            )
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
        made = Observations(np.concatenate(sets), resolution=0)
        found = Levels.of(self.log_density(made).reshape(REPLICATES, -1))
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
