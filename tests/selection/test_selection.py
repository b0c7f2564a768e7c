"""Selection with evidence: probabilities, averages, resumption, the bootstrap test."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.analysis.selection import bootstrap, candidates
from bayesgmm.analysis.selection.model_probabilities import prior_of, probabilities
from bayesgmm.analysis.selection.selected import Selection, _shared
from bayesgmm.analysis.selection.unsampled import guessed_log_evidence, next_to_sample, share_of
from bayesgmm.result.tree import with_facts

FAST = bg.NUTS(draws=400, tune=300, chains=2)


@pytest.fixture(scope="module")
def by_all(faithful):
    return bg.select(
        faithful,
        [1, 2, 3],
        ["full", "tied"],
        by="all",
        posteriors=4,
        unsampled=0.0,
        seed=1,
        sampling=FAST,
    )


@pytest.mark.slow
def test_the_table_has_everything_of_what_was_sampled(by_all):
    table = by_all.table
    sampled = table[[label in by_all.posteriors for label in table.index]]
    assert len(sampled) == 4
    columns = [
        "elpd_loo",
        "elpd_loo_se",
        "log_evidence",
        "log_evidence_se",
        "probability",
        "probability_se",
        "weight",
        "elpd_diff",
        "dse",
        "bad_rows",
    ]
    assert sampled[columns].notna().all().all()
    assert sampled["probability"].sum() == pytest.approx(1)
    assert sampled["weight"].sum() == pytest.approx(1)
    assert list(sampled["log_evidence"]) == sorted(sampled["log_evidence"], reverse=True)
    assert list(table.index[:4]) == list(sampled.index)


def test_probabilities_are_bayes_theorem(by_all):
    known = by_all.table.dropna(subset=["log_evidence"])
    log = known["log_evidence"].to_numpy()
    counts = by_all.table.groupby("n_components").size()[known["n_components"]].to_numpy()
    expected = np.exp(log - log.max()) / counts  # uniform on K, then on its candidates
    np.testing.assert_allclose(known["probability"], expected / expected.sum(), rtol=1e-10)
    by_k = by_all.n_components_probability
    assert by_k.sum() == pytest.approx(1)
    only_two, _ = probabilities(known, {2: 1.0}, 1)
    assert only_two[known["n_components"] == 2].sum() == pytest.approx(1)
    assert np.isnan(probabilities(known, {9: 1.0}, 1)).all()
    known = known.assign(log_evidence=1000.0 * known["n_components"])  # the best has no weight
    assert probabilities(known, {2: 1.0}, 1)[0][known["n_components"] == 2].sum() == 1


def test_a_prior_on_k_has_to_be_of_what_is_asked_for(faithful):
    for prior in ({}, {9: 1.0}, {1: 0, 9: 1.0}):
        with pytest.raises(bg.SpecError, match=r"no weight to any K of n_components, \[1, 2\]"):
            bg.select(faithful, [2, 1], prior_on_k=prior)


def test_errors_of_probabilities_are_those_of_the_evidence(by_all):
    """Two models: the error of p is p (1 - p) times that of the difference (delta method)."""
    table = by_all.table.dropna(subset=["log_evidence"]).iloc[:2].copy()
    table["log_evidence"], table["log_evidence_se"] = [0.0, -0.5], [0.03, 0.04]
    table["n_components"] = [2, 3]
    mean, error = probabilities(table, None, 1)
    np.testing.assert_allclose(error, mean.prod() * 0.05, rtol=0.1)


def test_elpd_differences_are_arvizs(by_all):
    """``arviz.compare`` on the same trees."""
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows with a large k-hat, which both count
        theirs = az.compare(
            {name: fit.tree for name, fit in by_all.posteriors.items()}, round_to="none"
        )
    for label, row in theirs.iterrows():
        ours = by_all.table.loc[label]
        for mine, other in (
            ("elpd_loo", "elpd"),
            ("elpd_diff", "elpd_diff"),
            ("dse", "dse"),
            ("elpd_loo_se", "se"),
        ):
            assert abs(float(ours[mine]) - float(row[other])) < 1e-8


def test_best_and_labels_give_posteriors_where_there_are_any(by_all):
    assert by_all.best.is_posterior
    assert by_all.best.spec.label == by_all.table.index[0]
    assert not by_all["K=1, full"].is_posterior or "K=1, full" in by_all.posteriors
    assert by_all.simplest in by_all.posteriors
    assert "has probability" in by_all.verdict and "among them" in by_all.verdict
    assert "the other one, not sampled, may hold under 0.1 % of" in by_all.verdict
    assert "K = 3, the largest asked for, has probability" in by_all.verdict
    assert "BIC prefers" in by_all.verdict
    assert by_all.verdict in repr(by_all)


def test_a_selection_tests_its_models_by_bootstrap(by_all):
    found = by_all.bootstrap_test("K=1, full", "K=2, full", max_replicates=9, seed=1)
    assert found.p_value == 0.1
    with pytest.raises(bg.FitError, match="There is no fit 'K=7, full'"):
        by_all.bootstrap_test("K=1, full", "K=7, full")


@pytest.mark.filterwarnings("ignore:average of")  # of short chains
def test_the_average_is_the_average(by_all, faithful):
    x = faithful[:20]
    for by, column in (("evidence", "probability"), ("stacking", "weight")):
        expected = sum(
            by_all.table.loc[label, column] * np.exp(fit.score_samples(x).values)
            for label, fit in by_all.posteriors.items()
        )
        found = by_all.average(by).log_density(x)
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-9)
    made = by_all.average().generate(50, seed=1)
    assert made["x"].shape == (50, 2)
    with pytest.raises(bg.SpecError, match="'evidence' or 'stacking'"):
        by_all.average("luck")
    with pytest.raises(bg.FitError, match="No model has a probability"):
        bg.select(faithful, [1], ["full"], posteriors=0, seed=1).average()


@pytest.mark.filterwarnings("ignore:average of")
def test_an_average_warns_of_chains_that_did_not_converge(by_all):
    label = str(by_all.table["probability"].idxmax())
    fit = by_all.posteriors[label]
    unmixed = bg.MixtureFit(fit.spec, with_facts(fit.tree, {"status": "not mixed"}))
    changed = dataclasses.replace(by_all, posteriors={**by_all.posteriors, label: unmixed})
    with pytest.warns(bg.FitWarning, match=f"^average of {label} by nuts is uncertain"):
        changed.average()


# Which models are sampled -------------------------------------------------------------


def candidates_of(rng):
    """Models whose evidence rises to some K of their structure and falls faster and faster.

    -BIC / 2 is off by an amount that grows with K, as the evidence charges less for a
    component too many.
    """
    rows = {}
    for structure in ("full", "tied", "diag"):
        best, top = rng.integers(1, 7), -100 - rng.exponential(4.0)
        rises, falls = rng.uniform(1.0, 20.0, 10), np.sort(rng.uniform(0.2, 2.0, 10))
        k = np.arange(1, 9)
        true = top - np.where(
            k < best,
            [rises[: max(best - j, 0)].sum() for j in k],
            [falls[: max(j - best, 0)].sum() for j in k],
        )
        offset = rng.uniform(-4, 0) + rng.uniform(0.5, 2.0) * np.maximum(k - best, 0)
        for j in range(8):
            rows[f"K={k[j]}, {structure}"] = (k[j], structure, -2 * (true[j] - offset[j]), true[j])
    columns = ["n_components", "covariance", "bic", "true"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).sort_values("bic")
    return table.assign(noise=False, log_evidence=np.nan)


def sampled(table, most=99, enough=0.02, prior=None):
    tried = []
    while len(tried) < most:
        label = next_to_sample(table, tried, "evidence", prior, enough)
        if label is None:
            break
        table.loc[label, "log_evidence"] = table.loc[label, "true"]
        tried.append(label)
    return tried


@pytest.mark.parametrize("seed", range(20))
def test_sampling_ends_when_the_rest_holds_little_and_the_next_k_is_known(seed):
    """Against the evidence of all, which the search is not shown."""
    table = candidates_of(np.random.default_rng(seed))
    tried = sampled(table)
    weights = prior_of(table, None) * np.exp(table["true"] - table["true"].max())
    rest = weights[table["log_evidence"].isna()].sum() / weights.sum()
    assert rest < 0.02
    assert rest <= share_of(table, None)[table["log_evidence"].isna()].sum() < 0.02
    best = table.loc[table["log_evidence"].idxmax()]
    assert best.name == table["true"].idxmax()
    if best["n_components"] < 8:
        assert f"K={best['n_components'] + 1}, {best['covariance']}" in tried
    assert len(tried) < len(table)
    again = candidates_of(np.random.default_rng(seed))
    assert sampled(again, most=3) == tried[:3]
    assert len(sampled(candidates_of(np.random.default_rng(seed)), enough=0.0)) == len(table)


def test_a_model_of_no_prior_weight_is_not_sampled():
    tried = sampled(candidates_of(np.random.default_rng(0)), prior={2: 1.0, 3: 1.0})
    assert tried and all(label.startswith(("K=2", "K=3")) for label in tried)


def test_guesses_are_those_that_are_described():
    rows = {
        "K=1, full": (1, "full", 240.0, np.nan),
        "K=2, full": (2, "full", 210.0, -104.0),
        "K=3, full": (3, "full", 214.0, -104.5),
        "K=4, full": (4, "full", 230.0, np.nan),
        "K=5, full": (5, "full", 200.0, np.nan),
        "K=2, tied": (2, "tied", 216.0, -109.0),
        "K=3, tied": (3, "tied", 230.0, np.nan),
        "K=3, diag": (3, "diag", 212.0, np.nan),
        "K=4, diag": (4, "diag", np.nan, np.nan),
    }
    columns = ["n_components", "covariance", "bic", "log_evidence"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).assign(noise=False)
    found = dict(zip(table.index, guessed_log_evidence(table), strict=True))
    assert found["K=2, full"] == -104.0
    assert found["K=1, full"] == -120 + 1.0  # by BIC and the K next to it
    assert found["K=4, full"] == -104.5 - 0.5  # it falls on
    assert found["K=5, full"] == -100 + 2.5  # BIC asks for it
    assert found["K=3, tied"] == -109 + 5  # no fall was seen
    assert found["K=3, diag"] == -106 + 2.5 + 5  # nothing of it was sampled
    assert found["K=4, diag"] == -np.inf


def test_with_noise_and_without_are_two_structures():
    rows = {
        "K=2, full": (2, False, 200.0, -110.0),
        "K=2, full, noise": (2, True, 180.0, -100.0),
        "K=3, full": (3, False, 210.0, -112.0),
        "K=4, full": (4, False, 220.0, np.nan),
        "K=3, full, noise": (3, True, 190.0, np.nan),
    }
    columns = ["n_components", "noise", "bic", "log_evidence"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table = table.assign(covariance="full", elpd_loo=table["log_evidence"])
    found = dict(zip(table.index, guessed_log_evidence(table), strict=True))
    assert found["K=4, full"] == -112 - 2  # it falls on
    assert found["K=3, full, noise"] == -100 + 5  # no fall was seen
    tried = [*list(table.index[:3]), "K=4, full"]
    for by in ("evidence", "loo"):  # the K after the best, of its own structure
        assert next_to_sample(table, tried, by, None, 0.02) == "K=3, full, noise"


@pytest.mark.parametrize("seed", range(10))
def test_where_all_may_be_left_nothing_is_sampled(seed):
    assert not sampled(candidates_of(np.random.default_rng(seed)), enough=1.0)


@pytest.mark.slow
def test_the_largest_k_sampled_is_not_the_best(galaxies):
    """Of two K; of many K the rule is tried above, and docs/choosing.md goes to six with draws."""
    seen = []
    found = bg.select(
        galaxies,
        [3, 4],
        ["full"],
        by="evidence",
        seed=1,
        sampling=FAST,
        progress=lambda *report: seen.append(report),
    )
    known = found.table["log_evidence"].dropna()
    best = int(found.table.loc[known.idxmax(), "n_components"])
    assert best == 4 or "K=4, full" in known or found.unsampled < 0.02
    assert (found.table.loc[known.index, "few_rows"] >= 0).all()
    assert any(": " in what and 0 < done < total for what, done, total in seen)
    few = found.table.loc[known.idxmax(), "few_rows"]
    assert ("components with fewer than 4 rows" in found.verdict) == (few >= 0.5)


@pytest.mark.slow
def test_sampling_ends_at_the_limit_and_says_what_it_leaves(galaxies):
    found = bg.select(
        galaxies, range(1, 6), ["full"], by="evidence", posteriors=2, seed=1, sampling=FAST
    )
    assert set(found.posteriors) == {"K=3, full", "K=4, full"}
    assert found.unsampled > 0.5
    assert "the 3 others, not sampled, may hold" in found.verdict
    assert "so sample more (posteriors=)" in found.verdict


@pytest.mark.slow
def test_a_run_with_a_folder_does_only_what_is_missing(faithful, tmp_path, monkeypatch):
    options = {
        "by": "evidence",
        "posteriors": 2,
        "unsampled": 0.0,
        "seed": 1,
        "sampling": FAST,
        "out": tmp_path / "study",
    }
    inner, made = candidates.fitted, []

    def counted(spec, data, method, **named):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append((spec.label, method.name))
        return inner(spec, data, method, **named)

    monkeypatch.setattr(candidates, "fitted", counted)
    with pytest.raises(KeyboardInterrupt):
        bg.select(faithful, [1, 2], ["full", "diag"], **options)
    first = list(made)
    made.clear()
    monkeypatch.setattr(
        candidates,
        "fitted",
        lambda spec, data, method, **n: (
            made.append((spec.label, method.name)),
            inner(spec, data, method, **n),
        )[1],
    )
    second = bg.select(faithful, [1, 2], ["full", "diag"], **options)
    assert not set(first) & set(made)
    assert len(first) + len(made) == 4 + 2
    made.clear()
    third = bg.select(faithful, [1, 2], ["full", "diag"], **options)
    assert not made
    np.testing.assert_array_equal(
        third.table["log_evidence"].to_numpy(float), second.table["log_evidence"].to_numpy(float)
    )
    # Another prior is another posterior, and the same EM fits.
    bg.select(faithful, [1, 2], ["full", "diag"], priors=bg.Priors(weights=3.0), **options)
    assert {method for _, method in made} >= {"nuts"}
    damaged = next((tmp_path / "study").glob("*-nuts-*.nc"))
    damaged.write_bytes(b"not a fit")
    made.clear()
    bg.select(faithful, [1, 2], ["full", "diag"], **options)
    assert len(made) <= 1


@pytest.mark.slow
def test_two_processes_in_one_folder_do_not_spoil_each_other(tmp_path):
    code = (
        "import sys, bayesgmm as bg\n"
        "found = bg.select(bg.datasets.galaxies(), [1, 2, 3], ['full', 'tied'], posteriors=1,\n"
        "    seed=1, out=sys.argv[1], sampling=bg.NUTS(draws=100, tune=100, chains=1))\n"
        "print(found.table['bic'].round(6).tolist())\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert printed[0][0] == printed[1][0]
    files = list(tmp_path.glob("*"))
    assert len(files) == 6  # five by EM (K=1 is one model) and one by NUTS, nothing left over
    for file in files:
        bg.load(file)


def test_a_folder_that_cannot_be_is_refused(faithful, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(bg.FileError, match="cannot be a folder"):
        bg.select(faithful, [1], ["full"], posteriors=0, out=tmp_path / "file")


def test_a_sampler_that_fails_is_a_reason_in_the_table(faithful, monkeypatch):
    inner = candidates.fitted

    def failing(spec, data, method, **named):
        if method.name == "nuts":
            raise bg.FitError("The sampler is broken.")
        return inner(spec, data, method, **named)

    monkeypatch.setattr(candidates, "fitted", failing)
    found = bg.select(faithful, [1, 2], ["full"], by="evidence", seed=1)
    assert set(found.table["sampling"]) == {"The sampler is broken."}
    assert found.verdict.startswith("No model has a probability")


def test_an_evidence_that_fails_loses_no_posterior(monkeypatch):
    def broken(*_, **__):
        raise bg.FitError("There is no evidence.")

    x = np.random.default_rng(0).normal(size=(40, 1))
    few = bg.NUTS(draws=49, chains=2, tune=50)
    with pytest.raises(bg.SpecError, match="needs 100 draws or more and sampling gives 98"):
        bg.select(x, [1], ["full"], by="all", sampling=few)
    monkeypatch.setattr(candidates, "estimated", broken)
    enough = bg.NUTS(draws=50, chains=2, tune=50)
    found = bg.select(x, [1, 2], ["full"], by="all", seed=1, sampling=enough)
    assert len(found.posteriors) == 2 and found.table["elpd_loo"].notna().all()
    assert set(found.table["evidence_note"]) == {"There is no evidence."}
    assert found.table["log_evidence"].isna().all()


def test_files_of_a_folder_are_of_one_question_alone(tmp_path):
    x = np.random.default_rng(0).uniform(-1, 1, (40, 1))
    box = [[-1.5], [1.5]]
    given = [
        bg.Observations(x),
        bg.Observations(x, background=box),
        bg.Observations(x, selection=box),
        bg.Observations(pd.DataFrame(x, index=np.arange(1000, 1040)), names=["x0"]),
    ]
    found = [bg.select(r, [1], ["full"], posteriors=0, out=tmp_path, seed=1) for r in given]
    assert len(list(tmp_path.glob("*.nc"))) == 4
    scales = [float(each.best.parameters.scales.squeeze()) for each in found]
    assert scales[0] == scales[1] == scales[3] < scales[2]
    assert list(found[3].best.predict()["obs"].values[:2]) == [1000, 1001]


def test_rows_that_are_not_in_memory_are_selected_with_a_folder(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 1))
    np.save(tmp_path / "rows.npy", x)
    for n in (1, 1, 2):  # again, and of other rows in the same place
        np.save(tmp_path / "rows.npy", n * x)
        rows = bg.Observations(str(tmp_path / "rows.npy"), in_memory=False)
        out = tmp_path / "study"
        found = bg.select(rows, [1], ["full"], posteriors=0, out=out, seed=1)
        assert len(list(out.glob("*.nc"))) == n
        scale = float(found.best.parameters.scales.squeeze())
        assert scale == pytest.approx(n * x.std()) and found.best.observations is rows


def test_options_that_can_be_read_once_are():
    x = np.random.default_rng(0).normal(size=(30, 2))
    options = {"noise": iter([False, True]), "posteriors": 0, "seed": 1}
    found = bg.select(x, (k for k in [1]), iter(["diag", "spherical"]), **options)
    names = {f"K=1, {name}{noise}" for name in ("diag", "spherical") for noise in ("", ", noise")}
    assert set(found.table.index) == names
    assert found.table["noise"].tolist() == [", noise" in name for name in found.table.index]
    assert "noise" in found._shown()
    plain = bg.select(x, [1], ["diag"], posteriors=0, seed=1)
    assert "noise" in plain.table and "noise" not in plain._shown()


def test_the_verdict_by_loo_is_of_all_that_were_sampled():
    x = np.random.default_rng(0).normal(size=(40, 1))
    fit = bg.fit(bg.MixtureSpec(1), x, method="em", seed=1)
    names = ["K=3, full", "K=2, full", "K=1, full"]
    table = pd.DataFrame(
        {
            "n_components": [3, 2, 1],
            "n_parameters": [8, 5, 2],
            "bic": [1.0, 2.0, 3.0],
            "status": ["spurious", "converged", "converged"],
            "elpd_loo": [-100.0, -110.0, -112.0],
            "elpd_diff": [0.0, 10.0, 12.0],
            "dse": [0.0, 4.0, 5.0],
            "sampling": "converged",
            "few_rows": 0.0,
        },
        index=names,
    )
    found = Selection(table, dict.fromkeys(names, fit), dict.fromkeys(names, fit), "loo")
    assert found.verdict.startswith("elpd_loo puts K=3, full above K=2, full by 10.0 ± 4.0, more")
    none = dataclasses.replace(found, table=table.assign(status="spurious"))
    assert none.verdict == found.verdict
    by_bic = dataclasses.replace(found, by="bic").verdict
    assert "BIC prefers K=2, full" in by_bic and "elpd_loo puts K=3, full above K=2" in by_bic


def test_a_share_below_numbers_is_no_weight_that_is_none():
    p = bg.MixtureParameters(np.ones((1000, 1)), np.zeros((1000, 1, 1)), np.ones((1000, 1, 1, 1)))
    log_weights = _shared(p, 1e-322, 1)[0]
    np.testing.assert_allclose(log_weights, np.log(1e-322) - np.log(1000))


@pytest.mark.slow
def test_bootstrap_p_values_are_small_where_a_component_is_missing_and_not_where_none_is(faithful):
    one, two, three = (bg.fit(bg.MixtureSpec(k), faithful, method="em", seed=1) for k in (1, 2, 3))
    missing = bg.bootstrap_test(one, two, max_replicates=19, seed=1)
    assert missing.p_value == 1 / 20
    assert "reached by data from K=1, full with probability" in str(missing)
    x = two.generate(200, seed=3)["x"].values
    small, large = (bg.fit(bg.MixtureSpec(k), x, method="em", seed=1) for k in (2, 3))
    enough = bg.bootstrap_test(small, large, max_replicates=16, seed=1)
    assert enough.p_value > 0.1
    again = bg.bootstrap_test(small, large, max_replicates=16, seed=1, cores=1)
    assert again.p_value == pytest.approx(enough.p_value)
    with pytest.raises(bg.FitError, match="not the larger"):
        bg.bootstrap_test(three, two)
    with pytest.raises(bg.FitError, match="maximum likelihood"):
        bg.bootstrap_test(one, bg.fit(bg.MixtureSpec(2), faithful, method="map", seed=1))


def test_bootstrap_replicates_are_recorded_as_the_data_are(monkeypatch):
    x = np.round(np.random.default_rng(0).normal(0, 0.6, (100, 1))) + 0.25
    rows = bg.Observations(x, names=["a"], resolution=1, background=[[-3.0], [3.0]])
    one, two = (
        bg.fit(bg.MixtureSpec(1, noise=noise), rows, method="em", seed=1) for noise in (False, True)
    )
    seen = []

    def again(spec, observations, *_, **__):
        seen.append((spec, observations))
        return one

    monkeypatch.setattr(bootstrap, "fitted", again)
    bg.bootstrap_test(one, two, max_replicates=50, exceedances=100, seed=1)
    values = np.concatenate([given.values for _, given in seen])
    np.testing.assert_allclose(values % 1, 0.25, atol=1e-12)
    assert abs(values.var() / x.var() - 1) < 0.1  # 1.25 where it is recorded twice
    assert all(given.resolution == 1 and given.names == ("a",) for _, given in seen)
    boxes = [given.views.background for spec, given in seen if spec.noise]
    assert all(np.array_equal(box, [[-3.0], [3.0]]) for box in boxes)
    finer = bg.Observations(rows, resolution=0.5)
    other = bg.fit(bg.MixtureSpec(1, noise=True), finer, method="em", seed=1)
    with pytest.raises(bg.FitError, match="as recorded to other steps"):
        bg.bootstrap_test(one, other)
