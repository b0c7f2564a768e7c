"""The Jacobian of theta: the two densities differ by what numerical differentiation gives.

One density is over theta, the other over (w, mu, sigma, R), where w has its first entries,
sigma the scales that differ and R the entries below its diagonal.
"""

from __future__ import annotations

import numpy as np
import pytest

import bayesgmm as bg
from tests.support import STRUCTURES


def natural(density, theta):
    """(w, mu, sigma, R) of a theta, on the standardised scale."""
    p, spec = density.constrain(theta), density.spec
    structure, scaling = spec.structure, density.scaling
    below = np.tril_indices(p.means.shape[-1], -1)
    owners = 1 if structure.shared else len(p.means)
    parts = [
        p.weights[:-1],
        scaling.there(p.means).ravel(),
        structure.to_distinct(p.scales / scaling.unit).ravel(),
    ]
    if structure.matrices:
        parts += [r[below] for r in p.correlations[:owners]]
    return np.concatenate(parts)


@pytest.mark.parametrize("correlations", [None, "uniform", 1.7])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (2, 3), (1, 2)])
def test_densities_differ_by_the_jacobian_of_differences(covariance, k, d, correlations):
    rng = np.random.default_rng(k + 10 * d)
    x = rng.normal(size=(40, d)) * np.array([10, 0.1, 5])[:d] + 100
    spec = bg.MixtureSpec(k, covariance, priors=bg.Priors(correlations=correlations))
    frame = bg.LogPosterior(spec, x)
    frame = frame.framed(frame.constrain(rng.normal(size=frame.size))).prior.frame
    with_it, without = (bg.LogPosterior(spec, x, jacobian=jacobian) for jacobian in (True, False))
    for density in (with_it, without):
        density.prior = density.prior._replace(frame=frame)
    theta = 0.5 * rng.normal(size=with_it.size)
    step = 1e-5
    jacobian = [
        (natural(with_it, theta + step * e) - natural(with_it, theta - step * e)) / (2 * step)
        for e in np.eye(with_it.size)
    ]
    wanted = np.linalg.slogdet(jacobian)[1]
    # The error of central differences is of the order of their step, squared.
    np.testing.assert_allclose(with_it.value(theta) - without.value(theta), wanted, atol=1e-6)
