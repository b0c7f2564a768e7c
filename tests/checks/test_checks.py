"""Checks of a fit against its data: calibrated where the model is right, awake where it is not."""

from __future__ import annotations

from itertools import combinations

import matplotlib

matplotlib.use("Agg")

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayesgmm as bg
from bayesgmm.analysis.checks.left_out_pit import left_out_pit, uniformity
from bayesgmm.analysis.checks.posterior_check import posterior_check
from bayesgmm.analysis.checks.replicated_data import with_predictive
from bayesgmm.analysis.checks.replicated_statistics import (
    deviations,
    replicated_statistics,
    statistics_table,
)
from bayesgmm.analysis.checks.two_sample import _permuted, two_sample_test
from bayesgmm.errors import DataError, FitError, SpecError
from bayesgmm.interface.plots.check import plot_check, uniform_band
from bayesgmm.mixture.noise import Noise
from tests.support import fit_of


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def made(parameters, x, **options):
    """A fit of given draws, batch (chain, draw)."""
    return fit_of(parameters, bg.Observations(x, **options))


def point(weights, means, covariances):
    return bg.MixtureParameters.from_covariances([[weights]], [[means]], [[covariances]])


def jeffreys(y, draws=4000, seed=0):
    """Draws of a normal's mean and sd under the prior 1 / sd, of which all is known."""
    rng, n = np.random.default_rng(seed), len(y)
    sd = np.sqrt(y.var() * n / rng.chisquare(n - 1, draws))
    mean = y.mean() + sd / np.sqrt(n) * rng.standard_normal(draws)
    return bg.MixtureParameters(
        np.ones((1, draws, 1)), mean[None, :, None, None], sd[None, :, None, None, None]
    )


@pytest.fixture(scope="module")
def laplace():
    return {
        k: bg.fit(bg.MixtureSpec(k), bg.datasets.faithful(), method="laplace", seed=1)
        for k in (1, 2)
    }


@pytest.fixture(scope="module")
def found(laplace):
    return {k: posterior_check(fit, seed=1) for k, fit in laplace.items()}


# Leave-one-out PIT ----------------------------------------------------------


def test_pit_is_the_exact_one_of_the_posterior_without_the_row():
    y = np.random.default_rng(1).normal(5, 2, size=40)
    got = left_out_pit(made(jeffreys(y), y), 0, 4000, 100, np.random.default_rng(0), 1)
    exact = np.empty(40)
    for i in range(40):
        rest = np.delete(y, i)
        scale = rest.std(ddof=1) * np.sqrt(1 + 1 / 39)
        exact[i] = stats.t.cdf(y[i], 38, rest.mean(), scale)
    error = np.abs(got.values[:, 0].values - exact)
    seen = stats.t.cdf(y, 39, y.mean(), y.std(ddof=1) * np.sqrt(1 + 1 / 40))
    assert error.max() < 0.01
    assert error.mean() < 0.35 * np.abs(seen - exact).mean()  # that a row was left out is seen
    assert float(got.k_hat.max()) < 0.7


def test_pit_agrees_with_arviz_on_simulated_rows(laplace):
    fit = laplace[2]
    ours = left_out_pit(fit, 3, 1000, 5000, np.random.default_rng(1), 2)
    theirs = az.loo_pit(with_predictive(fit, max_draws=1000, seed=1))
    for name in fit.feature_names:
        gap = ours.values.sel(direction=name).values - theirs[name].values
        assert np.abs(gap).max() < 0.08 and abs(gap.mean()) < 0.004 and gap.std() < 0.02


def test_a_direction_is_the_projection_of_the_mixture():
    p = point([0.3, 0.7], [[0.0, 0.0], [3.0, 40.0]], [np.diag([1.0, 90.0]), [[2, 9], [9, 100]]])
    x = p[0, 0].simulate(50, seed=1)[0]
    got = left_out_pit(made(p, x), 4, 10, 100, np.random.default_rng(2), 1)
    sample = p[0, 0].simulate(200_000, seed=3)[0]
    assert got.k_hat is None
    for j, direction in enumerate(got.directions.values):
        share = (sample @ direction <= (x @ direction)[:, None]).mean(axis=1)
        np.testing.assert_allclose(got.values[:, j], share, atol=0.005)
    # Directions have unit variance in the data, whatever the units.
    spread = (x @ got.directions.values[2:].T).std(axis=0)
    np.testing.assert_allclose(spread, 1.0, rtol=1e-9)


@pytest.mark.slow
def test_pit_of_the_truth_is_uniform_and_its_test_keeps_its_level():
    truth = point([0.4, 0.6], [[0.0], [4.0]], [[[1.0]], [[0.5]]])
    p = []
    for seed in range(200):
        fit = made(truth, truth[0, 0].simulate(80, seed=seed)[0])
        values = left_out_pit(fit, 0, 1, 100, np.random.default_rng(0), 1).values
        p.append(uniformity(values)["p_value"].iloc[0])
    p = np.array(p)
    assert 0.005 < (p < 0.05).mean() < 0.12  # half-width of three standard errors


def test_holm_holds_over_all_directions():
    u = np.random.default_rng(0).random((100, 4))
    u[:, 2] = u[:, 2] ** 1.5
    values = xr.DataArray(u, dims=("obs", "direction"), coords={"direction": list("abcd")})
    table = uniformity(values)
    p, running = np.sort(table["p_value"].to_numpy()), 0.0
    for i, name in enumerate(table["p_value"].sort_values().index):
        running = max(running, min(1.0, (4 - i) * p[i]))
        assert table.loc[name, "p_adjusted"] == pytest.approx(running)
    ks = [stats.kstest(column, "uniform").statistic for column in u.T]
    np.testing.assert_allclose(table["distance"], ks)


def with_noise(n=200, seed=0, **options):
    """Rows of a normal and of noise beside it, with the fit that is their truth."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(size=(n, 2)), rng.uniform(-10, 10, (n // 2, 2))])
    rows = bg.Observations(x, background=[[-10.0] * 2, [10.0] * 2], resolution=0, **options)
    truth = bg.MixtureParameters(
        np.full((1, 1, 1), 2 / 3),
        np.zeros((1, 1, 1, 2)),
        np.eye(2)[None, None, None],
        Noise(np.full((1, 1), 1 / 3), rows.views.background),
    )
    return fit_of(truth, rows)


def test_pit_is_of_noise_as_well():
    fit = with_noise()
    got = left_out_pit(fit, 3, 10, 1000, np.random.default_rng(0), 1)
    x = fit.observations.values
    expected = 2 / 3 * stats.norm.cdf(x) + 1 / 3 * (x + 10) / 20
    np.testing.assert_allclose(got.values[:, :2], expected, atol=1e-12)
    sample = fit.parameters[0, 0].simulate(200_000, seed=3)[0]
    for j, direction in enumerate(got.directions.values):
        share = (sample @ direction <= (x @ direction)[:, None]).mean(axis=1)
        np.testing.assert_allclose(got.values[:, j], share, atol=0.005)
    assert posterior_check(fit, n_replicates=100, seed=1).ok


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_recorded_values_are_held_against_recorded_ones(step):
    x = step * np.round(np.random.default_rng(0).normal(size=(300, 2)) / step)
    p = point([1.0], [np.zeros(2)], [(1 + step**2 / 12) * np.eye(2)])
    fit = made(p, x, resolution=step)
    got = left_out_pit(fit, 3, 10, 1000, np.random.default_rng(0), 1).values.values
    low, high = (stats.norm.cdf(x + side * step / 2) for side in (-1, 1))
    within = (got[:, :2] - low) / (high - low)
    assert np.all((within > 0) & (within < 1)) and stats.kstest(within.ravel(), "uniform")[1] > 0.01
    assert all(stats.kstest(column, "uniform")[1] > 0.01 for column in got.T)
    assert posterior_check(fit, n_replicates=100, seed=1).ok
    # The same rows as if they were not recorded: they are on a lattice, and no such model is.
    told = made(p, x, resolution=0)
    assert not posterior_check(told, n_replicates=100, seed=1).ok
    new = step * np.round(np.random.default_rng(1).normal(size=(600, 2)) / step)
    for classifier in ("quadratic", "neighbours"):
        assert two_sample_test(fit, new, classifier=classifier, seed=1).p_value > 0.01


# Statistics -------------------------------------------------------------------


def test_statistics_are_those_of_scipy_in_the_datas_units():
    x = np.random.default_rng(0).gamma(2.0, size=(60, 2)) * [1e-9, 1e9] + [0.0, 1e12]
    fit = bg.fit(bg.MixtureSpec(1), x, method="em")
    table = posterior_check(fit, n_replicates=100, seed=1).statistics["observed"]
    for j, name in enumerate(("x0", "x1")):
        column = x[:, j]
        expected = {
            "mean": column.mean(),
            "sd": column.std(),
            "skewness": stats.skew(column),
            "kurtosis": stats.kurtosis(column),
            "min": column.min(),
            "max": column.max(),
        }
        for what, value in expected.items():
            assert table[f"{what} of {name}"] == pytest.approx(value, rel=1e-6)
    assert table["correlation of x0, x1"] == pytest.approx(np.corrcoef(x.T)[0, 1], rel=1e-6)


@pytest.mark.slow
def test_p_values_alone_and_for_all_are_calibrated_where_parameters_are_known():
    truth = point([0.5, 0.5], [[0.0, 0.0], [3.0, 1.0]], [np.eye(2), np.eye(2) * 0.4])
    alone, together = [], []
    for seed in range(70):
        fit = made(truth, truth[0, 0].simulate(30, seed=seed)[0])
        drawn = replicated_statistics(fit, 100, {}, np.random.SeedSequence(seed), 1)
        table = statistics_table(drawn, 0.95)
        alone.append(table["p_value"].to_numpy())
        together.append(table["p_adjusted"].min())
    alone = np.concatenate(alone)
    assert 0.06 < (alone < 0.1).mean() < 0.14
    assert 0.03 < (np.array(together) <= 0.1).mean() < 0.18
    assert stats.kstest(together, "uniform").pvalue > 0.001


def test_p_values_of_what_a_parameter_governs_are_kind():
    p = []
    for seed in range(20):
        y = np.random.default_rng(seed).normal(size=50)
        fit = made(jeffreys(y, 200, seed), y)
        drawn = replicated_statistics(fit, 200, {}, np.random.SeedSequence(seed), 1)
        p.append(statistics_table(drawn, 0.95).loc["mean of x0", "p_value"])
    assert min(p) > 0.75


def test_the_adjusted_p_value_is_of_the_largest_deviation(found):
    away, table = found[1].deviations.values, found[1].statistics
    assert away.shape == (501, 13)
    largest = away.max(axis=1)
    for m in range(13):
        share = np.mean(largest >= away[0, m] - 1e-9)
        assert table["p_adjusted"].iloc[m] == pytest.approx(share)
    # One unit is the edge of the central 95 %; recorded extremes are often equal.
    no_ties = ~table["statistic"].isin(["min", "max"]).to_numpy()
    assert np.mean(away[:, no_ties] <= 1, axis=0) == pytest.approx(0.95, abs=0.005)


def test_own_statistics_join_the_others(laplace):
    def gap(x):  # share of rows between the two clusters
        return np.mean((x[:, 0] > 2.6) & (x[:, 0] < 3.4))

    check = posterior_check(laplace[1], statistics={"in the gap": gap}, seed=1)
    assert check.statistics.loc["in the gap", "observed"] == pytest.approx(7 / 272, abs=0.02)
    assert "in the gap" in check.misfits
    with pytest.raises(SpecError, match="'lost' gave nan"):
        posterior_check(laplace[1], statistics={"lost": lambda x: np.nan})
    for twice in ({"min of waiting": np.min}, {"1": np.min, 1: np.max}):
        with pytest.raises(SpecError, match=r"There is a statistic '.*' already"):
            posterior_check(laplace[1], statistics=twice)
    constant = posterior_check(laplace[1], statistics={"rows": len}, n_replicates=100, seed=1)
    assert constant.statistics.loc["rows", ["p_value", "p_adjusted"]].tolist() == [1, 1]


# Verdicts -----------------------------------------------------------------------


def test_one_normal_does_not_make_old_faithful_and_two_do(found):
    assert not found[1].ok and found[2].ok
    assert {"kurtosis of eruptions", "kurtosis of waiting"} <= set(found[1].misfits)
    assert {"eruptions", "waiting"} <= set(found[1].misplaced)
    assert "misfit found" in found[1].verdict and "kurtosis of eruptions" in str(found[1])
    assert "no misfit found" in found[2].verdict and "LOO-PIT" in str(found[2])
    assert found[2].left_out and not found[2].notes


def test_skewed_data_are_found():
    x = np.random.default_rng(3).gamma(1.5, size=(300, 1))
    fit = bg.fit(bg.MixtureSpec(1), x, method="laplace", seed=1)
    check = posterior_check(fit, seed=1)
    assert "skewness of x0" in check.misfits and check.misplaced == ["x0"]
    assert check.pit_values.shape == (300, 1)  # one feature has no projections


def test_a_missing_correlation_shows_along_projections_only():
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=300)
    fit = bg.fit(bg.MixtureSpec(1, covariance="diag"), x, method="laplace", seed=1)
    check = posterior_check(fit, seed=1)
    assert check.misfits == ["correlation of x0, x1"]
    assert check.misplaced and all("projection" in name for name in check.misplaced)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesgmm.errors.FitWarning")
def test_right_models_are_seldom_called_wrong():
    truth = point([0.4, 0.6], [[0.0, 0.0], [4.0, 2.0]], [np.eye(2), [[1, 0.6], [0.6, 0.8]]])[0, 0]
    checks = [
        posterior_check(
            bg.fit(
                bg.MixtureSpec(2),
                truth.simulate(150, seed=s)[0],
                method="laplace",
                draws=400,
                seed=1,
            ),
            n_replicates=200,
            seed=s,
        )
        for s in range(6)
    ]
    assert sum(check.ok for check in checks) >= 5


def test_a_point_fit_says_that_its_rows_were_seen(em_faithful):
    check = posterior_check(em_faithful, seed=1)
    assert check.ok and not check.left_out and check.pareto_k is None
    assert "had seen it" in check.notes[0] and "\nPIT uniform?" in str(check)


def test_rows_that_cannot_be_left_out_are_counted_and_far_rows_are_finite():
    x = np.r_[np.random.default_rng(0).normal(size=60), 1e6]
    fit = made(jeffreys(x[:-1]), x)
    with np.errstate(all="raise", under="ignore"):
        check = posterior_check(fit, seed=1)
    assert check.unreliable_rows >= 1 and "cannot be left out" in check.notes[0]
    assert np.all(np.isfinite(check.pit_values)) and "max of x0" in check.misfits


def test_seeds_threads_and_bounds(laplace):
    fit = laplace[2]
    options = {"seed": 5, "n_replicates": 100, "max_draws": 200, "max_rows": 100}
    one, two = (posterior_check(fit, cores=c, **options) for c in (1, 2))
    np.testing.assert_array_equal(one.statistics["replicated"], two.statistics["replicated"])
    np.testing.assert_array_equal(one.pit_values, two.pit_values)
    assert one.pit_values.sizes == {"obs": 100, "direction": 10}
    assert one.pit_values["obs"].values[[0, -1]].tolist() == [0, 271]


def test_collinear_features_have_projections_within_their_plane():
    z = np.random.default_rng(0).normal(size=(80, 2))
    x = np.c_[z, z @ [1.0, 1.0]]
    p = point([1.0], [np.zeros(3)], [np.cov(x.T) + 1e-9 * np.eye(3)])
    check = posterior_check(made(p, x), n_replicates=100, seed=1)
    spread = (x @ check.directions.values[3:].T).std(axis=0)
    np.testing.assert_allclose(spread, 1.0, rtol=1e-5)


def test_few_draws_and_ones_as_weights_are_taken():
    y = np.random.default_rng(0).normal(size=30)
    for draws in (2, 30):
        fit = made(jeffreys(y, draws), y, row_weights=np.ones(30))
        check = posterior_check(fit, n_replicates=100, seed=1)
        assert np.all(np.isfinite(check.pit_values))
        assert (check.unreliable_rows == 30) == (draws == 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_replicates": 10}, "n_replicates"),
        ({"n_projections": -1}, "n_projections"),
        ({"max_draws": 0}, "max_draws"),
        ({"max_rows": 1.5}, "max_rows"),
        ({"level": 1}, "level"),
        ({"level": 0.0198, "n_replicates": 100}, "100 replicated data sets cannot find"),
    ],
)
def test_wrong_options_are_refused(em_faithful, options, says):
    with pytest.raises(SpecError, match=says):
        posterior_check(em_faithful, **options)


def test_what_cannot_be_replicated_is_refused():
    x = np.random.default_rng(0).normal(size=(30, 1))
    weighted = bg.fit(
        bg.MixtureSpec(1), bg.Observations(x, row_weights=np.r_[2.0, np.ones(29)]), method="em"
    )
    for check in (posterior_check, two_sample_test, with_predictive):
        with pytest.raises(FitError, match="row weights do not say"):
            check(weighted)
        with pytest.raises(FitError, match="takes a MixtureFit, got list"):
            check([1])
    by_row = bg.Observations(x, background=np.full(30, -2.0), resolution=0)
    noisy = bg.fit(bg.MixtureSpec(1, noise=True), by_row, method="map", seed=1)
    for check in (posterior_check, two_sample_test, with_predictive):
        with pytest.raises(FitError, match="density was given row by row"):
            check(noisy)


# Two samples --------------------------------------------------------------------


def test_the_p_value_is_that_of_all_permutations():
    said = np.array([1, 1, 0, 1, 0, 0, 1, 0])  # four real rows, then four generated
    right, p = _permuted(said, 4)
    assert right == 6
    every = []
    for real in combinations(range(8), 4):
        truth = np.isin(np.arange(8), real)
        every.append(np.sum(truth == said))
    assert p == pytest.approx(np.mean(np.array(every) >= right))


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["forest", "neighbours", "quadratic"])
def test_fresh_rows_of_the_model_are_like_generated_ones(em_faithful, classifier):
    truth = em_faithful.parameters[0, 0]
    tests = [
        two_sample_test(em_faithful, truth.simulate(120, seed=s)[0], classifier=classifier, seed=s)
        for s in range(8)
    ]
    assert np.mean([test.accuracy for test in tests]) == pytest.approx(0.5, abs=0.055)
    assert sum(test.p_value < 0.05 for test in tests) <= 3
    assert not tests[0].seen and not tests[0].spread and "new to the model" in str(tests[0])


def test_a_bad_fit_is_found_out_and_where(laplace):
    test = two_sample_test(laplace[1], seed=1)
    assert test.accuracy > 0.62 and test.p_value < 1e-3 and test.seen
    assert "fitted to" in str(test) and test.n_held_out == 136
    again = two_sample_test(laplace[1], seed=1)
    assert again.accuracy == test.accuracy
    # The clusters are denser than one normal says; what lies between them is not.
    score = test.score_real
    eruptions = bg.datasets.faithful().sel(feature="eruptions").values[score["obs"].values]
    between = (eruptions > 2.5) & (eruptions < 3.5)
    assert score.values[~between].mean() > score.values[between].mean()


def test_squares_find_a_wrong_covariance_and_no_wrong_shape():
    rng = np.random.default_rng(0)
    wide = made(point([1.0], [[0.0, 0.0]], [np.eye(2)]), rng.normal(size=(50, 2)))
    x = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=300)
    assert two_sample_test(wide, x, classifier="quadratic", seed=1).p_value < 1e-3
    assert (
        two_sample_test(wide, rng.normal(size=(300, 2)), classifier="quadratic", seed=1).p_value
        > 0.01
    )


@pytest.mark.slow
def test_rounding_is_no_misfit_unless_asked_for(laplace):
    spread = [two_sample_test(laplace[2], seed=s) for s in range(3)]
    kept = [two_sample_test(laplace[2], spread=False, seed=s) for s in range(3)]
    assert spread[0].spread == ("eruptions", "waiting") and not kept[0].spread
    assert np.mean([t.accuracy for t in kept]) > np.mean([t.accuracy for t in spread]) + 0.03


def test_other_classifiers_bounds_and_refusals(em_faithful):
    from sklearn.svm import LinearSVC

    given = LinearSVC()
    test = two_sample_test(em_faithful, classifier=given, max_rows=100, seed=1)
    assert (test.classifier, test.n_held_out, test.score_real) == ("LinearSVC", 50, None)
    assert not hasattr(given, "coef_")
    for wrong in ("tree", 3, LinearSVC):
        with pytest.raises(SpecError, match="classifier must be 'forest'"):
            two_sample_test(em_faithful, classifier=wrong)
    with pytest.raises(DataError, match="half of 5 rows"):
        two_sample_test(em_faithful, np.ones((5, 2)))
    with pytest.raises(DataError, match="2 features"):
        two_sample_test(em_faithful, np.ones((50, 3)))


# ArviZ ------------------------------------------------------------------------------


def test_replicated_data_have_arvizs_layout_and_the_draws_they_came_from(laplace):
    fit = laplace[2]
    tree = with_predictive(fit, by_feature=False, max_draws=50, seed=1)
    made = tree["posterior_predictive"].to_dataset()
    assert made["x"].dims == ("chain", "draw", "obs", "feature")
    assert made["component"].dims == ("chain", "draw", "obs")
    assert made["x"].shape == (1, 50, 272, 2) and "posterior_predictive" not in fit.tree.children
    for group in ("posterior", "sample_stats", "log_likelihood"):
        np.testing.assert_array_equal(tree[group]["draw"], made["draw"])
    # Where a row's component is known, so are its mean and spread at that draw.
    posterior = tree["posterior"].to_dataset().isel(chain=0)
    component = made["component"].values[0]
    draws = np.arange(50)[:, None]
    z = (made["x"].values[0] - posterior["means"].values[draws, component]) / posterior[
        "scales"
    ].values[draws, component]
    assert z.mean() == pytest.approx(0, abs=0.03) and z.std() == pytest.approx(1, abs=0.02)
    named = with_predictive(fit, max_draws=50, seed=1)
    np.testing.assert_array_equal(
        named["posterior_predictive"]["waiting"], made["x"].sel(feature="waiting")
    )
    assert list(named["log_likelihood"].to_dataset()) == ["eruptions", "waiting"]


@pytest.mark.slow
def test_arvizs_plots_take_the_tree(laplace):
    tree = with_predictive(laplace[2], max_draws=100, seed=1)
    for plot in (az.plot_ppc_dist, az.plot_loo_pit, az.plot_ppc_pit, az.plot_ppc_tstat):
        panels = plot(tree)
        assert panels.viz["plot"].to_dataset().data_vars.keys() == {"eruptions", "waiting"}
        plt.close("all")
    whole = with_predictive(laplace[2], by_feature=False, max_draws=100, seed=1)
    panels = az.plot_ppc_dist(whole, var_names="x", cols=["feature"])
    assert panels.viz["plot"].sizes == {"feature": 2}


def test_a_point_fit_gives_one_data_set_and_names_must_be_possible(em_faithful):
    tree = with_predictive(em_faithful, seed=1)
    assert tree["posterior_predictive"]["waiting"].shape == (1, 1, 272)
    odd = bg.fit(
        bg.MixtureSpec(1),
        bg.Observations(em_faithful.observations.values, names=["obs", "b"]),
        method="em",
    )
    with pytest.raises(DataError, match=r"'obs'.*by_feature=False"):
        with_predictive(odd)
    assert with_predictive(odd, by_feature=False)["posterior_predictive"]["x"].shape[-1] == 2


# The picture --------------------------------------------------------------------------


def test_the_band_holds_whole_lines():
    grid = np.linspace(0, 1, 101)[1:-1]
    low, high = uniform_band(60, grid)
    rows = np.sort(np.random.default_rng(9).random((1500, 60)), axis=1)
    share = np.stack([np.searchsorted(row, grid, side="right") for row in rows]) / 60
    inside = ((share >= low) & (share <= high)).all(axis=1).mean()
    assert 0.9 < inside < 0.98


def test_a_picture_shows_what_was_found(found):
    left, right = plot_check(found[1])
    assert left.get_title() == "LOO-PIT" and right.get_title() == "data among 500 replicated"
    lines = {line.get_label(): line.get_xydata() for line in left.lines}
    values = np.sort(found[1].pit_values.sel(direction="waiting").values)
    share = np.searchsorted(values, 0.3, side="right") / len(values)
    x, y = lines["waiting"].T
    assert np.interp(0.3, x, y) == pytest.approx(share - 0.3, abs=0.005)
    marks = {
        line.get_ydata()[0]: line.get_xdata()[0]
        for line in right.lines
        if line.get_marker() in "oD"
    }
    names = [text.get_text() for text in right.get_yticklabels()]
    assert names[0] == "kurtosis of eruptions" and marks[0] < -1  # flatter than replicated data
    assert names[-1].startswith(("mean", "sd")) and abs(marks[len(names) - 1]) < 0.2
    words = [text.get_text() for text in left.get_legend().get_texts()]
    assert "waiting: misplaced (p < 0.001)" in words
    left.figure.canvas.draw()


def test_a_picture_takes_axes_fits_and_refuses_the_rest(found, em_faithful):
    _, given = plt.subplots(1, 2)
    axes = plot_check(em_faithful, ax=given, legend=False, seed=1)
    assert axes[0] is given[0] and axes[0].get_title() == "PIT (rows seen by the fit)"
    with pytest.raises(SpecError, match="pair of Axes"):
        plot_check(found[1], ax=given[0])
    with pytest.raises(SpecError, match="seed is of the check"):
        plot_check(found[1], seed=1)
    with pytest.raises(FitError, match="takes a MixtureFit"):
        plot_check(3)


def test_deviations_have_a_unit_on_each_side():
    rng = np.random.default_rng(0)
    from bayesgmm.analysis.checks.replicated_statistics import Replicated

    skewed = rng.gamma(0.5, size=(4000, 1))
    away = deviations(Replicated([("a", "")], skewed[0], skewed[1:]))[:, 0]
    above = skewed[:, 0] > skewed.mean()
    assert (away[above] > 1).sum() == pytest.approx(100, abs=5)
    assert (away[~above] > 1).sum() == pytest.approx(100, abs=5)
