"""Draws of the prior and rows of it, against the prior's own moments by SciPy and by formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from tests.support import STRUCTURES, refused

FAITHFUL = bg.Observations(bg.datasets.faithful())


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_draws_are_of_the_prior_in_the_datas_units(covariance):
    """Weights beta, means normal about the data's centre: two and four standard deviations."""
    tree = bg.prior_predictive(
        bg.MixtureSpec(3, covariance), FAITHFUL, draws=4000, by_feature=False, seed=1
    )
    prior = tree["prior"].to_dataset()
    assert dict(prior["means"].sizes) == {"chain": 1, "draw": 4000, "component": 3, "feature": 2}
    weights = prior["weights"].values[0, :, 0]
    assert stats.kstest(weights, stats.beta(2, 4).cdf).pvalue > 1e-6
    scaling = FAITHFUL.scaling(covariance)
    z = (prior["means"].values[0, :, 1] - scaling.center) / scaling.unit
    assert stats.kstest(z[:, 0], stats.norm(0, 2).cdf).pvalue > 1e-6
    sigma = prior["scales"].values[0, :, 2, 1] / scaling.unit[1]
    recorded = FAITHFUL.recorded_variance(covariance)[1]  # scales are of what is recorded
    own = np.sqrt(np.maximum(sigma**2 - recorded, 1e-12))
    assert stats.kstest(own, stats.lognorm(1.0, scale=0.5).cdf).pvalue > 1e-6


def test_rows_are_as_spread_as_the_prior_says():
    """Var x = Var mu + E sigma^2, in standard deviations of the data 4 + 0.25 e^2."""
    spec = bg.MixtureSpec(2, "diag")
    tree = bg.prior_predictive(spec, bg.datasets.galaxies(), draws=20_000, seed=2)
    x = tree["prior_predictive"]["velocity"].values[0, :, 0]  # a row of each, which are independent
    unit = bg.Observations(bg.datasets.galaxies()).feature_scale.item()
    z = (x - x.mean()) / unit
    bound = np.quantile(np.abs(z), 0.95)
    rng = np.random.default_rng(0)
    wanted = 2 * rng.normal(size=10**6)
    wanted += 0.5 * np.exp(rng.normal(size=10**6)) * rng.normal(size=10**6)
    assert bound == pytest.approx(np.quantile(np.abs(wanted), 0.95), rel=0.03)


def test_a_fits_tree_gets_the_groups_and_arviz_takes_it():
    import arviz as az

    fit = bg.fit(bg.MixtureSpec(2, noise=True), FAITHFUL, method="laplace", draws=100, seed=1)
    tree = bg.prior_predictive(fit, draws=50, seed=1)
    assert {"posterior", "prior", "prior_predictive", "observed_data"} <= set(tree.children)
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    assert sorted(tree["prior_predictive"].data_vars) == ["eruptions", "waiting"]
    assert "prior" not in fit.tree.children
    again = bg.prior_predictive(fit, draws=50, seed=1)
    np.testing.assert_array_equal(tree["prior"]["means"], again["prior"]["means"])
    az.plot_prior_posterior(tree, var_names=["weights"])
    az.plot_ppc_dist(tree, group="prior_predictive")
    whole = bg.prior_predictive(fit, draws=50, by_feature=False, seed=1)
    assert set(np.unique(whole["prior_predictive"]["component"])) == {-1, 0, 1}


def test_what_is_no_spec_is_refused():
    refused("spec must be a MixtureSpec or a MixtureFit", bg.prior_predictive, 3, FAITHFUL)
    fit = bg.fit(bg.MixtureSpec(1), FAITHFUL, seed=1)
    refused("data are given beside a fit", bg.prior_predictive, fit, FAITHFUL)
    odd = bg.Observations(FAITHFUL.values, names=["draw", "b"])
    refused("named 'draw'", bg.prior_predictive, bg.MixtureSpec(1), odd)
