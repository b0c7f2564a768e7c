"""The one result: layout, labels, criteria, averages over draws, what it prints."""

import arviz as az
import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from tests.support import SKLEARNS


@pytest.fixture(scope="module", params=["em", "map", "laplace", "nuts"])
def any_fit(request, faithful):
    """The same model by every method: what follows must hold for each."""
    options = {"laplace": {"draws": 300}, "nuts": {"draws": 150, "tune": 300, "chains": 2}}
    return bg.fit(
        bg.MixtureSpec(2),
        faithful,
        method=request.param,
        seed=1,
        **options.get(request.param, {}),
    )


def test_printed_form_says_what_matters(any_fit):
    text = repr(any_fit)
    assert "K=2, full" in text
    assert "Status: converged" in text
    assert "eruptions" in text
    assert "272 rows recorded to 0.001 (eruptions) and 1 (waiting), 2 features, " in text
    assert f"{any_fit.log_likelihood:.2f}" in text
    assert ("±" in text) == any_fit.is_posterior
    assert ("BIC" in text) == (not any_fit.is_posterior)
    assert max(len(line) for line in text.splitlines()[4:]) <= 120
    assert "<table" in any_fit._repr_html_()


def test_summary_lists_every_free_parameter_once(any_fit):
    table = any_fit.summary()
    # two weights, of which one is free
    assert len(table) == any_fit.n_parameters + 1
    if any_fit.method == "laplace":  # one chain has no R-hat
        table = table.drop(columns="r_hat")
    assert np.isfinite(table.to_numpy(dtype=float)).all()


def test_arviz_takes_the_tree_as_it_is(nuts_faithful):
    loo = az.loo(nuts_faithful.tree)
    assert np.isfinite(loo.elpd)
    assert az.summary(nuts_faithful.tree["posterior"].to_dataset()[["means"]]).shape[0] == 4
    other = nuts_faithful.tree
    assert len(az.compare({"a": other, "b": other})) == 2
    az.plot_trace(nuts_faithful.tree, var_names=["means"])


@pytest.mark.parametrize("covariance", SKLEARNS)
def test_criteria_are_scikit_learns_at_the_same_parameters(covariance, faithful):
    x = faithful.values
    fit = bg.fit(bg.MixtureSpec(3, covariance), x, seed=0)
    peer = GaussianMixture(3, covariance_type=covariance)
    p = fit.parameters[0, 0]
    peer.weights_, peer.means_ = p.weights, p.means
    c = p.covariances
    peer.covariances_ = {
        "full": c,
        "tied": c[0],
        "diag": np.diagonal(c, axis1=1, axis2=2),
        "spherical": c[:, 0, 0],
    }[covariance]
    inverse = np.linalg.inv(np.swapaxes(np.linalg.cholesky(c), -1, -2))
    peer.precisions_cholesky_ = {
        "full": inverse,
        "tied": inverse[0],
        "diag": np.diagonal(inverse, axis1=1, axis2=2),
        "spherical": inverse[:, 0, 0],
    }[covariance]
    np.testing.assert_allclose(fit.aic(), peer.aic(x), rtol=1e-10)
    np.testing.assert_allclose(fit.bic(), peer.bic(x), rtol=1e-10)
    r = peer.predict_proba(x)
    entropy = -(r * np.log(np.maximum(r, 1e-300))).sum()
    np.testing.assert_allclose(fit.icl(), peer.bic(x) + 2 * entropy, rtol=1e-10)


def test_point_criteria_refuse_draws(nuts_faithful):
    for criterion in (nuts_faithful.aic, nuts_faithful.bic, nuts_faithful.icl):
        with pytest.raises(bg.FitError, match="point estimate"):
            criterion()


def test_labels_of_pandas_are_kept_to_the_end(faithful, tmp_path):
    frame = pd.DataFrame(
        faithful.values[:50],
        columns=["long", "wait"],
        index=pd.date_range("2020-01-01", periods=50),
    )
    fit = bg.load(bg.fit(bg.MixtureSpec(2, "tied"), frame, seed=0).save(tmp_path / "a.nc"))
    assert fit.feature_names == ("long", "wait")
    assert fit.predict_proba()["obs"].values[0] == np.datetime64("2020-01-01")
    swapped = fit.score_samples(frame[["wait", "long"]])
    np.testing.assert_array_equal(swapped, fit.score_samples(frame))
    with pytest.raises(bg.DataError, match="has 2 features"):
        fit.predict(faithful.values[:, :1])


def test_large_posteriors_have_the_pointwise_part_on_demand(nuts_faithful, monkeypatch, faithful):
    monkeypatch.setattr("bayesgmm.result.tree.LARGEST_POINTWISE", 1000)
    fit = bg.fit(nuts_faithful.spec, faithful, method="nuts", seed=1)
    assert "log_likelihood" not in fit.tree.children
    np.testing.assert_allclose(fit.log_likelihood, nuts_faithful.log_likelihood, rtol=1e-12)
    found, known = bg.elpd_loo(fit), bg.elpd_loo(nuts_faithful)  # which is the same run
    np.testing.assert_allclose([found.value, found.se], [known.value, known.se], rtol=1e-9)


def test_fit_refuses_what_is_no_spec(faithful):
    with pytest.raises(bg.SpecError, match="spec must be a MixtureSpec, got DataArray"):
        bg.fit(faithful, bg.MixtureSpec(2))


def test_names_of_features_cannot_break_the_lines_of_a_printed_fit(faithful):
    named = bg.Observations(faithful.values, names=["a\nb", "[/b]\x1b[31m"])
    lines = str(bg.fit(bg.MixtureSpec(1), named)).splitlines()
    assert len(lines) == len(str(bg.fit(bg.MixtureSpec(1), faithful)).splitlines())
    assert lines[-2].split("  ")[-1].strip() and r"mean a\nb" in lines[-2]
    assert r"sd [/b]\x1b[31m" in lines[-2]
