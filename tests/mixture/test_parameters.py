"""Mixtures as densities, held against SciPy, numerical integration and algebra."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayesgmm import MixtureParameters, Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.mixture.noise import Noise
from tests import support

SHAPES = [(), (4,), (2, 3)]


def mixture(batch=(), k=3, d=2, *, seed=0, spread=2.0):
    """A random mixture whose components overlap."""
    rng = np.random.default_rng([seed, k, d, *batch])
    tril = np.tril(rng.normal(size=(*batch, k, d, d)) * 0.5)
    diagonal = np.arange(d)
    tril[..., diagonal, diagonal] = rng.uniform(0.5, 1.5, size=(*batch, k, d))
    return MixtureParameters(
        rng.dirichlet(np.full(k, 2.0), size=batch), spread * rng.normal(size=(*batch, k, d)), tril
    )


def component_log_densities(p, x):
    """log w_k + log N(x | mu_k, Sigma_k) by SciPy, (..., N, K)."""
    out = np.empty((*p.batch_shape, len(x), p.n_components))
    for at in np.ndindex(*p.batch_shape):
        for j in range(p.n_components):
            normal = multivariate_normal(p.means[at][j], p.covariances[at][j])
            out[(*at, slice(None), j)] = np.log(p.weights[at][j]) + normal.logpdf(x)
    return out


def points(n, d, *, seed=5, scale=3.0):
    return scale * np.random.default_rng(seed).normal(size=(n, d))


def same(a, b, **tolerance):
    for name in ("weights", "means", "scale_tril"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), **tolerance)


def refused(match, make, *args, **kwargs):
    """The message of a refusal."""
    return str(support.refused(match, make, *args, error=DataError, **kwargs))


# Densities and memberships -------------------------------------------------


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 3), (4, 1), (3, 2), (2, 5)])
def test_log_density_and_memberships(batch, k, d):
    """Against SciPy's multivariate normals: their log-sum and Bayes' rule."""
    p, x = mixture(batch, k, d), points(37, d)
    parts = component_log_densities(p, x)
    expected = logsumexp(parts, axis=-1)
    np.testing.assert_allclose(p.log_density(x), expected, rtol=1e-11, atol=1e-11)
    shares = p.memberships(x)
    assert shares.shape == (*batch, 37, k)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-13)
    np.testing.assert_allclose(shares, np.exp(parts - expected[..., None]), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(p.log_likelihood(x), expected.sum(-1), rtol=1e-11)
    weights = np.random.default_rng(1).uniform(0, 3, 37)
    np.testing.assert_allclose(p.log_likelihood(x, weights), expected @ weights, rtol=1e-11)


def test_threads_change_nothing():
    """Bit-equal whatever the number of cores."""
    p, x = mixture((5,), 3, 2), points(50, 2)
    np.testing.assert_array_equal(p.log_density(x, cores=1), p.log_density(x, cores=2))
    np.testing.assert_array_equal(p.log_likelihood(x, cores=1), p.log_likelihood(x, cores=2))


@pytest.mark.parametrize(("d", "width"), [(1, 25.0), (2, 20.0)])
def test_the_density_integrates_to_one(d, width):
    """Trapezoid rule, which is exact to rounding for smooth functions that decay."""
    grid, step = np.linspace(-width, width, 401, retstep=True)
    x = np.array(list(itertools.product(grid, repeat=d)))
    assert np.exp(mixture((), 3, d).log_density(x)).sum() * step**d == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("shift", [1e6, -3e9])
def test_far_from_the_origin_no_digits_are_lost(shift):
    """A shifted mixture at shifted rows, all multiples of 2^-20, so that the shift is exact."""
    x = np.round(points(40, 2) * 2**20) / 2**20
    p = mixture()
    p = MixtureParameters(p.weights, np.round(p.means * 2**20) / 2**20, p.scale_tril)
    moved = MixtureParameters(p.weights, p.means + shift, p.scale_tril)
    np.testing.assert_allclose(moved.log_density(x + shift), p.log_density(x), rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_shift_the_log_density(unit):
    """p(unit x) of the mixture in other units is p(x) / unit^D."""
    p, x = mixture(), points(40, 2)
    other = MixtureParameters(p.weights, p.means * unit, p.scale_tril * unit)
    expected = p.log_density(x) - 2 * np.log(unit)
    np.testing.assert_allclose(other.log_density(x * unit), expected, rtol=1e-10)


@pytest.mark.parametrize("far", [1e10, 1e100, -1e149])
def test_far_rows_stay_finite(far):
    p = mixture()
    x = [[far, 0.0], [0.0, far], [far, far]]
    assert np.isfinite(p.log_density(x)).all()
    np.testing.assert_allclose(p.memberships(x).sum(-1), 1)


def test_a_component_of_no_weight_takes_no_part():
    """A zero weight: the density of the rest, finite everywhere."""
    p, x = mixture(k=2), points(20, 2)
    more = MixtureParameters([*p.weights, 0.0], [*p.means, [1.0, 1.0]], [*p.scale_tril, np.eye(2)])
    np.testing.assert_allclose(more.log_density(x), p.log_density(x), rtol=1e-12)
    np.testing.assert_allclose(more.memberships(x)[:, 2], 0, atol=1e-300)
    assert (more.simulate(500, seed=1)[1] < 2).all()


def test_rows_come_in_any_form():
    p, x = mixture(d=1), [0.5, 1.5]
    expected = p.log_density([[0.5], [1.5]])
    for form in (x, np.array(x, dtype=np.float32), pd.Series(x), pd.DataFrame({"a": x})):
        np.testing.assert_array_equal(p.log_density(form), expected)


# Covariances ---------------------------------------------------------------


@pytest.mark.parametrize("batch", SHAPES)
def test_scales_and_correlations_make_the_covariances(batch):
    """diag(s) R diag(s) = Sigma = L L', and the way back by Cholesky."""
    p = mixture(batch, 2, 4)
    sigma, s, r = p.covariances, p.scales, p.correlations
    np.testing.assert_allclose(np.einsum("...ij,...kj", p.scale_tril, p.scale_tril), sigma)
    np.testing.assert_allclose(s**2, np.diagonal(sigma, axis1=-2, axis2=-1))
    np.testing.assert_allclose(s[..., :, None] * r * s[..., None, :], sigma)
    np.testing.assert_allclose(np.diagonal(r, axis1=-2, axis2=-1), 1)
    same(MixtureParameters.from_covariances(p.weights, p.means, sigma), p, atol=1e-12)


# Marginals and conditionals ------------------------------------------------


@pytest.mark.parametrize("kept", [(0,), (1,), (2,), (0, 2), (2, 1)])
def test_marginal_integrates_the_others_out(kept):
    """Against the trapezoid rule over the features left out."""
    p = mixture((2,), 3, 3)
    out = [j for j in range(3) if j not in kept]
    grid, step = np.linspace(-16, 16, 161, retstep=True)
    at = points(3, len(kept))
    nodes = np.array(list(itertools.product(grid, repeat=len(out))))
    x = np.empty((len(at), len(nodes), 3))
    x[..., list(kept)], x[..., out] = at[:, None], nodes
    density = np.exp(p.log_density(x.reshape(-1, 3))).reshape(2, len(at), -1)
    expected = density.sum(-1) * step ** len(out)
    np.testing.assert_allclose(np.exp(p.marginal(kept).log_density(at)), expected, rtol=1e-9)


def test_marginal_of_everything_reorders():
    p, x = mixture((2,), 2, 3), points(9, 3)
    order = [2, 0, 1]
    np.testing.assert_allclose(p.marginal(order).log_density(x[:, order]), p.log_density(x))
    same(p.marginal(order).marginal(np.argsort(order)), p, atol=1e-12)


SEEN = [(0,), (1,), (3,), (0, 2), (3, 1), (2, 0, 3)]


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize("seen", SEEN)
def test_condition_times_marginal_is_the_joint(batch, seen):
    """p(rest | seen) p(seen) = p(all) to 1e-10, at random points."""
    p = mixture(batch, 3, 4)
    rest = [j for j in range(4) if j not in seen]
    for x in points(4, 4):
        conditional = p.condition({j: x[j] for j in seen})
        assert conditional.batch_shape == batch and conditional.n_features == len(rest)
        total = conditional.log_density(x[None, rest]) + p.marginal(seen).log_density(
            x[None, list(seen)]
        )
        np.testing.assert_allclose(total, p.log_density(x[None]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("batch", SHAPES)
def test_conditional_weights_are_memberships(batch):
    """Bayes' rule: the weights given a value are the memberships under the marginal."""
    p = mixture(batch, 3, 3)
    expected = p.marginal([1]).memberships([[0.7]])[..., 0, :]
    np.testing.assert_allclose(p.condition({1: 0.7}).weights, expected, rtol=1e-11)


@pytest.mark.parametrize("batch", SHAPES)
def test_conditioning_in_two_steps_is_conditioning_at_once(batch):
    """What is conditioned is a mixture again, whose features count from zero."""
    p = mixture(batch, 3, 4)
    once = p.condition({0: 0.3, 2: -1.1})
    same(p.condition({0: 0.3}).condition({1: -1.1}), once, rtol=1e-10, atol=1e-12)
    same(p.condition({2: -1.1}).condition({0: 0.3}), once, rtol=1e-10, atol=1e-12)
    same(p.condition({2: -1.1, 0: 0.3}), once, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seen", SEEN)
def test_marginal_and_condition_commute(seen):
    """Leaving a feature out before or after conditioning on others is the same."""
    p = mixture((), 2, 5)
    given = {j: 0.1 * j - 0.2 for j in seen}
    rest = [j for j in range(4) if j not in seen]
    small = p.marginal([0, 1, 2, 3]).condition(given)
    same(p.condition(given).marginal(range(len(rest))), small, rtol=1e-10, atol=1e-12)


def test_one_component_conditions_as_a_normal():
    """Against the textbook regression: mean and Schur complement."""
    p = mixture((), 1, 4)
    mu, sigma, a, b = p.means[0], p.covariances[0], [0, 2], [1, 3]
    x = np.array([0.4, -2.0])
    inverse = np.linalg.inv(sigma[np.ix_(a, a)])
    gain = sigma[np.ix_(b, a)] @ inverse
    got = p.condition(dict(zip(a, x, strict=True)))
    np.testing.assert_allclose(got.weights, [1.0])
    np.testing.assert_allclose(got.means[0], mu[b] + gain @ (x - mu[a]))
    schur = sigma[np.ix_(b, b)] - gain @ sigma[np.ix_(a, b)]
    np.testing.assert_allclose(got.covariances[0], schur)


@pytest.mark.parametrize("value", [1e10, 1e100, 1e200, -1e300])
def test_conditioning_on_a_far_value_stays_finite(value):
    got = mixture().condition({0: value})
    assert np.isfinite(got.weights).all() and np.isfinite(got.means).all()
    assert got.weights.sum() == pytest.approx(1)


def test_conditioning_on_nothing_changes_nothing():
    p = mixture()
    same(p.condition({}), p)


# Components and batches ------------------------------------------------------


@pytest.mark.parametrize("batch", SHAPES)
def test_permuting_leaves_the_density(batch):
    p, x = mixture(batch, 4, 2), points(15, 2)
    order = np.array([2, 0, 3, 1])
    moved = p.permute(order)
    np.testing.assert_allclose(moved.log_density(x), p.log_density(x), rtol=1e-12)
    np.testing.assert_allclose(moved.memberships(x), p.memberships(x)[..., order], atol=1e-13)
    same(moved.permute(np.argsort(order)), p)


def test_each_mixture_of_a_batch_has_its_own_permutation():
    p = mixture((2, 3), 4, 2)
    order = np.random.default_rng(3).permuted(np.tile(np.arange(4), (2, 3, 1)), axis=-1)
    moved = p.permute(order)
    for at in np.ndindex(2, 3):
        same(moved[at], p[at].permute(order[at]))


KEYS = [
    0, -1, (1, 2), (slice(None), 1), (..., 2), slice(1, None), np.array([1, 0, 1]),
    np.array([[True, False, True], [False, True, False]]), (None, 0), (),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing_is_numpys_on_the_batch(key):
    """Components and features are out of its reach."""
    p = mixture((2, 3), 4, 2)
    numbers = np.arange(6).reshape(2, 3)[key]
    got = p[key]
    assert got.batch_shape == np.shape(numbers) and got.means.shape[-2:] == (4, 2)
    np.testing.assert_array_equal(got.weights, p.flat().weights[numbers])
    np.testing.assert_array_equal(got.means, p.flat().means[numbers])
    np.testing.assert_array_equal(got.scale_tril, p.flat().scale_tril[numbers])


@pytest.mark.parametrize("key", [2, (0, 3), (0, 0, 0)])
def test_indexing_beyond_the_batch_is_an_index_error(key):
    with pytest.raises(IndexError):
        mixture((2, 3), 4, 2)[key]


@pytest.mark.parametrize("batch", SHAPES)
def test_flat_has_one_batch_dimension(batch):
    p, x = mixture(batch, 2, 2), points(5, 2)
    flat = p.flat()
    assert flat.batch_shape == (int(np.prod(batch)),)
    np.testing.assert_array_equal(flat.log_density(x), p.log_density(x).reshape(-1, 5))


# Simulation ------------------------------------------------------------------


@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 2), (4, 3)])
def test_simulated_moments(k, d):
    """Component shares, means and second moments within 4 standard errors of closed form."""
    n, p = 40_000, mixture((), k, d)
    x, component = p.simulate(n, seed=11)
    assert x.shape == (n, d) and component.shape == (n,)
    shares = np.bincount(component, minlength=k) / n
    assert (np.abs(shares - p.weights) <= 4 * np.sqrt(p.weights * (1 - p.weights) / n)).all()
    mean = p.weights @ p.means
    assert (np.abs(x.mean(0) - mean) < 4 * x.std(0) / np.sqrt(n)).all()
    within = p.covariances + p.means[:, :, None] * p.means[:, None, :]
    second = np.einsum("k,kij->ij", p.weights, within)
    products = x[:, :, None] * x[:, None, :]
    assert (np.abs(products.mean(0) - second) < 4 * products.std(0) / np.sqrt(n)).all()
    for j in range(k):  # and within each component
        mine = x[component == j]
        error = np.sqrt(np.diagonal(p.covariances[j]) / len(mine))
        assert (np.abs(mine.mean(0) - p.means[j]) < 4 * error).all()


def test_simulating_a_batch():
    p = mixture((2, 3), 3, 2)
    x, component = p.simulate(2000, seed=4)
    assert x.shape == (2, 3, 2000, 2) and component.shape == (2, 3, 2000)
    mean = np.einsum("...k,...kd->...d", p.weights, p.means)
    assert (np.abs(x.mean(-2) - mean) < 4.5 * x.std(-2) / np.sqrt(2000)).all()


def test_the_seed_decides():
    p = mixture()
    np.testing.assert_array_equal(p.simulate(9, seed=1)[0], p.simulate(9, seed=1)[0])
    assert not np.array_equal(p.simulate(9, seed=1)[0], p.simulate(9, seed=2)[0])
    rng = np.random.default_rng(1)
    assert not np.array_equal(p.simulate(9, seed=rng)[0], p.simulate(9, seed=rng)[0])
    same_sequence = [p.simulate(9, seed=np.random.SeedSequence(3))[0] for _ in range(2)]
    np.testing.assert_array_equal(*same_sequence)


def test_simulating_no_rows():
    x, component = mixture((2,)).simulate(0, seed=1)
    assert x.shape == (2, 0, 2) and component.shape == (2, 0)


# Refusals --------------------------------------------------------------------

EYE = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("weights", "means", "tril", "match"),
    [
        (1.0, [0.0, 0.0], EYE, "Shapes do not belong together"),
        ([1.0], [0.0, 0.0], [EYE], "Shapes do not belong together"),
        ([0.5, 0.5], [[0.0, 0.0]], [EYE], "Shapes do not belong together"),
        ([1.0], [[0.0, 0.0]], EYE, "Shapes do not belong together"),
        ([1.0], [[0.0, 0.0]], [[[1.0]]], "Shapes do not belong together"),
        ([], np.empty((0, 2)), np.empty((0, 2, 2)), "must sum to one"),
        ([-0.5, 1.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "must not be negative"),
        ([0.5, 0.4], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "must sum to one"),
        ([np.nan, 1.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]], "weights must"),
        ([1.0], [[np.nan]], [[[1.0]]], "means must be finite"),
        ([1.0], [[np.inf]], [[[1.0]]], "means must be finite"),
        ([1.0], [[0.0]], [[[0.0]]], "positive diagonal"),
        ([1.0], [[0.0]], [[[-1.0]]], "positive diagonal"),
        ([1.0], [[0.0]], [[[np.nan]]], "scale_tril must be finite"),
        ([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]], "from_covariances"),
        (["a"], [[0.0]], [[[1.0]]], "weights must be an array of numbers"),
        ([1.0], [[1j]], [[[1.0]]], "means must be an array of numbers"),
        ([0.5, 0.5], [[0.0], [1.0, 2.0]], [[[1.0]]], "means must be an array of numbers"),
    ],
)
def test_what_is_no_mixture(weights, means, tril, match):
    refused(match, MixtureParameters, weights, means, tril)


@pytest.mark.parametrize(
    ("covariances", "match"),
    [
        ([[[1.0, 2.0], [2.0, 1.0]]], "not positive definite"),
        ([[[0.0, 0.0], [0.0, 1.0]]], "not positive definite"),
        ([[[1.0, 0.9], [0.0, 1.0]]], "symmetric"),
        ([[[1.0, np.nan], [np.nan, 1.0]]], "finite and symmetric"),
        ([1.0, 1.0], "shape"),
        (EYE, "shape"),
        ([["a"]], "covariances must be an array of numbers"),
    ],
)
def test_what_is_no_covariance(covariances, match):
    refused(match, MixtureParameters.from_covariances, [1.0], [[0.0, 0.0]], covariances)


@pytest.mark.parametrize("name", ["log_density", "memberships", "log_likelihood"])
@pytest.mark.parametrize(
    ("x", "match"),
    [
        ([[1.0, 2.0, 3.0]], r"shape \(1, 3\); the mixture needs \(N, 2\)"),
        ([1.0, 2.0], r"shape \(2,\); the mixture needs \(N, 2\)"),
        ([[1.0, np.nan]], "missing value"),
        ([[1.0, np.inf]], "infinite value"),
        ([[1.0, 1e200]], "overflow"),
        ([["a", "b"]], "text"),
        (np.empty((0, 2)), "empty"),
    ],
)
def test_rows_that_cannot_be_used(name, x, match):
    """NaN in, an error out, never a number."""
    refused(match, getattr(mixture(), name), x)


@pytest.mark.parametrize("features", [[2], [-1], [0, 0], [0.5], [True, False], ["a"], "a", 0])
def test_features_are_distinct_indices(features):
    refused("not distinct whole numbers from 0 to 1", mixture().marginal, features)
    if isinstance(features, list) and len(features) == 1:
        refused("not distinct whole numbers", mixture().condition, {features[0]: 1.0})


def test_a_marginal_has_features():
    refused("No feature is named", mixture().marginal, [])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({0: 1.0, 1: 1.0}, "Every feature is given; leave at least one"),
        ({0: np.nan}, "must be finite"),
        ({0: np.inf}, "must be finite"),
        ({0: "a"}, "numbers"),
        ({0: None}, "finite"),
        ({0: [1.0, 2.0]}, "one per feature"),
        ([0], "must map features to values"),
    ],
)
def test_what_cannot_be_conditioned_on(given, match):
    refused(match, mixture().condition, given)


@pytest.mark.parametrize(
    "order", [[0, 0, 1], [0, 1], [0, 1, 3], [0.5, 1, 2], [[0, 1, 2]], 0, "abc"]
)
def test_what_is_no_permutation(order):
    refused("Not a permutation of 3 components", mixture().permute, order)


@pytest.mark.parametrize("n", [-1, 1.5, "3", None])
def test_a_number_of_rows(n):
    with pytest.raises(SpecError, match="n must be a whole number of at least 0, got"):
        mixture().simulate(n)


def test_nothing_is_mutated():
    """Neither the arrays that made a mixture nor the rows and values it is asked about."""
    p = mixture((2,), 3, 2)
    given = [p.weights.copy(), p.means.copy(), p.scale_tril.copy()]
    q = MixtureParameters(*given)
    x = points(6, 2)
    before = x.copy()
    values = {0: 1.0}
    q.log_density(x), q.memberships(x), q.log_likelihood(x), q.simulate(5, seed=1)
    q.marginal([1]), q.condition(values), q.permute([2, 1, 0]), q[0], q.flat()
    np.testing.assert_array_equal(x, before)
    assert values == {0: 1.0}
    same(q, p, rtol=0)
    for name in ("weights", "means", "scale_tril"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(q, name, None)


def test_rows_count_by_the_weights_that_they_bring():
    p, w = mixture(), np.array([1.0, 5.0, 0.5])
    x = np.arange(6.0).reshape(3, 2)
    rows = Observations(x, row_weights=w)
    np.testing.assert_allclose(p.log_likelihood(rows), p.log_density(x) @ w, rtol=1e-12)
    np.testing.assert_allclose(p.log_likelihood(rows, np.ones(3)), p.log_likelihood(x), rtol=1e-12)


def test_a_share_of_noise_is_not_negative():
    p, box = mixture(k=2), np.array([[-9.0, -9.0], [9.0, 9.0]])
    with pytest.raises(DataError, match="weights must not be negative"):
        MixtureParameters(p.weights * 1.2, p.means, p.scale_tril, Noise(np.asarray(-0.2), box))
