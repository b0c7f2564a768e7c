"""Scores of rows that were seen in part or with errors, against closed forms and integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

import bayesgmm as bg
from bayesgmm.mixture.noise import Noise
from bayesgmm.predictive.averaged import AveragedMixture
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.predictive.scores import _FEW_WAYS, scoring

COVARIANCE = np.array([[2.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]])
#: Quantiles of 65,536 spread points: many times their error.
CLOSE = {"atol": 0.004}


def one_normal(unit=1.0):
    return bg.MixtureParameters.from_covariances(
        [1.0], [[1.0 * unit, -2.0 * unit, 0.0]], [COVARIANCE * unit**2]
    )


@pytest.mark.parametrize("unit", [1.0, 1000.0, 0.001])
def test_a_row_with_holes_is_held_against_what_would_be_seen_of_rows_like_it(unit):
    """Of a normal the score is the chi-square tail of the seen features, in any units."""
    mixture = one_normal(unit)
    x = mixture.simulate(60, seed=1)[0]
    x[np.arange(60) % 4 == 1, 1] = np.nan
    x[np.arange(60) % 4 == 2, :2] = np.nan
    x[3] = np.nan
    found = PredictiveDistribution.of(mixture).anomaly_score(
        bg.Observations(x, missing="marginal", resolution=0)
    )
    for row, score in zip(x, found.values, strict=True):
        seen = ~np.isnan(row)
        away = row[seen] - mixture.means[0][seen]
        distance = away @ np.linalg.solve(mixture.covariances[0][np.ix_(seen, seen)], away)
        tail = chi2.sf(distance, seen.sum()) if seen.any() else 1.0
        np.testing.assert_allclose(score, tail, **CLOSE)


@pytest.mark.parametrize("n", [4, 2 * _FEW_WAYS])
def test_an_error_widens_what_a_row_may_be(n):
    """Alike where there are few ways of being seen and where there are many."""
    rng = np.random.default_rng(0)
    mixture = one_normal()
    roots = rng.normal(size=(n, 3, 3))
    errors = roots @ np.swapaxes(roots, 1, 2)
    x = mixture.simulate(n, seed=1)[0] + np.einsum("nij,nj->ni", roots, rng.normal(size=(n, 3)))
    x[0, 2] = np.nan
    rows = bg.Observations(x, errors=errors, missing="marginal", resolution=0)
    found = scoring(AveragedMixture.of(mixture), 2**16, 0)(rows)
    for row, error, score in zip(x, errors, found, strict=True):
        seen = ~np.isnan(row)
        away = row[seen] - mixture.means[0][seen]
        total = (mixture.covariances[0] + error)[np.ix_(seen, seen)]
        tail = chi2.sf(away @ np.linalg.solve(total, away), seen.sum())
        np.testing.assert_allclose(score, tail, atol=0.004 if n == 4 else 0.03)


def test_an_error_of_nothing_is_none():
    mixture = one_normal()
    x = mixture.simulate(20, seed=1)[0]
    predictive = PredictiveDistribution.of(mixture)
    rows = bg.Observations(x, errors=np.zeros(3), resolution=0)
    np.testing.assert_array_equal(predictive.anomaly_score(rows), predictive.anomaly_score(x))


def test_noise_is_what_was_seen_errors_included():
    """Against the integral of the density where it is no larger."""
    noise = Noise(np.array(0.2), np.array([[-10.0], [10.0]]))
    mixture = bg.MixtureParameters([0.5, 0.3], [[-2.0], [3.0]], [[[1.0]], [[0.5]]], noise)
    x = np.array([[-6.0], [-2.0], [0.5], [3.1], [9.0]])
    rows = bg.Observations(x, errors=1.5, resolution=0)
    found = PredictiveDistribution.of(mixture).anomaly_score(rows).values
    line = np.linspace(-14.0, 14.0, 400_001)
    sds = np.sqrt([1.0 + 1.5**2, 0.25 + 1.5**2])

    def density(at):
        normals = 0.5 * norm.pdf(at, -2.0, sds[0]) + 0.3 * norm.pdf(at, 3.0, sds[1])
        return normals + 0.2 / 20 * (np.abs(at) <= 10)

    p = density(line)
    for at, score in zip(x[:, 0], found, strict=True):
        tail = p[p <= density(at) * (1 + 1e-9)].sum() * (line[1] - line[0])
        np.testing.assert_allclose(score, tail, **CLOSE)


def test_few_draws_in_the_place_of_many_are_about_the_same():
    draws = bg.MixtureParameters(
        np.tile([0.4, 0.5], (2000, 1)),
        np.random.default_rng(0).normal(size=(2000, 2, 1)),
        np.ones((2000, 2, 1, 1)),
        Noise(np.full(2000, 0.1), np.array([[-9.0], [9.0]])),
    )
    mixture = AveragedMixture.of(draws)
    fewer = mixture.of_fewer_draws(500)
    assert fewer.n_draws == 500 and mixture.of_fewer_draws(2000) is mixture
    np.testing.assert_allclose(fewer.weights.sum() + fewer.noise_weights.sum(), 1.0)
    rows = bg.Observations(np.linspace(-3, 3, 7)[:, None], resolution=0)
    np.testing.assert_allclose(fewer.log_density(rows), mixture.log_density(rows), atol=0.1)


def test_a_region_is_of_whole_rows():
    region = PredictiveDistribution.of(one_normal()).region(0.5)
    holed = bg.Observations([[1.0, np.nan, 0.0], [0.0, 0.0, 0.0]], missing="marginal")
    for rows in (holed, bg.Observations([[1.0, -2.0, 0.0]], errors=0.1)):
        with pytest.raises(bg.DataError, match=r"A region is of whole rows.*anomaly_score"):
            region.contains(rows)


def test_the_rate_of_false_alarms_is_what_was_asked_for_whatever_was_seen():
    """Of 2,000 rows of two components, 5 % within four binomial errors."""
    truth = bg.MixtureParameters.from_covariances(
        [0.6, 0.4], [[0.0, 0.0, 0.0], [5.0, -4.0, 3.0]], [COVARIANCE, np.eye(3)]
    )
    x = truth.simulate(2000, seed=3)[0]
    predictive = PredictiveDistribution.of(truth)
    holed = x.copy()
    holed[:, 1] = np.nan
    noisy = x + 3.0 * np.random.default_rng(1).normal(size=x.shape)
    for rows in (
        bg.Observations(holed, missing="marginal", resolution=0),
        bg.Observations(noisy, errors=3.0, resolution=0),
    ):
        share = predictive.outliers(rows, rate=0.05).values.mean()
        assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


def test_noise_of_which_only_densities_at_rows_are_known():
    """Nothing can be drawn from it, and what was seen of a row needs no draw."""
    x = np.random.default_rng(0).normal(size=(80, 2))
    logs = np.full(80, -6.0)
    rows = bg.Observations(x, errors=0.3, background=logs)
    fit = bg.fit(bg.MixtureSpec(1, noise=True), rows, method="em", seed=1)
    assert np.isfinite(fit.denoise()["mean"]).all() and np.isfinite(fit.denoise(2, seed=1)).all()
    with pytest.raises(bg.DataError, match=r"fit with a box, Observations\(\.\.\., background="):
        fit.anomaly_score()
    with pytest.raises(bg.DataError, match="give that of these rows"):
        fit.score_samples(x)
    boxed = bg.fit(bg.MixtureSpec(1, noise=True), x, method="em", seed=1)
    with pytest.raises(bg.DataError, match="can be drawn to hold them against"):
        boxed.anomaly_score(bg.Observations(x, background=logs))
