"""Plots of what is around a fit: what is drawn is what was asked, and it looks as it did.

Looks are compared as 32 x 32 colours of a rendering without text, on axes of fixed places, so
that neither fonts nor the last digits of a processor matter.  A mean difference of 0.02 of
the way from black to white is allowed, and any two plots differ by more than that.  Most of a
plot is white, so its hues are compared by themselves, relative to how much colour there is:
half of it may lie elsewhere, and all of it in other hues is more.
``python tests/interface/test_plots_more.py`` makes the pictures anew.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text

import bayesgmm as bg
from bayesgmm.analysis.partitions.partition import Partition
from bayesgmm.mixture.noise import Noise

IMAGES = Path(__file__).parent / "images"
ALLOWED, ALLOWED_HUES = 0.02, 0.5
DRAWN = ("agreement", "anomalies", "check", "conditional", "criteria", "fit", "generated", "k_hat",
         "labels", "memberships", "modes", "prior_posterior", "selection",
         "similarity")  # fmt: skip


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def made(k=3, d=2, *, draws=60, n=90, noise=False, holes=False, method="nuts", **facts):
    """A posterior, or a point, of rows drawn from it; no sampler whose rounding would tell."""
    rng = np.random.default_rng(10 * k + d)
    means = 4.0 * rng.normal(size=(k, d))
    tril = np.tril(0.3 * rng.normal(size=(k, d, d)), -1) + np.eye(d)
    weights = np.full(k, (0.9 if noise else 1.0) / k)
    point = bg.MixtureParameters(weights / weights.sum(), means, tril)
    x, _ = point.simulate(n, seed=rng)
    if noise:
        x[:9] = rng.uniform(-15, 15, size=(9, d))
    if holes:
        x[rng.random(x.shape) < 0.1] = np.nan
        x[np.isnan(x).all(axis=1), 0] = 0.0
    rows = bg.Observations(x, missing="marginal" if holes else None)
    shape, size = ((2, draws // 2), 0.08) if draws else ((1, 1), 0.0)
    jitter = np.exp(size * rng.normal(size=(*shape, k)))
    every = {
        "weights": weights * jitter / jitter.mean(axis=-1, keepdims=True),
        "means": means + size * rng.normal(size=(*shape, k, d)),
        "scale_tril": tril * np.exp(size * rng.normal(size=(*shape, k, 1, 1))),
    }
    total = every["weights"].sum(axis=-1)
    if noise:
        box = np.stack([np.nanmin(x, axis=0), np.nanmax(x, axis=0)])
        share = 0.1 * np.exp(size * rng.normal(size=shape))
        every["weights"] = every["weights"] / total[..., None] * (1 - share)[..., None]
        every["noise"] = Noise(share, box)
    else:
        every["weights"] = every["weights"] / total[..., None]
    permutation = np.broadcast_to(np.arange(k), (*shape, k)).copy()
    if draws:
        permutation[0, ::3] = permutation[0, ::3, ::-1]
    mode = {
        "mode_share": [0.7, 0.3],
        "mode_laplace_share": [0.6, 0.4],
        "mode_log_density": [-10.0, -11.5],
        "mode_weights": np.stack([weights, weights[::-1] ** 2 / (weights**2).sum()]),
        "mode_means": np.stack([means, means]),
        "mode_scale_tril": np.stack([tril, tril]),
    }
    dims = ("mode", "component", "feature", "feature_bis")
    found = {name: xr.Variable(dims[: np.ndim(value)], value) for name, value in mode.items()}
    return bg.MixtureFit.build(
        bg.MixtureSpec(k, noise=noise),
        rows,
        bg.MixtureParameters(**every),
        method=method if draws else "em",
        status=bg.Status.CONVERGED,
        sample_stats={"lp": np.zeros(shape), "permutation": permutation},
        facts=(found if draws and not noise else {}) | facts,
    )


#: Two structures, one model that is far worse than the others.
CRITERIA = pd.DataFrame({
    "n_components": [1, 2, 3, 4] * 2,
    "covariance": ["full"] * 4 + ["tied"] * 4,
    "bic": [900.0, 310.0, 300.0, 320.0, 905.0, 330.0, 318.0, 325.0],
    "icl": [900.0, 320.0, 325.0, 350.0, 905.0, 335.0, 322.0, 360.0],
})  # fmt: skip


def partition_of(fit):
    return bg.partition(fit, max_draws=50, runs=1, seed=1, cores=1)


@pytest.fixture(scope="module")
def fits():
    return {"posterior": made(), "point": made(draws=0), "one": made(1), "holes": made(holes=True),
            "noise": made(noise=True)}  # fmt: skip


@pytest.fixture(scope="module")
def selection():
    """Two sampled models and one that was not, of stated evidence."""
    x = made().observations
    found = bg.select(x, [1, 2, 3], ["full"], posteriors=0, by="bic", seed=1)
    table = found.table.sort_values("n_components")
    table["log_evidence"], table["log_evidence_se"] = [np.nan, -10.0, -9.0], [np.nan, 0.1, 0.2]
    table["probability"], table["probability_se"] = [np.nan, 0.27, 0.73], [np.nan, 0.03, 0.03]
    return replace(found, table=table, unsampled=0.12, by="evidence")


def drawn(name, fits, selection, ax, *, legend=False):
    """One of the plots on given axes, or by default."""
    post = fits["posterior"]
    call = getattr(bg, f"plot_{name}")
    first = {"agreement": lambda: (fits["point"], post), "conditional": lambda: (post, "x1", "x0"),
             "check": lambda: (bg.posterior_check(post, seed=1),),
             "criteria": lambda: (CRITERIA,), "selection": lambda: (selection,),
             "similarity": lambda: (partition_of(post),)}  # fmt: skip
    options = {"criterion": ["bic", "icl"]} if name == "criteria" else {}
    return call(*first.get(name, lambda: (post,))(), legend=legend, ax=ax, **options)


def rendering(name, fits, selection):
    """32 x 32 colours from 0 to 1 of a plot without its text."""
    figure = plt.figure(figsize=(4, 4), dpi=64)
    count = {"labels": 2, "memberships": 2, "modes": 2, "selection": 2, "check": 2, "criteria": 2,
             "prior_posterior": 5}  # fmt: skip
    shape = (2, 2) if name == "generated" else (1, count.get(name, 1))
    ax = figure.subplots(*shape)
    drawn(name, fits, selection, ax)
    for text in figure.findobj(Text):
        text.set_visible(False)
    figure.canvas.draw()
    colors = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    return colors.reshape(32, 8, 32, 8, 3).mean(axis=(1, 3))


def kept(name):
    return plt.imread(IMAGES / f"{name}.png")[..., :3]


def hues_differ(one, other):
    """How much of the colour in either picture is not in the other at the same place."""
    hues = [picture - picture.mean(axis=-1, keepdims=True) for picture in (one, other)]
    return np.abs(hues[0] - hues[1]).sum() / np.abs(hues).sum()


@pytest.mark.parametrize("name", DRAWN)
def test_it_looks_as_it_did(name, fits, selection):
    before, now = kept(name), rendering(name, fits, selection)
    assert np.abs(now - before).mean() < ALLOWED
    assert hues_differ(now, before) < ALLOWED_HUES


def test_what_is_allowed_tells_plots_apart():
    pictures = np.array([kept(name) for name in DRAWN])
    gaps = np.abs(pictures[:, None] - pictures).mean(axis=(-1, -2, -3))
    assert gaps[np.triu_indices(len(DRAWN), 1)].min() > ALLOWED


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_allowed_tells_hues_apart(name):
    assert hues_differ(kept(name), np.roll(kept(name), 1, axis=-1)) > ALLOWED_HUES


@pytest.mark.parametrize("name", DRAWN)
def test_axes_come_in_and_go_out_and_nothing_else_changes(name, fits, selection):
    settings = dict(matplotlib.rcParams)
    ax = drawn(name, fits, selection, None, legend=True)
    figure = np.ravel(ax)[0].figure
    figure.canvas.draw()
    assert dict(matplotlib.rcParams) == settings
    assert len(plt.get_fignums()) == 1
    part = plt.figure(layout="constrained").subfigures(1, 2)[0]
    again = drawn(name, fits, selection, part)
    assert np.ravel(again)[0].get_figure(root=False) is part
    _, wrong = plt.subplots(3, 1)
    with pytest.raises(bg.SpecError, match=r"^ax must be .* or a Figure here, got|^ax must be"):
        drawn(name, fits, selection, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 12])
@pytest.mark.parametrize("d", [1, 5])
def test_any_number_of_components_and_features(k, d):
    n = 10 * k + 20
    fit, point = made(k, d, n=n), made(k, d, n=n, draws=0)
    bg.plot_agreement(point, fit)
    bg.plot_prior_posterior(fit, n_draws=200)
    bg.plot_prior_posterior(point, n_draws=200)
    for each in (fit, point):
        bg.plot_fit(each)
        bg.plot_memberships(each)
        bg.plot_anomalies(each)
        bg.plot_generated(each)
        if d > 1:
            bg.plot_conditional(each, 0, 1)
        plt.close("all")
    bg.plot_similarity(partition_of(fit))
    for plot in (bg.plot_k_hat, bg.plot_labels, bg.plot_modes):
        plot(fit)
        with pytest.raises(bg.FitError, match=r"this fit by em is a point; fit with"):
            plot(point)
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()


def test_names_with_dollars_are_no_formulas():
    names = ["cost_$", "tax_{$"]
    rows = pd.DataFrame(bg.datasets.faithful().values[:100], columns=names)
    point = bg.fit(bg.MixtureSpec(2), rows, method="em", seed=1)
    post = bg.fit(bg.MixtureSpec(2), rows, method="laplace", draws=200, seed=1)
    assert bg.plot_conditional(post, *names).get_title() == r"cost_\$ given tax_{\$"
    bg.plot_agreement(point, post)
    bg.plot_fit(point, features="projection")
    bg.plot_generated(point, features="projection")
    bg.plot_anomalies(point, features=names[:1])
    for plot in (bg.plot_fit, bg.plot_generated, bg.plot_anomalies, bg.plot_check, bg.plot_labels,
                 bg.plot_memberships, bg.plot_prior_posterior):  # fmt: skip
        plot(post)
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    texts = [text.get_text() for text in plt.figure(1).findobj(Text)]
    assert texts.count(r"cost_\$") == texts.count(r"tax_{\$") == 1
    assert "cost_$" in bg.report(point) and "cost_$" in bg.report(post)


def test_one_feature_has_one_direction():
    fit = made(2, 1, draws=0)
    for plot in (bg.plot_fit, bg.plot_generated):
        assert plot(fit, features="projection").get_xlabel() == "x0"


def test_too_many_features_of_a_map_are_refused_however_they_are_given():
    with pytest.raises(bg.DataError, match=r"one or two for a map, got \['x0', 'x1', 'x2'\]\.$"):
        bg.plot_anomalies(made(2, 3, draws=0), features=np.array([0, 1, 2]))


@pytest.mark.parametrize("name", ["holes", "noise"])
def test_rows_with_holes_and_rows_of_no_component(name, fits):
    fit = fits[name]
    for plot in (bg.plot_memberships, bg.plot_anomalies, bg.plot_generated, bg.plot_labels,
                 bg.plot_k_hat, bg.plot_fit):  # fmt: skip
        plot(fit)
    bg.plot_prior_posterior(fit, n_draws=200)
    bg.plot_similarity(partition_of(fit))
    bg.plot_conditional(fit, "x0", "x1")


# What is drawn ------------------------------------------------------------------


def test_agreement_is_the_table_in_units_of_the_posterior(fits):
    point, post = fits["point"], fits["posterior"]
    table = bg.agreement(point, post)
    ax = bg.plot_agreement(point, post)
    assert [text.get_text() for text in ax.get_yticklabels()] == list(table.index)
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in marks], table["z"])
    inside = [not isinstance(line.get_markerfacecolor(), str) for line in marks]  # "white"
    assert inside == list((table["point"] >= table["lower"]) & (table["point"] <= table["upper"]))
    few = bg.plot_agreement(point, post, max_parameters=3)
    kept = set(table["z"].abs().nlargest(3).index)
    assert {text.get_text() for text in few.get_yticklabels()} == kept
    assert f"3 of {len(table)} parameters" in few.get_title()


def test_prior_and_posterior_are_quantiles_of_draws(fits):
    axes = bg.plot_prior_posterior(fits["posterior"], mass=0.8, n_draws=20_000)
    assert [ax.get_title() for ax in axes] == [
        "weight", "mean of x0", "scale of x0", "mean of x1", "scale of x1"
    ]  # fmt: skip
    lines = {float(line.get_ydata()[0]): line.get_xdata() for line in axes[0].lines[::-1]
             if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.5}  # fmt: skip
    draws = fits["posterior"].parameters.flat().weights
    np.testing.assert_allclose(lines[1.0], np.quantile(draws[:, 1], [0.1, 0.9]))
    from scipy.stats import beta

    alpha = float(np.broadcast_to(bg.Priors().weights, 3)[0])
    # A Dirichlet's margin; 60,000 dependent draws: three errors of a quantile are below 0.01.
    np.testing.assert_allclose(lines[-1.0], beta(alpha, 2 * alpha).ppf([0.1, 0.9]), atol=0.01)


def test_memberships_are_sorted_and_sum_to_one_with_their_entropy(fits):
    fit = fits["noise"]
    upper, lower = bg.plot_memberships(fit)
    tops = [patch.get_data() for patch in upper.patches]
    np.testing.assert_allclose(tops[-1].values, 1)
    own = fit.predict_proba().values
    np.testing.assert_allclose(np.sort(tops[0].values), np.sort(own[:, 0]), atol=1e-12)
    entropy = -np.where(own > 0, own * np.log2(np.maximum(own, 1e-300)), 0).sum(axis=1)
    shown = lower.patches[0].get_data().values
    np.testing.assert_allclose(np.sort(shown), np.sort(entropy), atol=1e-9)
    words = [text.get_text() for text in upper.get_legend().get_texts()]
    assert words[-1] == f"noise: {(fit.predict().values == -1).sum()} rows"


def test_modes_are_their_shares(fits):
    left, right = bg.plot_modes(fits["posterior"])
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], [0.7, 0.3])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches][:3], [1 / 3] * 3)
    assert [text.get_text() for text in left.texts] == ["0.0", "−1.5"]
    assert len(bg.plot_modes(fits["posterior"], max_modes=1)[0].patches) == 1
    with pytest.raises(bg.FitError, match="know their modes"):
        bg.plot_modes(fits["noise"])


def test_labels_before_are_those_that_were_sampled(fits):
    fit = fits["posterior"]
    before, after = bg.plot_labels(fit, feature="x1")
    means = fit.parameters.means[..., 1].reshape(-1, 3)
    traces = [line.get_ydata() for line in after.lines if len(line.get_xdata()) == len(means)]
    np.testing.assert_allclose(np.column_stack(traces), means)
    raw = [line.get_ydata() for line in before.lines if len(line.get_xdata()) == len(means)]
    switched = fit.statistics["permutation"].values.reshape(-1, 3)[:, 0] == 2
    np.testing.assert_allclose(np.column_stack(raw)[switched], means[switched][:, ::-1])
    assert before.get_title() == f"as sampled: {switched.mean():.0%} of draws switched labels"


def test_conditional_is_what_regress_says(fits):
    fit = fits["posterior"]
    ax = bg.plot_conditional(fit, "x1", "x0", mass=0.8)
    (line,) = (one for one in ax.lines if one.get_label() == "mean")
    x, y = line.get_data()
    curve = fit.regress("x1", {"x0": x}, mass=0.8)
    np.testing.assert_allclose(y, curve["mean"].values)
    bounds = [one.get_ydata() for one in ax.lines if one.get_linestyle() == "--"]
    np.testing.assert_allclose(np.transpose(bounds), curve["predictive"].values)
    with pytest.raises(bg.DataError, match="both 'x0'"):
        bg.plot_conditional(fit, "x0", 0)


def test_generated_rows_are_seen_as_the_data_were():
    """Within the bounds of a selection, with holes as often, and as many."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(150, 2))
    x = x[x[:, 0] > 0]
    rows = bg.Observations(x, selection={"x0": (0.0, None)}, errors=0.1)
    fit = bg.fit(bg.MixtureSpec(1), rows, method="map", seed=1)
    axes = bg.plot_generated(fit)
    made_rows = axes[0, 1].collections[0].get_offsets()
    assert len(made_rows) == len(x) and made_rows[:, 1].min() > 0
    np.testing.assert_array_equal(axes[1, 0].collections[0].get_offsets(), x)
    again = bg.plot_generated(fit)[0, 1].collections[0].get_offsets()
    np.testing.assert_array_equal(made_rows, again)


def test_flagged_rows_are_the_outliers(fits):
    fit = fits["noise"]
    ax = bg.plot_anomalies(fit, rate=0.05)
    marks = ax.collections[-1].get_offsets()
    flagged = fit.outliers(rate=0.05, points=16_384).values
    np.testing.assert_array_equal(marks, fit.observations.values[flagged])
    assert ax.get_title() == f"{flagged.sum()} of 90 rows flagged at a rate of 5 %"
    with pytest.raises(bg.DataError, match="one or two"):
        bg.plot_anomalies(made(2, 5, draws=0), features=[0, 1, 2])


def test_k_hat_is_arvizs_and_rows_have_their_numbers(fits):
    from bayesgmm.analysis.criteria.leave_one_out import leave_one_out

    fit = fits["posterior"]
    ax = bg.plot_k_hat(fit)
    values = leave_one_out(fit).arviz.pareto_k.values
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], np.minimum(values, 1.5))
    assert any(set(line.get_ydata()) == {0.7} for line in ax.lines)
    bad = np.flatnonzero(values > 0.7)
    assert {text.get_text() for text in ax.texts} <= set(map(str, bad))
    assert ax.get_title().startswith(f"{len(bad) or 'no'} row")


def test_selection_shows_probabilities_and_what_is_not_known(selection):
    left, right = bg.plot_selection(selection)
    np.testing.assert_allclose([bar.get_height() for bar in right.patches], [0.27, 0.73, 0.12])
    assert [text.get_text() for text in right.get_xticklabels()] == ["1", "2", "3", "others"]
    assert right.get_title() == "K = 3 has probability 0.73"
    assert left.get_title() == "best log evidence: K=3, full"
    assert left.get_legend() is None
    table = pd.DataFrame(
        {"n_components": [2, 2], "covariance": "full", "bic": [3.0, 4.0]},
        index=["K=2, full", "K=2, full, noise"],
    )
    words = [text.get_text() for text in bg.plot_criteria(table).get_legend().get_texts()]
    assert words[:2] == ["full", "full + noise"]


def test_similarity_is_ordered_and_says_what_is_in_the_ball(fits):
    found = partition_of(fits["posterior"])
    ax = bg.plot_similarity(found)
    order = np.lexsort((-found.certainty.values, found.labels.values))
    matrix = np.asarray(ax.images[0].get_array())
    np.testing.assert_array_equal(matrix, found.similarity(order).values)
    assert len(ax.patches) == found.n_clusters
    assert ax.get_title().startswith(f"{found.n_clusters} clusters of 90 rows; ")
    assert [t.get_text().split(":")[0] for t in ax.get_yticklabels()] == [
        "estimate", "fewest", "most", "farthest"
    ]  # fmt: skip
    few = bg.plot_similarity(found, max_rows=20)
    assert few.images[0].get_array().shape == (20, 20) and "20 rows shown" in few.get_title()
    with pytest.raises(bg.FitError, match="takes a Partition, got list"):
        bg.plot_similarity([0, 1])
    assert isinstance(found, Partition)


if __name__ == "__main__":
    every = {"posterior": made(), "point": made(draws=0)}
    chosen = selection.__wrapped__() if hasattr(selection, "__wrapped__") else None
    for one in sys.argv[1:] or DRAWN:
        plt.imsave(IMAGES / f"{one}.png", rendering(one, every, chosen))
        plt.close("all")
