"""The log posterior density and its gradient, at unconstrained theta.

The gradient of the log-likelihood is the gradient of the expected complete-data
log-likelihood (Fisher's identity), so the statistics of one pass over the data
are all that it needs.  With A_k the scatter about mu_k and W_k the inverse of L_k:

    d / d mu_k    = W_k' W_k (s1_k - n_k mu_k)
    d / d L_k     = tril(W_k' W_k A_k W_k') - n_k diag(1 / diag L_k)
    d / d log w_k = n_k                       (before the simplex map)

Values recorded to a resolution have the covariance T = Sigma + S (docs/mathematics.md): the
pass works with the factors of T, W is their inverse, and with M = W A W' - n I

    d / d L_k     = tril(W' M W L_k)

of which the line above is the case S = 0.

The prior of scales and correlations in these coordinates, sigma_i the norm of
row i of L (from one):

    sum_i log p(sigma_i) + up log L_ii - down log sigma_i + constant

with up = D - 1 + 2 eta and down = D + 2 eta - 2 where the Jacobian of the map is
included (a density over theta), and up = down = 2 (eta - 1) where it is not (the
joint density of sigma and R, whose maximum is the MAP).  Correlations of uniform
marginals add their density to that of eta = 1, which is flat.  docs/mathematics.md
derives both.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from bayesgmm.errors import DataError, FitError
from bayesgmm.model.calls import COMPILED, CUBE, MATRIX, VECTOR, by_address
from bayesgmm.model.coordinates import (
    constrain,
    constrain_many,
    coordinate_count,
    coordinate_names,
    factor_coordinates,
    in_frame,
    unconstrain_many,
    zero_sum_basis,
)
from bayesgmm.model.covariance import (
    DIAGONAL,
    FULL,
    SPHERICAL,
    factor_shape,
    factors_to_tril,
    invert_triangular,
    is_recorded,
    precision_form,
    recorded_factors,
    scatter_about_means,
    structure_code,
    tril_to_factors,
    without_recording,
)
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, thread_map
from bayesgmm.model.parameters import MixtureParameters, numeric_array
from bayesgmm.model.prior_density import PRIOR_TERMS, PriorTerms, scale_log_prior
from bayesgmm.model.spec import SPEC, MixtureSpec
from bayesgmm.model.statistics import (
    CHUNK,
    PrecisionForm,
    Rows,
    SufficientStatistics,
    accumulate_address,
    call_accumulate,
    expected_statistics,
)
from bayesgmm.options import TRUTH

#: Thetas that one thread's turn takes: many enough that the turn costs nothing beside them,
#: few enough that an interrupt need not wait.
_THETAS = 256


@njit(**COMPILED)
def add_uniform_marginals(tril, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density of correlations with uniform marginals, its slope added to ``gradient``.

    That is |R|^-(D + 1) prod_i (R^-1)_ii^(-(D + 1) / 2), without its constant.
    """
    d = tril.shape[0]
    whiten = np.empty((d, d))
    invert_triangular(tril, whiten)
    power = d + 1.0
    value = 0.0
    for i in range(d):
        square, inverse = 0.0, 0.0
        for j in range(i + 1):
            square += tril[i, j] * tril[i, j]
        for m in range(i, d):
            inverse += whiten[m, i] * whiten[m, i]  # of Sigma^-1 at (i, i)
        log_scale = 0.5 * np.log(square)
        value -= power * (2.0 * (np.log(tril[i, i]) - log_scale))
        value -= power * (0.5 * np.log(inverse) + log_scale)
        gradient[i, i] -= 2.0 * power / tril[i, i]
        for j in range(i + 1):
            gradient[i, j] += power * tril[i, j] / square
        # d (Sigma^-1)_ii / d L = -2 p (W e_i)', p = Sigma^-1 e_i
        for a in range(d):
            p = 0.0
            for m in range(max(a, i), d):
                p += whiten[m, a] * whiten[m, i]
            for b in range(i, a + 1):  # below, W e_i is zero
                gradient[a, b] += power * p * whiten[b, i] / inverse
    return value


@njit(**COMPILED)
def tril_log_density(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    tril, whiten, scatter, n, prior, gradient
):
    """Expected log density of one Cholesky factor of Sigma plus its prior.

    ``scatter`` is about the mean, ``whiten`` the inverse of the factor of T.  Writes the
    slope in the entries of ``tril`` (not in the logarithm of its diagonal) and returns
    (likelihood part, prior part).
    """
    d = tril.shape[0]
    half = np.zeros((d, d))  # W A
    for i in range(d):
        for m in range(i + 1):
            for j in range(d):
                half[i, j] += whiten[i, m] * scatter[m, j]
    inner = np.zeros((d, d))  # W A W'
    value = 0.0
    for i in range(d):
        for j in range(d):
            for m in range(j + 1):
                inner[i, j] += half[i, m] * whiten[j, m]
        value += n * np.log(whiten[i, i]) - 0.5 * inner[i, i]
        inner[i, i] -= n
    if is_recorded(prior.recorded):
        for i in range(d):
            for j in range(d):
                t = 0.0  # of M W
                for m in range(j, d):
                    t += inner[i, m] * whiten[m, j]
                half[i, j] = t
        for i in range(d):
            for j in range(d):
                inner[i, j] = 0.0
                for m in range(j, d):
                    inner[i, j] += half[i, m] * tril[m, j]
    for i in range(d):
        for j in range(i + 1):
            t = 0.0
            for m in range(i, d):
                t += whiten[m, i] * inner[m, j]
            gradient[i, j] = t
    if not prior.active:
        return value, 0.0
    log_prior = 0.0
    eta = prior.eta
    for i in range(d):
        up = down = 2.0 * (eta - 1.0)
        if prior.jacobian:
            up, down = d - 1.0 + 2.0 * eta, d + 2.0 * eta - 2.0
        square = 0.0
        for j in range(i + 1):
            square += tril[i, j] * tril[i, j]
        v, slope = scale_log_prior(
            prior.family, prior.scale_a[i], prior.scale_b[i], np.sqrt(square)
        )
        log_prior += v + up * np.log(tril[i, i]) - 0.5 * down * np.log(square)
        for j in range(i + 1):
            gradient[i, j] += (slope - down) / square * tril[i, j]
        gradient[i, i] += up / tril[i, i]
    if prior.marginals:
        log_prior += add_uniform_marginals(tril, gradient)
    return value, log_prior


@njit(**COMPILED)
def log_prior_and_gradient(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    log_weights, means, factors, whiten, structure, counts, sums, scatters, basis, prior, gradient
):
    """Log prior at these parameters; the slope of prior and likelihood into ``gradient``."""
    k, d = means.shape
    log_prior = prior.constant if prior.active else 0.0

    slope = np.empty(k)
    total = 0.0
    for j in range(k):
        slope[j] = counts[j]
        if prior.active:
            a = prior.weights[j] if prior.jacobian else prior.weights[j] - 1.0
            slope[j] += a
            log_prior += a * log_weights[j]
        total += slope[j]
    for m in range(k - 1):
        gradient[m] = 0.0
        for j in range(k):
            gradient[m] += basis[j, m] * (slope[j] - total * np.exp(log_weights[j]))

    p = k - 1
    residual, white = np.empty(d), np.empty(d)
    for j in range(k):
        for i in range(d):
            residual[i] = sums[j, i] - counts[j] * means[j, i]
        if structure >= DIAGONAL:
            for i in range(d):
                gradient[p + i] = residual[i] * whiten[j, i] * whiten[j, i]
        else:
            g = j if structure == FULL else 0
            for i in range(d):
                white[i] = 0.0
                for m in range(i + 1):
                    white[i] += whiten[g * d + i, m] * residual[m]
            for i in range(d):
                gradient[p + i] = 0.0
                for m in range(i, d):
                    gradient[p + i] += whiten[g * d + m, i] * white[m]
        if prior.active:
            for i in range(d):
                t = (means[j, i] - prior.mean_location[i]) / prior.mean_scale[i]
                log_prior -= 0.5 * t * t
                gradient[p + i] -= t / prior.mean_scale[i]
        p += d

    if structure >= DIAGONAL:
        for j in range(k):
            if structure == SPHERICAL:
                gradient[p] = 0.0
            for i in range(d):
                a = scatters[0, j, i] - means[j, i] * (2.0 * sums[j, i] - counts[j] * means[j, i])
                t = a * whiten[j, i] * whiten[j, i] - counts[j]
                t *= (factors[0, j, i] * whiten[j, i]) ** 2  # Sigma's share of T
                if prior.active and (structure == DIAGONAL or i == 0):
                    sigma = factors[0, j, i]
                    v, s = scale_log_prior(
                        prior.family, prior.scale_a[i], prior.scale_b[i], sigma
                    )
                    log_prior += v
                    t += s
                    if prior.jacobian:
                        log_prior += np.log(sigma)
                        t += 1.0
                if structure == DIAGONAL:
                    gradient[p] = t
                    p += 1
                else:
                    gradient[p] += t
            if structure == SPHERICAL:
                p += 1
        return log_prior

    scatter, slopes, own = np.empty((d, d)), np.empty((d, d)), np.empty((d, d))
    for g in range(factors.shape[0]):
        n = scatter_about_means(counts, sums, scatters, means, g, scatter)
        v, prior_part = tril_log_density(
            factors[g], whiten[g * d : (g + 1) * d], scatter, n, prior, slopes
        )
        log_prior += prior_part
        in_frame(prior.frame, factors[g], own)
        for i in range(d):
            total = 0.0
            for j in range(i + 1):
                t = 0.0  # the slope in the entry of T
                for m in range(i, d):
                    t += prior.frame[m, i] * slopes[m, j]
                gradient[p + j] = t * own[i, i]
                total += t * own[i, j]
            p += i + 1
            gradient[p - 1] = total  # the diagonal scales its row
    return log_prior


log_prior_address, call_log_prior = by_address(
    log_prior_and_gradient,
    (
        VECTOR, MATRIX, CUBE, MATRIX, types.int64, VECTOR, MATRIX, CUBE, MATRIX,
        PRIOR_TERMS, VECTOR,
    ),
)  # fmt: skip


@njit(**COMPILED)
def log_posterior(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    pass_at, prior_at, theta, x, center, inverse_scale, row_weights, basis, structure, k, prior,
    gradient, likelihood,
):
    """Log density at ``theta`` on the standardised scale, gradient into ``gradient``.

    ``pass_at`` and ``prior_at`` are the addresses of the pass over the data and of
    the prior.  The log-likelihood by itself, at temperature 1, goes to ``likelihood`` (1,).
    """
    d = x.shape[1]
    log_weights, means = np.empty(k), np.empty((k, d))
    if structure >= DIAGONAL:
        shape, rows = (1, k, d), k
    elif structure == FULL:
        shape, rows = (k, d, d), k * d
    else:
        shape, rows = (1, d, d), d
    factors, scatters = np.empty(shape), np.zeros(shape)
    whiten, shift, log_constant = np.empty((rows, d)), np.empty((k, d)), np.empty(k)
    counts, sums = np.zeros(k), np.zeros((k, d))
    constrain(theta, basis, structure, prior.frame, log_weights, means, factors)
    total = np.empty(shape)
    recorded_factors(factors, structure, prior.recorded, total)
    precision_form(log_weights, means, total, structure, whiten, shift, log_constant)
    loglik = call_accumulate(
        pass_at,
        (
            x, center, inverse_scale, row_weights, whiten, shift, log_constant, structure,
            counts, sums, scatters, np.empty(0), np.empty((0, 0)),
        ),
    )  # fmt: skip
    likelihood[0] = loglik
    if prior.temperature != 1.0:  # the slope is linear in the statistics
        loglik *= prior.temperature
        for part in (counts.ravel(), sums.ravel(), scatters.ravel()):
            for i in range(part.size):
                part[i] *= prior.temperature
    log_prior = call_log_prior(
        prior_at,
        (
            log_weights, means, factors, whiten, structure, counts, sums, scatters, basis, prior,
            gradient,
        ),
    )  # fmt: skip
    return loglik + log_prior


log_posterior_address, call_log_posterior = by_address(
    log_posterior,
    (
        types.int64, types.int64, VECTOR, MATRIX, VECTOR, VECTOR, VECTOR, MATRIX, types.int64,
        types.int64, PRIOR_TERMS, VECTOR, VECTOR,
    ),
)  # fmt: skip


@njit(**COMPILED)
def log_posteriors(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    density_at, pass_at, prior_at, thetas, x, center, inverse_scale, row_weights, basis,
    structure, k, prior, out,
):
    """Log density at each row of ``thetas``, into ``out``."""
    gradient, likelihood = np.empty(thetas.shape[1]), np.empty(1)
    for i in range(len(thetas)):
        out[i] = call_log_posterior(
            density_at,
            (
                pass_at, prior_at, thetas[i], x, center, inverse_scale, row_weights, basis,
                structure, k, prior, gradient, likelihood,
            ),
        )  # fmt: skip


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
        observations.require(spec.n_components, spec.covariance, likelihood_only=False)
        self.spec = spec
        self.observations = observations
        self.cores = cores
        self.prior = PriorTerms.of(spec, observations, active=prior, jacobian=jacobian)
        self.scale = observations.scale_for(spec.covariance)
        self.structure = structure_code(spec.covariance)
        self.basis = zero_sum_basis(spec.n_components)
        self.rows = Rows.of(
            observations.matrix, observations.center, self.scale, observations.row_weights
        )
        self.log_unit = observations.total_weight * float(np.log(self.scale).sum())
        self.size = coordinate_count(
            spec.covariance, spec.n_components, observations.n_features
        )

    def on(
        self, values: NDArray[np.float64], row_weights: NDArray[np.float64] | None
    ) -> LogPosterior:
        """The same density on other rows: same scale, same priors, one thread."""
        other = self.with_cores(1)
        other.rows = Rows.of(values, self.observations.center, self.scale, row_weights)
        total = len(values) if row_weights is None else float(row_weights.sum())
        other.log_unit = total * float(np.log(self.scale).sum())
        return other

    def with_cores(self, cores: int) -> LogPosterior:
        """The same density on another number of threads."""
        other = copy(self)
        other.cores = max(cores, 1)
        return other

    def framed(self, parameters: MixtureParameters) -> LogPosterior:
        """The same density in coordinates that suit a mixture, by its pooled covariance."""
        log_weights, _, factors = self.standardise(parameters)
        other = copy(self)
        if self.structure < DIAGONAL:
            shares = log_weights if self.structure == FULL else np.zeros(1)
            scaled = np.exp(0.5 * shares)[:, None, None] * np.swapaxes(factors, 1, 2)
            upper = np.linalg.qr(scaled.reshape(-1, scaled.shape[-1]), mode="r")
            frame = np.ascontiguousarray(upper.T * np.sign(np.diag(upper)))
            other.prior = self.prior._replace(frame=frame)
        return other

    def statistics(
        self,
        log_weights: NDArray[np.float64],
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
    ) -> tuple[SufficientStatistics, PrecisionForm]:
        """One pass over the data at parameters on the standardised scale."""
        form = self.precision(log_weights, means, factors)
        return expected_statistics(self.rows, form, cores=self.cores), form

    def precision(
        self,
        log_weights: NDArray[np.float64],
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
    ) -> PrecisionForm:
        """What the pass over the data reads, of factors of Sigma."""
        return PrecisionForm.of(log_weights, means, self.of_recorded(factors), self.structure)

    def of_recorded(self, factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors of T of factors (..., *) of Sigma."""
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
        gradient = np.empty(self.size)
        rows = self.rows
        log_unit = self.prior.temperature * self.log_unit
        if len(rows.values) <= CHUNK:
            value = log_posterior(
                accumulate_address(), log_prior_address(), theta, rows.values, rows.center,
                rows.inverse_scale, rows.row_weights,
                self.basis, self.structure, self.spec.n_components, self.prior, gradient,
                np.empty(1),
            )  # fmt: skip
            return value - log_unit, gradient
        k, d = self.spec.n_components, self.observations.n_features
        log_weights, means = np.empty(k), np.empty((k, d))
        factors = np.empty(factor_shape(self.spec.covariance, k, d))
        constrain(theta, self.basis, self.structure, self.prior.frame, log_weights, means, factors)
        statistics, form = self.statistics(log_weights, means, factors)
        if self.prior.temperature != 1.0:
            statistics = statistics.scaled(self.prior.temperature)
        log_prior = log_prior_and_gradient(
            log_weights, means, factors, form.whiten, self.structure, statistics.counts,
            statistics.sums, statistics.scatters, self.basis, self.prior, gradient,
        )  # fmt: skip
        return statistics.log_likelihood - log_unit + log_prior, gradient

    def value(self, theta: NDArray[np.float64]) -> float:
        """Log density at theta."""
        return self.value_and_grad(theta)[0]

    def values(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log density (...) at each of many theta (..., P), on ``cores`` threads."""
        theta = self._batch(theta)
        flat = np.ascontiguousarray(theta.reshape(-1, self.size))
        rows, out = self.rows, np.empty(len(flat))
        if len(rows.values) > CHUNK:  # the threads are those of each pass
            for i, one in enumerate(flat):
                out[i] = self.value(one)
            return out.reshape(theta.shape[:-1])

        def some(begin: int) -> None:
            part = slice(begin, begin + _THETAS)
            log_posteriors(
                log_posterior_address(), accumulate_address(), log_prior_address(), flat[part],
                rows.values, rows.center, rows.inverse_scale, rows.row_weights, self.basis,
                self.structure, self.spec.n_components, self.prior, out[part],
            )  # fmt: skip

        thread_map(some, range(0, len(flat), _THETAS), self.cores)
        out -= self.prior.temperature * self.log_unit
        return out.reshape(theta.shape[:-1])

    def constrain(self, theta: NDArray[np.float64]) -> MixtureParameters:
        """Parameters in the data's units; theta (..., P) gives batch shape (...)."""
        spec = self.spec
        log_weights, means, factors = constrain_many(
            self._batch(theta), spec.covariance, spec.n_components,
            self.observations.n_features, self.prior.frame,
        )  # fmt: skip
        return self.mixture(log_weights, means, factors)

    def mixture(
        self,
        log_weights: NDArray[np.float64],
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
    ) -> MixtureParameters:
        """In the data's units, with the covariances T of what is recorded."""
        spec = self.spec
        tril = factors_to_tril(self.of_recorded(factors), spec.covariance, spec.n_components)
        return MixtureParameters(
            np.exp(log_weights),
            means * self.scale + self.observations.center,
            tril * self.scale[:, None],
        )

    def standardise(
        self, parameters: MixtureParameters
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Log weights, means and factors of Sigma on the standardised scale."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(parameters.weights)
        means = (parameters.means - self.observations.center) / self.scale
        factors = tril_to_factors(
            parameters.scale_tril / self.scale[:, None], self.spec.covariance
        )
        factors = without_recording(factors, self.prior.recorded, self.spec.covariance)
        return log_weights, means, factors

    def unconstrain(self, parameters: MixtureParameters) -> NDArray[np.float64]:
        """The theta of parameters in the data's units; the inverse of :meth:`constrain`."""
        log_weights, means, factors = self.standardise(parameters)
        log_weights = np.maximum(log_weights, -700.0)  # an empty component has no log-ratio
        return unconstrain_many(
            log_weights, means, factors, self.spec.covariance, self.prior.frame
        )

    def relabelled(
        self, theta: NDArray[np.float64], permutation: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """theta (..., P) with its components in another order, the same for all."""
        k, d = self.spec.n_components, self.observations.n_features
        log_ratios = (theta[..., : k - 1] @ self.basis.T)[..., permutation] @ self.basis
        parts, p = [log_ratios], k - 1
        for each in (d, factor_coordinates(self.spec.covariance, d)):
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
            self.spec.covariance, self.spec.n_components, tuple(self.observations.names or ())
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
