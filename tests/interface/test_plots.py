"""Plots: what is drawn is what was fitted."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon
from matplotlib.path import Path

import bayesgmm as bg
from bayesgmm.errors import DataError, FitError, SpecError
from bayesgmm.interface.plots import plot_criteria, plot_fit
from bayesgmm.interface.plots.palette import component_colors, line_style, membership_colors

NAMES = ("length", "width", "depth", "mass")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def made(
    weights, means, covariances, *, n=300, covariance="full", method="em", names=None, draws=None,
    status=bg.Status.CONVERGED, x=None, row_weights=None,
):  # fmt: skip
    """A fit of given parameters on rows drawn from them; ``draws`` jitters a posterior."""
    point = bg.MixtureParameters.from_covariances(weights, means, covariances)
    k, d = point.n_components, point.n_features
    if x is None:
        x = point.simulate(n, seed=1)[0]
    rng = np.random.default_rng(2)
    shape, size = ((1, 1), 0.0) if draws is None else ((2, draws // 2), 0.05)
    w = point.weights * np.exp(size * rng.standard_normal((*shape, k)))
    noise = size * rng.standard_normal((*shape, k, d, 1))
    parameters = bg.MixtureParameters(
        w / w.sum(-1, keepdims=True),
        point.means + (point.scale_tril @ noise)[..., 0],
        point.scale_tril * np.exp(size * rng.standard_normal((*shape, k, 1, 1))),
    )
    return bg.MixtureFit.build(
        bg.MixtureSpec(n_components=k, covariance=covariance),
        bg.Observations(x, names=names or NAMES[:d], row_weights=row_weights),
        parameters,
        method="nuts" if draws else method,
        status=status,
        sample_stats={"lp": np.zeros(shape)},
        facts={},
    )


def plane(**options):
    return made(
        [0.3, 0.7],
        [[0.0, 0.0], [4.0, 30.0]],
        [[[1.0, 3.0], [3.0, 25.0]], [[0.5, -1.0], [-1.0, 9.0]]],
        **options,
    )


def line(**options):
    return made([0.25, 0.75], [[-3.0], [2.0]], [[[0.04]], [[1.0]]], **options)


def space(d=4, **options):
    return made([0.4, 0.6], [np.zeros(d), np.arange(1, d + 1) * 2.0], [np.eye(d)] * 2, **options)


def ellipses(ax):
    return [patch for patch in ax.patches if isinstance(patch, Polygon)]


def curve(ax):
    return next(one for one in ax.lines if one.get_label() == "mixture").get_xydata()


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Two features ---------------------------------------------------------------


def test_plane_holds_ellipses_points_and_names():
    fit = plane()
    _, given = plt.subplots()
    ax = plot_fit(fit, ax=given)
    assert ax is given
    assert len(ellipses(ax)) == 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")
    assert ax.get_title() == "K=2, full (EM)"
    points = ax.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), fit.observations.values)
    assert [text.get_text() for text in ax.texts] == ["0", "1"]
    np.testing.assert_allclose([text.get_position() for text in ax.texts], [[0, 0], [4, 30]])
    assert legend_texts(ax)[:2] == ["0: weight 0.30", "1: weight 0.70"]


@pytest.mark.parametrize("levels", [(0.5, 0.9), (0.68,)])
def test_an_ellipse_has_the_covariances_axes_and_holds_its_mass(levels):
    fit = plane()
    ax = plot_fit(fit, levels=levels)
    p = fit.parameters[0, 0]
    drawn = {tuple(np.round(e.get_facecolor()[:3], 4)): [] for e in ellipses(ax)}
    for ellipse in ellipses(ax):
        drawn[tuple(np.round(ellipse.get_facecolor()[:3], 4))].append(ellipse.get_xy())
    assert len(drawn) == 2
    for k, color in enumerate(component_colors(2)):
        outlines = sorted(drawn[tuple(np.round(color, 4))], key=np.ptp)
        assert len(outlines) == len(levels)
        sample = bg.MixtureParameters([1.0], p.means[[k]], p.scale_tril[[k]]).simulate(
            40_000, seed=k
        )[0]
        values, vectors = np.linalg.eigh(p.covariances[k])
        for level, outline in zip(sorted(levels), outlines, strict=True):
            along = (outline - p.means[k]) @ vectors
            radius = np.sqrt(-2 * np.log(1 - level))
            np.testing.assert_allclose(
                np.abs(along).max(axis=0), radius * np.sqrt(values), rtol=2e-3
            )
            held = Path(outline).contains_points(sample).mean()
            assert held == pytest.approx(level, abs=0.01)


def test_ellipses_survive_scales_24_orders_apart():
    fit = made([1.0], [[0.0, 0.0]], [[[1e24, 0.0], [0.0, 1e-24]]], n=50)
    reach = np.abs(ellipses(plot_fit(fit, levels=[0.9]))[0].get_xy()).max(axis=0)
    np.testing.assert_allclose(reach, np.sqrt(-2 * np.log(0.1)) * np.array([1e12, 1e-12]))


def test_a_doubtful_point_looks_doubtful():
    colors = component_colors(3)
    drawn = membership_colors([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [0.7, 0.3, 0]], 3)
    np.testing.assert_allclose(drawn[:2], colors[[0, 2]])
    np.testing.assert_allclose(drawn[2], [0.62] * 3)  # grey, not a third component's colour
    pure, grey = colors[0], np.full(3, 0.62)
    assert 0 < np.linalg.norm(drawn[3] - pure) < np.linalg.norm(grey - pure)
    np.testing.assert_allclose(membership_colors(np.ones((2, 1)), 1), colors[[0, 0]])
    np.testing.assert_allclose(component_colors(9)[8], colors[0])
    assert line_style(8) != line_style(0)


def test_points_have_the_colours_of_predict_proba_also_for_permuted_default_names():
    fit = plane(names=("x1", "x0"))
    face = plot_fit(fit).collections[0].get_facecolors()[:, :3]
    np.testing.assert_allclose(face, membership_colors(fit.predict_proba(), fit.spec.n_components))


def test_many_rows_are_thinned_by_a_fixed_choice_that_keeps_extremes():
    x = plane().parameters[0, 0].simulate(100_000, seed=3)[0]
    x[77] = [60.0, -400.0]
    fit = plane(x=x)
    ax = plot_fit(fit)
    offsets = np.asarray(ax.collections[0].get_offsets())
    assert len(offsets) == 5000
    assert "5,000 of 100,000 rows shown" in ax.get_title()
    assert [60.0, -400.0] in offsets.tolist()
    assert ax.get_xlim()[1] > 60 and ax.get_ylim()[0] < -400
    again = np.asarray(plot_fit(fit).collections[0].get_offsets())
    np.testing.assert_array_equal(offsets, again)
    assert len(plot_fit(fit, max_points=10).collections[0].get_offsets()) == 10


def test_a_legend_and_data_do_not_share_their_place():
    fig, axes = plt.subplots(1, 2, figsize=(9, 3))
    for ax, fit in zip(axes, (plane(), line()), strict=True):
        plot_fit(fit, ax=ax)
    fig.canvas.draw()
    legends = [ax.get_legend().get_window_extent() for ax in axes]
    frames = [ax.get_window_extent() for ax in axes]
    assert not any(legend.overlaps(frame) for legend in legends for frame in frames)
    assert legends[1].x1 <= fig.bbox.x1
    assert plot_fit(plane(), legend=False).get_legend() is None


def test_row_weights_are_point_sizes():
    row_weights = np.r_[np.full(150, 3.0), np.full(150, 0.5)]
    sizes = plot_fit(plane(row_weights=row_weights)).collections[0].get_sizes()
    assert sizes[0] == pytest.approx(6 * sizes[-1])


def test_a_fit_that_did_not_end_well_says_so():
    title = plot_fit(plane(status=bg.Status.DEGENERATE)).get_title()
    assert title == "K=2, full (EM), degenerate"


# One feature ----------------------------------------------------------------


def test_a_density_integrates_to_one_and_is_the_fits():
    fit = line()
    ax = plot_fit(fit)
    x, y = curve(ax).T
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(y, np.exp(fit.score_samples(x)), rtol=1e-9, atol=1e-12)
    bars = [p for p in ax.patches if not isinstance(p, Polygon)]
    assert sum(bar.get_width() * bar.get_height() for bar in bars) == pytest.approx(1)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "density")
    by_color = {matplotlib.colors.to_hex(one.get_color()): one for one in ax.lines}
    for k, color in enumerate(component_colors(2)):
        gx, gy = by_color[matplotlib.colors.to_hex(color)].get_xydata().T
        area = np.trapezoid(np.nan_to_num(gy), gx)
        assert area == pytest.approx(fit.parameters.weights[0, 0, k], abs=0.01)


def test_a_rug_shows_each_row_only_where_there_are_few():
    def rug(ax):
        return [c for c in ax.collections if isinstance(c, LineCollection)]

    (few,) = rug(plot_fit(line(n=100)))
    assert len(few.get_segments()) == 100
    assert max(segment[:, 1].max() for segment in few.get_segments()) < 0  # below the bars
    assert not rug(plot_fit(line(n=1000)))


def test_one_component_one_feature_a_far_outlier_and_many_rows():
    x = np.r_[np.random.default_rng(5).standard_normal(100_000), 1e6][:, None]
    fit = made([1.0], [[0.0]], [[[1.0]]], x=x)
    ax = plot_fit(fit)
    gx, gy = curve(ax).T
    assert np.trapezoid(gy, gx) == pytest.approx(1, abs=0.01)  # the grid is fine where it must be
    assert ax.get_xlim()[1] > 1e6
    ax.figure.canvas.draw()
    assert len(plot_fit(fit, bins=7).patches) == 7


def test_a_chosen_feature_is_the_marginal():
    fit = plane()
    ax = plot_fit(fit, features=["width"])
    x, y = curve(ax).T
    marginal = fit.parameters.marginal([1])[0, 0]
    np.testing.assert_allclose(y, np.exp(marginal.log_density(x)), rtol=1e-9, atol=1e-12)
    assert ax.get_xlabel() == "width"


def test_a_collapsed_component_leaves_the_panel_to_the_others():
    fit = made([0.6, 0.35, 0.05], [[0.0], [4.0], [1.5]], [[[1.0]], [[0.5]], [[1e-10]]])
    ax = plot_fit(fit)
    assert ax.get_ylim()[1] < 1 < 100 < curve(ax)[:, 1].max()
    assert any("higher" in text for text in legend_texts(ax))
    assert sum(line.get_marker() == "^" for line in ax.lines) == 1


def test_numbers_of_many_components_do_not_hide_each_other():
    rng = np.random.default_rng(1)
    k = 12
    fit = made(np.full(k, 1 / k), 0.1 * rng.normal(size=(k, 2)), [np.eye(2)] * k)
    ax = plot_fit(fit)
    at = ax.transData.transform([text.get_position() for text in ax.texts])
    gaps = np.linalg.norm(at[:, None] - at, axis=-1)[np.triu_indices(k, 1)]
    assert gaps.min() * 72 / ax.figure.dpi > 12  # points, the diameter of a number's circle
    line_ax = plot_fit(fit, features=[0])
    x = line_ax.transData.transform([[t.get_position()[0], 0] for t in line_ax.texts])[:, 0]
    assert np.diff(np.sort(x)).min() * 72 / line_ax.figure.dpi > 10
    assert [text.get_text() for text in ax.texts] == [str(i) for i in range(k)]


def test_small_axes_stay_panels():
    """A legend never takes more than half of what there is, and none of what is too small."""
    fig, axes = plt.subplots(3, 3, figsize=(6, 5))
    before = axes[0, 0].get_position().bounds
    ax = plot_fit(plane(draws=20), ax=axes[0, 0])
    assert ax.get_legend() is None and ax.get_position().bounds == before
    wide = plt.figure(figsize=(9, 3)).subplots()
    width = wide.get_position().width
    assert plot_fit(plane(), ax=wide).get_position().width > width / 2
    plt.close(fig)


def test_only_the_rows_that_are_drawn_are_asked_for_their_memberships(monkeypatch):
    asked = []
    plain = bg.MixtureFit.predict_proba
    fit = space(3, n=4000)
    monkeypatch.setattr(
        bg.MixtureFit, "predict_proba", lambda self, data: asked.append(data) or plain(self, data)
    )
    plot_fit(fit, max_points=50)
    assert [one.n_rows for one in asked] == [50]


# Posteriors -----------------------------------------------------------------


def test_a_posterior_shows_draws_as_thin_ellipses():
    fit = plane(draws=200)
    ax = plot_fit(fit, n_draws=30)
    thin = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert [len(c.get_segments()) for c in thin] == [30, 30]
    assert len(ellipses(ax)) == 4
    assert ax.get_title() == "K=2, full (NUTS)"
    assert any("30 draws" in text for text in legend_texts(ax))
    assert "±" in legend_texts(ax)[0]
    mean = fit.parameters.covariances.mean(axis=(0, 1))[0]
    outline = [e for e in ellipses(ax) if np.allclose(e.get_facecolor()[:3], component_colors(1))]
    radius = np.sqrt(-2 * np.log(1 - 0.9))
    width = max(np.ptp(e.get_xy()[:, 0]) for e in outline) / 2
    assert width == pytest.approx(radius * np.sqrt(mean[0, 0]), rel=1e-3)


def test_a_posterior_density_is_the_mean_with_its_interval():
    fit = line(draws=200)
    ax = plot_fit(fit, interval=0.8)
    x, y = curve(ax).T
    np.testing.assert_allclose(y, np.exp(fit.score_samples(x)), rtol=1e-9, atol=1e-12)
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.01)
    densities = np.exp(fit.parameters.log_density(x[:, None])).reshape(200, -1)
    low, high = np.quantile(densities, [0.1, 0.9], axis=0)
    drawn = next(
        c.get_paths()[0]
        for c in ax.collections
        if not isinstance(c, LineCollection) and c.get_label() == "interval"
    )
    top = x[np.argmax(y)]
    heights = drawn.vertices[np.isclose(drawn.vertices[:, 0], top), 1]
    at = np.argmax(y)
    np.testing.assert_allclose([heights.min(), heights.max()], [low[at], high[at]])
    assert any("80 % interval" in text for text in legend_texts(ax))


# More features --------------------------------------------------------------


def test_pairs_have_names_ellipses_and_densities():
    fit = space()
    axes = plot_fit(fit)
    assert axes.shape == (4, 4)
    assert [ax.get_xlabel() for ax in axes[-1]] == list(NAMES)
    assert [ax.get_ylabel() for ax in axes[1:, 0]] == list(NAMES[1:])
    for i in range(4):
        x, y = curve(axes[i, i]).T
        assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)
        for j in range(4):
            if j < i:
                assert len(ellipses(axes[i, j])) == 4
                offsets = axes[i, j].collections[0].get_offsets()
                np.testing.assert_array_equal(offsets, fit.observations.values[:, [j, i]])
                assert axes[i, j].get_xlim() == axes[j, j].get_xlim()
            elif j > i:
                assert not axes[i, j].axison and not axes[i, j].has_data()
    assert "K=2, full (EM)" in axes[0, 0].get_title(loc="left")
    assert "mixture" in legend_texts(axes[0, -1])


def test_pairs_take_chosen_features_axes_and_figures():
    fit = space()
    axes = plot_fit(fit, features=["mass", 0, "width"])
    assert [ax.get_xlabel() for ax in axes[-1]] == ["mass", "length", "width"]
    _, given = plt.subplots(3, 3)
    assert plot_fit(fit, features=[0, 1, 2], ax=given)[1, 0] is given[1, 0]
    whole = plt.figure(layout="constrained")
    left, right = whole.subfigures(1, 2)
    assert plot_fit(fit, ax=left)[0, 0].get_figure(root=False) is left
    assert plot_fit(fit, features=[0, 3], ax=right).get_figure(root=False) is right


def test_many_features_show_what_separates_the_components():
    """Two components differ along one line, four apart in each of five of eight features."""
    means = np.zeros((3, 8))
    means[1, :4], means[2, 4:] = 4.0, 4.0
    fit = made(np.full(3, 1 / 3), means, [np.eye(8)] * 3, names=[f"f{j}" for j in range(8)], n=90)
    ax = plot_fit(fit)
    assert "projected on the 2 directions that separate most (100% of all)" in ax.get_title()
    centers = np.array([text.get_position() for text in ax.texts])
    # Within components every direction has unit variance: distances are Mahalanobis distances.
    gaps = np.linalg.norm(centers[:, None] - centers, axis=-1)
    np.testing.assert_allclose(gaps[np.triu_indices(3, 1)], [8, 8, np.sqrt(128)], rtol=1e-6)
    assert ax.get_xlabel().startswith("1: ") and "f" in ax.get_xlabel()
    small = plot_fit(space(3), features="projection")
    assert "direction 1 separates means most" in small.get_title()
    assert plot_fit(fit, features=[f"f{j}" for j in range(3)]).shape == (3, 3)


@pytest.mark.slow
def test_a_projection_of_one_component_of_holes_noise_and_many_directions():
    one = made([1.0], [np.zeros(8)], [np.eye(8) + 0.5], n=40, names=[f"f{j}" for j in range(8)])
    assert "most correlation" in plot_fit(one).get_title()
    rng = np.random.default_rng(3)
    x = np.repeat(3.0 * rng.normal(size=(5, 7)), 30, axis=0) + rng.normal(size=(150, 7))
    x[rng.random(x.shape) < 0.1] = np.nan
    rows = bg.Observations(x, missing="marginal")
    fit = bg.fit(bg.MixtureSpec(5, covariance="tied", noise=True), rows, method="map", seed=1)
    axes = plot_fit(fit)
    assert axes.shape == (3, 3)
    points = sum(len(one.get_offsets()) for one in axes[1, 0].collections)
    assert points == 150  # holes are filled, of rows that are drawn
    axes[0, 0].figure.canvas.draw()


def test_a_tied_fit_of_real_data_draws_and_leaves_settings_and_fit_alone():
    fit = made(
        [0.36, 0.17, 0.47],
        [[2.0, 54.5], [3.8, 77.5], [4.4, 81.0]],
        [[[0.09, 0.8], [0.8, 33.0]]] * 3,
        covariance="tied",
        x=bg.datasets.faithful().values,
    )
    settings, before = dict(matplotlib.rcParams), fit.tree["posterior/means"].values.copy()
    ax = plot_fit(fit)
    ax.figure.canvas.draw()
    assert dict(matplotlib.rcParams) == settings
    np.testing.assert_array_equal(fit.tree["posterior/means"].values, before)
    shapes = [np.ptp(e.get_xy(), axis=0) for e in ellipses(ax)]
    np.testing.assert_allclose(shapes[0::2], [shapes[0]] * 3, rtol=1e-6)  # tied: one shape


# Wrong input ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"features": ["height"]}, DataError, "height.*length, width"),
        ({"features": [2]}, DataError, "2"),
        ({"features": []}, DataError, "at least one"),
        ({"features": ["width", 1]}, DataError, "twice"),
        ({"levels": (0.5, 1.0)}, SpecError, "levels"),
        ({"levels": ()}, SpecError, "levels"),
        ({"levels": "half"}, SpecError, "levels"),
        ({"interval": 90}, SpecError, "interval"),
        ({"max_points": 0}, SpecError, "max_points"),
        ({"n_draws": 0}, SpecError, "n_draws"),
        ({"bins": 2.5}, SpecError, "bins"),
        ({"ax": "here"}, SpecError, "one Axes"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(options, error, says):
    with pytest.raises(error, match=says) as caught:
        plot_fit(plane(), **options)
    assert str(caught.value).endswith(".")
    assert not plt.get_fignums()


def test_what_is_no_fit_and_axes_that_do_not_match_are_refused():
    with pytest.raises(FitError, match="MixtureFit, got list"):
        plot_fit([1, 2])
    _, one = plt.subplots()
    with pytest.raises(SpecError, match="4 x 4"):
        plot_fit(space(), ax=one)


# Criteria -------------------------------------------------------------------


def table():
    k = np.arange(1, 7)
    full = pd.DataFrame(
        {
            "n_components": k,
            "covariance": "full",
            "aic": 100.0 + (k - 3) ** 2,
            "bic": 110.0 + 2 * (k - 2) ** 2,
            "icl": 120.0 + (k - 2) ** 2,
            "elpd_loo": -50.0 - (k - 4.0) ** 2,
            "elpd_loo_se": 2.0,
        }
    )
    tied = full.assign(covariance="tied", bic=109.0 + (k - 4) ** 2, elpd_loo=np.nan)
    return pd.concat([tied.sample(frac=1, random_state=1), full])


def star(ax):
    (best,) = [one for one in ax.lines if one.get_label() == "best"]
    return best.get_xydata()[0]


def test_a_line_per_structure_and_a_star_at_the_best():
    _, given = plt.subplots()
    ax = plot_criteria(table(), ax=given)
    assert ax is given
    lines = {one.get_label(): one.get_xydata() for one in ax.lines}
    np.testing.assert_array_equal(lines["full"][:, 0], np.arange(1, 7))
    np.testing.assert_array_equal(lines["tied"][:, 1], 109.0 + (np.arange(1, 7) - 4) ** 2)
    np.testing.assert_array_equal(star(ax), [4, 109])
    assert ax.get_title() == "best BIC: K=4, tied"
    assert "smaller is better" in ax.get_ylabel()
    ax.figure.canvas.draw()
    ticks = ax.get_xticks()
    assert np.array_equal(ticks, np.round(ticks))
    assert legend_texts(ax)[:3] == ["full", "tied", "best"]


def test_of_models_equal_up_to_rounding_the_simplest_has_the_star():
    rows = table()
    rows["bic"] = 100.0
    rows.loc[(rows.covariance == "tied") & (rows.n_components == 2), "bic"] -= 1e-9
    rows.loc[(rows.covariance == "full") & (rows.n_components == 3), "bic"] -= 1e-9
    rows.loc[rows.n_components == 1, "bic"] = 101.0
    assert plot_criteria(rows).get_title() == "best BIC: K=2, full"


def test_elpd_is_larger_better_with_bars_and_without_missing_rows():
    class Selection:
        def __init__(self):
            self.table = table()

    ax = plot_criteria(Selection(), criterion="elpd_loo")
    assert star(ax)[1] == -50 and round(star(ax)[0]) == 4
    (bars,) = ax.containers
    assert bars.get_label() == "full"  # tied has no value at all
    segments = np.array(bars.lines[2][0].get_segments())
    np.testing.assert_allclose(np.ptp(segments[:, :, 1], axis=1), 4.0)
    assert "larger is better" in ax.get_ylabel()


def test_several_criteria_are_several_panels():
    axes = plot_criteria(table(), criterion=["aic", "bic", "icl", "elpd_loo"])
    assert axes.shape == (4,)
    assert [round(star(ax)[0]) for ax in axes] == [3, 4, 2, 4]
    assert sum(ax.get_legend() is not None for ax in axes) == 1
    assert plot_criteria(table(), criterion=["bic"]).shape == (1,)


def test_far_worse_models_leave_the_axis_to_the_others_and_are_marked():
    rows = table()
    rows.loc[(rows.n_components == 1), "bic"] = 5000.0
    ax = plot_criteria(rows)
    assert ax.get_ylim()[1] < 1000
    carets = [one for one in ax.lines if one.get_marker() == "^"]
    assert sum(len(one.get_xdata()) for one in carets) == 2
    assert "off the axis" in legend_texts(ax)
    assert plot_criteria(rows, zoom=False).get_ylim()[1] > 5000


@pytest.mark.parametrize(
    ("make", "options", "error", "says"),
    [
        (table, {"criterion": "waic"}, SpecError, "waic"),
        (table, {"criterion": []}, SpecError, "at least one"),
        (table, {"criterion": ["aic", "bic"], "ax": "here"}, SpecError, "a pair of Axes"),
        (lambda: table().drop(columns="bic"), {}, DataError, "no column 'bic'"),
        (lambda: table().assign(bic=np.nan), {}, DataError, "no value"),
        (lambda: pd.concat([table(), table()]), {}, DataError, "more than once"),
        (lambda: [1, 2], {}, DataError, "list"),
    ],
)
def test_wrong_tables_are_refused_in_a_sentence(make, options, error, says):
    with pytest.raises(error, match=says) as caught:
        plot_criteria(make(), **options)
    assert str(caught.value).endswith(".")
    assert not plt.get_fignums()


def test_one_model_is_enough():
    row = {"n_components": [2], "covariance": ["diag"], "log_evidence": [-10.0]}
    np.testing.assert_array_equal(
        star(plot_criteria(pd.DataFrame(row), criterion="log_evidence")), [2, -10]
    )


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_noise_labels_and_bounds_are_in_the_picture(method):
    """Crosses for noise, rings for known labels, dotted lines where a selection ends."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=(80, 2)), [[5.0, 4.5], [-4.5, 4.0], [4.0, -4.0]]])
    x = x[x[:, 0] > -1.0]
    labels = np.where(np.arange(len(x)) < 5, 0, -1)
    rows = bg.Observations(x, labels=labels, selection={"x0": (-1.0, None)})
    fit = bg.fit(bg.MixtureSpec(1, noise=True), rows, method=method, seed=1)
    ax = plot_fit(fit)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(word.startswith("noise: weight 0.0") for word in words)
    assert {"known label", "nothing recorded beyond"} <= set(words)
    plain, stray = ax.collections[:2]
    assert len(plain.get_offsets()) + len(stray.get_offsets()) == len(x)
    assert len(stray.get_offsets()) == (fit.predict().values == -1).sum() > 0
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert len(rings[0].get_xdata()) == 5
    assert any(line.get_linestyle() == ":" and set(line.get_xdata()) == {-1.0} for line in ax.lines)
    one = bg.fit(bg.MixtureSpec(1, noise=True), x[:, :1], method=method, seed=1)
    line = plot_fit(one)
    x_at, y_at = line.lines[-1].get_data()
    assert line.get_ylim()[1] > 0 and len(x_at) == len(y_at)
    area = [np.trapezoid(each.get_ydata(), each.get_xdata()) for each in line.lines[:3]]
    assert any(abs(value - 1.0) < 0.03 for value in area)  # the mixture, noise included
