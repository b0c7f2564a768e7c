"""Merging: ridgelines against brute force, trees against slow ones, and the edges."""

import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm.analysis.merging.entropy_tree import chosen_merges, elbow, entropy_tree
from bayesgmm.analysis.merging.merge import merge_components
from bayesgmm.analysis.merging.ridgeline import best_pairs, ridgeline_ratios
from bayesgmm.result.status import Status

METHODS = ("ridgeline", "entropy")


def made_fit(x, draws, lp=None, row_weights=None):
    """A fit that holds these mixtures: a list of (weights, means, covariances), each a draw."""
    draws = [bg.MixtureParameters.from_covariances(*draw) for draw in draws]
    parameters = bg.MixtureParameters(
        *(
            np.stack([getattr(d, name) for d in draws])[None]
            for name in ("weights", "means", "scale_tril")
        )
    )
    return bg.MixtureFit.build(
        bg.MixtureSpec(parameters.n_components),
        bg.Observations(x, row_weights=row_weights),
        parameters,
        method="em" if len(draws) == 1 else "nuts",
        status=Status.CONVERGED,
        sample_stats={"lp": np.zeros((1, len(draws))) if lp is None else np.array([lp])},
        facts={},
    )


def line(weights, means, sds=None):
    """A mixture of one feature."""
    sds = np.ones(len(means)) if sds is None else np.asarray(sds, dtype=float)
    return weights, np.array(means, dtype=float)[:, None], (sds**2)[:, None, None]


def brute_ratio(log_density):
    """Modes and valleys of a curve by looking at its points."""
    h = log_density
    modes = np.flatnonzero((h[1:-1] > h[:-2]) & (h[1:-1] >= h[2:])) + 1
    if len(modes) < 2:
        return 1.0, len(modes)
    valley = h[modes[0] : modes[-1] + 1].min()
    return np.exp(valley - np.sort(h[modes])[-2]), len(modes)


# The ridgeline ------------------------------------------------------------


def test_ratio_in_one_dimension_is_that_of_a_fine_grid():
    rng = np.random.default_rng(1)
    bimodal = 0
    for _ in range(150):
        weights, means = rng.dirichlet([1, 1]), 3 * rng.normal(size=2)
        sds = np.exp(1.2 * rng.normal(size=2))
        margin = 0.01 * abs(means[1] - means[0])
        x = np.linspace(means.min() - margin, means.max() + margin, 50_001)
        mixture = bg.MixtureParameters.from_covariances(*line(weights, means, sds))
        expected, modes = brute_ratio(mixture.log_density(x))
        bimodal += modes == 2
        assert ridgeline_ratios(mixture)[0, 1] == pytest.approx(expected, abs=1e-6)
    assert 50 < bimodal < 130


def test_ratio_in_more_dimensions_is_that_along_the_published_curve():
    rng = np.random.default_rng(2)
    a = 1 / (1 + np.exp(-np.linspace(-40, 40, 4001)))
    for _ in range(60):
        d = int(rng.integers(2, 5))
        means = 2 * rng.normal(size=(2, d))
        tril = np.tril(rng.normal(size=(2, d, d)), -1) / 2
        tril[:, range(d), range(d)] = np.exp(rng.normal(size=(2, d)))
        mixture = bg.MixtureParameters(rng.dirichlet([1, 1]), means, tril)
        assert ridgeline_ratios(mixture)[0, 1] == pytest.approx(
            _along_curve(mixture, a)[0], abs=1e-3
        )


def _along_curve(mixture, a):
    first, second = np.linalg.inv(mixture.covariances)
    matrix = (1 - a)[:, None, None] * first + a[:, None, None] * second
    at_means = np.outer(1 - a, first @ mixture.means[0]) + np.outer(a, second @ mixture.means[1])
    x = np.linalg.solve(matrix, at_means[..., None])[..., 0]
    density = sum(
        w * multivariate_normal(m, s).pdf(x)
        for w, m, s in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    )
    # The curve stands still at its ends: what differs by rounding is one point.
    h = np.round(np.log(np.maximum(density, 1e-300)), 9)
    h = h[np.append(True, np.diff(h) != 0)]
    return brute_ratio(np.concatenate([[h[0] - 1], h, [h[-1] - 1]]))


def test_two_components_can_have_three_modes():
    # Ray and Lindsay's (2005) first example: two normals that cross.
    mixture = bg.MixtureParameters.from_covariances(
        [0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [np.diag([1, 0.05]), np.diag([0.05, 1])]
    )
    expected, modes = _along_curve(mixture, np.linspace(0, 1, 100_001))
    assert modes == 3
    assert ridgeline_ratios(mixture)[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("distance", "modes"), [(1.0, 1), (1.99, 1), (2.01, 2), (2.1, 2), (6, 2)])
def test_equal_unit_normals_are_bimodal_beyond_distance_two(distance, modes):
    for turn in (np.eye(3), np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]):
        means = np.array([[0, 0, 0], [distance, 0, 0]]) @ turn
        mixture = bg.MixtureParameters([0.5, 0.5], means, np.stack([np.eye(3)] * 2))
        assert (ridgeline_ratios(mixture)[0, 1] == 1) == (modes == 1)


def test_ratio_is_symmetric_and_does_not_depend_on_units():
    rng = np.random.default_rng(4)
    tril = np.tril(rng.normal(size=(5, 3, 4, 4)), -1) / 2 + np.eye(4)
    mixture = bg.MixtureParameters(rng.dirichlet([2] * 3, 5), rng.normal(size=(5, 3, 4)) * 2, tril)
    ratios = ridgeline_ratios(mixture)
    assert ratios.shape == (5, 3, 3)
    np.testing.assert_array_equal(ratios, np.swapaxes(ratios, -1, -2))
    np.testing.assert_array_equal(np.diagonal(ratios, axis1=-2, axis2=-1), 1)
    unit = np.array([1e-9, 1.0, 1e6, 30.0])
    moved = bg.MixtureParameters(mixture.weights, (mixture.means + 5) * unit, tril * unit[:, None])
    np.testing.assert_allclose(ridgeline_ratios(moved), ratios, rtol=1e-5)
    order = np.array([2, 0, 1])
    other = ridgeline_ratios(mixture.permute(order))
    np.testing.assert_allclose(other, ratios[:, order][:, :, order], rtol=1e-9)
    np.testing.assert_array_equal(ridgeline_ratios(mixture, cores=2), ratios)


def test_ratio_is_finite_at_the_edges():
    mixture = bg.MixtureParameters.from_covariances(
        *line([1 - 2e-12, 1e-12, 1e-12, 0], [0, 1e9, 0, 5], [1e-6, 1e6, 1e3, 1])
    )
    ratios = ridgeline_ratios(mixture)
    assert np.all((ratios >= 0) & (ratios <= 1))
    assert ratios[0, 2] == 1  # one mean, two widths


# Trees --------------------------------------------------------------------


def test_a_merged_cluster_is_one_normal_of_joint_moments():
    weights, means, sds = np.array([0.3, 0.5, 0.2]), np.array([0.0, 1.5, 7.0]), np.array([1, 2, 1])
    x = np.concatenate([np.linspace(-2, 4, 20), [7.0, 7.5]])
    table = merge_components(made_fit(x, [line(weights, means, sds)])).table
    assert table.loc[2, ["first", "second"]].tolist() == [(0,), (1,)]
    share = weights[:2] / weights[:2].sum()
    mean = share @ means[:2]
    variance = share @ (sds[:2] ** 2 + (means[:2] - mean) ** 2)
    pair = bg.MixtureParameters.from_covariances(
        *line([0.8, 0.2], [mean, 7.0], [np.sqrt(variance), 1.0])
    )
    assert table.loc[1, "ratio"] == pytest.approx(ridgeline_ratios(pair)[0, 1], rel=1e-9)


def slow_entropy_tree(shares, weights):
    """The definition, with the entropy made anew for each candidate."""

    def entropy(table):
        return -sum(
            w * r * np.log(r) for row, w in zip(table, weights, strict=True) for r in row if r > 0
        )

    groups = [(k,) for k in range(shares.shape[1])]
    pairs, entropies, rows = [], [entropy(shares)], []
    while len(groups) > 1:
        best = None
        for a in range(len(groups)):
            for b in range(a + 1, len(groups)):
                kept = [g for g in groups if g not in (groups[a], groups[b])]
                new = [groups[a] + groups[b], *kept]
                value = entropy(np.stack([shares[:, g].sum(axis=1) for g in new], axis=1))
                if best is None or value < best[0] - 1e-12:
                    best = value, (groups[a], groups[b]), new
        value, (first, second), groups = best
        table = np.stack([shares[:, g].sum(axis=1) for g in groups], axis=1)
        pairs.append(sorted((min(first), min(second))))
        entropies.append(value)
        rows.append(weights[table.argmax(axis=1) == 0].sum())
        groups = sorted(groups, key=min)
    return np.array(pairs), np.array(entropies), np.array(rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_entropy_tree_is_that_of_the_definition(weighted):
    rng = np.random.default_rng(5)
    shares = rng.dirichlet([0.3, 0.3, 0.5, 0.4, 0.2], size=60)
    weights = rng.uniform(0, 3, 60) if weighted else np.ones(60)
    pairs, entropy, rows, n_empty = entropy_tree(shares, weights if weighted else None)
    expected = slow_entropy_tree(shares, weights)
    np.testing.assert_array_equal(pairs, expected[0])
    np.testing.assert_allclose(entropy, expected[1], atol=1e-9)
    np.testing.assert_allclose(rows, expected[2])
    assert n_empty == 0 and entropy[-1] == pytest.approx(0, abs=1e-9)


def test_elbow_is_where_two_lines_fit_best():
    rng = np.random.default_rng(6)
    for size in (3, 5, 9):
        x, y = np.cumsum(rng.uniform(1, 9, size)), np.sort(rng.uniform(0, 50, size))[::-1]
        misfits = {}
        for at in range(1, size - 1):
            parts = ((x[: at + 1], y[: at + 1]), (x[at:], y[at:]))
            misfits[at] = sum(
                np.square(np.polyval(np.polyfit(*part, 1), part[0]) - part[1]).sum()
                for part in parts
            )
        assert elbow(x, y) == min(misfits, key=misfits.get)
    assert elbow(np.arange(2.0), np.array([3.0, 0.0])) == 0
    assert elbow(np.zeros(4), np.zeros(4)) == 1  # nothing to see, and no error


@pytest.mark.parametrize("slope", [0.1, 0.3, 0.7, 1 / 3])
@pytest.mark.parametrize("unit", [1.0, 10.0, 1e-9])
def test_on_a_straight_line_the_elbow_is_the_first_point(slope, unit):
    for n in (4, 5, 6, 12):
        x = np.arange(float(n))
        assert elbow(x * unit, slope * (n - 1 - x)) == 1


def test_where_the_elbow_cuts():
    rows = np.array([100.0, 100.0, 200.0, 300.0])
    assert chosen_merges(np.array([60.0, 31.0, 2.0, 1.0, 0.0]), rows, 0, None) == 2
    assert chosen_merges(np.array([60.0, 31.0, 2.0, 1.0, 0.0]), rows, 1, None) == 2
    assert chosen_merges(np.array([0.5, 0.2, 0.1, 0.05, 0.0]), rows, 0, None) == 0  # certain
    assert chosen_merges(np.array([50.0, 0.0]), np.array([90.0]), 0, None) == 0  # K = 2
    assert chosen_merges(np.array([60.0, 40.0, 0.0]), rows[:2], 0, None) == 1  # K = 3
    assert chosen_merges(np.array([60.0, 40.0, 0.0]), rows[:2], 0, 0.1) == 2
    assert chosen_merges(np.array([60.0, 40.0, 0.0]), rows[:2], 0, 0.3) == 0
    assert chosen_merges(np.array([60.0, 40.0, 0.0]), rows[:2], 0, 0.0) == 2


def test_ties_go_to_the_first_pair():
    scores = np.full((2, 3, 3), -np.inf)
    scores[:, [0, 0, 1], [1, 2, 2]] = [[0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    i, j = best_pairs(scores, np.zeros((2, 3), dtype=bool))
    assert i.tolist() == [0, 0] and j.tolist() == [1, 2]
    i, j = best_pairs(scores, np.array([[False, False, True]] * 2))
    assert i.tolist() == [0, 0] and j.tolist() == [2, 2]  # only pairs with the empty one


# Fits ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bent():
    """A skewed cluster, which needs two normals or three, and a round one far away."""
    rng = np.random.default_rng(7)
    u = rng.exponential(size=400)
    skewed = np.column_stack([2 * u, np.sqrt(u)]) + rng.normal(scale=0.25, size=(400, 2))
    return np.vstack([skewed, rng.normal([0, 12], 0.7, size=(200, 2))])


# The elbow is at the first of two merges that both lower the entropy: a threshold sees both.
@pytest.mark.parametrize(
    ("by", "k", "threshold"),
    [("ridgeline", 3, None), ("ridgeline", 4, None), ("entropy", 3, None), ("entropy", 4, 0.05)],
)
def test_a_skewed_cluster_is_one_and_a_far_one_stays(bent, by, k, threshold):
    fit = bg.fit(bg.MixtureSpec(k), bent, method="map", seed=1)
    merging = merge_components(fit, by=by, threshold=threshold)
    assert merging.memberships.sizes["cluster"] == 2
    labels = merging.labels.values
    assert labels[0] != labels[-1]
    assert np.all(labels[:400] == labels[0]) and np.all(labels[400:] == labels[-1])
    assert merging.n_clusters.to_dict() == {2: 1.0}
    np.testing.assert_array_equal(merging.clusters[fit.predict()], labels)
    np.testing.assert_allclose(merging.memberships.sum("cluster"), 1)
    assert merging.table.index.tolist() == list(range(k, 0, -1))
    assert merging.table["taken"].tolist() == [True] * (k - 1) + [False]


def test_a_long_cluster_of_many_parts_is_one():
    means = np.column_stack([np.arange(0, 9, 1.5), np.zeros(6)])
    means = np.vstack([means, [[4.0, 20.0]]])
    weights = np.append(np.full(6, 0.8 / 6), 0.2)
    mixture = (weights, means, np.stack([np.eye(2)] * 7))
    x, _ = bg.MixtureParameters.from_covariances(*mixture).simulate(700, seed=8)
    for by, threshold in (("ridgeline", None), ("entropy", 0.05)):
        merging = merge_components(made_fit(x, [mixture]), by=by, threshold=threshold)
        assert merging.clusters.values.tolist() == [0] * 6 + [1], by


@pytest.mark.parametrize("by", METHODS)
def test_one_component_is_one_cluster(faithful, by):
    fit = bg.fit(bg.MixtureSpec(1), faithful, method="laplace", draws=50, seed=1)
    for one in (fit, bg.fit(bg.MixtureSpec(1), faithful, method="em")):
        merging = merge_components(one, by=by)
        assert merging.n_clusters.to_dict() == {1: 1.0}
        assert len(merging.table) == 1 and not merging.labels.any()
        assert "1 component in 1 cluster" in str(merging)


@pytest.mark.parametrize("by", METHODS)
def test_an_empty_component_is_no_cluster(by):
    x = np.concatenate([np.linspace(-2, 2, 40), np.linspace(18, 22, 40)])
    for empty in (1e-12, 0.0):
        w = (1 - empty) / 2
        merging = merge_components(made_fit(x, [line([w, empty, w], [0, 500, 20])]), by=by)
        assert merging.memberships.sizes["cluster"] == 2
        assert merging.table["empty"].tolist() == [False, True, False]
        assert merging.table["taken"].tolist() == [True, True, False]
        assert merging.labels.values.tolist() == [0] * 40 + [1] * 40
    # Empty in some draws only, and never of consequence.
    full = line([0.4, 0.2, 0.4], [0, 20.5, 20], [1, 2, 1])
    hollow = line([0.5, 1e-12, 0.5 - 1e-12], [0, 500, 20])
    merging = merge_components(made_fit(x, [full, hollow, hollow, full]), by=by)
    assert merging.n_clusters.to_dict() == {2: 1.0}


def test_an_empty_component_lends_weight_and_no_shape():
    x = np.concatenate([np.linspace(-2, 2, 40), np.linspace(3, 7, 40)])
    mixture = line([0.5, 0.01, 0.49], [0, 1000, 5], [1, 30, 1])
    table = merge_components(made_fit(x, [mixture])).table
    assert table.loc[2, "second"] == (1,) or table.loc[2, "first"] == (1,)
    ratios = [
        ridgeline_ratios(bg.MixtureParameters.from_covariances(*line([a, 1 - a], [0, 5])))[0, 1]
        for a in (0.5, 0.51)
    ]
    assert min(abs(table.loc[1, "ratio"] - ratio) for ratio in ratios) < 1e-9


@pytest.mark.parametrize("by", METHODS)
def test_identical_components_are_one_cluster(by):
    x = np.linspace(-2, 2, 50)
    for means in ([0, 0], [0, 0, 0, 0]):
        k = len(means)
        merging = merge_components(made_fit(x, [line([1 / k] * k, means)]), by=by)
        assert merging.n_clusters.to_dict() == {1: 1.0}
        assert merging.table["first"].tolist() == [(), *(tuple(range(i)) for i in range(1, k))]
        numbers = merging.table.drop(columns=["first", "second"])
        assert np.isfinite(numbers.to_numpy(float)[1:]).all()


@pytest.mark.parametrize("by", METHODS)
def test_all_rows_in_one_cluster(by):
    x = np.linspace(-2, 2, 50)
    merging = merge_components(made_fit(x, [line([0.6, 0.2, 0.2], [0, 80, 160])]), by=by)
    assert merging.n_clusters.to_dict() == {1: 1.0} and not merging.labels.any()


# Posteriors ---------------------------------------------------------------


def test_each_draw_is_merged_by_itself_and_shown_is_the_likeliest_of_the_commonest():
    x = np.concatenate([np.linspace(-2, 2, 40), np.linspace(3, 7, 40)])
    apart, near = line([0.5, 0.5], [0, 5]), line([0.5, 0.5], [1, 2], [2, 2])
    fit = made_fit(x, [apart, near, apart, near, apart, apart], lp=[1, 9, 3, 8, 2, 0])
    merging = merge_components(fit)
    assert merging.n_clusters.to_dict() == pytest.approx({1: 1 / 3, 2: 2 / 3})
    assert merging.shown == "in draw 2 of chain 0"
    assert merging.clusters.values.tolist() == [0, 1]
    assert merge_components(fit, max_draws=2).n_clusters.to_dict() == {2: 1.0}  # first and last
    assert merge_components(fit, threshold=0).n_clusters.to_dict() == {1: 1.0}
    text = str(merging)
    assert "over the draws, with probability: 1 (0.333), 2 (0.667)" in text
    assert repr(merging) == text


@pytest.mark.parametrize("by", METHODS)
def test_labels_may_differ_between_draws(by):
    rng = np.random.default_rng(9)
    x = np.concatenate([rng.normal(0, 1, 60), rng.normal(9, 1, 60)])
    draws = []
    for _ in range(8):
        means = np.array([-0.5, 0.5, 9]) + rng.normal(scale=0.1, size=3)
        draws.append((np.array([0.25, 0.25, 0.5]), means))
    fits = []
    for switched in (False, True):
        orders = [rng.permutation(3) if switched else np.arange(3) for _ in draws]
        pairs = zip(draws, orders, strict=True)
        fits.append(made_fit(x, [line(w[order], m[order]) for (w, m), order in pairs]))
    counts = [merge_components(fit, by=by).n_clusters.to_dict() for fit in fits]
    assert counts[0] == counts[1] == {2: 1.0}


@pytest.mark.parametrize("by", METHODS)
def test_faithful_is_two_clusters_by_every_method(faithful, nuts_faithful, em_faithful, by):
    with warnings.catch_warnings():  # its k-hat is about 0.7, and merging takes any draws
        warnings.simplefilter("ignore", bg.FitWarning)
        laplace = bg.fit(bg.MixtureSpec(3), faithful, method="laplace", draws=200, seed=1)
    for fit in (nuts_faithful, em_faithful, laplace):
        merging = merge_components(fit, by=by, max_draws=200)
        assert merging.n_clusters.idxmax() == 2
        assert merging.n_clusters.sum() == pytest.approx(1)
        assert merging.labels.sizes == {"obs": 272}
        assert sorted(np.bincount(merging.labels)) == pytest.approx([97, 175], abs=3)
    one = merge_components(nuts_faithful, by=by, max_draws=200, cores=1)
    two = merge_components(nuts_faithful, by=by, max_draws=200, cores=2)
    assert one.n_clusters.equals(two.n_clusters) and one.table.equals(two.table)


def test_memberships_of_the_entropy_are_those_of_predict(nuts_faithful):
    merging = merge_components(nuts_faithful, by="entropy", max_draws=20)
    assert merging.clusters.values.tolist() == [0, 1]  # K = 2 has no elbow
    np.testing.assert_array_equal(merging.labels, nuts_faithful.predict())
    assert "averaged" in merging.shown
    entropy = merging.table.loc[2, "entropy"]
    shares = nuts_faithful.predict_proba().values
    assert entropy == pytest.approx(-(shares * np.log(np.maximum(shares, 1e-300))).sum())


def test_row_weights_count_rows():
    x = np.concatenate([np.linspace(-2, 2, 30), np.linspace(2, 6, 30), np.linspace(18, 22, 9)])
    weights = np.concatenate([np.full(30, 2.0), np.full(30, 1.0), np.full(9, 3.0)])
    mixture = line([0.5, 0.3, 0.2], [0, 3, 20])
    for by in METHODS:
        weighted = merge_components(made_fit(x, [mixture], row_weights=weights), by=by)
        repeated = merge_components(made_fit(np.repeat(x, weights.astype(int)), [mixture]), by=by)
        columns = ["first", "second", "taken"]
        assert weighted.table[columns].equals(repeated.table[columns])
        values = [m.table.drop(columns=columns).to_numpy(float) for m in (weighted, repeated)]
        np.testing.assert_allclose(*values, atol=1e-9)
        assert str(weighted) == str(repeated)
    # A component that only rows of weight 0 belong to is empty.
    none = np.where(x > 10, 0.0, 1.0)
    merging = merge_components(made_fit(x, [mixture], row_weights=none))
    assert merging.table["empty"].sum() == 1


def test_refusals(em_faithful):
    with pytest.raises(bg.FitError, match="takes a MixtureFit, got dict"):
        merge_components({})
    with pytest.raises(bg.SpecError, match="'ridgeline' or 'entropy', got 'bic'"):
        merge_components(em_faithful, by="bic")
    for threshold in (1.5, -0.1, "x", np.nan, np.inf):
        with pytest.raises(bg.SpecError, match="from 0 to 1 or None, got"):
            merge_components(em_faithful, threshold=threshold)
    with pytest.raises(bg.SpecError, match="max_draws must be a whole number"):
        merge_components(em_faithful, max_draws=0)
    with pytest.raises(bg.SpecError, match="cores"):
        merge_components(em_faithful, cores=0)
