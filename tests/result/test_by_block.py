"""What a fit says of rows that are read a block at a time, and into files.

Each answer is held against the same of the rows in memory; blocks add up in another order and
are computed with other neighbours, so they agree to 1e-12, relative to the largest.
"""

from __future__ import annotations

import os
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm.data.sources import source
from bayesgmm.errors import DataError, FileError, FitError, SpecError
from bayesgmm.result import by_block
from bayesgmm.result import rows as rows_module
from tests import support
from tests.whole.test_faults import posix, run

N = 60
ROWS = np.random.default_rng(2).normal(size=(N, 2)) + np.repeat([[0.0], [5.0]], N // 2, axis=0)
ROWS[3, 1] = ROWS[40, 0] = np.nan
NAMES = ["a", "b"]
ASK = {
    "predict_proba": {},
    "memberships": {"mass": 0.5},
    "predict": {},
    "score_samples": {},
    "anomaly_score": {"points": 512, "seed": 3},
    "outliers": {"rate": 0.1, "points": 512},
    "impute": {},
}


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Blocks of 7 rows, parts of 14, and groups of 10, so that none end together."""
    monkeypatch.setattr(source, "BLOCK", 7)
    monkeypatch.setattr(source, "PART", 14)
    monkeypatch.setattr(by_block, "GROUP", 10)


def written(folder):
    columns = zip(NAMES, ROWS.T, strict=True)
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in columns})
    pq.write_table(table, folder / "rows.parquet", row_group_size=9)
    return folder / "rows.parquet"


def stored(folder, **options):
    return bg.Observations(written(folder), missing="marginal", in_memory=False, **options)


@pytest.fixture(scope="module")
def fit():
    """To the rows in memory, with noise."""
    data = bg.Observations(ROWS, names=NAMES, missing="marginal")
    return bg.fit(bg.MixtureSpec(2, noise=True), data, method="map", seed=1)


@pytest.fixture(scope="module")
def draws():
    rows = bg.Observations(ROWS, names=NAMES, missing="marginal")
    return bg.fit(bg.MixtureSpec(2), rows, method="laplace", draws=30, seed=1)


def same(found, known):
    """The same labels, names and kinds, and values to 1e-12."""
    assert type(found) is type(known)
    if isinstance(known, xr.DataArray):
        assert found.name == known.name
        found, known = found.to_dataset(), known.to_dataset()
    assert set(found.variables) == set(known.variables)
    for name, variable in known.variables.items():
        other = found[name].values
        assert found[name].dims == variable.dims
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(other, variable.values, rtol=1e-12, atol=1e-12)
        else:
            assert [str(v) for v in other.ravel()] == [str(v) for v in variable.values.ravel()]


@pytest.mark.parametrize("name", ASK)
def test_stored_rows_are_answered_as_those_in_memory(fit, name, tmp_path):
    ask = partial(getattr(fit, name), **ASK[name])
    rows, known = stored(tmp_path), ask()
    same(ask(data=rows), known)
    from_zarr = ask(data=rows, out=tmp_path / "out.zarr")
    assert from_zarr == tmp_path / "out.zarr"
    with xr.open_zarr(from_zarr) as opened:
        found = opened.load()
    same(found if isinstance(known, xr.Dataset) else found[known.name], known)
    table = pd.read_parquet(ask(data=rows, out=str(tmp_path / "out.parquet")))
    assert table["obs"].tolist() == list(range(N))
    one = known["probability"] if isinstance(known, xr.Dataset) else known
    labels = [str(label) for label in one[one.dims[1]].values] if one.ndim == 2 else [one.name]
    prefix = "probability " if isinstance(known, xr.Dataset) else ""
    got = table[[prefix + label for label in labels]].to_numpy()
    np.testing.assert_allclose(
        np.asarray(got, dtype=float), one.values.reshape(N, -1), rtol=1e-12, atol=1e-12
    )
    assert set(os.listdir(tmp_path)) == {"rows.parquet", "out.zarr", "out.parquet"}
    sizes = [pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(i).num_rows
             for i in range(6)]  # fmt: skip
    assert sizes == [10] * 6


@pytest.mark.parametrize("suffix", [".parquet", ".zarr"])
@pytest.mark.parametrize(
    "index",
    [
        [f"row {i}, été" for i in range(N)],
        pd.date_range("2020-01-01", periods=N, freq="7h"),
        pd.to_datetime(np.arange(N) * 1_234_567_891, unit="ns"),
        np.arange(N) * 3 - 7,
        ["u", "v", "w"] * (N // 3),
    ],
    ids=["text", "dates", "nanoseconds", "integers", "repeated"],
)
def test_labels_of_rows_in_memory_survive(draws, index, suffix, tmp_path):
    data = pd.DataFrame(ROWS, columns=NAMES, index=index)
    known = draws.predict_proba(data)
    path = draws.predict_proba(data, out=tmp_path / f"out{suffix}")
    if suffix == ".zarr":
        with xr.open_zarr(path) as opened:
            found = opened["memberships"].load()
        xr.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-12)
        assert found["obs"].to_index().equals(known["obs"].to_index()) and found.attrs == {}
        return
    table = pd.read_parquet(path).set_index("obs")
    assert (table.index == known["obs"].to_index()).all()
    found = table[["0", "1"]].to_numpy()
    np.testing.assert_allclose(found, known.values, rtol=1e-12, atol=1e-12)


def test_random_copies_by_block(draws, tmp_path):
    """Another group has other numbers, and the same seed the same; what was seen is as it was."""
    rows, holes = stored(tmp_path), np.isnan(ROWS)
    first, again = (draws.impute(4, rows, seed=5) for _ in range(2))
    xr.testing.assert_identical(first, again)
    assert first.dims == ("draw", "obs", "feature") and first.shape == (4, N, 2)
    np.testing.assert_array_equal(first.values[:, ~holes], np.tile(ROWS[~holes], (4, 1)))
    assert len(np.unique(first.values[:, holes])) == 8
    with xr.open_zarr(draws.impute(4, rows, seed=5, out=tmp_path / "x.zarr")) as opened:
        xr.testing.assert_identical(opened["x"].load(), first)
    table = pd.read_parquet(draws.impute(4, rows, seed=5, out=tmp_path / "x.parquet"))
    assert table["obs"].tolist()[:4] == [0, 1, 0, 1] and table["draw"].tolist()[:4] == [0, 0, 1, 1]
    table = table.sort_values(["draw", "obs"])[NAMES].to_numpy()
    np.testing.assert_array_equal(table.reshape(4, N, 2), first.values)
    frames = draws.impute(4, rows, seed=5, frame="pandas")
    np.testing.assert_array_equal(frames[3].to_numpy(), first.values[3])


def test_a_copy_of_all_rows_is_by_one_draw_of_the_parameters(monkeypatch, draws, tmp_path):
    """Also where there are more copies than draws."""
    given = []

    def drawn_rows(mixtures, rows, rng, *, errors):
        given.append(mixtures.means)
        return np.zeros((len(mixtures.means), rows.n_rows, 2))

    monkeypatch.setattr("bayesgmm.result.filling.drawn_rows", drawn_rows)
    draws.impute(40, stored(tmp_path), seed=1)
    assert len(given) == N and len({means.tobytes() for means in given}) == 1
    assert given[0].shape == (40, 2, 2)


def test_rows_without_their_errors(tmp_path):
    options = {"missing": "marginal", "errors": 0.3}
    known = bg.Observations(ROWS, names=NAMES, **options)
    fit = bg.fit(bg.MixtureSpec(2), known, method="em", seed=1)
    rows = bg.Observations(written(tmp_path), in_memory=False, **options)
    same(fit.denoise(data=rows), fit.denoise())
    path = fit.denoise(data=rows, out=tmp_path / "y.parquet")
    table = pd.read_parquet(path)
    np.testing.assert_allclose(table["sd b"], fit.denoise()["sd"].values[:, 1], rtol=1e-12)
    assert fit.denoise(3, data=rows, seed=1).shape == (3, N, 2)


# A fit to stored rows -----------------------------------------------------------


@pytest.fixture
def of_stored(tmp_path):
    return bg.fit(bg.MixtureSpec(2), stored(tmp_path), method="em", seed=1)


def test_a_fit_to_stored_rows_answers_of_them_and_is_printed(of_stored, tmp_path, monkeypatch):
    known = bg.fit(
        bg.MixtureSpec(2), bg.Observations(ROWS, names=NAMES, missing="marginal"), seed=1
    )
    # Two searches end where EM's tolerance has them, not in the same digits.
    np.testing.assert_allclose(of_stored.predict_proba(), known.predict_proba(), atol=1e-3)
    own = of_stored.predict_proba().values
    entropy = -np.nansum(own * np.log(np.where(own > 0, own, 1)))
    np.testing.assert_allclose(of_stored.icl(), of_stored.bic() + 2 * entropy, rtol=1e-12)
    again = bg.load(of_stored.save(tmp_path / "fit.nc", data=False))
    same(again.predict_proba(), of_stored.predict_proba())
    monkeypatch.setattr("bayesgmm.data.stored.Stored.tables", None)  # reading rows would fail
    monkeypatch.setattr("bayesgmm.data.stored.Stored.of", None)
    assert repr(again) == repr(of_stored)
    again = bg.load(tmp_path / "fit.nc")
    for text in (repr(again), again._repr_html_()):
        assert "60 rows of " in text and "rows.parquet" in text and "2 values not seen" in text
        assert "AIC" in text and "BIC" in text and "ICL" not in text
    assert again.missing == "marginal"
    assert again.predict([[0.0, np.nan]]).sizes["obs"] == 1


def test_a_fit_to_a_sample_says_so(tmp_path):
    some = stored(tmp_path).sample(40, seed=1)
    fit = bg.fit(bg.MixtureSpec(1), some, seed=1)
    again = bg.load(fit.save(tmp_path / "fit.nc"))
    for text in (repr(fit), fit._repr_html_(), repr(again)):
        assert "a random sample of 40 of 60 rows: standard errors are those of 40 rows." in text
    assert again.observations.sample_of == fit.observations.sample_of == 60


def test_what_needs_rows_in_memory_says_so(of_stored):
    for ask in (bg.partition, bg.posterior_check, bg.two_sample_test, bg.draw_allocations):
        support.refused("60 rows of .* are not in memory", ask, of_stored, error=DataError)


@pytest.mark.parametrize(
    "plot", [bg.plot_fit, bg.plot_memberships, bg.plot_generated, bg.plot_anomalies]
)
def test_pictures_show_the_sample(of_stored, plot):
    import matplotlib.pyplot as plt

    plot(of_stored)
    plt.close("all")


# Refusals and faults --------------------------------------------------------------


@pytest.mark.parametrize("name", [*ASK, "denoise"])
def test_out_is_a_path_of_a_known_format(draws, name):
    data = bg.Observations(ROWS, names=NAMES, missing="marginal", errors=0.1)
    for wrong in ("x.csv", "x", 3, True, b"x.zarr", [], object()):
        ask = partial(getattr(draws, name), data=data)
        support.refused("out must be a path that ends in .parquet", ask, out=wrong, error=SpecError)


def test_what_memory_does_not_hold_is_to_be_written(draws, tmp_path, monkeypatch):
    monkeypatch.setattr(by_block, "refuse_beyond_memory", partial(refused_beyond, 0))
    told = r"for 60 rows would take .*; give out=..., a path"
    support.refused(told, draws.predict_proba, stored(tmp_path), error=SpecError)
    draws.predict_proba(stored(tmp_path), out=tmp_path / "out.parquet")


def refused_beyond(there, what, n_bytes, remedy):
    assert n_bytes == pytest.approx(60 * 24, rel=0.1)  # two memberships and a label
    raise SpecError(f"{what} would take {n_bytes} B; {remedy}.")


def test_what_cannot_be_written_is_refused(draws, tmp_path):
    rows = stored(tmp_path)
    before = (tmp_path / "rows.parquet").read_bytes()
    ask = partial(draws.score_samples, rows)
    support.refused("is where the rows are read from", ask, out=tmp_path / "rows.parquet")
    many = bg.Observations(f"{tmp_path}/*.parquet", missing="marginal", in_memory=False)
    ask = partial(draws.score_samples, many)
    support.refused("is where the rows are read", ask, out=tmp_path / "b.parquet", error=FileError)
    support.refused("'.*nowhere' does not exist", ask, out=tmp_path / "nowhere" / "x.zarr")
    (tmp_path / "mine.zarr").mkdir()
    support.refused("is a folder and no answer of a fit", ask, out=tmp_path / "mine.zarr")
    saved = draws.save(tmp_path / "fit.zarr")
    support.refused("is a folder and no answer of a fit", ask, out=saved)
    assert bg.load(saved).log_likelihood == draws.log_likelihood
    shutil.rmtree(saved)
    support.refused("frame is of what is returned", draws.impute, frame="pandas", out="x.zarr")
    assert (tmp_path / "rows.parquet").read_bytes() == before
    named = bg.Observations(ROWS, names=["obs", "draw"], missing="marginal")
    fit = bg.fit(bg.MixtureSpec(1), named, seed=1)
    support.refused("A feature is named 'obs', which", fit.impute, out=tmp_path / "x.parquet")
    assert sorted(os.listdir(tmp_path)) == ["mine.zarr", "rows.parquet"]


@pytest.mark.parametrize("suffix", [".parquet", ".zarr"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError("It is no more there.")])
def test_an_answer_that_ends_midway_leaves_what_was_there(
    draws, suffix, error, tmp_path, monkeypatch
):
    out = draws.predict(out=tmp_path / f"out{suffix}")
    files = [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
    before, calls = [file.read_bytes() for file in files], []

    def broken(*given):
        calls.append(given)
        if len(calls) == 3:
            raise error
        return answer(*given)

    answer = rows_module.averaged_memberships
    monkeypatch.setattr(rows_module, "averaged_memberships", broken)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        draws.predict(out=out)
    assert [file.read_bytes() for file in files] == before
    assert os.listdir(tmp_path) == [out.name]


FULL = """
import os, resource, signal
import numpy as np
import bayesgmm as bg

X = np.random.default_rng(0).normal(size=(3000, 2))
fit = bg.fit(bg.MixtureSpec(1), X, seed=1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for suffix in (".parquet", ".zarr"):
    fit.predict(out="out" + suffix)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
for suffix in (".parquet", ".zarr"):
    try:
        fit.score_samples(out="out" + suffix)
    except bg.FileError as error:
        print(error)
print(sorted(name for name in os.listdir() if "out" in name))
import xarray as xr, pandas as pd
print(int(xr.open_zarr("out.zarr")["component"].sum()), len(pd.read_parquet("out.parquet")))
"""


@pytest.mark.slow
@posix
def test_a_full_disk_is_a_file_error_and_leaves_what_was_there(tmp_path):
    lines = run(FULL, folder=tmp_path).splitlines()
    told = "Could not write 'out{}': File too large; what was there is as it was."
    assert lines == [
        told.format(".parquet"),
        told.format(".zarr"),
        "['out.parquet', 'out.zarr']",
        "0 3000",
    ]


def test_parquet_without_its_package(draws, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    ask = partial(draws.predict, out=tmp_path / "out.parquet")
    support.refused(r"pip install 'bayesgmm\[parquet\]'", ask, error=FileError)
    assert not os.listdir(tmp_path)


# Without the data -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::bayesgmm.FitWarning")
def test_pointwise_likelihood_on_demand(draws, of_stored, monkeypatch):
    monkeypatch.setattr("bayesgmm.result.tree.LARGEST_POINTWISE", 10)
    rows = bg.Observations(ROWS, names=NAMES, missing="marginal")
    again = bg.fit(bg.MixtureSpec(2), rows, method="laplace", draws=30, seed=1)
    assert "log_likelihood" not in again.tree.children
    known, found = bg.elpd_loo(draws), bg.elpd_loo(again)
    np.testing.assert_allclose([found.value, found.se], [known.value, known.se], rtol=1e-9)
    np.testing.assert_allclose(bg.waic(again).value, bg.waic(draws).value, rtol=1e-9)
    posterior = bg.MixtureFit.build(
        of_stored.spec, of_stored.observations, of_stored.parameters[:, [0] * 30], method="nuts",
        status=bg.Status.CONVERGED, sample_stats={}, facts={}, log_likelihood=np.zeros((1, 30)),
    )  # fmt: skip
    told = r"which is for rows in memory; fit observations.sample\(n\)"
    support.refused(told, bg.elpd_loo, posterior, error=FitError)
