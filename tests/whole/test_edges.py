"""Data on the edge under methods that need a posterior: an answer or a named error."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.data.collinear import refuse_collinear
from bayesgmm.inference.sampling.laplace import smoothed_weights


def collinear(kind):
    """Rows of which a feature is a combination of others, up to the rounding of its entries."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(90, 2)) + 5 * np.repeat(np.arange(3.0), 30)[:, None]
    extra = {
        "a copy": x[:, :1],
        "another unit": 1.8 * x[:, :1] + 32,
        "far from zero": 1e6 - 0.1 * x[:, 1:],
        "a sum": x[:, :1] / 3 + x[:, 1:],
    }[kind]
    return pd.DataFrame(np.hstack([x, extra]), columns=["length", "width", "third"])


@pytest.mark.parametrize("method", ["laplace", "nuts"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a copy", "Columns 'length' and 'third' are the same up to shift and unit"),
        ("another unit", "Columns 'length' and 'third' are the same up to shift and unit"),
        ("far from zero", "Columns 'width' and 'third' are the same up to shift and unit"),
        ("a sum", "Column 'third' is a linear combination of 'length', 'width'"),
    ],
)
def test_collinear_columns_are_named(kind, words, method):
    data = collinear(kind)
    for covariance in ("full", "tied"):
        with pytest.raises(bg.DataError, match=f"{words}, so .*; drop one of them") as caught:
            bg.fit(bg.MixtureSpec(2, covariance), data, method=method, seed=1)
    assert caught.value.column == "third"
    with pytest.raises(bg.DataError, match=words):
        bg.to_pymc(bg.MixtureSpec(2), data)
    more = pd.concat([data] * 20, ignore_index=True)  # more rows than are looked at first
    with pytest.raises(bg.DataError, match=words):
        bg.fit(bg.MixtureSpec(2), more, method=method, seed=1)


@pytest.mark.slow
def test_columns_that_are_only_nearly_collinear_are_fitted():
    """Off the plane by a millionth in one row of many, and diagonal covariances have no plane."""
    data = pd.concat([collinear("a copy")] * 20, ignore_index=True)
    refuse_collinear(bg.Observations(data), "diag")
    with pytest.raises(bg.DataError):
        refuse_collinear(bg.Observations(data), "full")
    data.loc[1500, "third"] += 1e-6
    refuse_collinear(bg.Observations(data), "full")
    weights = np.ones(len(data))
    weights[1500] = 0  # a row that does not count does not count here
    with pytest.raises(bg.DataError):
        refuse_collinear(bg.Observations(data, row_weights=weights), "full")
    fit = bg.fit(bg.MixtureSpec(2, "diag"), data, method="laplace", draws=20, seed=1)
    assert np.isfinite(fit.log_likelihood)
    with pytest.warns(bg.FitWarning, match="collapsed"):  # bounded, and said
        assert np.isfinite(bg.fit(bg.MixtureSpec(2), data[:1500], method="em").log_likelihood)


@pytest.mark.parametrize("draws", [1, 2, 5])
def test_a_few_laplace_draws_are_a_fit(draws, faithful):
    fit = bg.fit(bg.MixtureSpec(2), faithful, method="laplace", draws=draws, seed=1)
    assert fit.parameters.batch_shape == (1, draws) and fit.status.ok
    assert float(fit.tree["fit/pareto_k"]) < 0.7 and "k-hat" in repr(fit)
    assert float(fit.tree["fit/weight_ess"]) >= 100  # the verdict's, however few are kept
    with pytest.raises(bg.FitError, match="elpd_loo needs"):
        bg.elpd_loo(fit)
    assert np.isnan(bg.compare({"a": fit})["elpd_loo"]["a"])


def test_weights_without_a_tail_have_no_k_hat():
    for weights in (np.zeros(3), np.zeros(500)):
        smoothed, k_hat = smoothed_weights(weights)
        assert np.isnan(k_hat)
        np.testing.assert_allclose(np.exp(smoothed), 1 / len(weights))


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("weight", [1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("method", ["em", "map", "laplace", "nuts"])
def test_one_row_that_outweighs_all_others(weight, method, blobs):
    weights = np.ones(200)
    weights[3] = weight
    options = {"laplace": {"draws": 20}, "nuts": {"draws": 20, "tune": 20, "chains": 1}}
    for k in (1, 2):
        try:
            fit = bg.fit(
                bg.MixtureSpec(k),
                blobs[1][:200, :2],
                method=method,
                row_weights=weights,
                seed=1,
                **options.get(method, {}),
            )
        except bg.BayesGMMError:
            continue
        assert np.isfinite(fit.log_likelihood) and np.isfinite(fit.parameters.scale_tril).all()
