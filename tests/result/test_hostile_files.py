"""Files from other people: whatever is in them, one clear error, nothing run, nothing else read.

What is changed gets a new digest, as whoever changes a file on purpose would make it, so that
only what is checked beside the digest refuses it.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import bayesgmm as bg
from bayesgmm.result import store
from tests import support


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(0)
    rows = bg.Observations(rng.normal(size=(12, 2)), row_weights=np.linspace(0.5, 1.5, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)  # three draws mix in no way
        return bg.fit(
            bg.MixtureSpec(2, noise=True), rows, method="nuts", draws=3, tune=20, chains=1, seed=1
        )


@pytest.fixture(scope="module")
def kept(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    fit.save(folder / "fit.nc")
    fit.save(folder / "fit.zarr")
    return folder


def refused(path, match=""):
    error = support.refused(match, bg.load, path, error=bg.FileError)
    assert repr(str(path)) in str(error) and len(str(error)) < 700


# Of a sound file with other content ----------------------------------------------------


def other(tree, group, name, change):
    """The tree with a variable changed."""
    groups = {key: child.to_dataset() for key, child in tree.children.items()}
    groups[group] = groups[group].assign({name: change(groups[group][name])})
    made = xr.DataTree.from_dict({f"/{key}": value for key, value in groups.items()})
    made.attrs = dict(tree.attrs)
    return made


def at(index, value):
    def change(variable):
        values = variable.values.copy()
        values[index] = value
        return variable.copy(data=values)

    return change


def as_type(kind):
    return lambda variable: variable.astype(kind)


FIRST = (0, 0, 0)
VALUES = {
    "a weight below zero": ("posterior", "weights", at(FIRST, -0.2)),
    "weights that do not sum to one": ("posterior", "weights", at(FIRST, 0.999)),
    "a weight that is no number": ("posterior", "weights", at(FIRST, np.nan)),
    "infinite means": ("posterior", "means", at((*FIRST, 0), np.inf)),
    "no scale": ("posterior", "scales", at((*FIRST, 0), 0.0)),
    "a scale that is no number": ("posterior", "scales", at((*FIRST, 0), np.nan)),
    "other covariances": ("posterior", "covariances", at((*FIRST, 0, 1), 0.1)),
    "covariances not a number": ("posterior", "covariances", at((*FIRST, 0, 1), np.nan)),
    "correlations not a number": ("posterior", "correlations", at((*FIRST, 0, 1), np.nan)),
    "correlations beyond one": ("posterior", "correlations", at((*FIRST,), [[1, 2], [2, 1]])),
    "whole-number means": ("posterior", "means", as_type("i8")),
    "texts as means": ("posterior", "means", as_type("U9")),
    "noise beyond one": ("posterior", "noise_weight", at((0, 0), 1.5)),
    "an unknown status": ("fit", "status", lambda v: v.copy(data="excellent")),
    "a status that is a number": ("fit", "status", lambda v: v.copy(data=7)),
    "many statuses": ("fit", "status", lambda v: v.expand_dims(one=2)),
    "rows without number": ("fit", "n_rows", lambda v: v.copy(data=-5)),
    "other rows": ("fit", "n_rows", lambda v: v.copy(data=10**15)),
    "a weight without number": ("fit", "total_weight", lambda v: v.copy(data=np.nan)),
    "a text as likelihood": ("fit", "log_likelihood", lambda v: v.copy(data="1e3")),
    "parameters of another model": ("fit", "n_parameters", lambda v: v.copy(data=3)),
    "lp not a number": ("sample_stats", "lp", at((0, 0), np.nan)),
    "a permutation with repeats": ("sample_stats", "permutation", at(FIRST[:2], 0)),
    "a row below its weight": ("constant_data", "row_weights", at(0, -1.0)),
    "weights of rows that are none": ("constant_data", "row_weights", at(0, np.nan)),
    "texts as row weights": ("constant_data", "row_weights", as_type("U5")),
    "a box inside out": ("constant_data", "noise_box", lambda v: v.copy(data=v.values[::-1])),
    "infinite rows": ("observed_data", "x", at((0, 0), np.inf)),
    "a likelihood that is none": ("log_likelihood", "x", at(FIRST, np.nan)),
    "modes of another shape": ("fit", "mode_means", lambda v: v[..., 0]),
    "modes that are no mixture": ("fit", "mode_weights", lambda v: v + 1),
}


#: Where a tree is loaded from; by way of files takes longer, and is part of ``make faults``.
WAYS = ["memory", *((".nc", ".zarr") if "FAULT_MOMENTS" in os.environ else ())]


def refused_as_tree(tree, way, tmp_path, monkeypatch):
    if way == "memory":
        monkeypatch.setattr("bayesgmm.result.fit.read_tree", lambda path: tree)
        refused(tmp_path / "fit.nc", r"damaged or was changed \(")
    else:
        refused(store.write_tree(tree, tmp_path / f"fit{way}"), "damaged")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", VALUES)
def test_values_that_are_of_no_fit(fit, tmp_path, monkeypatch, what, way):
    refused_as_tree(other(fit.tree, *VALUES[what]), way, tmp_path, monkeypatch)


def cut(name, **rows):
    def change(groups, attributes):
        groups[name] = groups[name].isel(rows)

    return change


def without(group, name=None):
    def change(groups, attributes):
        if name is None:
            del groups[group]
        else:
            groups[group] = groups[group].drop_vars(name)

    return change


def says(**told):
    return lambda groups, attributes: attributes.update(told)


def renamed(groups, attributes):
    groups["posterior"] = groups["posterior"].assign_coords(feature=["x0", "x0"])


def beside(groups, attributes):
    groups["payload"] = groups["fit"]


DEEP = "[" * 100_000 + "]" * 100_000
LAYOUTS = {
    **{f"no {name} of the posterior": without("posterior", name) for name in ("weights", "means")},
    **{f"no group {name}": without(name) for name in ("posterior", "fit", "sample_stats")},
    **{f"no {name}": without("fit", name) for name in ("status", "n_rows", "log_likelihood")},
    "no lp": without("sample_stats", "lp"),
    "no rows, and nothing told of them": without("observed_data"),
    "no names": without("posterior", "feature"),
    "names that repeat": renamed,
    "an unknown group": beside,
    "draws of another length": cut("sample_stats", draw=slice(0, 2)),
    "no draws": lambda groups, _: [cut(name, draw=slice(0))(groups, _) for name in
                                   ("posterior", "sample_stats", "log_likelihood")],
    "rows of another length": cut("observed_data", obs=slice(0, 5)),
    "row weights of another length": cut("constant_data", obs=slice(0, 5)),
    "fewer components": cut("posterior", component=[0]),
    "fewer features": cut("posterior", feature=[0], feature_bis=[0]),
    "a likelihood of other rows": cut("log_likelihood", obs=slice(0, 5)),
    "an unknown method": says(method="gibbs"),
    "a method that is a number": says(method=3),
    "a spec that is a number": says(spec=17),
    "a spec that is no JSON": says(spec="{'n_components': 2}"),
    "a spec of other fields": says(spec='{"n_components": 2, "__class__": "os.system"}'),
    "a spec of other components": says(spec='{"n_components": 3}'),
    "a spec of no kind": says(spec='{"n_components": 2, "covariance": "../full"}'),
    "a spec that is deep": says(spec=DEEP),
    "a spec that is long": says(spec='{"n_components": ' + "9" * 100_000 + "}"),
    "told of rows, deep": says(rows=DEEP),
    "told of rows, a list": says(rows="[1, 2]"),
    "told of rows, other kinds": says(
        rows='{"missing": 1, "n_unseen": "a", "recorded": 2, "seen": []}'
    ),
    "an address that is none": says(
        rows='{"missing": null, "n_unseen": 0, "recorded": "", "seen": ""}',
        data='{"description": "x", "address": "/etc/passwd", "n_rows": 1, "given": {}}',
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", LAYOUTS)
def test_layouts_that_are_of_no_fit(fit, tmp_path, monkeypatch, what, way):
    groups = {name: child.to_dataset() for name, child in fit.tree.children.items()}
    attributes = dict(fit.tree.attrs)
    LAYOUTS[what](groups, attributes)
    tree = xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})
    tree.attrs = attributes
    refused_as_tree(tree, way, tmp_path, monkeypatch)


@pytest.mark.parametrize("version", [0, 2**40, 1.5, [1, 1]])
def test_other_formats(fit, tmp_path, version):
    tree = fit.tree.copy(deep=False)
    tree.attrs = {**fit.tree.attrs, "bayesgmm_format": version}
    refused(store.write_tree(tree, tmp_path / "fit.nc"), "not a saved|newer")


# NetCDF that reaches beyond itself -----------------------------------------------------


def copied(kept, tmp_path, suffix):
    path = tmp_path / f"fit{suffix}"
    source = kept / path.name
    return Path((shutil.copytree if source.is_dir() else shutil.copy)(source, path))


def soft(file, outside):
    del file["posterior/means"]
    file["posterior/means"] = h5py.SoftLink("/posterior/scales")


def external(file, outside):
    del file["posterior/means"]
    file["posterior/means"] = h5py.ExternalLink(str(outside), "/posterior/means")


def external_group(file, outside):
    del file["posterior"]
    file["posterior"] = h5py.ExternalLink(str(outside), "/posterior")


def raw(file, outside):
    """Values in a file of any kind."""
    del file["posterior/means"]
    file["posterior"].create_dataset("means", (1, 3, 2, 2), "f8", external=[(str(outside), 0, 96)])


def virtual(file, outside):
    del file["posterior/means"]
    layout = h5py.VirtualLayout((1, 3, 2, 2), "f8")
    layout[:] = h5py.VirtualSource(str(outside), "/posterior/means", (1, 3, 2, 2))
    file["posterior"].create_virtual_dataset("means", layout)


def cycle(file, outside):
    file["posterior/again"] = file["/"]


def nested(file, outside):
    file.create_group("fit/inner")


def pickled(file, outside):
    del file["fit/status"]
    file["fit"]["status"] = np.void(pickle.dumps(Armed(outside)))


def pickled_text(file, outside):
    file.attrs["spec"] = np.void(pickle.dumps(Armed(outside)))


def huge(file, outside):
    del file["posterior/means"]
    file["posterior"].create_dataset("means", (1, 10**15, 2, 2), "f8", chunks=(1, 9, 2, 2))


def huge_rows(file, outside):
    del file["observed_data/obs"]
    file["observed_data"].create_dataset("obs", (10**10,), "i8", chunks=(100,))


def huge_chunks(file, outside):
    del file["observed_data/obs"]
    file["observed_data"].create_dataset("obs", (12,), "i8", maxshape=(None,), chunks=(10**8,))


def references(file, outside):
    del file["posterior/means"]
    file["posterior"].create_dataset("means", (1, 3, 2, 2), h5py.ref_dtype)


def odd_texts(file, outside):
    del file["posterior/feature"]
    kind = h5py.string_dtype("utf-8")
    file["posterior"].create_dataset("feature", data=[b"\xff\xfe", b"\xc3"], dtype=kind)


def compound(file, outside):
    del file["fit/n_rows"]
    file["fit"]["n_rows"] = np.zeros((), [("a", "f8"), ("b", "S4")])


HDF5 = (
    soft, external, external_group, raw, virtual, cycle, nested, pickled, pickled_text, huge,
    huge_rows, huge_chunks, references, odd_texts, compound,
)  # fmt: skip


class Armed:
    """What makes a file when it is unpickled."""

    def __init__(self, outside):
        self.trace = str(outside) + ".run"

    def __reduce__(self):
        return (os.mkdir, (self.trace,))


@pytest.mark.parametrize("change", HDF5, ids=lambda change: change.__name__)
def test_netcdf_that_is_more_than_a_saved_fit(kept, tmp_path, change):
    outside = tmp_path / "outside.nc"
    shutil.copy(kept / "fit.nc", outside)
    read = outside.stat().st_atime_ns
    path = copied(kept, tmp_path, ".nc")
    with h5py.File(path, "r+") as file:
        file.attrs.pop("bayesgmm_digest")  # as files of 0.1.0 are, which had none
        change(file, outside)
    size = path.stat().st_size
    assert size < 1_000_000
    refused(path, "could not be read|damaged")
    assert outside.stat().st_atime_ns == read and not Path(f"{outside}.run").exists()


def test_a_pipe_and_a_device_are_no_files(tmp_path):
    """To open a pipe would wait for ever."""
    pipe = tmp_path / "fit.nc"
    if not hasattr(os, "mkfifo"):
        pytest.skip("has no pipes")
    os.mkfifo(pipe)
    refused(pipe, "no regular file")
    link = tmp_path / "null.nc"
    link.symlink_to("/dev/zero")
    refused(link, "no regular file")


# Zarr that reaches beyond itself --------------------------------------------------------


def edited(name, change):
    """A description with something changed."""

    def edit(path, outside):
        file = path / name / "zarr.json"
        described = json.loads(file.read_text())
        change(described)
        file.write_text(json.dumps(described))

    return edit


def sets(*keys):
    *way, last, value = keys

    def change(described):
        for key in way:
            described = described[key]
        described[last] = value

    return edited("posterior/means", change)


def in_v2(path, outside):
    """The second version of the format, which has a filter that unpickles."""
    array = path / "posterior" / "means"
    shutil.rmtree(array)
    array.mkdir()
    described = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": None,
        "compressor": None, "filters": [{"id": "pickle"}], "order": "C",
    }  # fmt: skip
    (array / ".zarray").write_text(json.dumps(described))
    (array / "0").write_bytes(pickle.dumps(np.array([Armed(outside)], dtype=object)))


def all_v2(path, outside):
    shutil.rmtree(path)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["bayesgmm_format"] = 1
    (path / "posterior").mkdir()
    (path / "posterior" / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "zarr.json").write_text("{}")
    in_v2_at = path / "posterior" / "means"
    in_v2_at.mkdir()
    in_v2(path, outside)


def linked_chunk(path, outside):
    chunk = next(p for p in (path / "posterior/means/c").rglob("*") if p.is_file())
    chunk.unlink()
    chunk.symlink_to(outside)


def linked_group(path, outside):
    shutil.rmtree(path / "posterior")
    (path / "posterior").symlink_to(outside.parent, target_is_directory=True)


def piped_chunk(path, outside):
    chunk = next(p for p in (path / "posterior/means/c").rglob("*") if p.is_file())
    chunk.unlink()
    os.mkfifo(chunk)


def deep_description(path, outside):
    (path / "posterior/means/zarr.json").write_text(DEEP)


def long_description(path, outside):
    (path / "zarr.json").write_text(" " * 20_000_000)


PICKLE = {"name": "numcodecs.pickle", "configuration": {}}
ZARR = {
    "a filter that unpickles": sets("codecs", [{"name": "bytes"}, PICKLE]),
    "a filter by a path": sets("codecs", [{"name": "../../evil"}]),
    "a type of objects": sets("data_type", "object"),
    "a type by name": sets("data_type", {"name": "numpy.dtype", "configuration": {}}),
    "a huge shape": sets("shape", [1, 10**15, 2, 2]),
    "a huge chunk": sets("chunk_grid", "configuration", "chunk_shape", [1, 10**12, 2, 2]),
    "a shape below zero": sets("shape", [1, -3, 2, 2]),
    "a shape of fractions": sets("shape", [1, 3.5, 2, 2]),
    "a shape of texts": sets("shape", "1, 3, 2, 2"),
    "a path as separator": sets("chunk_key_encoding", "configuration", "separator", "/../../"),
    "an unknown encoding of keys": sets("chunk_key_encoding", {"name": "../x"}),
    "transformers": sets("storage_transformers", [{"name": "outside"}]),
    "dimensions by path": sets("dimension_names", ["../a", "b", "c", "d"]),
    "no node": sets("node_type", "link"),
    "the second version, inside": in_v2,
    "the second version": all_v2,
    "a chunk elsewhere": linked_chunk,
    "a group elsewhere": linked_group,
    "a pipe as a chunk": piped_chunk,
    "a deep description": deep_description,
    "a long description": long_description,
}


@pytest.mark.skipif(os.name != "posix", reason="has no such links")
@pytest.mark.parametrize("what", ZARR)
def test_zarr_that_is_more_than_a_saved_fit(kept, tmp_path, what):
    outside = tmp_path / "outside" / "secret"
    outside.parent.mkdir()
    outside.write_bytes(b"\x00" * 96)
    path = copied(kept, tmp_path, ".zarr")
    root = path / "zarr.json"
    described = json.loads(root.read_text())
    del described["attributes"]["bayesgmm_digest"]
    root.write_text(json.dumps(described))
    ZARR[what](path, outside)
    refused(path, "could not be read|damaged")
    assert not Path(f"{outside}.run").exists()
