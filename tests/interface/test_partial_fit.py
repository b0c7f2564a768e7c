"""EM on a stream, against scikit-learn's steps, plain NumPy, and the truth that made the rows."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Theirs

import bayesgmm as bg
from bayesgmm.errors import DataError, FitError, SpecError
from tests.support import SKLEARNS as STRUCTURES

FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
FAITHFUL = bg.datasets.faithful().values
MEANS = np.array([[0.0, 0.0], [7.0, 0.0], [0.0, 7.0]])
SHARES = np.array([0.5, 0.3, 0.2])


def stream(n, seed, means=MEANS):
    """Rows of three components that are seven standard deviations apart."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) + means[rng.choice(3, size=n, p=SHARES)]


def learn(model, X, size, weights=None):
    """Pass rows in batches of one size, or cut at the places given."""
    cuts = range(size, len(X), size) if isinstance(size, int) else size
    for rows in np.split(np.arange(len(X)), cuts):
        model.partial_fit(X[rows], sample_weight=None if weights is None else weights[rows])
    return model


def assert_same(one, other, rtol=1e-10, atol=1e-10):
    for name in FITTED:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=rtol, atol=atol, err_msg=name
        )


# The first batch -------------------------------------------------------------


@pytest.mark.parametrize("n_init", [1, 3])
@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_a_first_batch_is_one_step_of_scikit_learns(covariance_type, n_init):
    arguments = {
        "n_components": 3,
        "covariance_type": covariance_type,
        "random_state": 0,
        "n_init": n_init,
    }
    ours = bg.GaussianMixture(**arguments).partial_fit(FAITHFUL)
    with pytest.warns(ConvergenceWarning):
        theirs = Theirs(**arguments, max_iter=1).fit(FAITHFUL)
    assert_same(ours, theirs)
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-10)
    assert (ours.n_iter_, ours.converged_, ours.n_samples_seen_) == (1, False, 272)


# Later ones ------------------------------------------------------------------


def densities(X, weights, means, covariances):
    normals = [
        np.atleast_1d(multivariate_normal(m, c).pdf(X))
        for m, c in zip(means, covariances, strict=True)
    ]
    return weights * np.stack(normals, axis=1)


def maximised(X, resp, structure, reg_covar):
    """The M-step in plain NumPy: weights, means, covariances (K, D, D)."""
    n, d = resp.sum(axis=0), X.shape[1]
    means = resp.T @ X / n[:, None]
    gaps = X[:, None, :] - means
    scatters = np.einsum("nk,nki,nkj->kij", resp, gaps, gaps)
    covariances = scatters / n[:, None, None]
    if structure.startswith("tied"):
        covariances = np.repeat(scatters.sum(axis=0)[None] / n.sum(), len(n), axis=0)
    if structure != "full" and structure != "tied":
        covariances = covariances * np.eye(d)
    if structure.endswith("spherical"):
        covariances = np.trace(covariances, axis1=1, axis2=2)[:, None, None] / d * np.eye(d)
    return n / n.sum(), means, covariances + reg_covar * np.eye(d)


@pytest.mark.parametrize("decay", [1.0, 0.6])
@pytest.mark.parametrize("covariance_type", [*STRUCTURES, "tied-diag", "tied-spherical"])
def test_steps_are_those_of_plain_numpy_over_all_rows(covariance_type, decay):
    """Memberships of all rows are kept here, each as it was when its batch was seen."""
    sizes = [60, 150, 7, 1, 54]
    start = {"weights_init": [0.4, 0.6], "means_init": [[2.0, 55.0], [4.3, 80.0]]}
    given = {"full": [np.diag([4, 0.03])] * 2, "tied": np.diag([4, 0.03]), "diag": [[4, 0.03]] * 2,
             "spherical": [0.05] * 2, "tied-diag": [4, 0.03], "tied-spherical": 0.05}  # fmt: skip
    model = bg.GaussianMixture(
        2,
        covariance_type=covariance_type,
        precisions_init=given[covariance_type],
        reg_covar=0.01,
        learning_decay=decay,
        **start,
    )
    learn(model, FAITHFUL, np.cumsum(sizes)[:-1])

    round_ = covariance_type.endswith("spherical")
    precision = np.diag([0.05, 0.05]) if round_ else np.diag([4, 0.03])
    point = np.array([0.4, 0.6]), np.array(start["means_init"]), [np.linalg.inv(precision)] * 2
    resp, seen = np.empty((0, 2)), 0
    for m in sizes:
        batch = densities(FAITHFUL[seen : seen + m], *point)
        bound = np.log(batch.sum(axis=1)).mean()
        batch /= batch.sum(axis=1, keepdims=True)
        share = 1.0
        if seen:
            before, after = seen / sizes[0], (seen + m) / sizes[0]
            share = 1 - before / after
            if decay < 1:
                power = 1 - decay
                share = 1 - np.exp(-(after**power - before**power) / power)
            resp *= (1 - share) / resp.sum()
        resp = np.concatenate([resp, batch * share / m])
        seen += m
        point = maximised(FAITHFUL[:seen], resp, covariance_type, 0.01)
    mixture = model.parameters()
    np.testing.assert_allclose(mixture.weights, point[0], rtol=1e-10)
    np.testing.assert_allclose(mixture.means, point[1], rtol=1e-10)
    np.testing.assert_allclose(mixture.covariances, point[2], rtol=1e-9, atol=1e-12)
    assert model.lower_bound_ == pytest.approx(bound, rel=1e-10)
    assert (model.n_iter_, model.n_samples_seen_) == (5, 272)


@pytest.mark.parametrize("decay", [0.6, 0.8])
def test_the_share_of_batches_of_one_size_is_that_of_cappe_and_moulines(decay):
    """With one component the mean is s <- (1 - g) s + g x, g = t^-decay up to terms in 1 / t."""
    model, mean = bg.GaussianMixture(1, learning_decay=decay), 0.0
    rng = np.random.default_rng(1)
    for t in range(1, 401):
        x = rng.normal(size=5)[:, None]
        model.partial_fit(x)
        gain = (x.mean() - mean) * t**-decay
        if t > 100:
            assert model.means_.item() - mean == pytest.approx(gain, rel=0.05)
        mean = model.means_.item()


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_one_component_is_mean_and_covariance_of_all_rows(shift):
    """``numpy.cov``, whose two passes lose nothing far from zero."""
    X = FAITHFUL / FAITHFUL.std(axis=0) + shift
    model = bg.GaussianMixture(1, learning_decay=1, reg_covar=0)
    learn(model, X, [3, 4, 5, 50, 51, 200])
    np.testing.assert_allclose(model.means_[0] - shift, (X - shift).mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(model.covariances_[0], np.cov(X.T, bias=True), rtol=1e-9)


# A stream --------------------------------------------------------------------


def errors(model, theirs, n):
    """Distances from a batch fit in its standard errors, of weights and means."""
    order = [np.argmin(((model.means_ - mean) ** 2).sum(axis=1)) for mean in theirs.means_]
    w = theirs.weights_
    scale = np.sqrt([np.diag(covariance) for covariance in theirs.covariances_])
    return np.concatenate([
        (model.weights_[order] - w) / np.sqrt(w * (1 - w) / n),
        ((model.means_[order] - theirs.means_) / (scale / np.sqrt(n * w)[:, None])).ravel(),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def stationary():
    """A stream, scikit-learn's fit to all of it, and rows that neither sees."""
    X = stream(20_000, 1)
    return X, Theirs(3, means_init=MEANS, tol=1e-8, max_iter=500).fit(X), stream(20_000, 2)


def test_a_stationary_stream_ends_at_the_batch_fit(stationary):
    X, theirs, others = stationary
    equal = learn(bg.GaussianMixture(3, random_state=0, learning_decay=1), X, 200)
    assert np.abs(errors(equal, theirs, len(X))).max() < 1  # found: 0.2
    assert equal.score(others) > theirs.score(others) - 2e-4
    # About the last 100^0.7 of 100 batches count, a quarter: 17 parameters lose 17 / 2n.
    some = learn(bg.GaussianMixture(3, random_state=0), X, 200)
    assert np.abs(errors(some, theirs, len(X))).max() < 6
    assert some.score(others) > theirs.score(others) - 3 * 17 / (2 * 5000)


@pytest.mark.parametrize("decay", [1.0, 0.7])
def test_a_stream_may_be_cut_anywhere(stationary, decay):
    """After the same first batch, of any sizes; in standard errors of the fit to all rows."""
    X, theirs, _ = stationary
    cuts = [500, *sorted(np.random.default_rng(3).choice(np.arange(501, 20_000), 150, False))]
    ends = [
        learn(bg.GaussianMixture(3, random_state=0, learning_decay=decay), X, how)
        for how in (cuts, [500, *range(600, 20_000, 100)], 500)
    ]
    found = [errors(model, theirs, len(X)) for model in ends]
    for one in found[1:]:
        assert np.abs(one - found[0]).max() < (0.2 if decay == 1 else 1.0)


def test_what_drifts_is_followed_if_old_rows_are_forgotten():
    """All means go up by 6; the average of all rows lags by 3, and of the last 200^0.6 of 200
    batches, a tenth, by less than 1."""
    batches = [stream(200, t, MEANS + 6 * t / 200) for t in range(200)]
    lags = {}
    for decay in (0.6, 1.0):
        model = bg.GaussianMixture(3, random_state=0, learning_decay=decay)
        for batch in batches:
            model.partial_fit(batch)
        order = np.argsort(model.means_ @ [1.0, 2.0])
        lags[decay] = (MEANS + 6 - model.means_[order]).mean()
    assert 0 < lags[0.6] < 1
    assert 2.8 < lags[1.0] < 3.2


def test_after_fit_its_rows_are_the_first_batch():
    X = stream(3000, 4)
    fitted = bg.GaussianMixture(3, random_state=0, tol=1e-10, max_iter=500).fit(X[:2000])
    assert fitted.n_samples_seen_ == 2000
    n_iter = fitted.n_iter_
    again = pickle.loads(pickle.dumps(fitted)).set_params(learning_decay=1)
    fitted.set_params(learning_decay=1).partial_fit(X[2000:])
    assert (fitted.n_iter_, fitted.n_samples_seen_) == (n_iter + 1, 3000)
    # Memberships of all rows, as the fitted mixture has them, in plain NumPy.
    resp = again.predict_proba(X)
    weights, means, covariances = maximised(X, resp, "full", 1e-6)
    np.testing.assert_allclose(fitted.weights_, weights, rtol=1e-6)
    np.testing.assert_allclose(fitted.means_, means, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.covariances_, covariances, rtol=1e-6, atol=1e-6)
    # And ``fit`` begins anew.
    alone = clone(fitted).fit(X[:500])
    assert_same(fitted.fit(X[:500]), alone, 0, 0)
    assert fitted.n_samples_seen_ == 500
    assert_same(fitted.partial_fit(X[500:600]), alone.partial_fit(X[500:600]), 0, 0)


# Rows as they come -----------------------------------------------------------


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_far_from_zero(covariance_type):
    """The same rows a million standard deviations away, whose own rounding is 1e-10."""
    X, model = (
        stream(4000, 5),
        bg.GaussianMixture(3, covariance_type=covariance_type, random_state=0),
    )
    near, far = (
        learn(clone(model).set_params(means_init=MEANS + a), X + a, 400) for a in (0.0, 1e6)
    )
    np.testing.assert_allclose(far.means_ - 1e6, near.means_, atol=1e-6)
    np.testing.assert_allclose(far.covariances_, near.covariances_, atol=1e-6)


def test_components_far_from_each_other_keep_their_digits():
    """Moments about one centre would leave nothing of variances 1e18 times smaller."""
    means = MEANS * 1e9 / 7
    X = stream(4000, 6, means)
    model = learn(bg.GaussianMixture(3, means_init=means, random_state=0, reg_covar=0,
                                     learning_decay=1), X, 400)  # fmt: skip
    for j, mean in enumerate(means):
        own = X[np.abs(X - mean).max(axis=1) < 1e6]
        np.testing.assert_allclose(model.covariances_[j], np.cov(own.T, bias=True), atol=1e-6)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_weights_count_rows(covariance_type):
    """A weight of 2 is a row twice in its batch, one of 0 is none."""
    rng = np.random.default_rng(7)
    weights = rng.integers(0, 3, len(FAITHFUL)).astype(float)
    start = {"weights_init": [0.5, 0.5], "means_init": [[2.0, 55.0], [4.3, 80.0]]}
    start["precisions_init"] = {
        "full": [np.eye(2)] * 2, "tied": np.eye(2), "diag": np.ones((2, 2)), "spherical": [1, 1]
    }[covariance_type]  # fmt: skip
    model = bg.GaussianMixture(2, covariance_type=covariance_type, **start)
    by_weight = learn(clone(model), FAITHFUL, [100, 180], weights)
    by_row = clone(model)
    for rows in np.split(np.arange(len(FAITHFUL)), [100, 180]):
        by_row.partial_fit(np.repeat(FAITHFUL[rows], weights[rows].astype(int), axis=0))
    assert_same(by_weight, by_row)
    assert by_weight.lower_bound_ == pytest.approx(by_row.lower_bound_)
    assert by_weight.n_samples_seen_ == by_row.n_samples_seen_ == weights.sum()


@pytest.mark.parametrize(
    ("weight", "mean"), [(1e-300, 0.0), (1e-12, 0.0), (1e12, 7.0), (1e140, 7.0)]
)
@pytest.mark.parametrize("decay", [0.6, 1.0])
def test_weights_next_to_which_others_are_nothing(decay, weight, mean):
    model = bg.GaussianMixture(1, learning_decay=decay).partial_fit([[-1.0], [1.0]])
    model.partial_fit([[6.0], [8.0]], sample_weight=[weight, weight])
    assert model.means_.item() == pytest.approx(mean, abs=1e-10)
    model = bg.GaussianMixture(1, learning_decay=decay)
    model.partial_fit([[-1.0], [1.0]], sample_weight=[1e-300, 1e-300])
    assert model.partial_fit([[6.0], [8.0]], sample_weight=[1e140] * 2).means_.item() == 7


def test_single_precision():
    double = learn(bg.GaussianMixture(2, random_state=0), FAITHFUL, 100)
    single = learn(bg.GaussianMixture(2, random_state=0), FAITHFUL.astype(np.float32), 100)
    assert all(getattr(single, name).dtype == np.float32 for name in FITTED)
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-5)
    np.testing.assert_allclose(single.covariances_, double.covariances_, rtol=1e-3)
    assert single.partial_fit(FAITHFUL[:5]).means_.dtype == np.float64


def test_many_small_batches_of_single_precision_lose_no_more_than_its_digits():
    """What is kept is in float64: 20,000 rows, five at a time, against NumPy on all."""
    X = (np.random.default_rng(8).normal(size=(5000, 2)) + 1000).astype(np.float32)
    model = learn(bg.GaussianMixture(1, learning_decay=1, reg_covar=0), X, 5)
    np.testing.assert_allclose(model.covariances_[0], np.cov(X.T, bias=True), atol=1e-6)


def test_an_empty_component_waits():
    """No row of a batch is near it: its mean and covariance stay, its weight fades."""
    model = bg.GaussianMixture(3, random_state=0).fit(stream(600, 9))
    before = pickle.loads(pickle.dumps(model))
    far = np.argmax(model.means_[:, 0])
    rows = stream(3000, 10)
    learn(model, rows[rows[:, 0] < 3.5], 100)
    np.testing.assert_allclose(model.means_[far], before.means_[far], atol=1e-2)
    np.testing.assert_allclose(model.covariances_[far], before.covariances_[far], atol=0.05)
    assert 0 < model.weights_[far] < before.weights_[far] / 2


# As an estimator -------------------------------------------------------------


def test_a_pickle_goes_on_bit_equal():
    model = learn(bg.GaussianMixture(3, random_state=0, covariance_type="tied"), FAITHFUL[:150], 50)
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        learn(one, FAITHFUL[150:], 30)
    assert_same(model, again, 0, 0)
    assert model.lower_bound_ == again.lower_bound_
    assert not hasattr(clone(model), "n_samples_seen_")


def test_names_and_the_rest_of_the_package():
    table = pd.DataFrame(FAITHFUL, columns=["eruptions", "waiting"])
    model = bg.GaussianMixture(2, random_state=0).partial_fit(table[:100])
    model.partial_fit(table[100:])
    assert list(model.feature_names_in_) == ["eruptions", "waiting"]
    assert model.n_features_in_ == 2
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(table[["waiting", "eruptions"]])
    plain = bg.GaussianMixture(2, random_state=0).partial_fit(FAITHFUL)
    with pytest.raises(ValueError, match="1 features, but GaussianMixture is expecting 2"):
        plain.partial_fit(FAITHFUL[:, :1])
    fit = bg.fit(model.spec(), FAITHFUL, start=model.parameters())
    assert fit.log_likelihood >= model.score(table) * len(table)


def test_options_changed_between_batches_hold_from_then_on():
    model = bg.GaussianMixture(2, random_state=0).partial_fit(FAITHFUL[:200])
    ridged = clone(model).partial_fit(FAITHFUL[:200]).set_params(reg_covar=1.0)
    model.partial_fit(FAITHFUL[200:])
    ridged.partial_fit(FAITHFUL[200:])
    np.testing.assert_allclose(ridged.covariances_, model.covariances_ + (1 - 1e-6) * np.eye(2))


def test_verbose(capsys):
    model = bg.GaussianMixture(2, random_state=0, verbose=1, verbose_interval=2)
    learn(model, FAITHFUL, 50)
    said = capsys.readouterr().out
    assert "Start 0" in said
    assert "batch 4 " in said and "batch 3 " not in said


def test_what_is_wrong_is_said_and_nothing_is_lost():
    model = bg.GaussianMixture(5, random_state=0)
    with pytest.raises(DataError, match="4 rows are too few for 5 components"):
        model.partial_fit(FAITHFUL[:4])
    with pytest.raises(DataError, match="3 rows are too few for 5 components"):
        model.partial_fit(FAITHFUL[:6], sample_weight=[1, 1, 1, 0, 0, 0])
    assert not hasattr(model, "means_")
    for decay in (0.5, 1.5, 0, "fast", None, float("nan"), True):
        with pytest.raises(SpecError, match=r"learning_decay must be a number above 0\.5 and at"):
            bg.GaussianMixture(2, learning_decay=decay).partial_fit(FAITHFUL)
    model = bg.GaussianMixture(2, random_state=0, reg_covar=0).partial_fit(FAITHFUL)
    before = pickle.loads(pickle.dumps(model))
    for X, weights, message in (
        (FAITHFUL * 1e160, None, "overflow"),
        (np.full((3, 2), np.nan), None, "NaN"),
        (np.empty((0, 2)), None, "0 sample"),
        (FAITHFUL[:3], [1, 1], "sample_weight has shape"),
        (FAITHFUL[:3], [1, 1, -1], r"sample_weight\[2\] is -1"),
        (FAITHFUL[:3], [0, 0, 0], "sample_weight are all zero"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, sample_weight=weights)
    with pytest.raises(SpecError, match="with n_components=2 and covariance_type='full', and now"):
        model.set_params(n_components=3).partial_fit(FAITHFUL)
    with pytest.raises(SpecError, match="begin again by fit or a clone"):
        model.set_params(n_components=2, covariance_type="tied").partial_fit(FAITHFUL)
    model.set_params(covariance_type="full")
    with pytest.raises(FitError, match="raise reg_covar"):
        model.partial_fit(FAITHFUL[:1], sample_weight=[1e12])  # next to it all others are none
    assert_same(model.partial_fit(FAITHFUL[:1]), before.partial_fit(FAITHFUL[:1]), 0, 0)


def test_no_iteration_is_no_batch():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = bg.GaussianMixture(2, random_state=0, max_iter=0).fit(FAITHFUL)
    assert model.n_samples_seen_ == 0
    assert_same(model.partial_fit(FAITHFUL), clone(model).partial_fit(FAITHFUL), 0, 0)
