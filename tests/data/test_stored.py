"""Rows that are read a block at a time: the same as in memory, by a first pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesgmm import DataError, LogPosterior, MixtureSpec, Observations
from bayesgmm.data import stored as stored_module
from bayesgmm.data import summary
from bayesgmm.data.sources import source

N = 3_000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a few hundred rows, so that there are many."""
    monkeypatch.setattr(source, "BLOCK", 256)
    monkeypatch.setattr(source, "PART", 700)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    x = rng.normal(1e3, 2.0, (N, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(
        w=rng.integers(0, 4, N).astype(float), k=rng.integers(-1, 2, N)
    )


def parquet(frame, folder, group=700):
    path = folder / "rows.parquet"
    frame.to_parquet(path, row_group_size=group, index=False)
    return path


def both(frame, folder, **options):
    """The same rows stored and in memory."""
    path = parquet(frame, folder)
    return Observations(path, in_memory=False, **options), Observations(path, **options)


def test_what_is_known_is_known_of_stored_rows_too(frame, tmp_path):
    """Against the same rows in memory, to rounding."""
    there, here = both(frame, tmp_path, columns=["c", "a"], row_weights="w")
    assert there.stored is not None and here.stored is None
    assert there.names == here.names == ("c", "a") and there.n_rows == here.n_rows == N
    for name in ("total_weight", "center", "feature_scale", "seen_weight", "typical_weight"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), rtol=1e-12)
    np.testing.assert_array_equal(there.noise_box(), here.noise_box())
    assert not there.resolution.any()


def test_blocks_are_the_rows_in_order(frame, tmp_path):
    there, here = both(frame, tmp_path, columns=["a", "b", "c"], row_weights="w", labels="k")
    parts = list(there.blocks())
    assert len(parts) > 5
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), here.values)
    np.testing.assert_array_equal(
        np.concatenate([part.row_weights for part in parts]), here.row_weights
    )
    np.testing.assert_array_equal(
        np.concatenate([part.views.labels for part in parts]), here.views.labels
    )
    np.testing.assert_array_equal(np.concatenate([part.index for part in parts]), np.arange(N))


def test_holes_are_left_out_of_moments(frame, tmp_path):
    gone = frame[["a", "b", "c"]].mask(np.random.default_rng(2).random((N, 3)) < 0.2)
    there, here = both(gone, tmp_path, missing="marginal")
    assert there.n_unseen == here.n_unseen > 0
    np.testing.assert_allclose(there.center, here.center, rtol=1e-12)
    np.testing.assert_allclose(there.feature_scale, here.feature_scale, rtol=1e-12)
    np.testing.assert_array_equal(there.seen_weight, here.seen_weight)


@pytest.mark.parametrize("group", [300, 1_024, N])
def test_the_sample_is_of_rows_whatever_the_parts(frame, tmp_path, group, monkeypatch):
    """Uniform over rows: the mean number of a row in 400 samples' rows is that of all."""
    monkeypatch.setattr(summary, "KEPT", 400)
    first = Observations(parquet(frame, tmp_path), in_memory=False).kept
    again = Observations(parquet(frame, tmp_path, group), in_memory=False).kept
    np.testing.assert_array_equal(first.values, again.values)
    assert first.n_rows == 400
    rows = np.flatnonzero(frame["a"].isin(first.values[:, 0]))
    assert abs(rows.mean() - (N - 1) / 2) < 4 * N / np.sqrt(12 * 400)


def test_a_sample_says_what_it_is_of(frame, tmp_path):
    there, here = both(frame, tmp_path, columns=["a"])
    assert there.sample(50, seed=1).sample_of == here.sample(50, seed=1).sample_of == N
    assert "a sample of 50 of 3,000 rows" in repr(there.sample(50, seed=1))
    assert here.sample(N + 1).sample_of is None
    assert "3,000 rows of" in repr(there)


def test_a_lattice_holds_for_every_row(tmp_path, monkeypatch):
    """Half a step in one row, far from the sample, makes another lattice."""
    monkeypatch.setattr(summary, "KEPT", 300)
    values = np.round(np.random.default_rng(3).normal(0, 10, (N, 1)))
    there, here = both(pd.DataFrame(values, columns=["a"]), tmp_path)
    assert there.resolution == here.resolution == 1
    values[1234] += 0.5
    there, here = both(pd.DataFrame(values, columns=["a"]), tmp_path)
    assert there.resolution == here.resolution == 0.5
    values = np.random.default_rng(3).choice([0.0, 1, 2.0095, 3.9905], (N, 1))  # nearly on one
    there, here = both(pd.DataFrame(values, columns=["a"]), tmp_path)
    assert there.resolution == here.resolution


def changed(frame, row, value, column="b"):
    other = frame[["a", "b", "c"]].copy()
    other.loc[row, column] = value
    return other


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.nan, r"Column 'b' has missing values \(NaN\), first in row 2,345 of .*rows\.parquet"),
        (np.inf, "Column 'b' has infinite values .*, first in row 2,345 of"),
        (1e200, "magnitudes whose squares overflow, first in row 2,345 of"),
    ],
)
def test_a_bad_value_is_refused_with_its_file_and_row(frame, tmp_path, value, match):
    path = parquet(changed(frame, 2345, value), tmp_path)
    with pytest.raises(DataError, match=match) as caught:
        Observations(path, in_memory=False)
    assert caught.value.row == 2345 and caught.value.column == "b"


def test_the_row_is_that_of_its_file(frame, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(3):
        frame[["a", "b"]].iloc[:100].to_parquet(folder / f"{i}.parquet", index=False)
    changed(frame, 17, np.nan)[["a", "b"]].iloc[:100].to_parquet(folder / "3.parquet", index=False)
    with pytest.raises(DataError, match=r"first in row 17 of .*3\.parquet"):
        Observations(folder, in_memory=False)


def test_other_bad_data_are_refused(frame, tmp_path):
    path = parquet(frame.assign(k=frame["k"] + 0.5, w=-1.0), tmp_path)
    stored = {"in_memory": False, "columns": ["a", "b"]}
    for match, options in [
        ("weight in row 0 of .* is -1", {"row_weights": "w"}),
        ("label in row 0 of", {"labels": "k"}),
        ("There is no column 'z'", {"row_weights": "z"}),
        ("row_weights of rows that are not in memory are a column", {"row_weights": np.ones(N)}),
        ("allowed is for rows in memory", {"allowed": np.ones((N, 2))}),
        ("errors has shape", {"errors": np.ones((N, 2))}),
        ("outside of the selection", {"selection": {"a": (0, 1000)}}),
        ("outside of the background", {"background": {"a": (0, 1000), "b": (0, 1e4)}}),
        ("is more than its values differ by", {"resolution": 1e5}),
    ]:
        with pytest.raises(DataError, match=match):
            Observations(path, **stored, **options)
    with pytest.raises(DataError, match="is constant"):
        Observations(parquet(frame.assign(a=1.0), tmp_path), **stored).require(
            1, "full", likelihood_only=True
        )
    with pytest.raises(DataError, match="There are no rows in"):
        Observations(parquet(frame.iloc[:0], tmp_path), in_memory=False)
    with pytest.raises(DataError, match="in memory already"):
        Observations(frame[["a"]], in_memory=False)


def test_what_needs_rows_in_memory_says_so(frame, tmp_path):
    there, _ = both(frame, tmp_path, columns=["a", "b"])
    for name in ("values", "matrix", "index", "row_weights"):
        with pytest.raises(DataError, match=r"3,000 rows of .* are not in memory"):
            getattr(there, name)
    chosen = there.select(["b"])
    np.testing.assert_allclose(chosen.center, there.center[[1]])
    np.testing.assert_array_equal(next(chosen.blocks()).values[:5, 0], frame["b"][:5])


def test_small_files_are_read_at_once(frame, tmp_path):
    path = parquet(frame, tmp_path)
    assert Observations(path).stored is None
    assert Observations(path, columns=["a"], row_weights="w").total_weight == frame["w"].sum()
    assert Observations(frame, columns=["b"], row_weights="w").names == ("b",)


def test_large_files_are_stored(frame, tmp_path, monkeypatch):
    from bayesgmm.data import opened

    monkeypatch.setattr(opened, "IN_MEMORY", 8 * N)
    path = parquet(frame, tmp_path)
    assert Observations(path).stored is not None
    assert Observations(path, in_memory=True).stored is None
    batches = [frame[["a", "b"]].iloc[i : i + 500] for i in range(0, N, 500)]
    assert Observations(lambda: iter(batches)).stored is not None
    assert Observations(lambda: iter(batches[:1])).stored is None


def test_memory_is_bounded(frame, tmp_path, monkeypatch):
    """No more parts are open at once than there are threads for."""
    open_now, most = [0], [0]
    real = stored_module._summary_of

    def watched(*given):
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        try:
            return real(*given)
        finally:
            open_now[0] -= 1

    monkeypatch.setattr(stored_module, "_summary_of", watched)
    monkeypatch.setattr(stored_module, "available_cores", lambda _: 2)
    batches = [frame[["a", "b"]].iloc[i : i + 100] for i in range(0, N, 100)]
    Observations(lambda: iter(batches), in_memory=False)
    assert 1 <= most[0] <= 3


def test_data_that_change_are_refused(frame):
    """By the number of batches; by that of their rows, which a pass adds up."""
    batches = [frame[["a", "b"]].iloc[i : i + 500] for i in range(0, N, 500)]
    rows = Observations(lambda: iter(batches), in_memory=False)
    density = LogPosterior(MixtureSpec(2), rows)
    theta = np.zeros(density.size)
    assert np.isfinite(density.value(theta))
    last = batches.pop()
    with pytest.raises(DataError, match="has 5 parts now, and had 6 in the first pass"):
        density.value_and_grad(theta)
    batches.append(last.iloc[:10])
    with pytest.raises(DataError, match="has other rows now than in the first pass"):
        density.value_and_grad(theta)
