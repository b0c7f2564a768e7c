"""The samplers against what is known without them: the prior, its marginals, integrals, each other.

Tempering begins at the prior and knows no modes; chains that jump begin at the modes and know
no prior draws.  They share the density and nothing else, so each is the other's check.
"""

from __future__ import annotations

from itertools import permutations

import arviz as az
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.density.coordinates import constrain_many
from bayesgmm.density.prior_draws import prior_draws
from bayesgmm.density.target import log_posterior
from bayesgmm.inference.fitting import fitted
from bayesgmm.inference.sampling import jumps, nuts
from bayesgmm.inference.sampling.jumping import run_jumper
from bayesgmm.inference.sampling.jumps import about, jump
from bayesgmm.inference.sampling.modes import prepare
from bayesgmm.inference.sampling.reference_ladder import ReferenceLadder
from bayesgmm.inference.sampling.students import (
    Students,
    _assign,
    log_students,
    match,
    nearest_modes,
)
from bayesgmm.inference.sampling.tempering import temper
from bayesgmm.methods import Run
from bayesgmm.result.status import Status
from tests.monte_carlo import ERRORS
from tests.support import STRUCTURES

X = np.random.default_rng(5).normal(size=(30, 3))
FAMILIES = {
    bg.LogNormal(median=0.7, sigma=0.8): stats.lognorm(0.8, scale=0.7),
    bg.HalfNormal(sd=1.3): stats.halfnorm(scale=1.3),
    bg.Gamma(shape=1.5, rate=2.0): stats.gamma(1.5, scale=0.5),
    bg.InverseGamma(shape=2.5, scale=1.5): stats.invgamma(2.5, scale=1.5),
}
#: Kolmogorov-Smirnov p-values below this are errors: some hundred tests make a false alarm of
#: one in ten thousand runs.
UNLIKELY = 1e-6

# The prior ---------------------------------------------------------------------


def of_prior(covariance, n=4000, seed=1, k=3, **priors):
    """A density, draws of its prior, and their weights, means and Cholesky factors."""
    density = bg.LogPosterior(
        bg.MixtureSpec(k, covariance, priors=bg.Priors(**priors)), bg.Observations(X, resolution=0)
    )
    theta = prior_draws(density, n, np.random.default_rng(seed))
    log_weights, means, factors = constrain_many(
        theta, density.spec.structure, k, 3, density.prior.frame
    )
    return density, theta, np.exp(log_weights), means, density.spec.structure.to_tril(factors, k)


def agree(draws, distribution):
    assert stats.kstest(draws, distribution.cdf).pvalue > UNLIKELY


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: type(family).__name__)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_prior_draws_have_the_marginals_that_scipy_gives(covariance, family):
    alpha, location, spread = (0.3, 1.0, 2.5), (0.0, 1.0, -2.0), (2.0, 1.0, 0.5)
    _, _, weights, means, tril = of_prior(
        covariance, weights=alpha, mean_location=location, mean_scale=spread, scales=family
    )
    scales = np.sqrt((tril**2).sum(axis=-1))
    for j in range(3):
        agree(weights[:, j], stats.beta(alpha[j], sum(alpha) - alpha[j]))
        for i in range(3):
            agree(means[:, j, i], stats.norm(location[i], spread[i]))
            agree(scales[:, j, i], FAMILIES[family])


@pytest.mark.parametrize("covariance", ["full", "tied"])
@pytest.mark.parametrize("eta", [0.4, 1.0, 3.0, "uniform"])
def test_prior_draws_have_the_correlations_of_the_prior(covariance, eta):
    """Under LKJ each by itself is a beta on (-1, 1); or uniform, by its name."""
    tril = of_prior(covariance, correlations=eta)[-1]
    factor = tril / np.sqrt((tril**2).sum(axis=-1))[..., None]
    correlations = factor @ np.swapaxes(factor, -1, -2)
    shape = 1.0 if eta == "uniform" else eta - 1 + 3 / 2
    for a, b in ((1, 0), (2, 0), (2, 1)):
        agree(correlations[:, 0, a, b], stats.beta(shape, shape, loc=-1, scale=2))


@pytest.mark.parametrize(
    ("covariance", "correlations"), [(c, None) for c in STRUCTURES] + [("full", "uniform")]
)
def test_the_mean_slope_of_the_prior_over_its_draws_is_zero(covariance, correlations):
    """Which joins the draws to the density over theta with its Jacobian, together and not by
    margins: within standard errors of independent draws, in every coordinate."""
    density, theta, *_ = of_prior(covariance, n=3000, correlations=correlations, seed=2)
    slopes = np.empty_like(theta)
    for row, slope in zip(theta, slopes, strict=True):
        log_posterior(density.target, 0.0, row, slope, np.empty(1))
    errors = slopes.std(axis=0) / np.sqrt(len(slopes))
    assert np.abs(slopes.mean(axis=0) / errors).max() < ERRORS


def test_prior_draws_are_finite_where_variates_underflow():
    for priors in (
        {"weights": 1e-3, "scales": bg.Gamma(shape=1e-3, rate=1.0)},
        {"scales": bg.InverseGamma(shape=1e-3, scale=1.0), "correlations": 1e-3},
    ):
        assert np.isfinite(of_prior("full", n=1000, **priors)[1]).all()


# Matching ----------------------------------------------------------------------


def test_the_assignment_is_scipys():
    rng = np.random.default_rng(3)
    for _ in range(300):
        k = int(rng.integers(1, 9))
        cost = rng.normal(size=(k, k)) if rng.random() < 0.5 else rng.integers(3, size=(k, k)) * 1.0
        columns = np.empty(k, np.int64)
        _assign(cost, columns)
        assert sorted(columns) == list(range(k))
        best = cost[linear_sum_assignment(cost)].sum()  # with ties there are several
        assert cost[np.arange(k), columns].sum() == pytest.approx(best, abs=1e-9)


def matched(density, theta, center, precision):
    """``theta`` in a mode's labelling, and whether it was in it."""
    out, d = np.empty_like(theta), density.observations.n_features
    each = density.spec.structure.own_entries(d)
    return out, match(theta, center, precision, density.groups, density.basis, d, each, out)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_match_is_the_relabelling_nearest_to_a_mode(covariance):
    """By brute force over relabellings, in the mode's standard deviations; weights do not count."""
    density = bg.LogPosterior(bg.MixtureSpec(3, covariance), bg.Observations(X, resolution=0))
    rng = np.random.default_rng(4)
    orders = [np.array(order) for order in permutations(range(3))]
    for _ in range(20):
        center, theta = rng.normal(size=(2, density.size))
        sd = rng.uniform(0.5, 2.0, density.size)
        all_of_it = np.stack([density.relabelled(theta, order) for order in orders])
        distance = ((((all_of_it - center) / sd)[:, 2:]) ** 2).sum(axis=1)
        found, same = matched(density, theta, center, 1 / sd)
        np.testing.assert_allclose(found, all_of_it[distance.argmin()], atol=1e-12)
        assert same == (distance.argmin() == 0)
        assert matched(density, center, center, 1 / sd)[1]  # a mode matches itself
        moved = density.relabelled(center, orders[int(rng.integers(6))])
        np.testing.assert_allclose(matched(density, moved, center, 1 / sd)[0], center, atol=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e200])
def test_a_place_at_infinity_is_matched_and_not_for_ever(wrong):
    density = bg.LogPosterior(bg.MixtureSpec(3), bg.Observations(X, resolution=0))
    one = np.ones(density.size)
    matched(density, wrong * one, 0 * one, one)


def test_the_ts_are_scipys_in_the_labelling_of_each_mode():
    density = bg.LogPosterior(bg.MixtureSpec(2), bg.Observations(X[:, :2], resolution=0))
    rng, p = np.random.default_rng(6), density.size
    roots = np.tril(rng.normal(size=(3, p, p)), -1) * 0.3 + np.eye(p)
    covariances = roots @ np.swapaxes(roots, -1, -2)
    shares = np.array([0.2, 0.5, 0.3])
    students = Students.of(rng.normal(size=(3, p)), covariances, shares, density.groups)
    one = stats.t(students.degrees)

    def log_density(m, place):
        """The t's of the whitened directions, by SciPy."""
        z = np.linalg.solve(students.roots[m], (place - students.centers[m]).T)
        return one.logpdf(z).sum(axis=0) - np.log(np.diag(students.roots[m])).sum()

    places, logs = np.empty((3, p)), np.empty(3)
    for theta in rng.normal(size=(20, p)):
        total = log_students(theta, students, density.basis, 2, 3, places, logs)
        for m in range(3):
            place = matched(density, theta, students.centers[m], students.precisions[m])[0]
            np.testing.assert_array_equal(places[m], place)
            assert logs[m] == pytest.approx(np.log(shares[m]) + log_density(m, place))
        assert total == pytest.approx(logsumexp(logs))
    np.testing.assert_allclose(students.covariance(1), covariances[1], rtol=1e-6)
    theta, log_t = students.shared(shares[::-1]).only(1).simulate(2000, rng)
    np.testing.assert_allclose(log_t, log_density(1, theta))
    agree(np.linalg.solve(students.roots[1], (theta - students.centers[1]).T)[0], one)


# The same posterior, by samplers that know nothing of each other ------------------------


@pytest.fixture(scope="module")
def three():
    """The density of three components on the galaxies, and its modes: the largest, and a
    lesser one of about a fiftieth of the mass, in which no component is alone on the left."""
    values = bg.Observations(bg.datasets.galaxies() / 1000, resolution=0)
    return prepare(bg.MixtureSpec(3), values, Run(1, cores=2))[:2]


def lesser(density, theta):
    """Whether each draw is about the lesser mode."""
    return density.constrain(theta).means[..., 0].min(axis=-1) > 14


def label_free(density, theta):
    """Quantities (chain, draw) that no relabelling changes."""
    parameters = density.constrain(theta)
    volume = np.log(parameters.scales[..., 0])
    rows = parameters.log_density(density.observations.matrix)
    return {
        "log-likelihood": rows.sum(axis=-1),
        "density at a row": rows[..., 20],
        "largest weight": parameters.weights.max(axis=-1),
        "smallest": volume.min(axis=-1),
        "largest": volume.max(axis=-1),
        "least mean": parameters.means[..., 0].min(axis=-1),
    }


def by_tempering(density, draws=1000):
    return temper(
        density,
        draws=draws,
        tune=400,
        chains=4,
        cores=2,
        seed=np.random.SeedSequence(1),
        progress=None,
    )


@pytest.fixture(scope="module")
def tempered(three):
    return by_tempering(three[0], 1500)


def same_mean(first, second, name):
    """Up to the Monte Carlo standard errors of both together, by ArviZ."""
    gap = first.mean() - second.mean()
    error = np.hypot(float(az.mcse(first)), float(az.mcse(second)))
    assert abs(gap) < ERRORS * error, (name, gap, error)


def same_means(density, first, second):
    first, second = label_free(density, first), label_free(density, second)
    for name, values in first.items():
        same_mean(values, second[name], name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jumps_draw_what_tempering_draws(three, tempered, seed):
    """Every chain has the lesser mode, whatever became of the first draws about it."""
    density, modes = three
    drawn = jump(
        density,
        modes,
        draws=1500,
        tune=500,
        chains=4,
        cores=2,
        seed=np.random.SeedSequence(seed),
        progress=None,
    )
    same_means(density, drawn.theta, tempered.theta)
    share = lesser(density, drawn.theta)
    same_mean(share * 1.0, lesser(density, tempered.theta) * 1.0, "the lesser mode")
    assert (share.mean(axis=1) > 0.004).all() and share.mean() < 0.04
    assert drawn.facts["jumps_accepted"] > 0.2 and drawn.statistics["diverging"].mean() < 0.01
    values = [density.value(theta) for theta in drawn.theta[0, :50]]
    np.testing.assert_allclose(drawn.statistics["lp"][0, :50], values)


def by_way_of_temperatures(density, students, betas, begin, n):
    """Draws (chain, n, P) of ladders from the t's given, whatever they are."""
    chains = []
    for seed, theta in enumerate(begin):
        steps = np.full((len(betas), len(students.shares)), np.log(0.3))
        states = np.repeat(theta[None], len(betas), axis=0)
        ladder = ReferenceLadder(
            density, students, betas, states, steps, np.random.default_rng(seed)
        )
        ladder.scan(300, adapting=True)
        chains.append(ladder.scan(n, adapting=False))
    assert sum(chain.trips for chain in chains) > 50
    values = [density.value(theta) for theta in chains[0].draws[:20]]
    np.testing.assert_allclose(chains[0].values[:20], values)
    return np.stack([chain.draws for chain in chains])


@pytest.mark.slow
@pytest.mark.parametrize("wide", [1.0, 9.0])
def test_ladders_from_the_ts_draw_what_tempering_draws(three, tempered, wide):
    """From the t's at the modes and from t's so wide that they reach over many labellings, of
    wrong shares."""
    density, modes = three
    fair = about(modes, density.groups)
    covariances = wide * np.stack([fair.covariance(m) for m in range(3)])
    students = Students.of(fair.centers, covariances, np.array([0.1, 0.3, 0.6]), density.groups)
    begin = tempered.theta[:, 0]
    theta = by_way_of_temperatures(density, students, np.linspace(0, 1, 5), begin, 4000)
    same_means(density, theta, tempered.theta)
    same_mean(
        lesser(density, theta) * 1.0, lesser(density, tempered.theta) * 1.0, "the lesser mode"
    )


@pytest.mark.slow
def test_jumps_go_by_way_of_temperatures_where_few_are_accepted(three, tempered, monkeypatch):
    density, modes = three
    monkeypatch.setattr(jumps, "_JUMPS", 1)  # so that each would have to be accepted
    drawn = jump(
        density,
        modes,
        draws=1500,
        tune=200,
        chains=4,
        cores=2,
        seed=np.random.SeedSequence(1),
        progress=None,
    )
    assert drawn.facts["round_trips"] > 100 and "jumps_accepted" not in drawn.facts
    assert len(drawn.facts["swap_rejection"]) == len(drawn.facts["temperatures"]) - 1
    same_means(density, drawn.theta, tempered.theta)


def by_these(density, students, jumps, begin, n):
    """Draws (chain, n, P) by the t's given, whatever they are."""
    chains = []
    for seed, theta in enumerate(begin):
        options = {"jumps": jumps, "rng": np.random.default_rng(seed)}
        steps = np.full(len(students.shares), np.log(0.3))
        warm = run_jumper(density, students, steps, theta, 300, adapting=True, **options)
        last = warm.draws[-1]
        chains.append(run_jumper(density, students, steps, last, n, adapting=False, **options))
    return np.stack([chain.draws for chain in chains])


@pytest.mark.slow
def test_bad_ts_leave_the_posterior_as_it_is(three, tempered):
    """What is in balance does not depend on the t's: here they are so wide that they reach over
    many labellings, and of wrong shares."""
    density, modes = three
    fair = about(modes, density.groups)
    covariances = 9 * np.stack([fair.covariance(m) for m in range(3)])
    wide = Students.of(fair.centers, covariances, np.array([0.1, 0.3, 0.6]), density.groups)
    theta = by_these(density, wide, 5, tempered.theta[:, 0], 8000)
    same_means(density, theta, tempered.theta)
    same_mean(
        lesser(density, theta) * 1.0, lesser(density, tempered.theta) * 1.0, "the lesser mode"
    )


@pytest.fixture(scope="module")
def blurred():
    """Two components for one normal, where no border between the labellings is empty: the
    density, its mode's t, and draws by tempering."""
    density, modes, _ = prepare(
        bg.MixtureSpec(2), bg.Observations(X[:, :1], resolution=0), Run(1, cores=2)
    )
    return density, about(modes[:1], density.groups), by_tempering(density, 2000).theta


@pytest.mark.slow
@pytest.mark.parametrize(
    ("between", "jumps", "draws"),
    [(0.4, 1, 12000), (0.7, 20, 3000)],
    ids=["trajectories", "proposals"],
)
def test_borders_of_labellings_leave_the_posterior_as_it_is(blurred, between, jumps, draws):
    """A t out of place, wide for one component and narrow for the other, which meets the border
    everywhere.  Trajectories that were not refused there gave the scale of the wider component 8
    errors from its mean, and proposals the least mean 8."""
    density, own, tempered = blurred
    sd = tempered.reshape(-1, 5).std(axis=0) * [1.0, 1.5, between, 1.5, between]
    students = Students.of(0.3 * own.centers, np.diag(sd**2)[None], np.ones(1), density.groups)
    theta = by_these(density, students, jumps, tempered[:, 0], draws)
    same_means(density, theta, tempered)


@pytest.mark.slow
def test_stepping_stones_give_the_published_evidence(tempered):
    """-224.264 with an error of .004, by long runs of importance sampling."""
    facts = tempered.facts
    se = facts["log_evidence_stepping_stone_se"]
    assert se < 0.15 and abs(facts["log_evidence_stepping_stone"] + 224.264) < ERRORS * se
    assert facts["round_trips"] > 100
    assert facts["temperatures"][0] == 0 and facts["temperatures"][-1] == 1
    rejection = facts["swap_rejection"]  # nearly even: that is how temperatures are set
    assert np.all(np.diff(facts["temperatures"]) > 0) and rejection.max() < 2 * rejection.mean()


@pytest.mark.slow
@pytest.mark.parametrize("row_weights", [None, np.linspace(0.5, 2.0, 25)])
def test_stepping_stones_give_the_integral(row_weights):
    """Over the mean and the scale of one normal, by SciPy's Simpson rule, in the data's units."""
    x = np.random.default_rng(8).normal(3.0, 2.0, 25)
    values = bg.Observations(x, resolution=0, row_weights=row_weights)
    density = bg.LogPosterior(bg.MixtureSpec(1), values)
    a = np.ones(25) if row_weights is None else row_weights
    center, unit = values.center[0], density.scale[0]
    prior = stats.norm(center, 2 * unit), stats.lognorm(1.0, scale=0.5 * unit)

    mean = np.linspace(-2.0, 8.0, 400)[:, None, None]  # by log scale and row
    log_scale = np.linspace(np.log(0.5), np.log(15.0), 400)[:, None]
    scale = np.exp(log_scale)
    log_joint = (
        stats.norm.logpdf(x, mean, scale) @ a
        + (prior[0].logpdf(mean) + prior[1].logpdf(scale) + log_scale)[..., 0]
    )
    largest = log_joint.max()
    integral = integrate.simpson(
        integrate.simpson(np.exp(log_joint - largest), x=log_scale[:, 0]), x=mean[:, 0, 0]
    )
    drawn = by_tempering(density)
    se = drawn.facts["log_evidence_stepping_stone_se"]
    gap = drawn.facts["log_evidence_stepping_stone"] - largest - np.log(integral)
    assert se < 0.1 and abs(gap) < ERRORS * se


# Which sampler ------------------------------------------------------------------


GALAXIES = bg.Observations(bg.datasets.galaxies() / 1000, resolution=0)
FEW = {"draws": 100, "tune": 50, "chains": 2}


def sampler(fit):
    return str(fit.tree["fit/sampler"].item())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")  # of few draws
def test_the_modes_decide_how_to_sample(monkeypatch):
    """R-hat apart, which may have the last word."""
    monkeypatch.setattr(nuts, "_TRY_ON", np.inf)
    of_one = bg.fit(bg.MixtureSpec(1), GALAXIES, method="nuts", seed=1, **FEW)
    several = bg.fit(bg.MixtureSpec(3), GALAXIES, method="nuts", seed=1)
    assert (sampler(of_one), sampler(several)) == ("nuts", "jumps")
    assert several.status is Status.CONVERGED
    assert bg.diagnose(several).divergences == several.tree["sample_stats/diverging"].sum()
    # One start is one mode.
    em = bg.fit(bg.MixtureSpec(3), GALAXIES, seed=1)
    begun = bg.fit(bg.MixtureSpec(3), GALAXIES, method="nuts", start=em, seed=1, **FEW)
    assert sampler(begun) == "nuts" and int(begun.tree["fit/n_modes"]) == 1


def test_labellings_that_hardly_differ_are_modes():
    """Of nearly the same density, so that it alone does not tell them apart."""
    x = bg.Observations(np.concatenate([X[:40, :1], X[:25, :1] + 5.0]), resolution=0)
    found = {}
    for other in (2.0, 2.001):
        spec = bg.MixtureSpec(2, "tied", bg.Priors(weights=(2.0, other)))
        found[other] = bg.fit(spec, x, method="laplace", draws=2000, seed=1)
        found[other, "evidence"] = bg.log_evidence(found[other], seed=1)
    first = found[2.001].parameters.means[..., 0, 0].ravel() > 2.5
    assert 0.4 < first.mean() < 0.6
    one, two = found[2.0, "evidence"], found[2.001, "evidence"]
    assert abs(one.value - two.value) < 4 * np.hypot(one.se, two.se) + 0.01


def test_mirror_images_are_modes():
    """Rows that are the same with their features exchanged: two splits of like mass."""
    corners = np.concatenate([X[:12, :2] * 0.5 + c for c in ((3, 3), (-3, 3))])
    x = np.concatenate([corners, corners * [1, -1]])
    x = bg.Observations(np.concatenate([x, x[:, ::-1]]), resolution=0)
    fit = bg.fit(bg.MixtureSpec(2, "diag"), x, method="nuts", draws=400, tune=200, seed=1)
    apart = np.abs(np.diff(fit.parameters.means, axis=-2))[..., 0, :]
    assert int(fit.tree["fit/n_modes"]) == 2
    assert 0.3 < (apart[..., 0] > apart[..., 1]).mean() < 0.7


@pytest.mark.slow
def test_labels_that_something_tells_apart_are_held_in_their_shares():
    """Priors that differ tell components apart, a little: each labelling is a mode of its own,
    jumps find its share, and so does tempering, which knows of no modes."""
    spec = bg.MixtureSpec(2, "tied", bg.Priors(weights=(2.0, 6.0)))
    x = bg.Observations(np.concatenate([X[:40, :1], X[:25, :1] + 5.0]), resolution=0)
    jumps = bg.fit(spec, x, method="nuts", draws=2000, seed=1)
    ladder = bg.fit(spec, x, method="tempering", draws=2000, seed=2)
    assert sampler(jumps) == "jumps" and int(jumps.tree["fit/n_modes"]) == 2
    assert (jumps.statistics["permutation"].values == [0, 1]).all()
    first = [fit.parameters.weights[..., 0] for fit in (jumps, ladder)]
    assert 0.02 < (first[0] < 0.5).mean() < 0.98
    same_mean(*first, "weight of the first component")
    one, two = (bg.log_evidence(fit, seed=1) for fit in (jumps, ladder))
    assert abs(one.value - two.value) < 4 * np.hypot(one.se, two.se) + 0.02


def test_r_hat_decides_for_tempering(monkeypatch):
    """Where chains disagree by more than the noise of few draws; the better of two is kept."""
    calls = []

    def watched(*given, **options):
        calls.append(options)
        return temper(*given, **options)

    monkeypatch.setattr(nuts, "temper", watched)
    monkeypatch.setattr(nuts.Convergence, "limit", lambda self, least=1.05: 1.0)
    fit = fitted(bg.MixtureSpec(3), GALAXIES, bg.NUTS(**FEW), seed=1)
    assert len(calls) == 1 and sampler(fit) in ("jumps", "tempering")

    def stopped(*given, **options):
        raise KeyboardInterrupt

    def failing(*given, **options):
        raise bg.FitError("It cannot.")

    monkeypatch.setattr(nuts, "temper", failing)  # what there is stays
    with pytest.warns(bg.FitWarning, match="by tempering as well failed.*It cannot"):
        kept = fitted(bg.MixtureSpec(3), GALAXIES, bg.NUTS(**FEW), seed=1)
    assert sampler(kept) == "jumps"
    monkeypatch.setattr(nuts, "temper", stopped)
    kept = fitted(bg.MixtureSpec(3), GALAXIES, bg.NUTS(**FEW), seed=1)
    assert kept.status is Status.INTERRUPTED and sampler(kept) == "jumps"
    assert kept.parameters.batch_shape == (2, 100)


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
def test_a_fit_by_tempering_is_a_fit(tmp_path):
    fit = bg.fit(bg.MixtureSpec(2), GALAXIES, method="tempering", seed=1, **FEW)
    assert sampler(fit) == "tempering" and fit.parameters.batch_shape == (2, 100)
    assert "tempering" in repr(fit).splitlines()[0]
    fit.save(tmp_path / "fit.nc")
    back = bg.load(tmp_path / "fit.nc")
    assert repr(back) == repr(fit) and back.method == "tempering"
    np.testing.assert_array_equal(back.tree["fit/temperatures"], fit.tree["fit/temperatures"])
    assert "verdict" in bg.relabel(fit, method="order").tree["fit"]
    assert bg.diagnose(fit).divergences == 0
    names = [each.method for each in bg.log_evidence(fit, seed=1).estimates]
    assert "stepping stones" in names


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("method", ["nuts", "tempering"])
@pytest.mark.parametrize(
    "few", [{"draws": 2, "tune": 1, "chains": 1}, {"draws": 30, "tune": 10, "chains": 2}]
)
def test_few_draws_of_any_structure(method, covariance, few):
    for k, x in ((1, X[:, :1]), (3, X)):
        fit = bg.fit(
            bg.MixtureSpec(k, covariance),
            x,
            method=method,
            seed=1,
            row_weights=np.linspace(0.5, 1.5, len(x)),
            **few,
        )
        assert fit.parameters.batch_shape == (few["chains"], few["draws"])
        assert np.isfinite(fit.tree["sample_stats/lp"].values).all()


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize("tune", [1, 2, 10])
def test_jumps_after_hardly_any_warm_up(three, tune):
    density, modes = three
    drawn = jump(
        density,
        modes,
        draws=150,
        tune=tune,
        chains=1,
        cores=1,
        seed=np.random.SeedSequence(1),
        progress=None,
    )
    assert drawn.theta.shape == (1, 150, density.size) and drawn.facts["sampler"] == "jumps"
    assert np.isin(
        nearest_modes(density, about(modes, density.groups), drawn.theta)[0], range(len(modes))
    ).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
@pytest.mark.parametrize(("method", "k"), [("nuts", 1), ("nuts", 3), ("tempering", 2)])
def test_the_same_seed_gives_the_same_draws_on_any_number_of_threads(method, k):
    fits = [
        bg.fit(bg.MixtureSpec(k), GALAXIES, method=method, seed=seed, cores=cores, **FEW)
        for seed, cores in ((3, 1), (3, 2), (4, 1))
    ]
    first, second, other = (fit.parameters.means for fit in fits)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("way", "at_first"), [(jump, 10), (jump, 1), (temper, 10)])
def test_an_interrupt_keeps_what_was_drawn(three, way, at_first, monkeypatch):
    """Of jumps, of jumps by way of temperatures, and of tempering."""
    monkeypatch.setattr(jumps, "_JUMPS", at_first)
    density, modes = three
    given = (density, modes) if way is jump else (density,)
    options = {"draws": 5000, "tune": 20, "chains": 2, "cores": 2}
    last = "jumping" if way is jump else "tempering"
    reports = []

    def progress(stage, done, total):
        reports.append(done)
        if stage.startswith(last) and done >= 400:
            raise KeyboardInterrupt

    drawn = way(*given, **options, seed=np.random.SeedSequence(1), progress=progress)
    assert drawn.status is Status.INTERRUPTED
    assert 2 <= drawn.theta.shape[1] < 5000
    assert drawn.statistics["lp"].shape == drawn.theta.shape[:2]

    def at_once(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # before there is anything to keep
        way(*given, **options, seed=np.random.SeedSequence(1), progress=at_once)
