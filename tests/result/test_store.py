"""Fits on disk: what was saved comes back, and a save or load that fails does no harm."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from xarray.backends.h5netcdf_ import H5NetCDFStore
from xarray.backends.zarr import ZarrStore

import bayesgmm as bg
from bayesgmm.errors import FileError
from bayesgmm.result import store
from tests import support

SUFFIXES = (".nc", ".zarr")
NAMES = ["eruption time / min", "größe ⟨x⟩ 火山"]
INDICES = {
    "text": [f"row {i}, été" for i in range(30)],
    "dates": pd.date_range("2020-01-01", periods=30, freq="7h"),
    "nanoseconds": pd.to_datetime(np.arange(30) * 1_234_567_891, unit="ns"),
    "integers": np.arange(30) * 3 - 7,
    "repeated": ["u", "v", "w"] * 10,
    "levels": pd.MultiIndex.from_product([range(15), ["u", "v"]]),
    "time zone": pd.date_range("2020-01-01", periods=30, tz="Europe/Rome"),
}


def frame(index=None):
    rows = np.random.default_rng(0).normal(size=(30, 2))
    rows[15:] += 5
    return pd.DataFrame(rows, index=index, columns=NAMES)


def fitted(index=None, *, seed=1, **options):
    return bg.fit(
        bg.MixtureSpec(2, "tied", bg.Priors(weights=(1.5, 2.5))),
        frame(index),
        method="em",
        seed=seed,
        n_starts=4,
        n_best=1,
        rounds=0,
        **options,
    )


@pytest.fixture(scope="module")
def fit():
    return fitted(INDICES["text"], row_weights=np.linspace(0.5, 1.5, 30))


@pytest.fixture(scope="module")
def other():
    return fitted(INDICES["integers"])


@pytest.fixture(scope="module")
def kept(other, tmp_path_factory):
    """A folder with one fit in both formats, to be copied from."""
    folder = tmp_path_factory.mktemp("kept")
    for suffix in SUFFIXES:
        other.save(folder / f"fit{suffix}")
    return folder


def copied(kept, path):
    """A fit saved earlier, at ``path``."""
    source = kept / f"fit{path.suffix}"
    return Path((shutil.copytree if source.is_dir() else shutil.copy)(source, path))


def refused(match, make, *args, **kwargs):
    """The message of a refusal."""
    return str(support.refused(match, make, *args, error=FileError, **kwargs))


def contents(folder):
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def same_fit(a, b):
    assert a.spec == b.spec and a.method == b.method and a.status is b.status
    assert a.tree.attrs == b.tree.attrs and a.feature_names == b.feature_names
    assert set(a.tree.children) == set(b.tree.children)
    for name, group in a.tree.children.items():
        again = b.tree[name]
        assert set(group.variables) == set(again.variables)
        for variable, values in group.variables.items():
            assert values.dims == again.variables[variable].dims
            np.testing.assert_array_equal(values.values, again.variables[variable].values)
    assert a.n_parameters == b.n_parameters and a.log_likelihood == b.log_likelihood


# There and back ---------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("index", INDICES)
def test_a_fit_comes_back(tmp_path, index, suffix):
    """To the last bit, with row labels and names as they were, and usable as before."""
    fit = fitted(INDICES[index])
    path = tmp_path / f"a fit, né{suffix}"
    assert fit.save(str(path)) == path
    again = bg.load(str(path))
    same_fit(fit, again)
    assert os.listdir(tmp_path) == [path.name]
    assert again.feature_names == tuple(NAMES)
    np.testing.assert_array_equal(again.observations.index, fit.observations.index)
    data = frame(INDICES[index])
    xr.testing.assert_equal(again.predict(data[NAMES[::-1]]), fit.predict(data))
    xr.testing.assert_equal(again.score_samples(), fit.score_samples())
    assert repr(again) == repr(fit)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_row_weights_come_back(tmp_path, fit, suffix):
    again = bg.load(fit.save(tmp_path / f"fit{suffix}"))
    same_fit(fit, again)
    np.testing.assert_array_equal(again.observations.row_weights, np.linspace(0.5, 1.5, 30))


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 30)])
@pytest.mark.parametrize("resolution", [0, 0.1, [0.0, 0.2]])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_resolution_comes_back(tmp_path, suffix, resolution, weights):
    """As it was given, also where it is not what would be found in the data."""
    rows = bg.Observations(frame().round(1), resolution=resolution, row_weights=weights)
    fit = bg.fit(bg.MixtureSpec(1), rows, method="map", seed=1)
    again = bg.load(fit.save(tmp_path / f"fit{suffix}"))
    same_fit(fit, again)
    for one in (fit, again):
        np.testing.assert_array_equal(one.observations.resolution, rows.resolution)
        assert (one.observations.row_weights is None) == (weights is None)
    assert repr(again) == repr(fit)
    assert ("recorded to" in repr(fit)) == bool(np.any(resolution))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_draws_come_back(tmp_path, fit, suffix):
    """A posterior of two chains, made by hand."""
    p = fit.parameters[[0, 0]][:, [0, 0, 0]]
    draws = bg.MixtureFit.build(
        fit.spec,
        fit.observations,
        p,
        method="nuts",
        status=bg.Status.NOT_MIXED,
        sample_stats={"lp": np.zeros((2, 3)), "diverging": np.zeros((2, 3), dtype=bool)},
        facts={"engine": "bayesgmm"},
    )
    again = bg.load(draws.save(tmp_path / f"draws{suffix}"))
    assert again.parameters.batch_shape == (2, 3) and again.status is bg.Status.NOT_MIXED
    np.testing.assert_array_equal(again.parameters.means, draws.parameters.means)
    assert again.tree["sample_stats/diverging"].dtype == bool


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_loaded_can_be_saved(tmp_path, other, kept, suffix):
    """Over the file it came from, which loading has closed, and in the other format."""
    path = copied(kept, tmp_path / f"fit{suffix}")
    bg.load(path).save(path)
    for second in SUFFIXES:
        same_fit(other, bg.load(bg.load(path).save(tmp_path / f"second{second}")))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saving_over_a_file_replaces_it(tmp_path, fit, kept, suffix):
    path = copied(kept, tmp_path / f"fit{suffix}")
    fit.save(path)
    same_fit(fit, bg.load(path))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_relative_path_is_a_path(tmp_path, monkeypatch, fit, suffix):
    monkeypatch.chdir(tmp_path)
    assert fit.save(f"fit{suffix}") == Path(f"fit{suffix}")
    same_fit(fit, bg.load(f"fit{suffix}"))


# Without the data ---------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("noise", [False, True])
def test_a_fit_saved_without_its_data(tmp_path, suffix, noise):
    """It does all that needs no rows, and what needs them says so."""
    values = frame().round(1)
    values.iloc[4, 1] = np.nan
    rows = bg.Observations(
        values, row_weights=np.linspace(0.5, 1.5, 30), missing="marginal", errors=0.1,
        resolution=[0, 0.1],
    )  # fmt: skip
    fit = bg.fit(bg.MixtureSpec(2, noise=noise), rows, method="map", seed=1)
    path = tmp_path / f"fit{suffix}"
    small = bg.load(fit.save(path, data=False, log_likelihood=False))
    assert set(small.tree.children) == {"posterior", "sample_stats", "fit", "constant_data"}
    kept = {"resolution", "noise_box"} if noise else {"resolution"}
    assert set(small.tree["constant_data"].data_vars) == kept
    assert small.log_likelihood == fit.log_likelihood and small.bic() == fit.bic()
    pd.testing.assert_frame_equal(small.summary(), fit.summary())
    new = [[0.0, np.nan], [5.0, 5.0]]
    xr.testing.assert_equal(small.predict_proba(new), fit.predict_proba(new))
    xr.testing.assert_equal(small.anomaly_score(new), fit.anomaly_score(new))
    xr.testing.assert_equal(small.impute(data=new), fit.impute(data=new))
    xr.testing.assert_equal(small.generate(9, seed=1), fit.generate(9, seed=1))
    lines, before = str(small).splitlines(), str(fit).splitlines()
    assert lines[1] == before[1].replace("30 rows", "30 rows (saved without them)")
    assert lines[2] == before[2].partition(", ICL")[0] and lines[3:] == before[3:]
    for ask in (small.predict, small.icl, small.impute, small.anomaly_score):
        support.refused("This fit was saved without its data", ask, error=bg.FitError)
    same_fit(small, bg.load(small.save(path)))  # over itself
    same_fit(small, bg.load(fit.save(path, data=False, log_likelihood=False)))
    only = bg.load(fit.save(path, log_likelihood=False))
    assert set(only.tree.children) == {*small.tree.children, "observed_data"}
    assert repr(only) == repr(fit)
    assert "log_likelihood" in fit.tree.children and "observed_data" in fit.tree.children


def test_a_posterior_saved_without_its_data(tmp_path):
    rows = frame()
    fit = bg.fit(bg.MixtureSpec(1), rows, method="laplace", draws=100, seed=1)
    whole = bg.load(fit.save(tmp_path / "fit.nc", log_likelihood=False))
    np.testing.assert_allclose(bg.elpd_loo(whole).value, bg.elpd_loo(fit).value, rtol=1e-9)
    small = bg.load(fit.save(tmp_path / "fit.nc", data=False))
    told = "needs the data, which this fit was saved without; fit again"
    support.refused(told, bg.elpd_loo, small, error=bg.FitError)
    support.refused("saved without its data", bg.diagnose, small, error=bg.FitError)


def test_a_fit_without_its_data_is_as_small_with_any_number_of_rows(tmp_path):
    """Of two million rows as of two hundred thousand."""
    sizes = []
    for n in (2_000, 200_000):
        rows = bg.Observations(np.random.default_rng(0).normal(size=(n, 3)), resolution=0)
        spec, p = bg.MixtureSpec(1), bg.MixtureParameters([1.0], [np.zeros(3)], [np.eye(3)])
        fit = bg.MixtureFit.build(
            spec, rows, p[None, None], method="em", status=bg.Status.CONVERGED,
            sample_stats={"lp": np.zeros((1, 1))}, facts={},
        )  # fmt: skip
        path = fit.save(tmp_path / "fit.nc", data=False, log_likelihood=False)
        sizes.append(path.stat().st_size)
        for group in bg.load(path).tree.children.values():
            assert "obs" not in group.dims
    assert sizes[0] == pytest.approx(sizes[1], abs=200) and sizes[1] < 1_000_000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_pickle(tmp_path, monkeypatch, fit, suffix):
    """With pickle out of order, saving and loading still work."""

    def refuse(*args, **kwargs):
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    path = fit.save(tmp_path / f"fit{suffix}")
    same_fit(fit, bg.load(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_programs_can_read_it(kept, other, suffix):
    """With xarray alone, group by group."""
    path = kept / f"fit{suffix}"
    options = {"engine": "h5netcdf"} if suffix == ".nc" else {"consolidated": False}
    opener = xr.open_dataset if suffix == ".nc" else xr.open_zarr
    with opener(path, group="posterior", **options) as posterior:
        assert posterior["means"].dims == ("chain", "draw", "component", "feature")
        assert list(posterior["feature"].values) == NAMES
        np.testing.assert_array_equal(posterior["means"], other.tree["posterior/means"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_loaded_fit_needs_its_file_no_more(tmp_path, kept, other, suffix):
    path = copied(kept, tmp_path / f"fit{suffix}")
    fit = bg.load(path)
    assert all(
        variable._in_memory for node in fit.tree.subtree for variable in node.variables.values()
    )
    (shutil.rmtree if path.is_dir() else os.remove)(path)
    same_fit(other, fit)
    assert fit.log_likelihood == other.log_likelihood


# Saves that fail ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["fit", "fit.txt", "fit.h5", "fit.nc.gz", "fit.NCX", ".nc"])
def test_the_suffix_says_the_format(tmp_path, fit, name):
    message = refused(r"end it in \.nc or \.zarr", fit.save, tmp_path / name)
    assert repr(name) in message and not os.listdir(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_folder(tmp_path, fit, suffix):
    path = tmp_path / "nowhere" / f"fit{suffix}"
    refused("'.*nowhere' does not exist; make it first", fit.save, path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_of_the_users_is_not_replaced(tmp_path, fit, suffix):
    """Only a Zarr store is a folder that a save may replace."""
    mine = tmp_path / f"mine{suffix}"
    mine.mkdir()
    (mine / "notes.txt").write_text("precious")
    refused("is a folder and no saved fit; choose another name", fit.save, mine)
    assert contents(tmp_path) == {f"mine{suffix}/notes.txt": b"precious"}


def test_a_store_of_somebody_else_is_not_replaced(tmp_path, fit):
    """Only what says of itself that it is a saved fit is a folder that a save may replace."""
    theirs, ours = tmp_path / "theirs.zarr", tmp_path / "ours.ZARR"
    xr.Dataset({"precious": ("t", np.arange(5.0))}).to_zarr(theirs, consolidated=False)
    before = contents(tmp_path)
    refused("'.*theirs.zarr' is a folder and no saved fit; choose another", fit.save, theirs)
    (tmp_path / "file.zarr").write_text("precious")
    refused("exists and is no folder of Zarr", fit.save, tmp_path / "file.zarr")
    assert contents(tmp_path) == before | {"file.zarr": b"precious"}
    for _ in range(2):
        assert bg.load(fit.save(ours)).log_likelihood == fit.log_likelihood
    assert bg.load(fit.save(tmp_path / "fit.NC")).log_likelihood == fit.log_likelihood


def fail_midway(monkeypatch, calls):
    """Let the writers of both formats run out of room after some groups."""
    left = [calls]
    for writer in (H5NetCDFStore, ZarrStore):
        original = writer.set_variables

        def set_variables(self, *args, _original=original, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(writer, "set_variables", set_variables)
    return left


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("before", "calls"), [(False, 3), (True, 0), (True, 3)])
def test_a_failed_save_leaves_what_was_there(
    tmp_path, monkeypatch, fit, other, kept, before, calls, suffix
):
    """Nothing, or an older fit that can still be read."""
    path = tmp_path / f"fit{suffix}"
    if before:
        copied(kept, path)
    old = contents(tmp_path)
    left = fail_midway(monkeypatch, calls)
    message = refused("Could not write '.*fit", fit.save, path)
    assert "No space left on device; what was there is as it was" in message and left[0] < 0
    assert contents(tmp_path) == old and os.listdir(tmp_path) == [path.name] * before
    monkeypatch.undo()
    if before:
        same_fit(other, bg.load(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_writer_that_fails_otherwise(tmp_path, monkeypatch, fit, kept, suffix):
    """An engine's own errors are named too, in a sentence of one line."""
    path = copied(kept, tmp_path / f"fit{suffix}")
    old = contents(tmp_path)
    for writer in (H5NetCDFStore, ZarrStore):
        monkeypatch.setattr(writer, "set_variables", lambda *a, **k: int("not a number\n at all"))
    refused("Could not write .*invalid literal", fit.save, path)
    assert contents(tmp_path) == old


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_move_that_fails_puts_the_old_file_back(tmp_path, monkeypatch, fit, kept, suffix):
    """The last step, from the temporary name to the target."""
    path = copied(kept, tmp_path / f"fit{suffix}")
    old, replace = contents(tmp_path), os.replace

    def refuse(source, target):
        if Path(target) == path and Path(source).name == path.name:
            raise OSError(errno.EACCES, "Permission denied")
        return replace(source, target)

    monkeypatch.setattr(store.os, "replace", refuse)
    refused("Permission denied; what was there is as it was", fit.save, path)
    assert contents(tmp_path) == old


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, fit):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(store.tempfile, "mkdtemp", refuse)
    refused("Could not write to '.*': Permission denied", fit.save, tmp_path / "fit.nc")


# Saves that were killed -----------------------------------------------------------

KILLED = """
import os, signal, sys
import bayesgmm as bg
from bayesgmm.result import store

fit = bg.load(sys.argv[1])
replace, moves = os.replace, int(sys.argv[3])
def kill(*arguments):
    global moves
    if not moves:
        os.kill(os.getpid(), signal.SIGKILL)
    moves -= 1
    replace(*arguments)
store.os.replace = kill
fit.save(sys.argv[2])
"""


@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
@pytest.mark.parametrize(("suffix", "moves"), [(".nc", 0), (".zarr", 1)])
def test_what_a_killed_save_left_is_cleared_by_the_next(tmp_path, kept, fit, other, suffix, moves):
    """Killed before the file is moved into its place, and between the two moves of a store."""
    path = copied(kept, tmp_path / f"fit{suffix}")
    environment = os.environ | {"PYTHONPATH": str(Path(bg.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(kept / "fit.nc"), str(path), str(moves)],
        env=environment,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    left = [name for name in os.listdir(tmp_path) if name != path.name]
    assert len(left) == 1 and left[0].startswith(f".{path.name}.saving-")
    alive = tmp_path / f".other.nc.saving-{os.getppid()}-x"
    alive.mkdir()  # a save that goes on
    fit.save(tmp_path / "another.nc")
    assert sorted(os.listdir(tmp_path)) == sorted(["another.nc", path.name, alive.name])
    same_fit(other, bg.load(path))
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(alive, (two_days_ago, two_days_ago))  # its number is another process's by now
    fit.save(tmp_path / "another.nc")
    assert sorted(os.listdir(tmp_path)) == sorted(["another.nc", path.name])


def test_a_store_is_loaded_that_a_killed_save_left_between_its_moves(tmp_path, kept, other):
    """The old one is aside, and the new one is whole but not yet in its place."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    work = tmp_path / f".fit.zarr.saving-{ended.pid}-x"
    work.mkdir()
    copied(kept, work / "fit.zarr")
    (work / "old").mkdir()
    same_fit(other, bg.load(tmp_path / "fit.zarr"))
    assert os.listdir(tmp_path) == ["fit.zarr"]


def test_a_name_that_no_file_can_have(tmp_path, monkeypatch, fit):
    """Where names of files are ASCII, others are refused by the system."""

    def refuse(*args, **kwargs):
        "é".encode("ascii")

    monkeypatch.setattr(store.tempfile, "mkdtemp", refuse)
    refused("Could not write to '.*can't encode", fit.save, tmp_path / "é.nc")


def test_an_interrupted_save_leaves_what_was_there(tmp_path, monkeypatch, fit, kept):
    path = copied(kept, tmp_path / "fit.zarr")
    old, replace = contents(tmp_path), os.replace

    def interrupt(source, target):
        if Path(target) == path and Path(source).name == path.name:
            raise KeyboardInterrupt
        return replace(source, target)

    monkeypatch.setattr(store.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit.save(path)
    assert contents(tmp_path) == old


# Files of other versions and damaged ones -------------------------------------------


def test_a_fit_that_0_1_0_saved_can_be_loaded(tmp_path):
    """It has no digest; what is saved again has one."""
    old = bg.load(Path(__file__).parent / "saved_by_0_1_0.nc")
    assert old.method == "laplace" and old.parameters.batch_shape == (1, 50)
    assert old.spec == bg.MixtureSpec(3, priors=bg.Priors(correlations=2.0)) and old.status.ok
    assert not old.observations.resolution.any()  # it took values as they were
    assert round(old.log_likelihood, 2) == -208.03
    again = old.save(tmp_path / "fit.nc")
    same_fit(old, bg.load(again))
    with xr.open_datatree(again, engine="h5netcdf") as tree:
        assert "bayesgmm_digest" in tree.attrs and "bayesgmm_digest" not in old.tree.attrs


def test_a_flipped_bit_in_any_value_is_found_in_netcdf(tmp_path, kept, other):
    """The lowest bit of the last number of each array, as they lie in the file."""
    whole = (kept / "fit.nc").read_bytes()
    path, tried = tmp_path / "fit.nc", 0
    for group in other.tree.children.values():
        for variable in group.to_dataset().data_vars.values():
            raw = variable.values.tobytes()
            if variable.dtype.kind != "f" or variable.size < 4:
                continue
            assert whole.count(raw) == 1
            damaged = bytearray(whole)
            damaged[whole.index(raw) + len(raw) - 8] ^= 1
            path.write_bytes(damaged)
            refused("is damaged: its values are not those that were saved", bg.load, path)
            tried += 1
    assert tried > 5
    assert whole.count(b"tied") == 1  # in the spec, an attribute
    path.write_bytes(whole.replace(b"tied", b"diag"))
    refused("is damaged: its values are not those that were saved", bg.load, path)


def test_changed_values_are_found_in_zarr(tmp_path, kept):
    """Values changed in a way that any reader of the format takes for good."""
    for name in ("means", "weights"):
        path = copied(kept, tmp_path / f"{name}.zarr")
        store = zarr.open_group(path, mode="r+")
        array = store[f"posterior/{name}"]
        values = array[...]
        values.flat[-1] = np.nextafter(values.flat[-1], np.inf)
        array[...] = values
        refused("is damaged: its values are not those that were saved", bg.load, path)
    path = copied(kept, tmp_path / "spec.zarr")
    attributes = path / "zarr.json"
    attributes.write_text(attributes.read_text().replace("tied", "diag"))
    refused("is damaged: its values are not those that were saved", bg.load, path)


# Loads that fail ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fit.nc", "fit.zarr", "fit"])
def test_no_such_file(tmp_path, name):
    refused("There is no file '.*fit", bg.load, tmp_path / name)


def test_a_netcdf_file_of_something_else(tmp_path):
    xr.Dataset({"t": ("time", [1.0, 2.0])}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refused("is not a saved bayesgmm fit", bg.load, tmp_path / "a.nc")
    xr.Dataset({"t": ("time", [1.0, 2.0])}).to_zarr(tmp_path / "a.zarr", consolidated=False)
    refused("is not a saved bayesgmm fit", bg.load, tmp_path / "a.zarr")
    mark = xr.Dataset(attrs={"bayesgmm_format": "latest"})
    mark.to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    refused("is not a saved bayesgmm fit", bg.load, tmp_path / "b.nc")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 20])
def test_a_file_of_something_else(tmp_path, content, suffix):
    path = tmp_path / f"fit{suffix}"
    path.write_bytes(content)
    refused("could not be read", bg.load, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_folder(tmp_path, suffix):
    (tmp_path / f"fit{suffix}").mkdir()
    refused("could not be read", bg.load, tmp_path / f"fit{suffix}")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_netcdf_file(tmp_path, kept, share):
    whole = (kept / "fit.nc").read_bytes()
    path = tmp_path / "fit.nc"
    path.write_bytes(whole[: int(share * len(whole))])
    refused("could not be read .*; it is damaged or no saved fit", bg.load, path)


def test_a_truncated_zarr_store(tmp_path, kept):
    """Metadata cut short, a chunk overwritten, a group gone: each is named."""
    cut, overwritten, gone = (copied(kept, tmp_path / f"{i}.zarr") for i in range(3))
    metadata = cut / "posterior" / "zarr.json"
    metadata.write_bytes(metadata.read_bytes()[:40])
    refused("could not be read", bg.load, cut)
    chunk = next(p for p in (overwritten / "posterior/means/c").rglob("*") if p.is_file())
    chunk.write_bytes(b"\x00" * 7)
    refused("could not be read", bg.load, overwritten)
    shutil.rmtree(gone / "posterior")
    refused("is damaged: it has no group 'posterior'", bg.load, gone)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_newer_format(tmp_path, monkeypatch, fit, suffix):
    tree = fit.tree.copy()
    tree.attrs["bayesgmm_format"] = store.FORMAT + 1
    path = store.write_tree(tree, tmp_path / f"fit{suffix}")
    message = refused("saved by a newer bayesgmm", bg.load, path)
    assert f"format {store.FORMAT + 1}, this one reads {store.FORMAT}" in message
    assert message.endswith("upgrade bayesgmm.")


def test_saving_changes_nothing_in_the_fit(tmp_path, fit):
    before = fit.tree.copy(deep=True)
    fit.save(tmp_path / "fit.nc")
    fit.save(tmp_path / "fit.zarr")
    xr.testing.assert_identical(fit.tree, before)


def test_html_of_a_fit_escapes_names():
    rows = frame().rename(columns={NAMES[0]: "<script>&"})
    fit = bg.fit(bg.MixtureSpec(1), rows, method="em", seed=1)
    page = fit._repr_html_()
    assert "&lt;script&gt;&amp;" in page and "<script>" not in page
