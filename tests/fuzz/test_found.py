"""What hostile input has found, each in a few lines that no change of the strategies can lose."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm

import bayesgmm as bg
from tests.support import refused

X = np.random.default_rng(0).normal(size=(30, 3))
QUICK = {"seed": 1, "n_starts": 3, "n_best": 1, "rounds": 0}


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("covariance", ["diag", "tied-diag", "spherical"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_density_within_a_box_of_three_features(k, covariance):
    """Of diagonal covariances any number of bounds: density over the box's probability."""
    low, high = np.full(3, -2.5), np.array([np.inf, 3.0, 2.5])
    rows = bg.Observations(X, selection=[low, high])
    fit = bg.fit(bg.MixtureSpec(k, covariance), rows, **QUICK)
    own = fit.parameters[0, 0]

    def of_all(each):  # (..., K, D)
        return (each.prod(axis=-1) * own.weights).sum(axis=-1)

    inside = of_all(norm.cdf((high - own.means) / own.scales)
                    - norm.cdf((low - own.means) / own.scales))  # fmt: skip
    expected = np.log(of_all(norm.pdf(X[:, None], own.means, own.scales)) / inside)
    np.testing.assert_allclose(own.log_density(rows), expected, rtol=1e-9)
    assert fit.log_likelihood == pytest.approx(expected.sum())


def test_a_box_of_three_correlated_features_is_refused():
    mixture = bg.MixtureParameters.from_covariances([1.0], np.zeros((1, 3)), [np.eye(3) + 0.5])
    rows = bg.Observations(X, selection=[[-9] * 3, [9] * 3])
    refused("known for uncorrelated ones only", mixture.log_density, rows)


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
def test_weights_that_are_read_only():
    """As those of frames are: compiled code takes them as any."""
    weights = np.arange(30) % 3 + 1.0
    frozen = weights.copy()
    frozen.flags.writeable = False
    fits = [
        bg.fit(bg.MixtureSpec(1), X, row_weights=each, **QUICK).log_likelihood
        for each in (weights, frozen, pd.Series(weights), pl.Series(weights))
    ]
    assert len(set(fits)) == 1


def test_row_labels_that_no_file_holds(tmp_path):
    """Half of a surrogate pair is no character: escaped, so that the fit can be kept."""
    frame = pd.DataFrame(X, index=pd.Index(["a\ud800"] * 30, dtype=object))
    assert bg.Observations(frame).index[0] == "a\\ud800"
    fit = bg.fit(bg.MixtureSpec(1), frame, **QUICK)
    assert bg.load(fit.save(tmp_path / "fit.nc")).observations.index[0] == "a\\ud800"


def test_what_is_masked_within_a_list():
    rows = [[1.0, np.ma.masked], [2.0, 3.0], [4.0, 5.0]]
    refused("masked array, whose mask would be ignored", bg.Observations, rows)
    objects = np.array([[1.0, None], [2.0, 3.0]], dtype=object)
    objects[0, 1] = np.ma.masked
    refused("1 missing value", bg.Observations, objects)
    fit = bg.fit(bg.MixtureSpec(1), X, **QUICK)
    refused("'x0' is given as", fit.condition, {"x0": np.ma.masked})
    refused("given must be an array of numbers", fit.parameters.condition, {0: np.ma.masked})
    hidden = np.ma.masked_array([0.5, 0.5], mask=[True, False])
    refused("weights must be an array of numbers", bg.MixtureParameters, hidden, [[0], [1]], [])


def test_covariances_that_are_not_finite_or_empty():
    make = bg.MixtureParameters.from_covariances
    for wrong in ([[[np.inf]]], [[[np.nan]]], [[[1.0, np.inf], [np.inf, 1.0]]]):
        refused("must be finite and symmetric", make, [1.0], np.zeros((1, len(wrong[0]))), wrong)
    refused(r"shape \(1, 0, 0\)", make, [1.0], np.zeros((1, 0)), np.zeros((1, 0, 0)))
    refused("not positive definite", make, [1.0], [[0.0]], [[[0.0]]])
    frame = pl.DataFrame({"a": pl.Series([2**100], dtype=pl.Int128)})
    refused("covariances must be an array", make, [1.0], [[0.0]], frame)


def test_rows_without_a_value_have_no_cdf():
    fit = bg.fit(bg.MixtureSpec(1), X, **QUICK)
    rows = bg.Observations([[1.0], [np.nan]], missing="marginal")
    refused("1 of these 2 rows have none", fit.marginal("x0").cdf, rows)


@pytest.mark.parametrize("huge", [1e100, 1e140])
def test_errors_of_any_size(huge):
    """Their squares' squares are beyond floats; a few huge ones are rows that say nothing."""
    errors = np.full((30, 3), 0.1)
    plain = bg.Observations(X, errors=errors)
    errors[3] = huge
    rows = bg.Observations(X, errors=errors)
    np.testing.assert_allclose(rows.feature_scale, plain.feature_scale, rtol=0.3)
    assert np.all(np.isfinite(bg.Observations(X, errors=huge).feature_scale))


def test_a_constant_column_has_no_standardised_scale():
    rows = bg.Observations(np.column_stack([X[:, 0], np.ones(30)]))
    refused("Column 'x1' is constant", rows.recorded_variance, "full")
    assert np.isfinite(rows.recorded_variance("spherical")).all()


@pytest.mark.parametrize("bad", [[np.inf, -np.inf], [np.inf, np.nan]])
def test_infinities_of_both_signs_are_one_error_of_scikit_learns(bad):
    rows = X.copy()
    rows[:2, 0] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (bg.GaussianMixture(), bg.GaussianMixtureClassifier()):
            with pytest.raises(ValueError, match=r"contains (infinity|NaN)"):
                model.fit(rows, np.arange(30) % 2)
    model = bg.GaussianMixture().fit(X)
    refused("beyond the range of floats", model.predict, [[10**400, 1, 1]])
