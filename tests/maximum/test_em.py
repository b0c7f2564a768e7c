"""EM and MAP: scikit-learn's answers, published figures, stationarity, monotone runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import datasets as sklearn_data
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm.inference.maximum import em
from bayesgmm.inference.maximum.floor import FLOOR
from bayesgmm.result.status import Status
from tests.support import SKLEARNS, STRUCTURES

#: scikit-learn 1.9.1's best of 30 starts, made by benchmarks/best_of_thirty.py.
BEST_OF_THIRTY = json.loads((Path(__file__).parent / "best_of_thirty.json").read_text())


def data(name):
    if name == "faithful":
        return bg.datasets.faithful().values
    if name == "galaxies":
        return bg.datasets.galaxies().values / 1000
    if name == "digits":
        return PCA(10, random_state=0).fit_transform(sklearn_data.load_digits().data)
    return getattr(sklearn_data, f"load_{name}")().data


def fit(covariance, k, x, method="em", **options):
    return bg.fit(bg.MixtureSpec(k, covariance), x, method=method, **{"seed": 0} | options)


def test_published_figures():
    """The maxima of faithful (tied, K = 3; mclust's EEE) and galaxies / 1000 (K = 3)."""
    best = fit("tied", 3, data("faithful"))
    assert best.log_likelihood >= -1126.33
    assert best.n_parameters == 11
    np.testing.assert_allclose(best.bic(), 2314.3, atol=0.1)
    best = fit("full", 3, data("galaxies"))
    assert best.log_likelihood >= -203.1793
    assert best.n_parameters == 8


@pytest.mark.parametrize("covariance", SKLEARNS)
@pytest.mark.parametrize("name", ["faithful", "iris", "galaxies"])
def test_from_the_same_start_the_likelihood_is_scikit_learns(covariance, name):
    """scikit-learn run to convergence without regularisation; its end, then ours from
    the same start: plain EM and the accelerated one both agree to 1e-6."""
    x = data(name)
    start = GaussianMixture(3, covariance_type=covariance, max_iter=1, random_state=0)
    with pytest.warns(match="did not converge"):
        start.fit(x)
    weights, means = start.weights_, start.means_
    peer = GaussianMixture(
        3,
        covariance_type=covariance,
        reg_covar=0,
        tol=1e-14,
        max_iter=20_000,
        weights_init=weights,
        means_init=means,
        precisions_init=start.precisions_,
    ).fit(x)
    covariances = start.covariances_
    d = x.shape[1]
    matrices = {
        "full": lambda: covariances,
        "tied": lambda: np.broadcast_to(covariances, (3, d, d)),
        "diag": lambda: covariances[:, :, None] * np.eye(d),
        "spherical": lambda: covariances[:, None, None] * np.eye(d),
    }[covariance]()
    begin = bg.MixtureParameters.from_covariances(weights, means, matrices)
    plain = fit(covariance, 3, x, start=begin, accelerate=False, tol=1e-15, max_iter=20_000)
    np.testing.assert_allclose(plain.log_likelihood, peer.score(x) * len(x), atol=1e-6)
    np.testing.assert_allclose(plain.parameters.means[0, 0], peer.means_, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faithful", "galaxies", "iris"])
@pytest.mark.parametrize("covariance", SKLEARNS)
def test_the_search_is_never_below_scikit_learns_best_of_thirty(name, covariance):
    """A sample of what benchmarks/best_of_thirty.py compares in full.  scikit-learn's runs
    that are not sound, collapsed onto its ridge say, are left out; see docs/benchmarks.md."""
    x = data(name)
    for k in (2, 4, 6):
        sound = BEST_OF_THIRTY[f"{name}|{covariance}|{k}"]["sound"]
        if sound is not None:
            assert fit(covariance, k, x).log_likelihood >= sound - 1e-3, k


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("name", ["faithful", "iris", "galaxies"])
def test_the_end_is_stationary(covariance, method, name):
    result = fit(covariance, 3, data(name), method=method)
    assert result.status is Status.CONVERGED
    density = bg.LogPosterior(result.spec, data(name), jacobian=False, prior=method == "map")
    value, gradient = density.value_and_grad(density.unconstrain(result.parameters[0, 0]))
    assert np.abs(gradient).max() <= 1e-6 * max(1.0, abs(value))


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_map_is_the_maximum_that_scipy_finds(covariance):
    """BFGS on the same joint density from a jittered start comes back to the MAP."""
    x = data("faithful")
    result = fit(covariance, 2, x, method="map")
    density = bg.LogPosterior(result.spec, x, jacobian=False)
    top = density.unconstrain(result.parameters[0, 0])
    jitter = 0.05 * np.random.default_rng(0).normal(size=density.size)

    def negative(theta):
        value, gradient = density.value_and_grad(theta)
        return -value, -gradient

    found = minimize(negative, top + jitter, jac=True, method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(-found.fun, density.value(top), rtol=1e-9)
    np.testing.assert_allclose(found.x, top, atol=1e-4)


def crude(covariance, k, x):
    """Parameters after one iteration from one start."""
    with pytest.warns(bg.FitWarning, match="iteration limit"):
        begun = fit(covariance, k, x, n_starts=1, n_best=1, rounds=0, max_iter=1)
    return begun.parameters[0, 0]


def test_a_run_that_lowered_its_objective_would_be_refused():
    em._check_monotone([-10.0, -10.0 - 1e-7], 100.0)  # rounding
    with pytest.raises(bg.FitError, match="lowered its objective"):
        em._check_monotone([-10.0, -9.9, -10.0], 100.0)


def test_acceleration_ends_where_plain_em_does_with_fewer_iterations():
    """Overlapping components, where plain EM is slow."""
    x = data("faithful")
    begin = crude("tied", 3, x)
    plain = fit("tied", 3, x, start=begin, accelerate=False, tol=1e-14, max_iter=20_000)
    fast = fit("tied", 3, x, start=begin)
    assert fast.log_likelihood >= plain.log_likelihood - 1e-7
    assert int(fast.tree["fit/n_iterations"]) < int(plain.tree["fit/n_iterations"]) / 4


def test_collapse_is_bounded_told_and_avoided():
    """Four equal rows among others: the likelihood has no maximum but the bound's."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 2)), np.full((4, 2), 3.0)])
    with pytest.warns(bg.FitWarning, match="collapsed onto the smallest covariance"):
        result = fit("full", 2, x, avoid_collapse=False)
    assert result.status is Status.DEGENERATE
    assert np.isfinite(result.log_likelihood)
    smallest = np.linalg.eigvalsh(result.parameters.covariances[0, 0] / x.var(axis=0).mean()).min()
    assert smallest > FLOOR / 100
    sound = fit("diag", 2, x, method="map")
    assert sound.status is Status.CONVERGED
    # four ties under LogNormal(0.5, 1): the mode of log sigma is log 0.5 - 1 - 4
    np.testing.assert_allclose(
        sound.parameters.scales[0, 0, 1] / x.std(axis=0), 0.5 * np.exp(-5), rtol=0.05
    )


def test_ties_collapse_a_correlation_under_lkj_and_the_fit_says_so():
    """LKJ does not keep R off singular matrices: n ties beat |R|^(eta - 1) if n > 2 (eta - 1)."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 2)), np.full((4, 2), 3.0)])
    with pytest.warns(bg.FitWarning, match=r"Observations\(..., resolution=...\)"):
        collapsed = fit("full", 2, x, method="map", avoid_collapse=False)
    assert collapsed.status is Status.DEGENERATE
    assert fit("full", 2, x, method="map").status is Status.CONVERGED
    strong = bg.MixtureSpec(2, priors=bg.Priors(correlations=8.0))
    found = bg.fit(strong, x, method="map", seed=0, avoid_collapse=False)
    assert found.status is Status.CONVERGED


def test_iteration_limit_is_a_status_with_a_remedy(faithful):
    with pytest.warns(bg.FitWarning, match="Raise max_iter"):
        result = fit("full", 3, faithful, max_iter=2)
    assert result.status is Status.ITERATION_LIMIT
    assert "Raise max_iter" in repr(result)


def test_rows_of_no_weight_start_nothing(faithful):
    """However far they are; where no number holds their square they are refused."""
    x = np.vstack([faithful.values[:60], np.full((60, 2), 1e6)])
    weights = np.repeat([1.0, 0.0], 60)
    found = fit("full", 2, bg.Observations(x, row_weights=weights, resolution=0))
    there = fit("full", 2, bg.Observations(x[:60], resolution=0))
    np.testing.assert_allclose(found.log_likelihood, there.log_likelihood, rtol=1e-9)
    x[:60], x[60:] = x[:60] * 1e-6, 1e149
    with pytest.raises(bg.DataError, match="row of weight 0 so far from the others"):
        fit("full", 2, bg.Observations(x, row_weights=weights, resolution=0))


def test_row_weights_fit_like_repeated_rows(faithful):
    x = faithful.values
    times = np.random.default_rng(0).integers(0, 3, size=len(x))
    weighted = fit("full", 2, x, row_weights=times)
    repeated = fit("full", 2, np.repeat(x, times, axis=0))
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(weighted.bic(), repeated.bic(), rtol=1e-9)
    np.testing.assert_allclose(weighted.icl(), repeated.icl(), rtol=1e-6)


def test_a_change_of_units_changes_nothing_but_the_units(faithful):
    x = faithful.values
    factor, shift = np.array([1e6, 1e-6]), np.array([-5e7, 3.0])
    for covariance in ("full", "tied", "diag"):
        a, b = fit(covariance, 2, x), fit(covariance, 2, x * factor + shift)
        np.testing.assert_allclose(a.log_likelihood, b.log_likelihood, atol=1e-4)
        np.testing.assert_allclose(
            b.parameters.means, a.parameters.means * factor + shift, rtol=1e-5
        )


@pytest.mark.parametrize("cores", [1, 2])
def test_a_seed_gives_the_same_fit_on_any_number_of_cores(cores, galaxies):
    a = fit("full", 4, galaxies, seed=5, cores=cores)
    b = fit("full", 4, galaxies, seed=5)
    np.testing.assert_array_equal(a.parameters.means, b.parameters.means)


@pytest.mark.slow
def test_large_data_are_searched_on_a_sample_and_fitted_whole(blobs):
    truth, _, _ = blobs
    x, _ = truth.simulate(40_000, seed=1)
    result = fit("full", 3, x)
    assert result.status is Status.CONVERGED
    found = result.parameters[0, 0]
    found = found.permute(np.argsort(-found.weights))  # the truth's weights fall as well
    np.testing.assert_allclose(found.weights, truth.weights, atol=0.01)
    np.testing.assert_allclose(found.means, truth.means, atol=0.1)
    assert truth.log_density(x).sum() <= result.log_likelihood


def test_sparse_weights_have_no_mode_and_say_so(faithful):
    spec = bg.MixtureSpec(3, priors=bg.Priors(weights=0.01))
    with pytest.raises(bg.SpecError, match="no posterior mode"):
        bg.fit(spec, faithful, method="map")
    sparse = bg.MixtureSpec(2, noise=True, priors=bg.Priors(noise=0.5))
    with pytest.raises(bg.SpecError, match="no posterior mode"):
        bg.fit(sparse, faithful, method="map")
    rows = faithful[::4]
    assert bg.fit(sparse, rows, method="laplace", draws=200, seed=1).status.but_for_labels


def test_the_unit_of_row_weights_changes_nothing(faithful):
    x = faithful.values[::2]
    whole = fit("full", 3, bg.Observations(x, resolution=0))
    for unit in (1e-3, 1e-12):
        found = fit("full", 3, bg.Observations(x, row_weights=np.full(len(x), unit), resolution=0))
        lost = whole.log_likelihood - found.log_likelihood / unit
        assert abs(lost) < 0.01  # a climb ends at a slope, which has a unit
    with pytest.raises(bg.DataError, match="too small to reckon with; divide"):
        fit("full", 3, bg.Observations(x, row_weights=np.full(len(x), 1e-160)))


def test_a_start_without_a_component_has_a_mode(faithful):
    start = fit("full", 2, faithful).parameters[0, 0]
    start = bg.MixtureParameters([1.0, 0.0], start.means, start.scale_tril)
    assert fit("full", 2, faithful, "map", start=start).status is Status.CONVERGED


@pytest.mark.parametrize(("options", "words"), [
    ({"n_starts": 0}, "n_starts must be a whole number of at least 1 or None, got 0"),
    ({"tol": -1.0}, "tol must be a finite number of 0 or more, got -1.0"),
    ({"draws": 3}, "no option 'draws'"),
    ({"method": "vb"}, "method must be one of"),
    ({"start": 3}, "start must be MixtureParameters"),
    ({"cores": 0}, "cores must be a whole number of at least 1 or None, got 0"),
])  # fmt: skip
def test_bad_options_are_refused_in_a_sentence(options, words, faithful):
    with pytest.raises(bg.SpecError, match=words):
        bg.fit(bg.MixtureSpec(2), faithful, **options)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_start_of_another_structure_is_brought_to_the_models(covariance, faithful):
    """EM from three ellipses climbs from the nearest that the model has, and is monotone."""
    begin = fit("full", 3, faithful.values).parameters[0, 0]
    result = fit(covariance, 3, faithful.values, start=begin, accelerate=False, tol=1e-7)
    assert np.all(np.diff(result.tree["fit/objective_trace"].values) >= -1e-6)
    assert result.status.ok


def test_progress_is_reported(galaxies):
    seen = []
    fit("full", 3, galaxies, progress=lambda *report: seen.append(report))
    assert {"starting", "converging", "moving components"} <= {stage for stage, _, _ in seen}
    assert all(0 < done <= total for _, done, total in seen)
