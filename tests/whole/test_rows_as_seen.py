"""Fits of rows seen with errors, of known classes, beside noise or inside of a box."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from tests.expectation.by_hand import holed
from tests.expectation.test_how_seen import BOX, INSIDE, X, everything
from tests.monte_carlo import ERRORS, z_scores
from tests.support import STRUCTURES, refused

TRUTH = np.repeat([0, 1], [120, 80])


# Errors of measurement -----------------------------------------------------------------


def bovy(x, errors, weights, means, covariances, n_iterations):
    """The algorithm of Bovy, Hogg and Roweis (2011), section 3, as it is written there, with
    projections for what was not seen."""
    n = len(x)
    for _ in range(n_iterations):
        q = np.zeros((n, len(weights)))
        b, big_b = {}, {}
        for i in range(n):
            r = np.eye(x.shape[1])[~np.isnan(x[i])]
            for j, (mean, v) in enumerate(zip(means, covariances, strict=True)):
                t = r @ v @ r.T + r @ errors[i] @ r.T
                away = x[i][~np.isnan(x[i])] - r @ mean
                q[i, j] = weights[j] * stats.multivariate_normal(cov=t).pdf(away)
                b[i, j] = mean + v @ r.T @ np.linalg.solve(t, away)
                big_b[i, j] = v - v @ r.T @ np.linalg.solve(t, r @ v)
        q /= q.sum(axis=1, keepdims=True)
        weights = q.mean(axis=0)
        for j in range(len(weights)):
            means[j] = sum(q[i, j] * b[i, j] for i in range(n)) / q[:, j].sum()
            covariances[j] = (
                sum(
                    q[i, j] * (np.outer(means[j] - b[i, j], means[j] - b[i, j]) + big_b[i, j])
                    for i in range(n)
                )
                / q[:, j].sum()
            )
    return weights, means, covariances


@pytest.mark.parametrize("kind", ["sds", "covariances"])
def test_em_is_bovys_algorithm(kind):
    rng = np.random.default_rng(2)
    x = holed(X[60:180], 0.2)[2:]
    n = len(x)
    errors = rng.uniform(0.1, 1.0, (n, 3))
    full = errors[:, :, None] ** 2 * np.eye(3)
    if kind == "covariances":
        roots = rng.normal(size=(n, 3, 3)) * 0.5
        errors = full = roots @ np.swapaxes(roots, 1, 2)
    start = bg.MixtureParameters.from_covariances(
        [0.4, 0.6], [[0.5, 0.5, 0.0], [4.0, -3.0, 2.0]], np.tile(2.0 * np.eye(3), (2, 1, 1))
    )
    rows = bg.Observations(x, missing="marginal", errors=errors, resolution=0)
    with pytest.warns(bg.FitWarning, match="iteration limit"):
        fit = bg.fit(
            bg.MixtureSpec(2), rows, start=start, max_iter=15, tol=1e-300, accelerate=False
        )
    w, m, c = bovy(x, full, start.weights, start.means.copy(), start.covariances.copy(), 15)
    found = fit.parameters[0, 0]
    np.testing.assert_allclose(found.weights, w, rtol=1e-8)
    np.testing.assert_allclose(found.means, m, rtol=1e-8)
    np.testing.assert_allclose(found.covariances, c, rtol=1e-8, atol=1e-9)


@pytest.fixture(scope="module")
def measured():
    """Rows of two components whose errors are as large as they are, and what they were."""
    rng = np.random.default_rng(8)
    truth = bg.MixtureParameters.from_covariances(
        [0.6, 0.4], [[0.0, 0.0], [5.0, 3.0]], [[[1.0, 0.6], [0.6, 1.0]], [[1.0, -0.5], [-0.5, 1.5]]]
    )
    y, component = truth.simulate(400, seed=1)
    errors = rng.choice([0.3, 1.0, 1.7], (400, 2))  # few views, which are fast
    return truth, y, y + errors * rng.normal(size=y.shape), errors, component


@pytest.fixture(scope="module")
def deconvolved(measured):
    """By every method that draws, of the same rows."""
    _, _, x, errors, _ = measured
    rows, spec = bg.Observations(x, errors=errors), bg.MixtureSpec(2)
    options = {"nuts": {"draws": 500, "chains": 2}, "laplace": {"draws": 1000}}
    return {name: bg.fit(spec, rows, method=name, seed=1, **options[name]) for name in options}


@pytest.mark.slow
def test_methods_agree_on_what_was_measured(deconvolved, measured, tmp_path):
    nuts, laplace = deconvolved["nuts"], deconvolved["laplace"]
    assert nuts.status.ok and laplace.status.ok
    assert np.abs(z_scores(nuts, laplace)).max() < ERRORS
    truth = measured[0]
    low, high = np.quantile(nuts.parameters.covariances, [0.005, 0.995], axis=(0, 1))
    held = (truth.covariances >= low) & (truth.covariances <= high)
    assert held.mean() > 0.8
    back = bg.load(nuts.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(back.observations.views.errors, measured[3])
    np.testing.assert_array_equal(back.predict_proba().values, nuts.predict_proba().values)
    assert "with errors of measurement" in repr(back)
    gap = bg.log_evidence(nuts, seed=1).value - bg.log_evidence(laplace, seed=1).value
    assert abs(gap) < 0.3
    assert bg.elpd_loo(nuts).value < 0


def test_rows_without_their_errors_are_nearer_to_what_they_were(deconvolved, measured):
    _, y, x, _, _ = measured
    fit = deconvolved["nuts"]
    found = fit.denoise()
    off = (found["mean"].values - y) / found["sd"].values
    assert np.std(found["mean"].values - y) < 0.75 * np.std(x - y)
    assert 0.9 < np.std(off) < 1.1  # the uncertainty that is stated is what there is
    drawn = fit.denoise(400, seed=3)
    assert drawn.dims == ("draw", "obs", "feature")
    gap = (drawn.mean("draw").values - found["mean"].values) / found["sd"].values
    assert np.abs(gap).max() < 5.5 / np.sqrt(400)
    np.testing.assert_allclose(drawn.std("draw").values, found["sd"].values, rtol=0.2)
    exact = fit.denoise(data=bg.Observations(x[:3], errors=np.zeros((3, 2)), resolution=0))
    np.testing.assert_allclose(exact["mean"].values, x[:3])
    np.testing.assert_allclose(exact["sd"].values, 0.0, atol=1e-6)
    refused("have no errors of measurement", fit.denoise, data=x)


@pytest.mark.slow
def test_denoising_is_the_conditional_expectation():
    """Against SciPy's densities and the normal's formula, row by row, beside holes."""
    x = holed(X, 0.2)
    errors = np.random.default_rng(0).uniform(0, 1, x.shape)
    fit = bg.fit(bg.MixtureSpec(2), bg.Observations(x, missing="marginal", errors=errors), seed=1)
    found, p = fit.denoise(), fit.parameters[0, 0]
    for n in range(20):
        seen = ~np.isnan(x[n])
        parts, logs = [], []
        for w, mean, c in zip(p.weights, p.means, p.covariances, strict=True):
            total = c[np.ix_(seen, seen)] + np.diag(errors[n, seen] ** 2)
            away = x[n, seen] - mean[seen]
            logs.append(np.log(w))
            if seen.any():
                logs[-1] += stats.multivariate_normal(cov=total).logpdf(away)
            parts.append(mean + c[:, seen] @ np.linalg.solve(total, away))
        r = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
        np.testing.assert_allclose(found["mean"].values[n], r @ np.stack(parts), rtol=1e-9)


def test_denoising_far_from_zero_keeps_its_digits():
    x = np.random.default_rng(4).normal(0, 5, (30, 1))
    rows = [bg.Observations(x + 2.0**30 * far, errors=1.0, resolution=0) for far in (0, 1)]
    here, there = (bg.fit(bg.MixtureSpec(1), each, seed=1).denoise() for each in rows)
    np.testing.assert_allclose(there["sd"], here["sd"], rtol=1e-6)
    np.testing.assert_allclose(there["mean"] - 2.0**30, here["mean"], atol=1e-5)


def test_a_row_is_scored_with_its_own_error(deconvolved):
    fit, row = deconvolved["laplace"], np.array([[2.5, -6.0]])
    exact = fit.score_samples(row).values
    rough = fit.score_samples(bg.Observations(row, errors=5.0, resolution=0)).values
    assert rough > exact  # away from the components an error makes it likelier


# Known labels ---------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_labels_decide_which_component_is_which(covariance):
    """Whatever the order of means, by every kind of fit; and where all rows are known, maximum
    likelihood is the sample's moments by class."""
    labels = np.full(len(X), -1)
    labels[:6], labels[-6:] = 1, 0
    for method in ("em", "map"):
        rows = bg.Observations(X, labels=labels)
        fit = bg.fit(bg.MixtureSpec(2, covariance), rows, method=method, seed=1)
        assert fit.parameters.means[0, 0, 0, 0] > 3
        np.testing.assert_array_equal(fit.predict_proba().values[:6], [[0.0, 1.0]] * 6)
    known = bg.fit(bg.MixtureSpec(2, covariance), bg.Observations(X, labels=1 - TRUTH), seed=1)
    np.testing.assert_allclose(known.parameters.weights[0, 0], [0.4, 0.6], rtol=1e-9)
    np.testing.assert_allclose(known.parameters.means[0, 0, 1], X[:120].mean(axis=0), atol=1e-9)
    if covariance == "full":
        cov = np.cov(X[:120].T, bias=True)
        np.testing.assert_allclose(known.parameters.covariances[0, 0, 1], cov, rtol=1e-8)


@pytest.mark.slow
def test_draws_keep_labels_that_are_known_and_the_evidence_knows(tmp_path):
    """By symmetry p(x, z = 0) = p(x) / 2 for one row's label, and 1 / 6 for two of three."""
    x = np.random.default_rng(5).normal(size=(40, 1)) + np.repeat([0.0, 3.5], 20)[:, None]
    spec = bg.MixtureSpec(2, "tied", bg.Priors(scales=bg.LogNormal(0.5, 0.5)))
    free = bg.fit(spec, x, method="nuts", draws=1000, chains=2, seed=1)
    labels = np.full(40, -1)
    labels[0] = 1
    known = bg.fit(
        spec, bg.Observations(x, labels=labels), method="nuts", draws=1000, chains=2, seed=1
    )
    assert (known.statistics["permutation"].values == [0, 1]).all()
    for way in ("pivot", "ecr", "stephens", "order"):
        other = bg.relabel(known, way)
        np.testing.assert_array_equal(other.parameters.means, known.parameters.means)
    one, two = bg.log_evidence(free, seed=1), bg.log_evidence(known, seed=1)
    assert one.value - two.value == pytest.approx(np.log(2), abs=4 * np.hypot(one.se, two.se))
    back = bg.load(known.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(back.observations.views.labels, labels)
    assert "1 with a label" in repr(back)


def test_components_that_nothing_tells_apart_are_exchanged_among_themselves():
    """Of three, one is named by labels; the others are relabelled, and counted in the evidence."""
    from bayesgmm.density.exchangeable import exchangeable

    labels = np.where(np.arange(len(X)) < 10, 1, -1)
    rows = bg.Observations(X, labels=labels)
    assert exchangeable(bg.MixtureSpec(3), rows).tolist() == [0, 1, 0]
    fit = bg.fit(bg.MixtureSpec(3, "tied"), rows, method="laplace", draws=400, seed=1)
    assert (fit.statistics["permutation"].values[..., 1] == 1).all()
    priors = bg.Priors(weights=(1.0, 2.0, 1.0))
    assert exchangeable(bg.MixtureSpec(3, priors=priors), bg.Observations(X)).tolist() == [0, 1, 0]


def test_a_class_that_few_rows_are_known_to_be_of_is_not_missed_in_a_part_of_them():
    """Every row is known, one of them alone of the last component: densities of some rows, as
    the verdict on convergence asks for, and a search on a sample, are of no such row."""
    labels = np.append(TRUTH[:-1], 2)
    rows = bg.Observations(X, labels=labels)
    fit = bg.fit(bg.MixtureSpec(3, "tied"), rows, method="laplace", draws=200, seed=1)
    np.testing.assert_array_equal(fit.predict().values, labels)
    assert fit.predict(rows.part([0, 150])).values.tolist() == [0, 1]
    many = np.tile(X, (130, 1)) + np.random.default_rng(0).normal(size=(26_000, 3)) * 0.01
    every = np.where(np.arange(26_000) == 77, 2, np.tile(TRUTH, 130))
    found = bg.fit(bg.MixtureSpec(3, "tied"), bg.Observations(many, labels=every), seed=1)
    np.testing.assert_allclose(found.parameters.weights[0, 0, 2], 1 / 26_000, rtol=1e-9)


def test_a_row_may_be_of_some_components():
    allowed = np.ones((len(X), 3), dtype=bool)
    allowed[:50, 2] = allowed[150:, 0] = False
    rows = bg.Observations(X, allowed=allowed)
    fit = bg.fit(bg.MixtureSpec(3), rows, seed=1)
    proba = fit.predict_proba().values
    assert not proba[~allowed].any()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    same = bg.Observations(rows).part(np.arange(10))
    np.testing.assert_array_equal(same.views.allowed, allowed[:10])


# Noise ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strewn():
    rng = np.random.default_rng(3)
    x = np.concatenate([X[:, :2], rng.uniform([-6, -9], [10, 5], (20, 2))])
    return bg.Observations(x, background=[[-6.0, -9.0], [10.0, 5.0]])


@pytest.fixture(scope="module")
def strewn_em(strewn):
    return bg.fit(bg.MixtureSpec(2, noise=True), strewn, seed=1)


def test_noise_takes_the_rows_that_are_of_no_component(strewn, strewn_em):
    fit = strewn_em
    assert fit.parameters.noise.weight.item() == pytest.approx(20 / 220, abs=0.04)
    labels = fit.predict().values
    assert set(labels) == {-1, 0, 1}
    noise = np.arange(220) >= 200
    assert (labels[noise] == -1).mean() > 0.6 and (labels[~noise] == -1).mean() < 0.05
    proba = fit.predict_proba()
    assert proba["component"].values.tolist() == [0, 1, "noise"]
    np.testing.assert_allclose(proba.sum("component"), 1.0)
    assert "noise: weight 0.0" in repr(fit)
    plain = bg.fit(bg.MixtureSpec(2), X[:, :2], seed=1)
    gap = np.abs(fit.parameters.means - plain.parameters.means)
    assert (gap < 3 * plain.parameters.scales / np.sqrt(80)).all()
    told = fit.memberships([[0.0, 0.0], [9.5, 4.5], [30.0, 0.0]])
    assert told["assigned"].values.tolist()[:2] == [0, -1]
    assert bg.partition(fit, seed=1).n_clusters >= 3
    refused("this fit has noise", bg.merge_components, fit)


def test_a_mixture_with_noise_is_a_density(strewn_em, tmp_path):
    """It integrates to one, its marginals and conditionals are those of its own draws."""
    fit = strewn_em
    grid = np.stack(
        np.meshgrid(np.linspace(-8, 12, 801), np.linspace(-11, 7, 801), indexing="ij"), -1
    )
    density = np.exp(fit.score_samples(grid.reshape(-1, 2)).values)
    assert density.sum() * (20 / 800) * (18 / 800) == pytest.approx(1.0, abs=2e-3)
    made = fit.generate(40_000, seed=1)
    x, component = made["x"].values, made["component"].values
    share = fit.parameters.noise.weight.item()
    assert (component == -1).mean() == pytest.approx(share, abs=5 * np.sqrt(share / 40_000))
    error = 5 * x.std(axis=0) / 200
    assert (np.abs(x.mean(axis=0) - fit.predictive.mean.values) < error).all()
    np.testing.assert_allclose(np.cov(x.T), fit.predictive.covariance.values, rtol=0.05)
    line = fit.marginal("x0")
    for q in (0.01, 0.5, 0.99):
        at = line.quantile(q).item()
        assert line.cdf(at).item() == pytest.approx(q, abs=1e-12)
        assert (x[:, 0] < at).mean() == pytest.approx(q, abs=5 * np.sqrt(q * (1 - q) / 40_000))
    given = fit.condition({"x1": -4.0})
    near = x[np.abs(x[:, 1] + 4.0) < 0.1, 0]
    assert near.mean() == pytest.approx(given.mean.item(), abs=5 * near.std() / np.sqrt(len(near)))
    region = line.region(0.5)
    held = region.contains(x[:, :1]).values.mean()
    assert held == pytest.approx(0.5, abs=5 * 0.5 / 200)
    back = bg.load(fit.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(back.noise_box, fit.noise_box)
    np.testing.assert_allclose(back.score_samples().values, fit.score_samples().values)
    assert back.spec == fit.spec and back.spec.label == "K=2, full, noise"
    refused("this fit has noise", fit.regress, "x0", {"x1": [0.0]})
    x, component = fit.parameters[0, 0].simulate(1000, seed=1)
    assert set(component) == {0, 1, 2} and x.shape == (1000, 2)


@pytest.mark.slow
def test_the_evidence_with_noise_is_that_of_numerical_integration():
    """K = 1 in one dimension: over the weight, the mean and the log scale on a grid."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 1, 25), [6.0, -5.0, 9.0]])[:, None]
    rows = bg.Observations(x, resolution=0)
    spec = bg.MixtureSpec(1, noise=True)
    fit = bg.fit(spec, rows, method="nuts", draws=1000, chains=2, seed=1)
    assert fit.status.ok
    center, unit = rows.center.item(), rows.feature_scale.item()
    z = (x[:, 0] - center) / unit
    w = np.linspace(1e-4, 1 - 1e-4, 200)[:, None, None]
    mu = np.linspace(-1.5, 1.5, 200)[None, :, None]
    s = np.linspace(-2.5, 1.2, 200)[None, None, :]
    log_volume = np.log(np.ptp(x)) - np.log(unit)
    total = stats.beta(2, 2).logpdf(w) + stats.norm(0, 2).logpdf(mu)
    total = total + stats.norm(np.log(0.5), 1.0).logpdf(s)
    for value in z:
        own = np.log1p(-w) + stats.norm.logpdf(value, mu, np.exp(s))
        total = total + np.logaddexp(own, np.log(w) - log_volume)
    cell = np.prod([np.diff(axis.ravel())[0] for axis in (w, mu, s)])
    wanted = np.logaddexp.reduce(total.ravel()) + np.log(cell) - len(x) * np.log(unit)
    found = bg.log_evidence(fit, seed=1)
    assert found.value == pytest.approx(wanted, abs=4 * found.se + 0.01)


def test_select_with_and_without_noise(strewn):
    chosen = bg.select(strewn, [1, 2], ["full"], noise=[False, True], posteriors=0, seed=1)
    assert chosen.table.index[0] == "K=2, full, noise" and len(chosen.table) == 4


def test_a_given_density_of_noise_is_taken_row_by_row(strewn, strewn_em):
    """The uniform one said by row is the same fit; new rows must bring theirs."""
    logs = np.full(220, -np.log(16 * 14.0))
    rows = bg.Observations(strewn.values, background=logs)
    fit = bg.fit(bg.MixtureSpec(2, noise=True), rows, seed=1)
    assert fit.log_likelihood == pytest.approx(strewn_em.log_likelihood, abs=1e-6)
    refused("background=", fit.score_samples, strewn.values)
    own = fit.score_samples(bg.Observations(strewn.values[:5], background=logs[:5], resolution=0))
    np.testing.assert_allclose(own.values, strewn_em.score_samples().values[:5], rtol=1e-5)


# What was not recorded --------------------------------------------------------------------


def test_a_selection_is_the_maximum_that_scipy_finds():
    """One truncated normal, by a search on SciPy's distribution; the fit is of all rows."""
    from scipy.optimize import minimize

    x = np.random.default_rng(2).normal(1.0, 2.0, 3000)
    x = x[(x > 0) & (x < 5)][:, None]
    rows = bg.Observations(x, selection=[[0.0], [5.0]], resolution=0)
    fit = bg.fit(bg.MixtureSpec(1), rows, seed=1)

    def negative(theta):
        mean, sd = theta[0], np.exp(theta[1])
        a, b = (0.0 - mean) / sd, (5.0 - mean) / sd
        return -stats.truncnorm(a, b, mean, sd).logpdf(x[:, 0]).sum()

    found = minimize(negative, [2.0, 0.0], tol=1e-12)
    assert fit.log_likelihood == pytest.approx(-found.fun, rel=1e-9)
    p = fit.parameters[0, 0]
    np.testing.assert_allclose(p.means[0, 0], found.x[0], rtol=1e-4)
    np.testing.assert_allclose(p.scales[0, 0], np.exp(found.x[1]), rtol=1e-4)
    assert np.exp(fit.score_samples([[-1.0]]).values) > 0  # of all rows, recorded or not


@pytest.mark.slow
def test_every_method_takes_everything_at_once(tmp_path):
    rows = everything()
    spec = bg.MixtureSpec(2, noise=True)
    nuts = bg.fit(spec, rows, method="nuts", draws=500, chains=2, seed=1)
    laplace = bg.fit(spec, rows, method="laplace", seed=1)
    assert nuts.status.ok
    gap = nuts.parameters.means.mean(axis=(0, 1)) - laplace.parameters.means.mean(axis=(0, 1))
    assert np.abs(gap).max() < 0.15
    back = bg.load(nuts.save(tmp_path / "fit.nc"))
    for name in ("errors", "labels", "selection"):
        value = getattr(rows.views, name)
        np.testing.assert_array_equal(getattr(back.observations.views, name), value, err_msg=name)
    np.testing.assert_allclose(
        back.parameters.log_density(back.observations)[0, :5],
        nuts.tree["log_likelihood/x"].values[0, :5],
        rtol=1e-9,
    )
    assert "recorded inside of a box in x0, x1" in repr(back)


# The door ---------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_in_a_sentence():
    make, plane = bg.Observations, INSIDE[:, :2]
    n = len(INSIDE)
    bad = np.tile(np.eye(3), (n, 1, 1))
    bad[7] = [[1, 2, 0], [2, 1, 0], [0, 0, 1]]
    refused("covariance of errors of row 7 is not symmetric", make, INSIDE, errors=bad)
    sds = np.ones((n, 3))
    sds[4, 1] = -1
    refused("error of 'x1' in row 4 is -1", make, INSIDE, errors=sds)
    refused("errors has shape", make, INSIDE, errors=np.ones((3, n)))
    refused("errors must be numbers", make, INSIDE, errors="large")
    refused("labels\\[0\\] is 2.5", make, INSIDE, labels=np.full(n, 2.5))
    refused("labels must be whole numbers", make, INSIDE, labels=np.full(n, "a"))
    refused("labels has shape", make, INSIDE, labels=[0, 1])
    refused("Both labels and allowed", make, X, labels=TRUTH, allowed=np.ones((200, 2)))
    refused("Row 0 may be of no component", make, INSIDE, allowed=np.zeros((n, 2)))
    many = make(X, labels=np.where(TRUTH == 1, 4, 0))
    refused("labels\\[120\\] is 4, but components", bg.fit, bg.MixtureSpec(2), many)
    refused("No row may be of component 1", bg.fit, bg.MixtureSpec(5), many)
    none = make(X, (TRUTH == 0) * 1.0, labels=TRUTH)  # every row of component 1 without a weight
    refused("No row may be of component 1", bg.fit, bg.MixtureSpec(2), none)
    refused(
        "allowed has 2 columns for 3", bg.fit, bg.MixtureSpec(3), make(X, allowed=[[1, 1]] * 200)
    )
    refused("background leaves no room in 'x1'", make, plane, background=[[-9, 1], [9, 1]])
    refused(
        "Row \\d+ has 'x0' = .*, outside of the background",
        make,
        plane,
        background=[[0, -9], [9, 9]],
    )
    refused("no bounds in 'x1'", make, plane, background={"x0": (-9, 9)})
    refused("background\\[0\\] is nan", make, INSIDE, background=np.full(n, np.nan))
    refused("outside of the selection", make, INSIDE, selection={"x0": (0, None)})
    refused("selection names 'y'", make, INSIDE, selection={"y": (0, 1)})
    refused(
        "reaches out of the selection",
        make,
        plane,
        selection={"x0": (-2.6, 99)},
        background=[[-9] * 2, [9] * 2],
    )
    refused(
        "of which values are missing",
        make,
        np.where(np.arange(3) == 0, np.nan, INSIDE),
        missing="marginal",
        selection=BOX,
    )
    three = make(INSIDE, selection={"x0": (-3, 99), "x1": (-9, 9), "x2": (-9, 9)})
    refused("The selection bounds 3 features", bg.fit, bg.MixtureSpec(2), three)
    assert bg.fit(bg.MixtureSpec(2, "diag"), three, seed=1).status.ok
    rows = make(X, errors=0.1)
    refused("does not know errors of measurement", bg.to_pymc, bg.MixtureSpec(2), rows)
    refused("does not know noise", bg.to_pymc, bg.MixtureSpec(2, noise=True), X)
    refused("noise must be True or False", bg.MixtureSpec, 2, noise=1)
