"""Comparison, agreement and selection, against ArviZ and against known answers."""

import arviz as az
import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.inference.labelling import to_pivot


@pytest.fixture(scope="module")
def tied_nuts(faithful):
    return bg.fit(bg.MixtureSpec(2, "tied"), faithful, method="nuts", seed=1)


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


def test_agreement_matches_components_whatever_their_order(em_faithful, nuts_faithful):
    reversed_point = em_faithful.parameters[0, 0].permute([1, 0])
    other = bg.fit(
        em_faithful.spec, em_faithful.observations, method="em", start=reversed_point
    )
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
    back = shuffled.permute(to_pivot(shuffled, draws[0]).permutation)
    np.testing.assert_array_equal(back.means, draws.means)


def test_select_orders_models_and_samples_the_best(galaxies):
    seen = []
    chosen = bg.select(
        galaxies, range(1, 5), ["full", "tied"], seed=1, posteriors=2,
        sampling={"draws": 300, "tune": 300, "chains": 2},
        progress=lambda *report: seen.append(report),
    )  # fmt: skip
    table = chosen.table
    assert len(table) == 8
    assert list(table["bic"]) == sorted(table["bic"])
    assert table["elpd_loo"].notna().sum() == 2
    assert set(table.index[:2]) == set(chosen.posteriors)
    assert chosen.best.spec.label == table.index[0]
    assert chosen.fits["K=3, full"].log_likelihood >= -203.1793
    assert chosen.verdict.startswith(f"BIC prefers {table.index[0]}")
    assert "elpd_loo puts" in chosen.verdict
    assert table.index[0] in repr(chosen)
    assert any(what.startswith("sampling") for what, _, _ in seen)
    with pytest.raises(bg.FitError, match="There is no fit 'K=9, full'"):
        chosen["K=9, full"]


def test_a_model_of_two_names_is_compared_once(galaxies):
    """One feature: full, diag and spherical are one model; so are K = 1, full and tied."""
    chosen = bg.select(galaxies, [1, 2, 3], posteriors=0, seed=1)
    first = chosen.table.index[0]
    second = chosen.verdict.split(" below ")[1].rstrip(".")
    assert len(chosen.table) == 12
    assert chosen[second].log_likelihood != pytest.approx(chosen[first].log_likelihood)


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
