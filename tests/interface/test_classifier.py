"""A mixture for each class: scikit-learn's conventions, known answers, and what only it can do."""

from __future__ import annotations

import pickle
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm
from scipy.stats import multivariate_normal, norm
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import bayesgmm as bg
from bayesgmm.errors import DataError, FitError
from bayesgmm.interface.sklearn import GaussianMixtureClassifier as Classifier
from bayesgmm.interface.sklearn.class_labels import read_classes
from bayesgmm.interface.sklearn.shared_parts import covariances_sharing
from bayesgmm.model.structure import STRUCTURES
from tests.support import refused

IRIS, SPECIES = load_iris(return_X_y=True)

#: Checks of scikit-learn on data on which the features of a class do not vary.
FLAT = ("check_sample_weights_shape", "check_sample_weights_not_overwritten")


def expected(estimator):
    if estimator.shared in (False, True):
        return {}
    return dict.fromkeys(FLAT, "a variance of nothing has no volume, and is refused")


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@parametrize_with_checks(
    [
        Classifier(),
        Classifier(covariance="diag", shared=True, method="em"),
        Classifier(covariance="diag", shared="shape", method="em"),
        Classifier(missing="marginal", covariance="spherical"),
    ],
    expected_failed_checks=expected,
)
def test_conventions(estimator, check):
    check(estimator)


# Known answers ----------------------------------------------------------------


def test_one_shared_normal_is_linear_discriminant_analysis():
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(IRIS, SPECIES)
    for covariance, shared in (("full", True), ("tied", True)):
        ours = Classifier(covariance=covariance, shared=shared, method="em").fit(IRIS, SPECIES)
        np.testing.assert_allclose(ours.predict_proba(IRIS), theirs.predict_proba(IRIS), atol=1e-6)
    np.testing.assert_allclose(ours.class_prior_, 1 / 3)


def test_one_normal_each_is_quadratic_discriminant_analysis():
    log = [
        multivariate_normal.logpdf(IRIS, IRIS[own].mean(axis=0), np.cov(IRIS[own].T, ddof=0))
        for own in np.eye(3, dtype=bool)[SPECIES].T
    ]
    share = np.exp(np.stack(log, axis=1))
    share /= share.sum(axis=1, keepdims=True)
    for covariance in ("full", "tied"):  # of one component, tied within a class is full
        model = Classifier(covariance=covariance, method="em").fit(IRIS, SPECIES)
        np.testing.assert_allclose(model.predict_proba(IRIS), share, atol=1e-5)
        np.testing.assert_allclose(model.decision_function(IRIS), np.stack(log, 1) - np.log(3),
                                   atol=1e-4)  # fmt: skip


SUBSETS = [
    subset for n in range(4) for subset in combinations(("volume", "shape", "orientation"), n)
]


def of_classes(shared, covariance="full"):
    counts, scatters = scatters_of(IRIS, SPECIES)
    return covariances_sharing(counts, scatters, frozenset(shared), STRUCTURES[covariance])


def scatters_of(X, y):
    counts = np.bincount(y).astype(float)
    return counts, np.stack([np.cov(X[y == c].T, ddof=0) * n for c, n in enumerate(counts)])


def log_likelihood(covariances):
    """Up to a constant, of scatters about the means."""
    counts, scatters = scatters_of(IRIS, SPECIES)
    squares = np.einsum("cij,cji->c", scatters, np.linalg.inv(covariances))
    return -0.5 * float((counts * np.linalg.slogdet(covariances)[1] + squares).sum())


def parts(covariances):
    """Volumes (C,) and shapes (C, D)."""
    volumes = np.exp(np.linalg.slogdet(covariances)[1] / covariances.shape[1])
    return volumes, np.linalg.eigvalsh(covariances) / volumes[:, None]


@pytest.mark.parametrize("shared", SUBSETS, ids=lambda subset: "+".join(subset) or "nothing")
def test_what_is_shared_is_the_same_and_what_is_not_is_not(shared):
    covariances = of_classes(shared)
    volumes, shapes = parts(covariances)
    assert np.allclose(volumes, volumes[0], rtol=1e-6) == ("volume" in shared)
    if "shape" in shared and "orientation" not in shared:
        np.testing.assert_allclose(shapes, shapes[:1].repeat(3, 0), rtol=1e-6)
    elif "shape" in shared:
        np.testing.assert_allclose(
            covariances / volumes[:, None, None],
            (covariances[:1] / volumes[0]).repeat(3, 0),
            rtol=1e-6,
        )
    else:
        assert not np.allclose(shapes, shapes[0], rtol=1e-2)
    # A common orientation makes all covariances diagonal at once: they commute.
    swap = covariances[0] @ covariances[1] - covariances[1] @ covariances[0]
    assert (np.abs(swap).max() < 1e-6 * np.abs(covariances[0]).max() ** 2) == (
        "orientation" in shared
    )


@pytest.mark.parametrize("shared", SUBSETS, ids=lambda subset: "+".join(subset) or "nothing")
def test_nothing_near_that_shares_as_much_is_more_likely(shared):
    """Volumes, variances and axes are moved a little, together where they are shared."""
    covariances = of_classes(shared)
    most, rng = log_likelihood(covariances), np.random.default_rng(0)
    variances, axes = np.linalg.eigh(covariances)
    if "orientation" in shared and "shape" not in shared:  # the same axes, in one order
        axes = axes[:1].repeat(3, axis=0)
        variances = np.einsum("cdi,cde,cei->ci", axes, covariances, axes)

    def moved(size, shape, together):
        one = size * rng.normal(size=(1 if together else 3, *shape))
        return one.repeat(3, axis=0) if together else one

    for size in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            scale = np.exp(moved(size, (1,), "volume" in shared))
            shape = moved(size, (4,), "shape" in shared)
            shape = np.exp(shape - shape.mean(axis=1, keepdims=True))
            skew = moved(size, (4, 4), "orientation" in shared)
            turn = np.stack([expm(each - each.T) for each in skew])
            new = axes @ turn if "orientation" not in shared else turn @ axes
            near = new * (variances * scale * shape)[:, None, :] @ np.swapaxes(new, 1, 2)
            assert log_likelihood(near) <= most + 1e-8


def test_sharing_more_is_never_more_likely():
    found = {frozenset(subset): log_likelihood(of_classes(subset)) for subset in SUBSETS}
    for less, more in permutations(found, 2):
        if less < more:
            assert found[less] >= found[more] - 1e-8
    np.testing.assert_allclose(of_classes(SUBSETS[0])[0], np.cov(IRIS[:50].T, ddof=0))


@pytest.mark.parametrize(("covariance", "shared", "tied"), [
    ("full", ("volume", "shape", "orientation"), "tied"),
    ("diag", ("volume", "shape"), "tied-diag"),
    ("spherical", ("volume",), "tied-spherical"),
])  # fmt: skip
def test_parts_of_round_and_axis_aligned_covariances(covariance, shared, tied):
    """All parts that these have are the tied structure; by the closed form and by EM."""
    em = Classifier(covariance=tied, shared=True, method="em").fit(IRIS, SPECIES)
    same = Classifier(covariance=covariance, shared=shared, method="em").fit(IRIS, SPECIES)
    assert same.fits_  # read as all, and fitted as all
    direct = of_classes(("volume", "shape", "orientation"), covariance)
    found = em.mixtures_[0].covariances[0, 0, 0]
    np.testing.assert_allclose(direct, np.stack([found] * 3), rtol=1e-6, atol=1e-9)
    none = Classifier(covariance="diag", shared="orientation", method="em").fit(IRIS, SPECIES)
    assert none.fits_  # of axis-aligned ones the orientation is shared anyway


def test_iris_by_classes_that_share_their_shape():
    """At most four flowers of 150 are wrong; see benchmarks/classification.py."""
    for shared in ("shape", "orientation", True):
        model = Classifier(shared=shared, method="em")
        wrong = [
            model.fit(IRIS[train], SPECIES[train]).predict(IRIS[test]) != SPECIES[test]
            for train, test in StratifiedKFold(10, shuffle=True, random_state=0).split(
                IRIS, SPECIES
            )
        ]
        assert np.concatenate(wrong).mean() <= 4 / 150 + 1e-12


# Mixtures of classes ------------------------------------------------------------


def two_classes(n, seed):
    """Class "b" lies on both sides of class "a": two components, which no single normal is."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    side = rng.choice([-3.0, 3.0], size=n)
    X = rng.normal(size=(n, 2)) * [0.8, 1.0] + np.stack([np.where(y == 1, side, 0.0), 0 * side], 1)
    return X, np.array(["a", "b"])[y]


def test_components_of_each_class():
    X, y = two_classes(600, 0)
    new, answer = two_classes(2000, 1)
    by_label = Classifier({"a": 1, "b": 2}, random_state=0).fit(X, y)
    in_order = Classifier([1, 2], random_state=0).fit(X, y)
    np.testing.assert_array_equal(by_label.predict_proba(new), in_order.predict_proba(new))
    assert [mixture.n_components for mixture in by_label.mixtures_] == [1, 2]
    np.testing.assert_allclose(np.sort(by_label.mixtures_[1].means[0, 0, :, 0]), [-3, 3], atol=0.4)
    assert by_label.score(new, answer) > 0.94
    assert by_label.score(new, answer) > Classifier(shared=True).fit(X, y).score(new, answer) + 0.2


def test_tied_within_a_class_or_over_all():
    X, y = two_classes(400, 2)
    own = Classifier(2, covariance="tied", random_state=0).fit(X, y)
    a, b = (mixture.covariances[0, 0] for mixture in own.mixtures_)
    np.testing.assert_allclose(a[0], a[1])
    np.testing.assert_allclose(b[0], b[1])
    assert not np.allclose(a[0], b[0], rtol=1e-3) and len(own.fits_) == 2
    every = Classifier(2, covariance="full", shared=True, random_state=0).fit(X, y)
    a, b = (mixture.covariances[0, 0] for mixture in every.mixtures_)
    np.testing.assert_allclose(a[0], b[1])
    with pytest.raises(DataError, match="needs every row's class"):
        own.fit(X, np.where(np.arange(400) < 9, None, y))


def test_densities_are_averaged_over_draws_and_few_rows_make_caution():
    X, y = two_classes(16, 3)
    laplace = bg.Laplace(draws=300)
    model = Classifier(method=laplace, random_state=0).fit(X, y)
    new = two_classes(500, 4)[0]
    density = np.stack([
        np.exp(mixture.log_density(new)).mean(axis=(0, 1)) for mixture in model.mixtures_
    ], axis=1) * model.class_prior_  # fmt: skip
    share = density / density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(new), share, atol=1e-10)
    np.testing.assert_allclose(model.score_samples(new), np.log(density.sum(axis=1)), atol=1e-10)
    point = Classifier(method="map", random_state=0).fit(X, y).predict_proba(new)
    assert np.abs(share - 0.5).mean() < np.abs(point - 0.5).mean()


def test_probabilities_of_classes_are_calibrated():
    """Of rows that are said to be of a class with probability p, a share of p is: in every bin
    within what three standard errors are for one alone, over all bins.  Of so many rows learnt
    from, the error of the fit is a fifth of that of the rows that judge."""
    rng = np.random.default_rng(11)
    classes = [
        bg.MixtureParameters.from_covariances(
            [0.6, 0.4], [[0.0, 0.0], [2.5, 1.0]], [[[1.0, 0.5], [0.5, 1.0]], [[1.0, 0], [0, 0.5]]]
        ),
        bg.MixtureParameters.from_covariances(
            [0.5, 0.5], [[1.0, -1.0], [3.0, 3.0]], [[[0.7, 0], [0, 0.7]], [[1.0, -0.4], [-0.4, 1]]]
        ),
    ]

    def rows(n):
        drawn = np.concatenate([one.simulate(n, seed=rng)[0] for one in classes])
        return drawn, np.repeat([0, 1], n)

    model = Classifier(2, method="em", random_state=0).fit(*rows(30_000))
    x, y = rows(1500)
    p = model.predict_proba(x)[:, 1]
    which = np.minimum((10 * p).astype(int), 9)
    assert np.bincount(which, minlength=10).min() > 30  # every bin judges
    z = [(y - p)[which == b].sum() / np.sqrt((p * (1 - p))[which == b].sum()) for b in range(10)]
    assert np.abs(z).max() < norm.isf(norm.sf(3) / 10)


# Rows that were not seen as they are ----------------------------------------------


def test_rows_of_unknown_class_help_and_are_said_in_any_way():
    X, y = two_classes(600, 5)
    new, answer = two_classes(2000, 6)
    number = np.where(y == "b", 7, 3)
    few = np.arange(600) < 16
    told = Classifier([1, 2], random_state=0).fit(X, np.where(few, number, -1))
    assert list(told.classes_) == [3, 7]
    alone = Classifier([1, 2], random_state=0).fit(X[few], number[few])
    truth = np.where(answer == "b", 7, 3)
    loss = [log_loss(truth, model.predict_proba(new)) for model in (told, alone)]
    assert loss[0] < 0.2 and loss[0] < loss[1]
    texts = Classifier([1, 2], random_state=0).fit(X, np.where(few, y.astype(object), None))
    np.testing.assert_array_equal(texts.predict(new) == "b", told.predict(new) == 7)


def test_a_class_is_unknown_in_many_words():
    number, few = np.repeat([3, 7, 7, 3], 2), np.arange(8) < 4
    every = np.ones(8, dtype=bool)
    for hidden, word in (
        (np.where(few, number, -1), -1),
        (np.where(few, number, np.nan), -1),
        (np.where(few, number.astype(object), None), -1),
        (pd.Series(number).where(pd.Series(few)).astype("Int64"), -1),
        (np.where(few, number, 99), 99),
    ):
        classes, codes = read_classes(hidden, word, 8, every)
        assert classes.tolist() == [3, 7] and codes.tolist() == [0, 0, 1, 1, -1, -1, -1, -1]
    text = np.where(number == 3, "a", "b")
    for hidden, word in (
        (np.where(few, text, "?"), "?"),
        (np.where(few, text.astype(object), None), -1),
        (pd.Series(text).where(pd.Series(few)), -1),
    ):
        classes, codes = read_classes(hidden, word, 8, every)
        assert classes.tolist() == ["a", "b"] and codes.tolist() == [0, 0, 1, 1, -1, -1, -1, -1]


def test_minus_one_beside_one_other_label_is_a_class():
    X, y = two_classes(100, 7)
    model = Classifier().fit(X, np.where(y == "b", 1, -1))
    assert list(model.classes_) == [-1, 1]
    three = Classifier(unlabelled=None).fit(X, np.arange(100) % 3 - 1)
    assert list(three.classes_) == [-1, 0, 1]


def test_values_that_are_missing():
    X, y = two_classes(400, 8)
    new = two_classes(50, 9)[0]
    whole = Classifier([1, 2], missing="marginal", random_state=0).fit(X, y)
    holes = X.copy()
    holes[::3, 1] = np.nan
    holed = Classifier([1, 2], missing="marginal", random_state=0).fit(holes, y)
    assert np.abs(holed.predict_proba(new) - whole.predict_proba(new)).mean() < 0.05
    unseen = np.column_stack([new[:, 0], np.full(50, np.nan)])
    log = [mixture.marginal([0]).log_density(new[:, :1])[0, 0] for mixture in whole.mixtures_]
    odds = np.log(whole.class_prior_[1] / whole.class_prior_[0]) + log[1] - log[0]
    np.testing.assert_allclose(whole.decision_function(unseen), odds, rtol=1e-8)
    nothing = np.full((1, 2), np.nan)
    np.testing.assert_allclose(whole.predict_proba(nothing)[0], whole.class_prior_)
    with pytest.raises(ValueError, match="NaN"):
        Classifier().fit(holes, y)


def test_weights_are_repeated_rows_and_order_does_not_matter():
    X, y = two_classes(80, 10)
    weights = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = Classifier([1, 2], random_state=0).fit(X, y, sample_weight=weights)
    repeated = Classifier([1, 2], random_state=0).fit(X.repeat(weights, 0), y.repeat(weights))
    backwards = Classifier([1, 2], random_state=0).fit(
        X[::-1], y[::-1], sample_weight=weights[::-1]
    )
    for other in (repeated, backwards):
        np.testing.assert_array_equal(weighted.predict_proba(X), other.predict_proba(X))
    np.testing.assert_allclose(
        weighted.class_prior_, np.bincount(y == "b", weights) / weights.sum()
    )
    alone = Classifier().fit(X, y, sample_weight=(y == "b") * 1.0)
    assert list(alone.classes_) == ["b"]


# scikit-learn's conventions -------------------------------------------------------


def test_priors_move_probabilities_as_they_should():
    X, y = two_classes(200, 11)
    learnt = Classifier(2, random_state=0).fit(X, y)
    given = Classifier(2, random_state=0, priors={"a": 0.9, "b": 0.1}).fit(X, y)
    shift = np.log(0.1 / 0.9) - np.log(learnt.class_prior_[1] / learnt.class_prior_[0])
    np.testing.assert_allclose(
        given.decision_function(X), learnt.decision_function(X) + shift, atol=1e-9
    )
    rows, labels = given.sample(4000)
    assert rows.shape == (4000, 2) and abs((labels == "b").mean() - 0.1) < 4 * 0.3 / np.sqrt(4000)
    assert given.score(rows, labels) > 0.9
    np.testing.assert_array_equal(given.sample(5)[0], given.sample(5)[0])


def test_far_away_is_finite():
    model = Classifier(2, random_state=0).fit(IRIS, SPECIES)
    far = model.predict_log_proba(np.full((1, 4), 1e6))
    assert np.all(np.isfinite(far))
    np.testing.assert_allclose(np.exp(far).sum(), 1)


def test_in_pipelines_and_searches_with_weights():
    X = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    with config_context(enable_metadata_routing=True):
        model = Classifier(method="em").set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scale, model)
        grid = {"gaussianmixtureclassifier__shared": [True, False]}
        search = GridSearchCV(pipeline, grid, cv=3).fit(X, SPECIES, sample_weight=np.ones(150))
    assert search.best_score_ > 0.95
    named = Classifier(method="em").fit(X, SPECIES)
    assert list(named.feature_names_in_) == ["a", "b", "c", "d"]
    assert named.fits_[0].feature_names == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="feature names"):
        named.predict(X[["b", "a", "c", "d"]])
    again = pickle.loads(pickle.dumps(named))
    np.testing.assert_array_equal(again.predict_proba(X), named.predict_proba(X))


@pytest.mark.parametrize(("wrong", "message"), [
    ({"n_components": 0}, "n_components must be a whole number"),
    ({"n_components": [1, 2]}, "n_components has 2 entries for 3 classes"),
    ({"n_components": {0: 1, 1: 1}}, "n_components must have the 3 classes as keys, and 2 is miss"),
    ({"n_components": {0: 1, 1: 1, 2: 1, 3: 1}}, "3 is not one of them"),
    ({"covariance": "round"}, "covariance must be one of"),
    ({"shared": "size"}, "shared must be True, False or some of"),
    ({"shared": 1}, "shared must be True, False or some of"),
    ({"shared": "shape"}, "by method='em', got 'map'"),
    ({"shared": "shape", "method": bg.EM(), "n_components": 2}, "one component each"),
    ({"shared": "shape", "covariance": "tied"}, "each class has for itself"),
    ({"method": "luck"}, "method must be one of"),
    ({"priors": [0.5, 0.5]}, "priors has 2 entries for 3 classes"),
    ({"priors": [0.5, 0.5, 0.5]}, "priors must sum to one"),
    ({"priors": [0.5, 0.5, 0.0]}, r"priors\[2\] must be"),
    ({"model_priors": "flat"}, "model_priors must be"),
    ({"missing": "mean"}, "missing must be"),
    ({"random_state": -1}, "random_state must be"),
    ({"cores": 0}, "cores must be"),
])  # fmt: skip
def test_bad_arguments(wrong, message):
    refused(message, Classifier(**wrong).fit, IRIS, SPECIES)


def test_bad_labels():
    refused("label per row", Classifier().fit, IRIS, None)
    refused("99 labels for 150 rows", Classifier().fit, IRIS, SPECIES[:99])
    refused("No row has a label", Classifier().fit, IRIS, np.full(150, np.nan))
    mixed = np.array([*SPECIES[:149], "x"], dtype=object)
    refused("use one type", Classifier().fit, IRIS, mixed)
    hidden = np.where(np.arange(150) % 2, SPECIES, -1)
    refused("every value and class is known",
            Classifier(shared="shape", method="em").fit, IRIS, hidden)  # fmt: skip
    few = np.array([0, 1, 50, 51, 100, 101])
    refused("too few distinct rows", Classifier(shared="shape", method="em").fit,
            IRIS[few], SPECIES[few], error=FitError)  # fmt: skip
    with pytest.raises(NotFittedError):
        Classifier().predict(IRIS)
