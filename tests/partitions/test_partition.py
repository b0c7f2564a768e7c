"""Partitions: losses and matrices by their definitions, the search against exhaustion."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import binom
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg
from bayesgmm.analysis.partitions.allocations import as_allocations, draw_allocations, occupied
from bayesgmm.analysis.partitions.comparison import compare_partitions
from bayesgmm.analysis.partitions.credible_ball import CredibleBall
from bayesgmm.analysis.partitions.loss import (
    binder_loss,
    canonical,
    distances,
    expected_losses,
    variation_of_information,
)
from bayesgmm.analysis.partitions.partition import partition
from bayesgmm.analysis.partitions.similarity import similarity
from bayesgmm.errors import DataError, FitError, FitWarning, SpecError
from bayesgmm.mixture.noise import Noise
from tests.support import fit_of

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "partitions.py"
LOSSES = ("vi", "binder")
MEASURE = {"vi": variation_of_information, "binder": binder_loss}


def vi_by_definition(a, b):
    """H(a) + H(b) - 2 I(a, b) from the joint probabilities."""
    joint = pd.crosstab(a, b).to_numpy() / len(a)
    pa, pb = joint.sum(axis=1), joint.sum(axis=0)
    entropy = -(pa * np.log2(pa)).sum() - (pb * np.log2(pb)).sum()
    inside = joint > 0
    return entropy - 2 * (joint[inside] * np.log2(joint[inside] / np.outer(pa, pb)[inside])).sum()


def binder_by_definition(a, b):
    n = len(a)
    pairs = ((a[i] == a[j]) != (b[i] == b[j]) for i in range(n) for j in range(i))
    return 2 * sum(pairs) / n**2


def noisy(n, s, k, noise, seed):
    """Allocation draws about a base partition; some rows are surer than others."""
    rng = np.random.default_rng(seed)
    base = rng.integers(k, size=n)
    wrong = rng.random((s, n)) < rng.random(n) * noise
    return np.where(wrong, rng.integers(k, size=(s, n)), base)


def all_partitions(n):
    """Restricted growth strings: every partition of n rows, once."""
    found = [[0]]
    for _ in range(n - 1):
        found = [[*p, k] for p in found for k in range(max(p) + 2)]
    return np.array(found, dtype=np.int16)


def mean_losses(candidates, draws, loss):
    numbered, widths = canonical(as_allocations(draws, len(draws)))
    return np.array([distances(c, numbered, widths, loss).mean() for c in candidates])


@pytest.fixture(scope="module")
def overlap():
    """A posterior of 300 rows in four components that overlap."""
    rng = np.random.default_rng(3)
    mixture = bg.MixtureParameters(
        [0.4, 0.3, 0.2, 0.1], rng.normal(size=(4, 2)) * 2.5, np.broadcast_to(np.eye(2), (4, 2, 2))
    )
    x, truth = mixture.simulate(300, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # draws of any quality have a partition
        return bg.fit(bg.MixtureSpec(4), x, method="laplace", draws=300, seed=1), truth


# Losses ---------------------------------------------------------------------


def test_losses_are_what_they_are_defined_to_be():
    rng = np.random.default_rng(0)
    for n, j, k in ((2, 2, 2), (7, 3, 2), (40, 5, 9), (200, 1, 4)):
        a, b = rng.integers(j, size=n), rng.integers(k, size=n)
        assert variation_of_information(a, b) == pytest.approx(vi_by_definition(a, b), abs=1e-12)
        assert binder_loss(a, b) == pytest.approx(binder_by_definition(a, b), abs=1e-12)


def test_agreement_at_the_extremes():
    one, single = np.zeros(6, int), np.arange(6)
    for a in (one, single):
        assert variation_of_information(a, a) == binder_loss(a, a) == 0.0
    assert variation_of_information(one, single) == pytest.approx(np.log2(6))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_to_draws_agree_with_pairs(loss):
    for n, k in ((60, 4), (12, 9)):  # fewer and more cells than rows
        draws = as_allocations(noisy(n, 20, k, 1.0, 1), 20)
        numbered, widths = canonical(draws)
        pairs = np.array([[MEASURE[loss](a, b) for b in draws] for a in draws])
        assert distances(numbered[3], numbered, widths, loss) == pytest.approx(pairs[3], abs=1e-12)
        for cores in (1, 2):
            expected = expected_losses(numbered, widths, loss, cores)
            assert expected == pytest.approx(pairs.mean(axis=1), abs=1e-12)


# Allocations -----------------------------------------------------------------


def test_allocations_follow_the_memberships(overlap):
    fit, _ = overlap
    draws = draw_allocations(fit, seed=1)
    assert draws.shape == (300, 300) and draws.dtype == np.int16
    share = (draws[:, :, None] == np.arange(4)).mean(axis=0)
    error = np.abs(share - fit.predict_proba().values)
    assert error.max() < 5 * 0.5 / np.sqrt(300)
    assert draw_allocations(fit, max_draws=7, seed=1).shape == (7, 300)


def test_allocations_do_not_depend_on_threads(overlap):
    fit, _ = overlap
    one, two = (draw_allocations(fit, seed=5, cores=cores) for cores in (1, 2))
    assert np.array_equal(one, two)
    sequence = np.random.SeedSequence(5)
    assert np.array_equal(one, draw_allocations(fit, seed=sequence))
    assert np.array_equal(one, draw_allocations(fit, seed=sequence))  # which is left as it was
    assert not np.array_equal(one, draw_allocations(fit, seed=6))


def test_a_point_fit_draws_from_its_one_mixture(em_faithful):
    draws = draw_allocations(em_faithful, max_draws=400, seed=1)
    share = (draws == 1).mean(axis=0)
    assert np.abs(share - em_faithful.predict_proba().values[:, 1]).max() < 5 * 0.5 / 20


def test_occupied_counts_components_with_rows():
    draws = [[0, 0, 1], [2, 2, 2], [1, 0, 2], [2, 0, 0]]
    assert occupied(draws).to_dict() == {1: 0.25, 2: 0.5, 3: 0.25}


# The search -------------------------------------------------------------------


def test_noise_and_rows_of_no_weight_occupy_nothing():
    x = np.concatenate([np.linspace(-1, 1, 40), [10.0, 10.5, 11.0], [-90.0, 90.0]])[:, None]
    weights = np.where((x[:, 0] > 9) & (x[:, 0] < 12), 0.0, 1.0)
    rows = bg.Observations(x, row_weights=weights, background=[[-99], [99]], resolution=0)
    parameters = bg.MixtureParameters(
        np.array([[[0.9, 0.05]]]),
        np.array([[[[0.0], [10.5]]]]),
        np.full((1, 1, 2, 1, 1), 0.5),
        Noise(np.array([[0.05]]), rows.views.background),
    )
    fit = fit_of(parameters, rows)
    assert occupied(fit, max_draws=50, seed=1).to_dict() == {1: 1.0}
    found = bg.partition(fit, max_draws=50, runs=1, seed=1)
    assert found.occupied.to_dict() == {1: 1.0} and found.allocations.max() == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_no_partition_at_all_is_better(loss):
    for n, noise, seed in ((8, 1.0, 0), (7, 1.0, 1), (7, 0.5, 2), (6, 2.0, 3)):
        draws = noisy(n, 25, 3, noise, seed)
        least = mean_losses(all_partitions(n), draws, loss).min()
        found = partition(draws, loss=loss, seed=1, runs=4)
        assert found.expected_loss == pytest.approx(least, abs=1e-10)


def plain_greedy(draws, loss, restarts, seed):
    """The least expected loss of random starts, each row moved for as long as that helps."""
    rng = np.random.default_rng(seed)
    s, n = draws.shape
    k = draws.max() + 3
    size = np.arange(n + 1.0)
    f = size**2 if loss == "binder" else size * np.log2(np.maximum(size, 1))
    gain = np.append(np.diff(f), 0.0)
    every, best = np.arange(s), np.inf
    for _ in range(restarts):
        labels = rng.integers(rng.integers(1, k) + 1, size=n)
        counts = np.zeros((s, k, k), int)  # draw, its cluster, our cluster
        np.add.at(counts, (every[:, None], draws, labels), 1)
        sizes = np.bincount(labels, minlength=k)
        moved = True
        while moved:
            moved = False
            for row in rng.permutation(n):
                own, mine = labels[row], counts[every, draws[:, row]]
                sizes[own] -= 1
                mine[:, own] -= 1
                cost = gain[sizes] - 2 * gain[mine].mean(axis=0)
                to = int(np.argmin(cost))
                to = own if cost[own] <= cost[to] + 1e-9 else to
                sizes[to] += 1
                mine[:, to] += 1
                if to != own:
                    counts[every, draws[:, row]] = mine
                    labels[row], moved = to, True
        numbered = canonical(labels[None].astype(np.int16))[0]
        best = min(best, mean_losses(numbered, draws, loss)[0])
    return best


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_never_above_a_hundred_plain_searches_nor_a_draw(overlap, loss):
    fit, _ = overlap
    draws = draw_allocations(fit, max_draws=200, seed=1)
    found = partition(draws, loss=loss, seed=1)
    assert found.expected_loss <= plain_greedy(draws, loss, 100, 7) + 1e-9
    assert found.expected_loss <= mean_losses(canonical(draws)[0], draws, loss).min() + 1e-12


@pytest.mark.filterwarnings("ignore:partition of K=4")
def test_the_loss_it_reports_is_its_loss(overlap):
    fit, truth = overlap
    found = partition(fit, seed=1, runs=3)
    own = [variation_of_information(found.labels, draw) for draw in found.allocations]
    assert found.expected_loss == pytest.approx(np.mean(own), abs=1e-12)
    assert compare_partitions(found, truth).adjusted_rand > 0.4


@pytest.mark.filterwarnings("ignore:partition of K=4")
def test_it_does_not_depend_on_threads(overlap):
    fit, _ = overlap
    results = [
        partition(fit, max_draws=100, runs=5, seed=seed, cores=cores)
        for seed, cores in ((3, 1), (3, 2), (np.random.SeedSequence(3), 2))
    ]
    for other in results[1:]:
        assert np.array_equal(results[0].labels, other.labels)
        assert results[0].expected_loss == other.expected_loss
        assert np.array_equal(results[0].allocations, other.allocations)


def test_more_clusters_than_any_draw_has():
    draws = np.random.default_rng(0).integers(3, size=(100, 60))
    alone = partition(draws, loss="binder", seed=1, runs=2)  # pairs are together in a third
    assert alone.n_clusters > 50  # a pair or two are together in half the draws
    few = partition(draws, loss="binder", seed=1, runs=2, max_clusters=3)
    assert few.n_clusters <= 3 and few.expected_loss > alone.expected_loss
    one = partition(draws, max_clusters=1, runs=1, seed=1)  # no draw is so small
    assert one.n_clusters == 1 and one.expected_loss == pytest.approx(
        np.mean([variation_of_information(np.zeros(60), draw) for draw in draws])
    )


@pytest.mark.filterwarnings("ignore:partition of K=4")
def test_progress_and_interruption(overlap):
    fit, _ = overlap
    told = []
    partition(fit, max_draws=100, runs=3, seed=1, progress=lambda *what: told.append(what))
    assert ("comparing draws", 100, 100) in told and ("searching partitions", 7, 7) in told

    def impatient(stage, done, total):
        if stage == "searching partitions" and done == 2:
            raise KeyboardInterrupt

    for cores in (1, 2):
        with pytest.warns(FitWarning, match="interrupted after"):
            found = partition(fit, max_draws=100, seed=1, cores=cores, progress=impatient)
        assert found.n_runs < 20
        assert (
            found.expected_loss
            <= mean_losses(canonical(found.allocations)[0], found.allocations, "vi").min() + 1e-12
        )


# What is said of a partition ---------------------------------------------------


def test_similarity_is_the_share_of_draws_together():
    for s, n in ((13, 150), (40_000, 3)):  # several tiles; more draws than a counter holds
        draws = as_allocations(np.random.default_rng(0).integers(4, size=(s, n)), s)
        brute = np.array(
            [[(draws[:, i] == draws[:, j]).mean() for j in range(n)] for i in range(n)]
        )
        for cores in (1, 2):
            assert np.abs(similarity(draws, cores=cores) - brute).max() < 1e-6


@pytest.mark.filterwarnings("ignore:partition of K=4")
def test_similarity_of_a_partition_and_certainty(overlap):
    fit, _ = overlap
    found = partition(fit, runs=2, seed=1)
    whole = found.similarity()
    assert whole.dims == ("obs", "obs_bis") and whole.dtype == np.float32
    for rows in ([7, 3, 250], slice(5, 20), np.array([0])):
        assert np.array_equal(found.similarity(rows), whole.values[rows][:, rows])
    same = found.labels.values[:, None] == found.labels.values
    np.fill_diagonal(same, False)
    expected = (whole.values * same).sum(axis=1) / same.sum(axis=1)
    assert np.abs(found.certainty.values - expected).max() < 1e-5


def test_a_row_alone_is_certain_where_it_is_alone():
    found = partition([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]], seed=1)
    assert found.labels.values.tolist() == [0, 0, 1]
    assert found.certainty.values.tolist() == [1.0, 1.0, 0.75]


@pytest.mark.parametrize("loss", LOSSES)
def test_credible_ball_by_its_definition(loss):
    draws = noisy(12, 200, 3, 0.7, 5)
    found = partition(draws, loss=loss, mass=0.8, runs=3, seed=1)
    ball = found.credible_ball
    far = np.array([MEASURE[loss](found.labels.values, draw) for draw in draws])
    inside = far <= ball.radius + 1e-9
    assert inside.mean() == ball.covered >= 0.8
    assert (far < ball.radius - 1e-9).mean() < 0.8  # no smaller ball would do
    k = np.array([len(set(draw)) for draw in draws])
    for name, among in (
        ("horizontal", inside),
        ("upper", inside & (k == k[inside].min())),
        ("lower", inside & (k == k[inside].max())),
    ):
        bound = getattr(ball, name)
        wanted = among & (np.abs(far - far[among].max()) < 1e-9)
        numbered = canonical(as_allocations(draws[wanted], len(draws)))[0]
        assert {tuple(p) for p in bound.values} == {tuple(p) for p in numbered}, name
        assert bound.dims == ("bound", "obs") and len(np.unique(bound, axis=0)) == len(bound)
    assert draws[inside][0] in ball and draws[~inside][0] not in ball
    with pytest.raises(DataError, match="12 rows"):
        [0, 1] in ball  # noqa: B015


@pytest.mark.parametrize("mass", [0.07, 0.14, 0.28, 0.29, 0.56, 0.57, 0.58])
def test_a_credible_ball_has_no_draw_too_many(mass):
    """Where mass times 100 draws is a whole number up to rounding."""
    draws = np.array([[0] * (200 - i) + [1] * i for i in range(100)], dtype=np.int16)
    far, center = np.arange(100) / 100, xr.DataArray(np.zeros(200, dtype=np.int64), dims="obs")
    ball = CredibleBall.around(center, draws, far, "vi", mass)
    assert (ball.covered, ball.radius) == (mass, far[round(100 * mass) - 1])


def test_credible_ball_holds_the_truth():
    simulate = runpy.run_path(str(BENCHMARK))
    held = simulate["coverage"](simulate["known_mixture"], 20, runs=1, max_draws=300)
    assert binom.cdf(held, 20, 0.95) > 1e-3  # 16 or more


# Degenerate cases ----------------------------------------------------------------


def test_one_component(galaxies):
    found = partition(bg.fit(bg.MixtureSpec(1), galaxies, method="em"), max_draws=20, seed=1)
    assert found.n_clusters == 1 and found.expected_loss == 0.0
    assert (found.certainty == 1).all() and found.occupied.to_dict() == {1: 1.0}
    assert found.credible_ball.radius == 0.0 and found.credible_ball.covered == 1.0
    assert (found.similarity() == 1).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_draws_with_empty_components_and_all_rows_together(loss):
    draws = np.array([[0, 0, 2, 2], [1, 1, 1, 1], [3, 3, 3, 3], [2, 2, 2, 2]])
    found = partition(draws, loss=loss, seed=1)
    assert found.n_clusters == 1  # three draws of four have one cluster, whatever its label
    assert found.occupied.to_dict() == {1: 0.75, 2: 0.25}
    ball = partition(draws, loss=loss, mass=0.9, seed=1).credible_ball
    assert ball.lower.values.tolist() == [[0, 0, 1, 1]]
    assert ball.upper.values.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("loss", LOSSES)
def test_ties_are_broken_alike(loss):
    draws = np.array([[0, 0, 1, 1], [0, 1, 0, 1]] * 10)
    found = [partition(draws, loss=loss, seed=1, cores=cores) for cores in (1, 2)]
    assert np.array_equal(found[0].labels, found[1].labels)
    least = mean_losses(all_partitions(4), draws, loss).min()
    assert found[0].expected_loss == pytest.approx(least, abs=1e-12)


def test_one_row_one_draw_and_odd_labels():
    assert partition([[4], [7]]).labels.values.tolist() == [0]
    assert partition([[9, 9, -5]]).labels.values.tolist() == [0, 0, 1]
    ids = np.array([[10**12, 10**12, -3], [7, 7, 10**15]])
    assert partition(ids, seed=1).labels.values.tolist() == [0, 0, 1]
    chains = np.zeros((2, 5, 3), dtype=np.uint8)  # chain, draw, row
    assert partition(chains, seed=1).allocations.shape == (10, 3)
    all_apart = np.tile(np.arange(50), (5, 1))
    assert partition(all_apart, seed=1).n_clusters == 50


@pytest.mark.parametrize(
    ("draws", "options", "error", "words"),
    [
        ([0, 1, 1], {}, DataError, "give \\(draws, rows\\)"),
        (np.zeros((0, 3), int), {}, DataError, "at least one"),
        ([[0.0, 1.5]], {}, DataError, "whole numbers"),
        ([["a", "b"]], {}, DataError, "whole numbers"),
        (np.arange(40_000)[None], {}, DataError, "40000 different labels"),
        ([[0, 1]], {"loss": "rand"}, SpecError, "loss must be 'vi' or 'binder', got 'rand'"),
        ([[0, 1]], {"mass": 1.0}, SpecError, "between 0 and 1"),
        ([[0, 1]], {"runs": 0}, SpecError, "runs must be"),
        ([[0, 1]], {"max_draws": 2.5}, SpecError, "max_draws must be"),
        ([[0, 1]], {"max_clusters": 0}, SpecError, "max_clusters must be"),
        ([[0, 1]], {"cores": 0}, SpecError, "cores"),
    ],
)
def test_what_cannot_be_partitioned_is_refused(draws, options, error, words):
    with pytest.raises(error, match=words):
        partition(draws, **options)


def test_allocations_need_a_fit():
    with pytest.raises(FitError, match="MixtureFit, got list"):
        draw_allocations([[0, 1]])


# Comparison and print ----------------------------------------------------------------


def test_compare_with_kmeans_a_fit_and_a_partition(faithful, em_faithful):
    kmeans = KMeans(2, n_init=3, random_state=1).fit(faithful)
    versus = compare_partitions(em_faithful, kmeans)
    labels = em_faithful.predict().values
    assert versus.adjusted_rand == pytest.approx(adjusted_rand_score(labels, kmeans.labels_))
    assert versus.variation_of_information == pytest.approx(
        vi_by_definition(labels, kmeans.labels_)
    )
    assert versus.binder == pytest.approx(binder_by_definition(labels, kmeans.labels_))
    assert (versus.table.to_numpy() == pd.crosstab(labels, kmeans.labels_).to_numpy()).all()
    assert (versus.table.index.name, versus.table.columns.name) == ("component", "KMeans")
    found = partition(em_faithful, max_draws=100, runs=2, seed=1)
    assert found.table(labels).to_numpy().sum() == 272
    twice = compare_partitions(found, found)
    assert twice.adjusted_rand == 1 and twice.variation_of_information == 0
    assert twice.table.index.name == "cluster (first)"


def test_compare_takes_a_merging(em_faithful):
    merging = bg.merge_components(em_faithful)
    found = compare_partitions(em_faithful, merging)
    assert found.adjusted_rand == 1
    assert (found.table.index.name, found.table.columns.name) == ("component", "cluster")


def test_compare_takes_labels_of_any_kind():
    names = pd.Series(["a", "b", "a"], index=[5, 6, 7], name="species")
    array = xr.DataArray([1, 2, 1], dims="obs")
    versus = compare_partitions(names, array)
    assert versus.adjusted_rand == 1.0 and versus.table.loc["a", 1] == 2
    assert "Adjusted Rand index 1 (1 is the same)" in repr(versus) and "species" in repr(versus)
    assert "<table" in versus._repr_html_()
    with pytest.raises(DataError, match="no label in 1 rows"):
        compare_partitions([0.0, np.nan], [0, 1])
    one_masked = np.empty(2, dtype=object)
    one_masked[:] = 0, np.ma.masked
    for hidden in (np.ma.masked_array([0, 1], [False, True]), one_masked):
        with pytest.raises(DataError, match="no label in 1 rows"):
            compare_partitions(hidden, [0, 1])
    with pytest.raises(DataError, match="cannot be counted"):
        compare_partitions(pd.Series([[0], [1]]), [0, 1])
    with pytest.raises(DataError, match="3 and 2 rows"):
        compare_partitions([0, 1, 1], [0, 1])
    with pytest.raises(DataError, match="one label for each row"):
        compare_partitions([[0, 1]], [0, 1])


def test_it_prints_what_a_stranger_understands(nuts_faithful):
    found = partition(nuts_faithful, max_draws=100, runs=2, seed=1)
    text = repr(found)
    for words in (
        "Partition of 272 rows into 2 clusters",
        "Expected variation of information",
        "bits",
        "95 % credible ball: draws within",
        "Occupied components: 2 (100 %)",
        "Least certain rows",
    ):
        assert words in text
    assert found.sizes.sum() == 272 and "<strong>Partition of 272 rows" in found._repr_html_()
    assert list(found.labels["obs"].values) == list(nuts_faithful.observations.index)
