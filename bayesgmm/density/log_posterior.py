"""The log posterior density and its gradient, at unconstrained theta.

One object for every method: EM and MAP read its statistics, climbs and samplers its value and
slope, evidence many values at a time.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, thread_map
from bayesgmm.data.observations import Observations
from bayesgmm.density.coordinates import (
    constrain,
    constrain_many,
    coordinate_names,
    unconstrain_many,
    zero_sum_basis,
)
from bayesgmm.density.exchangeable import exchangeable
from bayesgmm.density.prior_terms import PriorTerms
from bayesgmm.density.recording import recorded_factors, without_recording
from bayesgmm.density.slopes import log_prior_and_gradient
from bayesgmm.density.target import Target, log_posterior, log_posterior_of_point, log_posteriors
from bayesgmm.errors import DataError, FitError
from bayesgmm.expectation.kernel import Totals
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import CHUNK, Rows
from bayesgmm.expectation.statistics import SufficientStatistics, expected_statistics
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.options import TRUTH, numeric_array

#: Thetas that one thread's turn takes: many enough that the turn costs nothing beside them,
#: few enough that an interrupt need not wait.
_THETAS = 256
#: Rows that cost as much as the marginal mixture of a view does.
_ROWS_OF_A_VIEW = 50


class Evaluation(NamedTuple):
    """What one pass over the data says at a point."""

    value: float  # of the log density
    gradient: NDArray[np.float64]  # (P,)
    statistics: SufficientStatistics
    form: PrecisionForm


class LogPosterior:
    """Log posterior density of a spec given data, at unconstrained coordinates.

    Every constant is included: the integral of ``exp(value(theta))`` over theta is
    the marginal likelihood of the data, in the data's own units.

    Parameters
    ----------
    spec : MixtureSpec
    observations : Observations or anything that it takes
    jacobian : bool, default True
        Density over theta, as samplers need.  False gives the joint density of
        (w, mu, sigma, R), without any Jacobian, whose maximum is the MAP.
    prior : bool, default True
        False leaves the priors out: the log-likelihood alone.
    cores : int, default 1
        Threads over chunks of rows.  The value does not depend on it.

    Attributes
    ----------
    size : int
        Length of theta.

    Examples
    --------
    >>> import numpy as np, bayesgmm as bg
    >>> density = bg.LogPosterior(bg.MixtureSpec(n_components=1), bg.datasets.galaxies())
    >>> value, gradient = density.value_and_grad(np.zeros(density.size))
    >>> gradient.shape
    (2,)
    """

    def __init__(
        self,
        spec: MixtureSpec,
        observations: Observations,
        *,
        jacobian: bool = True,
        prior: bool = True,
        cores: int = 1,
    ) -> None:
        spec = SPEC("spec", spec)
        jacobian, prior = TRUTH("jacobian", jacobian), TRUTH("prior", prior)
        cores = available_cores(cores)
        if not isinstance(observations, Observations):
            observations = Observations(observations)
        observations.require(
            spec.n_components, spec.covariance, likelihood_only=False, noise=spec.noise
        )
        self.spec = spec
        self.observations = observations
        self.cores = cores
        self.prior = PriorTerms.of(spec, observations, active=prior, jacobian=jacobian)
        self.scaling = observations.scaling(spec.covariance)
        self.structure = spec.structure.code
        self.basis = zero_sum_basis(spec.n_classes)
        self.noise_box = observations.noise_box() if spec.noise else None
        self.rows = self._rows_of(observations)
        self.log_jacobian = self.scaling.log_jacobian(observations.seen_weight)
        self.size = spec.n_parameters(observations.n_features)

    def on(self, part: Observations) -> LogPosterior:
        """The same density on some of the rows: same scale, same priors, one thread."""
        other = self.with_cores(1)
        other.rows = self._rows_of(part)
        other.log_jacobian = self.scaling.log_jacobian(part.seen_weight)
        return other

    def _rows_of(self, observations: Observations) -> Rows:
        noise = None
        if self.spec.noise:
            noise = Noise(np.ones(()), self.noise_box).log_density(observations)
        return Rows.seen(observations, self.scaling, self.spec.n_components, noise)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Components (K,) of the same number may be exchanged; see :func:`exchangeable`."""
        return exchangeable(self.spec, self.observations)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Units (D,) of the standardised scale."""
        return self.scaling.unit

    def with_cores(self, cores: int) -> LogPosterior:
        """The same density on another number of threads."""
        other = copy(self)
        other.cores = max(cores, 1)
        return other

    def framed(self, parameters: MixtureParameters) -> LogPosterior:
        """The same density in coordinates that suit a mixture, by its pooled covariance."""
        log_weights, _, factors = self.standardise(parameters)
        other = copy(self)
        if self.spec.structure.matrices:
            shares = np.zeros(1) if self.spec.structure.shared else log_weights[: len(factors)]
            scaled = np.exp(0.5 * shares)[:, None, None] * np.swapaxes(factors, 1, 2)
            upper = np.linalg.qr(scaled.reshape(-1, scaled.shape[-1]), mode="r")
            frame = np.ascontiguousarray(upper.T * np.sign(np.diag(upper)))
            other.prior = self.prior._replace(frame=frame)
        return other

    @property
    def work(self) -> float:
        """What an evaluation costs, in rows x components x (entries of a covariance + 12)."""
        d = self.observations.n_features
        entries = d * d if self.spec.structure.matrices else d
        return self.rows_worth * self.spec.n_components * (entries + 12.0)

    @property
    def rows_worth(self) -> int:
        """How many complete rows cost as much as these."""
        return len(self.rows.values) + _ROWS_OF_A_VIEW * len(self.rows.views.n_seen)

    @property
    def few_rows(self) -> bool:
        """Whether one call of the kernel takes them all, and compiled code the target."""
        return len(self.rows.values) <= CHUNK

    @property
    def target(self) -> Target:
        """As compiled code takes it, of rows that are few enough for one pass."""
        each = self.spec.structure.own_entries(self.observations.n_features)
        return Target.of(
            self.rows, self.spec.n_components, self.basis, self.structure, each, self.prior
        )

    def at(self, point: Point) -> Evaluation:
        """The density at a point, and the statistics of the pass that it takes."""
        gradient = np.empty(self.size)
        if self.few_rows:
            form = PrecisionForm.empty(point, self.structure)
            totals, likelihood = Totals.zero(form), np.empty(1)
            value = log_posterior_of_point(
                self.target, 1.0, point, form, totals, gradient, likelihood
            )
            statistics = SufficientStatistics(float(likelihood[0]), *totals[:3])
        else:
            form = self.precision(point)
            statistics = expected_statistics(self.rows, form, cores=self.cores)
            value = statistics.log_likelihood + log_prior_and_gradient(
                point, form, statistics.totals, self.basis, self.prior, gradient
            )
        return Evaluation(value - self.log_jacobian, gradient, statistics, form)

    def precision(self, point: Point) -> PrecisionForm:
        """What the pass over the data reads of a point."""
        total = point._replace(factors=self.of_recorded(point.factors))
        return PrecisionForm.of(total, self.structure)

    def of_recorded(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors of T, of factors of Sigma with any leading batch shape."""
        recorded = self.prior.recorded
        if not recorded.any():
            return factors
        flat = np.ascontiguousarray(factors.reshape(-1, *factors.shape[-3:]))
        out = np.empty_like(flat)
        for s in range(len(flat)):
            recorded_factors(flat[s], self.structure, recorded, out[s])
        return out.reshape(factors.shape)

    def value_and_grad(self, theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Log density at theta, and its gradient, both by one pass over the data."""
        theta = self._checked(theta)
        if self.few_rows:
            gradient = np.empty(self.size)
            value = log_posterior(self.target, 1.0, theta, gradient, np.empty(1))
            return value - self.log_jacobian, gradient
        k, d = self.spec.n_components, self.observations.n_features
        factors = np.empty(self.spec.structure.factor_shape(k, d))
        point = Point(np.empty(self.spec.n_classes), np.empty((k, d)), factors)
        constrain(theta, self.basis, self.structure, self.prior.frame, point)
        here = self.at(point)
        return here.value, here.gradient

    def value(self, theta: NDArray[np.float64]) -> float:
        """Log density at theta."""
        return self.value_and_grad(theta)[0]

    def values(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log density (...) at each of many theta (..., P), on ``cores`` threads."""
        theta = self._batch(theta)
        flat = np.ascontiguousarray(theta.reshape(-1, self.size))
        out = np.empty(len(flat))
        if not self.few_rows:  # the threads are those of each pass
            for i, one in enumerate(flat):
                out[i] = self.value(one)
            return out.reshape(theta.shape[:-1])
        target = self.target

        def some(begin: int) -> None:
            part = slice(begin, begin + _THETAS)
            log_posteriors(target, flat[part], out[part])

        thread_map(some, range(0, len(flat), _THETAS), self.cores)
        out -= self.log_jacobian
        return out.reshape(theta.shape[:-1])

    def constrain(self, theta: NDArray[np.float64]) -> MixtureParameters:
        """Parameters in the data's units; theta (..., P) gives batch shape (...)."""
        spec = self.spec
        points = constrain_many(
            self._batch(theta),
            spec.structure,
            spec.n_components,
            self.observations.n_features,
            self.prior.frame,
        )
        return self.mixture(points)

    def mixture(self, point: Point) -> MixtureParameters:
        """In the data's units, with the covariances T of what is recorded."""
        spec = self.spec
        tril = spec.structure.to_tril(self.of_recorded(point.factors), spec.n_components)
        weights, k = np.exp(point.log_weights), spec.n_components
        return MixtureParameters(
            weights[..., :k],
            self.scaling.back(point.means),
            self.scaling.factors_back(tril),
            Noise(weights[..., k], self.noise_box) if spec.noise else None,
        )

    def standardise(self, parameters: MixtureParameters) -> Point:
        """The point of parameters in the data's units."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(parameters.class_weights)
        means = self.scaling.there(parameters.means)
        structure = self.spec.structure
        factors = structure.to_factors(self.scaling.factors_there(parameters.scale_tril))
        factors = without_recording(factors, self.prior.recorded, structure)
        return Point(log_weights, means, factors)

    def unconstrain(self, parameters: MixtureParameters) -> NDArray[np.float64]:
        """The theta of parameters in the data's units; the inverse of :meth:`constrain`."""
        point = self.standardise(parameters).interior
        return unconstrain_many(point, self.spec.structure, self.prior.frame)

    def relabelled(
        self, theta: NDArray[np.float64], permutation: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """theta (..., P) with its components in another order, the same for all."""
        k, d = self.spec.n_components, self.observations.n_features
        p = self.spec.n_classes - 1
        order = np.append(permutation, np.arange(k, p + 1))  # noise stays
        parts = [(theta[..., :p] @ self.basis.T)[..., order] @ self.basis]
        for each in (d, self.spec.structure.own_entries(d)):
            if each == 0:  # factors that all share
                continue
            block = theta[..., p : p + k * each]
            blocks = block.reshape(*theta.shape[:-1], k, each)[..., permutation, :]
            parts.append(blocks.reshape(block.shape))
            p += k * each
        return np.concatenate([*parts, theta[..., p:]], axis=-1)

    def refuse_not_finite(self, theta: NDArray[np.float64]) -> None:
        """Raise, naming the parameter, where the density is not finite."""
        value, gradient = self.value_and_grad(theta)
        if np.isfinite(value) and np.all(np.isfinite(gradient)):
            return
        wrong = np.flatnonzero(~np.isfinite(theta))  # the cause, where it is one
        wrong = wrong if len(wrong) else np.flatnonzero(~np.isfinite(gradient))
        names = coordinate_names(
            self.spec.structure,
            self.spec.n_components,
            self.observations.names,
            self.spec.n_classes,
        )
        where = names[wrong[0]] if len(wrong) else "the log density itself"
        raise FitError(
            f"The log posterior is not finite at the start ({where}); give other starts, or "
            "priors nearer to the data."
        )

    def _batch(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        theta = numeric_array("theta", theta)
        if theta.shape[-1:] != (self.size,):
            raise DataError(f"theta has shape {theta.shape}; it must be (..., {self.size}).")
        return theta

    def _checked(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        theta = np.ascontiguousarray(numeric_array("theta", theta))
        if theta.shape != (self.size,):
            raise DataError(f"theta has shape {theta.shape}; it must be ({self.size},).")
        return theta
