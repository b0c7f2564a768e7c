"""Comparison, agreement and selection, against ArviZ and against known answers."""

from dataclasses import replace

import arviz as az
import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.analysis.compare import compare, ranks
from bayesgmm.analysis.selection.screening import ordered
from bayesgmm.inference.labels.matching import to_pivot
from bayesgmm.result.tree import with_facts


@pytest.fixture(scope="module")
def tied_nuts(faithful):
    return bg.fit(bg.MixtureSpec(2, "tied"), faithful, method="nuts", seed=1)


@pytest.mark.slow
def test_compare_reproduces_arviz(nuts_faithful, tied_nuts, em_faithful):
    table = bg.compare({"em": em_faithful, "full": nuts_faithful, "tied": tied_nuts})
    assert list(table.index) == ["full", "tied", "em"]
    peer = az.compare({"full": nuts_faithful.tree, "tied": tied_nuts.tree}, round_to="none")
    for name in ("full", "tied"):
        loo = az.loo({"full": nuts_faithful, "tied": tied_nuts}[name].tree)
        np.testing.assert_allclose(table.loc[name, "elpd_loo"], loo.elpd, atol=1e-8)
        np.testing.assert_allclose(table.loc[name, "elpd_loo_se"], loo.se, atol=1e-8)
        for column in ("elpd_diff", "dse", "weight"):
            np.testing.assert_allclose(
                table.loc[name, column], float(peer.loc[name, column]), atol=1e-8
            )
    assert table.loc["em", "bic"] == em_faithful.bic()
    assert np.isnan(table.loc["full", "bic"])
    assert np.isnan(table.loc["em", "elpd_loo"])


def test_compare_refuses_other_data_and_nothing(em_faithful, faithful):
    other = bg.fit(bg.MixtureSpec(2), faithful[:100], seed=0)
    with pytest.raises(bg.FitError, match="different data"):
        bg.compare({"a": em_faithful, "b": other})
    with pytest.raises(bg.FitError, match="at least one"):
        bg.compare({})
    with pytest.raises(bg.FitError, match="needs a posterior"):
        bg.elpd_loo(em_faithful)


def test_agreement_says_where_the_point_lies(em_faithful, nuts_faithful):
    table = bg.agreement(em_faithful, nuts_faithful)
    draws = nuts_faithful.tree["posterior"]
    row = table.loc["means[1, waiting]"]
    values = draws["means"].sel(component=1, feature="waiting").values
    point = em_faithful.tree["posterior/means"].sel(component=1, feature="waiting").item()
    assert row["point"] == point
    np.testing.assert_allclose(row["mean"], values.mean())
    np.testing.assert_allclose(row["quantile"], (values < point).mean())
    np.testing.assert_allclose([row["lower"], row["upper"]], np.quantile(values, [0.055, 0.945]))
    assert np.all(np.abs(table["z"]) < 2)  # a likelihood of 272 rows and weak priors
    assert len(table) == 2 + 4 + 4 + 2


def with_status(fit, status):
    return bg.MixtureFit(fit.spec, with_facts(fit.tree, {"status": status.value}))


SAYS = {
    "elpd_loo": lambda fit: bg.elpd_loo(fit),
    "compare": lambda fit: bg.compare({"a": fit}),
    "partition": lambda fit: bg.partition(fit, max_draws=50, runs=1, seed=1),
    "WAIC": lambda fit: bg.waic(fit),
    "DIC": lambda fit: bg.dic(fit),
}


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.filterwarnings("ignore:.*has a variance above 0.4")
def test_what_rests_on_draws_warns_of_those_that_are_not_the_posterior(name, nuts_faithful):
    """Pareto k-hat sees nothing of it: these draws are good, and only said not to be."""
    what = "elpd_loo" if name == "compare" else name
    for status in (
        bg.Status.MULTIMODAL,
        bg.Status.NOT_MIXED,
        bg.Status.DIVERGENT,
        bg.Status.CHAIN_LOST,
        bg.Status.UNRELIABLE,
    ):
        with pytest.warns(bg.FitWarning, match=f"^{what} of K=2, full by nuts is uncertain") as got:
            SAYS[name](with_status(nuts_faithful, status))
        told = str(next(w.message for w in got if "is uncertain, for the fit" in str(w.message)))
        assert repr(status.value) in told and status.remedy[1:].rstrip(".") in told
        assert got[0].filename == __file__
    SAYS[name](with_status(nuts_faithful, bg.Status.AMBIGUOUS_LABELS))  # no label matters here


def test_agreement_warns_of_labels_as_well(em_faithful, nuts_faithful):
    for status in (bg.Status.AMBIGUOUS_LABELS, bg.Status.MULTIMODAL):
        with pytest.warns(bg.FitWarning, match=f"^agreement of .* fit is '{status.value}'"):
            bg.agreement(em_faithful, with_status(nuts_faithful, status))
    with pytest.warns(bg.FitWarning, match="agreement of K=2, full by em"):
        bg.agreement(with_status(em_faithful, bg.Status.ITERATION_LIMIT), nuts_faithful)


def test_agreement_matches_components_whatever_their_order(em_faithful, nuts_faithful):
    reversed_point = em_faithful.parameters[0, 0].permute([1, 0])
    other = bg.fit(em_faithful.spec, em_faithful.observations, method="em", start=reversed_point)
    assert other.parameters.means[0, 0, 0, 1] > other.parameters.means[0, 0, 1, 1]
    a, b = (bg.agreement(fit, nuts_faithful) for fit in (em_faithful, other))
    np.testing.assert_allclose(a["point"], b["point"], rtol=1e-4)


def test_agreement_refuses_what_does_not_belong(em_faithful, nuts_faithful, tied_nuts):
    with pytest.raises(bg.FitError, match="first fit holds draws"):
        bg.agreement(nuts_faithful, nuts_faithful)
    with pytest.raises(bg.FitError, match="different models"):
        bg.agreement(em_faithful, tied_nuts)
    with pytest.raises(bg.SpecError, match="mass must be a number between 0 and 1, got"):
        bg.agreement(em_faithful, nuts_faithful, mass=1.5)


@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_relabelling_undoes_any_permutation_of_separated_components(k):
    """Components 6 sd apart: every draw comes back without error."""
    rng = np.random.default_rng(k)
    means = 6.0 * np.arange(k)[:, None] + rng.normal(size=(200, k, 2)) * 0.3
    weights = rng.dirichlet(np.full(k, 50.0), size=200)
    tril = np.broadcast_to(np.eye(2), (200, k, 2, 2)) * rng.uniform(0.9, 1.1, (200, k, 1, 1))
    draws = bg.MixtureParameters(weights, means, tril)
    shuffled = draws.permute(np.stack([rng.permutation(k) for _ in range(200)]))
    back = shuffled.permute(to_pivot(shuffled, draws[0], groups=np.zeros(k, int)).permutation)
    np.testing.assert_array_equal(back.means, draws.means)


@pytest.mark.slow
def test_select_orders_models_and_samples_the_best(galaxies):
    seen = []
    chosen = bg.select(
        galaxies,
        range(1, 5),
        ["full", "tied"],
        seed=1,
        posteriors=2,
        sampling=bg.NUTS(draws=300, tune=300, chains=2),
        progress=lambda *report: seen.append(report),
    )
    table = chosen.table
    assert len(table) == 7  # at K = 1 tied is full
    assert list(table["bic"]) == sorted(table["bic"])
    assert table["elpd_loo"].notna().sum() == 2
    assert set(table.index[:2]) == set(chosen.posteriors)
    assert chosen.best.spec.label == table.index[0]
    assert chosen.fits["K=3, full"].log_likelihood >= -203.1793
    assert chosen.verdict.startswith(f"BIC prefers {table.index[0]}")
    told = chosen.verdict.split("; ")[1]
    assert told.startswith("elpd_loo ") and all(label in told for label in chosen.posteriors)
    assert table.index[0] in repr(chosen)
    assert any(what.startswith("sampling") for what, _, _ in seen)
    with pytest.raises(bg.FitError, match="There is no fit 'K=9, full'"):
        chosen["K=9, full"]


def test_elpd_loo_orders_two_models_in_words_where_it_can(galaxies):
    """Within twice its error which is above is noise, and the words are the same either way."""
    chosen = bg.select(
        galaxies,
        [1, 2],
        ["full"],
        seed=1,
        sampling=bg.NUTS(draws=100, tune=100, chains=1),
    )
    first, second = chosen.table.index

    def told(gap):
        table = chosen.table.copy()
        table["elpd_loo"] = [-210.0, -210.0 + gap]
        table["dse"] = [0.0, 2.0] if gap < 0 else [2.0, 0.0]
        return replace(chosen, table=table).verdict.split("; ")[1]

    near = f"elpd_loo does not tell {first} from {second}, with a difference of 3.0 ± 2.0, less"
    assert told(3.0).startswith(near) and told(-3.0).startswith(near)
    far = "by 5.0 ± 2.0, more than twice its error"
    assert told(5.0).startswith(f"elpd_loo puts {second} above {first} {far}")
    assert told(-5.0).startswith(f"elpd_loo puts {first} above {second} {far}")


def test_a_model_of_two_names_is_one_row(galaxies):
    """One feature: full, diag and spherical are one model; so are K = 1, full and tied."""
    chosen = bg.select(
        galaxies, [1, 2], ["spherical", "diag", "tied", "full", "full"], posteriors=0, seed=1
    )
    table = chosen.table
    assert set(table.index) == {"K=1, full", "K=2, full", "K=2, tied"}
    assert list(table.loc[["K=1, full", "K=2, full", "K=2, tied"], "same_as"]) == [
        "tied, diag, spherical",
        "diag, spherical",
        "",
    ]
    for name in ("K=1, tied", "K=1, diag", "K=1, spherical"):
        assert chosen[name] is chosen["K=1, full"]
    assert chosen["K=2, spherical"] is chosen["K=2, full"]
    assert chosen.verdict.startswith("BIC prefers K=2, full, 16.2 below K=2, tied")
    assert "same_as" in repr(chosen)
    assert chosen.bootstrap_test("K=1, tied", "K=2, diag", max_replicates=1, seed=1).p_value == 0.5


def test_a_model_has_the_plainest_of_the_names_asked_for(faithful):
    chosen = bg.select(faithful, [1, 2], ["tied"], posteriors=0, seed=1)
    assert list(chosen.table.index) == ["K=2, tied", "K=1, tied"]
    assert not chosen.table["same_as"].any()
    assert "same_as" not in repr(chosen)
    assert chosen["K=1, full"] is chosen["K=1, tied"]
    with pytest.raises(bg.FitError, match="There is no fit 'K=2, full'"):
        chosen["K=2, full"]


@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_synonyms_are_models_of_one_likelihood(k, d):
    """By what EM finds from the same rows."""
    x = np.random.default_rng(k + d).normal(size=(60, d))
    x[20:] += 4.0  # two clusters, so that a sound maximum of two is not far to seek
    fits = {
        s: bg.fit(bg.MixtureSpec(k, s), x, n_starts=3, n_best=1, rounds=1, seed=1)
        for s in ("full", "tied", "diag", "spherical")
    }
    for name, fit in fits.items():
        for other, peer in fits.items():
            same = other in fit.spec.synonyms(d)
            assert same == (name in peer.spec.synonyms(d))
            if same:
                assert fit.n_parameters == peer.n_parameters
                assert fit.log_likelihood == pytest.approx(peer.log_likelihood, rel=1e-7)
            else:
                assert fit.log_likelihood != pytest.approx(peer.log_likelihood, rel=1e-7)


def test_what_is_equal_up_to_rounding_stands_by_simplicity():
    """Failed models as well, which have no criterion."""
    import pandas as pd

    bic = 2322.19
    rows = {
        "K=3, diag": (3, "diag", 8, bic - 1e-9),
        "K=2, diag": (2, "diag", 8, bic),
        "K=2, full": (2, "full", 8, bic + 1e-9),
        "K=3, tied": (3, "tied", 7, bic + 2e-9),
        "K=1, full": (1, "full", 5, bic - 0.01),
        "K=5, full": (5, "full", np.nan, np.nan),
        "K=4, diag": (4, "diag", np.nan, np.nan),
        "K=4, full": (4, "full", np.nan, np.nan),
    }
    columns = ["n_components", "covariance", "n_parameters", "bic"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table["log_evidence"] = np.nan
    table["status"] = np.where(table["bic"].isna(), "too few rows", "converged")
    expected = [
        "K=1, full",
        "K=3, tied",
        "K=2, full",
        "K=2, diag",
        "K=3, diag",
        "K=4, full",
        "K=4, diag",
        "K=5, full",
    ]
    for by in ("bic", "evidence"):
        assert list(ordered(table, by).index) == expected
        assert list(ordered(table[::-1], by).index) == expected


def test_compare_keeps_both_of_equal_fits_in_the_order_given(faithful):
    fits = {s: bg.fit(bg.MixtureSpec(1, s), faithful, seed=1) for s in ("full", "tied")}
    for names in (["full", "tied"], ["tied", "full"]):
        table = bg.compare({name: fits[name] for name in names})
        assert list(table.index) == names


def test_agreement_knows_a_model_by_another_name(faithful):
    point = bg.fit(bg.MixtureSpec(1, "tied"), faithful, method="em")
    draws = bg.fit(bg.MixtureSpec(1, "full"), faithful, method="laplace", draws=200, seed=1)
    assert np.all(bg.agreement(point, draws)["z"].dropna().abs() < 1)  # the weight is 1


def test_a_model_that_fails_is_a_row_with_its_reason():
    x = np.random.default_rng(0).normal(size=(12, 3))
    chosen = bg.select(x, [1, 4], ["full", "diag"], posteriors=0, seed=0)
    failed = chosen.table.loc["K=4, full"]
    assert "too few for 4 full covariance" in failed["status"]
    assert np.isnan(failed["bic"])
    assert chosen.table.index[-1] == "K=4, full"
    assert "K=1, full" in chosen.fits


def test_select_refuses_nonsense(galaxies):
    with pytest.raises(bg.SpecError, match="by must be one of"):
        bg.select(galaxies, by="luck")
    with pytest.raises(bg.SpecError, match="no model to fit"):
        bg.select(galaxies, [])
    with pytest.raises(bg.FitError, match="No model could be fitted"):
        bg.select(galaxies[:3], [5], ["full"])


def test_compare_refuses_rows_that_were_not_seen_alike():
    x = np.append(np.random.default_rng(0).normal(size=30), np.arange(4.0, 14.0))[:, None]
    first = np.where(np.arange(40) < 30, 1.0, 3.0)
    seen = [
        {"resolution": 0},
        {"resolution": 0.01},
        {"resolution": 0, "row_weights": first},
        {"resolution": 0, "row_weights": first[::-1] * first.sum() / first[::-1].sum()},
        {"resolution": 0, "row_weights": np.roll(first, 1)},
        {"resolution": 0, "errors": 0.1},
        {"resolution": 0, "labels": np.zeros(40)},
        {"resolution": 0, "selection": [[-9], [99]]},
    ]
    fits = [
        bg.fit(bg.MixtureSpec(1), bg.Observations(x, **how), method="map", seed=1) for how in seen
    ]
    for i, one in enumerate(fits):
        for other in fits[:i]:
            with pytest.raises(bg.FitError, match="'a' and 'b' were fitted to different data"):
                compare({"a": one, "b": other})
    ones = bg.Observations(x, resolution=0, row_weights=np.ones(40), background=[[-9], [99]])
    noisy = [
        bg.fit(bg.MixtureSpec(1, noise=True), rows, method="map", seed=1)
        for rows in (ones, bg.Observations(ones, background=[[-9], [50]]))
    ]
    same = bg.fit(bg.MixtureSpec(1), ones, method="map", seed=1)
    assert len(compare({"a": fits[0], "b": same, "c": noisy[0]})) == 3
    with pytest.raises(bg.FitError, match="'b' and 'c' were fitted to different data"):
        compare({"a": same, "b": noisy[0], "c": noisy[1]})


def test_ranks_of_what_is_not_finite():
    found = ranks([1.0, np.inf, 2.0, -np.inf, np.inf, np.nan, 1.0])
    np.testing.assert_array_equal(found, [1, 3, 2, 0, 3, np.nan, 1])
