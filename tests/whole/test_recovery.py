"""The machinery of the benchmark of recovery, and one data set of it: is it judged as it says?"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks import recovery
from benchmarks.recovery import DESIGNS, Design, Found, failure, true_row

BY_NAME = {each.name: each for each in DESIGNS}
FAR = BY_NAME["B11"]


def test_the_designs_are_those_of_the_paper():
    """Counted as its text has them, and one of each kind in full."""
    assert [each.name for each in DESIGNS[:29]] == [
        *(f"U{i}" for i in range(1, 10)),
        *(f"B{i}" for i in range(1, 21)),
    ]
    u9 = BY_NAME["U9"].truth
    np.testing.assert_allclose(u9.weights, [0.1, 0.7, 0.1, 0.1])
    np.testing.assert_allclose(u9.means.ravel(), [0, 4, 8, 12])
    np.testing.assert_allclose(u9.scales, 2.0)
    b7 = BY_NAME["B7"].truth
    np.testing.assert_allclose(b7.weights, [0.9, 0.1])
    np.testing.assert_allclose(b7.means, [[0, 2], [2, 0]])
    np.testing.assert_allclose(b7.covariances, [[[1, -0.8], [-0.8, 1]], [[1, 0.8], [0.8, 1]]])
    assert len({true_row(each).tobytes() for each in DESIGNS}) == len(DESIGNS)


@pytest.mark.parametrize(("name", "overlap"), [("T1", 0.05), ("T4", 0.2)])
def test_overlap_in_ten_dimensions(name, overlap):
    """By integration along the discriminant, on which all of the overlap lies."""
    truth = BY_NAME[name].truth
    axis = np.linalg.solve(truth.covariances[0], truth.means[1] - truth.means[0])
    sds = np.sqrt(np.einsum("i,kij,j->k", axis, truth.covariances, axis))
    one, other = (stats.norm(m @ axis, sd) for m, sd in zip(truth.means, sds, strict=True))
    low, high = one.mean() - 8 * one.std(), other.mean() + 8 * other.std()
    cross = (one.mean() + other.mean()) / 2
    found = integrate.quad(lambda t: min(one.pdf(t), other.pdf(t)), low, high, points=[cross])[0]
    assert found == pytest.approx(overlap, abs=1e-8)


@pytest.mark.parametrize("name", ["U7", "B2", "T2"])
def test_no_order_of_components_is_an_error(name):
    design = BY_NAME[name]
    truth = design.truth
    for order in itertools.permutations(range(len(design.weights))):
        mixed = truth.permute(np.array(order))
        to = recovery.assigned(mixed.means, truth)
        found = recovery.row(mixed.weights[to], mixed.means[to], mixed.covariances[to], truth)
        np.testing.assert_allclose(found, true_row(design), atol=1e-12)


def test_what_a_failure_is():
    good = {"ended": True, "estimate": true_row(FAR).tolist()}
    assert failure(FAR, good) == ""
    assert failure(FAR, {"error": "ValueError: no"}) == "raised"
    assert failure(FAR, good | {"ended": False}) == "not converged"
    for place, value, reason in (
        (0, np.nan, "not finite"),
        (0, 1.9 / FAR.n, "collapsed"),
        (0, 2.1 / FAR.n, ""),
        (6, 0.009, "collapsed"),
        (6, 0.011, ""),
    ):
        estimate = true_row(FAR)
        assert recovery.GROUPS[recovery.groups(FAR)[place]] == ("weights" if place == 0 else "sds")
        estimate[place] = value
        assert failure(FAR, good | {"estimate": estimate.tolist()}) == reason


def test_errors_and_coverage_of_known_estimates(tmp_path):
    """Estimates that are normal about the truth, so that mean squared errors, biases and
    coverage are known, within 5 of their standard errors; and a line that was cut off."""
    rng = np.random.default_rng(1)
    truth, half, n = true_row(FAR), stats.norm.ppf(0.945), 2000
    spread = {
        "sklearn-10": 0.02,
        "sklearn-1": 0.04,
        "em": 0.02,
        "map": 0.01,
        "nuts": 0.02,
        "em-onwards": 0.02,
        "map-tighter": 0.02,
    }
    for number in range(n):
        fits = {}
        for name, sd in spread.items():
            estimate = truth + sd * rng.standard_normal(truth.shape) + 0.03 * (name == "map")
            fits[name] = {
                "status": "converged",
                "ended": True,
                "seconds": 1.0,
                "estimate": estimate.tolist(),
            }
        away = half * 0.02
        estimate = np.array(fits["nuts"]["estimate"])
        fits["nuts"]["held"] = recovery.held_by(estimate - away, estimate + away, truth)
        recovery.keep(tmp_path, FAR, {"number": number, "fits": fits})
    with recovery.kept_in(tmp_path, FAR).open("a") as file:
        file.write('\n{"number": 77, "fi')
    found = Found.read(tmp_path, FAR)
    assert found.n == n
    for name, expected in (("sklearn-1", 4.0), ("em", 1.0), ("map", (0.01**2 + 0.03**2) / 0.02**2)):
        ratio, error = found.ratio(name)
        assert abs(ratio - expected) < 5 * error
        assert 0 < error < 0.1
    assert found.rmse("sklearn-1", 1) == pytest.approx(0.04, rel=5 / np.sqrt(2 * 4 * n))
    assert found.bias("map", 2) == pytest.approx(0.03, abs=5 * 0.01 / np.sqrt(4 * n))
    share, error = found.coverage()
    assert abs(share - 0.89) < 5 * error
    assert error == pytest.approx(np.sqrt(0.89 * 0.11 / (n * len(truth))), rel=0.1)


def test_a_raising_fit_is_counted_and_the_others_go_on(tmp_path, monkeypatch):
    def raises(design, x, seed):
        raise ValueError("no")

    monkeypatch.setitem(recovery.HOW, "em", raises)
    for name in ("map", "nuts", "map-tighter"):
        monkeypatch.setitem(recovery.HOW, name, recovery.HOW["sklearn-1"])
    for number in range(3):
        found = json.loads(json.dumps(recovery.data_set(FAR, number)))
        recovery.keep(tmp_path, FAR, found)
    found = Found.read(tmp_path, FAR)
    assert found.failures["em"] == {"raised": 3}
    assert found.failures["sklearn-10"] == {}
    assert np.isnan(found.errors["em"]).all()
    assert np.isfinite(found.errors["map"]).all()


def test_far_components_are_found_by_all():
    """Within 5 standard errors, which for components that do not overlap are those of means,
    standard deviations, correlations and shares of known groups."""
    design = Design("far", FAR.weights, FAR.means, FAR.covariances, 200)
    found = recovery.data_set(design, 0)["fits"]
    rows = design.n / 2
    r = -0.8
    errors = [0.5 / np.sqrt(design.n), rows**-0.5, (2 * rows) ** -0.5, (1 - r**2) / np.sqrt(rows)]
    limits = 5 * np.array(errors)[recovery.groups(design)]
    for name, fit in found.items():
        assert failure(design, fit) == "", name
        assert (np.abs(fit["estimate"] - true_row(design)) < limits).all(), name
    x, em = design.data(0), np.array(found["em"]["estimate"])
    normals = [stats.multivariate_normal(m, c) for m, c in zip(*_unrowed(em), strict=True)]
    density = em[0] * normals[0].pdf(x) + em[1] * normals[1].pdf(x)
    for name in ("em", "sklearn-10"):  # which far apart are one maximum
        assert found[name]["log likelihood"] == pytest.approx(np.log(density).sum(), abs=0.01)
    held = found["nuts"]["held"]
    assert len(held) == len(true_row(design)) and set(held) <= {"0", "1"}
    assert held.count("1") >= 4  # fewer of 11 at 89 %: less than once in 50,000


def _unrowed(row):
    """Means and covariances of two components in two dimensions, of unit scales."""
    sds, r = row[6:10].reshape(2, 2), row[10:]
    covariances = sds[:, :, None] * sds[:, None, :]
    covariances[:, 0, 1] *= r
    covariances[:, 1, 0] *= r
    return row[2:6].reshape(2, 2), covariances


def test_tables_are_written_between_their_marks(tmp_path, monkeypatch):
    """Twice the same, and the text around them stays."""
    for number in range(3):
        fits = {
            name: {"status": "converged", "ended": True, "seconds": 1.0}
            for name in recovery.FITTERS
        }
        for i, fit in enumerate(fits.values()):
            row = true_row(FAR) + 0.01 * (i + 1) * (number + 1)
            fit |= {"estimate": row.tolist(), "log likelihood": -1.0 * (i + 1)}
        fits["nuts"] |= {"held": recovery.held_by(row - 1, row + 1, row)}
        recovery.keep(tmp_path, FAR, {"number": number, "fits": fits})
    page = tmp_path / "recovery.md"
    page.write_text(recovery.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(recovery, "PAGE", page)
    found = [Found.read(tmp_path, FAR)]
    recovery.report(found)
    once = page.read_text(encoding="utf-8")
    recovery.report(found)
    assert page.read_text(encoding="utf-8") == once
    recovery.report([])  # nothing kept yet
    assert "Fewer than 3 data sets of every design" in page.read_text(encoding="utf-8")
    assert f"| B11 | {FAR.words} | 500 | 3 |" in once
    assert "| B11 | 0 | 100 | 100 |" in once  # EM's likelihood is lower here, and it is farther
    assert "Failures among 3 fits of each: " in once
