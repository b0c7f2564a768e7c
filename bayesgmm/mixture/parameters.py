"""Mixture parameters with any batch shape, and what a mixture is by itself.

A mixture is first of all a density: it has log densities, marginals and
conditionals (which are mixtures again), and data can be drawn from it.  Nothing
here knows where the numbers came from; an EM fit's batch is (1, 1), a
posterior's is (chain, draw).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread, thread_map
from bayesgmm.compiled.triangular import scale_correlation
from bayesgmm.data.observations import Observations
from bayesgmm.data.reading import checked_weights
from bayesgmm.data.scaling import Scaling
from bayesgmm.errors import DataError
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import NO_ROWS, Rows, uniform_log_density
from bayesgmm.expectation.statistics import row_log_density, row_memberships
from bayesgmm.mixture.conditioning import factor_of, given_features
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.simulation import simulated
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.options import (
    LIMIT_FROM_ZERO,
    generator,
    instance,
    numeric_array,
    refuse_beyond_memory,
    shown,
)


@dataclass(frozen=True, eq=False)
class MixtureParameters:
    """Weights, means and Cholesky factors of Gaussian mixtures.

    Parameters
    ----------
    weights : array of shape (..., K)
        Non-negative, summing to one over K.
    means : array of shape (..., K, D)
    scale_tril : array of shape (..., K, D, D)
        Lower Cholesky factors of the covariances, positive on the diagonal.
    noise : Noise, optional
        A share of rows that come from none of the components: the weights then sum to one
        with its weight, and it is the last of the M = K + 1 classes of :meth:`memberships`.

    Raises
    ------
    DataError
        If the shapes do not belong together or the values are no mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesgmm import MixtureParameters
    >>> mixture = MixtureParameters([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixture.memberships([[0.0]])
    array([[0.5, 0.5]])
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    scale_tril: NDArray[np.float64]
    noise: Noise | None = None

    def __post_init__(self) -> None:
        for name in ("weights", "means", "scale_tril"):
            object.__setattr__(self, name, numeric_array(name, getattr(self, name)))
        w, m, c = self.weights.shape, self.means.shape, self.scale_tril.shape
        if w == () or m[:-1] != w or c[:-1] != m or c[-1:] != m[-1:]:
            raise DataError(
                f"Shapes do not belong together: weights {w}, means {m}, scale_tril {c}; they are "
                "(..., K), (..., K, D) and (..., K, D, D)."
            )
        if self.noise is not None:
            instance("a Noise or None", Noise)("noise", self.noise).require_batch(w[:-1])
        every = self.class_weights
        if not (np.all(every >= 0) and np.allclose(every.sum(-1), 1, atol=1e-6)):
            raise DataError("weights must not be negative and must sum to one.")
        if not np.all(np.isfinite(self.means)):
            raise DataError("means must be finite.")
        diagonal = np.diagonal(self.scale_tril, axis1=-2, axis2=-1)
        if not (np.all(np.isfinite(self.scale_tril)) and np.all(diagonal > 0)):
            raise DataError("scale_tril must be finite with a positive diagonal.")
        if np.triu(self.scale_tril, 1).any():
            raise DataError(
                "scale_tril must be lower triangular; MixtureParameters.from_covariances takes "
                "covariance matrices."
            )

    @classmethod
    def from_covariances(cls, weights: Any, means: Any, covariances: Any) -> MixtureParameters:
        """From covariance matrices (..., K, D, D)."""
        matrices = numeric_array("covariances", covariances)
        if matrices.ndim < 3 or matrices.shape[-1] != matrices.shape[-2] or not matrices.shape[-1]:
            raise DataError(f"covariances has shape {matrices.shape}; give (..., K, D, D).")
        largest = np.abs(matrices).max(axis=(-1, -2), keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = matrices / largest  # of which differences do not overflow
            gap = np.abs(shares - np.swapaxes(shares, -1, -2))
        if not (np.all(np.isfinite(matrices)) and np.all((gap <= 1e-8) | (largest == 0))):
            raise DataError("covariances must be finite and symmetric.")
        try:
            tril = np.linalg.cholesky(matrices)
        except np.linalg.LinAlgError:
            raise DataError("A covariance matrix is not positive definite.") from None
        return cls(weights, means, tril)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading dimensions."""
        return self.weights.shape[:-1]

    @property
    def n_components(self) -> int:
        """K."""
        return self.weights.shape[-1]

    @property
    def n_features(self) -> int:
        """D."""
        return self.means.shape[-1]

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Covariance matrices (..., K, D, D)."""
        return self.scale_tril @ np.swapaxes(self.scale_tril, -1, -2)

    @property
    def scales(self) -> NDArray[np.float64]:
        """Standard deviations (..., K, D)."""
        return scale_correlation(self.scale_tril)[0]

    @property
    def correlations(self) -> NDArray[np.float64]:
        """Correlation matrices (..., K, D, D)."""
        factor = scale_correlation(self.scale_tril)[1]
        return factor @ np.swapaxes(factor, -1, -2)

    def __getitem__(self, key: Any) -> MixtureParameters:
        """Index the batch dimensions."""
        # Filling up with full slices keeps the component and feature axes out of reach.
        index = np.arange(int(np.prod(self.batch_shape))).reshape(self.batch_shape)[key]
        flat = self.flat()
        return MixtureParameters(
            flat.weights[index],
            flat.means[index],
            flat.scale_tril[index],
            flat._with_noise(lambda weight: weight[index]),
        )

    @property
    def class_weights(self) -> NDArray[np.float64]:
        """Weights (..., M) of all classes: of the components, and of noise if there is any."""
        if self.noise is None:
            return self.weights
        return np.concatenate([self.weights, self.noise.weight[..., None]], axis=-1)

    @property
    def n_classes(self) -> int:
        """M: K, or K + 1 with noise."""
        return self.n_components + (self.noise is not None)

    def _with_noise(self, change: Callable[[NDArray[np.float64]], Any]) -> Noise | None:
        noise = self.noise
        return None if noise is None else Noise(np.asarray(change(noise.weight)), noise.box)

    def flat(self) -> MixtureParameters:
        """The same mixtures with one batch dimension."""
        k, d = self.means.shape[-2:]
        return MixtureParameters(
            self.weights.reshape(-1, k),
            self.means.reshape(-1, k, d),
            self.scale_tril.reshape(-1, k, d, d),
            self._with_noise(lambda weight: weight.reshape(-1)),
        )

    def with_rows(self, rows: Observations) -> tuple[Rows, list[PrecisionForm]]:
        """Rows, and each mixture of the batch, as the pass takes them."""
        flat = self.flat()
        # About the mixtures' own mean, so that data far from zero lose no digits.
        shares = flat.weights / flat.weights.sum(axis=-1, keepdims=True)
        center = (shares[..., None] * flat.means).sum(axis=1).mean(axis=0)
        with np.errstate(divide="ignore"):
            log_weights = np.log(flat.class_weights)
        means = np.ascontiguousarray(flat.means - center)
        factors, structure = np.ascontiguousarray(flat.scale_tril), STRUCTURES["full"]
        if rows.views.selection is not None:
            # Boxes of more than two features are known of scales alone.
            correlated = bool(np.tril(factors, -1).any())
            rows.views.refuse_unknown_probability(correlated, rows.names)
            if not correlated:
                scales = np.diagonal(factors, axis1=-2, axis2=-1)[:, None]
                factors, structure = np.ascontiguousarray(scales), STRUCTURES["diag"]
        forms = [
            PrecisionForm.of(Point(*parts), structure.code)
            for parts in zip(log_weights, means, factors, strict=True)
        ]
        box = None if self.noise is None else self.noise.box_for(rows.views)
        seen = Rows.seen(
            rows.table_in_memory,
            Scaling(center, np.ones_like(center)),
            self.n_components,
            box,
            noise=self.noise is not None,
        )
        return seen._replace(row_weights=NO_ROWS), forms

    def log_density(self, x: Any, *, cores: int | None = None) -> NDArray[np.float64]:
        """Log density of each row under each mixture, shape (..., N)."""
        rows, forms = self.with_rows(self._rows(x))
        with one_blas_thread():
            parts = thread_map(
                lambda form: row_log_density(rows, form), forms, available_cores(cores)
            )
        return np.stack(parts).reshape(*self.batch_shape, len(rows.values))

    def log_likelihood(
        self, x: Any, row_weights: NDArray[np.float64] | None = None, *, cores: int | None = None
    ) -> NDArray[np.float64]:
        """Log-likelihood of all rows under each mixture, shape (...); no N x batch array.

        Rows count by ``row_weights``, or by those that Observations bring.
        """
        data = self._rows(x)
        rows, forms = self.with_rows(data)
        if row_weights is None:
            row_weights = data.row_weights
        else:
            row_weights = checked_weights(row_weights, len(rows.values))

        def total(form: PrecisionForm) -> float:
            parts = (row_log_density(chunk, form) for chunk in rows.chunks())
            whole = np.concatenate(list(parts))
            return float(whole.sum() if row_weights is None else whole @ row_weights)

        with one_blas_thread():
            parts = thread_map(total, forms, available_cores(cores))
        return np.array(parts).reshape(self.batch_shape)

    def memberships(self, x: Any) -> NDArray[np.float64]:
        """Posterior membership of each row in each class, shape (..., N, M): noise is the last."""
        rows, forms = self.with_rows(self._rows(x))
        with one_blas_thread():
            parts = [row_memberships(rows, form) for form in forms]
        return np.stack(parts).reshape(*self.batch_shape, len(rows.values), self.n_classes)

    def simulate(
        self, n: int, *, seed: Any = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw ``n`` rows from each mixture.

        Returns
        -------
        x : array of shape (..., n, D)
        component : array of shape (..., n)
            The component that each row came from; K for noise.

        Raises
        ------
        SpecError
            For ``n`` or ``seed`` of another kind, and more rows than memory holds.
        """
        n, rng = LIMIT_FROM_ZERO("n", n), generator(seed)
        flat, d = self.flat(), self.n_features
        refuse_beyond_memory(
            f"n={n:,} rows of each of {len(flat.weights):,} mixtures",
            8.0 * n * (d + 1) * len(flat.weights),
            "ask for fewer",
        )
        x, component = simulated(
            flat.class_weights, flat.means, flat.scale_tril, self.noise, n, rng
        )
        return x.reshape(*self.batch_shape, n, d), component.reshape(*self.batch_shape, n)

    def marginal(self, features: Sequence[int]) -> MixtureParameters:
        """The mixtures of some features, in the order given."""
        index = self._features(features)
        if not len(index):
            raise DataError("No feature is named; give at least one.")
        tril = factor_of(self.scale_tril[..., index, :])
        noise = None if self.noise is None else self.noise.marginal(index)
        return MixtureParameters(self.weights, self.means[..., index], tril, noise)

    def condition(self, given: Mapping[int, float]) -> MixtureParameters:
        """The mixtures of the other features where these have these values.

        Each component is conditioned as a normal, and the weights become its
        membership probabilities given the observed values.
        """
        if not isinstance(given, Mapping):
            raise DataError(
                f"given must map features to values, as {{0: 1.5}}, got {shown(given)}."
            )
        seen = self._features(list(given))
        rest = np.array([j for j in range(self.n_features) if j not in given], dtype=int)
        if not len(rest):
            raise DataError("Every feature is given; leave at least one to be predicted.")
        if not len(seen):
            return self
        at = numeric_array("given", [given[int(j)] for j in seen])
        if at.shape != seen.shape or not np.all(np.isfinite(at)):
            raise DataError("The values to condition on must be finite numbers, one per feature.")
        log_seen, means, tril = given_features(self.means, self.scale_tril, seen, rest, at)
        if not np.all(np.isfinite(means)):
            raise DataError(
                f"What is expected where features are {shown(at.tolist())} is beyond the range of "
                "numbers; give values that are nearer to the mixture."
            )
        noise = None
        if self.noise is not None:
            noise = self.noise.marginal(rest)
            log_noise = uniform_log_density(self.noise.marginal(seen).required_box, at[None])[0]
            log_seen = np.concatenate(
                [log_seen, np.broadcast_to(log_noise, (*self.batch_shape, 1))], axis=-1
            )
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.class_weights) + log_seen
        log_weights -= log_weights.max(axis=-1, keepdims=True)
        weights = np.exp(log_weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        if noise is not None:
            noise = Noise(weights[..., -1], noise.box)
        k = self.n_components
        return MixtureParameters(weights[..., :k], means, tril, noise)

    def permute(self, permutation: Any) -> MixtureParameters:
        """Components in another order: ``permutation`` (K,) or (..., K) of indices."""
        k = self.n_components
        try:
            order = np.asarray(permutation)
        except (TypeError, ValueError):  # ragged, or no array
            order = np.empty(0)
        usable = order.dtype.kind in "iuf" and order.shape in ((k,), self.weights.shape)
        if not usable or not np.array_equal(
            np.sort(order, axis=-1), np.broadcast_to(np.arange(k), order.shape)
        ):
            raise DataError(
                f"Not a permutation of {k} components; give the numbers 0 to {k - 1} in some order."
            )
        index = np.broadcast_to(order.astype(int), self.weights.shape)
        return MixtureParameters(
            np.take_along_axis(self.weights, index, axis=-1),
            np.take_along_axis(self.means, index[..., None], axis=-2),
            np.take_along_axis(self.scale_tril, index[..., None, None], axis=-3),
            self.noise,
        )

    def _rows(self, x: Any) -> Observations:
        rows = x if isinstance(x, Observations) else Observations(x)
        if rows.n_features != self.n_features:
            raise DataError(
                f"The data have shape {np.shape(x)}; the mixture needs (N, {self.n_features})."
            )
        return rows

    def _features(self, features: Sequence[int]) -> NDArray[np.int64]:
        try:
            index = [-1 if isinstance(j, bool) else operator.index(j) for j in features]
        except (TypeError, NotImplementedError):  # the second of a memoryview of a table
            index = [-1]
        if len(set(index)) != len(index) or not set(index) <= set(range(self.n_features)):
            raise DataError(
                f"Features {shown(features)} are not distinct whole numbers from 0 to "
                f"{self.n_features - 1}."
            )
        return np.array(index, dtype=int)
