"""The pass against NumPy and SciPy, its sums in chunks, and its exponential."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.expectation import kernel
from bayesgmm.expectation import rows as pass_rows
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import (
    expected_statistics,
    expected_statistics_under,
    row_log_density,
    row_memberships,
)
from bayesgmm.model.structure import STRUCTURES as ALL
from tests.support import STRUCTURES


def mixture(covariance, k, d, seed=0):
    rng = np.random.default_rng(seed)
    log_weights = np.log(rng.dirichlet(np.full(k, 3.0)))
    means = rng.normal(size=(k, d))
    structure = ALL[covariance]
    if structure.matrices:
        g = structure.owners(k)
        factors = np.tril(rng.normal(size=(g, d, d)) * 0.4)
        factors[:, np.arange(d), np.arange(d)] = rng.uniform(0.5, 2, size=(g, d))
    else:
        factors = rng.uniform(0.5, 2, size=(1, k, d))
        factors = factors[:, :1] if structure.shared else factors
        factors = factors[..., :1] if structure.round else factors
        factors = np.broadcast_to(factors, (1, k, d)).copy()
    return Point(log_weights, means, factors)


def by_scipy(x, point):
    """Log density and memberships of each row, by SciPy's multivariate normal."""
    logs = np.stack(
        [
            w + multivariate_normal(m, c @ c.T).logpdf(x).reshape(len(x))
            for w, m, c in zip(*point, strict=True)
        ],
        axis=1,
    )
    total = np.logaddexp.reduce(logs, axis=1)
    return total, np.exp(logs - total[:, None])


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("n", "k", "d"), [(1, 1, 1), (257, 3, 1), (700, 4, 3), (129, 1, 5)])
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_equal_sums_over_scipys_memberships(covariance, n, k, d, weighted):
    point = mixture(covariance, k, d)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(n, d)) * 3 + 5
    center, scale = rng.normal(size=d) + 5, rng.uniform(1, 3, size=d)
    row_weights = rng.uniform(0, 2, size=n) if weighted else None
    rows = Rows.of(values, center, scale, row_weights)
    form = PrecisionForm.of(point, ALL[covariance].code)
    got = expected_statistics(rows, form)
    log_density, shares = row_log_density(rows, form), row_memberships(rows, form)

    x = (values - center) / scale
    total, r = by_scipy(x, point._replace(factors=ALL[covariance].to_tril(point.factors, k)))
    np.testing.assert_allclose(log_density, total, rtol=1e-11)
    np.testing.assert_allclose(shares, r, atol=1e-12)
    w = np.ones(n) if row_weights is None else row_weights
    r = r * w[:, None]
    np.testing.assert_allclose(got.log_likelihood, w @ total, rtol=1e-11)
    np.testing.assert_allclose(got.counts, r.sum(axis=0), atol=1e-10)
    np.testing.assert_allclose(got.sums, r.T @ x, atol=1e-9)
    s2 = np.einsum("nk,ni,nj->kij", r, x, x)
    expected = {
        "full": s2,
        "tied": s2.sum(axis=0, keepdims=True),
    }.get(covariance, np.diagonal(s2, axis1=1, axis2=2)[None])
    np.testing.assert_allclose(got.scatters, expected, atol=1e-8)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_chunks_add_up_and_threads_change_no_bit(covariance, monkeypatch):
    monkeypatch.setattr(pass_rows, "CHUNK", 100)
    point = mixture(covariance, 3, 2)
    rows = Rows.of(np.random.default_rng(2).normal(size=(950, 2)))
    form = PrecisionForm.of(point, ALL[covariance].code)
    one, two = (expected_statistics(rows, form, cores=c) for c in (1, 2))
    assert one.log_likelihood == two.log_likelihood
    np.testing.assert_array_equal(one.scatters, two.scatters)
    monkeypatch.setattr(pass_rows, "CHUNK", 10_000)
    whole = expected_statistics(rows, form)
    np.testing.assert_allclose(whole.scatters, one.scatters, rtol=1e-12)
    monkeypatch.setattr(pass_rows, "CHUNK", 500)  # in two
    np.testing.assert_allclose(expected_statistics(rows, form).counts, one.counts, rtol=1e-12)
    halves = [expected_statistics_under([form, form], rows.part(slice(*at)))
              for at in ((0, 400), (400, 950))]  # fmt: skip
    for both in halves[0] + halves[1]:
        np.testing.assert_allclose(both.sums, one.sums, rtol=1e-9, atol=1e-9)
    parts = [expected_statistics(Rows.of(rows.values[i::2]), form) for i in (0, 1)]
    np.testing.assert_allclose((parts[0] + parts[1]).sums, whole.sums, rtol=1e-11, atol=1e-12)


def test_row_weights_count_a_row_as_often_as_they_say():
    form = PrecisionForm.of(mixture("full", 2, 2), ALL["full"].code)
    x = np.random.default_rng(3).normal(size=(50, 2))
    times = np.random.default_rng(4).integers(0, 4, size=50)
    weighted = expected_statistics(Rows.of(x, row_weights=times.astype(float)), form)
    repeated = expected_statistics(Rows.of(np.repeat(x, times, axis=0)), form)
    np.testing.assert_allclose(weighted.scatters, repeated.scatters, rtol=1e-12)
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_a_pass_adds_to_what_is_there(covariance):
    """Twice into the same totals is twice the sums, and log densities are written."""
    point = mixture(covariance, 3, 2)
    values = np.random.default_rng(2).normal(size=(90, 2))
    form = PrecisionForm.of(point, ALL[covariance].code)
    totals = kernel.Totals.zero(form)
    zero, one, empty = np.zeros(2), np.ones(2), np.empty(0)
    given = (values, zero, one, np.linspace(0, 1, 90), empty, form)
    logs = [kernel.accumulate_complete(*given, totals)]
    once = [each.copy() for each in totals]
    logs.append(kernel.accumulate_complete(*given, totals))
    assert logs[0] == logs[1]
    for before, after in zip(once, totals, strict=True):
        np.testing.assert_allclose(after, 2 * before, rtol=1e-12)


def test_exponential_is_numpys_to_two_units_in_the_last_place():
    x = -np.concatenate([np.linspace(0, 1, 2000), np.geomspace(1e-12, 700, 4000)])
    got = x.copy()
    kernel._exponentials(got)
    np.testing.assert_allclose(got, np.exp(x), rtol=4.5e-16)
    far = np.array([-708.5, -720.0, -900.0, -1e4, -1e300, -np.inf])
    kernel._exponentials(far)
    assert np.all((far > 0) & (far < 1e-300))


def test_a_far_row_and_a_weight_of_zero_stay_finite():
    log_weights = np.log(np.array([1.0, 1e-320]))
    log_weights[1] = -np.inf
    form = PrecisionForm.of(Point(log_weights, np.zeros((2, 1)), np.ones((2, 1, 1))), 0)
    rows = Rows.of(np.array([[0.0], [1e200], [-1e145]]))
    log_density, shares = row_log_density(rows, form), row_memberships(rows, form)
    assert np.all(np.isfinite(log_density))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares[:, 1], 0.0, atol=1e-300)


def test_no_array_of_the_size_of_the_data_is_made():
    """Peak memory of a pass stays far below one N x K or N x D array."""
    import tracemalloc

    n, d, k = 200_000, 10, 10
    values = np.random.default_rng(0).normal(size=(n, d))
    form = PrecisionForm.of(mixture("full", k, d), 0)
    rows = Rows.of(values)
    expected_statistics(rows, form, cores=2)  # compile, and start the threads, first
    tracemalloc.start()
    expected_statistics(rows, form, cores=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000  # Python's and NumPy's own; N x K doubles are 16 MB
