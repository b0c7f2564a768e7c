"""Rows seen with errors, of known classes, beside noise, inside of a box: the pass against sums a
row at a time over SciPy's normals, and against numerical integrals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm.compiled.threads import available_cores
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import expected_statistics, row_log_density, row_memberships
from bayesgmm.expectation.unrecorded import _both_below, _plane
from bayesgmm.expectation.views import Views
from bayesgmm.model.structure import STRUCTURES as BY_NAME
from tests.expectation.by_hand import by_row, holed
from tests.expectation.test_statistics import mixture
from tests.support import STRUCTURES

N = 60


def noisy(point, share=0.1):
    """The point with a class of noise beside its components."""
    logs = point.log_weights + np.log1p(-share)
    return point._replace(log_weights=np.append(logs, np.log(share)))


def covariances_of_errors(n, d, seed=5):
    """Covariances (n, D, D) of which some are singular, and one is zero."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, d, d)) * rng.uniform(0, 1, size=(n, 1, d))
    roots[0], roots[1::4, :, 0] = 0.0, 0.0
    return roots @ np.swapaxes(roots, 1, 2)


def as_kept(scatters, structure):
    if not structure.matrices:
        return np.diagonal(scatters, axis1=1, axis2=2)[None]
    return scatters.sum(axis=0)[None] if structure.shared else scatters


def same(found, wanted, rtol=1e-9):
    for name in ("log_likelihood", "counts", "sums", "scatters"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=rtol, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("kind", [None, "sds", "covariances"])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(3, 3), (1, 2), (2, 1)])
def test_statistics_are_sums_over_rows(covariance, k, d, kind, noise):
    """Holes, errors, allowed classes, noise and row weights together."""
    point, structure = mixture(covariance, k, d), BY_NAME[covariance]
    rng = np.random.default_rng(1)
    x, weights = holed(rng.normal(size=(N, d)) * 3 + 5), rng.uniform(0, 2, N)
    center, scale = rng.normal(size=d) + 5, rng.uniform(1, 3, size=d)
    allowed = rng.random((N, k + noise)) < 0.7
    allowed[np.arange(N), rng.integers(k + noise, size=N)] = True
    errors = full = None
    if kind == "sds":
        errors = rng.uniform(0, 2, size=(N, d)) * (rng.random((N, d)) < 0.8)
        full = errors[:, :, None] ** 2 * np.eye(d)
    elif kind == "covariances":
        errors = full = covariances_of_errors(N, d)
    background = rng.normal(size=N) - 4 if noise else None
    if noise:
        point = noisy(point)
    rows = Rows.of(x, center, scale, weights, errors=errors, allowed=allowed, background=background)
    form = PrecisionForm.of(point, structure.code)
    found = expected_statistics(rows, form)
    standard = None if background is None else background + ~np.isnan(x) @ np.log(scale)
    density, shares, counts, sums, scatters = by_row(
        (x - center) / scale,
        weights,
        point,
        np.array(structure.to_tril(point.factors, k)),
        None if full is None else full / np.outer(scale, scale),
        allowed,
        standard,
    )
    np.testing.assert_allclose(row_log_density(rows, form), density, atol=1e-10)
    np.testing.assert_allclose(row_memberships(rows, form), shares, atol=1e-11)
    np.testing.assert_allclose(found.log_likelihood, weights @ density, rtol=1e-11)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-10)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.scatters, as_kept(scatters, structure), rtol=1e-9, atol=1e-8)
    some = rows.part(slice(10, 40))
    np.testing.assert_allclose(row_log_density(some, form), density[10:40], atol=1e-10)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_holes_where_every_class_is_allowed(covariance):
    """Against sums over rows; one of which nothing was seen adds nothing to the likelihood."""
    point, structure = mixture(covariance, 3, 3), BY_NAME[covariance]
    x = holed(np.random.default_rng(1).normal(size=(20, 3)))
    x[4] = np.nan
    rows, form = Rows.of(x), PrecisionForm.of(point, structure.code)
    density, shares, counts, sums, scatters = by_row(
        x, np.ones(20), point, np.array(structure.to_tril(point.factors, 3)), None,
        np.ones((20, 3), dtype=bool), None,
    )  # fmt: skip
    found = expected_statistics(rows, form)
    np.testing.assert_allclose(row_log_density(rows, form), density, atol=1e-12)
    np.testing.assert_allclose(row_memberships(rows, form), shares, atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood, density.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-11)
    np.testing.assert_allclose(found.sums, sums, atol=1e-10)
    np.testing.assert_allclose(found.scatters, as_kept(scatters, structure), atol=1e-10)
    assert row_log_density(rows, form)[4] == 0.0


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_ways_to_say_nothing_are_the_plain_pass(covariance):
    """Errors of zero, every class allowed, noise without weight, a box without bounds, unit
    weights; and rows that are there twice against weights of two."""
    point, rng = mixture(covariance, 3, 2), np.random.default_rng(2)
    x, code = rng.normal(size=(N, 2)), BY_NAME[covariance].code
    form = PrecisionForm.of(point, code)
    plain = expected_statistics(Rows.of(x), form)
    ways = [
        {"errors": np.zeros((N, 2))},
        {"errors": np.zeros((N, 2, 2))},
        {"allowed": np.ones((N, 3), dtype=bool)},
        {"selection": np.array([[-np.inf, -np.inf], [np.inf, np.inf]])},
        {"selection": np.array([[-1e3, -np.inf], [np.inf, 1e3]])},
        {"row_weights": np.ones(N)},
    ]
    for way in ways:
        same(expected_statistics(Rows.of(x, **way), form), plain, rtol=1e-10)
    none = PrecisionForm.of(noisy(point, 1e-300), code)
    found = expected_statistics(Rows.of(x, background=np.zeros(N)), none)
    assert found.counts[-1] < 1e-200
    np.testing.assert_allclose(found.scatters, plain.scatters, rtol=1e-10)
    errors = rng.uniform(0, 1, (N, 2))
    twice = Rows.of(np.repeat(x, 2, axis=0), errors=np.repeat(errors, 2, axis=0))
    weighted = Rows.of(x, row_weights=np.full(N, 2.0), errors=errors)
    same(expected_statistics(twice, form), expected_statistics(weighted, form), rtol=1e-10)


@pytest.mark.parametrize("kind", ["sds", "covariances"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_one_view_a_row_is_one_view_for_all(covariance, kind):
    point, rng = mixture(covariance, 3, 2), np.random.default_rng(2)
    x = rng.normal(size=(N, 2))
    error = rng.uniform(0.1, 1, 2)
    errors = np.tile(error, (N, 1))
    if kind == "covariances":
        errors = np.tile(np.diag(error**2) + 0.03, (N, 1, 1))
    rows = Rows.of(x, errors=errors)
    assert len(rows.views.n_seen) == 1
    each = Views(
        np.tile(np.arange(2), (N, 1)),
        np.full(N, 2),
        np.arange(N + 1),
        np.arange(N),
        x.ravel(),
        np.repeat(rows.views.errors, N, axis=0),
        rows.views.allowed,
        np.arange(N),
    )
    form = PrecisionForm.of(point, BY_NAME[covariance].code)
    one = expected_statistics(rows, form)
    same(expected_statistics(rows._replace(views=each), form), one, rtol=1e-10)


def test_parts_add_up(monkeypatch):
    from bayesgmm.expectation import rows as pass_rows

    point, rng = noisy(mixture("full", 3, 4)), np.random.default_rng(2)
    rows = Rows.of(
        holed(rng.normal(size=(300, 4))),
        errors=rng.uniform(0, 1, (300, 4)).round(1),
        background=rng.normal(size=300),
        allowed=np.eye(4, dtype=bool)[rng.integers(4, size=300)] | (rng.random(300) < 0.6)[:, None],
    )
    form = PrecisionForm.of(point, BY_NAME["full"].code)
    whole = expected_statistics(rows, form)
    monkeypatch.setattr(pass_rows, "CHUNK", 70)
    same(expected_statistics(rows, form, cores=available_cores(None)), whole)
    apart = np.concatenate([row_log_density(chunk, form) for chunk in rows.chunks()])
    np.testing.assert_allclose(apart, row_log_density(rows, form), rtol=1e-12)


# A box outside of which nothing was recorded ---------------------------------------------


@pytest.mark.parametrize("r", [-0.999999, -0.93, -0.4, 0.0, 0.3, 0.925, 0.99, 0.9999999])
def test_the_bivariate_distribution_function_is_scipys(r):
    for h, k in itertools.product([-3.0, -0.5, 0.0, 0.7, 2.5], repeat=2):
        wanted = multivariate_normal([0, 0], [[1, r], [r, 1]], allow_singular=True).cdf([h, k])
        assert _both_below(h, k, r) == pytest.approx(wanted, abs=2e-8)  # SciPy's error
    # Sheppard's formula at zero is exact.
    assert _both_below(0.0, 0.0, r) == pytest.approx(0.25 + np.arcsin(r) / (2 * np.pi), abs=1e-14)


@pytest.mark.parametrize("r", [-0.95, -0.3, 0.0, 0.5, 0.999])
def test_a_box_in_the_tails_has_the_probability_of_mpmath(r):
    """Where it is a difference of four numbers near one; against quadrature in 30 digits."""
    import mpmath

    boxes = (
        ([6, 6], [np.inf, np.inf]),
        ([4, -8], [5, -5]),
        ([-np.inf, 5], [-4, 9]),
        ([20, 3], [21, 4]),
    )

    def wanted(a, b):
        with mpmath.workdps(30):
            rest = mpmath.sqrt(1 - mpmath.mpf(r) ** 2)

            def density(x):
                low, high = (a[1] - r * x) / rest, (b[1] - r * x) / rest
                if low > 0:  # in the tail that keeps digits
                    low, high = -high, -low
                return mpmath.npdf(x) * (mpmath.ncdf(high) - mpmath.ncdf(low))

            ends = [max(a[0], -40), min(b[0], 40)]
            return mpmath.quad(density, np.linspace(*ends, 60).tolist())

    for a, b in boxes:
        found = _plane(np.array(a, float), np.array(b, float), r, np.empty(2), np.empty((2, 2)))
        assert found == pytest.approx(float(wanted(a, b)), rel=1e-9, abs=1e-280), (a, b)


def test_a_mixture_far_from_the_box_of_two_features_has_no_spike():
    x = np.abs(np.random.default_rng(1).normal(size=(30, 2)))
    rows = bg.Observations(x, selection=[[0, 0], [None, None]])
    for m in (-3.0, -5.0, -8.0, -20.0):
        of = [
            bg.MixtureParameters([1.0], [[m, m]], [[[1.0, 0.0], [across, 1.0]]]).log_likelihood(
                rows
            )
            for across in (0.0, 1e-12)  # the second is of two that are correlated
        ]
        np.testing.assert_allclose(of[1], of[0], rtol=1e-9)


def integrated(point, tril, low, high):
    """Probability of a box in the plane, and moments of each component outside of it, on a grid."""
    k = len(point.means)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    grids = [0.5 * (b - a) * nodes + 0.5 * (a + b) for a, b in zip(low, high, strict=True)]
    mass = np.outer(weights, weights) * np.prod((high - low) / 2)
    at = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1)
    inside, outside = np.empty(k), []
    for j in range(k):
        covariance = tril[j] @ tril[j].T
        p = mass * multivariate_normal(point.means[j], covariance).pdf(at)
        inside[j] = p.sum()
        first = np.einsum("ab,abi->i", p, at)
        second = np.einsum("ab,abi,abj->ij", p, at, at)
        mean = point.means[j]
        outside.append((mean - first, covariance + np.outer(mean, mean) - second))
    return inside, outside


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("open_side", [False, True])
def test_rows_that_were_not_recorded_are_those_of_numerical_integration(covariance, open_side):
    point, structure = mixture(covariance, 3, 2), BY_NAME[covariance]
    tril = np.array(structure.to_tril(point.factors, 3))
    low, high = np.array([-0.8, -1.0]), np.array([1.1, 0.9])
    box = np.stack([low, high])
    if open_side:  # an infinity, which the grid takes as far away
        box[1, 0], high = np.inf, np.array([30.0, 0.9])
    rng = np.random.default_rng(3)
    x = rng.uniform(low, np.minimum(high, 2.0), size=(N, 2))
    weights = rng.uniform(0, 2, N)
    form = PrecisionForm.of(point, structure.code)
    plain = expected_statistics(Rows.of(x, row_weights=weights), form)
    rows = Rows.of(x, row_weights=weights, selection=box)
    found = expected_statistics(rows, form)
    inside, outside = integrated(point, tril, low, high)
    w = np.exp(point.log_weights)
    total = w @ inside
    n = weights.sum() * w / total
    assert found.log_likelihood == pytest.approx(
        plain.log_likelihood - weights.sum() * np.log(total), rel=1e-9
    )
    np.testing.assert_allclose(found.counts, plain.counts + n * (1 - inside), rtol=1e-8)
    sums = np.stack([n[j] * outside[j][0] for j in range(3)])
    np.testing.assert_allclose(found.sums, plain.sums + sums, rtol=1e-7, atol=1e-7)
    scatters = np.stack([n[j] * outside[j][1] for j in range(3)])
    wanted = plain.scatters + as_kept(scatters, structure)
    np.testing.assert_allclose(found.scatters, wanted, rtol=1e-7, atol=1e-7)
    row = row_log_density(rows, form) - row_log_density(Rows.of(x), form)
    np.testing.assert_allclose(row, -np.log(total), rtol=1e-9)


def test_a_box_in_some_of_many_features_is_one_in_these():
    """Of four features two are bounded: their probability, the others by regression, which a
    slope by differences of the log-likelihood shows as well (below)."""
    point = mixture("full", 3, 4)
    box = np.array([[-np.inf, -1.0, -np.inf, -2.0], [np.inf, 1.5, np.inf, np.inf]])
    x = np.random.default_rng(0).uniform(-1, 1, (20, 4))
    form = PrecisionForm.of(point, BY_NAME["full"].code)
    lost = row_log_density(Rows.of(x), form) - row_log_density(Rows.of(x, selection=box), form)
    tril = point.factors[:, [1, 3]]
    covariances = tril @ np.swapaxes(tril, 1, 2)
    chances = [
        multivariate_normal(mean, c).cdf([1.5, np.inf], lower_limit=[-1.0, -2.0])
        for mean, c in zip(point.means[:, [1, 3]], covariances, strict=True)
    ]
    np.testing.assert_allclose(lost, np.log(np.exp(point.log_weights) @ chances), atol=1e-6)


# The density -----------------------------------------------------------------------------

RNG = np.random.default_rng(11)
X = np.concatenate([
    RNG.multivariate_normal([0, 0, 0], [[1, 0.7, 0], [0.7, 1, 0], [0, 0, 1]], 120),
    RNG.multivariate_normal([5, -4, 3], [[1, -0.5, 0], [-0.5, 2, 0.3], [0, 0.3, 1]], 80),
])  # fmt: skip
BOX = {"x0": (-2.5, None), "x1": (-6.0, 2.0)}
INSIDE = X[(X[:, 0] >= -2.5) & (X[:, 1] >= -6) & (X[:, 1] <= 2)]


def everything(d=3):
    """Holes (not where the box is), errors, labels, noise, a box, weights and a resolution."""
    x = INSIDE[:, :d].copy()
    n, rng = len(x), np.random.default_rng(4)
    x[rng.random(n) < 0.3, 2] = np.nan
    errors = rng.choice([0.0, 0.3, 0.5], (n, 1)) * np.ones(d)  # few views, which are fast
    labels = np.where(rng.random(n) < 0.2, (x[:, 0] > 2.5).astype(int), -1)
    return bg.Observations(
        x,
        row_weights=np.linspace(0.5, 2, n),
        missing="marginal",
        resolution=[0.3, 0.0, 0.5],
        errors=errors,
        labels=labels,
        selection=BOX,
    )


def differences_agree(density, theta):
    """Central differences; 1e-6 of the gradient's largest entry."""
    _, gradient = density.value_and_grad(theta)
    steps = 1e-5 * np.eye(density.size)
    differences = [(density.value(theta + s) - density.value(theta - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6 * abs(gradient).max())


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_gradient_with_everything_on_equals_central_differences(covariance, noise):
    density = bg.LogPosterior(bg.MixtureSpec(2, covariance, noise=noise), everything())
    rng = np.random.default_rng(0)
    theta = 0.4 * rng.normal(size=density.size)
    differences_agree(density, theta)
    value = density.values(np.stack([theta, theta + 0.1]))
    assert value[0] == pytest.approx(density.value(theta), rel=1e-12)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_gradient_with_correlated_errors_equals_central_differences(covariance):
    rows = bg.Observations(
        holed(X, 0.2), missing="marginal", errors=0.3 * covariances_of_errors(len(X), 3)
    )
    density = bg.LogPosterior(bg.MixtureSpec(3, covariance, noise=True), rows)
    differences_agree(density, 0.4 * np.random.default_rng(1).normal(size=density.size))


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("method", ["em", "map"])
def test_a_fit_with_everything_on_is_monotone_and_stationary(method, covariance):
    rows = everything()
    spec = bg.MixtureSpec(2, covariance, noise=True)
    fit = bg.fit(spec, rows, method=method, seed=1)
    trace = fit.tree["fit/objective_trace"].values
    assert fit.status.ok and np.all(np.diff(trace) >= -1e-9 * np.abs(trace[:-1]))
    density = bg.LogPosterior(fit.spec, rows, jacobian=False, prior=method == "map")
    value, gradient = density.value_and_grad(density.unconstrain(fit.parameters[0, 0]))
    assert np.abs(gradient).max() <= 1e-5 * max(1.0, abs(value))
    pointwise = fit.tree["log_likelihood/x"].values[0, 0]
    assert rows.row_weights @ pointwise == pytest.approx(fit.log_likelihood)
    assert spec.n_parameters(3) == fit.n_parameters == density.size
