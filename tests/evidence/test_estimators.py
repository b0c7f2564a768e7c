"""The estimators by themselves, on densities whose constants are known."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm.inference.bridge import bridge_ratio
from bayesgmm.inference.evidence.importance import by_importance
from bayesgmm.inference.evidence.log_evidence import _by_bridge, _by_smc
from bayesgmm.inference.evidence.opinions import Estimate, combined
from tests.monte_carlo import ERRORS

LOG_Z, LOG_LABELLINGS = -345.6, 1.25


@dataclass
class Region:
    """As the posterior two normals of shares 0.7 and 0.3, e^LOG_Z times their density."""

    theta: np.ndarray

    log_labellings = LOG_LABELLINGS
    shares = np.array([0.7, 0.3])
    places = np.array([[0.0, 1.0, -2.0], [6.0, 1.0, 1.0]])
    factors = np.array([
        [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 2.0]],
        [[0.5, 0.0, 0.0], [0.0, 1.5, 0.0], [0.3, 0.0, 1.0]],
    ])  # fmt: skip

    @classmethod
    def drawn(cls, rng, *, chains=4, draws=250, of=(0, 1)):
        """With independent draws of it; or of some of the normals, where chains missed others."""
        shares = cls.shares[list(of)] / cls.shares[list(of)].sum()
        which = rng.choice(of, p=shares, size=(chains, draws))
        z = rng.standard_normal((chains, draws, 3))
        return cls(cls.places[which] + np.einsum("cnij,cnj->cni", cls.factors[which], z))

    def modes(self, seed):
        assert isinstance(seed, int)
        return self.shares, self.places, self.factors

    def log_density(self, theta):
        each = [
            np.log(share) + multivariate_normal(place, factor @ factor.T).logpdf(theta)
            for share, place, factor in zip(self.shares, self.places, self.factors, strict=True)
        ]
        return LOG_Z + logsumexp(each, axis=0)


def values_and_errors(estimator, **drawn):
    """Of thirty sets of draws."""
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found.append(estimator(Region.drawn(rng, **drawn), rng))
    return found, *np.array([each[1:3] for each in found]).T


@pytest.mark.parametrize(("estimator", "largest"), [(by_importance, 0.005), (_by_bridge, 0.006)])
def test_the_constant_is_found_with_the_error_that_is_stated(estimator, largest):
    found, values, errors = values_and_errors(estimator)
    assert abs(values.mean() - LOG_Z - LOG_LABELLINGS) < ERRORS * values.std() / np.sqrt(30)
    # Thirty standard deviations scatter by an eighth.
    assert 0.6 < values.std() / errors.mean() < 1.5
    assert errors.max() < largest
    assert all(each.trusted for each in found)
    if estimator is by_importance:  # Student t's cover two normals
        assert max(each.pareto_k for each in found) < 0.5
        assert {each.method for each in found} == {"importance sampling"}


def test_importance_sampling_sees_a_mode_that_the_draws_have_not():
    _, values, errors = values_and_errors(by_importance, of=(0,))
    assert abs(values.mean() - LOG_Z - LOG_LABELLINGS) < ERRORS * values.std() / np.sqrt(30)
    assert errors.max() < 0.006  # by what the first round has shown; 0.015 without
    _, values, _ = values_and_errors(_by_bridge, of=(0,))  # which bridge sampling does not
    np.testing.assert_allclose(values - LOG_Z - LOG_LABELLINGS, np.log(0.7), atol=0.1)


def test_every_draw_is_compared_once(monkeypatch):
    """Each half with proposals fitted to the other; the mean of the two is taken, of Z."""
    asked, answers = [], iter([(1.0, 0.3), (2.0, 0.4)])

    def bridged(on_draws, on_proposed):
        asked.append((on_draws.shape, on_proposed.shape))
        return next(answers)

    monkeypatch.setattr("bayesgmm.inference.evidence.log_evidence.bridge_ratio", bridged)
    rng = np.random.default_rng(0)
    found = _by_bridge(Region.drawn(rng, chains=3, draws=101), rng)
    assert asked == [((3, 50), (300,)), ((3, 50), (300,))]
    np.testing.assert_allclose(found.value, np.log((np.e + np.e**2) / 2) + LOG_LABELLINGS)
    np.testing.assert_allclose(found.se, 0.25)


class Nowhere(Region):
    def log_density(self, theta):
        return np.full(len(theta), -np.inf)


def test_no_mass_is_an_error():
    rng = np.random.default_rng(0)
    region = Nowhere(Region.drawn(rng).theta)
    with pytest.raises(bg.FitError, match="No proposal falls where"):
        by_importance(region, rng)
    with pytest.raises(bg.FitError, match="No proposal falls where"):
        bridge_ratio(np.zeros((2, 50)), np.full(50, -np.inf))


def log_ratios(rng, chains, draws, proposed, correlation):
    """Of draws that are correlated along a chain, and of proposals; where some have no mass."""
    z = rng.standard_normal((chains, draws))
    for t in range(1, draws):
        z[:, t] = correlation * z[:, t - 1] + np.sqrt(1 - correlation**2) * z[:, t]
    return LOG_Z + 0.5 + z, np.where(
        rng.random(proposed) < 0.1, -np.inf, LOG_Z - 0.5 + rng.standard_normal(proposed)
    )


@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.5])
@pytest.mark.parametrize(("chains", "draws", "proposed"), [(4, 200, 900), (2, 150, 100)])
def test_the_bridge_is_the_root_of_its_equation(chains, draws, proposed, correlation):
    """Meng and Wong (1996), (4.1), as an equation for the constant, solved by Brent's method; the
    error by Fruehwirth-Schnatter (2004), (18), with the draws' own autocorrelation."""
    rng = np.random.default_rng(chains)
    on_draws, on_proposed = log_ratios(rng, chains, draws, proposed, correlation)

    def ess(values):
        return float(array_stats.ess(values, chain_axis=0, draw_axis=1, method="mean"))

    n = ess(on_draws)
    s1, s2 = n / (n + proposed), proposed / (n + proposed)

    def sides(log_z):
        """f1 and f2 of both sets: p / (s1 p + s2 q) of proposals, q / (s1 p + s2 q) of draws."""
        with np.errstate(over="ignore"):
            return (
                1 / (s1 + s2 * np.exp(log_z - on_proposed)),
                1 / (s1 * np.exp(on_draws - log_z) + s2),
            )

    log_z = brentq(
        lambda at: np.subtract(*map(np.mean, sides(at))), LOG_Z - 5, LOG_Z + 5, xtol=1e-13
    )
    f1, f2 = sides(log_z)
    rho = max(1.0, f2.size / ess(f2))
    error = np.sqrt(
        f1.var(ddof=1) / f1.mean() ** 2 / len(f1) + rho * f2.var(ddof=1) / f2.mean() ** 2 / f2.size
    )
    found = bridge_ratio(on_draws, on_proposed)
    assert abs(found[0] - log_z) < 1e-8
    assert abs(found[1] / error - 1) < 1e-6


def test_ratios_beyond_the_range_of_a_double_do_no_harm():
    """A tail of proposals that the posterior hardly has, and draws that no proposal comes near."""
    rng = np.random.default_rng(5)
    on_draws, on_proposed = log_ratios(rng, 4, 200, 900, 0.0)
    far_draws, far_proposed = on_draws.copy(), on_proposed.copy()
    far_draws[0, 0] += 5_000
    far_proposed[:3] -= 5_000
    value, error = bridge_ratio(far_draws, far_proposed)
    usual, _ = bridge_ratio(on_draws, on_proposed)
    assert np.isfinite([value, error]).all() and abs(value - usual) < 0.05


def test_the_mean_of_estimates_scatters_as_its_error_says():
    """Three estimates of Birge's: their weighted mean, and what they scatter more than they may."""
    three = [Estimate("a", 1.0, 0.1), Estimate("b", 1.2, 0.1), Estimate("c", 1.3, 0.2)]
    values, errors = np.array([each[1:3] for each in three]).T
    found = combined(three, "K=2")
    mean, precision = np.average(values, weights=errors**-2, returned=True)
    chi2 = np.sum((values - mean) ** 2 / errors**2)
    np.testing.assert_allclose(found[:2], (mean, np.sqrt(chi2 / 2 / precision)))
    assert chi2 > 2 and not found.note
    # No less than what they state, where they are nearer than that by chance; one without error.
    near = combined([Estimate("a", 1.0, 0.1), Estimate("b", 1.0, 0.1)], "K=2")
    np.testing.assert_allclose(near[:2], (1.0, 0.1 / np.sqrt(2)))
    np.testing.assert_allclose(combined([Estimate("a", 1.0, 0.0)], "K=2").value, 1.0)


def test_more_than_three_combined_errors_are_a_difference():
    for apart, differ in ((0.49, False), (0.51, True)):
        pair = [Estimate("a", 1.0, 0.1), Estimate("b", 1.0 + apart, 0.4 / 3)]
        found = combined(pair, "K=2")
        assert bool(found.note) is differ
    np.testing.assert_allclose(found[:2], (1.255, np.hypot(0.255, 0.4 / 3)))


@pytest.mark.parametrize(("k", "trusted"), [(0.69, True), (0.71, False), (np.nan, True)])
def test_an_estimate_is_trusted_by_its_k_hat(k, trusted):
    assert Estimate("importance sampling", 1.0, 0.1, k).trusted is trusted
    assert not Estimate("importance sampling", np.inf, 0.1, k).trusted
    assert not Estimate("importance sampling", 1.0, np.nan, k).trusted


def test_chains_of_pymcs_smc_are_averaged(monkeypatch):
    """Their estimates of Z are, not those of its logarithm; a chain's is its last that is finite,
    of stages that PyMC pads."""
    pymc = pytest.importorskip("pymc")
    ends = np.array([-10.0, -10.2, -9.9])
    padded = [np.array([-3.0, -7.0, end, np.nan]) for end in ends]
    ragged = [[-3.0, np.array([-7.0]), np.array([end])] for end in ends]
    spec = bg.MixtureSpec(1, priors=bg.Priors(units="data"))
    for stages in (padded, ragged):
        tree = {"sample_stats": {"log_marginal_likelihood": SimpleNamespace(values=stages)}}
        monkeypatch.setattr(pymc, "sample_smc", lambda tree=tree, **_: tree)
        found = _by_smc(spec, bg.Observations([[0.0], [1.0]]), 1, 1)
        each = np.exp(ends)
        np.testing.assert_allclose(found.value, np.log(each.mean()))
        np.testing.assert_allclose(found.se, each.std(ddof=1) / np.sqrt(3) / each.mean())
        assert found.method == "smc"
