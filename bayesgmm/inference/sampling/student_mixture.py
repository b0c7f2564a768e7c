"""Mixtures of multivariate Student t's: proposals of importance sampling.

Their tails are heavier than a posterior's, so that weights stay bounded where normals fall
short of it.  A component of very many degrees of freedom is a normal.  A mixture can be
adapted to weighted draws of itself, so that the next draws are weighted more evenly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Degrees of freedom at which a Student t is a normal for every purpose here.
NORMAL = 1e6
_ITERATIONS = 5  # of EM, which need not converge: any proposal gives the same answer


class StudentMixture(NamedTuple):
    """A mixture of M multivariate Student t's in P dimensions."""

    weights: Array  # (M,)
    means: Array  # (M, P)
    factors: Array  # (M, P, P), C of scale matrices C C'
    degrees: Array  # (M,) degrees of freedom

    def simulate(self, n: int, rng: np.random.Generator) -> Array:
        """Draws (n, P)."""
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        degrees = self.degrees[which][:, None]
        z = rng.standard_normal((n, self.means.shape[1]))
        z /= np.sqrt(rng.chisquare(degrees) / degrees)
        for j, factor in enumerate(self.factors):
            z[which == j] = self.means[j] + z[which == j] @ factor.T
        return z

    def log_density(self, theta: Array) -> Array:
        """Log density (n,) of theta (n, P)."""
        return np.asarray(np.logaddexp.reduce(self._parts(theta)[0], axis=0))

    def _parts(self, theta: Array) -> tuple[Array, Array]:
        """Of each component, log weight plus log density, and squared distances: both (M, n)."""
        from scipy.special import gammaln

        p, nu = theta.shape[1], self.degrees[:, None]
        squared = np.stack(
            [
                (np.linalg.solve(factor, (theta - mean).T) ** 2).sum(axis=0)
                for mean, factor in zip(self.means, self.factors, strict=True)
            ]
        )
        constant = gammaln(0.5 * (nu + p)) - gammaln(0.5 * nu) - 0.5 * p * np.log(np.pi * nu)
        log_det = np.linalg.slogdet(self.factors)[1][:, None]
        log_density = constant - log_det - 0.5 * (nu + p) * np.log1p(squared / nu)
        with np.errstate(divide="ignore"):
            return np.log(self.weights)[:, None] + log_density, squared

    def mixed(self, other: StudentMixture, share: float) -> StudentMixture:
        """This mixture, of which ``other`` has a share."""
        return StudentMixture(
            np.concatenate([(1 - share) * self.weights, share * other.weights]),
            *(np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True)),
        )

    def adapted(self, theta: Array, weights: Array) -> StudentMixture:
        """This mixture moved towards ``theta`` (n, P) of ``weights`` that sum to one, by EM.

        Each component is drawn to itself as it was by as much as keeps chance out of it.  To
        estimate a covariance by e effective draws costs P (P + 1) / 4 e in Kullback-Leibler
        divergence, a mean P / 2 e; against priors worth P (P + 1) / 4 and P / 2 draws no e
        costs more than a quarter.

        References
        ----------
        Cappe, Douc, Guillin, Marin and Robert (2008), Adaptive importance sampling in general
        mixture classes, Statistics and Computing 18; McLachlan and Peel (2000), Finite
        Mixture Models, section 7.5 (EM for t's).
        """
        p = theta.shape[1]
        effective = effective_number(weights)
        before = self.factors @ np.swapaxes(self.factors, -1, -2)
        found = self
        for _ in range(_ITERATIONS):
            parts, squared = found._parts(theta)
            shares = effective * weights * np.exp(parts - np.logaddexp.reduce(parts, axis=0))
            # How much a draw says about a t: the less, the further out it is.
            precision = shares * (self.degrees[:, None] + p) / (self.degrees[:, None] + squared)
            counts = shares.sum(axis=1)
            means = (precision @ theta + 0.5 * p * self.means) / (precision.sum(axis=1) + 0.5 * p)[
                :, None
            ]
            prior = 0.25 * p * (p + 1)
            covariances = np.stack(
                [
                    ((theta - mean).T * u @ (theta - mean) + prior * own) / (count + prior)
                    for mean, u, own, count in zip(means, precision, before, counts, strict=True)
                ]
            )
            try:
                factors = np.linalg.cholesky(covariances)
                np.linalg.inv(factors)  # which the next density needs
            except np.linalg.LinAlgError:  # scales so far apart that rounding leaves none
                return found
            found = StudentMixture(counts / counts.sum(), means, factors, self.degrees)
        return found


def effective_number(weights: Array) -> float:
    """How many independent draws are worth draws of these weights, which sum to one (Kish)."""
    return float(1 / (weights**2).sum())
