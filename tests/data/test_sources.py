"""Rows that are read when they are needed: each kind of source against the same rows.

Blocks are made short, so that a table of fifty rows has many.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import partial

import dask
import dask.array as da
import dask.dataframe as dd
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import xarray as xr
import zarr

from bayesgmm.data.sources import blocks, source
from bayesgmm.data.sources.opening import reopened, source_of, with_columns
from bayesgmm.errors import DataError, FileError
from tests import support

N, BLOCK = 50, 7
NAMES = ("a", "b", "c")
ROWS = np.random.default_rng(3).normal(size=(N, 3)).round(3)
HOLES = np.where(np.arange(3 * N).reshape(N, 3) % 11 == 0, np.nan, ROWS)
refused = partial(support.refused, error=DataError)
no_file = partial(support.refused, error=FileError)


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(source, "BLOCK", BLOCK)
    monkeypatch.setattr(source, "PART", 2 * BLOCK)


def table(rows=ROWS, dtype="float64"):
    """Rows as Arrow has them; NaN are nulls."""
    return pa.table(
        {
            name: pa.array(column, dtype, from_pandas=True)
            for name, column in zip(NAMES, rows.T, strict=True)
        }
    )


def frame(rows=ROWS):
    return pd.DataFrame(rows, columns=list(NAMES))


# Each kind of source: given rows and a folder, what is opened -----------------


def parquet(rows, folder):
    pq.write_table(table(rows), folder / "x.parquet", row_group_size=9)
    return folder / "x.parquet"


def parquet_folder(rows, folder):
    """In the order of names, folders inside included; what is hidden is left out."""
    (folder / "in" / "b").mkdir(parents=True)
    for name, part in (("a", rows[:20]), ("b/c", rows[20:21]), ("d", rows[21:])):
        pq.write_table(table(part), folder / "in" / f"{name}.parquet")
    (folder / "in" / "_notes.csv").write_text("none")
    (folder / "in" / ".hidden.csv").write_text("none")
    (folder / "in" / "README").write_text("none")
    return str(folder / "in")


def parquet_pattern(rows, folder):
    return parquet_folder(rows, folder) + "/**/*.parquet"


def parquet_list(rows, folder):
    parquet_folder(rows, folder)
    return [folder / "in" / name for name in ("a.parquet", "b", "d.parquet")]


def arrow(rows, folder):
    feather.write_feather(table(rows), str(folder / "x.feather"), chunksize=9)
    return folder / "x.feather"


def csv(rows, folder):
    frame(rows).to_csv(folder / "x.csv", index=False)
    return folder / "x.csv"


def tsv_gzip(rows, folder):
    frame(rows).to_csv(folder / "x.tsv.gz", index=False, sep="\t")
    return folder / "x.tsv.gz"


def npy(rows, folder):
    np.save(folder / "x.npy", rows)
    return folder / "x.npy"


def memory_map(rows, folder):
    return np.load(npy(np.asfortranarray(rows), folder), mmap_mode="r")


def view_of_memory_map(rows, folder):
    wide = np.zeros((2 * N + 1, 5))
    wide[2::2, 1:4] = rows[::-1, ::-1]
    return np.load(npy(wide, folder), mmap_mode="r")[:1:-2, 3:0:-1]


def zarr_path(rows, folder):
    stored = zarr.create_array(folder / "x.zarr", shape=rows.shape, chunks=(5, 2), dtype="f8")
    stored[:] = rows
    return folder / "x.zarr"


def zarr_array(rows, folder):
    return zarr.open_array(zarr_path(rows, folder), mode="r")


def dataset(rows, folder):
    return ds.dataset(parquet_folder(rows, folder), exclude_invalid_files=True)


def dataset_filtered(rows, folder):
    more = pa.concat_tables([table(rows), pa.table({n: [1e9] for n in NAMES})])
    pq.write_table(more, folder / "x.parquet")
    return ds.dataset(folder / "x.parquet").filter(~(ds.field("c") > 1e8) | ds.field("c").is_null())


def dataset_in_memory(rows, folder):
    return ds.dataset(table(rows))


def dask_array(rows, folder):
    return da.from_array(rows, chunks=(11, 2))


def dask_array_of_unknown_length(rows, folder):
    x = da.from_array(rows, chunks=(11, 2))
    return x[~(x[:, 0] > 1e9)]


def dask_frame(rows, folder):
    return dd.from_pandas(frame(rows), npartitions=4)


def dataarray(rows, folder):
    return xr.DataArray(rows, dims=("obs", "f"), coords={"f": list(NAMES)}).chunk(obs=11)


def dataarray_turned(rows, folder):
    return dataarray(rows, folder).rename(f="feature").T


def xarray_dataset(rows, folder):
    return dataarray(rows, folder).to_dataset("f")


def frames(rows, folder):
    return [frame(rows[:20]), frame(rows[20:21]), frame(rows[21:])[["c", "b", "a"]]]


def frames_of_polars(rows, folder):
    return lambda: (pl.from_arrow(table(rows[i : i + 9])) for i in range(0, N, 9))


def record_batches(rows, folder):
    return table(rows).to_batches(max_chunksize=9)


class Anew:
    """Begins anew each time."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return (self.rows[i : i + 9] for i in range(0, len(self.rows), 9))


def queries(rows, folder):
    return [pl.from_arrow(table(rows[:20])).lazy(), nw.from_native(frame(rows[20:]))]


def arrays(rows, folder):
    return Anew(rows)


FILES = [parquet, parquet_folder, parquet_pattern, parquet_list, arrow, csv, tsv_gzip, npy]
FILES += [memory_map, view_of_memory_map, zarr_path, zarr_array]
OTHERS = [dataset, dataset_filtered, dataset_in_memory, dask_array, dask_array_of_unknown_length]
OTHERS += [dask_frame, dataarray, dataarray_turned, xarray_dataset, frames, frames_of_polars]
OTHERS += [record_batches, queries, arrays]
UNNAMED = {npy, memory_map, view_of_memory_map, zarr_path, zarr_array, dask_array}
UNNAMED |= {dask_array_of_unknown_length, arrays}
UNCOUNTED = {csv, tsv_gzip, dask_frame, dask_array_of_unknown_length, arrays, frames_of_polars}
UNCOUNTED |= {dataset_filtered, dataset_in_memory, queries}


def read(given):
    """All rows, and that parts and blocks are as a source promises."""
    found = []
    for part in given.parts:
        rows = list(part.blocks())
        for block in rows:
            assert 0 < len(block) <= BLOCK and block.shape[1] == len(given.columns)
            assert block.dtype == np.float64 and block.flags.c_contiguous and block.flags.writeable
        assert part.n_rows in (None, sum(map(len, rows)))
        found += rows
    return np.concatenate(found)


@pytest.mark.parametrize("rows", [ROWS, HOLES], ids=["full", "holes"])
@pytest.mark.parametrize("kind", FILES + OTHERS)
def test_every_source_gives_the_same_rows(kind, rows, tmp_path):
    given = source_of(kind(rows, tmp_path))
    for _ in range(2):  # as often as wanted
        np.testing.assert_array_equal(read(given), rows)
    assert given.named == (kind not in UNNAMED)
    assert given.columns == (NAMES if given.named else ("x0", "x1", "x2"))
    assert given.n_rows == (None if kind in UNCOUNTED else N)
    assert given.nbytes == (None if kind in UNCOUNTED else N * 3 * 8)
    if kind in FILES:
        again = reopened(json.loads(json.dumps(given.address)))
        np.testing.assert_array_equal(read(again), rows)
        assert (again.columns, again.named) == (given.columns, given.named)
    else:
        assert given.address is None


IN_ANOTHER = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    sources = pickle.load(file)
rows = [np.concatenate([b for p in parts for b in p.blocks()]) for parts in sources]
assert "dask" not in sys.modules and "pymc" not in sys.modules
np.save(sys.argv[2], rows)
"""


def test_parts_read_the_same_in_another_process(tmp_path):
    sources = []
    for kind in [*FILES, dataset]:
        (tmp_path / kind.__name__).mkdir()
        parts = list(source_of(kind(HOLES, tmp_path / kind.__name__)).parts)
        assert all(len(pickle.dumps(part)) < 2500 for part in parts)  # paths, not rows
        sources.append(parts)
    (tmp_path / "sources").write_bytes(pickle.dumps(sources))
    names = [tmp_path / "sources", tmp_path / "rows.npy"]
    subprocess.run([sys.executable, "-c", IN_ANOTHER, *names], check=True)
    for rows in np.load(tmp_path / "rows.npy"):
        np.testing.assert_array_equal(rows, HOLES)


@pytest.mark.parametrize("kind", [dask_array, dask_frame, dataarray_turned, xarray_dataset, frames])
def test_parts_of_this_process_can_be_sent(kind, tmp_path):
    for given in (source_of(kind(HOLES, tmp_path)), None):
        if given is None:  # and with some columns
            given = source_of(kind(HOLES, tmp_path))
            if not given.named:
                continue
            given = with_columns(given, ["c", "a"])
        parts = [part.sent() for part in given.parts]
        if kind is not frames:
            parts = [pickle.loads(pickle.dumps(p)).compute(scheduler="sync") for p in parts]
        wanted = HOLES if len(given.columns) == 3 else HOLES[:, [2, 0]]
        np.testing.assert_array_equal(read(replace(given, parts=parts)), wanted)


# Columns ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in FILES + OTHERS if kind not in UNNAMED])
def test_columns_are_chosen(kind, tmp_path):
    data = kind(HOLES, tmp_path)
    for given in (source_of(data, ["c", "a"]), with_columns(source_of(data), ("c", "a"))):
        assert given.columns == ("c", "a")
        np.testing.assert_array_equal(read(given), HOLES[:, [2, 0]])
    np.testing.assert_array_equal(read(with_columns(given, ["a"])), HOLES[:, :1])
    assert with_columns(given, None) is given
    for open_ in (partial(source_of, data), partial(with_columns, source_of(data))):
        refused("There is no column 'd'.*the columns are a, b, c", open_, ["a", "d"])
        refused("Two columns are named 'a'", open_, ["a", "a"])
        refused("at least one column", open_, [])
        refused("columns must be a sequence of names, got 'ab'", open_, "ab")


@pytest.mark.parametrize("kind", sorted(UNNAMED, key=lambda kind: kind.__name__))
def test_columns_without_names_are_not_chosen(kind, tmp_path):
    data = kind(ROWS, tmp_path)
    refused("no names", source_of, data, ["x0"])
    refused("no names", with_columns, source_of(data), ["x0"])


WITH_TEXT = pa.table({"a": [1.5, 2.0], "t": ["u", "v"], "b": [3, None], "d": [True, False]})


def text_in_parquet(folder):
    pq.write_table(WITH_TEXT, folder / "x.pq")
    return folder / "x.pq"


def text_in_arrow(folder):
    feather.write_feather(WITH_TEXT, str(folder / "x.arrow"))
    return folder / "x.arrow"


def text_in_csv(folder):
    pyarrow.csv.write_csv(WITH_TEXT, folder / "x.csv")
    return folder / "x.csv"


def text_in_dataset(folder):
    return ds.dataset(text_in_parquet(folder))


def text_in_dask(folder):
    return dd.from_pandas(WITH_TEXT.to_pandas(), npartitions=2)


@pytest.mark.parametrize(
    "kind", [text_in_parquet, text_in_arrow, text_in_csv, text_in_dataset, text_in_dask]
)
def test_columns_of_other_things(kind, tmp_path):
    data = kind(tmp_path)
    error = refused(r"Column 't' of .* is of type .*columns=\['a', 'b'\]", source_of, data)
    assert error.column == "t"
    refused("Column 'd' of .*no number", source_of, data, ["a", "d"])
    np.testing.assert_array_equal(read(source_of(data, ["b", "a"])), [[3, 1.5], [np.nan, 2]])


def test_text_in_frames():
    frames = [pl.from_arrow(WITH_TEXT), pl.from_arrow(WITH_TEXT)]
    refused("In batch 0: Column 't' holds text", source_of, frames)
    assert read(source_of(frames, ["b", "a"])).shape == (4, 2)


@pytest.mark.parametrize(
    "column",
    [
        *(pa.array([1, None, 3], kind) for kind in ("int8", "uint64", "float32")),
        pa.array([np.float16(1), None, np.float16(3)], "float16"),
        pa.array([1, None, 3], pa.decimal128(9, 2)),
        pa.array([1, None, 3]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_other_types(column, tmp_path):
    more = pa.table({"a.b": column, "a": [0.5, 1, 2], "n": pa.nulls(3)})
    wanted = [[1, 0.5, np.nan], [np.nan, 1, np.nan], [3, 2, np.nan]]
    pq.write_table(more, tmp_path / "x.parquet")
    feather.write_feather(more, str(tmp_path / "x.ipc"))
    for name in ("x.parquet", "x.ipc"):
        np.testing.assert_array_equal(read(source_of(tmp_path / name)), wanted)


@pytest.mark.parametrize("dtype", ["f4", "f2", "i2", "u8", ">f8", "g"])
def test_arrays_of_other_types(dtype, tmp_path):
    wanted = np.arange(30.0).reshape(15, 2)
    np.save(tmp_path / "x.npy", wanted.astype(dtype))
    np.testing.assert_array_equal(read(source_of(tmp_path / "x.npy")), wanted)
    np.testing.assert_array_equal(read(source_of(Anew(wanted.astype(dtype)))), wanted)


def test_an_index_of_pandas_is_no_column(tmp_path):
    frame().set_index(np.arange(N) * 2.5).rename_axis("id").to_parquet(tmp_path / "x.parquet")
    assert source_of(tmp_path / "x.parquet").columns == NAMES
    assert source_of(tmp_path / "x.parquet", ["id", "a"]).columns == ("id", "a")


def test_columns_that_folders_are_named_after(tmp_path):
    """They are read where pyarrow is told of them."""
    rows = table().append_column("year", pa.array([2001] * 20 + [2002] * 30))
    ds.write_dataset(rows, tmp_path, format="parquet", partitioning=["year"],
                     partitioning_flavor="hive")  # fmt: skip
    assert source_of(tmp_path).columns == NAMES
    given = source_of(ds.dataset(tmp_path, partitioning="hive"), ["year", "b"])
    np.testing.assert_array_equal(read(given)[:, 0], [2001] * 20 + [2002] * 30)
    np.testing.assert_array_equal(read(given)[:, 1], ROWS[:, 1])


# Parts ------------------------------------------------------------------------


def test_parts_are_a_few_row_groups(tmp_path):
    pq.write_table(table(), tmp_path / "x.parquet", row_group_size=4)
    parts = source_of(tmp_path / "x.parquet").parts
    assert [part.n_rows for part in parts] == [8, 8, 8, 4, 8, 8, 6]
    assert [part.first for part in parts] == [0, 8, 16, 24, 28, 36, 44]
    assert {part.name for part in parts} == {str(tmp_path / "x.parquet")}
    assert all(part.sent() is part for part in parts)


def test_rows_are_numbered_in_their_own_file(tmp_path):
    parts = source_of(parquet_folder(ROWS, tmp_path)).parts
    assert [part.name.removeprefix(str(tmp_path)) for part in parts][:2] == [
        "/in/a.parquet", "/in/b/c.parquet"
    ]  # fmt: skip
    assert next(part.first for part in parts if part.name.endswith("d.parquet")) == 0


def test_parts_of_zarr_are_whole_chunks(tmp_path):
    parts = source_of(zarr_path(ROWS, tmp_path)).parts
    assert [part.n_rows for part in parts] == [5] * 10
    large = zarr.create_array(tmp_path / "y.zarr", shape=(N, 2), chunks=(20, 2), dtype="f4")
    parts = source_of(large).parts
    assert [part.n_rows for part in parts] == [20, 20, 10]
    assert [len(block) for block in parts[0].blocks()] == [7, 7, 6]


def test_what_is_written_to_a_block_is_written_nowhere(tmp_path):
    for kind in (memory_map, arrays, frames):
        (tmp_path / kind.__name__).mkdir()
        data = ROWS.copy()
        given = source_of(kind(data, tmp_path / kind.__name__))
        for part in given.parts:
            for block in part.blocks():
                block[:] = 0
        np.testing.assert_array_equal(read(given), ROWS)


def test_files_without_rows(tmp_path):
    for kind in (parquet, arrow, csv, npy):
        (part,) = source_of(kind(ROWS[:0], tmp_path)).parts
        assert list(part.blocks()) == []


def test_blocks_fit_the_cache(monkeypatch):
    monkeypatch.setattr(source, "BLOCK", 131_072)
    assert [blocks.rows_at_once(d) for d in (1, 5, 20, 1000)] == [131_072, 131_072, 32_768, 2048]


def test_many_rows_are_in_larger_parts(monkeypatch):
    """Few rows in parts of a block, so that all threads have some."""
    monkeypatch.undo()
    sizes = [source.part_size(n) for n in (1_000, 10**6, 10**8, 10**10)]
    assert sizes == [source.BLOCK, source.BLOCK, source.PART, source.PART]


# What is refused: files -------------------------------------------------------


def test_paths_that_lead_nowhere(tmp_path):
    no_file("There is no file .*x.parquet", source_of, tmp_path / "x.parquet")
    no_file("There is no file", source_of, str(tmp_path / "*.csv"))
    no_file("There is no file ''", source_of, "")
    no_file("is not on this machine; open it with pyarrow", source_of, "s3://b/x.parquet")
    no_file("No file in .* is one of .parquet", source_of, tmp_path)
    (tmp_path / "x.txt").write_text("1")
    no_file("not known what .*x.txt.* holds; known are .parquet", source_of, tmp_path / "x.txt")
    csv(ROWS, tmp_path)
    npy(ROWS, tmp_path)
    no_file("is a CSV file and .* a NumPy file", source_of, tmp_path)


@pytest.mark.parametrize("name", ["x.parquet", "x.feather", "x.csv.gz", "x.npy", "x.zarr"])
def test_files_that_cannot_be_read_are_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"nonsense")
    no_file(f"{name}' cannot be read: ", source_of, tmp_path / name)


@pytest.mark.parametrize("kind", [parquet, arrow, npy, csv])
def test_files_that_vanish_are_named(kind, tmp_path):
    path = kind(ROWS, tmp_path)
    part = next(iter(source_of(path).parts))
    path.unlink()
    no_file(f"{path.name}' cannot be read: ", lambda: list(part.blocks()))


def test_files_with_other_columns(tmp_path):
    pq.write_table(table(), tmp_path / "1.parquet")
    pq.write_table(table().drop_columns("b"), tmp_path / "2.parquet")
    refused("Column 'b' is in .*1.parquet' and not in .*2.parquet'", source_of, tmp_path)
    assert source_of(tmp_path, ["a", "c"]).n_rows == 2 * N
    np.save(tmp_path / "1.npy", ROWS)
    np.save(tmp_path / "2.npy", ROWS[:, :2])
    refused("has 3 columns and .*2.npy' has 2", source_of, str(tmp_path / "*.npy"))


def test_groups_of_zarr(tmp_path):
    xr.Dataset({"u": (("n", "d"), ROWS)}).to_zarr(tmp_path / "x.zarr", consolidated=False)
    no_file("no array but a group; give one of .*x.zarr/u'", source_of, tmp_path / "x.zarr")
    np.testing.assert_array_equal(read(source_of(tmp_path / "x.zarr" / "u")), ROWS)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 2, 2)), "3 dimensions"),
        (np.zeros((3, 2), bool), "holds bool"),
        (np.zeros((3, 2), complex), "holds complex128"),
        (np.zeros((3, 0)), "no columns|cannot be read"),
    ],
)
def test_arrays_that_are_no_table(array, match, tmp_path):
    np.save(tmp_path / "x.npy", array)
    support.refused(match, source_of, tmp_path / "x.npy")


def test_what_is_read_once_needs_a_package(tmp_path, monkeypatch):
    path = parquet(ROWS, tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    no_file(r"Reading Parquet needs pyarrow; pip install 'bayesgmm\[parquet\]'", source_of, path)


# CSV --------------------------------------------------------------------------


def test_csv_without_a_header(tmp_path):
    (tmp_path / "x.csv").write_text("1,2\n3,4.5\n1,2\n")
    given = source_of(tmp_path / "x.csv")
    assert (given.columns, given.named) == (("x0", "x1"), False)
    np.testing.assert_array_equal(read(given), [[1, 2], [3, 4.5], [1, 2]])


def test_csv_whose_later_rows_are_of_another_kind(tmp_path):
    rows = "1,2\n" * 300_000
    (tmp_path / "x.csv").write_text("a,b\n" + rows + "1.5,\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK", 131_072)
        last = list(source_of(tmp_path / "x.csv").parts[0].blocks())[-1][-1]
    np.testing.assert_array_equal(last, [1.5, np.nan])
    (tmp_path / "y.csv").write_text("a,b\n" + rows + "1.5,?\n")
    (part,) = source_of(tmp_path / "y.csv").parts
    refused("y.csv' cannot be read: .*'\\?'", lambda: [None for _ in part.blocks()])


# What is refused: batches -----------------------------------------------------


@pytest.mark.parametrize(
    "once",
    [
        lambda folder: (rows for rows in [ROWS]),
        lambda folder: map(np.asarray, [ROWS]),
        lambda folder: pa.RecordBatchReader.from_batches(table().schema, table().to_batches()),
        lambda folder: partial(lambda same: same, iter([ROWS])),
    ],
)
def test_what_gives_batches_only_once(once, tmp_path):
    refused("gives them only once; give a list of them, a function", source_of, once(tmp_path))


def test_readers_of_pandas_begin_anew_through_a_function(tmp_path):
    path = csv(ROWS, tmp_path)
    with pd.read_csv(path, chunksize=9) as reader:
        refused("this TextFileReader gives them only once", source_of, reader)
    given = source_of(lambda: pd.read_csv(path, chunksize=9))
    np.testing.assert_array_equal(read(given), ROWS)


def test_batches_that_run_out():
    left = [[ROWS], [ROWS]]
    given = source_of(lambda: iter(left.pop() if left else []))
    refused("none when begun anew", lambda: list(given.parts))
    refused("There are no batches", source_of, lambda: iter(()))


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (frame().rename(columns={"b": "z"}), "In batch 1: There is no column 'b'.* a, z, c"),
        (ROWS, "In batch 1 the columns are x0, x1, x2 and in the first a, b, c"),
        (frame().assign(b="u"), "In batch 1: Column 'b' holds text"),
    ],
)
def test_batches_with_other_columns(other, match):
    refused(match, read, source_of(lambda: iter([frame(), other])))


def test_batches_of_other_widths():
    match = "In batch 1 the columns are x0, x1 and in the first x0, x1, x2"
    refused(match, read, source_of(lambda: iter([ROWS, ROWS[:, :2]])))


# What is read at once ---------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        ROWS, ROWS[0], ROWS.tolist(), ROWS[0].tolist(), [ROWS, ROWS], [], ["a", "b"], (1, 2),
        frame(), frame()["a"], frame().index, pl.from_pandas(frame()), table(), table()["a"],
        pl.from_pandas(frame()).lazy(), table().to_batches()[0], xr.DataArray(ROWS),
        xr.Dataset({"a": ("t", ROWS[0])}), np.ma.masked_array(ROWS), scipy.sparse.csr_array(ROWS),
        3.0, None, {"a": [1, 2]}, {1, 2}, object(), b"abc", range(3), float, np.array(2.0),
        [frame(), ROWS], [frame()["a"]],
    ],
    ids=lambda data: type(data).__name__,
)  # fmt: skip
def test_what_has_no_source(data):
    assert source_of(data) is None


def test_memory_that_no_file_holds(tmp_path):
    assert source_of(memory_map(ROWS, tmp_path) + 1) is None
    private = np.load(npy(ROWS, tmp_path), mmap_mode="c")
    private[0] = 5
    given = source_of(private)
    assert read(given)[0, 0] == 5 and given.address is None
    store = zarr.storage.MemoryStore()
    assert source_of(zarr.create_array(store, shape=(3, 2), dtype="f8")) is None


def test_delayed_is_no_table():
    refused("A Delayed of Dask is no table", source_of, dask.delayed(frame)())
