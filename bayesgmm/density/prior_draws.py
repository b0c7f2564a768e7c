"""Draws of theta from its prior, exactly: where the ladder of tempering has its foot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.density.coordinates import unconstrain_many
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.prior_terms import PriorTerms
from bayesgmm.expectation.point import Point
from bayesgmm.model.priors import GAMMA, HALF_NORMAL, LOG_NORMAL

Array = NDArray[np.float64]


def prior_draws(density: LogPosterior, n: int, rng: np.random.Generator) -> Array:
    """``n`` draws (n, P) of theta, on the standardised scale as all of theta."""
    prior, structure = density.prior, density.spec.structure
    k, d = density.spec.n_components, density.observations.n_features
    log_weights = _log_dirichlet(prior.weights, n, rng)
    means = prior.mean_location + prior.mean_scale * rng.standard_normal((n, k, d))
    owners = structure.owners(k)
    scales = structure.to_distinct(_scales(prior, (n, owners, d), rng))
    scales = structure.from_distinct(scales, k, d)
    tril = scales[..., None] * np.eye(d)
    if structure.matrices and d > 1:
        draw = _uniform_marginals if prior.marginals else _lkj
        tril = scales[..., None] * draw(prior.eta, d, (n, owners), rng)
    factors = structure.to_factors(tril)
    return unconstrain_many(Point(log_weights, means, factors), structure, prior.frame)


def _log_dirichlet(alpha: Array, n: int, rng: np.random.Generator) -> Array:
    logs = _log_gamma(alpha, (n, len(alpha)), rng)
    return np.asarray(logs - np.logaddexp.reduce(logs, axis=1)[:, None])


def _log_gamma(shape: Array, size: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Logarithms of gamma variates, which do not underflow where the shape is small."""
    return np.log(rng.standard_gamma(shape + 1.0, size)) - rng.standard_exponential(size) / shape


def _scales(prior: PriorTerms, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    a, b = prior.scale_a, prior.scale_b
    if prior.family == LOG_NORMAL:
        return np.exp(a + b * rng.standard_normal(shape))
    if prior.family == HALF_NORMAL:
        return np.abs(a * rng.standard_normal(shape))
    logs = _log_gamma(a, shape, rng) - np.log(b)
    if prior.family != GAMMA:
        logs = -logs
    return np.asarray(np.exp(np.clip(logs, -340.0, 340.0)))  # the density takes their squares


def _lkj(eta: float, d: int, batch: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Cholesky factors (*batch, D, D): the squared length of row i left of its diagonal is a
    beta, its direction uniform (the onion of Lewandowski, Kurowicka and Joe 2009)."""
    factor = np.zeros((*batch, d, d))
    factor[..., 0, 0] = 1.0
    for i in range(1, d):
        rest = rng.beta(eta + 0.5 * (d - 1 - i), 0.5 * i, batch)  # small where eta is
        direction = rng.standard_normal((*batch, i))
        direction /= np.sqrt((direction**2).sum(axis=-1))[..., None]
        factor[..., i, :i] = np.sqrt(1.0 - rest)[..., None] * direction
        factor[..., i, i] = np.sqrt(np.maximum(rest, 1e-300))
    return factor


def _uniform_marginals(
    eta: float, d: int, batch: tuple[int, ...], rng: np.random.Generator
) -> Array:
    """Cholesky factors of the correlations of an inverse Wishart with D + 1 degrees."""
    wishart = rng.standard_normal((*batch, d, d + 1))
    covariance = np.linalg.inv(wishart @ np.swapaxes(wishart, -1, -2))
    factor = np.linalg.cholesky(covariance)
    return np.asarray(factor / np.sqrt((factor**2).sum(axis=-1))[..., None])
