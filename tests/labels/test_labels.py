"""Relabelling against brute force over all permutations, and the verdict on labels."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chi2

import bayesgmm as bg
from bayesgmm.inference.convergence import AGREE, Convergence, by_component, r_hat_and_ess
from bayesgmm.inference.labels.matching import by_ecr, by_stephens, to_pivot
from bayesgmm.result.tree import with_facts, with_groups

pytestmark = pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")


def scattered(k, draws, *, apart, seed=0, d=2):
    """Draws about one mixture whose means are ``apart`` sds from each other, and the mixture."""
    rng = np.random.default_rng(seed)
    means = apart * np.arange(k)[:, None] * np.eye(1, d) + np.zeros((k, d))
    tril = np.broadcast_to(np.eye(d), (k, d, d))
    pivot = bg.MixtureParameters(np.full(k, 1 / k), means, tril)
    noisy = bg.MixtureParameters(
        rng.dirichlet(np.full(k, 50.0), size=draws),
        means + 0.2 * rng.normal(size=(draws, k, d)),
        tril * np.exp(0.1 * rng.normal(size=(draws, k, d, 1))),
    )
    return pivot, noisy, rng


def shuffled(draws, rng):
    k = draws.n_components
    order = np.stack([rng.permutation(k) for _ in range(len(draws.weights))])
    return draws.permute(order), np.argsort(order, axis=-1)


def methods(draws, pivot, x):
    groups, data = np.zeros(draws.n_components, int), bg.Observations(x, resolution=0)
    match = to_pivot(draws, pivot, len(x), groups=groups).permutation
    return {
        "pivot": match,
        "ecr": by_ecr(draws, pivot, data, groups, 2),
        "stephens": by_stephens(draws, match, data, groups, 2),
    }


def test_chains_in_every_permutation_are_brought_back_without_error():
    """Components 6 sd apart; 24 chains of 50 draws, one for each permutation of four labels."""
    pivot, draws, _ = scattered(4, 24 * 50, apart=6)
    orders = np.repeat(np.array(list(permutations(range(4)))), 50, axis=0)
    x = pivot.simulate(300, seed=1)[0]
    switched = draws.permute(orders)
    for name, found in methods(switched, pivot, x).items():
        np.testing.assert_array_equal(found, np.argsort(orders, axis=-1), err_msg=name)
    assert not to_pivot(switched, pivot, len(x), groups=np.zeros(4, int)).ambiguous.any()


@pytest.mark.slow
def test_nuts_chains_started_in_permuted_modes_come_back(blobs):
    """The same by sampling: every chain relabelled at random after the fact, then back."""
    _, x, _ = blobs
    fit = bg.fit(bg.MixtureSpec(3), x, method="nuts", seed=1, draws=200, tune=200, chains=3)
    assert fit.tree["fit/ambiguous"].item() == 0
    orders = np.array([[0, 1, 2], [2, 0, 1], [1, 0, 2]])[:, None].repeat(200, axis=1)
    switched = fit.relabelled(orders, {})
    for method in ("pivot", "ecr", "stephens"):
        again = bg.relabel(switched, method, pivot=bg.fit(fit.spec, x, method="map", seed=1))
        spread = again.parameters.means.std(axis=(0, 1)).max()
        assert spread < 1, method
        raw = bg.relabel(again, "none").parameters
        np.testing.assert_array_equal(raw.means, bg.relabel(fit, "none").parameters.means)


@pytest.mark.parametrize("apart", [0.5, 2.0])
def test_each_assignment_is_the_best_of_all_permutations(apart):
    pivot, draws, rng = scattered(3, 40, apart=apart)
    draws, _ = shuffled(draws, rng)
    x = pivot.simulate(50, seed=1)[0]
    found = methods(draws, pivot, x)
    places = pivot.memberships(x).argmax(-1)
    soft = draws.memberships(x)  # (S, N, K)
    ordered = np.take_along_axis(soft, found["stephens"][:, None, :], axis=-1)
    average = ordered.mean(axis=0)

    def kl(s, order):
        t = draws[s].permute(order)
        white = np.linalg.inv(t.scale_tril)
        ratio = white @ pivot.scale_tril
        shift = (white @ (t.means - pivot.means)[..., None])[..., 0]
        each = 0.5 * ((ratio**2).sum((-1, -2)) + (shift**2).sum(-1) - 2) - np.log(
            np.diagonal(ratio, axis1=-2, axis2=-1)
        ).sum(-1)
        return float(pivot.weights @ (each - np.log(t.weights)))

    costs = {
        "pivot": kl,
        "ecr": lambda s, order: -soft[s][np.arange(50), np.array(order)[places]].sum(),
        "stephens": lambda s, order: -(soft[s][:, list(order)] * np.log(average)).sum(),
    }
    for name, cost in costs.items():
        for s in range(40):
            best = min(cost(s, order) for order in permutations(range(3)))
            assert cost(s, found[name][s]) <= best + 1e-9, (name, s)


def test_ambiguity_is_what_an_exchange_costs():
    """Two equal normals c sds apart: 1/2 times KL twice is c^2 / 2 a row, so it counts where
    n c^2 / 2 < log 20."""
    n = 100
    edge = np.sqrt(2 * np.log(20) / n)
    for c, expected in ((0.98 * edge, True), (1.02 * edge, False)):
        mixture = bg.MixtureParameters([0.5, 0.5], [[0.0], [c]], np.ones((2, 1, 1)))
        match = to_pivot(mixture, mixture, n, groups=np.zeros(2, int))
        assert bool(match.ambiguous) is expected


def test_one_component_and_an_empty_one():
    one = bg.MixtureParameters(np.ones((5, 1)), np.zeros((5, 1, 1)), np.ones((5, 1, 1, 1)))
    match = to_pivot(one, one[0], 10, groups=np.zeros(1, int))
    assert match.permutation.shape == (5, 1)
    assert not match.ambiguous.any()
    pivot, draws, rng = scattered(3, 20, apart=6)
    weights = draws.weights.copy()
    weights[:10, 2] = 0.0
    weights /= weights.sum(-1, keepdims=True)
    emptied, back = shuffled(bg.MixtureParameters(weights, draws.means, draws.scale_tril), rng)
    x = pivot.simulate(60, seed=1)[0]
    for name, found in methods(emptied, pivot, x).items():
        assert np.array_equal(np.sort(found, axis=-1), np.sort(back, axis=-1)), name
        np.testing.assert_array_equal(found[10:], back[10:], err_msg=name)


def test_components_whose_scales_underflow_have_labels():
    """The loss is then beyond numbers, for one component and all labels of it."""
    draws = bg.MixtureParameters(
        np.full((2, 3), 1 / 3), [[[0.0], [5.0], [9.0]]] * 2, [[[[1.0]], [[1.0]], [[1e-160]]]] * 2
    )
    pivot = bg.MixtureParameters(np.full(3, 1 / 3), [[5.0], [0.0], [9.0]], np.ones((3, 1, 1)))
    match = to_pivot(draws, pivot, 10, groups=np.zeros(3, int))
    assert np.array_equal(np.sort(match.permutation, axis=-1), [[0, 1, 2]] * 2)


@pytest.mark.parametrize(
    ("by", "feature"),
    [("weights", None), ("means", "waiting"), ("scales", "eruptions"), ("means", None)],
)
def test_ordering_by_any_coordinate(by, feature, nuts_faithful):
    fit = bg.relabel(nuts_faithful, "order", by=by, feature=feature)
    values = getattr(fit.parameters, by)
    if by != "weights":
        values = values[..., fit.feature_names.index(feature or "eruptions")]
    assert np.all(np.diff(values, axis=-1) >= 0)
    mode = getattr(fit.mode(0), by)  # whose labels go with those of the draws
    if by != "weights":
        mode = mode[:, fit.feature_names.index(feature or "eruptions")]
    assert mode[0] < mode[1] and len(fit.modes) == len(nuts_faithful.modes)
    assert fit.log_likelihood == nuts_faithful.log_likelihood


def test_relabelling_refuses_what_it_cannot_do(nuts_faithful, em_faithful, faithful):
    with pytest.raises(bg.FitError, match="one point"):
        bg.relabel(em_faithful)
    with pytest.raises(bg.SpecError, match="no feature 'height'"):
        bg.relabel(nuts_faithful, "order", feature="height")
    with pytest.raises(bg.SpecError, match="'weights', 'means' or 'scales'"):
        bg.relabel(nuts_faithful, "order", by="covariances")
    with pytest.raises(bg.SpecError, match="method must be one of"):
        bg.relabel(nuts_faithful, "artificial")
    with pytest.raises(bg.FitError, match="pivot has other components"):
        bg.relabel(nuts_faithful, pivot=bg.fit(bg.MixtureSpec(1), faithful, method="map"))
    with pytest.raises(bg.FitError, match="pivot holds draws"):
        bg.relabel(nuts_faithful, pivot=nuts_faithful)


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 4, 5])
def test_galaxies_means_mix_wherever_what_labels_cannot_fool_does(k, galaxies):
    """Rank-normalised split R-hat by ArviZ, four chains of 1,000.

    Of eight halves that agree, with E effective draws in all, R-hat squared is about
    1 + (8 / E) chi^2_7 / 7: noise, of which 1 in 100,000 is left out.  E is that of what labels
    cannot fool, so that means which do not mix are not excused by their own.
    """
    fit = bg.fit(bg.MixtureSpec(k), galaxies, method="nuts", seed=1)
    label_free = float(fit.tree["fit/r_hat"])
    own = by_component(fit.parameters, fit.feature_names)
    means = np.stack([v for name, v in own.items() if name.startswith("means")], axis=-1)
    r_hat = r_hat_and_ess(means)[0].max()
    noise = 0.5 * 8 / float(fit.tree["fit/ess"]) * chi2.isf(1e-5, 7) / 7
    print(
        f"galaxies, K={k}: label-free R-hat {label_free:.4f}, means {r_hat:.4f}, "
        f"ambiguous {float(fit.tree['fit/ambiguous']):.1%}"
    )
    assert label_free >= AGREE or r_hat < max(AGREE, 1 + noise)
    assert str(fit.tree["fit/verdict"].item()) in repr(fit)


def test_r_hat_and_ess_are_arvizs(nuts_faithful):
    import arviz as az

    means = nuts_faithful.tree["posterior/means"]
    r_hat, ess = r_hat_and_ess(means.values.reshape(4, 1000, 4))
    np.testing.assert_allclose(r_hat, az.rhat(means).values.ravel(), rtol=1e-12)
    np.testing.assert_allclose(ess, az.ess(means).values.ravel(), rtol=1e-12)


def test_diagnosis_says_what_can_be_relied_on(nuts_faithful, em_faithful, two_ways):
    found = bg.diagnose(nuts_faithful)
    assert found.ok
    assert found.verdict.startswith("Chains agree on the density")
    assert "no draw" in found.verdict
    assert set(found.table["label_free"]) == {True, False}
    label_free = found.table[found.table["label_free"]]
    assert label_free.index.str.startswith("log density at row").any()
    assert all(name in str(found) for name in label_free.index[:3])
    with pytest.raises(bg.FitError, match="no draws to judge"):
        bg.diagnose(em_faithful)
    split = bg.diagnose(two_ways)
    assert not split.ok
    assert "disagree on the density" in split.verdict


@pytest.mark.parametrize(("r_hat", "words"), [
    (1.06, "Chains disagree a little on the density (R-hat 1.06): averages over the draws may be "
           "off by about 0.18 posterior standard deviations."),
    (1.2, "0.33 posterior standard deviations, so that they are rough and tails are worse."),
    (2.0, "0.87 posterior standard deviations or more, and nothing here is the posterior yet."),
])  # fmt: skip
def test_words_say_by_how_much_chains_disagree(r_hat, words):
    """The number is the root of (R-hat^2 - 1) / 4 chains."""
    assert words in Convergence(r_hat, 50.0, 1.0, 500.0, 0.0, 2, 4, 4000).words()


def test_chains_that_stay_where_they_are_put_averages_off_by_what_is_said():
    """Four chains about centres of their own, against the truth, which is 0.

    R-hat takes the halves of a chain for chains, which makes it less by a few per cent.
    """
    rng = np.random.default_rng(0)
    draws = 0.4 * rng.normal(size=(4, 1, 300)) + rng.normal(size=(4, 500, 300))
    said = np.sqrt((r_hat_and_ess(draws)[0] ** 2 - 1) / 4)
    off = draws.mean(axis=(0, 1))
    np.testing.assert_allclose(np.sqrt((said**2).mean()), np.sqrt((off**2).mean()), rtol=0.25)


def test_labels_that_switch_are_told_from_chains_that_disagree(nuts_faithful):
    """Two chains of four under exchanged labels: the density is fine, components are not."""
    orders = np.tile([0, 1], (4, 1000, 1))
    orders[2:] = [1, 0]
    switched = nuts_faithful.relabelled(orders, {})
    table = bg.diagnose(switched).table
    assert table.loc[table["label_free"], "r_hat"].max() < 1.01
    assert table.loc["means[0, waiting]", "r_hat"] > 1.5


def test_too_few_draws_for_a_verdict_are_not_called_converged():
    few = Convergence(np.nan, np.nan, np.nan, np.nan, 0.0, 2, 4, 16)
    assert few.status(1).value == "not mixed" and "too few" in few.words()


def test_status_and_verdict_go_with_the_labels(nuts_faithful):
    """Chains whose labels differ as they are drawn, and agree once relabelled."""
    statistics = nuts_faithful.tree["sample_stats"].to_dataset()
    orders = statistics["permutation"].copy(deep=True)
    orders[2:] = orders[2:, :, ::-1].values  # the other way round, whichever the sampler's was
    changed = {"sample_stats": statistics.assign(permutation=orders)}
    drawn = bg.MixtureFit(nuts_faithful.spec, with_groups(nuts_faithful.tree, changed))
    for method, status, words in (
        ("none", bg.Status.AMBIGUOUS_LABELS, "components cannot be told apart"),
        ("pivot", bg.Status.CONVERGED, "and on each component; labels are ambiguous in no draw"),
    ):
        again = bg.relabel(drawn, method)
        assert again.status is status and words in again.tree["fit/verdict"].item()
        assert bg.relabel(again, "pivot").status is bg.Status.CONVERGED
        assert bg.relabel(again, "none").status is bg.Status.AMBIGUOUS_LABELS


@pytest.mark.parametrize("status", [bg.Status.DIVERGENT, bg.Status.INTERRUPTED])
def test_what_befell_the_sampler_stays_whatever_the_labels(nuts_faithful, status):
    facts = with_facts(nuts_faithful.tree, {"status": status.value})
    drawn = bg.MixtureFit(nuts_faithful.spec, facts)
    assert bg.relabel(drawn, "none").status is status


def test_one_chain_is_compared_with_itself(faithful):
    fit = bg.fit(bg.MixtureSpec(1), faithful, method="nuts", seed=1, chains=1)
    assert fit.status.ok
    assert "Chains agree" in str(fit.tree["fit/verdict"].item())
