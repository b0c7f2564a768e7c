"""The log posterior density and its gradient, at unconstrained theta.

One object for every method: EM and MAP read its statistics, climbs and samplers its value and
slope, evidence many values at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, thread_map
from bayesgmm.data.observations import Observations
from bayesgmm.data.stored import Stored
from bayesgmm.density.coordinates import (
    constrain,
    constrain_many,
    coordinate_names,
    unconstrain_many,
    zero_sum_basis,
)
from bayesgmm.density.exchangeable import exchangeable
from bayesgmm.density.passes import Passes
from bayesgmm.density.prior_terms import PriorTerms
from bayesgmm.density.recording import recorded_factors, without_recording
from bayesgmm.density.slopes import log_prior_and_gradient
from bayesgmm.density.target import Target, log_posterior, log_posterior_of_point, log_posteriors
from bayesgmm.errors import DataError, FitError
from bayesgmm.expectation.kernel import Totals
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import CHUNK, Rows
from bayesgmm.expectation.statistics import SufficientStatistics, expected_statistics_under
from bayesgmm.expectation.stored_rows import StoredRows
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.options import TRUTH, numeric_array

#: Thetas that one thread's turn takes: many enough that the turn costs nothing beside them,
#: few enough that an interrupt need not wait.
_THETAS = 256
#: Thetas that one pass over many rows takes: reading is then nothing beside them.
_AT_ONCE = 64
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
        self.passes: Passes | None = None
        self.rows: Rows | StoredRows = self._rows_of(observations)
        self.log_jacobian = self.scaling.log_jacobian(observations.seen_weight)
        self.size = spec.n_parameters(observations.n_features)

    def on(self, part: Observations) -> LogPosterior:
        """The same density on some of the rows: same scale, same priors, one thread."""
        other = self.with_cores(1)
        other.passes = None
        other.rows = self._rows_of(part)
        other.log_jacobian = self.scaling.log_jacobian(part.seen_weight)
        return other

    def of_no_rows(self) -> LogPosterior:
        """The same density without the likelihood: on no row."""
        return self.on(self.observations.kept.part(slice(0, 0)))

    def _rows_of(self, observations: Observations) -> Rows | StoredRows:
        k, noise = self.spec.n_components, self.spec.noise
        table = observations.table
        if isinstance(table, Stored):
            return StoredRows(table, self.scaling, k, self.noise_box, noise)
        return Rows.seen(table, self.scaling, k, self.noise_box, noise=noise)

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

    def watched(self, passes: Passes | None) -> LogPosterior:
        """The same density, whose passes over many rows are watched."""
        other = copy(self)
        other.passes = passes
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
        views = self.rows.views.n_seen if isinstance(self.rows, Rows) else ()
        return self.rows.n_rows + _ROWS_OF_A_VIEW * len(views)

    @property
    def rows_in_memory(self) -> Rows:
        """The rows, or a refusal where they are not in memory."""
        if isinstance(self.rows, StoredRows):
            raise DataError(
                f"The {self.rows.n_rows:,} rows of {self.rows.table.source.description} are not in "
                "memory, which this needs; fit observations.sample(n)."
            )
        return self.rows

    @property
    def few_rows(self) -> bool:
        """Whether one call of the kernel takes them all, and compiled code the target."""
        return isinstance(self.rows, Rows) and self.rows.n_rows <= CHUNK

    @property
    def target(self) -> Target:
        """As compiled code takes it, of rows that are few enough for one pass."""
        each = self.spec.structure.own_entries(self.observations.n_features)
        return Target.of(
            self.rows_in_memory,
            self.spec.n_components,
            self.basis,
            self.structure,
            each,
            self.prior,
        )

    def at(self, point: Point) -> Evaluation:
        """The density at a point, and the statistics of the pass that it takes."""
        if self.few_rows:
            gradient = np.empty(self.size)
            form = PrecisionForm.empty(point, self.structure)
            totals, likelihood = Totals.zero(form), np.empty(1)
            value = log_posterior_of_point(
                self.target, 1.0, point, form, totals, gradient, likelihood
            )
            statistics = SufficientStatistics(float(likelihood[0]), *totals[:3])
            return Evaluation(value - self.log_jacobian, gradient, statistics, form)
        return self.at_each([point])[0]

    def at_each(self, points: Sequence[Point], *, value_only: bool = False) -> list[Evaluation]:
        """The density at many points, in one pass over rows that are not in memory.

        With ``value_only`` there are no statistics, and what is said of the gradient is the
        prior's.
        """
        forms = [self.precision(point) for point in points]
        found_by_rows = self._pass(forms, likelihood_only=value_only)
        found = []
        for point, form, statistics in zip(points, forms, found_by_rows, strict=True):
            gradient = np.empty(self.size)
            value = statistics.log_likelihood + log_prior_and_gradient(
                point, form, statistics.totals, self.basis, self.prior, gradient
            )
            found.append(Evaluation(value - self.log_jacobian, gradient, statistics, form))
        return found

    def _pass(
        self, forms: Sequence[PrecisionForm], *, likelihood_only: bool = False
    ) -> Sequence[SufficientStatistics]:
        go = expected_statistics_under if self.passes is None else self.passes.under
        found = go(forms, self.rows, cores=self.cores, likelihood_only=likelihood_only)
        if isinstance(self.rows, StoredRows) and not likelihood_only:
            self.rows.refuse_changed([one.counts for one in found])
        return found

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
        """Log density at theta, and its gradient, both by one pass over the data.

        Where theta is not finite, or so far out that numbers overflow, the density is -inf, and
        the gradient whatever came of it, NaN as well.
        """
        theta = self._checked(theta)
        if self.few_rows:
            gradient = np.empty(self.size)
            value = log_posterior(self.target, 1.0, theta, gradient, np.empty(1))
            value -= self.log_jacobian
        else:
            here = self.at(self._point(theta))
            value, gradient = here.value, here.gradient
        return (-np.inf if np.isnan(value) else value), gradient

    def _point(self, theta: NDArray[np.float64]) -> Point:
        k, d = self.spec.n_components, self.observations.n_features
        factors = np.empty(self.spec.structure.factor_shape(k, d))
        point = Point(np.empty(self.spec.n_classes), np.empty((k, d)), factors)
        constrain(theta, self.basis, self.structure, self.prior.frame, point)
        return point

    def values_and_grads(
        self, theta: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log density (n,) and gradient (n, P) at each of many theta (n, P)."""
        theta = np.ascontiguousarray(self._batch(theta))
        values, gradients = np.empty(len(theta)), np.empty(theta.shape)
        if self.few_rows:
            for i, one in enumerate(theta):
                values[i], gradients[i] = self.value_and_grad(one)
            return values, gradients
        for i, here in enumerate(self._at_many(theta)):
            values[i], gradients[i] = here.value, here.gradient
        values[np.isnan(values)] = -np.inf
        return values, gradients

    def _at_many(
        self, theta: NDArray[np.float64], *, value_only: bool = False
    ) -> Iterator[Evaluation]:
        """The density at each of many theta (n, P), some of them in each pass."""
        for begin in range(0, len(theta), _AT_ONCE):
            points = [self._point(one) for one in theta[begin : begin + _AT_ONCE]]
            yield from self.at_each(points, value_only=value_only)

    def value(self, theta: NDArray[np.float64]) -> float:
        """Log density at theta."""
        return self.value_and_grad(theta)[0]

    def values(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log density (...) at each of many theta (..., P), on ``cores`` threads; -inf where
        numbers overflow."""
        theta = self._batch(theta)
        flat = np.ascontiguousarray(theta.reshape(-1, self.size))
        out = np.empty(len(flat))
        if self.few_rows:
            target = self.target

            def some(begin: int) -> None:
                part = slice(begin, begin + _THETAS)
                log_posteriors(target, flat[part], out[part])

            thread_map(some, range(0, len(flat), _THETAS), self.cores)
            out -= self.log_jacobian
        else:  # the threads are those of each pass
            out[:] = [here.value for here in self._at_many(flat, value_only=True)]
        out[np.isnan(out)] = -np.inf
        return out.reshape(theta.shape[:-1])

    def constrain(self, theta: NDArray[np.float64]) -> MixtureParameters:
        """Parameters in the data's units; theta (..., P) gives batch shape (...)."""
        spec, theta = self.spec, self._batch(theta)
        if not np.isfinite(theta).all():
            raise DataError("theta has entries that are not finite; give finite ones.")
        points = constrain_many(
            theta,
            spec.structure,
            spec.n_components,
            self.observations.n_features,
            self.prior.frame,
        )
        with np.errstate(over="ignore", invalid="ignore"):  # which the mixture refuses
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
