"""Criteria against quadrature over a model of two parameters, ArviZ, and the formulas.

The model of :class:`Quadrature` is K = 1, D = 1: its posterior is a table over a grid of
mean and log scale, so every criterion has an answer that no sampler has touched.
"""

import warnings
from functools import cached_property

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.analysis.compare import compare
from bayesgmm.analysis.criteria import information, refit_without_row
from bayesgmm.analysis.criteria.criteria import criteria
from bayesgmm.analysis.criteria.information import aicc, dic, waic, wbic
from bayesgmm.analysis.criteria.leave_one_out import elpd_loo, leave_one_out
from bayesgmm.analysis.criteria.refit_without_row import RowsLeftOut
from bayesgmm.model.structure import STRUCTURES
from bayesgmm.result.status import Status
from bayesgmm.result.tree import with_groups
from tests.monte_carlo import ERRORS, batch_error


class Quadrature:
    """Mean and log scale of one normal, on the standardised scale of all the rows."""

    def __init__(self, x):
        mean, log_scale = np.meshgrid(
            np.linspace(-6, 8, 1201), np.linspace(-3, 3, 1001), indexing="ij"
        )
        z = (x - x.mean()) / x.std()
        # Normal(0, 2) and LogNormal(0.5, 1); a density over log scale has no 1 / sigma.
        self.prior = -0.5 * (mean / 2) ** 2 - 0.5 * (log_scale - np.log(0.5)) ** 2
        self.rows = [
            -0.5 * ((value - mean) / np.exp(log_scale)) ** 2
            - log_scale
            - 0.5 * np.log(2 * np.pi)
            - np.log(x.std())
            for value in z
        ]
        self.total = sum(self.rows)

    @cached_property
    def posterior(self):
        log = self.prior + self.total
        return np.exp(log - logsumexp(log))

    def without(self, i, times=1):
        """log p(y_i | the others), ``times`` copies of the row being in the data."""
        every = self.prior + self.total + (times - 1) * self.rows[i]
        return logsumexp(every) - logsumexp(every - self.rows[i])

    @property
    def elpd(self):
        return np.array([self.without(i) for i in range(len(self.rows))])


@pytest.fixture(scope="module")
def with_outlier():
    """25 rows of a standard normal, and one at 12."""
    x = np.append(np.random.default_rng(0).normal(size=25), 12.0)
    return bg.fit(bg.MixtureSpec(1), x, method="nuts", seed=1), Quadrature(x)


@pytest.fixture(scope="module")
def clean():
    x = np.random.default_rng(3).normal(size=40)
    return bg.fit(bg.MixtureSpec(1), x, method="nuts", seed=1, draws=4000), Quadrature(x)


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def repeated(fit, times):
    """The same draws, as a fit of the rows repeated."""
    rows = np.repeat(fit.observations.values, times, axis=0)
    return bg.MixtureFit.build(
        fit.spec,
        bg.Observations(rows),
        fit.parameters,
        method="nuts",
        status=Status.CONVERGED,
        sample_stats={"lp": fit.tree["sample_stats/lp"].values},
        facts={},
    )


def weighted(fit, weights):
    """The same draws, as a fit of weighted rows."""
    return bg.MixtureFit.build(
        fit.spec,
        bg.Observations(fit.observations.values, row_weights=weights),
        fit.parameters,
        method="nuts",
        status=Status.CONVERGED,
        sample_stats={"lp": fit.tree["sample_stats/lp"].values},
        facts={},
    )


# Against quadrature -------------------------------------------------------------------


@pytest.mark.slow
def test_waic_dic_and_loo_agree_with_quadrature(clean):
    fit, exact = clean
    p = exact.posterior
    lppd = np.array([np.log((p * np.exp(row)).sum()) for row in exact.rows])
    means = np.array([(p * row).sum() for row in exact.rows])
    variances = np.array([(p * row**2).sum() for row in exact.rows]) - means**2
    elpd_i = lppd - variances
    expected = {
        "waic": elpd_i.sum(),
        "p of waic": variances.sum(),
        "se of waic": np.sqrt(40 * elpd_i.var(ddof=1)),
        "dic": -4 * means.sum() + 2 * lppd.sum(),
        "p of dic": 2 * (lppd.sum() - means.sum()),
        "elpd_loo": exact.elpd.sum(),
    }

    def estimated(fit):
        w, d = quietly(waic, fit), dic(fit)
        return np.array([w.value, w.p, w.se, d.value, d.p, quietly(elpd_loo, fit).value])

    z = (estimated(fit) - list(expected.values())) / batch_error(fit, estimated)
    assert np.abs(z).max() < ERRORS, dict(zip(expected, z, strict=True))
    assert batch_error(fit, estimated).max() < 0.1
    found, deviance = quietly(waic, fit), dic(fit)
    # Two parameters, and three estimates of their effective number.
    assert all(1 < value < 3 for value in (found.p, deviance.p, elpd_loo(fit).p))


def test_wbic_agrees_with_quadrature(clean):
    fit, exact = clean
    log = exact.prior + exact.total / np.log(40)
    tempered = np.exp(log - logsumexp(log))
    found = wbic(fit, seed=1)
    assert 0 < found.se < 0.2
    assert abs(found.value + (tempered * exact.total).sum()) < 4 * found.se
    counted = wbic(bg.fit(fit.spec, fit.observations, row_weights=np.ones(40)), seed=1)
    # Weights of one are added up in another order, so the chains differ.
    assert abs(counted.value - found.value) < 4 * np.hypot(counted.se, found.se)


@pytest.mark.slow
def test_repair_by_refit_comes_near_exact_leave_one_out(with_outlier):
    """At 12 sd the row's own density is averaged over two draws or so: 6 off unrepaired."""
    fit, exact = with_outlier
    before, after = elpd_loo(fit), elpd_loo(fit, repair=True, seed=1)
    assert before.bad_rows == (25,) and before.repaired == ()
    assert after.bad_rows == () and after.repaired == (25,)
    target = exact.elpd.sum()
    assert abs(before.value - target) > 3
    assert abs(after.value - target) < 0.2
    found = criteria(fit, repair=True, seed=1)  # and the same seed gives the same
    assert found["elpd_loo"] == after.value and "Pareto" not in str(found)


@pytest.mark.slow
@pytest.mark.parametrize("outlier", [3.5, 5.0, 8.0])
def test_the_density_of_a_row_left_out_is_exact_whatever_the_overlap(outlier, monkeypatch):
    """Between the two posteriors, or where they are far apart by each one's evidence."""
    x = np.append(np.random.default_rng(1).normal(size=15), outlier)
    fit, exact = bg.fit(bg.MixtureSpec(1), x, method="nuts", seed=1), Quadrature(x)
    on_draws = fit.tree["log_likelihood/x"].values[..., 15]
    found = RowsLeftOut(fit, seed=1, cores=None).log_density(15, on_draws)
    assert found.se <= refit_without_row.PRECISE
    assert abs(found.value - exact.without(15)) < 4 * max(found.se, 0.01)
    if outlier > 5:
        return
    monkeypatch.setattr(
        RowsLeftOut, "_between", lambda *_: refit_without_row.LogDensity(0.0, np.inf)
    )
    other = RowsLeftOut(fit, seed=1, cores=None).log_density(15, on_draws)
    assert abs(other.value - exact.without(15)) < 0.03


@pytest.mark.slow
def test_repair_of_a_mixture_agrees_with_moment_matching(faithful):
    """Old Faithful and a row that the second component is stretched to hold, K = 2; ArviZ's
    answer counts where its k-hat, -.1 to .5 over seeds, is good by ArviZ's own limit."""
    x = np.vstack([faithful.values, [5.0, 40.0]])
    fit = bg.fit(bg.MixtureSpec(2), x, method="nuts", seed=1)
    loo = quietly(az.loo, fit.tree, pointwise=True)
    density = bg.LogPosterior(fit.spec, fit.observations)
    labels = {name: fit.tree["posterior"][name] for name in ("chain", "draw")}
    theta = xr.DataArray(
        density.unconstrain(fit.parameters), dims=("chain", "draw", "coordinate"), coords=labels
    )

    def on(array, values):
        return xr.DataArray(
            values, dims=("chain", "draw"), coords={"chain": array.chain, "draw": array.draw}
        )

    def log_posterior(at):
        flat = at.transpose("chain", "draw", "coordinate").values
        values = [density.value(row) for row in flat.reshape(-1, density.size)]
        return on(at, np.reshape(values, flat.shape[:2]))

    def log_density(at, i):
        flat = at.transpose("chain", "draw", "coordinate").values
        return on(at, density.constrain(flat).log_density(x[[i]])[..., 0])

    peer = quietly(
        az.loo_moment_match, fit.tree, loo, log_posterior, log_density, theta, pointwise=True
    )
    assert float(peer.pareto_k[272]) < peer.good_k
    after = leave_one_out(fit, repair=True, seed=2)
    assert after.elpd.repaired == (272,)
    np.testing.assert_allclose(after.arviz.elpd_i.values[272], peer.elpd_i[272], atol=0.15)


# Against ArviZ ------------------------------------------------------------------------


class Known(az.SamplingWrapper):
    """A refit, for ArviZ, that knows the answer."""

    def sel_observations(self, idx):
        return idx, idx

    def sample(self, modified_observed_data):
        return modified_observed_data

    def get_inference_data(self, fitted_model):
        return fitted_model

    def log_likelihood__i(self, excluded_obs, idata__i):
        value = float(self.model.elpd_i[excluded_obs])
        return xr.DataArray([[value]], dims=("chain", "draw"))


@pytest.mark.slow
def test_repaired_sums_are_those_of_arviz(with_outlier, monkeypatch):
    fit, _ = with_outlier
    monkeypatch.setattr(
        RowsLeftOut, "log_density", lambda *_: refit_without_row.LogDensity(-24.0, 0.01)
    )
    after = leave_one_out(fit, repair=True, seed=1)
    refits = Known(after.arviz, idata_orig=fit.tree)
    peer = quietly(az.reloo, refits, k_threshold=0.7, pointwise=True)
    ours = after.elpd
    np.testing.assert_allclose([ours.value, ours.se, ours.p], [peer.elpd, peer.se, peer.p])
    np.testing.assert_array_equal(after.arviz.pareto_k, peer.pareto_k)
    # What compare() tells of differences is then ArviZ's, of the repaired values.
    other = quietly(
        bg.fit, bg.MixtureSpec(2), fit.observations, method="nuts", seed=1, draws=300, tune=300
    )
    fits = {"one": fit, "two": other}
    table = quietly(compare, fits, repair=True, seed=1)
    results = {
        name: quietly(leave_one_out, f, repair=True, seed=1).arviz for name, f in fits.items()
    }
    peers = quietly(az.compare, results, round_to="none")
    for name in fits:
        np.testing.assert_allclose(
            table.loc[name, ["elpd_diff", "dse", "weight"]].astype(float),
            peers.loc[name, ["elpd_diff", "dse", "weight"]].astype(float),
            atol=1e-8,
        )


def test_rows_that_count_twice_are_two_observations(nuts_faithful):
    times = np.random.default_rng(0).integers(0, 3, size=272)
    counted, whole = weighted(nuts_faithful, times.astype(float)), repeated(nuts_faithful, times)
    np.testing.assert_allclose(elpd_loo(counted)[:3], elpd_loo(whole)[:3], rtol=1e-10)
    np.testing.assert_allclose(dic(counted), dic(whole), rtol=1e-10)
    with pytest.warns(bg.FitWarning, match="variance above 0.4"):
        ours = waic(counted)
    with pytest.warns(bg.FitWarning, match="variance above 0.4"):
        theirs = waic(whole)
    np.testing.assert_allclose(ours[:3], theirs[:3], rtol=1e-10)
    origin = np.repeat(np.arange(272), times)
    assert ours.bad_rows == tuple(np.unique(origin[list(theirs.bad_rows)]))
    table = compare({"a": counted, "b": counted})
    np.testing.assert_allclose(table["elpd_loo"], az.loo(whole.tree).elpd, atol=1e-8)


def test_one_of_two_copies_is_left_out(with_outlier):
    _, exact = with_outlier
    x = np.append(np.random.default_rng(0).normal(size=25), 12.0)
    weights = np.ones(26)
    weights[25] = 2
    priors = bg.Priors(  # the quadrature's, which are on the scale of rows that count once
        mean_location=x.mean(),
        mean_scale=2 * x.std(),
        scales=bg.LogNormal(0.5 * x.std()),
        units="data",
    )
    fit = bg.fit(bg.MixtureSpec(1, priors=priors), x, method="nuts", seed=1, row_weights=weights)
    on_draws = fit.tree["log_likelihood/x"].values[..., 25]
    found = RowsLeftOut(fit, seed=1, cores=None).log_density(25, on_draws)
    assert abs(found.value - exact.without(25, times=2)) < 4 * max(found.se, 0.01)


def test_a_row_that_counts_twice_is_left_out_in_its_own_units():
    """Not in the units of two rows, where priors are on the standardised scale."""
    x = 100 * np.append(np.random.default_rng(0).normal(size=25), 4.0)
    weights = np.append(np.ones(25), 2.0)
    found = []
    for rows in (bg.Observations(x, row_weights=weights), bg.Observations([*x, x[25]])):
        fit = bg.fit(bg.MixtureSpec(1), rows, method="laplace", seed=1)
        on_draws = fit.parameters.log_density(rows)[..., 25]
        found.append(RowsLeftOut(fit, seed=1, cores=1).log_density(25, on_draws))
    assert abs(found[0].value - found[1].value) < 0.3


# The formulas, the refusals and what is printed ---------------------------------------


def test_waic_and_dic_are_their_formulas(nuts_faithful):
    density = np.exp(nuts_faithful.tree["log_likelihood/x"].values.reshape(4000, 272))
    lppd, p = np.log(density.mean(axis=0)), np.log(density).var(axis=0, ddof=1)
    with pytest.warns(bg.FitWarning) as caught:
        found = waic(nuts_faithful)
    np.testing.assert_allclose([found.value, found.p], [(lppd - p).sum(), p.sum()])
    assert found.bad_rows == tuple(np.flatnonzero(p > 0.4))
    assert str(found.bad_rows[0]) in str(caught[0].message)
    expected = -4 * np.log(density).sum(axis=1).mean() + 2 * lppd.sum()
    np.testing.assert_allclose(dic(nuts_faithful).value, expected)
    # The two estimates of one thing, on rows none of which is bad for the better one.
    assert abs(found.value - elpd_loo(nuts_faithful).value) < 1


@pytest.mark.parametrize("how", ["labels", "selection"])
def test_dic_is_of_the_rows_as_they_were_seen(how, monkeypatch):
    x = np.random.default_rng(1).normal(size=30)
    x[:15] = np.abs(x[:15])
    known = {"labels": np.repeat([0, 1], 15)} if how == "labels" else {"selection": [[-3], [3]]}
    weights = np.append(np.ones(29), 0.0)
    rows = bg.Observations(x, row_weights=weights, **known)
    fit = bg.fit(bg.MixtureSpec(2), rows, method="laplace", draws=100, seed=1)
    log = fit.parameters.log_density(rows)[0][:, :29]
    total = (logsumexp(log, axis=0) - np.log(100)).sum()
    expected = -4 * log.sum(axis=1).mean() + 2 * total
    np.testing.assert_allclose(dic(fit).value, expected, rtol=1e-12)
    monkeypatch.setattr(information, "_BLOCK", 700)  # seven rows at a time
    np.testing.assert_allclose(dic(fit).value, expected, rtol=1e-12)


def test_labels_do_not_matter(nuts_faithful):
    rng = np.random.default_rng(0)
    switched = nuts_faithful.parameters.permute(
        rng.permuted(np.tile([0, 1], (4, 1000, 1)), axis=-1)
    )
    other = bg.MixtureFit.build(
        nuts_faithful.spec,
        nuts_faithful.observations,
        switched,
        method="nuts",
        status=Status.CONVERGED,
        sample_stats={},
        facts={},
    )
    np.testing.assert_allclose(dic(other), dic(nuts_faithful), rtol=1e-12)


@pytest.mark.parametrize("units", ["standardised", "data"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_leaving_a_row_out_leaves_the_priors(faithful, covariance, units):
    """On the scale of the refits the log posterior of all rows is what it was."""
    wide = {"mean_location": (3.0, 70.0), "mean_scale": (2.0, 30.0)} if units == "data" else {}
    spec = bg.MixtureSpec(2, covariance, bg.Priors(units=units, **wide))
    fit = bg.fit(spec, faithful, method="map", seed=1, n_starts=4, rounds=0)
    without = RowsLeftOut(fit, seed=1, cores=None)
    before, after = (
        bg.LogPosterior(fit.spec, fit.observations),
        bg.LogPosterior(without.spec, without.rows),
    )
    theta = before.unconstrain(fit.parameters[0, 0])
    values = [
        before.value(theta + step)
        - (after.value(theta + step) - without.scaling.log_jacobian(np.full(2, 272.0)))
        for step in (0.0, 0.2, -0.1)
    ]
    np.testing.assert_allclose(values, 0, atol=1e-7)


def test_work_is_bounded_and_what_was_not_repaired_is_told(with_outlier, monkeypatch):
    fit, _ = with_outlier
    tried = []

    def log_density(self, row, on_draws):
        tried.append(row)
        if len(tried) == 2:
            raise bg.FitError("the rest cannot be fitted.")
        return refit_without_row.LogDensity(-3.0, 0.0)

    monkeypatch.setattr(RowsLeftOut, "log_density", log_density)
    monkeypatch.setattr("bayesgmm.analysis.criteria.leave_one_out.K_HAT_LIMIT", -1.0)
    k_hat = quietly(az.loo, fit.tree, pointwise=True).pareto_k.values
    bad = {int(row) for row in np.flatnonzero(k_hat > -1)}
    with pytest.warns(bg.FitWarning, match="is still uncertain") as caught:
        found = elpd_loo(fit, repair=True, max_refits=3)
    assert tried == list(np.argsort(-k_hat)[:3])
    assert found.repaired == tuple(sorted((tried[0], tried[2])))
    assert set(found.bad_rows) == bad - set(found.repaired)
    told = str(caught[0].message)
    assert f"row {tried[1]} not: the rest cannot be fitted;" in told
    assert "beyond max_refits=3" in told
    assert caught[0].filename == __file__
    with pytest.raises(bg.SpecError, match="max_refits must be a whole number of at least 1"):
        elpd_loo(fit, repair=True, max_refits=0)


def test_a_row_without_which_nothing_can_be_fitted_stays_bad():
    x = bg.Observations([0.0] * 12 + [1.0], resolution=0)
    fit = bg.fit(bg.MixtureSpec(1), x, method="nuts", seed=1, draws=300)
    with pytest.warns(bg.FitWarning, match="row 12 not: Column 'x0' is constant"):
        found = elpd_loo(fit, repair=True, max_refits=1)
    assert 12 in found.bad_rows and found.repaired == ()


def test_aicc(em_faithful, nuts_faithful, faithful):
    assert aicc(em_faithful) == em_faithful.aic() + 2 * 11 * 12 / (272 - 12)
    few = bg.fit(bg.MixtureSpec(2), faithful[:12], method="map", seed=1)
    with pytest.raises(bg.FitError, match=r"more than p \+ 1 = 12 rows and there are 12"):
        aicc(few)
    with pytest.raises(bg.FitError, match="holds draws"):
        aicc(nuts_faithful)
    found = criteria(few)
    assert np.isnan(found["aicc"]) and found["bic"] == few.bic()
    assert "No AICc: needs more than p + 1" in str(found)
    assert "AIC, BIC, ICL: defined at the maximum of the likelihood" in str(found)


def test_signs(em_faithful, nuts_faithful):
    point = criteria(em_faithful)
    assert point["icl"] == em_faithful.icl() and point["aic"] == em_faithful.aic()
    theirs = criteria(em_faithful, sign="mclust")
    # The table that mclustBIC(faithful) prints has -2322.192 for VVV and two components.
    assert round(theirs["bic"], 2) == -2322.19
    assert set(theirs.table["better"]) == {"larger"}
    assert list(point.table["better"]) == ["smaller"] * 5 + ["larger"] * 2
    drawn, flipped = criteria(nuts_faithful), criteria(nuts_faithful, sign="mclust")
    assert drawn["elpd_loo"] == flipped["elpd_loo"] == elpd_loo(nuts_faithful).value
    assert drawn["dic"] == -flipped["dic"] == dic(nuts_faithful).value
    assert np.isnan(drawn["bic"]) and np.isnan(flipped["bic"]) and np.isnan(point["elpd_waic"])
    with pytest.raises(bg.SpecError, match="sign must be"):
        criteria(em_faithful, sign="larger")
    with pytest.raises(bg.FitError, match="There is no criterion 'hic'; there are aic"):
        point["hic"]


def test_what_is_printed_says_why_not_and_where_not(nuts_faithful, with_outlier):
    text = str(criteria(nuts_faithful))
    assert "No AIC, AICc, BIC, ICL: defined at a point estimate" in text
    assert "elpd_waic: uncertain, for the log density of row" in text
    assert "nan" not in text
    fit, _ = with_outlier
    text = str(criteria(fit))
    assert "elpd_loo: uncertain, for Pareto k-hat is above 0.7 for row 25; repair=True" in text


def test_criteria_note_what_the_chains_are(nuts_faithful):
    facts = nuts_faithful.tree["fit"].to_dataset().assign(status="not mixed")
    tree = nuts_faithful.tree.copy()
    tree["fit"] = xr.DataTree(facts)
    table = criteria(bg.MixtureFit(nuts_faithful.spec, tree)).table
    for name in ("dic", "elpd_loo", "elpd_waic"):
        assert table.loc[name, "note"].startswith("uncertain, for the fit is 'not mixed' (the")
    assert "Also uncertain, for the log density of row" in table.loc["elpd_waic", "note"]


def test_criteria_refuse_what_they_cannot_answer(em_faithful, nuts_faithful):
    half = weighted(nuts_faithful, np.full(272, 0.5))
    for function in (elpd_loo, waic):
        with pytest.raises(bg.FitError, match=r"row weights that are counts, and row 0 has 0\.5"):
            function(half)
        with pytest.raises(bg.FitError, match="needs a posterior"):
            function(em_faithful)
    with pytest.raises(bg.FitError, match="needs a posterior"):
        dic(em_faithful)
    assert np.isfinite(dic(half).value)
    assert compare({"a": half, "b": half})["elpd_loo"].isna().all()
    heavy = weighted(nuts_faithful, np.full(272, 1e9))  # more than any memory
    with pytest.raises(bg.FitError, match="272,000,000,000 observations at each of 4,000 dr"):
        elpd_loo(heavy)
    two = bg.fit(bg.MixtureSpec(1), [[0.0], [1.0]], method="map")
    with pytest.raises(bg.FitError, match="WBIC needs three rows or more"):
        wbic(two)


def test_wbic_says_that_its_run_did_not_mix(em_faithful, monkeypatch):
    def unmixed(spec, data, method, **given):
        run = bg.fit(spec, data, method=method, **given)
        tree = run.tree.copy()
        tree["fit"] = xr.DataTree(run.tree["fit"].to_dataset().assign(status="not mixed"))
        return bg.MixtureFit(run.spec, tree)

    monkeypatch.setattr(information, "fitted", unmixed)
    with pytest.warns(bg.FitWarning, match=r"WBIC of K=2, full by nuts is .*\(the chains do not"):
        wbic(em_faithful, draws=100, seed=1)


def test_a_row_whose_density_no_draw_changes_is_its_own_prediction():
    """Its importance weights are all the same; ArviZ stops at such a tail."""
    rng = np.random.default_rng(1)
    x = np.append(rng.normal(size=40), 50.0)
    logs = np.append(np.full(40, -60.0), -4.0)
    labels = np.append(np.full(40, 0), 1)  # of the last the label is noise
    rows = bg.Observations(x[:, None], background=logs, labels=labels, resolution=0)
    spec = bg.MixtureSpec(1, noise=True)
    fit = bg.fit(spec, rows, method="laplace", draws=400, seed=1)
    group = fit.tree["log_likelihood"].to_dataset().copy(deep=True)
    group["x"][..., -1] = -7.5
    fixed = type(fit)(fit.spec, with_groups(fit.tree, {"log_likelihood": group}))
    found = bg.elpd_loo(fixed)
    others = bg.elpd_loo(fit)
    last = az.loo(fit.tree, pointwise=True).elpd_i.values[-1]
    assert found.value == pytest.approx(others.value - last - 7.5, abs=1e-9)
