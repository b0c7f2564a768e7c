"""The one door for data: what comes in, what is refused and how, and computation on the edge."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import fractions
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import xarray as xr

import bayesgmm as bg
from bayesgmm import Observations
from bayesgmm.data.features import features_like
from bayesgmm.errors import BayesGMMError, DataError
from tests import support
from tests.support import STRUCTURES

ROWS = [[1.0, 2.0], [3.0, 5.0], [4.0, 4.5]]
QUICK = {"seed": 1, "n_starts": 6, "n_best": 2, "rounds": 1}


refused = partial(support.refused, error=DataError)


def same_rows(observations, names, index=(0, 1, 2), rows=ROWS):
    np.testing.assert_array_equal(observations.values, rows)
    assert observations.values.dtype == np.float64
    assert observations.names == tuple(names)
    assert list(observations.index) == list(index)


# What comes in: plain arrays -------------------------------------------------


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "u8", "f2", "f4", "f8", ">f8", "g", "O"])
def test_numbers_are_cast(dtype):
    rows = [[1, 2], [3, 5], [4, 6]]
    same_rows(Observations(np.array(rows, dtype=dtype)), ["x0", "x1"], rows=rows)


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        tuple(map(tuple, ROWS)),
        np.array(ROWS),
        np.asfortranarray(ROWS),
        np.array([[*row, 0.0] for row in ROWS])[:, :2],
        np.array(ROWS)[::-1][::-1],
        [np.array(row) for row in ROWS],
        [[decimal.Decimal(str(entry)) for entry in row] for row in ROWS],
        [[fractions.Fraction(entry) for entry in row] for row in ROWS],
    ],
)
def test_tables(data):
    observations = Observations(data)
    same_rows(observations, ["x0", "x1"])
    assert not observations.labelled
    assert observations.matrix.flags.c_contiguous and observations.matrix.flags.writeable
    assert not observations.values.flags.writeable


@pytest.mark.parametrize("data", [[1, 2, 3], (1, 2, 3), np.arange(1, 4), range(1, 4)])
def test_one_dimension_is_one_feature(data):
    same_rows(Observations(data), ["x0"], rows=[[1], [2], [3]])


def test_a_read_only_array_is_copied():
    """Compiled code would be compiled once more for it."""
    rows = np.array(ROWS)
    rows.flags.writeable = False
    assert Observations(rows).matrix.flags.writeable
    assert Observations(np.broadcast_to(1.5, (3, 2))).matrix.flags.writeable


def test_names_are_given():
    named = Observations(ROWS, names=["a", 2])
    same_rows(named, ["a", "2"])
    assert named.labelled
    again = Observations(named)
    same_rows(again, ["a", "2"])
    assert again.labelled and not Observations(Observations(ROWS)).labelled


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["a"], "1 names were given for 2 features; give one per column"),
        (["a", "b", "c"], "3 names were given for 2 features"),
        (["a", "a"], "Two columns are named 'a'; give each its own name"),
        ([1, "1"], "Two columns are named '1'"),
        ("ab", "names must be a sequence of 2 strings, got 'ab'"),
        (5, "names must be a sequence of 2 strings, got 5"),
    ],
)
def test_names_that_do_not_fit(names, match):
    refused(match, Observations, ROWS, names=names)


def test_repr_is_short():
    assert repr(Observations(ROWS)) == "Observations(3 rows; features x0, x1)"
    wide = repr(Observations(np.ones((2, 9)), row_weights=[1, 2]))
    assert wide == "Observations(2 rows, weighted; features x0, x1, x2, x3, x4, x5, …)"


# What comes in: frames -------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "labels"),
    [
        (None, [0, 1, 2]),
        ([7, 5, 3], [7, 5, 3]),
        (["u", "v", "v"], ["u", "v", "v"]),
        (pd.CategoricalIndex(["u", "v", "u"]), ["u", "v", "u"]),
        (
            pd.MultiIndex.from_tuples([("u", 1), ("u", 2), ("v", 1)]),
            ["('u', 1)", "('u', 2)", "('v', 1)"],
        ),
        (pd.period_range("2020-01", periods=3, freq="M"), ["2020-01", "2020-02", "2020-03"]),
        (pd.interval_range(0, 3), ["(0, 1]", "(1, 2]", "(2, 3]"]),
        (
            pd.date_range("2020-01-01", periods=3, tz="UTC"),
            [f"2020-01-0{i} 00:00:00+00:00" for i in (1, 2, 3)],
        ),
        (["u", None, 3], ["u", "None", "3"]),
    ],
)  # fmt: skip
def test_pandas_index(index, labels):
    """Kept; what no file holds as it is becomes text."""
    frame = pd.DataFrame(ROWS, columns=["a", "b"], index=index)
    observations = Observations(frame)
    same_rows(observations, ["a", "b"], labels)
    assert observations.index.ndim == 1 and observations.labelled


def test_pandas_dates_and_spans_as_index():
    for index in (pd.date_range("2020-01-01", periods=3), pd.to_timedelta([1, 2, 3], "h")):
        got = Observations(pd.DataFrame(ROWS, index=index)).index
        assert got.dtype.kind == index.dtype.kind
        np.testing.assert_array_equal(got, index.to_numpy())


@pytest.mark.parametrize("rows", [ROWS, ROWS[:2]])
def test_pandas_columns_may_be_called_anything(rows):
    """Whole numbers, tuples: taken by position, also where the frame is square."""
    index = range(len(rows))
    same_rows(Observations(pd.DataFrame(rows)), ["0", "1"], index, rows)
    same_rows(Observations(pd.DataFrame(rows, columns=[1, 0])), ["1", "0"], index, rows)
    pairs = pd.MultiIndex.from_tuples([("a", "u"), ("a", "v")])
    same_rows(
        Observations(pd.DataFrame(rows, columns=pairs)), ["('a', 'u')", "('a', 'v')"], index, rows
    )


@pytest.mark.parametrize(
    "dtype",
    ["int64", "float32", "Int64", "Float64", "UInt8", "int32[pyarrow]", "object", "category"],
)
def test_pandas_dtypes(dtype):
    frame = pd.DataFrame({"a": pd.Series([1, 3, 4]).astype(dtype), "b": [2.0, 5.0, 4.5]})
    same_rows(Observations(frame), ["a", "b"])
    same_rows(Observations(frame["a"]), ["a"], rows=[[1], [3], [4]])


def test_pandas_sparse_column():
    frame = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 0.0, 2.0])})
    same_rows(Observations(frame), ["a"], rows=[[0], [0], [2]])


def test_series():
    named = pd.Series([1, 3, 4], name="depth", index=["u", "v", "w"])
    same_rows(Observations(named), ["depth"], "uvw", rows=[[1], [3], [4]])
    assert Observations(named).labelled and not Observations(pd.Series([1, 3, 4])).labelled
    same_rows(Observations(pd.Series([1, 3, 4])), ["x0"], rows=[[1], [3], [4]])
    same_rows(Observations(pd.Series([1, 3, 4], name=0)), ["0"], rows=[[1], [3], [4]])


def test_a_subclass_of_a_frame_is_a_frame():
    class Frame(pd.DataFrame):
        pass

    same_rows(Observations(Frame(ROWS, columns=["a", "b"], index=[3, 4, 5])), ["a", "b"], [3, 4, 5])


@pytest.mark.parametrize("data", [pd.array([1, 3, 4], dtype="Int64"), pd.Index([1, 3, 4])])
def test_arrays_of_pandas(data):
    same_rows(Observations(data), ["x0"], rows=[[1], [3], [4]])


def test_polars():
    frame = pl.DataFrame({"a": [1, 3, 4], "b": [2.0, 5.0, 4.5]})
    for form in (frame, frame.lazy(), frame.to_arrow()):
        same_rows(Observations(form), ["a", "b"])
    same_rows(Observations(frame["a"]), ["a"], rows=[[1], [3], [4]])
    assert not Observations(pl.Series([1.0, 2.0])).labelled
    decimals = frame.select(pl.col("b").cast(pl.Decimal(10, 2)))
    same_rows(Observations(decimals), ["b"], rows=[[2.0], [5.0], [4.5]])


def test_polars_numbers_of_128_bits():
    """NumPy has no such integers; as floats they are like any."""
    for dtype in {pl.Int128, getattr(pl, "UInt128", pl.Int128)}:  # old ones lack the latter
        wide = pl.DataFrame({"a": pl.Series([1, 2**70, 3], dtype=dtype), "b": [0.5, 1.5, 2.5]})
        for data in (wide, wide.lazy()):
            observations = Observations(data, row_weights=pl.Series([1, 2, 3], dtype=dtype))
            assert observations.names == ("a", "b")
            np.testing.assert_array_equal(observations.values[:, 0], [1.0, 2.0**70, 3.0])
            np.testing.assert_array_equal(observations.row_weights, [1.0, 2.0, 3.0])
        assert Observations(wide["a"]).names == ("a",)
        refused(
            "'a' has 1 missing value",
            Observations,
            pl.DataFrame({"a": pl.Series([1, None], dtype=dtype)}),
        )


# What comes in: xarray -------------------------------------------------------

LABELLED = xr.DataArray(
    ROWS, dims=("obs", "feature"), coords={"obs": ["u", "v", "w"], "feature": ["a", "b"]}
)


@pytest.mark.parametrize(
    "array",
    [
        LABELLED,
        LABELLED.rename(obs="time", feature="what"),
        LABELLED.T,
        LABELLED.rename(obs="time").T,
        LABELLED.rename(feature="what").T,
        LABELLED.to_dataset("feature"),
        LABELLED.rename(obs="time").to_dataset("feature"),
        LABELLED.to_dataset(name="x"),
    ],
)
def test_labelled_arrays(array):
    """Dimensions of any name; (feature, obs) is turned round; coordinates are kept."""
    same_rows(Observations(array), ["a", "b"], "uvw")
    assert Observations(array).labelled


def test_dask_arrays_are_computed():
    pytest.importorskip("dask.array")
    same_rows(Observations(LABELLED.chunk(obs=2)), ["a", "b"], "uvw")
    same_rows(Observations(LABELLED.chunk(obs=2).data), ["x0", "x1"])


def test_arrays_without_labels():
    bare = LABELLED.drop_vars(["obs", "feature"])
    same_rows(Observations(bare), ["x0", "x1"])
    assert not Observations(bare).labelled
    same_rows(Observations(LABELLED.drop_vars("obs")), ["a", "b"])
    same_rows(Observations(LABELLED.drop_vars("feature")), ["x0", "x1"], "uvw")


def test_arrays_of_one_dimension():
    column = LABELLED[:, 0].drop_vars("feature")
    same_rows(Observations(column), ["x0"], "uvw", rows=[[1], [3], [4]])
    same_rows(Observations(column.rename("depth")), ["depth"], "uvw", rows=[[1], [3], [4]])
    same_rows(Observations(column.to_dataset(name="z")), ["z"], "uvw", rows=[[1], [3], [4]])


def test_a_coordinate_of_several_levels_becomes_text():
    stacked = xr.DataArray(
        ROWS, dims=("o", "f"), coords={"g": ("o", [1, 1, 2]), "h": ("o", [1, 2, 1])}
    ).set_index(o=["g", "h"])
    assert list(Observations(stacked).index) == ["(1, 1)", "(1, 2)", "(2, 1)"]


def test_a_variable_may_be_called_feature():
    data = xr.Dataset({"feature": ("t", [1.0, 2.0]), "b": ("t", [3.0, 4.0])})
    same_rows(Observations(data), ["feature", "b"], (0, 1), rows=[[1, 3], [2, 4]])
    data = xr.Dataset({"a": ("feature", [1.0, 2.0]), "b": ("feature", [3.0, 4.0])})
    same_rows(Observations(data), ["a", "b"], (0, 1), rows=[[1, 3], [2, 4]])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (LABELLED[0, 0], "0 dimensions"),
        (LABELLED.expand_dims("time"), "3 dimensions .'time', 'obs', 'feature'."),
        (xr.Dataset(), "0 variables"),
        (xr.Dataset({"a": ("t", [1.0]), "b": ("u", [1.0, 2.0])}), "along the dimensions"),
        (xr.Dataset({"a": ("t", [1.0, 2.0]), "b": 1.0}), "one variable per feature"),
        (xr.Dataset({"a": ("t", [1.0, 2.0]), "b": ("t", ["u", "v"])}), "Column 'b' holds text"),
        (LABELLED.where(LABELLED > 1), "Column 'a' has 1 missing value"),
    ],
)
def test_xarray_that_is_no_table(data, match):
    refused(match, Observations, data)


# Row weights and scaling -----------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [[1, 0, 2.5], np.array([1, 0, 2.5], dtype="f4"), pd.Series([1, 0, 2.5], index=[9, 8, 7]),
     pl.Series([1.0, 0.0, 2.5]), xr.DataArray([1, 0, 2.5])],
)  # fmt: skip
def test_row_weights(weights):
    """Centre and scale against numpy.average."""
    observations = Observations(ROWS, row_weights=weights)
    np.testing.assert_array_equal(observations.row_weights, [1.0, 0.0, 2.5])
    assert observations.total_weight == 3.5
    mean = np.average(ROWS, axis=0, weights=[1, 0, 2.5])
    variance = np.average((np.array(ROWS) - mean) ** 2, axis=0, weights=[1, 0, 2.5])
    np.testing.assert_allclose(observations.center, mean)
    np.testing.assert_allclose(observations.feature_scale, np.sqrt(variance))
    np.testing.assert_array_equal(Observations(observations).row_weights, [1.0, 0.0, 2.5])


def test_without_row_weights():
    observations = Observations(ROWS)
    assert observations.row_weights is None and observations.total_weight == 3
    np.testing.assert_allclose(observations.center, np.mean(ROWS, axis=0))
    np.testing.assert_allclose(observations.feature_scale, np.std(ROWS, axis=0))


def test_the_spherical_scale_is_one_factor():
    """The root of the mean variance: as many units of variance as columns."""
    observations = Observations(ROWS)
    scale = observations.scale_for("spherical")
    assert scale[0] == scale[1]
    assert (np.var(ROWS, axis=0) / scale**2).sum() == pytest.approx(2)
    np.testing.assert_array_equal(observations.scale_for("full"), observations.feature_scale)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1, 2], r"row_weights has shape \(2,\); give one weight per row, \(3,\)"),
        ([[1, 2, 3]], r"row_weights has shape \(1, 3\)"),
        (5, r"row_weights has shape \(\)"),
        ([1, np.nan, 2], r"row_weights\[1\] is nan; give a finite weight of 0 or more"),
        ([1, 1, np.inf], r"row_weights\[2\] is inf"),
        ([1, -1, 2], r"row_weights\[1\] is -1.0"),
        (pd.array([1, None, 2], dtype="Int64"), r"row_weights\[1\] is nan"),
        ([0, 0, 0], "all zero; at least one row must count"),
        (["a", "b", "c"], "row_weights must be numbers"),
        ([1, 2, 3j], "row_weights must be numbers"),
        (np.array([1, 2, 3 + 0j]), "row_weights must be numbers"),
        ([1, 2, 10**400], "row_weights must be numbers"),
        ([1, [2], 3], "row_weights must be numbers"),
        (np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0]), "row_weights are a masked array"),
        ([1e308, 1e308, 1e308], "too large to add up; divide"),
    ],
)
def test_weights_that_cannot_be_used(weights, match):
    refused(match, Observations, ROWS, row_weights=weights)


# The step to which values were recorded ----------------------------------------


@pytest.fixture
def lengths():
    """To 0.5 and continuous, with ties in the first."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.round(rng.normal(size=40) * 6) / 2, rng.normal(size=40)])
    return pd.DataFrame(rows, columns=["length", "share"])


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ("auto", [0.5, 0.0]),
        (0, [0.0, 0.0]),
        (0.25, [0.25, 0.25]),
        (np.float32(0.25), [0.25, 0.25]),
        (np.array(0.25), [0.25, 0.25]),
        ([1, 0.01], [1.0, 0.01]),
        ((1, "auto"), [1.0, 0.0]),
        (["auto", 0.01], [0.5, 0.01]),
        (np.array([1.0, 0.01]), [1.0, 0.01]),
        ({"share": 0.01}, [0.5, 0.01]),
        ({"share": "auto", "length": 0}, [0.0, 0.0]),
        ({}, [0.5, 0.0]),
    ],
)
def test_resolution_is_found_or_given(lengths, given, steps):
    """One for all, one for each, or by name, where a feature that is not named is found."""
    observations = Observations(lengths, resolution=given)
    np.testing.assert_allclose(observations.resolution, steps, rtol=1e-12)
    assert observations.resolution.dtype == float


def test_resolution_goes_where_the_data_go(lengths):
    """Through a copy, a choice of features, other weights, and to what is given in its place."""
    given = Observations(lengths, resolution=[0.25, 0.01])
    for other in (
        Observations(given),
        Observations(given, row_weights=np.ones(40)),
        Observations(given, names=["a", "b"]),
        copy.deepcopy(given),
    ):
        np.testing.assert_array_equal(other.resolution, [0.25, 0.01])
    np.testing.assert_array_equal(given.select(["share", "length"]).resolution, [0.01, 0.25])
    np.testing.assert_array_equal(given.select(["share"]).resolution, [0.01])
    np.testing.assert_array_equal(Observations(given, resolution=0).resolution, [0, 0])
    np.testing.assert_array_equal(Observations(given, resolution={"length": 1}).resolution, [1, 0])


def test_resolution_is_told(lengths):
    assert repr(Observations(lengths, resolution=0)) == (
        "Observations(40 rows; features length, share)"
    )
    assert repr(Observations(lengths)) == (
        "Observations(40 rows; features length, share; recorded to 0.5 (length))"
    )
    assert Observations(lengths, resolution=0.1).recorded() == "0.1"
    assert Observations(lengths, resolution=[0.1, 1]).recorded() == "0.1 (length) and 1 (share)"
    three = Observations(np.arange(6.0).reshape(2, 3), resolution=[1, 2, 3])
    assert three.recorded() == "1 (x0), 2 (x1) and 3 (x2)"
    many = Observations(np.arange(12.0).reshape(2, 6), resolution=[1, 2, 3, 4, 5, 0])
    assert many.recorded() == "1 (x0), 2 (x1), 3 (x2), 4 (x3), …"


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"depth": 1}, "resolution names 'depth', which is not among the features .length, share."),
        ([1], "resolution has 1 entries for 2 features; give one number, or one per feature"),
        ([1, 1, 1], "resolution has 3 entries for 2 features"),
        (100, "The resolution of 'length', 100, is more than its values differ by; give the step"),
        ({"share": 30}, "The resolution of 'share', 30, is more than"),
    ],
)
def test_resolutions_that_do_not_fit(lengths, given, match):
    refused(match, Observations, lengths, resolution=given)


@pytest.mark.parametrize("wrong", [-0.1, np.nan, np.inf, None, "fine", True, 1e300, [1, "x"]])
def test_resolutions_that_are_none(lengths, wrong):
    with pytest.raises(bg.SpecError, match=r"^resolution of '(length|share)' must be 'auto' or a"):
        Observations(lengths, resolution=wrong)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_variance_of_recording_is_a_twelfth_of_the_squared_step(lengths, covariance):
    """On the standardised scale (Sheppard 1898); the largest where one scale is for all."""
    observations = Observations(lengths, resolution=[0.5, 0.1])
    unit = lengths.to_numpy().std(axis=0)
    expected = np.array([0.25, 0.01]) / 12 / unit**2
    if "spherical" in covariance:
        expected = np.full(2, 0.25 / 12 / np.mean(unit**2))
    np.testing.assert_allclose(observations.recorded_variance(covariance), expected)


# Refusals at the door ---------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "one", "many", "remedy"),
    [
        (np.nan, "1 missing value (NaN)", "2 missing values (NaN)", "drop those rows, or pass"),
        (np.inf, "1 infinite value (inf)", "2 infinite values (inf)", "remove or correct them"),
        (-np.inf, "1 infinite value (inf)", "2 infinite values (inf)", "remove or correct them"),
        (1e200, "1 magnitude whose square overflows", "2 magnitudes whose squares overflow",
         "rescale the column"),
        (-1e150, "1 magnitude whose square overflows", "2 magnitudes whose squares overflow",
         "rescale the column"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_used(bad, one, many, remedy):
    """The sentence names the column, the first row, the counts there and in all."""
    rows = np.arange(12.0).reshape(4, 3)
    rows[2, 1] = bad
    frame = pd.DataFrame(rows, columns=["a", "b c", "d"])
    error = refused("Column 'b c' has", Observations, frame)
    assert f"{one}, first in row 2 (1 in all columns); {remedy}" in str(error)
    assert (error.column, error.row, error.count) == ("b c", 2, 1)
    frame.iloc[3, 1] = frame.iloc[0, 2] = bad
    error = refused("Column 'b c' has", Observations, frame)
    assert f"{many}, first in row 2 (3 in all columns); {remedy}" in str(error)
    assert "Column 'x1' has" in str(refused("first in row 2", Observations, rows))


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, None], dtype="Int64"),
        pd.array([1.5, None], dtype="Float64"),
        pd.array([1.5, None], dtype="float64[pyarrow]"),
        pd.Series([1, pd.NA], dtype=object),
        pd.Series([1, None], dtype=object),
        pd.Series([1, np.nan], dtype=object),
    ],
)
def test_missing_values_of_pandas(column):
    match = r"Column 'b' has 1 missing value \(NaN\), first in row 1"
    refused(match, Observations, pd.DataFrame({"a": [1, 2], "b": column}))


def test_missing_values_of_others():
    match = r"1 missing value \(NaN\), first in row 1"
    refused(match, Observations, pl.DataFrame({"a": [1, 2], "b": [1, None]}))
    refused(match, Observations, [[1, 2], [None, 3]])
    refused(match, Observations, np.array([[1, 2], [pd.NA, 3]], dtype=object))


@pytest.mark.parametrize(
    ("data", "kind", "where"),
    [
        ([["a", "b"]], "text", "row 0, column 0 ('a')"),
        ([[1, 2], [3, "b"]], "text", "row 1, column 1 ('b')"),
        (np.array([[1, 2], [3, "b"]], dtype=object), "text", "row 1, column 1 ('b')"),
        ([["1", "2"]], "text", "row 0, column 0 ('1')"),
        (["u", "v"], "text", "row 0 ('u')"),
        (np.array([[b"u"]]), "text", "row 0, column 0"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "dates", "row 0, column 0 ('2020-01-01')"),
        (np.array([["NaT"]], dtype="M8[ns]"), "dates", "row 0, column 0 ('NaT')"),
        ([[1, dt.date(2020, 1, 2)]], "dates", "row 0, column 1 ('2020-01-02')"),
        ([[1], [pd.NaT]], "dates", "row 1, column 0 ('NaT')"),
        (np.array([[3]], dtype="m8[h]"), "time spans", "row 0, column 0"),
        (np.array([[True], [False]]), "truth values", "row 0, column 0 ('True')"),
        (np.array([[1], [True]], dtype=object), "truth values", "row 1, column 0 ('True')"),
        (np.array([[1, {"foo": "bar"}]], dtype=object), "dict", "row 0, column 1"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), "void", "row 0"),
    ],
)
def test_what_is_no_number(data, kind, where):
    error = refused(f"The data hold {kind} where numbers are needed", Observations, data)
    assert f"first in {where}" in str(error) and "The argument must be a number." in str(error)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["u", "v"], "text"),
        (pd.array(["1", "v"], dtype="string"), "text"),
        (pd.Categorical(["u", "v"]), "text"),
        (pd.date_range("2020-01-01", periods=2), "dates"),
        (pd.date_range("2020-01-01", periods=2, tz="UTC"), "dates"),
        (pd.to_timedelta([1, 2], "D"), "time spans"),
        ([True, False], "truth values"),
        (pd.array([True, None], dtype="boolean"), "truth values"),
        (pd.Series([[1], [2]]), "lists"),
    ],
)
def test_columns_that_hold_no_numbers(column, kind):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": column})
    match = f"Column 'b' holds {kind} where numbers are needed, first in row 0"
    refused(match, Observations, frame)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["u", "v"], "text"),
        ([dt.date(2020, 1, 1)] * 2, "dates"),
        ([True, False], "truth values"),
        ([[1, 2], [3]], "lists"),
    ],
)
def test_polars_columns_that_hold_no_numbers(column, kind):
    refused(f"Column 'b' holds {kind}", Observations, pl.DataFrame({"a": [1, 2], "b": column}))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([[1, 2], [3]], "ragged: row 0 has 2 entries and row 1 has 1; give every row the same"),
        ([[1], [2], [3, 4, 5]], "ragged: row 0 has 1 entries and row 2 has 3"),
        ([[1, 2], 3], "ragged: row 0 has 2 entries and row 1 has 1"),
        (np.array([[1, 2], [3]], dtype=object), "ragged: row 0 has 2 entries and row 1 has 1"),
        ([[1, [2]], [3, 4]], "nested unevenly"),
    ],
)
def test_ragged_rows(data, match):
    refused(match, Observations, data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (np.array([[1 + 2j, 2]]), "The data hold"),
        ([[1, 2j]], "The data hold"),
        (np.array([[1, 2j]], dtype=object), "The data hold"),
        (pd.DataFrame({"a": [1j, 2]}), "Column 'a' holds"),
    ],
)
def test_complex_numbers(data, what):
    error = refused(f"{what} complex numbers; pass real and imaginary", Observations, data)
    assert "Complex data not supported." in str(error)


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_array", "coo_array", "dia_array"])
def test_sparse_matrices(form):
    sparse = getattr(scipy.sparse, form)(np.array(ROWS))
    refused(r"sparse matrix; pass data\.toarray\(\)", Observations, sparse)


def test_masked_arrays():
    """Also among the rows of a list, where NumPy drops their masks without a word."""
    masked = np.ma.masked_array(ROWS, mask=[[0, 1], [0, 0], [0, 0]])
    refused(r"masked array.*numpy\.ma\.compress_rows\(data\)", Observations, masked)
    refused("masked array, whose mask would be ignored", Observations, list(masked))
    same_rows(Observations(np.ma.compress_rows(masked)), ["x0", "x1"], (0, 1), rows=ROWS[1:])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "0 sample"),
        ([[]], "0 feature"),
        (np.empty((0, 3)), r"Found array with 0 sample\(s\) and 3 feature\(s\) \(shape=\(0, 3\)\)"),
        (np.empty((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (np.array([], dtype=object), "0 sample"),
        (np.array([], dtype="U1"), "0 sample"),
        (pd.DataFrame({"a": []}), "0 sample"),
        (pd.DataFrame(), "no columns; give one column per feature"),
        (pl.DataFrame(), "no columns"),
        (pd.Series([], dtype=float), "0 sample"),
        (xr.DataArray(np.empty((0, 2))), "0 sample"),
    ],
)
def test_empty_data(data, match):
    refused(match, Observations, data)


@pytest.mark.parametrize("data", [3.0, None, {"a": [1, 2]}, {1, 2}, np.array(2.0), object()])
def test_what_is_no_table(data):
    refused(f"must be a table of rows and features.*got {type(data).__name__}", Observations, data)


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 1, 1, 1)])
def test_too_many_dimensions(shape):
    error = refused(f"{len(shape)} dimensions", Observations, np.ones(shape))
    assert str(shape) in str(error) and "rows and features, shape (N, D)" in str(error)


@pytest.mark.parametrize("big", [10**400, -(10**400), np.longdouble("1e4000")])
def test_numbers_beyond_float64(big):
    """Python's whole numbers and long doubles reach further."""
    refused("Column 'x0' has 1 (magnitude|infinite)", Observations, np.array([[big, 1], [2, 3]]))


def test_column_names_that_repeat():
    match = "Two columns are named 'a'; give each its own name"
    frame = pd.DataFrame(ROWS, columns=["a", "a"])
    assert refused(match, Observations, frame).column == "a"
    refused("Two columns are named '1'", Observations, pd.DataFrame(ROWS, columns=["1", 1]))
    refused(match, Observations, LABELLED.assign_coords(feature=["a", "a"]))


def test_names_that_no_file_holds():
    """Half of a surrogate pair is no character: refused at the door, not when saving."""
    odd = "size \ud800"
    frame = pd.DataFrame([[1.0], [2.0]], columns=pd.Index([odd], dtype=object))
    array = xr.DataArray([[1.0], [2.0]], dims=("obs", "feature"), coords={"feature": [odd]})
    for data, names in ((frame, None), (array, None), ([[1.0], [2.0]], [odd])):
        text = str(refused("name of column 0", Observations, data, names=names))
        assert "half of a surrogate pair" in text and text.encode()


# Refusals where a model meets the data ----------------------------------------


def fitted(x, k=2, covariance="full", method="em", **options):
    return bg.fit(bg.MixtureSpec(k, covariance), x, method=method, **QUICK, **options)


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(40, 2))
    rows[20:] += 4
    return rows


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("value", [0.0, 1e8 + 0.1, -1 / 3])
def test_a_constant_column(cloud, value, covariance, method):
    """Named, also where it differs by rounding alone."""
    wiggle = np.where(np.arange(40) % 2, value, np.nextafter(value, 2 * value))
    for column in (np.full(40, value), wiggle):
        frame = pd.DataFrame({"a": cloud[:, 0], "b": column})
        error = refused("Column 'b' is constant", fitted, frame, 2, covariance, method)
        assert f"{value:g} in every row); drop it" in str(error) and error.column == "b"


def test_a_column_constant_where_rows_count(cloud):
    weights = np.r_[np.ones(20), np.zeros(20)]
    frame = pd.DataFrame({"a": cloud[:, 0], "b": np.r_[np.ones(20), cloud[20:, 0]]})
    refused(r"Column 'b' is constant \(1 in", fitted, frame, row_weights=weights)


@pytest.mark.parametrize("unit", [1e-152, 1e-160, 1e-163, 1e-310])
def test_a_column_whose_squares_are_no_numbers_is_refused(unit):
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [1.0, 2.0, 4.0]})
    frame["b"] *= unit
    for method in ("em", "map"):
        error = refused("Column 'b' varies by less than 1e-150", fitted, frame, 1, "diag", method)
        assert error.column == "b"


def test_a_column_of_which_one_value_has_no_error_is_constant_but_for_errors():
    rows = bg.Observations([[1.5], [0.3]], errors=[[0.0], [1e8]])
    refused("constant .1.5 in every row but for its errors", bg.fit, bg.MixtureSpec(1), rows)


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_more_components_than_distinct_rows(cloud, covariance, method):
    rows = np.repeat(cloud[:3], 10, axis=0)
    match = "4 components were asked of data with only 3 distinct rows; use n_components <= 3"
    assert refused(match, fitted, rows, 4, covariance, method).distinct == 3


def test_distinct_rows_that_count(cloud):
    """Rows of weight zero do not; zero and minus zero are the same."""
    weights = np.r_[1, 1, np.zeros(38)]
    refused("with only 2 distinct rows", fitted, cloud, 3, "diag", row_weights=weights)
    refused("with only 2 distinct rows", fitted, [[0.0], [-0.0], [1.0]], 3, "diag")


def test_too_few_rows_for_full(cloud):
    error = refused("8 rows are too few for 3 full covariance matrices", fitted, cloud[:8], 3)
    assert "covariance='diag'" in str(error) and "method='map'" in str(error) and error.rows == 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)
        assert np.isfinite(fitted(cloud[:9], 3).log_likelihood)


def test_with_one_feature_full_needs_as_few_rows_as_diag(cloud):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)
        full, diag = (fitted(cloud[:5, :1], 3, name) for name in ("full", "diag"))
    assert full.log_likelihood == pytest.approx(diag.log_likelihood)


@pytest.mark.parametrize("method", ["em", "map"])
def test_one_row(cloud, method):
    refused(r"one row.*\(n_samples=1\)", fitted, cloud[:1], 1, "full", method)
    weights = np.r_[1.0, np.zeros(39)]
    refused("one row", fitted, cloud, 1, "full", method, row_weights=weights)


# Data at predict time ---------------------------------------------------------


def test_labelled_columns_are_matched_by_name():
    """In any order, among others; row labels and weights are kept."""
    frame = pd.DataFrame(ROWS, columns=["a", "b"], index=["u", "v", "w"])
    for form in (frame, frame[["b", "a"]], frame.assign(c=0.0)[["c", "b", "a"]]):
        same_rows(features_like(form, ("a", "b")), ["a", "b"], "uvw")
    same_rows(features_like(pl.from_pandas(frame[["b", "a"]]), ("a", "b")), ["a", "b"])
    same_rows(features_like(LABELLED[:, ::-1], ("a", "b")), ["a", "b"], "uvw")
    weighted = Observations(frame[["b", "a"]], row_weights=[1, 2, 3])
    np.testing.assert_array_equal(features_like(weighted, ("a", "b")).row_weights, [1, 2, 3])


@pytest.mark.parametrize("names", [("a", "b"), ("x1", "x0"), ("x0", "x1")])
def test_unlabelled_columns_are_matched_by_position(names):
    """Whatever the model's features are called, x1 and x0 included."""
    for form in (ROWS, np.array(ROWS), LABELLED.drop_vars("feature"), Observations(ROWS)):
        np.testing.assert_array_equal(features_like(form, names).values, ROWS)


def test_features_called_x1_and_x0_are_not_swapped(cloud):
    """Through a fit: an array means the columns as fitted, a frame means its names."""
    frame = pd.DataFrame(cloud, columns=["x1", "x0"])
    fit = fitted(frame)
    expected = fit.score_samples(frame)
    np.testing.assert_array_equal(fit.score_samples(cloud), expected)
    np.testing.assert_array_equal(fit.score_samples(frame[["x0", "x1"]]), expected)
    assert not np.allclose(fit.score_samples(cloud[:, ::-1]), expected)


def test_a_model_without_names_takes_any():
    """Of a fit to an array, the names x0, x1 are no one's choice."""
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    np.testing.assert_array_equal(features_like(frame, ("x0", "x1")).values, ROWS)


@pytest.mark.parametrize(
    ("data", "found"),
    [([[1.0]], 1), (np.ones((2, 3)), 3), ([1.0, 2.0], 1), (pd.DataFrame({"a": [1.0]}), 1)],
)
def test_a_wrong_number_of_features(data, found):
    match = rf"The model has 2 features \(a, b\) but the data have {found}; give the same columns"
    error = refused(match, features_like, data, ("a", "b"))
    assert (error.expected, error.found) == (2, found)


def test_a_missing_feature_is_named():
    frame = pd.DataFrame(ROWS, columns=["a", "c"])
    error = refused("feature 'b' is not among the data's columns", features_like, frame, ("a", "b"))
    assert "(a, c); rename them or pass a plain array" in str(error) and error.column == "b"


def test_a_fit_refuses_what_it_cannot_predict(cloud):
    fit = fitted(pd.DataFrame(cloud, columns=["a", "b"]))
    for method in (fit.predict, fit.predict_proba, fit.score_samples):
        refused("The model has 2 features", method, cloud[:, :1])
        refused("missing value", method, [[np.nan, 1.0]])
        refused("squares overflow|square overflows", method, [[1e200, 1.0]])
    assert list(fit.predict(pd.DataFrame({"b": [1.0], "a": [2.0]}, index=["u"])).obs) == ["u"]


# Nothing is mutated -------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_data_are_never_written_to(cloud, order):
    rows = np.array(cloud, order=order)
    weights = np.linspace(0.5, 1.5, 40)
    frame = pd.DataFrame(cloud, columns=["a", "b"], index=pd.RangeIndex(40, 80))
    labelled = xr.DataArray(cloud.T.copy(), dims=("feature", "obs"), name="x")
    before = copy.deepcopy((rows, weights, frame, labelled))
    for data in (rows, frame, labelled):
        for method in ("em", "map"):
            fit = fitted(data, 2, "tied", method, row_weights=weights)
            fit.predict_proba(data), fit.score_samples(data), fit.generate(3, seed=1)
    np.testing.assert_array_equal(rows, before[0])
    np.testing.assert_array_equal(weights, before[1])
    pd.testing.assert_frame_equal(frame, before[2])
    xr.testing.assert_identical(labelled, before[3])
    with pytest.raises(ValueError, match="read-only"):
        Observations(rows).values[0, 0] = 1.0


# On the edge: a finite answer or a named error -----------------------------------


def edge_cases():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(40, 2))
    rows[20:] += 4
    few = np.repeat(rng.normal(size=(4, 2)), 10, axis=0)
    return {
        "K = N": (rows[:5], 5),
        "K = N, one feature": (rows[:4, 0], 4),
        "duplicates": (few, 3),
        "duplicates, K = distinct rows": (few, 4),
        "collinear": (np.column_stack([rows[:, 0], 2 * rows[:, 0] + 1]), 2),
        "a sum of others": (np.column_stack([rows, rows.sum(axis=1)]), 2),
        "two of a kind": (rows[:, [0, 0]], 2),
        "whole numbers": (np.round(rows), 3),
        "two values": ((rows > 2).astype(float), 2),
        "an outlier": (np.vstack([rows, [1e10, 1e10]]), 2),
        "more features than rows": (rng.normal(size=(5, 8)), 1),
        "two rows": (rows[:2], 2),
        "one component, two rows": (rows[:2], 1),
    }


def all_finite(fit, far):
    parameters = fit.parameters
    results = [
        parameters.weights,
        parameters.means,
        parameters.scales,
        parameters.correlations,
        parameters.covariances,
        fit.log_likelihood,
        fit.aic(),
        fit.bic(),
        fit.icl(),
        fit.tree["sample_stats/lp"],
        fit.predict_proba(),
        fit.score_samples(),
        fit.predict_proba(far),
        fit.score_samples(far),
        fit.generate(5, seed=1)["x"],
    ]
    return all(np.isfinite(np.asarray(result)).all() for result in results)


def far_away(d):
    return np.array([[1e100] * d, [-1e100] * d, [1e100] + [0.0] * (d - 1)])


@pytest.mark.filterwarnings("ignore::bayesgmm.errors.FitWarning")
@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("case", edge_cases())
def test_degenerate_data_give_finite_results_or_a_named_error(case, covariance, method):
    rows, k = edge_cases()[case]
    try:
        fit = fitted(rows, k, covariance, method)
    except BayesGMMError as error:
        if "please report" in str(error):
            raise
        return
    assert all_finite(fit, far_away(len(fit.feature_names)))


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(
    ("unit", "shift"),
    [(1e-12, 0.0), (1e12, 0.0), (1e-140, 0.0), (1e140, 0.0), (1.0, 1e8), ([1e-12, 1e12], 0.0)],
)
def test_units_do_not_matter(cloud, unit, shift, covariance, method):
    """The fit in other units is the same fit: its log-likelihood less N D log(unit).

    Spherical covariances with two units are another model, which has to be finite.
    """
    fit = fitted(cloud * unit + shift, 2, covariance, method)
    assert fit.status.ok and all_finite(fit, far_away(2))
    if "spherical" in covariance and np.ndim(unit):
        return
    plain = fitted(cloud, 2, covariance, method)
    jacobian = len(cloud) * np.log(np.broadcast_to(unit, 2)).sum()
    assert fit.log_likelihood + jacobian == pytest.approx(plain.log_likelihood, abs=1e-4)


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 2), (2, 1)])
def test_one_component_and_one_feature(cloud, k, d, covariance, method):
    fit = fitted(cloud[:, :d], k, covariance, method)
    assert fit.status.ok and all_finite(fit, far_away(d))
    if k == 1 and method == "em":  # closed form: the moments of the data
        sigma = np.cov(cloud[:, :d].T, bias=True).reshape(d, d)
        if "diag" in covariance or "spherical" in covariance:
            sigma = np.diag(np.diag(sigma))
        if "spherical" in covariance:
            sigma = np.eye(d) * np.trace(sigma) / d
        np.testing.assert_allclose(fit.parameters.means[0, 0, 0], cloud[:, :d].mean(0), rtol=1e-9)
        np.testing.assert_allclose(fit.parameters.covariances[0, 0, 0], sigma, rtol=1e-9)


def test_a_part_is_its_rows_whatever_their_range():
    """Neighbours on a lattice differ by a step less rounding: what is known is not asked again."""
    whole = Observations(
        np.array([[5.0], [5.1], [5.1], [7.0]]), names=["a"], row_weights=[1.0, 2.0, 3.0, 4.0]
    )
    some = whole.part([1, 0])
    assert some.names == ("a",) and list(some.index) == [1, 0] and list(some.row_weights) == [2, 1]
    np.testing.assert_array_equal(some.values, [[5.1], [5.0]])
    np.testing.assert_array_equal(some.resolution, whole.resolution)
    assert some.center == pytest.approx((2 * 5.1 + 5.0) / 3)  # its own
