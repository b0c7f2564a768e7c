"""The density of a model said again by SciPy's distributions, from its definition.

Slow and plain, without a line of the code that fits: what that is compared to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.priors import Gamma, HalfNormal, InverseGamma, LogNormal, ScalePrior
from bayesgmm.model.spec import MixtureSpec

Array = NDArray[np.float64]


def log_likelihood(p: MixtureParameters, x: Array) -> float:
    """Of rows (N, D) under one mixture; of a row with NaN, that of what was seen of it."""
    total = 0.0
    for row in x:
        seen = ~np.isnan(row)
        if seen.any():
            both = np.ix_(seen, seen)
            parts = [
                np.log(w) + stats.multivariate_normal(m[seen], c[both]).logpdf(row[seen])
                for w, m, c in zip(p.weights, p.means, p.covariances, strict=True)
            ]
            total += float(special.logsumexp(parts))
    return total


def of_scales(prior: ScalePrior) -> Any:
    """The distribution of a scale."""
    if isinstance(prior, LogNormal):
        return stats.lognorm(prior.sigma, scale=prior.median)
    if isinstance(prior, HalfNormal):
        return stats.halfnorm(scale=prior.sd)
    if isinstance(prior, Gamma):
        return stats.gamma(prior.shape, scale=1 / prior.rate)
    assert isinstance(prior, InverseGamma)
    return stats.invgamma(prior.shape, scale=prior.scale)


def log_correlation(r: Array, correlations: Any) -> float:
    """Log density of a correlation matrix with its constant: LKJ, or uniform marginals.

    LKJ's constant is the product of betas of its authors' vines.  The other is what an inverse
    Wishart of D + 1 degrees has at R when the scales, whose squares are inverse gammas given R,
    have been divided out; the scales may be any.
    """
    d = len(r)
    if correlations != "uniform":
        eta = 1 + d / 2 if correlations is None else correlations
        b = [eta + (d - m - 1) / 2 for m in range(1, d)]
        logs = [(2 * c - 1) * np.log(2) + special.betaln(c, c) for c in b]
        constant = sum((d - m) * each for m, each in zip(range(1, d), logs, strict=True))
        return float((eta - 1) * np.linalg.slogdet(r)[1] - constant)
    s = np.linspace(0.5, 2.0, d)
    whole = stats.invwishart(d + 1, np.eye(d)).logpdf(np.outer(s, s) * r)
    jacobian = d * np.log(2) + d * np.log(s).sum()
    squares = stats.invgamma((d + 1) / 2, scale=np.diag(np.linalg.inv(r)) / 2)
    return float(whole + jacobian - (squares.logpdf(s**2) + np.log(2 * s)).sum())


def log_prior(spec: MixtureSpec, p: MixtureParameters, unit: Array, center: Array) -> float:
    """Of (w, mu, sigma, R) on the standardised scale, without a Jacobian; no noise."""
    priors, structure, k = spec.priors, spec.structure, spec.n_components
    means, sigma = (p.means - center) / unit, p.scales / unit
    total = stats.norm(priors.mean_location, priors.mean_scale).logpdf(means).sum()
    if k > 1:
        total += stats.dirichlet(np.broadcast_to(priors.weights, k)).logpdf(
            p.weights / p.weights.sum()
        )
    owners = slice(0, 1) if structure.shared else slice(None)
    sigma = sigma[owners, :1] if structure.round else sigma[owners]
    total += of_scales(priors.scales).logpdf(sigma).sum()
    if structure.matrices:
        total += sum(log_correlation(r, priors.correlations) for r in p.correlations[owners])
    return float(total)
