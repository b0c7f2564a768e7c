"""What a fitted mixture is for, held against SciPy, numerical integration and fresh data."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from scipy import integrate, optimize, stats
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.mixture.noise import Noise
from bayesgmm.model.structure import STRUCTURES as ALL
from bayesgmm.predictive import averaged, generation, memberships, regression
from bayesgmm.predictive.credible import credible_interval
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.predictive.univariate import UnivariateMixture
from tests import support
from tests.support import STRUCTURES


def draws(structure="full", *, s=7, k=3, d=3, seed=0):
    """S mixtures that differ as draws of a posterior do, of one covariance structure."""
    rng = np.random.default_rng([seed, s, k, d, STRUCTURES.index(structure)])
    means = 2 * rng.normal(size=(k, d)) + 0.2 * rng.normal(size=(s, k, d))
    tril = np.tril(0.6 * rng.normal(size=(k, d, d)) + 0.05 * rng.normal(size=(s, k, d, d)), -1)
    scales = rng.uniform(0.4, 1.2, size=(k, d)) * rng.uniform(0.9, 1.1, size=(s, k, d))
    kind = ALL[structure]
    if kind.round:
        scales = scales[..., :1]
    if not kind.matrices:
        tril = np.zeros_like(tril)
    tril = tril + scales[..., None] * np.eye(d)
    if kind.shared:
        tril = np.broadcast_to(tril[:, :1], tril.shape)
    return bg.MixtureParameters(rng.dirichlet(np.full(k, 5.0), size=s), means, tril)


def of(p, names="abcdefgh"):
    return PredictiveDistribution.of(p, list(names[: p.n_features]))


def joint_log_density(p, x):
    """By SciPy: the log of the mean over draws."""
    parts = [
        np.log(p.weights[s, j])
        + np.atleast_1d(stats.multivariate_normal(p.means[s, j], c).logpdf(x))
        for s, covariances in enumerate(p.covariances)
        for j, c in enumerate(covariances)
    ]
    return logsumexp(parts, axis=0) - np.log(len(p.weights))


def scipy_cdf(p, t, feature=0):
    """By SciPy's normal: the mean over draws."""
    z = stats.norm.cdf(np.asarray(t)[:, None, None], p.means[..., feature], p.scales[..., feature])
    return (p.weights * z).sum(-1).mean(-1)


def within_four_errors(values, truth):
    """Whether means over the first axis are their expectation, up to their error."""
    error = values.std(axis=0) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - truth) < 4 * error)


refused = partial(support.refused, error=bg.DataError)


@pytest.fixture(scope="module")
def laplace(faithful):
    return bg.fit(bg.MixtureSpec(2), faithful, method="laplace", draws=300, seed=1)


# Density, marginals, conditionals -------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(("s", "k", "d"), [(1, 1, 1), (1, 3, 2), (40, 2, 3)])
def test_density_and_moments(structure, s, k, d):
    """Against SciPy's densities, and moments added up over components and draws."""
    p = draws(structure, s=s, k=k, d=d)
    x = 3 * np.random.default_rng(1).normal(size=(60, d))
    found = of(p).log_density(x)
    assert found.dims == ("obs",)
    np.testing.assert_allclose(found, joint_log_density(p, x), rtol=1e-10, atol=1e-10)
    mean = (p.weights[..., None] * p.means).sum((0, 1)) / s
    square = p.covariances + p.means[..., :, None] * p.means[..., None, :]
    second = (p.weights[..., None, None] * square).sum((0, 1)) / s
    np.testing.assert_allclose(of(p).mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        of(p).covariance, second - np.outer(mean, mean), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_condition_times_marginal_is_the_joint_density(structure):
    """To 1e-10, and against SciPy, for every way to part three features."""
    p = draws(structure, s=30)
    joint = of(p)
    for x in 3 * np.random.default_rng(2).normal(size=(20, 3)):
        whole = joint.log_density(x[None])[0].item()
        np.testing.assert_allclose(whole, joint_log_density(p, x[None])[0], atol=1e-10)
        row = pd.DataFrame([x], columns=list("abc"))
        for given in ("a", "c", "ab", "ca"):
            rest = [name for name in "abc" if name not in given]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bg.FitWarning)
                conditional = joint.condition({name: row[name][0] for name in given})
            assert conditional.feature_names == tuple(rest)
            total = (
                joint.marginal(list(given)).log_density(row[list(given)])[0]
                + conditional.log_density(row[rest])[0]
            ).item()
            np.testing.assert_allclose(total, whole, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_only_noise_explains_is_of_noise():
    """All that is left is the uniform part; what seemed impossible can come back."""
    noise = Noise(np.full(1, 0.5), np.array([[-1000.0] * 3, [1000.0] * 3]))
    tril = np.eye(3)[None, None]
    whole = of(bg.MixtureParameters([[0.5]], np.zeros((1, 1, 3)), tril, noise))
    two = whole.condition({"a": 500.0, "b": 2000.0})  # outside of the box
    np.testing.assert_allclose(
        whole.condition({"a": 500.0}).condition({"b": 2000.0}).mean, two.mean
    )
    left = whole.condition({"a": 500.0, "b": 0.0})
    np.testing.assert_allclose(left.log_density([[0.0], [999.0]]), -np.log(2000), rtol=1e-12)
    np.testing.assert_allclose(left.quantile([0.25, 0.5]), [-500, 0], atol=1e-9)
    with pytest.raises(bg.FitError, match="density is that of noise"):
        left.region(0.5)


def test_regions_that_rounding_would_decide_are_refused(em_faithful):
    with pytest.raises(bg.FitError, match="one point or from the whole line"):
        em_faithful.marginal("waiting").region(1e-8)


def test_a_near_singular_covariance_keeps_its_digits():
    """The factor of a mean and of a sum of covariances, which squared are singular."""
    tril = np.array([[1.0, 0.0], [1.0, 1e-9]])
    mixture = of(bg.MixtureParameters(np.ones((2, 1)), np.zeros((2, 1, 2)), [tril[None]] * 2))
    mean = mixture.mixture.mean_parameters().scale_tril[0, 0]
    np.testing.assert_allclose(mean, tril, rtol=1e-6, atol=1e-22)
    seen = mixture.mixture.as_seen([0, 1], 1e-24 * np.eye(2)).scale_tril[0, 0]
    np.testing.assert_allclose(seen[1, 1], np.sqrt(1e-18 + 2e-24), rtol=1e-6)


def test_what_one_value_rules_out_another_can_bring_back():
    """Weights below the smallest double: the joint density is a sum of two equal terms."""
    p = bg.MixtureParameters([0.5, 0.5], [[0.0, 0.0], [100.0, 100.0]], [np.eye(2)] * 2)
    found = of(p).condition({"a": 0.0})
    total = of(p).marginal("a").log_density([0.0])[0] + found.log_density([100.0])[0]
    np.testing.assert_allclose(total, joint_log_density(p[None], [[0.0, 100.0]])[0], rtol=1e-14)
    np.testing.assert_allclose(found.mean, 0.0, atol=1e-12)


def test_marginals_and_conditionals_are_integrals_of_the_joint_density():
    """By quadrature over the features left out; conditioning twice is conditioning once."""
    p = draws(s=4, d=2)
    joint = of(p)

    def density(a, b):
        return float(np.exp(joint.log_density([[a, b]])[0]))

    marginal = integrate.quad(lambda b: density(0.3, b), -15, 15, limit=200)[0]
    np.testing.assert_allclose(np.exp(joint.marginal("a").log_density(0.3)[0]), marginal, rtol=1e-7)
    mean = integrate.quad(lambda b: b * density(0.3, b), -15, 15, limit=200)[0] / marginal
    below = integrate.quad(lambda b: density(0.3, b), -15, 0.5, limit=200)[0] / marginal
    given = joint.condition({"a": 0.3})
    np.testing.assert_allclose(given.mean[0], mean, rtol=1e-7)
    np.testing.assert_allclose(given.cdf(0.5)[0], below, rtol=1e-7)
    three = of(draws(s=5))
    twice = three.condition({"c": 0.2}).condition({"a": -0.1})
    once = three.condition({"a": -0.1, "c": 0.2})
    np.testing.assert_allclose(
        twice.log_density([0.0, 2.0]), once.log_density([0.0, 2.0]), rtol=1e-11
    )
    assert three.condition({}) is three


def test_nearly_collinear_features_have_marginals_and_conditionals():
    """b is a plus 1e-9 of noise: no product of factors could tell the two apart."""
    tril = np.array([[1.0, 0, 0], [1.0, 1e-9, 0], [0.3, 0, 0.5]])
    p = of(bg.MixtureParameters([[1.0]], np.zeros((1, 1, 3)), tril[None, None]))
    np.testing.assert_allclose(p.condition({"b": 0.7}).mean.sel(feature="a"), 0.7, atol=1e-8)
    back = p.marginal(["b", "a"]).parameters.scale_tril[0, 0]
    np.testing.assert_allclose(back, [[1, 0], [1, 1e-9]], rtol=1e-6, atol=1e-15)


# One feature ------------------------------------------------------------------


def test_cdf_and_quantile():
    """Against SciPy's normal distribution function and its root by Brent's method."""
    p = draws(s=25, d=2)
    line = of(p).marginal("a")
    t = np.linspace(-9, 9, 50)
    np.testing.assert_allclose(line.cdf(t), scipy_cdf(p, t), rtol=1e-12, atol=1e-300)
    q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-6])
    found = line.quantile(q)
    assert found.dims == ("quantile",) and found.name == "a"
    truth = [
        optimize.brentq(lambda x, r=r: scipy_cdf(p, [x])[0] - r, -30, 30, xtol=1e-13) for r in q
    ]
    np.testing.assert_allclose(found, truth, rtol=1e-9)
    assert line.quantile(0.5).ndim == 0
    both = bg.MixtureParameters([0.5, 0.5], [[-9.0], [9.0]], [[[0.1]], [[0.1]]])
    np.testing.assert_allclose(of(both).quantile([0.25, 0.75]), [-9, 9])
    assert -9 < of(both).quantile(0.5) < 9
    mirrored = of(bg.MixtureParameters([1.0], [[1e6]], [[[1e-3]]])).quantile([0.1, 0.9])
    np.testing.assert_allclose(mirrored - 1e6, stats.norm.ppf([0.1, 0.9]) / 1e3, rtol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_turning_points(seed):
    """Against all local maxima and minima of SciPy's density on a fine grid."""
    rng = np.random.default_rng(seed)
    k = rng.integers(1, 9)
    weights, means = rng.dirichlet(np.ones(k)), rng.normal(size=k) * 4
    scales = np.exp(rng.normal(-0.5, 0.9, size=k))
    modes, valleys = UnivariateMixture.of(weights, means, scales).turning_points()
    grid = np.linspace(means.min() - 1, means.max() + 1, 400_001)
    f = (weights * stats.norm.pdf(grid[:, None], means, scales)).sum(1)
    inner = np.sign(np.diff(f))
    turn = np.flatnonzero(np.diff(inner)) + 1
    is_mode = inner[turn - 1] > 0
    np.testing.assert_allclose(modes, grid[turn[is_mode]], atol=1e-4)
    np.testing.assert_allclose(valleys, grid[turn[~is_mode]], atol=1e-4)


def test_components_that_stand_alone_are_modes():
    means, scales = np.array([-1e6, 0.0, 1e5]), np.array([1.0, 1e-6, 3.0])
    far = UnivariateMixture.of(np.full(3, 1 / 3), means, scales)
    modes, valleys = far.turning_points()
    np.testing.assert_allclose(modes, far.means, atol=1e-6)
    assert len(valleys) == 2


@pytest.mark.parametrize("mass", [0.01, 0.5, 0.89, 0.999])
def test_regions_of_one_feature(mass):
    """Their probability by SciPy is the mass; the density at every end is the same level."""
    p = draws(s=20, d=1, seed=3)
    region = of(p).region(mass)
    ends = region.intervals.values
    assert region.intervals.dims == ("interval", "bound")
    held = np.diff(scipy_cdf(p, ends.ravel()))[::2].sum()
    np.testing.assert_allclose(held, mass, rtol=1e-8)
    np.testing.assert_allclose(
        joint_log_density(p, ends.reshape(-1, 1)), region.log_threshold, rtol=1e-8
    )
    inside = ends.mean(axis=1)
    assert (
        region.contains(inside).all()
        and not region.contains(ends.ravel() + 1e-3 * np.tile([-1, 1], len(ends))).any()
    )
    assert region.log_threshold_error == 0
    assert repr(region).startswith("HighestDensityRegion")


# Regions and anomalies in any dimension -------------------------------------------


@pytest.mark.parametrize("d", [2, 5])
def test_regions_of_a_normal_are_its_ellipsoids(d):
    """Against the chi-square quantile; the stated Monte Carlo error is the real one."""
    one = of(draws(s=1, k=1, d=d))
    log_peak = one.log_density(one.parameters.means[0]).item()
    for mass in (0.5, 0.9, 0.99):
        truth = log_peak - stats.chi2(d).ppf(mass) / 2
        found = [one.region(mass, seed=seed, points=4096) for seed in range(20)]
        z = [(r.log_threshold - truth) / r.log_threshold_error for r in found]
        assert np.abs(np.mean(z)) < 4 / np.sqrt(20)
        assert 0.5 < np.std(z) < 2
        assert found[0].intervals is None and "±" in repr(found[0])


def test_region_holds_its_mass_of_fresh_data():
    joint = of(draws(s=30))
    fresh = joint.generate(100_000, seed=4)["x"]
    for mass in (0.3, 0.95):
        region = joint.region(mass)
        held = region.contains(fresh).values
        error = np.sqrt(mass * (1 - mass) / held.size + region.mass_error**2)
        assert abs(held.mean() - mass) < 4 * error


def test_anomaly_scores_of_a_normal_are_chi_square_tails():
    one = of(draws(s=1, k=1, d=3))
    x = one.generate(500, seed=5)["x"].values
    white = np.linalg.solve(one.parameters.scale_tril[0, 0], (x - one.parameters.means[0]).T)
    truth = stats.chi2(3).sf((white**2).sum(axis=0))
    np.testing.assert_allclose(one.anomaly_score(x), truth, atol=0.005)


def test_anomaly_scores_are_uniform_on_data_of_a_known_mixture():
    """Kolmogorov-Smirnov p > 0.01 in 19 of 20; a threshold of 1 % flags 1 % of 100,000."""
    passed = 0
    for seed in range(20):
        p = draws(STRUCTURES[seed % 4], s=1, k=1 + seed % 4, d=1 + seed % 3, seed=seed)
        known = of(p)
        x = p.simulate(2000, seed=seed)[0][0]
        passed += stats.kstest(known.anomaly_score(x).values, "uniform").pvalue > 0.01
        if seed % 5 == 0:
            many = p.simulate(100_000, seed=100 + seed)[0][0]
            flagged = known.outliers(many, rate=0.01)
            assert flagged.dtype == bool and 0.005 < flagged.mean() < 0.015
    assert passed >= 19


def test_scores_of_a_fit_are_uniform_on_new_rows_of_the_same_truth():
    """A Laplace posterior of 3,000 rows: what it flags on 100,000 new ones."""
    truth = draws(s=1, k=2, d=2, seed=9)[0]
    fit = bg.fit(
        bg.MixtureSpec(2), truth.simulate(3000, seed=1)[0], method="laplace", draws=100, seed=1
    )
    new = truth.simulate(100_000, seed=2)[0]
    assert 0.005 < fit.outliers(new).mean() < 0.015
    assert fit.outliers(rate=0.05).sizes == {"obs": 3000}


def test_far_rows_have_the_smallest_score(laplace):
    far = [[1e100, -1e100], [1e9, 1e9], [0.0, 1e4]]
    assert np.isfinite(laplace.score_samples(far)).all()
    np.testing.assert_allclose(laplace.anomaly_score(far), 1 / 65_537)


# Generated data -----------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
def test_generated_moments_marginals_and_conditionals(structure):
    """Within four standard errors of closed forms and of quadrature, SciPy's density in it."""
    p = draws(structure, s=5, d=2, seed=2)
    made = of(p).generate(200_000, seed=6)
    x = made["x"].values
    mean, covariance = of(p).mean.values, of(p).covariance.values
    within_four_errors(x, mean)
    deviation = x - mean
    within_four_errors(deviation[:, :, None] * deviation[:, None, :], covariance)
    for j in range(2):
        t = np.quantile(x[:, j], np.linspace(0.01, 0.99, 15))
        within_four_errors(x[:, j, None] <= t, scipy_cdf(p, t, feature=j))
    nodes, shares = np.polynomial.legendre.leggauss(40)  # on (-1, 1)
    nodes, shares, b = 0.5 * (1 + nodes), 0.5 * shares, np.linspace(-12, 12, 2001)
    for low, high in ((-1.0, -0.5), (0.0, 1.0), (2.0, 3.0)):  # b where a is in a slab
        a, share = low + (high - low) * nodes, (high - low) * shares
        at = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
        density = np.exp(joint_log_density(p, at)).reshape(len(a), len(b))
        mass = share @ (density @ b) * (b[1] - b[0])
        within_four_errors(x[:, 1] * ((low < x[:, 0]) & (x[:, 0] < high)), mass)
    cells = np.zeros((5, 3))
    np.add.at(cells, (made["draw"].values, made["component"].values), 1)
    assert stats.chisquare(cells.ravel(), (p.weights / 5).ravel() * len(x)).pvalue > 1e-4
    mine = (made["draw"] == 2) & (made["component"] == 1)
    within_four_errors(x[mine.values], p.means[2, 1])


def test_generated_rows_of_a_conditional():
    """Draws are weighed as well: component counts against Bayes' rule by SciPy."""
    p = draws(s=4, d=2)
    found = of(p).condition({"b": 1.0})
    made = found.generate(100_000, seed=1)
    assert list(made["feature"].values) == ["a"]
    within_four_errors(made["x"].values, found.mean.values)
    weights = p.weights * stats.norm.pdf(1.0, p.means[..., 1], p.scales[..., 1])
    share = weights.sum(1) / weights.sum()
    np.testing.assert_allclose(found.draw_weights, share, rtol=1e-9)
    within_four_errors(made["draw"].values[:, None] == np.arange(4), share)


def test_one_draw_and_the_mean():
    p = draws(s=6)
    made = of(p).generate(50_000, seed=1, draw=4)
    assert (made["draw"] == 4).all()
    within_four_errors(made["x"].values, p.weights[4] @ p.means[4])
    made = of(p).generate(50_000, seed=1, draw="mean")
    assert (made["draw"] == -1).all()
    within_four_errors(made["x"].values, p.weights.mean(0) @ p.means.mean(0))
    first = made["component"].values == 0
    part = made["x"].values[first]
    part = part - p.means[:, 0].mean(0)
    within_four_errors(part[:, :, None] * part[:, None, :], p.covariances[:, 0].mean(0))


def test_a_frame_that_cannot_be_made_is_refused_first(monkeypatch):
    monkeypatch.setattr(generation, "find_spec", lambda name: None)
    with pytest.raises(bg.DataError, match="needs polars"):
        of(draws()).generate_chunks(10, frame="polars").__next__()


def test_rows_depend_on_the_seed_only(monkeypatch):
    """Not on threads, nor on how they are cut into chunks."""
    joint = of(draws(s=50))
    whole = joint.generate(50_000, seed=3)
    for chunk in (7_001, 16_384, 50_000, 10**9):
        parts = list(joint.generate_chunks(50_000, chunk=chunk, seed=3))
        assert len(parts) == -(-50_000 // chunk)
        for name in ("x", "component", "draw", "sample"):
            joined = np.concatenate([part[name].values for part in parts])
            np.testing.assert_array_equal(joined, whole[name])
    score = joint.anomaly_score(whole["x"])
    curve = joint_curve(joint)
    for module in (generation, averaged, memberships, regression):
        monkeypatch.setattr(module, "available_cores", lambda _: 1)
    again = of(draws(s=50))
    np.testing.assert_array_equal(again.generate(50_000, seed=3)["x"], whole["x"])
    np.testing.assert_array_equal(again.anomaly_score(whole["x"]), score)
    assert joint_curve(again).equals(curve)
    assert not np.array_equal(joint.generate(10, seed=4)["x"], whole["x"][:10])
    rng = np.random.default_rng(1)
    assert not np.array_equal(joint.generate(10, seed=rng)["x"], joint.generate(10, seed=rng)["x"])


def joint_curve(joint):
    return regression.regress(joint, "a", {"b": np.linspace(-2, 2, 9)})


def test_frames(em_faithful):
    made = em_faithful.generate(100, seed=1)
    pandas = em_faithful.generate(100, seed=1, frame="pandas")
    polars = em_faithful.generate(100, seed=1, frame="polars")
    assert isinstance(pandas, pd.DataFrame) and isinstance(polars, pl.DataFrame)
    assert list(pandas.columns) == polars.columns == ["eruptions", "waiting", "component", "draw"]
    np.testing.assert_array_equal(pandas[["eruptions", "waiting"]], made["x"])
    np.testing.assert_array_equal(polars["component"], made["component"])
    chunks = list(em_faithful.generate_chunks(10, chunk=4, seed=1, frame="pandas"))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]
    assert list(chunks[2].index) == [8, 9]
    named = of(draws(d=2), ["draw", "b"])
    assert named.generate(3).sizes["sample"] == 3
    refused("named 'draw'", named.generate, 3, frame="pandas")


def test_the_mean_of_ambiguous_labels_is_warned_of(laplace):
    laplace.generate(3, draw="mean")
    switched = bg.MixtureFit(laplace.spec, laplace.tree.copy())
    switched.tree["fit"] = switched.tree["fit"].to_dataset().assign(ambiguous=0.4)
    with pytest.warns(bg.FitWarning, match="ambiguous in 40%"):
        switched.generate(3, draw="mean")
    switched.generate(3)


# Regression -----------------------------------------------------------------------


def test_regression_is_the_conditional_distribution(laplace):
    """Row by row against condition(); the credible band against each draw conditioned alone."""
    waiting = np.array([45.0, 60.0, 67.0, 90.0])
    curve = laplace.regress("eruptions", {"waiting": waiting}, mass=0.8)
    assert curve.attrs == {"y": "eruptions", "mass": 0.8}
    np.testing.assert_array_equal(curve["at"].sel(given="waiting"), waiting)
    each = []
    for i, value in enumerate(waiting):
        given = laplace.condition({"waiting": value})
        row = curve.isel(obs=i)
        np.testing.assert_allclose(row["mean"], given.mean[0], rtol=1e-10)
        np.testing.assert_allclose(row["sd"] ** 2, given.covariance[0, 0], rtol=1e-9)
        np.testing.assert_allclose(row["predictive"], given.quantile([0.1, 0.9]), rtol=1e-9)
        np.testing.assert_allclose(row["effective_draws"], given.effective_draws, rtol=1e-9)
        seen = laplace.marginal("waiting").log_density(value)[0]
        np.testing.assert_allclose(row["log_density"], seen, rtol=1e-11)
        modes, _ = given.mixture.line.turning_points()
        np.testing.assert_allclose(row["mode"].values[: len(modes)], modes, rtol=1e-8)
        assert np.isnan(row["mode"].values[len(modes) :]).all()
        np.testing.assert_allclose(row["mode_probability"].sum(), 1.0)
        alone = laplace.parameters.flat().condition({1: value})
        each.append((alone.weights * alone.means[..., 0]).sum(1))
    np.testing.assert_allclose(
        curve["credible"], np.quantile(each, [0.1, 0.9], axis=1).T, rtol=1e-9
    )
    assert (curve["credible"].sel(bound="lower") < curve["mean"]).all()


def test_a_regression_with_two_branches():
    """y is x or -x: two modes where they are apart, each with half of the probability."""
    t = np.sqrt(0.5)
    tril = np.array([[[1, 0], [1, 0.2]], [[1, 0], [-1, 0.2]]])
    p = bg.MixtureParameters([[0.5, 0.5]], np.zeros((1, 2, 2)), tril[None])
    curve = regression.regress(of(p, "xy"), "y", {"x": [-2.0, 0.0, t]})
    np.testing.assert_allclose(curve["mode"][0], [-2.0, 2.0], atol=1e-8)
    np.testing.assert_allclose(curve["mode"][1].values[0], 0.0, atol=1e-8)
    assert curve["mode"].notnull().sum("mode_number").values.tolist() == [2, 1, 2]
    np.testing.assert_allclose(curve["mode_probability"][0], 0.5)
    np.testing.assert_allclose(curve["mean"], 0.0, atol=1e-12)


def test_regression_takes_what_data_can_be(laplace, faithful):
    curve = laplace.regress("eruptions", {"waiting": [60, 80]})
    for at in (
        [60, 80],
        [[60.0], [80.0]],
        pd.DataFrame({"waiting": [60, 80]}),
        pl.DataFrame({"waiting": [60, 80]}),
    ):
        assert laplace.regress("eruptions", at).equals(curve)
    assert laplace.regress("eruptions", faithful).sizes["obs"] == 272
    assert laplace.regress("eruptions", {"waiting": 60}).sizes["obs"] == 1
    x = PredictiveDistribution.of(draws(s=5), ["x0", "x1", "x2"])  # as an array's columns are
    values = np.array([[0.3, 1.0, 0.5], [0.4, -1.0, 0.6]])
    for j in range(3):
        others = [i for i in range(3) if i != j]
        given = {f"x{i}": values[:, i] for i in others}
        curve = regression.regress(x, f"x{j}", given)
        for at in (values[:, others], values, pd.DataFrame(given)):
            xr.testing.assert_equal(regression.regress(x, f"x{j}", at), curve)
    three = of(draws(s=5))
    part = regression.regress(three, "a", {"c": [0.5]})  # b is averaged over
    np.testing.assert_allclose(
        part["mean"], three.marginal(["a", "c"]).condition({"c": 0.5}).mean, rtol=1e-10
    )
    both = regression.regress(three, "b", {"c": 0.5, "a": [0.0, 1.0]})
    np.testing.assert_allclose(
        both["mean"][1], three.condition({"a": 1.0, "c": 0.5}).mean[0], rtol=1e-10
    )


def test_errors_of_given_values_are_refused(laplace):
    rows = bg.Observations([[60.0]], names=["waiting"], errors=1.0)
    for ask in (partial(laplace.regress, "eruptions"), laplace.marginal("waiting").cdf):
        with pytest.raises(bg.DataError, match="without errors"):
            ask(rows)


def test_chunks_of_a_regression_change_nothing(laplace, monkeypatch):
    at = {"waiting": np.linspace(40, 100, 30)}
    whole = laplace.regress("eruptions", at)
    monkeypatch.setattr(regression, "_HELD", 4000)
    for name, found in laplace.regress("eruptions", at).items():
        np.testing.assert_allclose(found, whole[name], rtol=1e-10)


# Intervals over draws -------------------------------------------------------------------


def test_credible_intervals_are_quantiles_over_draws():
    """Of SciPy's distribution function by each draw; weighed where something is given."""
    p, t = draws(s=60, d=2), np.array([-1.0, 0.5])
    found = credible_interval(of(p).marginal("a"), lambda d: d.cdf(t), mass=0.8)
    each = [scipy_cdf(p[s : s + 1], t) for s in range(60)]
    np.testing.assert_allclose(found["predictive"], scipy_cdf(p, t), rtol=1e-12)
    np.testing.assert_allclose(
        found[["lower", "upper"]].to_array(), np.quantile(each, [0.1, 0.9], axis=0), rtol=1e-10
    )
    given = of(p).condition({"a": 1.0})
    means = np.array([p[s].condition({0: 1.0}) for s in range(60)], dtype=object)
    means = np.array([m.weights @ m.means[:, 0] for m in means])
    order = np.argsort(means)
    share = np.cumsum(given.draw_weights.values[order])
    lower = means[order][np.searchsorted(share, 0.055)]
    found = credible_interval(given, lambda d: d.mean)
    np.testing.assert_allclose(found["lower"], lower, rtol=1e-10)
    refused(
        "another shape",
        credible_interval,
        of(draws(s=9, k=3, d=1, seed=4)),
        lambda d: d.region(0.5).intervals,
    )


# Edges --------------------------------------------------------------------------------


def test_values_without_density_nearby_have_answers_and_a_warning(laplace, em_faithful):
    with pytest.warns(bg.FitWarning, match="far from the data"):
        far = laplace.condition({"waiting": 1e5})
    assert far.effective_draws < 10
    assert np.isfinite([far.mean[0], far.quantile(0.9), *far.region(0.9).intervals.values[0]]).all()
    assert np.isfinite(em_faithful.condition({"waiting": 1e149}).log_density([3.0])).all()
    curve = laplace.regress("eruptions", {"waiting": [1e5, -1e30, 1e149]})
    assert np.isfinite(curve[["mean", "sd", "credible", "predictive"]].to_array()).all()
    np.testing.assert_allclose(curve["mean"][0], far.mean[0], rtol=1e-9)


def test_scales_far_apart():
    tril = np.array([[[1e12, 0], [0.5e-12, 1e-12]]])
    p = of(bg.MixtureParameters([1.0], [[1e12, 1e-12]], tril))
    found = p.condition({"a": 2e12})
    np.testing.assert_allclose(found.mean, 1.5e-12, rtol=1e-12)
    region = found.region(0.9).intervals.values[0]
    np.testing.assert_allclose(region, 1.5e-12 + 1e-12 * stats.norm.ppf([0.05, 0.95]), rtol=1e-8)
    assert abs(p.region(0.9).contains(p.generate(20_000, seed=1)["x"]).mean() - 0.9) < 0.01


def test_options_are_refused(laplace):
    fit, wrong = laplace, partial(refused, error=bg.SpecError)
    for q in (0.0, 1.0, np.nan, "x", [[0.5]]):
        wrong("q must be one or more numbers between 0 and 1", fit.marginal("waiting").quantile, q)
    for mass in (0, 1, 2.0, "x", [0.5], np.nan):
        wrong("mass must be a number between 0 and 1", fit.predictive.region, mass)
        wrong("rate must be a number between 0 and 1", fit.outliers, rate=mass)
    wrong("pass points=16777216", fit.predictive.region, 0.999999)
    wrong("pass points=16777216", fit.outliers, rate=1e-6)
    wrong("points must be a power of two", fit.anomaly_score, points=1000)
    for n in (0, -1, 2.5, True, "x"):
        wrong("n must be a whole number", fit.generate, n)
    wrong("chunk must be a whole number", fit.generate_chunks, 10, chunk=0)  # before the first
    for draw in (-1, 300, "best", None, 1.5):
        wrong("draw must be 'all', 'mean', or a number from 0 to 299", fit.generate, 3, draw=draw)
    wrong("frame must be 'pandas' or 'polars' or None", fit.generate, 3, frame="arrow")
    wrong("mass must be", fit.regress, "eruptions", {"waiting": [60.0]}, mass=1)


def test_refusals(laplace):
    fit = laplace
    refused("no feature 'depth'; the features are eruptions, waiting", fit.condition, {"depth": 1})
    refused("'waiting' is given as nan", fit.condition, {"waiting": np.nan})
    refused("'waiting' is given as 'x'", fit.condition, {"waiting": "x"})
    refused("overflows", fit.condition, {"waiting": 1e200})
    refused("Every feature is given", fit.condition, {"waiting": 1, "eruptions": 2})
    refused("must map features", fit.condition, [1.0])
    refused("no feature 'depth'", fit.marginal, ["depth"])
    refused("each once", fit.marginal, ["waiting", "waiting"])
    refused("each once", fit.marginal, [])
    refused("must be names", fit.marginal, 1)
    refused("one feature at a time", fit.predictive.cdf, [1.0])
    refused("one feature at a time", fit.predictive.quantile, 0.5)
    at = {"waiting": [60.0]}
    refused("no feature 'depth'", fit.regress, "depth", at)
    refused("no feature 'depth'", fit.regress, "eruptions", {"depth": [1]})
    refused("no feature 'depth'", fit.regress, "eruptions", pd.DataFrame({"depth": [1]}))
    refused("which is to be predicted", fit.regress, "eruptions", {"eruptions": [1]})
    refused("names no feature", fit.regress, "eruptions", {})
    refused(
        r"'waiting' has 1 missing value \(NaN\), first in row 1",
        fit.regress,
        "eruptions",
        {"waiting": [1, np.nan]},
    )
    refused("are empty", fit.regress, "eruptions", {"waiting": []})
    three = of(draws())
    uneven = {"b": [1, 2], "c": [1, 2, 3]}
    refused("different numbers of values", regression.regress, three, "a", uneven)
    refused("different ones", PredictiveDistribution.of, draws(), ["a", "a", "b"])


def test_answers_are_named_after_what_they_are(em_faithful, faithful):
    assert em_faithful.predict(faithful[:3]).name == "component"
    assert em_faithful.predict_proba(faithful[:3]).name == "memberships"
