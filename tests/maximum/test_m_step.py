"""The M-step by itself against NumPy's weighted moments and objectives of SciPy's densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

import bayesgmm as bg
from bayesgmm.density.prior_terms import PriorTerms
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.statistics import SufficientStatistics
from bayesgmm.inference.maximum.m_step import m_step
from bayesgmm.model.structure import STRUCTURES as BY_NAME
from bayesgmm.testing.by_scipy import log_correlation, of_scales
from tests.support import STRUCTURES

FAMILIES = [
    bg.LogNormal(0.4, 0.8), bg.HalfNormal(1.3), bg.Gamma(2.5, 3.0), bg.InverseGamma(3.0, 1.2)
]  # fmt: skip
MATRICES = [name for name in STRUCTURES if BY_NAME[name].matrices]
K, D, N = 3, 3, 40


class Rows:
    """Rows whose memberships are known, and their statistics as a structure keeps them."""

    def __init__(self, covariance, *, empty=False, size=1.0):
        rng = np.random.default_rng(5)
        self.x = rng.normal(size=(N, D)) @ np.array([[1.0, 0.5, 0.1], [0, 0.7, 0.3], [0, 0, 0.5]])
        self.x *= size
        self.r = rng.dirichlet(np.full(K, 0.8), size=N)
        if empty:
            self.r[:, 0] += self.r[:, 1]
            self.r[:, 1] = 0.0
        self.structure = BY_NAME[covariance]
        self.counts = self.r.sum(axis=0)
        moments = np.einsum("nk,ni,nj->kij", self.r, self.x, self.x)
        if not self.structure.matrices:
            kept = np.diagonal(moments, axis1=1, axis2=2)[None].copy()
        else:
            kept = moments.sum(axis=0, keepdims=True) if self.structure.shared else moments
        self.statistics = SufficientStatistics(0.0, self.counts, self.r.T @ self.x, kept)

    def scatters(self, means):
        """About given means, one for each component, by adding rows up."""
        away = self.x[:, None] - means
        return np.einsum("nk,nki,nkj->kij", self.r, away, away)

    def start(self):
        rng = np.random.default_rng(6)
        tril = np.tril(rng.normal(size=(K, D, D)) * 0.3, -1) + 0.8 * np.eye(D)
        tril[1:] *= 1.3
        factors = self.structure.to_factors(tril)
        if not self.structure.matrices:
            scales = np.broadcast_to(
                factors[:, :1] if self.structure.shared else factors, (1, K, D)
            )
            scales = scales[..., :1] if self.structure.round else scales
            factors = np.broadcast_to(scales, (1, K, D)).copy()
        return Point(np.log(np.array([0.2, 0.3, 0.5])), rng.normal(size=(K, D)), factors)


def priors(family=FAMILIES[0], *, active=True, recorded=0.0, eta=1.7, marginals=False):
    a, b = family.hyperparameters()
    step = np.array([0.1, 0.2, 0.05])  # so that features differ in all that they can
    return PriorTerms(
        active,
        False,
        np.array([1.5, 3.0, 2.0]),
        np.array([0.3, -0.2, 0.1]),
        np.array([1.5, 0.9, 2.0]),
        family.code,
        np.full(D, a),
        np.full(D, b),
        marginals,
        eta,
        0.0,
        recorded * step,
        np.eye(D),
    )


def total_of(point, structure, recorded):
    """Covariances T (K, D, D) of a point."""
    tril = structure.to_tril(point.factors, K)
    return tril @ np.swapaxes(tril, 1, 2) + recorded * np.eye(D)


def step_from(rows, point, prior, ridge=0.0, floor=1e-8):
    recorded = total_of(point, rows.structure, prior.recorded)
    total = point._replace(
        factors=rows.structure.to_factors(np.linalg.cholesky(recorded)).reshape(point.factors.shape)
    )
    form = PrecisionForm.of(total, rows.structure.code)
    return m_step(
        rows.statistics, form, prior, np.broadcast_to(ridge, D).copy(),
        np.broadcast_to(floor, D).copy(), point,
    )  # fmt: skip


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_maximum_likelihood_is_the_weighted_moments_of_rows(covariance):
    rows = Rows(covariance)
    ridge = np.array([0.01, 0.02, 0.04])
    before = rows.start()
    kept = before.copy()
    after = step_from(rows, before, priors(active=False), ridge)
    np.testing.assert_allclose(np.exp(after.log_weights), rows.counts / N, rtol=1e-12)
    means = np.stack([np.average(rows.x, axis=0, weights=r) for r in rows.r.T])
    np.testing.assert_allclose(after.means, means, rtol=1e-11)
    each = np.stack([np.cov(rows.x.T, aweights=r, ddof=0) for r in rows.r.T])
    if rows.structure.shared:
        each = np.broadcast_to(np.average(each, axis=0, weights=rows.counts), each.shape)
    if rows.structure.round:
        each = np.trace(each, axis1=1, axis2=2)[:, None, None] / D * np.eye(D)
        ridge = np.full(D, ridge[0])
    if not rows.structure.matrices:
        each = each * np.eye(D)
    wanted = each + ridge * np.eye(D)
    np.testing.assert_allclose(total_of(after, rows.structure, 0.0), wanted, rtol=1e-9, atol=1e-12)
    for part, as_it_was in zip(before, kept, strict=True):
        np.testing.assert_array_equal(part, as_it_was)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_component_without_rows_keeps_its_place_and_shape(covariance):
    rows = Rows(covariance, empty=True)
    before = rows.start()
    after = step_from(rows, before, priors(active=False))
    np.testing.assert_array_equal(after.means[1], before.means[1])
    assert after.log_weights[1] < -600
    if not rows.structure.shared:
        at, other = (1, 2) if rows.structure.matrices else ((0, 1), (0, 2))
        np.testing.assert_array_equal(after.factors[at], before.factors[at])
        assert not np.array_equal(after.factors[other], before.factors[other])


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_on_the_floor_no_covariance_within_it_is_likelier(covariance):
    """A covariance C with C - F positive semidefinite, F diagonal: nothing near it is better."""
    rows = Rows(covariance)
    floor = np.array([0.3, 0.5, 0.6])
    after = step_from(rows, rows.start(), priors(active=False), floor=floor)
    found = total_of(after, rows.structure, 0.0)
    if rows.structure.round:  # of one scale, that of the first feature
        floor = np.full(D, floor[0])
    assert np.linalg.eigvalsh(found - floor * np.eye(D)).min() > -1e-12
    scatters = rows.scatters(after.means)

    def objective(covariances):
        inverse = np.linalg.inv(covariances)
        fits = np.einsum("kij,kji->k", inverse, scatters)
        return -0.5 * float(rows.counts @ np.linalg.slogdet(covariances)[1] + fits.sum())

    best = objective(found)
    rng = np.random.default_rng(7)
    for _ in range(50):
        # From F + M to F + (I + E) M (I + E)', which stays within, as the structure allows.
        e = 0.03 * rng.normal(size=(K, D, D))
        e = np.broadcast_to(e[:1], e.shape) if rows.structure.shared else e
        e = e if rows.structure.matrices else e * np.eye(D)
        e = e[:, :1, :1] * np.eye(D) if rows.structure.round else e
        within = found - floor * np.eye(D)
        shift = np.eye(D) + e
        other = shift @ within @ np.swapaxes(shift, 1, 2) + floor * np.eye(D)
        assert objective(other) <= best + 1e-9


@pytest.mark.parametrize("recorded", [0.0, 1.0])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_weights_and_means_given_covariances_are_the_modes(covariance, recorded):
    rows, prior = Rows(covariance), priors(recorded=recorded)
    before = rows.start()
    after = step_from(rows, before, prior)
    pseudo = rows.counts + prior.weights - 1
    np.testing.assert_allclose(np.exp(after.log_weights), pseudo / pseudo.sum(), rtol=1e-12)
    own = np.diag(prior.mean_scale**-2)
    covariances = total_of(before, rows.structure, prior.recorded)
    for j in range(K):
        precision = np.linalg.inv(covariances[j])
        wanted = np.linalg.solve(
            rows.counts[j] * precision + own,
            precision @ rows.statistics.sums[j] + own @ prior.mean_location,
        )
        np.testing.assert_allclose(after.means[j], wanted, rtol=1e-9)


@pytest.mark.parametrize(("recorded", "size"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.05)])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("covariance", [n for n in STRUCTURES if n not in MATRICES])
def test_scales_are_the_modes_that_scipy_finds(covariance, family, recorded, size):
    rows, prior = Rows(covariance, size=size), priors(family, recorded=recorded)
    if rows.structure.round:  # one scale is in one unit, with one variance of recording
        prior = prior._replace(recorded=np.full(D, prior.recorded[0]))
    after = step_from(rows, rows.start(), prior)
    squares = np.diagonal(rows.scatters(after.means), axis1=1, axis2=2)
    log_prior = of_scales(family).logpdf
    for j in range(K):
        for i in range(D):
            owners = slice(None) if rows.structure.shared else slice(j, j + 1)
            features = slice(None) if rows.structure.round else slice(i, i + 1)
            n = rows.counts[owners].sum() * (D if rows.structure.round else 1)
            scatter = squares[owners, features].sum()

            def cost(log_sigma, n=n, scatter=scatter, more=prior.recorded[i]):
                t = np.exp(2 * log_sigma) + more
                return 0.5 * n * np.log(t) + 0.5 * scatter / t - log_prior(np.exp(log_sigma))

            found = optimize.minimize_scalar(
                cost, bounds=(-5, 3), method="bounded", options={"xatol": 1e-11}
            )
            # A minimum's place is known to the root of what rounding its value has.
            np.testing.assert_allclose(np.log(after.factors[0, j, i]), found.x, atol=2e-6)


@pytest.mark.parametrize(
    ("eta", "marginals", "recorded"), [(1.7, False, 0.0), (1.7, False, 1.0), (1.0, True, 0.0)]
)
@pytest.mark.parametrize("family", FAMILIES[::2], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("covariance", MATRICES)
def test_steps_of_factors_raise_scipys_objective_to_its_maximum(
    covariance, family, eta, marginals, recorded
):
    rows = Rows(covariance)
    prior = priors(family, eta=eta, marginals=marginals, recorded=recorded)
    kind = "uniform" if marginals else eta

    def objective(tril, n, scatter):
        sigma = tril @ tril.T
        scales = np.sqrt(np.diag(sigma))
        total = sigma + np.diag(prior.recorded)
        fit = -0.5 * (n * np.linalg.slogdet(total)[1] + np.trace(np.linalg.solve(total, scatter)))
        own = of_scales(family).logpdf(scales).sum()
        return fit + own + log_correlation(sigma / np.outer(scales, scales), kind)

    def all_of(point):
        scatters = rows.scatters(point.means)
        if rows.structure.shared:
            return [(point.factors[0], rows.counts.sum(), scatters.sum(axis=0))]
        return list(zip(point.factors, rows.counts, scatters, strict=True))

    point = rows.start()
    for _ in range(3):
        new = step_from(rows, point, prior)
        before = [objective(*each) for each in all_of(point._replace(means=new.means))]
        after = [objective(*each) for each in all_of(new)]
        assert (np.array(after) >= np.array(before) - 1e-10).all()
        point = new
    for _ in range(40 if recorded else 5):  # four steps each; linear if recorded
        point = step_from(rows, point, prior)
    lower = np.tril_indices(D)
    for tril, n, scatter in all_of(point):

        def value(entries, n=n, scatter=scatter):
            trial = np.zeros((D, D))
            trial[lower] = entries
            return objective(trial, n, scatter)

        slope = optimize.approx_fprime(tril[lower], value, 1e-6)
        np.testing.assert_allclose(slope, 0.0, atol=2e-3)  # of differences on one side
        for e in 0.01 * np.random.default_rng(8).normal(size=(20, len(lower[0]))):
            assert value(tril[lower] + e) < value(tril[lower])


def test_a_covariance_without_a_mode_is_taken_to_its_least_and_no_further():
    """Of a feature that is one number there is no narrowest normal under a half-normal prior."""
    rows = Rows("full")
    for of_rows in rows.statistics.sums, *rows.statistics.scatters:
        of_rows[:, 2] = 0.0
    rows.statistics.scatters[:, 2] = 0.0
    prior = priors(bg.HalfNormal(1.3))._replace(mean_location=np.zeros(D))
    point = rows.start()
    for _ in range(20):
        point = step_from(rows, point, prior)
    np.testing.assert_allclose(point.factors[:, 2, 2] ** 2, 1e-8, rtol=1e-3)
    assert (point.factors[:, 2, 2] ** 2 >= 1e-8).all()
