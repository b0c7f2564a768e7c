"""Whether a method ends where it says: at a maximum, or in draws of the posterior itself.

Rows are few where draws are judged, for there a wrong Jacobian or prior moves them by more than
their error: one of log sigma, of n rows, by 1 / sqrt(2 n) posterior standard deviations.  Their
labels are known, so that components are who they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.methods import EM, MAP, Search
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.fit import MixtureFit
from bayesgmm.testing.by_scipy import of_scales
from bayesgmm.testing.expectations import Skipped, close, holds
from bayesgmm.testing.monte_carlo import standard_errors, worst
from bayesgmm.testing.subject import Subject, has_ridge, require_ok

Array = NDArray[np.float64]

#: Rows of two components, five and four of them.
_FEW = np.array([-2.0, -1.1, -0.9, 0.4, 0.1, 2.6, 4.9, 4.2, 3.1])
_OF = np.repeat([0, 1], [5, 4])


def monotone_likelihood(subject: Subject) -> str:
    """No iteration lowers the objective."""
    fit, method = _point(subject), subject.method
    if has_ridge(method):
        raise Skipped("With reg_covar it need not be.")
    if "objective_trace" not in fit.facts:
        raise Skipped("It keeps no objective_trace.")
    if isinstance(method, Search):  # whose own steps are the ones to look at
        plain = dataclasses.replace(method, accelerate=False)
        fit = subject.fitted(method=plain, start=_far_away(subject))
    trace = fit.facts["objective_trace"].values
    steps = np.diff(trace)
    holds(
        (steps >= -1e-9 * np.abs(trace[:-1])).all(),
        f"an iteration that lowered it by {-steps.min(initial=0.0):.3g}.",
    )
    return f"{len(steps)} iterations"


def stationary(subject: Subject) -> str:
    """The slope of what was maximised is zero at the end."""
    fit, method = _point(subject), subject.method
    require_ok(subject, fit)
    if not isinstance(method, (EM, MAP)) or has_ridge(method):
        raise Skipped("What it maximises is its own.")
    density = LogPosterior(fit.spec, subject.rows, jacobian=False, prior=isinstance(method, MAP))
    value, slope = density.value_and_grad(density.unconstrain(fit.parameters[0, 0]))
    largest = float(np.abs(slope).max()) / max(1.0, abs(value))
    holds(largest <= 1e-6, f"a slope of {largest:.2g}, relative to the objective.")
    return f"to {largest:.0e}"


def known_answer(subject: Subject) -> str:
    """Of few rows of known classes, moments and modes are those of SciPy's integrals."""
    rows = Observations(_FEW[:, None], labels=_OF, resolution=0)
    spec, method = MixtureSpec(2), subject.method
    if not subject.draws and (not isinstance(method, (EM, MAP)) or has_ridge(method)):
        raise Skipped("What it maximises is its own.")
    fit = subject.tried(rows, spec=spec)
    p, unit, center = fit.parameters, _FEW.std(), _FEW.mean()
    parts = [((_FEW - center) / unit)[mine] for mine in (_OF == 0, _OF == 1)]
    means, log_scales = (p.means[..., 0] - center) / unit, np.log(p.scales[..., 0] / unit)
    found = np.concatenate([p.weights[..., :1], means, log_scales], axis=-1)
    if isinstance(method, EM):
        at = [5 / 9, *(part.mean() for part in parts), *(np.log(part.std()) for part in parts)]
        return f"to {close('the maximum', found[0, 0], at, atol=1e-6):.0e}"
    if isinstance(method, MAP):
        tops = np.array([_mode(spec, part) for part in parts])
        at = [6 / 11, *tops[:, 0], *tops[:, 1]]
        return f"to {close('the mode', found[0, 0], at, atol=1e-5):.0e}"
    moments = np.array([_moments(spec, part) for part in parts])
    values = np.concatenate([found, found[..., 1:] ** 2], axis=-1)
    at = [7 / 13, *moments[:, 0], *moments[:, 1], *moments[:, 2], *moments[:, 3]]
    names = "w, mu, log sigma and the squares of these"
    score = worst(names, values.mean(axis=(0, 1)) - at, standard_errors(fit, values))
    return f"within {score:.1f} standard errors"


def slopes_of_draws(subject: Subject) -> str:
    """The mean slope of the log posterior over its draws is zero, in every coordinate."""
    if not subject.draws:
        raise Skipped("It does not draw.")
    k, d = subject.spec.n_components, subject.rows.n_features
    labels = np.arange((d + 3) * k) % k
    x = np.random.default_rng(4).normal(size=(len(labels), d)) + 4.0 * labels[:, None]
    rows, spec = Observations(x, labels=labels, resolution=0), subject.spec.replace(noise=False)
    fit = subject.tried(rows, spec=spec)
    density = LogPosterior(spec, rows)
    theta = density.unconstrain(fit.parameters)
    slopes = density.values_and_grads(theta.reshape(-1, density.size))[1].reshape(theta.shape)
    score = worst("slopes", slopes.mean(axis=(0, 1)), standard_errors(fit, slopes))
    return f"within {score:.1f} standard errors"


def _far_away(subject: Subject) -> MixtureParameters:
    """Components as wide as the data, at some of the rows: from where there is a way to go."""
    rows, k = subject.rows, subject.spec.n_components
    x = np.where(np.isnan(rows.values), rows.center, rows.values)
    wide = np.diag(x.var(axis=0)) + np.zeros((k, 1, 1))
    at = x[np.linspace(0, len(x) - 1, k).astype(int)]
    return MixtureParameters.from_covariances(np.full(k, 1 / k), at, wide)


def _point(subject: Subject) -> MixtureFit:
    if subject.draws:
        raise Skipped("It draws.")
    return subject.fit


def _joint(spec: MixtureSpec, z: Array, mu: Array, log_sigma: Array) -> Array:
    """Log density of (mu, sigma) and rows z of one component, on the standardised scale."""
    priors, sigma = spec.priors, np.exp(log_sigma)
    total = stats.norm(priors.mean_location, priors.mean_scale).logpdf(mu)
    total = total + of_scales(priors.scales).logpdf(sigma)
    return np.asarray(total + sum(stats.norm.logpdf(each, mu, sigma) for each in z))


def _mode(spec: MixtureSpec, z: Array) -> Array:
    begin = [z.mean(), np.log(z.std())]
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}

    def negative(at: Array) -> float:
        return -float(_joint(spec, z, at[0], at[1]))

    found = optimize.minimize(negative, begin, method="Nelder-Mead", options=options)
    return np.asarray(found.x)


def _moments(spec: MixtureSpec, z: Array) -> Array:
    """Means of mu and log sigma, and of their squares, by a sum over a fine grid."""
    mu, log_sigma = np.linspace(-8, 8, 801)[:, None], np.linspace(-5, 4, 451)[None]
    log = _joint(spec, z, mu, log_sigma) + log_sigma
    mass = np.exp(log - special.logsumexp(log))
    each = (mu, log_sigma, mu**2, log_sigma**2)
    return np.array([float((mass * one).sum()) for one in each])
