"""Rows of which not everything was seen: the pass against sums over SciPy's conditional normals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm.compiled.threads import available_cores
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import expected_statistics, row_log_density, row_memberships
from bayesgmm.expectation.views import ALL_SEEN, Views
from bayesgmm.model.structure import STRUCTURES as BY_NAME
from tests.expectation.by_hand import by_row, holed
from tests.expectation.test_statistics import mixture
from tests.support import STRUCTURES, refused


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(3, 4), (1, 2), (2, 1)])
def test_statistics_of_holed_rows_are_sums_of_conditional_expectations(covariance, k, d):
    point, structure = mixture(covariance, k, d), BY_NAME[covariance]
    rng = np.random.default_rng(1)
    values, weights = holed(rng.normal(size=(150, d)) * 3 + 5), rng.uniform(0, 2, 150)
    center, scale = rng.normal(size=d) + 5, rng.uniform(1, 3, size=d)
    rows = Rows.of(values, center, scale, weights)
    form = PrecisionForm.of(point, structure.code)
    found = expected_statistics(rows, form)
    tril = np.array(structure.to_tril(point.factors, k))
    x = (values - center) / scale
    density, shares, counts, sums, scatters = by_row(x, weights, point, tril)
    np.testing.assert_allclose(row_log_density(rows, form), density, atol=1e-10)
    np.testing.assert_allclose(row_memberships(rows, form), shares, atol=1e-11)
    np.testing.assert_allclose(found.log_likelihood, weights @ density, rtol=1e-11)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-10)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-9, atol=1e-9)
    if not structure.matrices:
        scatters = np.diagonal(scatters, axis1=1, axis2=2)[None]
    elif structure.shared:
        scatters = scatters.sum(axis=0)[None]
    np.testing.assert_allclose(found.scatters, scatters, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_complete_rows_as_views_are_complete_rows(covariance):
    """All of one view, or each row of its own, give what the kernel gives of all at once."""
    point, rng = mixture(covariance, 3, 4), np.random.default_rng(2)
    rows = Rows.of(rng.normal(size=(60, 4)), row_weights=rng.uniform(0, 2, 60))
    form = PrecisionForm.of(point, BY_NAME[covariance].code)
    plain = expected_statistics(rows, form)
    for n_views in (1, 60):
        views = Views(
            np.tile(np.arange(4), (n_views, 1)), np.full(n_views, 4),
            np.linspace(0, 60, n_views + 1).astype(int), np.arange(60), rows.values.ravel(),
            *ALL_SEEN[5:],
        )  # fmt: skip
        found = expected_statistics(rows._replace(views=views), form)
        assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)
        for name in ("counts", "sums", "scatters"):
            got, wanted = getattr(found, name), getattr(plain, name)
            np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-10)


def test_parts_of_holed_rows_add_up(monkeypatch):
    from bayesgmm.expectation import rows as pass_rows

    point, rng = mixture("full", 3, 4), np.random.default_rng(2)
    rows = Rows.of(holed(rng.normal(size=(300, 4))))
    form = PrecisionForm.of(point, BY_NAME["full"].code)
    whole = expected_statistics(rows, form)
    monkeypatch.setattr(pass_rows, "CHUNK", 70)
    parts = expected_statistics(rows, form, cores=available_cores(None))
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(parts.scatters, whole.scatters, rtol=1e-10)


# The density, and fits -------------------------------------------------------------

RNG = np.random.default_rng(11)
X = np.concatenate([
    RNG.multivariate_normal([0, 0, 0], [[1, 0.7, 0], [0.7, 1, 0], [0, 0, 1]], 120),
    RNG.multivariate_normal([5, -4, 3], [[1, -0.5, 0], [-0.5, 2, 0.3], [0, 0.3, 1]], 80),
])  # fmt: skip
HOLED = holed(X, 0.25)


@pytest.mark.parametrize("resolution", [0, [0.3, 0.0, 0.5]])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_gradient_of_holed_rows_equals_central_differences(covariance, resolution):
    rows = bg.Observations(
        HOLED, row_weights=np.linspace(0.5, 2, 200), missing="marginal", resolution=resolution
    )
    density = bg.LogPosterior(bg.MixtureSpec(2, covariance), rows)
    top = density.unconstrain(bg.fit(density.spec, rows, method="map", seed=1).parameters[0, 0])
    theta = top + 0.2 * np.random.default_rng(0).normal(size=density.size)
    _, gradient = density.value_and_grad(theta)
    steps = 1e-5 * np.eye(density.size)
    differences = [(density.value(theta + s) - density.value(theta - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6 * abs(gradient).max())


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("method", ["em", "map"])
def test_a_fit_of_holed_rows_is_monotone_and_stationary(method, covariance):
    rows = bg.Observations(HOLED, missing="marginal")
    fit = bg.fit(bg.MixtureSpec(2, covariance), rows, method=method, seed=1)
    trace = fit.tree["fit/objective_trace"].values
    assert fit.status.ok and np.all(np.diff(trace) >= -1e-9 * np.abs(trace[:-1]))
    density = bg.LogPosterior(fit.spec, rows, jacobian=False, prior=method == "map")
    value, gradient = density.value_and_grad(density.unconstrain(fit.parameters[0, 0]))
    assert np.abs(gradient).max() <= 1e-6 * max(1.0, abs(value))
    pointwise = fit.tree["log_likelihood/x"].values[0, 0]
    assert pointwise.sum() == pytest.approx(fit.log_likelihood)
    assert pointwise[1] == 0.0  # nothing was seen of it


@pytest.mark.slow
def test_one_normal_of_holed_rows_is_the_maximum_that_scipy_finds():
    """By a quasi-Newton search on SciPy's densities of what was seen of each row."""
    from scipy.optimize import minimize

    x = HOLED[:120]
    fit = bg.fit(bg.MixtureSpec(1), bg.Observations(x, missing="marginal"), method="em", seed=1)

    def negative(theta):
        tril = np.zeros((3, 3))
        tril[np.tril_indices(3)] = theta[3:]
        covariance, total = tril @ tril.T + 1e-12 * np.eye(3), 0.0
        for row in x:
            seen = ~np.isnan(row)
            if seen.any():
                own = covariance[np.ix_(seen, seen)]
                total -= multivariate_normal(theta[:3][seen], own).logpdf(row[seen])
        return total

    p = fit.parameters[0, 0]
    at = np.concatenate([p.means[0], p.scale_tril[0][np.tril_indices(3)]])
    assert negative(at) == pytest.approx(-fit.log_likelihood, rel=1e-9)
    assert minimize(negative, at + 0.05, options={"gtol": 1e-3}).fun >= negative(at) - 1e-6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Estimates of the log evidence")  # of few draws; see the bound
def test_every_method_and_what_follows_takes_holed_rows(tmp_path):
    rows = bg.Observations(HOLED, missing="marginal")
    spec = bg.MixtureSpec(2)
    fit = bg.fit(spec, rows, method="nuts", draws=500, chains=2, seed=1)
    laplace = bg.fit(spec, rows, method="laplace", draws=500, seed=1)
    assert fit.status.ok and laplace.status.ok
    gap = fit.parameters.means.mean(axis=(0, 1)) - laplace.parameters.means.mean(axis=(0, 1))
    assert np.abs(gap).max() < 0.1
    back = bg.load(fit.save(tmp_path / "fit.nc"))
    assert back.observations.missing == "marginal"
    np.testing.assert_array_equal(back.observations.values, HOLED)
    proba = back.predict_proba([[0.0, np.nan, 0.1], [np.nan, -4.0, np.nan], 3 * [np.nan]]).values
    np.testing.assert_allclose(proba[:2], np.eye(2), atol=0.01)
    np.testing.assert_allclose(proba[2], fit.parameters.weights.mean(axis=(0, 1)), atol=1e-12)
    scores = fit.anomaly_score([[np.nan, 0.0, 0.0], [np.nan, 40.0, 0.0]], points=1024).values
    assert scores[0] > 0.1 and scores[1] < 0.01
    assert bg.elpd_loo(fit).value < 0
    assert abs(bg.log_evidence(fit, seed=1).value - bg.log_evidence(laplace, seed=1).value) < 0.3
    assert f"3 features, {int(np.isnan(HOLED).sum())} values not seen" in repr(fit)
    assert bg.plot_fit(fit).shape == (3, 3)
    truth = np.repeat([0, 1], [120, 80])
    assert bg.compare_partitions(bg.partition(fit, seed=1), truth).adjusted_rand > 0.85
    assert (
        bg.select(rows, [1, 2], ["full", "diag"], posteriors=0, seed=1).table.index[0][:3] == "K=2"
    )


# Imputation --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def em_holed():
    return bg.fit(bg.MixtureSpec(2), bg.Observations(HOLED, missing="marginal"), seed=1)


def test_expectations_are_those_of_the_conditional_mixture(em_holed):
    """``condition`` on the features seen has them by another way."""
    filled = em_holed.impute()
    assert filled.dims == ("obs", "feature") and np.isfinite(filled.values).all()
    gone = np.isnan(HOLED)
    np.testing.assert_array_equal(filled.values[~gone], HOLED[~gone])
    for n in (*np.flatnonzero(gone.any(axis=1))[:12], 1):
        seen = {f"x{j}": HOLED[n, j] for j in np.flatnonzero(~gone[n])}
        expected = em_holed.condition(seen).mean.values if seen else em_holed.predictive.mean.values
        np.testing.assert_allclose(filled.values[n][gone[n]], expected, rtol=1e-8)


@pytest.mark.slow
def test_draws_vary_as_the_conditional_mixture_does(em_holed):
    copies = em_holed.impute(4000, [[np.nan, -1.0, np.nan], [1.0, 2.0, 3.0]], seed=2)
    assert copies.dims == ("draw", "obs", "feature") and copies.shape == (4000, 2, 3)
    assert (copies.values[:, 1] == [1.0, 2.0, 3.0]).all()
    given = em_holed.condition({"x1": -1.0})
    drawn = copies.values[:, 0][:, [0, 2]]
    error = 5 * np.sqrt(np.diag(given.covariance.values) / 4000)
    assert (np.abs(drawn.mean(axis=0) - given.mean.values) < error).all()
    np.testing.assert_allclose(np.cov(drawn.T), given.covariance.values, rtol=0.15)
    again = em_holed.impute(4000, [[np.nan, -1.0, np.nan], [1.0, 2.0, 3.0]], seed=2)
    np.testing.assert_array_equal(copies.values, again.values)


def test_single_copies_vary_as_the_parameters_do():
    """The mean of a copy's holes varies as much one copy at a time as in many at once."""
    x = np.random.default_rng(5).normal(size=(40, 1))
    x[10:] = np.nan
    rows = bg.Observations(x, missing="marginal")
    fit = bg.fit(bg.MixtureSpec(1), rows, method="laplace", draws=1000, seed=1)
    together = fit.impute(300, seed=1).values[:, 10:, 0].mean(axis=1).std()
    apart = np.std([fit.impute(1, seed=s).values[0, 10:, 0].mean() for s in range(100)])
    assert 0.75 < apart / together < 1.25  # .08 is its standard error; without them it is .5


def test_what_a_missing_value_means_is_kept_where_none_was_there(tmp_path):
    rows = bg.Observations(np.arange(12.0).reshape(6, 2) ** 1.5, missing="marginal")
    fit = bg.fit(bg.MixtureSpec(1), rows, method="map", seed=1)
    for each in (fit, bg.load(fit.save(tmp_path / "fit.nc"))):
        assert each.missing == each.observations.missing == "marginal"
        assert each.predict([[np.nan, 1.0]]).item() == 0


def test_copies_are_frames_with_the_rows_labels(em_holed):
    import pandas as pd

    frame = pd.DataFrame(HOLED, columns=["x0", "x1", "x2"]).set_index(np.arange(200) + 7)
    one = em_holed.impute(data=frame, frame="pandas")
    assert list(one.index) == list(frame.index) and list(one.columns) == ["x0", "x1", "x2"]
    several = em_holed.impute(3, frame, seed=1, frame="polars")
    assert len(several) == 3 and several[0].shape == (200, 3)
    with pytest.raises(bg.SpecError, match="n must be a whole number of at least 1 or None"):
        em_holed.impute(0)


# The door ----------------------------------------------------------------------------


def test_what_is_missing_is_refused_unless_it_is_said():
    refused("pass Observations\\(data, missing='marginal'\\)", bg.Observations, HOLED)
    refused("missing must be 'marginal' or None", bg.Observations, HOLED, missing="mean")
    empty = HOLED.copy()
    empty[:, 1] = np.nan
    rows = bg.Observations(empty, missing="marginal")
    refused("Column 'x1' has no value at all", bg.fit, bg.MixtureSpec(2), rows)
    infinite = np.where(np.arange(3) == 1, np.inf, HOLED)
    refused("infinite", bg.Observations, infinite, missing="marginal")
    constant = np.where(np.isnan(HOLED) | (np.arange(3) != 2), HOLED, 1.5)
    rows = bg.Observations(constant, missing="marginal")
    refused("Column 'x2' is constant \\(1.5 in every row\\)", bg.fit, bg.MixtureSpec(2), rows)
    rows = bg.Observations(HOLED, missing="marginal")
    refused("needs complete rows", bg.posterior_check, bg.fit(bg.MixtureSpec(2), rows, seed=1))


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars", "objects", "masked"])
def test_every_kind_of_missing_value_is_not_seen(kind):
    import pandas as pd
    import polars as pl

    frame = pd.DataFrame(HOLED, columns=["a", "b", "c"])
    data = {
        "pandas": frame,
        "nullable": frame.convert_dtypes(),
        "polars": pl.from_pandas(frame),
        "objects": np.where(np.isnan(HOLED), None, HOLED.astype(object)),
        "masked": np.ma.masked_invalid(HOLED),
    }[kind]
    rows = bg.Observations(data, missing="marginal")
    np.testing.assert_array_equal(rows.values, HOLED)
    assert f"{int(np.isnan(HOLED).sum())} values not seen" in repr(rows)


def test_complete_rows_are_the_same_whatever_is_said_of_missing_ones():
    plain = bg.fit(bg.MixtureSpec(2), X, seed=1)
    said = bg.fit(bg.MixtureSpec(2), bg.Observations(X, missing="marginal"), seed=1)
    assert said.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-10)


def test_rows_that_say_nothing_change_no_criterion(tmp_path):
    """A thousand of them, in memory, saved and stored, of weights and without."""
    x = np.random.default_rng(0).normal(size=(90, 2)) + np.repeat([[0.0], [4.0]], 45, axis=0)
    empty = np.concatenate([x, np.full((1000, 2), np.nan)])
    weights = np.repeat([1.0, 2.0], [90, 1000])
    spec = bg.MixtureSpec(2)
    whole = bg.fit(spec, bg.Observations(x, resolution=0), method="em", seed=1)
    np.save(tmp_path / "rows.npy", empty)
    for rows in (
        bg.Observations(empty, missing="marginal", resolution=0),
        bg.Observations(empty, weights, missing="marginal", resolution=0),
        bg.Observations(tmp_path / "rows.npy", missing="marginal", resolution=0, in_memory=False),
    ):
        fit = bg.fit(spec, rows, method="em", seed=1)
        for criterion in ("aic", "aicc", "bic", "icl"):
            np.testing.assert_allclose(
                bg.criteria(fit)[criterion], bg.criteria(whole)[criterion], rtol=1e-5
            )
    assert bg.load(fit.save(tmp_path / "fit.nc", data=False)).bic() == fit.bic()
