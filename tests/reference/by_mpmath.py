"""A mixture's densities said again in 50 digits, from the formulas of textbooks.

Covariances are inverted and their determinants taken as they are, Jacobians are determinants of
numerical derivatives: slow, and without a line or an idea of the code that is tested.  Doubles
are taken for the numbers that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

import bayesgmm as bg

mp = mpmath.MPContext()
mp.dps = 50
#: Step of numerical derivatives by central differences: their error is 1e-30.
STEP = mp.mpf(10) ** -15


def exact(values: Any) -> Any:
    """An array of doubles as one of numbers of 50 digits."""
    return np.vectorize(mp.mpf, otypes=[object])(np.asarray(values, dtype=float))


def matrix(values: Any) -> Any:
    """For the algebra of mpmath."""
    return mp.matrix(np.asarray(values).tolist())


# Normals and their mixtures -------------------------------------------------


class Normal:
    """A normal whose covariance is inverted as it is, once."""

    def __init__(self, mean: Any, covariance: Any) -> None:
        self.mean, s = mean, matrix(covariance)
        self.d = len(mean)
        self.inverse = np.array(mp.inverse(s).tolist(), dtype=object)
        self.log_constant = -(self.d * mp.log(2 * mp.pi) + mp.log(mp.det(s))) / 2
        self.covariance = np.asarray(covariance)

    @cached_property
    def factors(self) -> tuple[Any, Any]:
        """The Cholesky factor and its inverse."""
        scales = np.array([mp.sqrt(self.covariance[i, i]) for i in range(self.d)])
        unitless = mp.cholesky(matrix(self.covariance / np.outer(scales, scales)))
        inverse = np.array(mp.inverse(unitless).tolist(), dtype=object) / scales
        return scales[:, None] * np.array(unitless.tolist(), dtype=object), inverse

    def log_density(self, x: Any) -> mpf:
        """Of a row (D,)."""
        gap = x - self.mean
        return self.log_constant - gap @ self.inverse @ gap / 2


def log_sum(parts: Sequence[mpf]) -> mpf:
    """Logarithm of a sum of exponentials; exponents of mpmath have no bound."""
    return mp.log(mp.fsum(mp.exp(part) for part in parts))


def covariances_of(tril: Any) -> Any:
    """(K, D, D) of factors of doubles, in 50 digits."""
    factors = exact(tril)
    return np.array([f @ f.T for f in factors])


# Priors ----------------------------------------------------------------------


def log_scale_prior(prior: bg.model.priors.ScalePrior, sigma: mpf) -> mpf:
    """Log density of a scale at sigma."""
    a = {name: mp.mpf(value) for name, value in vars(prior).items()}
    match prior:
        case bg.LogNormal():
            t = (mp.log(sigma) - mp.log(a["median"])) / a["sigma"]
            return -mp.log(sigma * a["sigma"] * mp.sqrt(2 * mp.pi)) - t**2 / 2
        case bg.HalfNormal():
            return mp.log(2 / (a["sd"] * mp.sqrt(2 * mp.pi))) - (sigma / a["sd"]) ** 2 / 2
        case bg.Gamma():
            return (
                a["shape"] * mp.log(a["rate"])
                - mp.loggamma(a["shape"])
                + (a["shape"] - 1) * mp.log(sigma)
                - a["rate"] * sigma
            )
    return (
        a["shape"] * mp.log(a["scale"])
        - mp.loggamma(a["shape"])
        - (a["shape"] + 1) * mp.log(sigma)
        - a["scale"] / sigma
    )


def log_correlations_prior(correlations: float | str | None, r: Any) -> mpf:
    """Log density of a correlation matrix R (D, D).

    LKJ with the constant of its authors' vines (Lewandowski, Kurowicka and Joe 2009, equations
    16 and 17), or uniform marginals by principal minors (Barnard, McCulloch and Meng 2000).
    """
    d = len(r)
    if d == 1:
        return mp.mpf(0)
    log_determinant = mp.log(mp.det(matrix(r)))
    if correlations != "uniform":
        eta = mp.mpf(1 + d / 2 if correlations is None else correlations)
        constant = mp.mpf(0)
        for level in range(1, d):
            b = eta + mp.mpf(d - level - 1) / 2
            beta = mp.log(mp.beta(b, b)) + (2 * b - 1) * mp.log(2)
            constant += (d - level) * beta
        return (eta - 1) * log_determinant - constant
    minors = [np.delete(np.delete(r, i, 0), i, 1) for i in range(d)]
    nu = mp.mpf(d + 1)
    log_multigamma = mp.mpf(d * (d - 1)) / 4 * mp.log(mp.pi) + mp.fsum(
        mp.loggamma((nu - i) / 2) for i in range(d)
    )
    return (
        d * mp.loggamma(nu / 2)
        - log_multigamma
        + (mp.mpf(d * (d - 1)) / 2 - 1) * log_determinant
        - nu / 2 * mp.fsum(mp.log(mp.det(matrix(minor))) for minor in minors)
    )


def log_dirichlet(weights: Any, alpha: Any) -> mpf:
    """Of weights (M,) with regard to all of them but one."""
    return (
        mp.loggamma(mp.fsum(alpha))
        - mp.fsum(mp.loggamma(a) for a in alpha)
        + mp.fsum((a - 1) * mp.log(w) for a, w in zip(alpha, weights, strict=True))
    )


# The posterior at theta ------------------------------------------------------


def log_volume(function: Callable[[Any], Any], at: Any) -> mpf:
    """Log determinant of a function's derivative, by central differences."""
    n = len(at)
    columns = []
    for i in range(n):
        step = np.array([STEP if j == i else mp.mpf(0) for j in range(n)])
        columns.append((function(at + step) - function(at - step)) / (2 * STEP))
    return mp.log(abs(mp.det(matrix(np.array(columns)))))


class Posterior:
    """Of a spec and observations, in the coordinates of ``LogPosterior`` without a frame.

    Of the package it takes what defines them: the centre and unit of the standardised scale,
    as doubles.  ``errors`` (N, D) are standard deviations.
    """

    def __init__(
        self, density: bg.LogPosterior, x: Any, *, errors: Any = None, jacobian: bool = True
    ) -> None:
        self.spec, self.jacobian = density.spec, jacobian
        self.k, self.d = self.spec.n_components, np.shape(x)[1]
        self.seen = ~np.isnan(x)
        self.x = exact(np.where(self.seen, x, 0.0))
        self.errors = None if errors is None else exact(errors) ** 2
        self.center, self.unit = exact(density.scaling.center), exact(density.scaling.unit)
        step = exact(density.observations.resolution)
        if self.spec.structure.round:
            step = np.array([max(step)] * self.d)
        self.recorded = step**2 / 12
        self.box = density.noise_box
        self.classes = self.k + self.spec.noise
        self.owners = 1 if self.spec.structure.shared else self.k

    def weights(self, u: Any) -> Any:
        """Of log-ratios (M - 1,): exponentials of Helmert's contrasts, normalised."""
        logs = np.array([mp.mpf(0)] * self.classes)
        for j, value in enumerate(u):
            share = value / mp.sqrt((j + 1) * (j + 2))
            logs[: j + 1] += share
            logs[j + 1] -= (j + 1) * share
        every = np.array([mp.exp(v) for v in logs])
        return every / mp.fsum(every)

    def of_owner(self, theta: Any) -> tuple[Any, Any]:
        """Scales (S,) and correlations (D, D) of the coordinates of one factor."""
        d = self.d
        if not self.spec.structure.matrices:
            return np.array([mp.exp(v) for v in theta]), np.array(mp.eye(d).tolist(), dtype=object)
        factor, p = np.array([[mp.mpf(0)] * d] * d), 0
        for i in range(d):
            factor[i, i] = mp.exp(theta[p + i])
            factor[i, :i] = factor[i, i] * theta[p : p + i]
            p += i + 1
        square = factor @ factor.T
        scales = np.array([mp.sqrt(square[i, i]) for i in range(d)])
        return scales, square / np.outer(scales, scales)

    def parts(self, theta: Any) -> tuple[Any, Any, list[Any]]:
        """Log-ratios, means (K, D) and the coordinates of each factor."""
        u, rest = theta[: self.classes - 1], theta[self.classes - 1 :]
        means, rest = rest[: self.k * self.d].reshape(self.k, self.d), rest[self.k * self.d :]
        return u, means, np.split(rest, self.owners)

    def log_prior(self, theta: Any) -> mpf:
        """With every constant, and the Jacobian of theta if asked for."""
        priors = self.spec.priors
        u, means, factors = self.parts(theta)
        unit, center = self.unit, self.center
        alpha = list(exact(np.broadcast_to(priors.weights, self.k)))
        alpha += [mp.mpf(priors.noise)] * self.spec.noise
        total = log_dirichlet(self.weights(u), alpha) if self.classes > 1 else mp.mpf(0)
        if self.jacobian and self.classes > 1:
            total += log_volume(lambda v: self.weights(v)[:-1], u)
        places = exact(np.broadcast_to(priors.mean_location, self.d))
        widths = exact(np.broadcast_to(priors.mean_scale, self.d))
        in_data = priors.units == "data"
        if in_data:
            places, widths = (places - center) / unit, widths / unit
        for mean in means:
            for value, place, width in zip(mean, places, widths, strict=True):
                total -= ((value - place) / width) ** 2 / 2 + mp.log(width * mp.sqrt(2 * mp.pi))
        for coordinates in factors:
            scales, r = self.of_owner(coordinates)
            for i, sigma in enumerate(scales):
                own = unit[i] if in_data else mp.mpf(1)  # d (sigma unit) = unit d sigma
                total += log_scale_prior(priors.scales, sigma * own) + mp.log(own)
            if self.spec.structure.matrices:
                total += log_correlations_prior(priors.correlations, r)
            if self.jacobian:
                total += log_volume(self.flat, coordinates)
        return total

    def flat(self, coordinates: Any) -> Any:
        """Scales and correlations as one vector."""
        scales, r = self.of_owner(coordinates)
        below = r[np.tril_indices(self.d, -1)] if self.spec.structure.matrices else []
        return np.concatenate([scales, below])

    def log_likelihood(self, theta: Any) -> mpf:
        """Of all rows, in the data's units."""
        u, means, factors = self.parts(theta)
        weights = self.weights(u)
        means = means * self.unit + self.center
        covariances = []
        for coordinates in factors:
            scales, r = self.of_owner(coordinates)
            scales = np.broadcast_to(scales, self.d) * self.unit
            covariances.append(np.outer(scales, scales) * r + np.diag(self.recorded))
        total, known = mp.mpf(0), {}
        for n, row in enumerate(self.x):
            seen = self.seen[n]
            pattern = tuple(seen) if self.errors is None else n
            if pattern not in known:
                added = (
                    np.zeros((self.d, self.d)) if self.errors is None else np.diag(self.errors[n])
                )
                both = np.ix_(seen, seen)
                known[pattern] = [
                    Normal(means[j][seen], (covariances[j % self.owners] + added)[both])
                    for j in range(self.k)
                ]
            logs = [
                mp.log(w) + normal.log_density(row[seen])
                for w, normal in zip(weights, known[pattern], strict=False)
            ]
            if self.spec.noise:
                sides = exact(self.box[1]) - exact(self.box[0])
                logs.append(mp.log(weights[-1]) - mp.fsum(mp.log(s) for s in sides[seen]))
            total += log_sum(logs)
        return total

    def value(self, theta: Any) -> mpf:
        """Log posterior at theta, of doubles or of 50 digits."""
        return self.log_likelihood(theta) + self.log_prior(theta)

    def gradient(self, theta: Any) -> list[mpf]:
        """By central differences."""
        found = []
        for i in range(len(theta)):
            step = np.array([STEP if j == i else mp.mpf(0) for j in range(len(theta))])
            found.append((self.value(theta + step) - self.value(theta - step)) / (2 * STEP))
        return found
