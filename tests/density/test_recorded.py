"""Values recorded to a step: what MAP, Laplace and NUTS make of them, and what they say.

The density itself is checked in test_density.py, PyMC's in test_posterior.py.
"""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import datasets as sklearn_data
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg
from bayesgmm.inference.maximum.soundness import weak_draw
from bayesgmm.inference.sampling.modes import prepare
from bayesgmm.methods import Run
from bayesgmm.result.status import Status
from tests.support import STRUCTURES

IRIS, SPECIES = sklearn_data.load_iris(return_X_y=True)
HALF_NORMAL = bg.Priors(scales=bg.HalfNormal())


def fit(x, k, covariance="full", method="map", priors=None, **options):
    spec = bg.MixtureSpec(k, covariance, priors or bg.Priors())
    return bg.fit(spec, x, method=method, **{"seed": 0} | options)


def ties(resolution):
    """Sixty rows of a normal, and six that are equal, at the end."""
    rows = np.random.default_rng(0).normal(size=(60, 2))
    rows = np.concatenate([rows, np.full((6, 2), 3.0)])
    return bg.Observations(rows, resolution=resolution)


# Iris, to 0.1 cm -----------------------------------------------------------------


@pytest.fixture(scope="module")
def nuts_iris():
    return fit(IRIS, 3, method="nuts", draws=250, chains=4, seed=1)


def test_the_posterior_of_iris_is_sampled_and_finds_the_species(nuts_iris):
    """By the default priors, four features and all; the labels by scikit-learn's measure."""
    assert nuts_iris.status is Status.CONVERGED
    assert adjusted_rand_score(SPECIES, nuts_iris.predict()) >= 0.85
    assert "150 rows recorded to 0.1, 4 features" in repr(nuts_iris)
    assert nuts_iris.note == ""


def test_no_draw_is_narrower_than_the_recording(nuts_iris):
    smallest = np.linalg.eigvalsh(nuts_iris.parameters.covariances).min(axis=-1)
    assert (smallest >= 0.01 / 12 * (1 - 1e-9)).all()
    np.testing.assert_allclose(nuts_iris.observations.resolution, 0.1, rtol=1e-9)


@pytest.mark.parametrize("k", [3, 4])
def test_the_mode_of_iris_is_bounded(k):
    """Its ties and planes of a few rows give a likelihood without bound, where no end is sound
    and a search meets degenerate runs; recorded to 0.1 even the search that does not avoid
    them ends in a mode, no narrower than the recording."""
    found = fit(IRIS, k, avoid_collapse=False)
    assert found.status is Status.CONVERGED
    assert np.linalg.eigvalsh(found.parameters.covariances[0, 0]).min() >= 0.01 / 12


# The mode ------------------------------------------------------------------------


@pytest.mark.parametrize("correlations", [None, "uniform"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_every_run_of_recorded_values_is_monotone(covariance, correlations, faithful):
    """Coarse ones, of which the recording is much of the smaller covariances, from a start
    that is far: three rows, each with the covariance of all."""
    x = np.round(faithful.values / [0.5, 10]) * [0.5, 10]
    variance = x.var(axis=0)
    start = bg.MixtureParameters.from_covariances(
        np.full(3, 1 / 3),
        x[:3] + np.array([[0.0, 1.0], [0.1, 0.0], [0.2, 0.0]]),
        np.broadcast_to(np.diag(variance), (3, 2, 2)),
    )
    result = fit(
        bg.Observations(x, resolution=[0.5, 10]),
        3,
        covariance,
        start=start,
        accelerate=False,
        priors=bg.Priors(correlations=correlations),
        max_iter=20_000,
    )
    trace = result.tree["fit/objective_trace"].values
    assert result.status is Status.CONVERGED
    assert len(trace) > 5
    assert np.all(np.diff(trace) >= -1e-9 * np.abs(trace[:-1]))


@pytest.mark.parametrize("correlations", [None, "uniform"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_mode_of_recorded_values_is_the_maximum_that_scipy_finds(
    covariance, correlations, faithful
):
    x = bg.Observations(faithful, resolution=[0.2, 5.0])
    result = fit(x, 2, covariance, priors=bg.Priors(correlations=correlations))
    assert result.status is Status.CONVERGED
    density = bg.LogPosterior(result.spec, x, jacobian=False)
    top = density.unconstrain(result.parameters[0, 0])
    jitter = 0.05 * np.random.default_rng(0).normal(size=density.size)

    def negative(theta):
        value, gradient = density.value_and_grad(theta)
        return -value, -gradient

    found = minimize(negative, top + jitter, jac=True, method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(-found.fun, density.value(top), rtol=1e-9)
    np.testing.assert_allclose(found.x, top, atol=1e-3)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_start_of_recording_alone_is_left(covariance, faithful):
    """Where T = S nothing is left for Sigma, which is no collapse: as a fit by EM may end."""
    x = bg.Observations(faithful, resolution=[0.2, 5.0])
    s = np.diag(x.recorded_variance(covariance) * x.scale_for(covariance) ** 2)
    bare = bg.MixtureParameters.from_covariances(
        [0.4, 0.6], [[2.0, 54.0], [4.3, 80.0]], np.stack([s, s])
    )
    found, sought = fit(x, 2, covariance, start=bare), fit(x, 2, covariance)
    assert found.status is Status.CONVERGED
    lp = [float(each.tree["sample_stats/lp"].item()) for each in (found, sought)]
    assert lp[0] == pytest.approx(lp[1], abs=1e-4)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_without_a_step_values_are_as_good_as_continuous(covariance, faithful):
    """The same mode as of data moved by less than a hundredth of their step, in which no step
    is found."""
    x = faithful.values
    free = x + np.random.default_rng(0).uniform(-1, 1, x.shape) * [1e-8, 1e-5]
    assert not bg.Observations(free).resolution.any()
    start = fit(free, 2, covariance).parameters[0, 0]
    a, b = (
        fit(data, 2, covariance, start=start).parameters
        for data in (free, bg.Observations(x, resolution=0))
    )
    np.testing.assert_allclose(a.covariances, b.covariances, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(a.means, b.means, rtol=1e-4)


def test_the_covariance_of_what_was_rounded_is_found():
    """Sheppard's correction: rounded to one standard deviation, values have 1/12 more variance,
    which T has and Sigma has not."""
    n = 20_000
    x = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=n)
    rows = bg.Observations(np.round(x))
    np.testing.assert_array_equal(rows.resolution, 1)
    found = fit(rows, 1)
    np.testing.assert_allclose(
        found.parameters.covariances[0, 0, 0], np.cov(np.round(x).T), rtol=2e-3
    )
    density = bg.LogPosterior(found.spec, rows)
    tril = density.standardise(found.parameters[0, 0])[2][0] * density.scale[:, None]
    error = np.sqrt(2 / n)  # of a variance, relative, and more than that of the covariance
    np.testing.assert_allclose(tril @ tril.T, [[1, 0.6], [0.6, 1]], atol=5 * error)


# Bounded, and not ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correlations", "rate"), [(None, 0.0), (1.0, 1.5), (2.0, 0.5), ("uniform", -0.5)]
)
def test_how_a_plane_of_as_many_rows_as_features_raises_the_density(correlations, rate):
    """Continuous data, three features, and a component that flattens onto the plane of three
    rows.  |R| falls as the square e of its thickness; the likelihood rises as e^(-D / 2), LKJ
    falls as e^(eta - 1), and uniform marginals as e^((D + 1) (D / 2 - 1)): the default is the
    least eta at which the sum does not rise."""
    x = np.random.default_rng(1).normal(size=(60, 3))
    few = x[:3]
    normal = np.cross(few[1] - few[0], few[2] - few[0])
    normal /= np.linalg.norm(normal)
    priors = bg.Priors(correlations=correlations)
    density = bg.LogPosterior(bg.MixtureSpec(2, priors=priors), x, jacobian=False)
    broad, mean = np.cov(x.T), few.mean(axis=0)
    plane = np.eye(3) - np.outer(normal, normal)
    values = []
    for thickness in (1e-5, 1e-6):
        flat = 0.5 * plane + thickness**2 * np.outer(normal, normal)
        mixture = bg.MixtureParameters.from_covariances(
            [0.95, 0.05], [[0, 0, 0], mean], [broad, flat]
        )
        values.append(density.value(density.unconstrain(mixture)))
    assert np.diff(values)[0] / np.log(100) == pytest.approx(rate, abs=0.01)


def test_the_mode_of_continuous_data_is_bounded_by_default():
    """A search that does not avoid collapses, where LKJ(1) has none but collapsed ends."""
    x = np.random.default_rng(1).normal(size=(60, 3))
    assert fit(x, 3, avoid_collapse=False).status is Status.CONVERGED
    with pytest.warns(bg.FitWarning, match="Component . has collapsed; it rests on"):
        found = fit(x, 3, avoid_collapse=False, priors=bg.Priors(correlations=1.0))
    assert found.status is Status.DEGENERATE


@pytest.mark.parametrize("correlations", ["uniform", 1.0])
def test_draws_begin_at_modes_that_hold_mass(correlations):
    """Ten features, strongly correlated: these priors have needles on a few rows, higher than
    the two components that are there, and of no mass."""
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal(np.zeros(10), 0.8 + 0.2 * np.eye(10), size=100)
    x[50:, 0] += 8.0
    density, modes, _ = prepare(
        bg.MixtureSpec(2, priors=bg.Priors(correlations=correlations)),
        bg.Observations(x),
        Run(1, cores=1),
    )
    top = density.constrain(modes[0].theta)
    np.testing.assert_allclose(top.weights, 0.5, atol=0.01)
    assert top.correlations[:, 0, 1].min() > 0.3


@pytest.mark.parametrize("priors", [bg.Priors(), HALF_NORMAL], ids=["default", "HalfNormal"])
def test_a_mode_on_ties_names_its_component_and_rows(priors):
    with pytest.warns(bg.FitWarning, match=r"resolution=\.\.\."):
        found = fit(ties(0), 2, priors=priors, avoid_collapse=False)
    assert found.status is Status.DEGENERATE
    assert "Component 1 has collapsed; it rests on" in found.note
    assert "rows (60, 61, 62, 63, 64, …)" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nuts", "laplace"])
def test_draws_on_ties_name_the_component_and_its_rows(method):
    """An improper posterior: whatever the verdict, the note says what it is about."""
    options = {"draws": 100, "chains": 2} if method == "nuts" else {"draws": 200}
    with pytest.warns(bg.FitWarning, match="has collapsed"):
        found = fit(ties(0), 2, method=method, priors=HALF_NORMAL, **options)
    assert not found.status.ok
    assert "Component 1 has collapsed; it rests on" in found.note
    assert "60, 61, 62, 63, 64" in found.note
    assert found.note in repr(found)


@pytest.mark.filterwarnings("ignore:.*do not summarise this posterior:bayesgmm.FitWarning")
@pytest.mark.parametrize("method", ["map", "nuts", "laplace"])
def test_ties_that_were_recorded_are_no_collapse(method):
    """Laplace's k-hat, which is no part of this, is .3 to .75 over seeds, and may say so."""
    options = {"draws": 200, "chains": 2} if method == "nuts" else {}
    found = fit(ties(0.1), 2, method=method, **options)
    good = {Status.CONVERGED, Status.UNRELIABLE} if method == "laplace" else {Status.CONVERGED}
    assert found.status in good
    assert "collapsed" not in found.note
    smallest = np.linalg.eigvalsh(found.parameters.covariances).min()
    assert smallest >= 0.01 / 12 * (1 - 1e-9)


def test_a_component_of_a_posterior_is_weak_below_the_rows_that_fix_its_covariance():
    """D + 1, where a maximum of the likelihood is told of twice as many: a prior is there."""
    x = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), [[9.0, 9.0], [9.1, 9.3]]])
    density = bg.LogPosterior(bg.MixtureSpec(2), x)
    means, tril = [[0.0, 0.0], [9.0, 9.0]], [np.eye(2), 0.3 * np.eye(2)]
    weak = bg.MixtureParameters([60 / 62, 2 / 62], means, tril)
    assert weak_draw(density, weak) == ("Component 1 rests on 2.0 rows, fewer than 3 (60, 61).")
    assert weak_draw(density, bg.MixtureParameters([0.95, 0.05], means, tril)) == ""
