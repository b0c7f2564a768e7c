"""The log posterior against differences, SciPy, integrals, and PyMC's own density."""

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from bayesgmm.density.coordinates import coordinate_names, in_frame, zero_sum_basis
from bayesgmm.density.prior_terms import log_lkj_constant, log_uniform_marginals_constant
from bayesgmm.density.recording import without_recording
from bayesgmm.density.target import log_posterior
from bayesgmm.expectation import rows as pass_rows
from bayesgmm.model.structure import STRUCTURES as BY_NAME
from bayesgmm.testing.by_scipy import log_correlation as scipy_log_correlation
from bayesgmm.testing.by_scipy import log_likelihood as scipy_log_likelihood
from bayesgmm.testing.by_scipy import log_prior as scipy_log_prior
from tests.support import STRUCTURES

FAMILIES = [
    bg.LogNormal(0.4, 0.8), bg.HalfNormal(1.3), bg.Gamma(2.5, 3.0), bg.InverseGamma(3.0, 1.2)
]  # fmt: skip


def densities(k, d, covariance="full", n=40, **options):
    rng = np.random.default_rng(k + 10 * d)
    x = rng.normal(size=(n, d)) * np.array([10, 0.1, 5])[:d] + 100
    return bg.LogPosterior(bg.MixtureSpec(k, covariance, **options), bg.Observations(x)), rng


def framed(density, rng):
    """The same in the frame of some mixture."""
    return density.framed(density.constrain(rng.normal(size=density.size)))


class Tempered:
    """A density with its likelihood to a power."""

    def __init__(self, density, temperature):
        self.density, self.temperature, self.size = density, temperature, density.size

    def value_and_grad(self, theta):
        gradient = np.empty(self.size)
        value = log_posterior(self.density.target, self.temperature, theta, gradient, np.empty(1))
        return value - self.temperature * self.density.log_jacobian, gradient

    def value(self, theta):
        return self.value_and_grad(theta)[0]


def assert_is_slope(density, theta, gradient):
    """Against central differences."""
    step = 1e-5
    by_differences = [
        (density.value(theta + step * e) - density.value(theta - step * e)) / (2 * step)
        for e in np.eye(density.size)
    ]
    np.testing.assert_allclose(
        gradient, by_differences, rtol=1e-6, atol=1e-6 * np.abs(gradient).max()
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (2, 3), (1, 2)])
@pytest.mark.parametrize("jacobian", [True, False])
def test_gradient_equals_central_differences(family, covariance, k, d, jacobian):
    density, rng = densities(k, d, covariance, priors=bg.Priors(scales=family, weights=1.5))
    density = bg.LogPosterior(density.spec, density.observations, jacobian=jacobian)
    for each in (density, framed(density, rng)):
        theta = rng.normal(size=density.size) * 0.3
        _, gradient = each.value_and_grad(theta)
        assert_is_slope(each, theta, gradient)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_frame_is_another_theta_of_the_same_value(covariance):
    """Its factor is that of the pooled covariance, and the Jacobian does not know of it."""
    density, rng = densities(3, 2, covariance)
    place = density.constrain(rng.normal(size=density.size))
    other = density.framed(place)
    if covariance in ("full", "tied"):
        pooled = np.einsum("k,kij->ij", place.weights, place.covariances)
        pooled /= np.outer(density.scale, density.scale)
        np.testing.assert_allclose(other.prior.frame, np.linalg.cholesky(pooled), rtol=1e-9)
    mixture = density.constrain(rng.normal(size=density.size))
    theta = other.unconstrain(mixture)
    np.testing.assert_allclose(other.constrain(theta).covariances, mixture.covariances, rtol=1e-9)
    assert other.value(theta) == pytest.approx(density.value(density.unconstrain(mixture)))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_prior_without_jacobian_is_scipys_with_every_constant(family, covariance):
    spec = bg.MixtureSpec(3, covariance, bg.Priors(scales=family, mean_location=0.3))
    base, rng = densities(3, 3, covariance)
    whole = bg.LogPosterior(spec, base.observations, jacobian=False)
    alone = bg.LogPosterior(spec, base.observations, prior=False)
    theta = rng.normal(size=whole.size) * 0.4
    expected = scipy_log_prior(spec, whole.constrain(theta), whole.scale, whole.observations.center)
    np.testing.assert_allclose(whole.value(theta) - alone.value(theta), expected, rtol=1e-10)


# Values recorded to a step ----------------------------------------------------

CORRELATIONS = [None, 3.0, "uniform"]


def recorded(covariance, correlations, k=2, d=3, *, jacobian=False):
    """A density of values recorded to steps, of which one feature has none, and a generator."""
    rng = np.random.default_rng(k + 10 * d)
    steps = np.array([2.0, 0.0, 0.5])[:d]
    observations = bg.Observations(
        rng.normal(size=(40, d)) * np.array([3.0, 0.1, 0.7])[:d] + 100, resolution=steps
    )
    spec = bg.MixtureSpec(k, covariance, bg.Priors(correlations=correlations))
    return bg.LogPosterior(spec, observations, jacobian=jacobian), rng


def recording(density):
    """S in the data's units, said without the package."""
    variance = np.array([2.0, 0.0, 0.5])[: len(density.scale)] ** 2 / 12
    if "spherical" in density.spec.covariance:  # one unit, so the largest serves all
        variance = np.full(len(variance), variance.max())
    return np.diag(variance)


@pytest.mark.parametrize("correlations", CORRELATIONS)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_recorded_values_have_scipys_density_of_sigma_and_s(covariance, correlations):
    """The likelihood at T = Sigma + S by SciPy, the prior at Sigma, from matrices and back."""
    density, rng = recorded(covariance, correlations)
    theta = 0.3 * rng.normal(size=density.size)
    steps_gone = bg.LogPosterior(
        density.spec, bg.Observations(density.observations, resolution=0), jacobian=False
    )
    latent = steps_gone.constrain(theta)  # the same theta says the same Sigma
    x, center = density.observations.values, density.observations.center
    total = bg.MixtureParameters.from_covariances(
        latent.weights, latent.means, latent.covariances + recording(density)
    )
    np.testing.assert_allclose(density.constrain(theta).covariances, total.covariances, rtol=1e-10)
    np.testing.assert_allclose(density.unconstrain(total), theta, atol=1e-9)
    np.testing.assert_allclose(
        density.value(theta),
        scipy_log_likelihood(total, x)
        + scipy_log_prior(density.spec, latent, density.scale, center),
        rtol=1e-10,
    )


@pytest.mark.parametrize("jacobian", [True, False])
@pytest.mark.parametrize("correlations", CORRELATIONS)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_gradient_of_recorded_values_equals_central_differences(covariance, correlations, jacobian):
    """Of the tempered density as well, whose value is t log likelihood + log prior."""
    density, rng = recorded(covariance, correlations, jacobian=jacobian)
    theta = 0.3 * rng.normal(size=density.size)
    values = {}
    for temperature in (1.0, 0.4, 0.0):
        tempered = Tempered(density, temperature)
        values[temperature], gradient = tempered.value_and_grad(theta)
        assert_is_slope(tempered, theta, gradient)
        other = Tempered(framed(density, rng), temperature)
        assert_is_slope(other, theta, other.value_and_grad(theta)[1])
    log_likelihood = scipy_log_likelihood(density.constrain(theta), density.observations.values)
    np.testing.assert_allclose(values[1.0] - values[0.0], log_likelihood, rtol=1e-10)
    np.testing.assert_allclose(values[0.4] - values[0.0], 0.4 * log_likelihood, rtol=1e-10)


def test_pieces_of_recorded_values_give_the_value_of_one(monkeypatch):
    density, rng = recorded("full", "uniform", jacobian=True)
    theta = 0.3 * rng.normal(size=density.size)
    value, gradient = density.value_and_grad(theta)
    monkeypatch.setattr(pass_rows, "CHUNK", 7)
    monkeypatch.setattr("bayesgmm.density.log_posterior.CHUNK", 7)
    v, g = density.with_cores(2).value_and_grad(theta)
    np.testing.assert_allclose(v, value, rtol=1e-13)
    np.testing.assert_allclose(g, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_relabelling_theta_is_relabelling_the_mixture(covariance):
    density, rng = recorded(covariance, None, k=3)
    theta, order = rng.normal(size=(2, density.size)), np.array([2, 0, 1])
    moved = density.constrain(density.relabelled(theta, order))
    permuted = density.constrain(theta).permute(order)
    np.testing.assert_allclose(moved.weights, permuted.weights, rtol=1e-12)
    np.testing.assert_allclose(moved.means, permuted.means, rtol=1e-12)
    np.testing.assert_allclose(moved.covariances, permuted.covariances, rtol=1e-12)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_covariance_of_recording_alone_has_the_least_sigma_that_is_told(covariance):
    """T = S leaves nothing for Sigma; theta is finite there, and gives T back."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)) * [3.0, 0.3]
    density = bg.LogPosterior(
        bg.MixtureSpec(1, covariance), bg.Observations(x, resolution=[0.5, 0.1])
    )
    s = density.observations.recorded_variance(covariance) * density.scale**2
    bare = bg.MixtureParameters([1.0], x.mean(axis=0)[None], np.diag(np.sqrt(s))[None])
    theta = density.unconstrain(bare)
    assert np.isfinite(theta).all()
    np.testing.assert_allclose(density.constrain(theta).covariances, bare.covariances, atol=1e-6)


def test_a_direction_of_which_nothing_is_left_is_raised_alone():
    """Sigma by its eigenvalues: that below zero becomes 1e-8 of the variance of recording."""
    vectors = stats.special_ortho_group(3, seed=1).rvs()
    recorded = np.array([0.04, 0.01, 0.02])
    values = np.array([[0.5, 0.2, -1e-3], [0.5, 0.2, 0.1]])
    sigma = (vectors * values[:, None]) @ vectors.T
    factors = np.linalg.cholesky(sigma + np.diag(recorded))
    found = without_recording(factors, recorded, BY_NAME["full"])
    np.testing.assert_array_equal(found, np.tril(found))
    least = (vectors * np.maximum(values, 1e-8 * 0.04)[:, None]) @ vectors.T
    np.testing.assert_allclose(found @ np.swapaxes(found, -1, -2), least, atol=1e-14)
    assert np.linalg.eigvalsh(found[0] @ found[0].T)[0] == pytest.approx(4e-10, rel=1e-3)


def test_a_factor_in_a_frame_is_the_solution_of_its_equation():
    rng = np.random.default_rng(0)
    frame, tril = (np.linalg.cholesky(np.cov(rng.normal(size=(4, 9)))) for _ in range(2))
    own = np.full((4, 4), np.nan)
    in_frame(frame, tril, own)
    np.testing.assert_allclose(own, np.linalg.solve(frame, tril), atol=1e-12)
    np.testing.assert_array_equal(own, np.tril(own))


CHOLESKY = ["('a', 'a')", "('b', 'a')", "('b', 'b')"]


@pytest.mark.parametrize(("covariance", "entries"), [
    ("full", [f"Cholesky entry {at} of component {j}" for j in (0, 1) for at in CHOLESKY]),
    ("tied", [f"Cholesky entry {at} of all components" for at in CHOLESKY]),
    ("diag", [f"log scale of {name!r} in component {j}" for j in (0, 1) for name in "ab"]),
    ("tied-diag", ["log scale of 'a' in all components", "log scale of 'b' in all components"]),
    ("spherical", ["log scale of component 0", "log scale of component 1"]),
    ("tied-spherical", ["log scale of all components"]),
])  # fmt: skip
def test_every_coordinate_has_its_name(covariance, entries):
    names = coordinate_names(BY_NAME[covariance], 2, ("a", "b"), 2)
    assert names == [
        "weight log-ratio 1",
        *(f"mean of {name!r} in component {j}" for j in (0, 1) for name in "ab"),
        *entries,
    ]
    assert len(names) == densities(2, 2, covariance)[0].size


@pytest.mark.parametrize("eta", [0.7, 1.0, 2.0, 5.0])
def test_lkj_integrates_to_one_in_two_dimensions(eta):
    from scipy.integrate import quad

    total, _ = quad(lambda r: (1 - r * r) ** (eta - 1), -1, 1)
    np.testing.assert_allclose(np.exp(log_lkj_constant(eta, 2)) * total, 1.0, rtol=1e-7)


def test_lkj_of_three_dimensions_integrates_to_one():
    """Over the correlations of 3 x 3 matrices, on a grid, eta = 2."""
    grid = np.linspace(-1, 1, 161)
    a, b, c = np.meshgrid(grid, grid, grid, indexing="ij", sparse=True)
    determinant = 1 + 2 * a * b * c - a * a - b * b - c * c
    valid = (determinant > 0) & (np.abs(a) <= 1)
    total = np.where(valid, determinant, 0).sum() * (grid[1] - grid[0]) ** 3
    np.testing.assert_allclose(np.exp(log_lkj_constant(2.0, 3)) * total, 1.0, rtol=1e-3)


# Correlations of uniform marginals: p(R) ∝ |R|^-(D + 1) prod (R^-1)_ii^(-(D + 1) / 2) ----------


def log_uniform_marginals(r):
    """Of correlation matrices (..., D, D), with the package's constant."""
    d = r.shape[-1]
    inverse = np.linalg.inv(r)
    return log_uniform_marginals_constant(d) - (d + 1) * (
        np.linalg.slogdet(r)[1] + 0.5 * np.log(np.diagonal(inverse, axis1=-2, axis2=-1)).sum(-1)
    )


@pytest.mark.parametrize("d", [2, 3, 6])
def test_uniform_marginals_are_what_an_inverse_wishart_leaves(d):
    """The formula against SciPy's inverse Wishart at random matrices."""
    for sigma in stats.invwishart(d + 3, np.eye(d)).rvs(5, random_state=d):
        s = np.sqrt(np.diag(sigma))
        r = sigma / np.outer(s, s)
        np.testing.assert_allclose(
            log_uniform_marginals(r), scipy_log_correlation(r, "uniform"), rtol=1e-9
        )


def test_uniform_marginals_of_two_features_are_flat():
    r = np.array([[[1, c], [c, 1]] for c in (-0.999, -0.3, 0.0, 0.8, 0.99999)])
    np.testing.assert_allclose(np.exp(log_uniform_marginals(r)), 0.5, rtol=1e-9)


def test_uniform_marginals_of_three_features_integrate_to_one():
    """By Gauss-Legendre nodes over r12, r13 and the partial correlation c of the others, which
    reach every correlation matrix once, each as sin(t), since the density has an integrable
    singularity on the border.  Away from it the marginal density of r12 is seen to be 1 / 2."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    at, w = np.sin(nodes * np.pi / 2), weights * np.pi / 2 * np.cos(nodes * np.pi / 2)
    a, b, c = np.meshgrid(at, at, at, indexing="ij")
    root = np.sqrt((1 - a * a) * (1 - b * b))
    r23, one = a * b + c * root, np.ones_like(a)
    r = np.stack([one, a, b, a, one, r23, b, r23, one], axis=-1).reshape(*a.shape, 3, 3)
    marginal = (np.exp(log_uniform_marginals(r)) * root) @ w @ w
    np.testing.assert_allclose(marginal[np.abs(at) < 0.9], 0.5, rtol=1e-3)
    np.testing.assert_allclose(marginal @ w, 1.0, rtol=1e-3)


def test_uniform_marginals_of_five_features_are_an_inverse_wisharts_of_six_degrees():
    """SciPy's draws of it: each correlation is uniform, and they integrate LKJ(6), a density
    that is known, to one when weighted by it over ours."""
    sigma = stats.invwishart(6, np.eye(5)).rvs(100_000, random_state=1)
    s = np.sqrt(np.diagonal(sigma, axis1=-2, axis2=-1))
    r = sigma / (s[:, :, None] * s[:, None, :])
    assert stats.kstest(r[:, 3, 1], stats.uniform(-1, 2).cdf).pvalue > 1e-4
    lkj = 5.0 * np.linalg.slogdet(r)[1] + log_lkj_constant(6.0, 5)
    weights = np.exp(lkj - log_uniform_marginals(r))
    error = weights.std() / np.sqrt(len(r))
    assert error < 0.05
    assert abs(weights.mean() - 1) < 5 * error


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: type(f).__name__)
def test_posterior_density_integrates_to_the_evidence(family):
    """K = 1, D = 1: the integral over theta equals that over (mu, sigma) by SciPy."""
    x = np.array([-1.2, 0.3, 0.4, 2.0, 3.1])
    unit, center = x.std(), x.mean()
    density = bg.LogPosterior(bg.MixtureSpec(1, priors=bg.Priors(scales=family)), x)
    peak = density.value(np.zeros(2))
    a, b = np.arange(-8, 8, 0.1), np.arange(-4, 6, 0.05)
    by_theta = sum(np.exp(density.value(np.array([s, t])) - peak) for s in a for t in b) * 0.005

    prior = {
        bg.LogNormal: lambda f: stats.lognorm(f.sigma, scale=f.median * unit),
        bg.HalfNormal: lambda f: stats.halfnorm(scale=f.sd * unit),
        bg.Gamma: lambda f: stats.gamma(f.shape, scale=unit / f.rate),
        bg.InverseGamma: lambda f: stats.invgamma(f.shape, scale=f.scale * unit),
    }[type(family)](family)
    mu = (center + np.linspace(-8, 8, 400) * unit)[:, None]
    sigma = np.geomspace(0.02, 400, 1200) * unit
    joint = stats.norm(center, 2 * unit).logpdf(mu) + prior.logpdf(sigma)
    for row in x:
        joint = joint + stats.norm.logpdf(row, mu, sigma)
    inner = np.trapezoid(np.exp(joint - peak), sigma, axis=1)
    np.testing.assert_allclose(by_theta, np.trapezoid(inner, mu[:, 0]), rtol=2e-4)


def test_weights_prior_integrates_to_one_over_log_ratios():
    spec = bg.MixtureSpec(3, "tied", bg.Priors(weights=(0.8, 2.0, 3.0)))
    x = np.random.default_rng(0).normal(size=(10, 1))
    whole = bg.LogPosterior(spec, x)
    alone = bg.LogPosterior(spec, x, prior=False)
    rest = np.zeros(whole.size - 2)
    one = bg.LogPosterior(spec.replace(n_components=1, priors=bg.Priors()), x)
    one_alone = bg.LogPosterior(one.spec, x, prior=False)
    # the prior of the means and the scale, which do not change, from K = 1 and the normal
    known = one.value(np.zeros(2)) - one_alone.value(np.zeros(2)) + 2 * stats.norm(0, 2).logpdf(0)
    grid = np.arange(-20, 20, 0.4)
    total = sum(
        np.exp(whole.value(np.r_[a, b, rest]) - alone.value(np.r_[a, b, rest]) - known)
        for a in grid
        for b in grid
    )
    np.testing.assert_allclose(total * 0.4**2, 1.0, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_zero_sum_basis_is_orthonormal(k):
    basis = zero_sum_basis(k)
    np.testing.assert_allclose(basis.T @ basis, np.eye(k - 1), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-14)


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (4, 3)])
def test_constrain_and_unconstrain_are_inverse(covariance, k, d):
    density, rng = densities(k, d, covariance)
    theta = rng.normal(size=(2, 5, density.size))
    p = density.constrain(theta)
    assert p.batch_shape == (2, 5)
    np.testing.assert_allclose(density.unconstrain(p), theta, atol=1e-9)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_units_of_the_priors_do_not_change_what_they_say(covariance):
    """Priors given in data units equal the same priors given standardised."""
    x = np.random.default_rng(5).normal(size=(50, 1)) * 7 + 30
    unit, center = float(x.std()), float(x.mean())
    inside = bg.Priors(mean_location=0.5, mean_scale=1.5, scales=bg.Gamma(3.0, 4.0))
    outside = bg.Priors(
        mean_location=center + 0.5 * unit,
        mean_scale=1.5 * unit,
        scales=bg.Gamma(3.0, 4.0 / unit),
        units="data",
    )
    a = bg.LogPosterior(bg.MixtureSpec(2, covariance, inside), x)
    b = bg.LogPosterior(bg.MixtureSpec(2, covariance, outside), x)
    theta = np.random.default_rng(6).normal(size=a.size)
    np.testing.assert_allclose(a.value(theta), b.value(theta), rtol=1e-12)


def test_chunks_and_threads_give_the_value_of_one_piece(monkeypatch):
    density, rng = densities(3, 2)
    theta = rng.normal(size=density.size) * 0.3
    value, gradient = density.value_and_grad(theta)
    monkeypatch.setattr(pass_rows, "CHUNK", 7)
    monkeypatch.setattr("bayesgmm.density.log_posterior.CHUNK", 7)
    for cores in (1, 2):
        other = bg.LogPosterior(density.spec, density.observations, cores=cores)
        v, g = other.value_and_grad(theta)
        np.testing.assert_allclose(v, value, rtol=1e-13)
        np.testing.assert_allclose(g, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_many_thetas_have_the_value_and_slope_of_each(covariance):
    density, rng = densities(2, 3, covariance)
    thetas = rng.normal(size=(2, 3, density.size)) * 0.3
    one_by_one = [[density.value(theta) for theta in row] for row in thetas]
    np.testing.assert_allclose(density.values(thetas), one_by_one, rtol=1e-13)
    values, slopes = density.values_and_grads(thetas[0])
    np.testing.assert_allclose(values, one_by_one[0], rtol=1e-13)
    np.testing.assert_array_equal(slopes, [density.value_and_grad(t)[1] for t in thetas[0]])


def test_a_start_that_is_not_finite_names_the_parameter():
    density, _ = densities(2, 2)
    theta = np.zeros(density.size)
    theta[2] = np.nan
    with pytest.raises(bg.FitError, match="mean of 'x1' in component 0"):
        density.refuse_not_finite(theta)


def test_priors_that_leave_nothing_but_rounding_are_refused():
    """Beyond 1e12 standard deviations of the data in scale, 1e5 of either in place."""
    density, _ = densities(1, 1)

    def asked(**options):
        return bg.LogPosterior(bg.MixtureSpec(1, priors=bg.Priors(**options)), density.observations)

    for outside, inside in ((1.2e12, 0.9e12), (0.8e-12, 1.1e-12)):
        with pytest.raises(bg.SpecError, match=r"Priors.mean_scale is .* 1e-12 to 1e12 there"):
            asked(mean_scale=outside)
        asked(mean_scale=inside)
    for scales in (bg.HalfNormal(1.2e12), bg.LogNormal(0.8e-12, 1.0)):
        with pytest.raises(bg.SpecError, match="where the data have standard deviation 1"):
            asked(scales=scales)
    asked(mean_location=0.9e5, mean_scale=0.1)
    asked(mean_location=0.9e9, mean_scale=1e4)
    for place, scale in ((1.1e5, 0.1), (-1.1e9, 1e4)):
        with pytest.raises(bg.SpecError, match=r"is centred 1.1e\+05 standard deviations from"):
            asked(mean_location=place, mean_scale=scale)


def test_wrong_length_and_wrong_prior_lengths_are_refused():
    density, _ = densities(2, 2)
    with pytest.raises(bg.DataError, match=r"must be \(\d+,\)"):
        density.value_and_grad(np.zeros(3))
    spec = bg.MixtureSpec(2, priors=bg.Priors(mean_scale=(1.0, 2.0, 3.0)))
    with pytest.raises(bg.SpecError, match="3 entries but the data have 2 features"):
        bg.LogPosterior(spec, density.observations)
