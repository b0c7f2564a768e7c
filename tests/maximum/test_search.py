"""The search: the same optimum by other seeds, units and multiplicities; sound maxima first."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta, chi2, norm
from sklearn import datasets as sklearn_data

import bayesgmm as bg
from bayesgmm.data.lattice import lattice_step
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.inference.maximum.curvature import whitening, whitening_by_sample
from bayesgmm.inference.maximum.floor import variance_floor
from bayesgmm.inference.maximum.insertion import insertions
from bayesgmm.inference.maximum.search import Effort
from bayesgmm.inference.maximum.soundness import Bounds
from bayesgmm.result.status import Status
from tests.support import STRUCTURES


def lab(name):
    if name == "iris":
        return sklearn_data.load_iris().data
    return (
        bg.datasets.faithful().values
        if name == "faithful"
        else (bg.datasets.galaxies().values / 1000)
    )


def fit(x, k, covariance="full", **options):
    return bg.fit(bg.MixtureSpec(k, covariance), x, **{"seed": 0} | options)


# The step to which values were recorded ---------------------------------------


@pytest.mark.parametrize("step", [1.0, 0.1, 0.25, 1 / 60, 2.54e-6, 1e4])
@pytest.mark.parametrize("origin", [0.0, -3.7, 1e3])
def test_the_step_of_recorded_values_is_found_in_any_unit(step, origin):
    x = np.random.default_rng(0).integers(0, 60, 200)
    assert lattice_step(origin * step + x * step) == pytest.approx(step, rel=1e-6)


def test_the_step_is_found_far_from_zero_and_of_the_data_that_everybody_has():
    x = bg.datasets.faithful().values
    assert [lattice_step(column) for column in x.T] == pytest.approx([0.001, 1.0], rel=1e-9)
    assert [lattice_step(column + 1e9) for column in x.T] == pytest.approx([0.001, 1.0], rel=1e-4)
    assert lattice_step(lab("iris")[:, 3]) == pytest.approx(0.1, rel=1e-9)


def test_continuous_values_have_no_step():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    assert lattice_step(x) == 0
    assert lattice_step(np.tile(x, 3)) == 0  # rows that are repeated are no rounding
    assert lattice_step(np.concatenate([x, x[:1]])) == 0
    assert lattice_step(x.astype(np.float32).astype(float)) == 0
    assert lattice_step(lab("galaxies")[:, 0]) == 0  # no ties
    assert lattice_step(np.full(5, 2.0)) == 0


@pytest.mark.parametrize("n", [9_999, 200_000])
def test_the_step_of_a_long_column_is_that_of_all_its_values(n):
    """Few of them show that there is none; that they have one says nothing of the others."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 60, n) / 4
    assert lattice_step(x) == pytest.approx(0.25, rel=1e-9)
    assert lattice_step(np.where(np.arange(n) == 17, x + 0.125, x)) == pytest.approx(0.125)
    assert lattice_step(np.where(np.arange(n) == 17, x + np.pi / 1e3, x)) == 0
    assert lattice_step(np.where(np.arange(n) == 17, 1.0, 0.0)) == 1
    assert lattice_step(np.where(np.arange(n) < 17, 1.0, rng.normal(size=n))) == 0


@pytest.mark.slow
def test_a_component_is_no_narrower_than_the_recording():
    """Iris to 0.1 cm, of which 29 petals have one width; r^2 / 12 is the rounding's variance."""
    x = lab("iris")
    with pytest.warns(bg.FitWarning, match="collapsed"):
        found = fit(x, 4, avoid_collapse=False)
    assert found.status is Status.DEGENERATE
    assert "has collapsed; it rests on" in found.note
    relative = np.linalg.eigvalsh(found.parameters.covariances[0, 0] / (0.01 / 12))
    assert relative.min() == pytest.approx(1.0, rel=1e-6)
    assert (fit(x, 4).parameters.covariances[0, 0].diagonal(axis1=1, axis2=2) > 0.01 / 12).all()


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_floor_changes_nothing_where_it_does_not_bind(covariance):
    """The same data without ties: moved by less than a hundredth of the step."""
    x = lab("faithful")
    free = x + np.random.default_rng(0).uniform(-1, 1, x.shape) * [1e-8, 1e-5]
    assert not bg.Observations(free).resolution.any()
    start = fit(x, 2, covariance).parameters[0, 0]
    ends = [fit(data, 2, covariance, start=start).log_likelihood for data in (x, free)]
    assert ends[0] == pytest.approx(ends[1], abs=0.01)


def test_the_floor_of_spherical_covariances_is_the_largest_step():
    spec = bg.MixtureSpec(2, "spherical")
    density = LogPosterior(spec, bg.Observations(lab("faithful")), prior=False)
    assert variance_floor(density) == pytest.approx(1 / 12 / density.scale**2)


# The same optimum -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "covariance", "k"), [
    ("faithful", "full", 2), ("faithful", "full", 3), ("faithful", "tied", 4),
    ("faithful", "diag", 4), ("iris", "full", 3), ("iris", "tied", 4), ("iris", "diag", 5),
    ("galaxies", "full", 3), ("galaxies", "full", 4), ("galaxies", "tied", 6),
])  # fmt: skip
def test_other_seeds_end_at_the_same_optimum(name, covariance, k):
    """Over-fitted models are another matter: see benchmarks/same_optimum.py for all."""
    x = lab(name)
    ends = [fit(x, k, covariance, seed=seed).log_likelihood for seed in (1, 2, 3)]
    assert np.ptp(ends) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faithful", "iris", "galaxies"])
def test_other_units_and_repeated_rows_end_at_the_same_optimum(name):
    x = lab(name)
    here = fit(x, 3).log_likelihood
    assert fit(x * 1e-6, 3).log_likelihood + x.size * np.log(1e-6) == pytest.approx(here, abs=0.05)
    assert fit(x + 1e9, 3).log_likelihood == pytest.approx(here, abs=0.05)
    assert fit(np.vstack([x, x]), 3).log_likelihood / 2 == pytest.approx(here, abs=0.05)
    twice = fit(x, 3, row_weights=np.full(len(x), 2.0))
    assert twice.log_likelihood / 2 == pytest.approx(here, abs=0.05)


def test_of_two_mirror_images_one_is_chosen_whatever_the_seed():
    """Three clusters in a row and K = 2: either pair of neighbours may be one component."""
    half = np.random.default_rng(0).normal(12.0, 1.0, 40)
    middle = np.random.default_rng(1).normal(0.0, 1.0, 20)
    x = np.concatenate([half, -half, middle, -middle])[:, None]
    means = [fit(x, 2, seed=seed).parameters.means[0, 0, :, 0] for seed in range(4)]
    assert np.ptp(means, axis=0).max() < 1e-3


# Soundness --------------------------------------------------------------------


def test_a_sound_maximum_comes_before_a_spurious_one():
    """Five rows within a thousandth of a line among 200: fewer than 2 D + 2 = 6, and tight."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=(150, 2)), rng.normal(8.0, 1.0, size=(50, 2))])
    x[:5, 1] = 0.5 * x[:5, 0] + 1e-3 * rng.normal(size=5)
    parts = x[:5], x[5:150], x[150:]
    start = bg.MixtureParameters.from_covariances(
        [len(part) / 200 for part in parts],
        [part.mean(axis=0) for part in parts],
        [np.cov(part.T, bias=True) for part in parts],
    )
    with pytest.warns(bg.FitWarning, match=r"Component 0 is spurious; it rests on .* \(0, 1, 2"):
        found = fit(x, 3, start=start)
    assert found.status is Status.SPURIOUS and not found.status.ok
    best = fit(x, 3)
    assert best.status is Status.CONVERGED and best.log_likelihood < found.log_likelihood


@pytest.mark.parametrize("rows", [5, 8, 12, 20])
def test_a_group_that_chance_makes_is_spurious(rows):
    """Against the exact number of such groups among uniform rows.

    Of n uniform rows a run of m is within a share p of the line with the probability that a
    Beta(m - 1, n - m + 2) is below p (David and Nagaraja 2003, section 2.3), and there are
    n - m + 1 runs.  The middle of a wide normal is as good as uniform; a component is counted
    within two standard deviations.
    """
    n = 200
    density = LogPosterior(
        bg.MixtureSpec(2),
        bg.Observations(np.random.default_rng(0).normal(size=(n, 1))),
        jacobian=False,
        prior=False,
    )

    def runs(sd):
        share = (1 - rows / n) * norm.pdf(0) * 4 * sd
        return (n - rows + 1) * beta(rows - 1, n - rows + 2).cdf(share)

    def spurious(sd):
        mixture = bg.MixtureParameters([rows / n, 1 - rows / n], [[0.0], [0.0]], [[[sd]], [[1.0]]])
        return Bounds(density).judge(density.standardise(mixture)).spurious

    one_in_hundred = brentq(lambda sd: runs(sd) - 0.01, 1e-6, 0.3)
    assert spurious(0.8 * one_in_hundred) == ()
    assert spurious(1.25 * one_in_hundred) == (0,)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_pure_noise_is_not_fitted_by_its_chance_groups(covariance):
    """One normal: a second, narrow one on rows that lie close together gains some 10 by chance.

    Sound ones gain what parameters do: twice the gain is near their number.
    """
    x = np.random.default_rng(0).normal(size=(300, 2))
    one, two, three = (fit(x, k, covariance) for k in (1, 2, 3))
    for found, more in ((two, 1), (three, 2)):
        assert found.status is Status.CONVERGED
        free = more * (6 if covariance == "full" else 5)
        assert 2 * (found.log_likelihood - one.log_likelihood) < chi2(free).ppf(0.99)
        assert found.parameters.scales.min() > 0.1


def test_few_rows_far_away_are_sound_and_said():
    """The three galaxies beyond 30,000 km/s are a component of every published fit."""
    found = fit(lab("galaxies"), 3)
    assert found.status is Status.CONVERGED
    assert found.note == "Component 2 rests on 3.0 rows, fewer than 4 (79, 80, 81)."
    assert found.note in repr(found)
    assert fit(lab("faithful"), 2).note == ""


def test_rows_are_counted_in_units_of_a_typical_one():
    x = lab("galaxies")
    assert bg.Observations(np.vstack([x, x])).typical_weight == 2.0
    assert bg.Observations(x, row_weights=np.full(len(x), 0.5)).typical_weight == 0.5
    assert fit(np.vstack([x, x]), 3).note.startswith("Component 2 rests on 6.0 rows, fewer than 8")


# Moves ------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_component_is_inserted_where_the_data_want_it(covariance):
    """Three clusters, of which a bad solution serves one twice and two together."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 9.0]])
    x = np.concatenate([centre + rng.normal(size=(60, 2)) for centre in centres])
    density = LogPosterior(
        bg.MixtureSpec(3, covariance), bg.Observations(x), jacobian=False, prior=False
    )
    bad = bg.MixtureParameters.from_covariances(
        [0.4, 0.3, 0.3], [[3.0, 0.0], [0.0, 8.0], [0.0, 10.0]], np.stack([4 * np.eye(2)] * 3)
    )
    place = density.standardise(bad)
    tried = list(insertions(Bounds(density), place, 1, rng))
    assert len(tried) == 3  # one for each component that is taken away
    # Without one of the two that share a cluster, the gain is greatest where two were one.
    for start in tried[1:]:
        inserted = start.means[-1] * density.scale + x.mean(axis=0)
        assert np.abs(inserted - centres[:2]).sum(axis=1).min() < 1.5
    for start in tried:
        assert np.exp(start.log_weights).sum() == pytest.approx(1.0)


def test_effort_goes_where_it_pays_and_as_asked():
    small, large = Effort.of(2e4, bg.EM()), Effort.of(2e7, bg.EM())
    assert (small.n_starts, small.n_best, small.rounds) == (40, 10, 20)
    assert large.n_starts < 10 and large.n_best == 2 and large.rounds == 0
    asked = Effort.of(2e7, bg.EM(n_starts=25, n_best=5, rounds=3))
    assert (asked.n_starts, asked.n_best, asked.rounds) == (25, 5, 3)


@pytest.mark.slow
def test_a_posterior_without_a_top_ends():
    """Two rows on a line: what they gain by a correlation of 1 the prior takes away, just so.

    Each round is a little higher than the one before, which is no improvement.
    """
    x = [[-2.336, 9.408], [0.3534, -0.6618], [-6.573, 11.4615]]
    rounds = []

    def progress(stage, done, total):
        if stage == "moving components" and done == total:
            rounds.append(done)

    found = bg.fit(bg.MixtureSpec(2), x, method="map", seed=1, progress=progress)
    assert len(rounds) < 15  # 20 at most
    assert np.abs(found.parameters.correlations[..., 0, 1]).max() > 0.999


def test_curvature_by_a_sample_is_that_of_all_rows():
    """Also of a small part, whose rows alone it is counted by."""
    x = bg.Observations(np.random.default_rng(1).normal(size=(200_000, 1)), resolution=0)
    density = LogPosterior(bg.MixtureSpec(1), x)
    point = density.standardise(bg.MixtureParameters([1.0], [[0.0]], [[[1.0]]]))
    part = density.on(x.sample(1000, seed=1))
    whole = np.linalg.norm(whitening(density, point), axis=1)
    few = np.linalg.norm(whitening_by_sample(part, density, point), axis=1)
    np.testing.assert_allclose(few, whole, rtol=0.1)  # 2 P / n: .06


def test_a_collapsed_end_of_many_rows_is_an_end():
    """From the collapsed place that a search on a sample ended at."""
    x = np.random.default_rng(2).normal(size=21_000)
    x[:9000] = 0.5
    rows = bg.Observations(x, resolution=0)
    method = {"avoid_collapse": False, "max_iter": 300, "n_starts": 4, "rounds": 0}
    with pytest.warns(bg.FitWarning, match="has collapsed"):
        found = bg.fit(bg.MixtureSpec(2), rows, method=bg.EM(**method), seed=1)
    assert int(found.tree["fit/n_iterations"]) < 100
