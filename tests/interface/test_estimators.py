"""scikit-learn's face: its answers from its starts, and its conventions."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture as Theirs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import bayesgmm as bg
from bayesgmm.errors import BayesGMMError, DataError, FitError, SpecError
from bayesgmm.inference import fitting
from bayesgmm.interface.sklearn import GaussianMixture, MCMCGaussianMixture
from tests.support import SKLEARNS as STRUCTURES

INITS = ("kmeans", "k-means++", "random", "random_from_data")
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
IRIS = load_iris().data
FAITHFUL = bg.datasets.faithful().values
GALAXIES = bg.datasets.galaxies().values
DATA = {
    "iris": IRIS,
    "faithful": FAITHFUL,
    "galaxies": GALAXIES,
    "with a constant column": np.column_stack([FAITHFUL, np.full(len(FAITHFUL), 3.7)]),
}


def both(X, **arguments):
    """Ours and scikit-learn's, from the same arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(**arguments).fit(X), Theirs(**arguments).fit(X)


def assert_same(ours, theirs, X, tolerance=1e-8):
    """Every fitted attribute and every answer of the two agree."""
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
    close = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, **close)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, **close)
    assert abs(ours.score(X) - theirs.score(X)) < tolerance
    for name in FITTED:
        mine, their = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == their.shape, name
        np.testing.assert_allclose(mine, their, rtol=1e-5, atol=1e-6 * np.abs(their).max())
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
def test_a_start_that_sits_on_single_rows_is_fitted(covariance_type):
    """As in scikit-learn's ``test_gaussian_mixture_setting_best_params``: single rows have
    components of their own, and variances that are rounding, but positive."""
    X = np.random.RandomState(0).uniform(size=(30, 3))
    own = X[[3, 7]]  # two rows, two rows that share one, and the rest
    means = np.concatenate([own, [X[10:12].mean(axis=0), X.mean(axis=0)]])
    precisions = {"spherical": np.array([1e6, 1e6, 500.0, 16.0])}
    precisions["diag"] = precisions["spherical"][:, None].repeat(3, axis=1)
    with pytest.warns(ConvergenceWarning):
        ours, theirs = (
            model(
                4,
                covariance_type=covariance_type,
                reg_covar=0,
                means_init=means,
                weights_init=[1 / 30, 1 / 30, 2 / 30, 26 / 30],
                max_iter=1,
                random_state=0,
                precisions_init=precisions[covariance_type],
            ).fit(X)
            for model in (GaussianMixture, Theirs)
        )
    assert not ours.converged_ and ours.n_iter_ == 1
    assert np.all(ours.covariances_ > 0)
    np.testing.assert_allclose(ours.means_, theirs.means_)
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_)


def starts_at_random(estimator):
    """Weights are repeated rows where EM starts from the same memberships; k-means of one and
    of the other draws otherwise, and so scikit-learn expects of its own KMeans."""
    if estimator.n_components == 1:
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "k-means starts at random"}


@parametrize_with_checks(
    [GaussianMixture(), GaussianMixture(2, covariance_type="tied")],
    expected_failed_checks=starts_at_random,
)
def test_conventions(estimator, check):
    check(estimator)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("init_params", INITS)
@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_same_answer_as_scikit_learn(covariance_type, init_params, data):
    X = DATA[data]
    # A constant's variance is the ridge plus, in scikit-learn, the rounding of its square.
    constant = X.std(axis=0).min() < 1e-9
    for seed, k in ((0, 3), (1, 2), (2, 1)):
        ours, theirs = both(
            X,
            n_components=k,
            covariance_type=covariance_type,
            init_params=init_params,
            random_state=seed,
        )
        assert_same(ours, theirs, X, 1e-6 if constant else 1e-8)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=1e-5)
        assert ours.aic(X) == pytest.approx(theirs.aic(X), abs=1e-4)
        assert ours.bic(X) == pytest.approx(theirs.bic(X), abs=1e-4)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_same_answer_at_convergence_and_far_from_zero(covariance_type):
    ours, theirs = both(
        IRIS,
        n_components=3,
        covariance_type=covariance_type,
        random_state=0,
        tol=1e-9,
        max_iter=1000,
    )
    assert_same(ours, theirs, IRIS)
    far = GaussianMixture(
        3, covariance_type=covariance_type, random_state=0, tol=1e-9, max_iter=1000
    ).fit(IRIS + 1e9)
    assert far.score(IRIS + 1e9) == pytest.approx(ours.score(IRIS), abs=1e-4)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_best_of_several_starts(covariance_type):
    arguments = {
        "n_components": 4,
        "covariance_type": covariance_type,
        "n_init": 5,
        "init_params": "random_from_data",
        "random_state": 3,
    }
    assert_same(*both(FAITHFUL, **arguments), FAITHFUL)


@pytest.mark.parametrize(
    "given", [("weights",), ("means",), ("precisions",), ("weights", "means", "precisions")]
)
@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_given_starts(covariance_type, given):
    first = Theirs(3, covariance_type=covariance_type, random_state=5, max_iter=3, tol=1e9)
    first.fit(IRIS)
    start = {f"{name}_init": getattr(first, f"{name}_") for name in given}
    arguments = {"n_components": 3, "covariance_type": covariance_type, "random_state": 1, **start}
    assert_same(*both(IRIS, **arguments), IRIS)


def test_given_start_is_where_no_iteration_leaves_it():
    start = {
        "weights_init": [0.3, 0.7],
        "means_init": [[2.0, 55.0], [4.3, 80.0]],
        "precisions_init": [[4.0, 0.03], [6.0, 0.03]],
    }
    model = GaussianMixture(2, covariance_type="diag", max_iter=0, **start).fit(FAITHFUL)
    np.testing.assert_allclose(model.means_, start["means_init"])
    np.testing.assert_allclose(model.covariances_, 1 / np.array(start["precisions_init"]))
    assert (model.n_iter_, model.converged_, model.lower_bounds_) == (0, False, [])


def test_warm_start_goes_on():
    arguments = {"n_components": 3, "random_state": 0, "warm_start": True, "max_iter": 2, "tol": 0}
    ours, theirs = GaussianMixture(**arguments), Theirs(**arguments)
    scores = []
    for _ in range(4):
        for model in (ours, theirs):
            with pytest.warns(ConvergenceWarning):
                model.fit(FAITHFUL)
        assert_same(ours, theirs, FAITHFUL)
        scores.append(ours.score(FAITHFUL))
    assert np.all(np.diff(scores) > 0)
    with pytest.raises(SpecError, match="warm_start=False"):
        ours.set_params(n_components=2).fit(FAITHFUL)


def test_no_convergence_is_warned_of():
    with pytest.warns(ConvergenceWarning, match="1 iterations"):
        model = GaussianMixture(3, max_iter=1, tol=0, random_state=0).fit(IRIS)
    assert not model.converged_
    assert model.n_iter_ == 1


def test_emptied_component_goes_where_scikit_learn_sends_it():
    start = {"means_init": [[2.0, 55.0], [4.3, 80.0], [4e3, 8e4]]}
    ours, theirs = both(
        FAITHFUL,
        n_components=3,
        random_state=0,
        **start,
        weights_init=[0.4, 0.5, 0.1],
        precisions_init=[np.eye(2)] * 3,
    )
    assert_same(ours, theirs, FAITHFUL)
    np.testing.assert_allclose(ours.means_[2], 0, atol=1e-9)


def test_component_on_one_row_keeps_its_digits():
    X = np.concatenate([FAITHFUL, [[400.0, 9000.0]]])
    ours, theirs = both(X, n_components=3, random_state=0)
    assert_same(ours, theirs, X)
    narrow = np.argmax(ours.means_[:, 0])
    np.testing.assert_allclose(ours.covariances_[narrow], 1e-6 * np.eye(2), rtol=1e-6, atol=1e-12)


def test_more_components_than_distinct_rows():
    X = np.repeat([[0.0, 1.0], [5.0, 2.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="distinct"):
        ours = GaussianMixture(3, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="distinct"):
        theirs = Theirs(3, random_state=0).fit(X)
    assert_same(ours, theirs, X)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_sample(covariance_type):
    ours, theirs = both(FAITHFUL, n_components=2, covariance_type=covariance_type, random_state=0)
    n = 20_000
    X, labels = ours.sample(n)
    assert X.shape == (n, 2)
    their_rows, their_labels = theirs.sample(n)
    np.testing.assert_array_equal(labels, their_labels)
    np.testing.assert_allclose(X, their_rows, rtol=1e-6)
    mixture = ours.parameters()
    for j, weight in enumerate(mixture.weights):
        rows = X[labels == j]
        assert abs(len(rows) - n * weight) < 4 * np.sqrt(n * weight * (1 - weight))
        error = mixture.scales[j] / np.sqrt(len(rows))
        assert np.all(np.abs(rows.mean(axis=0) - mixture.means[j]) < 4 * error)
        spread = np.cov(rows.T)
        variance = mixture.covariances[j] ** 2 + np.outer(mixture.scales[j], mixture.scales[j]) ** 2
        assert np.all(np.abs(spread - mixture.covariances[j]) < 4 * np.sqrt(variance / len(rows)))
    with pytest.raises(SpecError, match="n_samples"):
        ours.sample(0)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_into_the_rest_of_the_package(covariance_type):
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0, tol=1e-6)
    model.fit(FAITHFUL)
    np.testing.assert_allclose(
        model.parameters().log_density(FAITHFUL), model.score_samples(FAITHFUL), rtol=1e-9
    )
    fit = bg.fit(model.spec(), FAITHFUL, start=model.parameters())
    assert fit.log_likelihood >= model.score(FAITHFUL) * len(FAITHFUL) - 1e-6


def test_attributes_may_be_assigned():
    model = GaussianMixture(2, covariance_type="spherical")
    model.weights_, model.means_ = np.array([0.5, 0.5]), np.array([[0.0], [4.0]])
    model.precisions_cholesky_ = np.ones(2)
    np.testing.assert_array_equal(model.predict([[0.1], [3.9]]), [0, 1])
    with pytest.raises(DataError, match="2 features"):
        model.predict([[0.1, 3.9]])


def test_column_names():
    X = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = GaussianMixture(2, random_state=0).fit(X)
    assert list(model.feature_names_in_) == ["eruptions", "waiting"]
    assert model.n_features_in_ == 2
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[["waiting", "eruptions"]])
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(FAITHFUL)


def test_read_only_and_single_precision_data():
    frozen = FAITHFUL.copy()
    frozen.flags.writeable = False
    model = GaussianMixture(2, random_state=0).fit(frozen)
    single = GaussianMixture(2, random_state=0).fit(FAITHFUL.astype(np.float32))
    assert single.means_.dtype == np.float32
    np.testing.assert_allclose(single.means_, model.means_, rtol=1e-5)


def test_copies():
    model = GaussianMixture(2, covariance_type="tied", random_state=0, means_init=FAITHFUL[:2])
    assert clone(model).get_params().keys() == {*Theirs().get_params(), "learning_decay"}
    assert GaussianMixture().get_params() == {**Theirs().get_params(), "learning_decay": 0.7}
    model.fit(FAITHFUL)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(FAITHFUL), model.predict_proba(FAITHFUL))
    np.testing.assert_array_equal(
        model.fit_predict(FAITHFUL), clone(model).fit(FAITHFUL).predict(FAITHFUL)
    )


def test_pipeline_and_grid_search():
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    grid = {
        "gaussianmixture__n_components": [1, 2, 3],
        "gaussianmixture__covariance_type": ["full", "diag"],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(FAITHFUL)
    theirs = GridSearchCV(make_pipeline(StandardScaler(), Theirs(random_state=0)), grid, cv=3).fit(
        FAITHFUL
    )
    assert search.best_params_ == theirs.best_params_
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-8
    )


def test_verbose(capsys):
    GaussianMixture(2, random_state=0, verbose=2, verbose_interval=1, n_init=2).fit(FAITHFUL)
    said = capsys.readouterr().out
    assert "Start 1" in said
    assert "iteration 1 " in said
    assert "converged" in said
    GaussianMixture(2, random_state=0).fit(FAITHFUL)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(("wrong", "message"), [
    ({"n_components": 0}, "n_components must be a whole number"),
    ({"n_components": 2.0}, "n_components must be a whole number"),
    ({"max_iter": -1}, "max_iter"),
    ({"n_init": 0}, "n_init"),
    ({"tol": -1.0}, "tol must be a finite number of 0 or more, got -1.0"),
    ({"tol": float("nan")}, "tol"),
    ({"reg_covar": "a"}, "reg_covar"),
    ({"covariance_type": "round"}, "covariance_type must be one of"),
    ({"init_params": "guess"}, "init_params must be one of"),
    ({"n_components": 500}, "272 rows are too few for 500"),
    ({"weights_init": [0.5, 0.6]}, "sum to one"),
    ({"weights_init": [1.0]}, "weights_init must be finite and of shape"),
    ({"means_init": [[1.0], [2.0]]}, "means_init must be finite and of shape"),
    ({"precisions_init": [np.eye(2), -np.eye(2)]}, "positive definite"),
    ({"precisions_init": [[1.0, -1.0]] * 2, "covariance_type": "diag"}, "must be positive"),
])  # fmt: skip
def test_bad_arguments(wrong, message):
    with pytest.raises(BayesGMMError, match=message):
        GaussianMixture(**{"n_components": 2, **wrong}).fit(FAITHFUL)


def test_collapse_without_a_ridge_and_overflow_are_refused():
    X = np.column_stack([FAITHFUL, np.ones(len(FAITHFUL))])
    for covariance_type in ("full", "tied", "diag"):
        with pytest.raises(FitError, match="raise reg_covar"):
            GaussianMixture(2, covariance_type=covariance_type, reg_covar=0).fit(X)
    with pytest.raises(DataError, match="overflow"):
        GaussianMixture(2).fit(FAITHFUL * 1e160)


# The posterior, with a stand-in for the sampler ------------------------------


@pytest.fixture
def sampler(monkeypatch):
    """Replace the sampler by jitter about a quick mode; the list says how it was called."""
    calls = []
    real = fitting.fit

    def jittered(spec, observations, *, method, seed, draws, tune, chains, cores, **more):
        calls.append(
            {
                "method": method,
                "seed": seed,
                "draws": draws,
                "tune": tune,
                "chains": chains,
                "cores": cores,
                "spec": spec,
                **more,
            }
        )
        quick = {"n_starts": 2, "n_best": 1, "rounds": 0}
        with warnings.catch_warnings():  # where it ends matters not here
            warnings.simplefilter("ignore", bg.FitWarning)
            point = real(spec, observations, method="map", seed=1, **quick).parameters[0, 0]
        rng, shape = np.random.default_rng(seed), (2, 50)
        k, d = point.means.shape
        weights = point.weights * np.exp(0.1 * rng.standard_normal((*shape, k)))
        return bg.MixtureFit.build(
            spec,
            observations,
            bg.MixtureParameters(
                weights / weights.sum(axis=-1, keepdims=True),
                point.means + 0.1 * point.scales * rng.standard_normal((*shape, k, d)),
                point.scale_tril * np.exp(0.1 * rng.standard_normal((*shape, 1, 1, 1))),
            ),
            method=method,
            status=bg.Status.CONVERGED,
            sample_stats={"lp": np.zeros(shape)},
            facts={},
            seed=seed,
        )

    monkeypatch.setattr(fitting, "fit", jittered)
    return calls


@parametrize_with_checks([MCMCGaussianMixture()])
def test_conventions_of_the_posterior(sampler, estimator, check):
    check(estimator)


def test_sampler_gets_what_was_asked(sampler):
    priors = bg.Priors(correlations=4.0)
    model = MCMCGaussianMixture(
        2, priors=priors, draws=20, tune=30, chains=2, engine="pymc", random_state=7, cores=1
    )
    model.fit(FAITHFUL)
    assert sampler[-1] == {
        "method": "nuts",
        "seed": 7,
        "draws": 20,
        "tune": 30,
        "chains": 2,
        "cores": 1,
        "engine": "pymc",
        "spec": bg.MixtureSpec(2, "full", priors),
    }
    MCMCGaussianMixture(random_state=np.random.RandomState(0)).fit(FAITHFUL)
    assert sampler[-1]["seed"] == np.random.RandomState(0).randint(2**31 - 1)
    assert "engine" not in sampler[-1]
    MCMCGaussianMixture().fit(FAITHFUL)
    assert isinstance(sampler[-1]["seed"], int)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_posterior_means(sampler, covariance_type):
    X = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = MCMCGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    drawn = model.fit_.parameters
    np.testing.assert_allclose(model.weights_, drawn.weights.mean(axis=(0, 1)))
    np.testing.assert_allclose(model.means_, drawn.means.mean(axis=(0, 1)))
    shaped = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    assert model.covariances_.shape == shaped.covariances_.shape
    full = drawn.covariances.mean(axis=(0, 1))
    expected = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": full[:, 0, 0],
    }[covariance_type]
    np.testing.assert_allclose(model.covariances_, expected)
    assert model.fit_.feature_names == ("eruptions", "waiting")
    assert list(model.feature_names_in_) == ["eruptions", "waiting"]


def test_predictions_average_over_draws(sampler):
    model = MCMCGaussianMixture(2, random_state=0).fit(FAITHFUL)
    drawn = model.fit_.parameters
    shares = drawn.memberships(FAITHFUL).mean(axis=(0, 1))
    np.testing.assert_allclose(model.predict_proba(FAITHFUL), shares, atol=1e-12)
    np.testing.assert_array_equal(model.predict(FAITHFUL), shares.argmax(axis=1))
    density = np.log(np.exp(drawn.log_density(FAITHFUL)).mean(axis=(0, 1)))
    np.testing.assert_allclose(model.score_samples(FAITHFUL), density, rtol=1e-10)
    assert model.score(FAITHFUL) == pytest.approx(density.mean())
    np.testing.assert_array_equal(
        model.fit_predict(FAITHFUL), clone(model).fit(FAITHFUL).predict(FAITHFUL)
    )


def test_columns_keep_their_order_whatever_their_names(sampler):
    swapped = pd.DataFrame(FAITHFUL, columns=["x1", "x0"])
    model = MCMCGaussianMixture(2, random_state=0).fit(swapped)
    plain = MCMCGaussianMixture(2, random_state=0).fit(FAITHFUL)
    np.testing.assert_allclose(model.predict_proba(swapped), plain.predict_proba(FAITHFUL))


def test_posterior_predictive_sample(sampler):
    model = MCMCGaussianMixture(2, random_state=0).fit(FAITHFUL)
    n = 20_000
    X, labels = model.sample(n)
    assert X.shape == (n, 2)
    drawn = model.fit_.parameters
    mean = (drawn.weights[..., None] * drawn.means).sum(axis=2).mean(axis=(0, 1))
    assert np.all(np.abs(X.mean(axis=0) - mean) < 4 * X.std(axis=0) / np.sqrt(n))
    share = model.weights_[1]
    assert abs(labels.mean() - share) < 4 * np.sqrt(share * (1 - share) / n)
    np.testing.assert_array_equal(model.sample(5)[0], model.sample(5)[0])


@pytest.mark.parametrize("ask", ["aic", "bic", "predict", "score_samples", "parameters"])
def test_what_is_not_fitted_says_so(ask):
    method = getattr(bg.GaussianMixture(2), ask)
    with pytest.raises(NotFittedError):
        method() if ask == "parameters" else method(FAITHFUL)


def test_posterior_estimator_copies(sampler):
    model = MCMCGaussianMixture(2, priors=bg.Priors(weights=3.0), random_state=0)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(FAITHFUL)
    model.fit(FAITHFUL)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(FAITHFUL), model.predict_proba(FAITHFUL))


def test_posterior_estimator_refuses(sampler):
    with pytest.raises(SpecError, match="n_components"):
        MCMCGaussianMixture(0).fit(FAITHFUL)
    with pytest.raises(SpecError, match="covariance"):
        MCMCGaussianMixture(covariance_type="round").fit(FAITHFUL)
    with pytest.raises(SpecError, match="priors"):
        MCMCGaussianMixture(priors="flat").fit(FAITHFUL)


@pytest.mark.parametrize(
    ("covariance_type", "shape"), [("tied-diag", (4,)), ("tied-spherical", ())]
)
def test_the_two_that_scikit_learn_lacks_are_those_of_fit(covariance_type, shape):
    """From the same start to the same maximum, with its arrays in the shapes to expect."""
    model = GaussianMixture(
        3, covariance_type=covariance_type, reg_covar=0, tol=1e-12, max_iter=5000, random_state=0
    ).fit(IRIS)
    assert model.covariances_.shape == model.precisions_.shape == shape
    rows = bg.Observations(IRIS, resolution=0)
    same = bg.fit(model.spec(), rows, method="em", start=model.parameters(), accelerate=False)
    assert same.log_likelihood == pytest.approx(model.score_samples(IRIS).sum(), abs=1e-6)
    assert model.bic(IRIS) == pytest.approx(same.bic())
    np.testing.assert_allclose(model.predict_proba(IRIS), same.predict_proba(IRIS), atol=1e-4)
    again = GaussianMixture(
        3,
        covariance_type=covariance_type,
        weights_init=model.weights_,
        means_init=model.means_,
        precisions_init=model.precisions_,
        reg_covar=0,
        tol=1e-6,
    ).fit(IRIS)
    assert again.n_iter_ <= 2
    assert model.sample(7)[0].shape == (7, 4)


# Weights, transformation, single precision, grid searches -----------------------------


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_weights_are_repeated_rows(covariance_type):
    """From the same start; and scikit-learn, which has no weights, on the repeated rows."""
    weights = np.random.default_rng(0).integers(0, 4, size=len(FAITHFUL))
    repeated = FAITHFUL.repeat(weights, axis=0)
    arguments = {
        "n_components": 2,
        "covariance_type": covariance_type,
        "weights_init": [0.4, 0.6],
        "means_init": [[2.0, 55.0], [4.3, 80.0]],
        "precisions_init": {
            "full": [np.diag([5.0, 0.03])] * 2,
            "tied": np.diag([5.0, 0.03]),
            "diag": [[5.0, 0.03]] * 2,
            "spherical": [0.03] * 2,
        }[covariance_type],
    }
    weighted = GaussianMixture(**arguments).fit(FAITHFUL, sample_weight=weights)
    assert_same(weighted, Theirs(**arguments).fit(repeated), repeated)
    free = GaussianMixture(2, covariance_type=covariance_type, random_state=0, tol=1e-8)
    free.fit(FAITHFUL, sample_weight=weights)
    same = clone(free).fit(repeated)
    assert free.score(repeated) == pytest.approx(same.score(repeated), abs=1e-5)


@pytest.mark.parametrize("init_params", INITS)
def test_rows_without_weight_are_not_there(init_params):
    weights = np.ones(len(FAITHFUL))
    far = np.concatenate([FAITHFUL, [[1e3, 1e3]]])
    model = GaussianMixture(2, init_params=init_params, random_state=1, max_iter=500)
    model.fit(far, sample_weight=[*weights, 0.0])
    assert model.means_.max() < 100
    with pytest.raises(DataError, match="2 rows are too few for 3"):
        GaussianMixture(3).fit(FAITHFUL, sample_weight=[1, 1, *np.zeros(270)])


@pytest.mark.parametrize(("wrong", "message"), [
    (np.ones(3), r"sample_weight has shape \(3,\)"),
    (-np.ones(272), r"sample_weight\[0\] is -1"),
    (np.zeros(272), "sample_weight are all zero"),
    (["a"] * 272, "sample_weight must be numbers"),
])  # fmt: skip
def test_bad_weights(wrong, message):
    with pytest.raises(DataError, match=message) as caught:
        GaussianMixture(2).fit(FAITHFUL, sample_weight=wrong)
    assert "row_weights" not in str(caught.value)


def test_weights_are_routed():
    weights = np.where(FAITHFUL[:, 0] < 3, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = GaussianMixture().set_fit_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scale, model).fit(FAITHFUL, sample_weight=weights)
    back = pipeline[0].inverse_transform(pipeline[1].means_)
    np.testing.assert_allclose(back, FAITHFUL[weights > 0].mean(axis=0, keepdims=True))


def test_memberships_as_features():
    X = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = GaussianMixture(3, random_state=0).set_output(transform="pandas")
    features = model.fit_transform(X)
    names = [f"gaussianmixture{k}" for k in range(3)]
    assert list(features.columns) == list(model.get_feature_names_out()) == names
    np.testing.assert_array_equal(features.to_numpy(), model.predict_proba(X))
    np.testing.assert_array_equal(features.to_numpy().argmax(axis=1), model.predict(X))
    long = (FAITHFUL[:, 0] > 3).astype(int)
    judge = make_pipeline(GaussianMixture(3, random_state=0), LogisticRegression())
    assert judge.fit(FAITHFUL, long).score(FAITHFUL, long) > 0.95


@pytest.mark.parametrize("covariance_type", [*STRUCTURES, "tied-diag", "tied-spherical"])
def test_single_precision_goes_in_and_out(covariance_type):
    single = FAITHFUL.astype(np.float32)
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(single)
    assert {getattr(model, name).dtype for name in FITTED} == {np.dtype(np.float32)}
    double = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(FAITHFUL)
    for one, X, dtype in (
        (model, single, np.float32), (model, FAITHFUL, float), (double, single, float),
    ):  # fmt: skip
        assert one.predict_proba(X).dtype == one.transform(X).dtype == dtype
        assert one.score_samples(X).dtype == dtype
        np.testing.assert_allclose(one.score_samples(X), double.score_samples(FAITHFUL), atol=1e-4)
    assert model.bic(single) == pytest.approx(double.bic(FAITHFUL), abs=0.01)
    assert model.parameters().n_components == 2


def test_posterior_takes_weights_and_single_precision(sampler):
    single = FAITHFUL.astype(np.float32)
    model = MCMCGaussianMixture(2, random_state=0).fit(single, sample_weight=np.full(272, 2.0))
    assert model.fit_.observations.total_weight == 544
    assert model.means_.dtype == model.covariances_.dtype == np.float32
    assert model.predict_proba(single).dtype == model.score_samples(single).dtype == np.float32
    assert model.transform(FAITHFUL).dtype == np.float64
    assert list(model.get_feature_names_out()) == ["mcmcgaussianmixture0", "mcmcgaussianmixture1"]


def test_scorers(sampler):
    rows = np.arange(len(FAITHFUL))
    grid = {"n_components": [1, 2, 3, 4], "covariance_type": ["full", "diag"]}
    model = GaussianMixture(random_state=0)
    search = GridSearchCV(model, grid, scoring=bg.bic_scorer, cv=[(rows, rows)]).fit(FAITHFUL)
    for point, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        fit = clone(model).set_params(**point).fit(FAITHFUL)
        assert score == pytest.approx(-fit.bic(FAITHFUL))
    assert search.best_params_ == {"n_components": 2, "covariance_type": "full"}
    left_out = GridSearchCV(model, {"n_components": [1, 2]}, scoring=bg.elpd_scorer, cv=4)
    left_out.fit(FAITHFUL)
    plain = GridSearchCV(model, {"n_components": [1, 2]}, cv=4).fit(FAITHFUL)
    np.testing.assert_allclose(
        left_out.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"] * 68
    )
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(FAITHFUL)
    scaled = pipeline[0].transform(FAITHFUL)
    assert bg.bic_scorer(pipeline, FAITHFUL) == pytest.approx(-pipeline[1].bic(scaled))
    assert bg.elpd_scorer(make_pipeline(model).fit(FAITHFUL), FAITHFUL) == pytest.approx(
        model.fit(FAITHFUL).score_samples(FAITHFUL).sum()
    )
    posterior = MCMCGaussianMixture(2, random_state=0).fit(FAITHFUL)
    assert bg.elpd_scorer(posterior, FAITHFUL) == pytest.approx(posterior.score(FAITHFUL) * 272)
    with pytest.raises(SpecError, match=r"bic_scorer needs a method bic, .* use its elpd_scorer"):
        bg.bic_scorer(posterior, FAITHFUL)
    assert pickle.loads(pickle.dumps(bg.elpd_scorer)).name == "elpd"
