"""The evidence against numerical integration, and what relabelling must not change."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import gamma, halfnorm, invgamma, lognorm

import bayesgmm as bg
from bayesgmm.inference.evidence.log_evidence import estimated
from bayesgmm.inference.evidence.one_labelling import LabellingRegion
from bayesgmm.inference.evidence.opinions import Estimate, combined
from bayesgmm.methods import Run
from bayesgmm.result.tree import with_facts
from tests.monte_carlo import ERRORS
from tests.support import STRUCTURES

pytestmark = pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")

X = np.array([-2.1, -1.6, -1.4, 0.9, 1.3, 1.5, 2.4])
#: Scale priors, and the same by SciPy.
FAMILIES = {
    "LogNormal": (bg.LogNormal(median=0.8, sigma=0.7), lognorm(0.7, scale=0.8)),
    "Gamma": (bg.Gamma(shape=2.0, rate=2.0), gamma(2.0, scale=0.5)),
    "InverseGamma": (bg.InverseGamma(shape=3.0, scale=2.0), invgamma(3.0, scale=2.0)),
    "HalfNormal": (bg.HalfNormal(sd=1.0), halfnorm(scale=1.0)),
}


def prior_of(family, weights, location=0.0):
    return bg.Priors(
        units="data",
        weights=weights,
        mean_location=location,
        mean_scale=2.0,
        scales=FAMILIES[family][0],
    )


#: Log standard deviations at which the density of one component's rows is summed.
LOG_SIGMA = np.linspace(-16, 6, 4001)


def log_marginal(x, scales, location, spread):
    """Log marginal likelihood of one normal: its mean by algebra, its scale by the trapezoid rule,
    which is right to 1e-6 for a smooth curve that is as small at both ends."""
    n = len(x)
    if n == 0:
        return 0.0
    noise = np.exp(2 * LOG_SIGMA)
    whole = noise + n * spread**2  # covariance: noise * identity + spread^2
    scatter, shift = ((x - x.mean()) ** 2).sum(), x.mean() - location
    log_density = -0.5 * (
        n * np.log(2 * np.pi)
        + (n - 1) * np.log(noise)
        + np.log(whole)
        + scatter / noise
        + n * shift**2 / whole
    )
    values = log_density + scales.logpdf(np.exp(LOG_SIGMA)) + LOG_SIGMA
    return logsumexp(values) + np.log(LOG_SIGMA[1] - LOG_SIGMA[0])


@cache
def exact(family, k, weights, location=0.0):
    """Sum over all K^N allocations of Dirichlet-multinomial times each component's marginal;
    and the posterior of the number of occupied components."""
    x, scales, alpha = X, FAMILIES[family][1], np.full(k, weights)
    parts, occupied, known = [], [], {}
    for z in product(range(k), repeat=len(x)):
        z = np.array(z)
        counts = np.bincount(z, minlength=k)
        value = (
            gammaln(alpha.sum())
            - gammaln(alpha.sum() + len(x))
            + (gammaln(alpha + counts) - gammaln(alpha)).sum()
        )
        for j in range(k):
            key = tuple(np.flatnonzero(z == j))
            if key not in known:
                known[key] = log_marginal(x[list(key)], scales, location, 2.0)
            value += known[key]
        parts.append(value)
        occupied.append((counts > 0).sum())
    total = logsumexp(parts)
    share = np.bincount(occupied, np.exp(np.array(parts) - total), minlength=k + 1)
    return total, share


@pytest.mark.parametrize("family", FAMILIES)
def test_one_component_equals_numerical_integration(family):
    priors = prior_of(family, 2.0, location=0.3)
    fit = bg.fit(bg.MixtureSpec(1, priors=priors), X[:, None], method="nuts", seed=1)
    found = bg.log_evidence(fit, seed=1)
    assert abs(found.value - exact(family, 1, 2.0, 0.3)[0]) < ERRORS * found.se
    assert found.se < 0.01


@pytest.mark.slow
def test_two_components_equal_the_sum_over_all_allocations():
    priors = prior_of("InverseGamma", 1.5)
    fit = bg.fit(bg.MixtureSpec(2, priors=priors), X[:, None], method="nuts", seed=1, draws=2500)
    for method in ("combined", "bridge", "importance"):
        found = bg.log_evidence(fit, method=method, seed=1)
        assert abs(found.value - exact("InverseGamma", 2, 1.5)[0]) < ERRORS * found.se
        assert found.se < 0.01


@pytest.mark.parametrize("method", ["bridge", "importance"])
def test_two_components_by_fewer_draws(method):
    priors = prior_of("InverseGamma", 1.5)
    fit = bg.fit(bg.MixtureSpec(2, priors=priors), X[:, None], method="nuts", seed=1, draws=250)
    found = bg.log_evidence(fit, method=method, seed=1)
    assert abs(found.value - exact("InverseGamma", 2, 1.5)[0]) < ERRORS * found.se
    assert found.se < 0.05 and found.method == method and len(found.estimates) == 1


@pytest.mark.slow
@pytest.mark.pymc
def test_pymcs_sequential_monte_carlo_finds_it_as_well():
    priors = prior_of("InverseGamma", 1.5)
    fit = bg.fit(bg.MixtureSpec(2, priors=priors), X[:, None], method="laplace", seed=1)
    found = bg.log_evidence(fit, method="smc", seed=1)
    assert found.method == "smc" and found.se < 0.1
    # An error known from four chains is small by chance at times.
    assert abs(found.value - exact("InverseGamma", 2, 1.5)[0]) < max(ERRORS * found.se, 0.1)


@pytest.mark.slow
def test_a_sparse_mixture_tells_how_many_components_are_occupied():
    """Three components and a Dirichlet prior of 0.3, against the sum over all allocations."""
    priors = prior_of("InverseGamma", 0.3)
    fit = bg.fit(bg.MixtureSpec(3, priors=priors), X[:, None], method="nuts", seed=1, draws=2500)
    found = bg.occupied(fit, max_draws=10_000, seed=1).reindex([1, 2, 3], fill_value=0.0)
    np.testing.assert_allclose(found, exact("InverseGamma", 3, 0.3)[1][1:], atol=0.03)


@pytest.mark.slow
def test_units_change_the_evidence_by_their_jacobian(galaxies):
    spec = bg.MixtureSpec(2)
    values = [
        bg.log_evidence(bg.fit(spec, unit * galaxies, method="nuts", seed=1), seed=1)
        for unit in (1.0, 1000.0)
    ]
    gap = values[0].value - values[1].value
    allowed = 4 * np.hypot(values[0].se, values[1].se)
    assert abs(gap - len(galaxies) * np.log(1000)) < allowed


@pytest.mark.slow
def test_chains_in_one_labelling_and_in_all_give_one_number(faithful):
    """Three overlapping components: log 3! = 1.79 must not appear or vanish."""
    fit = bg.fit(bg.MixtureSpec(3, "diag"), faithful, method="nuts", draws=500, seed=1)
    rng = np.random.default_rng(0)
    shape = fit.parameters.batch_shape
    orders = np.argsort(rng.random((*shape, 3)), axis=-1)
    everywhere = fit.relabelled(orders, {})
    ordered = bg.relabel(fit, "order", by="weights")
    values = [bg.log_evidence(each, seed=1) for each in (fit, everywhere, ordered)]
    for value in values[1:]:
        assert abs(value.value - values[0].value) < 4 * np.hypot(value.se, values[0].se)
    assert max(value.se for value in values) < 0.3


@pytest.mark.slow
def test_the_region_of_one_labelling_is_one_in_k_factorial(galaxies):
    """Of draws whose labels are shuffled at random, 1 in 3! lies in it."""
    fit = bg.fit(bg.MixtureSpec(3), galaxies, method="nuts", seed=1)
    region = LabellingRegion(fit, 1)
    rng = np.random.default_rng(0)
    draws = fit.parameters.flat()
    orders = np.argsort(rng.random((len(draws.weights), 3)), axis=-1)
    theta = region.density.unconstrain(draws.permute(orders))
    share = np.isfinite(region.log_density(theta)).mean()
    assert abs(share - 1 / 6) < 4 * np.sqrt(5 / 36 / len(theta))


def test_one_labelling_holds_its_draws_its_modes_and_nothing_else(galaxies):
    fit = bg.fit(bg.MixtureSpec(3), galaxies, method="laplace", draws=200, seed=1)
    region = LabellingRegion(fit, 1)
    assert region.log_labellings == pytest.approx(np.log(6))
    flat = region.theta.reshape(-1, region.theta.shape[-1])
    there = region.density.constrain(flat)
    assert np.isfinite(region.log_density(flat)).all()
    np.testing.assert_array_equal(region.log_density(flat), region.density.values(flat))
    # They are the fit's draws, whatever the order of components.
    for name in ("weights", "means", "scales"):
        ours = np.sort(getattr(there, name).reshape(200, 3), axis=-1)
        own = np.sort(getattr(fit.parameters.flat(), name).reshape(200, 3), axis=-1)
        np.testing.assert_allclose(ours, own, rtol=1e-9)
    # Of all orders of a draw one is in the region.
    for order in permutations(range(3)):
        moved = region.density.unconstrain(there.permute(np.tile(order, (200, 1))))
        np.testing.assert_array_equal(np.isfinite(region.log_density(moved)), order == (0, 1, 2))
    far = np.full_like(flat[:1], 800.0)  # e^800 is no number
    np.testing.assert_array_equal(
        region.log_density(np.concatenate([flat[:1], far])),
        [region.density.values(flat[:1])[0], -np.inf],
    )
    np.testing.assert_array_equal(region.log_density(far), [-np.inf])
    # Modes are in it, stationary, and their normals have the curvature there.
    shares, places, factors = region.modes(1)
    assert shares.sum() == pytest.approx(1)
    assert np.isfinite(region.log_density(places)).all()
    for place, factor in zip(places, factors, strict=True):
        np.testing.assert_array_equal(factor, np.tril(factor))
        steps = 1e-4 * factor.T
        slopes = [region.density.value_and_grad(place + step)[1] for step in (*steps, *-steps)]
        curvature = np.subtract(slopes[: len(steps)], slopes[len(steps) :]) @ factor / 2e-4
        np.testing.assert_allclose(curvature, -np.eye(len(steps)), atol=0.01)
        assert abs(region.density.value_and_grad(place)[1] @ factor).max() < 0.01


def test_components_with_priors_of_their_own_have_fewer_labellings(faithful):
    priors = bg.Priors(weights=(1.0, 1.0, 5.0))
    fit = bg.fit(bg.MixtureSpec(3, "diag", priors), faithful, method="laplace", draws=100, seed=1)
    assert LabellingRegion(fit, 1).log_labellings == pytest.approx(np.log(2))


BRIDGE = Estimate("bridge sampling", -100.0, 0.03)


def second(value, se, pareto_k=0.2):
    return Estimate("importance sampling", value, se, pareto_k)


def test_estimates_that_agree_are_averaged_by_their_errors():
    found = combined([BRIDGE, second(-100.05, 0.04)], "K=2, full")
    assert found.note == "" and found.method == "combined" and found.pareto_k == 0.2
    np.testing.assert_allclose(
        found.value, (-100.0 / 0.03**2 - 100.05 / 0.04**2) / (1 / 0.03**2 + 1 / 0.04**2)
    )
    np.testing.assert_allclose(found.se, 0.03 * 0.04 / 0.05)
    # As far apart as two combined errors, the mean is twice as uncertain.
    apart = combined([BRIDGE, second(-100.1, 0.04)], "K=2, full")
    np.testing.assert_allclose(apart.se, 2 * found.se)


@pytest.mark.parametrize("third", [[], [Estimate("stepping stones", -99.7, 0.05)]])
def test_the_error_covers_estimates_that_differ(third):
    estimates = [BRIDGE, second(-100.5, 0.01), *third]
    found = combined(estimates, "K=2, full")
    assert "Estimates of the log evidence of K=2, full differ, -100.00 ± 0.03 by" in found.note
    assert all(abs(each.value - found.value) <= found.se for each in estimates)
    assert found.estimates == tuple(estimates)


@pytest.mark.parametrize(("other", "why"), [
    (second(-90.0, 0.1, 0.9), "k-hat is 0.90, above 0.7"),
    (second(np.nan, np.nan, np.nan), "importance sampling found nothing"),
])  # fmt: skip
def test_what_is_no_check_changes_nothing_and_is_told(other, why):
    found = combined([BRIDGE, other], "K=2, full")
    assert found[:2] == BRIDGE[1:3]
    assert f"rests on bridge sampling alone ({why}" in found.note.replace("Pareto ", "").replace(
        "importance sampling's ", ""
    )
    with_third = combined([BRIDGE, other, Estimate("stepping stones", -100.02, 0.03)], "K=2, full")
    assert with_third.note == "" and with_third.se < BRIDGE.se


@pytest.mark.slow
def test_a_mode_that_the_chains_missed_is_in_the_error(two_ways):
    """What bridge sampling finds of each mode's chains alone adds up to the whole."""
    larger_first = two_ways.parameters.weights[..., 0].mean(axis=1) > 0.5
    fits = []
    for mode in (True, False):
        chains = np.flatnonzero(larger_first == mode)
        assert len(chains)  # they stay where they start
        fits.append(
            bg.MixtureFit.build(
                two_ways.spec,
                two_ways.observations,
                two_ways.parameters[chains],
                method="nuts",
                status=bg.Status.CONVERGED,
                facts={},
                sample_stats={"lp": two_ways.tree["sample_stats/lp"].values[chains]},
            )
        )
    found = []
    for fit in fits:
        with pytest.warns(bg.FitWarning, match="may have missed a mode, draw more") as caught:
            found.append(bg.log_evidence(fit, seed=1))
        assert str(caught[0].message) == found[-1].note
    bridges, importances = zip(*(each.estimates for each in found), strict=True)
    whole = np.logaddexp(*(bridge.value for bridge in bridges))
    for each, importance in zip(found, importances, strict=True):
        error = np.hypot(importance.se, max(bridge.se for bridge in bridges))
        assert abs(importance.value - whole) < ERRORS * error
        assert abs(each.value - whole) < 2 * each.se
    assert bg.log_evidence(fits[0], method="bridge", seed=1).value == bridges[0].value
    # A third estimate that a fit has stored is taken.
    facts = {"log_evidence_stepping_stone": whole, "log_evidence_stepping_stone_se": 0.1}
    stored = estimated(bg.MixtureFit(fits[0].spec, with_facts(fits[0].tree, facts)), seed=1)
    assert stored.estimates[2][:3] == ("stepping stones", whole, 0.1)


@pytest.mark.slow
def test_a_relabelled_mode_is_the_same_normal(faithful):
    """The normal approximation at a mode has the same density at relabelled points."""
    from bayesgmm.inference.sampling.modes import prepare

    for covariance in STRUCTURES:
        spec, observations = bg.MixtureSpec(3, covariance), bg.Observations(faithful)
        density, modes, _ = prepare(spec, observations, Run(1, cores=1))
        mode, order = modes[0], np.array([2, 0, 1])
        moved = mode.relabelled(density, order)
        z = np.random.default_rng(0).normal(size=(5, density.size))
        theta = density.unconstrain(density.constrain(mode.at(z)).permute(order))
        np.testing.assert_allclose(moved.at(z), theta, atol=1e-8)
        assert abs(moved.log_mass - mode.log_mass) < 1e-8


def test_evidence_refuses_what_it_cannot_use(em_faithful, faithful):
    with pytest.raises(bg.FitError, match="needs draws"):
        bg.log_evidence(em_faithful)
    few = bg.fit(bg.MixtureSpec(1), faithful, method="nuts", seed=1, draws=20, chains=2)
    with pytest.raises(bg.FitError, match="100 draws or more"):
        bg.log_evidence(few)
    with pytest.raises(bg.SpecError, match="method must be one of"):
        bg.log_evidence(few, method="laplace")
