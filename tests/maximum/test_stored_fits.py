"""Fits to rows that are read a block at a time: those of the same rows in memory, in few passes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.data.sources import source
from bayesgmm.density import passes
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FileError, FitWarning

N = 25_000
#: A search that is short, where nothing hangs on how wide it is.
QUICK = {"n_starts": 4, "n_best": 2, "rounds": 0}
COVARIANCES = ("full", "tied", "diag", "spherical")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(source, "BLOCK", 2_000)
    monkeypatch.setattr(source, "PART", 4_000)


@pytest.fixture(scope="module")
def frame():
    """Three stretched components, two of which overlap."""
    rng = np.random.default_rng(5)
    k = rng.choice(3, N, p=[0.5, 0.3, 0.2])
    x = rng.normal(size=(N, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    x = x * np.array([1.0, 0.6, 1.5])[k, None] + np.array([[0, 0], [2.5, 0], [8, 5]])[k]
    frame = pd.DataFrame(x, columns=["a", "b"])
    return frame.assign(w=rng.integers(0, 3, N).astype(float), k=np.where(k == 2, 2, -1))


@pytest.fixture(scope="module")
def path(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "rows.parquet"
    frame.to_parquet(path, row_group_size=4_000, index=False)
    return path


def both(path, **options):
    return (
        bg.Observations(path, in_memory=False, **options),
        bg.Observations(path, in_memory=True, **options),
    )


WAYS = {
    "plain": {},
    "weighted": {"row_weights": "w"},
    "labelled": {"labels": "k"},
    "errors": {"errors": [0.2, 0.3]},
    "selection": {"selection": {"a": (-100, 100)}},
    "recorded": {"resolution": 0.05},
}


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("way", WAYS)
def test_the_density_is_that_of_rows_in_memory(path, covariance, way):
    """Value, gradient and many values at once, to rounding."""
    spec = bg.MixtureSpec(3, covariance, noise=way == "plain")
    there, here = (
        LogPosterior(spec, rows, cores=2) for rows in both(path, columns=["a", "b"], **WAYS[way])
    )
    theta = 0.3 * np.random.default_rng(1).normal(size=(3, here.size))
    expected = [here.value_and_grad(one) for one in theta]
    values, gradients = there.values_and_grads(theta)
    np.testing.assert_allclose(values, [value for value, _ in expected], rtol=1e-12)
    slopes = np.stack([slope for _, slope in expected])
    np.testing.assert_allclose(gradients, slopes, rtol=1e-8, atol=1e-9 * np.abs(slopes).max())
    np.testing.assert_allclose(there.values(theta), values, rtol=1e-12)
    np.testing.assert_allclose(here.values(theta), values, rtol=1e-12)


def test_rows_with_holes(frame, tmp_path):
    gone = frame[["a", "b"]].mask(np.random.default_rng(3).random((N, 2)) < 0.2)
    gone.to_parquet(tmp_path / "rows.parquet", index=False)
    there, here = both(tmp_path / "rows.parquet", missing="marginal")
    spec = bg.MixtureSpec(3)
    fits = [bg.fit(spec, rows, seed=1, n_starts=4, rounds=1) for rows in (there, here)]
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-9)


@pytest.mark.parametrize("method", ["em", "map"])
def test_fits_are_those_of_rows_in_memory_however_they_are_cut(path, frame, tmp_path, method):
    spec = bg.MixtureSpec(3)
    there, here = both(path, columns=["a", "b"])
    frame.to_parquet(tmp_path / "one.parquet", index=False)
    other = bg.Observations(tmp_path / "one.parquet", columns=["a", "b"], in_memory=False)
    first, second, memory = (
        bg.fit(spec, rows, method=method, seed=1, **QUICK) for rows in (there, other, here)
    )
    assert first.status.ok
    assert first.log_likelihood == pytest.approx(second.log_likelihood, rel=1e-9)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(
            getattr(first.parameters, name), getattr(second.parameters, name), rtol=1e-9
        )
    # Another sample to search on, so another way to the same top: to the tolerance of climbs.
    assert memory.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(memory.parameters.means, first.parameters.means, atol=1e-6)


def test_a_few_passes_are_enough(path):
    """From the top of a sample to that of all rows; it took eighty before the climb knew how."""
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    seen = []
    real = passes.expected_statistics_under

    def counted(forms, *given, **options):
        seen.append(len(forms))
        return real(forms, *given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "expected_statistics_under", counted)
        fit = bg.fit(bg.MixtureSpec(3), rows, seed=1, **QUICK)
    assert fit.status.ok and len(seen) <= 14


@pytest.fixture(scope="module")
def small(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "small.parquet"
    frame[["a", "b"]].iloc[:4_000].to_parquet(path, row_group_size=1_500, index=False)
    return path


def test_laplace_agrees_with_rows_in_memory(small):
    """Means of 400 draws, to four of their standard errors; the log-likelihood is known."""
    spec = bg.MixtureSpec(2, "diag")
    there, here = (bg.fit(spec, rows, method="laplace", draws=400, seed=1) for rows in both(small))
    assert there.status.ok
    means, other = there.parameters.means[0], here.parameters.means[0]
    error = np.hypot(means.std(axis=0), other.std(axis=0)) / 20
    assert np.all(np.abs(means.mean(axis=0) - other.mean(axis=0)) < 4 * error)
    exact = there.parameters.log_likelihood(here.observations).mean()
    assert there.log_likelihood == pytest.approx(exact, rel=1e-9)


def test_nuts_says_how_long_it_takes(small):
    rows = bg.Observations(small, in_memory=False)
    with pytest.warns(FitWarning, match=r"over the 4,000 rows at every step: about 420 passes"):
        fit = bg.fit(bg.MixtureSpec(1), rows, method="nuts", draws=20, tune=10, chains=2, seed=1)
    assert abs(float(fit.parameters.means.mean() - rows.center.mean())) < 0.2
    for options in ({"method": "tempering"}, {"method": "nuts", "engine": "pymc"}):
        with pytest.raises(bg.SpecError, match="not in memory"):
            bg.fit(bg.MixtureSpec(1), rows, **options)


def test_a_fit_to_a_sample_says_so(path):
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    fit = bg.fit(bg.MixtureSpec(1), rows.sample(500, seed=1))
    assert fit.fact("sample_of") == N and fit.fact("n_rows") == 500


# Checkpoints --------------------------------------------------------------------


class Killed(BaseException):
    """As a process that is killed: no handler of exceptions sees it."""


def killed_after(n, rows, folder, **options):
    """A fit that ends in its n-th pass."""
    real, left = passes.expected_statistics_under, [n]

    def counted(*given, **named):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "expected_statistics_under", counted)
        with pytest.raises(Killed):
            bg.fit(bg.MixtureSpec(3), rows, checkpoint=folder, **QUICK, **options)


def n_passes(rows, folder, **options):
    """A fit, and how many passes it made."""
    real, made = passes.expected_statistics_under, [0]

    def counted(*given, **named):
        made[0] += 1
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "expected_statistics_under", counted)
        return bg.fit(bg.MixtureSpec(3), rows, checkpoint=folder, **QUICK, **options), made[0]


@pytest.mark.parametrize("stored", [True, False])
def test_a_killed_fit_goes_on_where_it_was(path, tmp_path, stored):
    rows = bg.Observations(path, columns=["a", "b"], in_memory=not stored)
    whole = bg.fit(bg.MixtureSpec(3), rows, seed=7, **QUICK)
    killed_after(4, rows, tmp_path / "kept", seed=7)
    fit, made = n_passes(rows, tmp_path / "kept")  # its seed is kept as well
    assert fit.log_likelihood == whole.log_likelihood
    np.testing.assert_array_equal(fit.parameters.means, whole.parameters.means)
    assert made < n_passes(rows, tmp_path / "other", seed=7)[1] - 3
    again, made = n_passes(rows, tmp_path / "kept")
    assert made == 0 and again.log_likelihood == whole.log_likelihood


def test_a_damaged_checkpoint_is_made_again(path, tmp_path):
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    whole, made = n_passes(rows, tmp_path, seed=7)
    kept = sorted(tmp_path.glob("pass-*.npz"))
    assert len(kept) == made
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    kept[1].write_bytes(b"")
    fit, made = n_passes(rows, tmp_path, seed=7)
    assert made == 2 and fit.log_likelihood == whole.log_likelihood


def test_a_full_disk_does_not_end_a_fit(path, tmp_path):
    """What was kept before stays readable."""
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    real, left = passes.replacing, [4]

    def full(out):
        left[0] -= 1
        if left[0] < 0:
            raise FileError("Could not write: No space left on device.")
        return real(out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "replacing", full)
        with pytest.warns(FitWarning, match="goes on without further checkpoints.*No space left"):
            fit = bg.fit(bg.MixtureSpec(3), rows, checkpoint=tmp_path, seed=7, **QUICK)
    again, made = n_passes(rows, tmp_path)
    assert again.log_likelihood == fit.log_likelihood and made > 0
    assert len(list(tmp_path.glob("pass-*.npz"))) > made


def test_a_checkpoint_of_another_fit_is_refused(path, tmp_path):
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    options = {"n_starts": 2, "rounds": 0, "seed": 1, "checkpoint": tmp_path}
    bg.fit(bg.MixtureSpec(2), rows, **options)
    for match, spec, data, changed in [
        ("its model differs", bg.MixtureSpec(3), rows, {}),
        ("its method differs", bg.MixtureSpec(2), rows, {"n_starts": 3}),
        ("its features differs", bg.MixtureSpec(2), rows.select(["a"]), {}),
        ("another seed", bg.MixtureSpec(2), rows, {"seed": 2}),
    ]:
        with pytest.raises(FileError, match=match):
            bg.fit(spec, data, **options | changed)
    seen = (
        {"row_weights": np.full(60, 2.0)},
        {"labels": np.arange(60) % 2},
        {"labels": np.zeros(60)},
    )
    x, folder = np.random.default_rng(2).normal(size=(60, 1)), tmp_path / "seen"
    x[::2] += 9
    bg.fit(bg.MixtureSpec(2), x, **options | {"checkpoint": folder})
    for given in seen:
        with pytest.raises(FileError, match=r"its (weight|view of the rows) differs"):
            bg.fit(
                bg.MixtureSpec(2), bg.Observations(x, **given), **options | {"checkpoint": folder}
            )
    header = tmp_path / "fit.json"
    assert json.loads(header.read_text())["rows"] == N
    header.write_text("{")
    with pytest.raises(FileError, match="cannot be read"):
        bg.fit(bg.MixtureSpec(2), rows, **options)


def test_progress_of_passes(path, monkeypatch):
    monkeypatch.setattr(passes, "MANY", 0)
    told = []
    rows = bg.Observations(path, columns=["a", "b"], in_memory=False)
    bg.fit(bg.MixtureSpec(3), rows, seed=1, progress=lambda *given: told.append(given))
    own = [given for given in told if given[0].startswith("pass")]
    assert own[0] == ("pass 1", 0, N)
    assert any("M rows/s, log-likelihood -" in stage for stage, _, _ in own)
    assert {done for _, done, _ in own} >= {0, 4_000, N}
