"""Fitting a mixture to each class: one joint mixture of which each class has its own components.

Known labels are part of the data (``Observations(allowed=...)``), so a joint fit knows
missing values, weights, rows of unknown class and every method, and covariances that are
tied over all components are those that all classes share.  Two cases are no joint mixture:
components tied within a class alone, which are fitted class by class, and classes that share parts
of their covariances, which ``shared_parts`` computes from scatter matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.observations import Observations
from bayesgmm.errors import BayesGMMError
from bayesgmm.inference import fitting
from bayesgmm.interface.sklearn.shared_parts import Part, covariances_sharing
from bayesgmm.methods import MAP, Method, Search
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.structure import STRUCTURES, Covariance, Structure
from bayesgmm.result.fit import MixtureFit

Array = NDArray[np.float64]

#: The covariance of all components where each had its own, and the other way round.
TIED: dict[Covariance, Covariance] = {
    "full": "tied", "diag": "tied-diag", "spherical": "tied-spherical",
}  # fmt: skip
UNTIED = {tied: own for own, tied in TIED.items()}


@dataclass(frozen=True)
class LabelledRows:
    """Distinct rows (N, D), their classes (N,), -1 where not known, and how often each is there.

    In one order whatever the order they came in, so that weights and repeated rows give the
    same fit to the last digit.
    """

    values: Array
    codes: NDArray[np.int64]
    counts: Array
    resolution: Array
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, observations: Observations, codes: NDArray[np.int64], weights: Array | None
    ) -> LabelledRows:
        """Rows with weight, equal ones put together."""
        each: Array = np.ones(len(codes)) if weights is None else weights
        kept = each > 0
        values, codes, each = observations.matrix[kept] + 0.0, codes[kept], each[kept]
        resolution = observations.part(np.flatnonzero(kept)).resolution
        order = np.lexsort((*values.T[::-1], codes))
        values, codes, each = values[order], codes[order], each[order]
        gone = np.isnan(values)
        same = (values[1:] == values[:-1]) | (gone[1:] & gone[:-1])
        first = np.append(True, (codes[1:] != codes[:-1]) | ~same.all(axis=1))
        counts = np.bincount(np.cumsum(first) - 1, each)
        return cls(values[first], codes[first], counts, resolution, observations.names)

    @property
    def all_known(self) -> bool:
        """Whether the class of every row is known."""
        return bool((self.codes >= 0).all())

    @property
    def complete(self) -> bool:
        """Whether every value was seen."""
        return not np.isnan(self.values).any()

    def class_counts(self, n_classes: int) -> Array:
        """Rows (C,) that are known to be of each class."""
        known = self.codes >= 0
        return np.bincount(self.codes[known], self.counts[known], n_classes)

    def observations(self, where: Any = slice(None), allowed: Any = None) -> Observations:
        """Some of the rows as data to fit."""
        counts = self.counts[where]
        return Observations(
            self.values[where],
            row_weights=None if np.all(counts == 1) else counts,
            names=self.names,
            resolution=self.resolution,
            missing=None if self.complete else "marginal",
            allowed=allowed,
        )

    def moments(self, n_classes: int) -> tuple[Array, Array, Array]:
        """Counts (C,), means (C, D) and scatters about them (C, D, D) of the classes."""
        each = [self.codes == c for c in range(n_classes)]
        means = np.stack([np.average(self.values[c], axis=0, weights=self.counts[c]) for c in each])
        scatters = []
        for mean, own in zip(means, each, strict=True):
            deviation = self.values[own] - mean
            scatters.append((self.counts[own] * deviation.T) @ deviation)
        return self.class_counts(n_classes), means, np.stack(scatters)


@dataclass(frozen=True)
class ClassMixtures:
    """A mixture for each class, over the draws, and what they came from."""

    mixtures: tuple[MixtureParameters, ...]
    weights: Array  # (C,) of the classes
    fits: tuple[MixtureFit, ...]


@dataclass(frozen=True)
class ClassModel:
    """What is to be fitted: components of each class, their covariances, how it is done."""

    n_components: list[int]
    covariance: Covariance
    shared: frozenset[Part] | bool
    method: str | Method
    priors: Priors
    seed: int
    cores: int | None

    def fitted(self, rows: LabelledRows) -> ClassMixtures:
        """The mixtures of the classes."""
        if not isinstance(self.shared, bool):
            return self._sharing(rows, self.shared)
        covariance = self.covariance
        if self.shared:
            covariance = TIED.get(covariance, covariance)
        elif covariance in UNTIED and len(self.n_components) > 1:
            if max(self.n_components) > 1:
                return self._class_by_class(rows)
            covariance = UNTIED[covariance]  # of one component
        return self._joint(rows, covariance)

    def _fit(
        self, k: int, covariance: Covariance, data: Observations, start: Any = None
    ) -> MixtureFit:
        method: Any = self.method
        spec = MixtureSpec(k, covariance, self.priors)
        return fitting.fit(spec, data, method=method, seed=self.seed, cores=self.cores, start=start)

    def _joint(self, rows: LabelledRows, covariance: Covariance) -> ClassMixtures:
        owner = np.repeat(np.arange(len(self.n_components)), self.n_components)
        allowed = (rows.codes[:, None] == owner) | (rows.codes < 0)[:, None]
        start, structure = None, STRUCTURES[covariance]
        if max(self.n_components) == 1 and rows.all_known and rows.complete:
            start = _start(rows, structure, len(owner))  # there is nothing to search
        elif rows.all_known and not structure.shared and self._is_search:
            start = self._searched(rows, covariance)
        fit = self._fit(len(owner), covariance, rows.observations(allowed=allowed), start)
        drawn = fit.parameters
        mixtures, shares = [], []
        for c in range(len(self.n_components)):
            own = owner == c
            weights = drawn.weights[..., own]
            share = weights.sum(axis=-1, keepdims=True)
            mixtures.append(
                MixtureParameters(
                    weights / share, drawn.means[..., own, :], drawn.scale_tril[..., own, :, :]
                )
            )
            shares.append(float(share.mean()))
        weights = np.array(shares)
        if rows.all_known:
            weights = rows.class_counts(len(mixtures))
        return ClassMixtures(tuple(mixtures), weights / weights.sum(), (fit,))

    @property
    def _is_search(self) -> bool:
        return self.method in ("em", "map") or isinstance(self.method, Search)

    def _searched(self, rows: LabelledRows, covariance: Covariance) -> MixtureParameters | None:
        """Where to start: the maximum of each class by itself.

        The likelihood is a product over classes, so each may be searched apart, which takes
        less time and finds more than a search among the components of all.
        """
        found = []
        for c, k in enumerate(self.n_components):
            try:
                spec, own = MixtureSpec(k, covariance, self.priors), rows.codes == c
                fit = fitting.fitted(
                    spec, rows.observations(own), MAP(), seed=self.seed, cores=self.cores
                )
            except BayesGMMError:  # a class of a single row, say: among the others it can be fitted
                return None
            found.append(fit.parameters[0, 0])
        shares = rows.class_counts(len(found))
        shares = shares / shares.sum()
        return MixtureParameters(
            np.concatenate([w * each.weights for w, each in zip(shares, found, strict=True)]),
            np.concatenate([each.means for each in found]),
            np.concatenate([each.scale_tril for each in found]),
        )

    def _class_by_class(self, rows: LabelledRows) -> ClassMixtures:
        fits = tuple(
            self._fit(k, self.covariance, rows.observations(rows.codes == c))
            for c, k in enumerate(self.n_components)
        )
        counts = rows.class_counts(len(fits))
        return ClassMixtures(tuple(fit.parameters for fit in fits), counts / counts.sum(), fits)

    def _sharing(self, rows: LabelledRows, shared: frozenset[Part]) -> ClassMixtures:
        counts, means, scatters = rows.moments(len(self.n_components))
        structure = STRUCTURES[self.covariance]
        tril = np.linalg.cholesky(covariances_sharing(counts, scatters, shared, structure))
        one = np.ones((1, 1, 1))
        mixtures = tuple(
            MixtureParameters(one, mean[None, None, None], factor[None, None, None])
            for mean, factor in zip(means, tril, strict=True)
        )
        return ClassMixtures(mixtures, counts / counts.sum(), ())


def _start(rows: LabelledRows, structure: Structure, n_classes: int) -> MixtureParameters:
    """Means and covariances of classes, these drawn a little towards what they have in common."""
    counts, means, scatters = rows.moments(n_classes)
    d = means.shape[1]
    spread = np.cov(rows.values.T, fweights=None, aweights=rows.counts, ddof=0).reshape(d, d)
    pooled = scatters.sum(axis=0) / counts.sum() + 1e-6 * np.diag(np.diag(spread))
    covariances = (scatters + d * pooled) / (counts + d)[:, None, None]
    if structure.shared:
        covariances = np.broadcast_to(pooled, covariances.shape)
    covariances = np.stack([structure.restricted(each) for each in covariances])
    return MixtureParameters.from_covariances(counts / counts.sum(), means, covariances)
