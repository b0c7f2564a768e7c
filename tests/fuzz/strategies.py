"""Hostile input: a valid array times one mutation.

An example is a small frozen :class:`Case` of numbers and one name, from which the input is made
without chance, so that a failure is one line to read, to pin and to report::

    Case(n=5, d=2, k=2, covariance="full", seed=7, mutation="a far row")

A new mutation is a function with :func:`mutation` around it.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import fractions
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import xarray as xr
from hypothesis import strategies as st

import bayesgmm as bg
from tests.support import STRUCTURES


@dataclass(frozen=True)
class Case:
    """One example: what the input is made from."""

    n: int = 20
    d: int = 2
    k: int = 2
    covariance: str = "full"
    seed: int = 0
    mutation: str = "none"


@dataclass
class Input:
    """What a function is called with."""

    data: Any
    #: Of Observations: weights, errors, labels, ...
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def observations(self) -> bg.Observations:
        return bg.Observations(self.data, **self.options)

    @property
    def given(self) -> Any:
        """The data as they are, or with what is known of their rows where there is something."""
        return self.observations if self.options else self.data

    @property
    def noise(self) -> bool:
        return "background" in self.options


@dataclass
class Made:
    """What mutations work on: rows of two clusters, and luck."""

    case: Case
    rng: np.random.Generator
    x: np.ndarray

    @property
    def row(self) -> int:
        return int(self.rng.integers(len(self.x)))

    @property
    def column(self) -> int:
        return int(self.rng.integers(self.x.shape[1]))

    def one_of(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    @property
    def names(self) -> list[str]:
        return [f"f{j}" for j in range(self.x.shape[1])]


MUTATIONS: dict[str, Callable[[Made], Any]] = {}


def mutation(name: str) -> Callable[[Callable[[Made], Any]], Callable[[Made], Any]]:
    """Register what makes an Input, or its data alone, of valid rows."""

    def put(make: Callable[[Made], Any]) -> Callable[[Made], Any]:
        MUTATIONS[name] = make
        return make

    return put


def made(case: Case) -> Input:
    """The input of a case, the same every time."""
    rng = np.random.default_rng([case.seed, case.n, case.d])
    x = rng.normal(size=(case.n, case.d))
    x[::2] += 5 * rng.normal(size=case.d)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of what is made here, deprecated types among it
        found = MUTATIONS[case.mutation](Made(case, rng, x))
    return found if isinstance(found, Input) else Input(found)


def cases(
    names: Any = None, *, most_rows: int = 60, most_features: int = 6, most_components: int = 4
) -> st.SearchStrategy[Case]:
    """Cases of all mutations, or of some."""
    few = min(8, most_rows)
    return st.builds(
        Case,
        n=st.one_of(st.integers(few, most_rows), st.integers(1, few)),
        d=st.integers(1, most_features),
        k=st.integers(1, most_components),
        covariance=st.sampled_from(STRUCTURES),
        seed=st.integers(0, 999),
        mutation=st.sampled_from(sorted(MUTATIONS) if names is None else sorted(names)),
    )


# Values ----------------------------------------------------------------------


@mutation("none")
def _(m: Made) -> Any:
    return m.x


ODD_VALUES = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300, -1e-300, 5e-324, 2e-308, 1e-160, 1e16, 1e50, 1e100,
    -1e139, 1e149, 1e150, -1e150, 1e155, 1e200, 1.7e308, 2.0**53, 2.0**63,
)  # fmt: skip


@mutation("an odd entry")
def _(m: Made) -> Any:
    m.x[m.row, m.column] = m.one_of(ODD_VALUES)
    return m.x


@mutation("an odd row")
def _(m: Made) -> Any:
    m.x[m.row] = m.one_of(ODD_VALUES)
    return m.x


@mutation("an odd column")
def _(m: Made) -> Any:
    m.x[:, m.column] = m.one_of(ODD_VALUES)
    return m.x


@mutation("some odd entries")
def _(m: Made) -> Any:
    at = m.rng.random(m.x.shape) < 0.3
    m.x[at] = m.rng.choice(ODD_VALUES, at.sum())
    return m.x


@mutation("a scaled column")
def _(m: Made) -> Any:
    m.x[:, m.column] *= m.one_of((0, 1e-12, 1e12, 1e-140, 1e140, 1e-160, 1e-300, 1e-310, 1e100))
    return m.x


@mutation("a shifted column")
def _(m: Made) -> Any:
    m.x[:, m.column] += m.one_of((1e6, -1e8, 1e12, 1e15, 1e16, 1e17, 1e100))
    return m.x


@mutation("far scales side by side")
def _(m: Made) -> Any:
    small, large = m.one_of(((1e-12, 1e12), (1e-100, 1e100), (1e-140, 1e140), (1e-300, 1.0)))
    return m.x * np.where(np.arange(m.x.shape[1]) % 2, large, small)


@mutation("all scaled")
def _(m: Made) -> Any:
    return m.x * m.one_of((1e-12, 1e12, 1e-100, 1e-140, 1e140, 1e-200, 1e-300, 1e-308, 1e-322))


@mutation("all shifted")
def _(m: Made) -> Any:
    return m.x + m.one_of((1e8, -1e12, 1e15, 1e16, 1e140))


@mutation("a constant column")
def _(m: Made) -> Any:
    value = m.one_of((0.0, 1.0, -3.7, 1e8 + 0.1, 1e-200, 1e140))
    m.x[:, m.column] = value
    if m.rng.random() < 0.4:
        m.x[:: m.one_of((2, 3, 7)), m.column] = np.nextafter(value, np.inf)
    return m.x


@mutation("a column constant but for one row")
def _(m: Made) -> Any:
    j = m.column
    m.x[:, j] = 1.0
    m.x[m.row, j] += m.one_of((1.0, 1e-8, 1e-13, 1e8, 1e100, -1e140))
    return m.x


@mutation("all equal")
def _(m: Made) -> Any:
    return np.full_like(m.x, m.one_of((0.0, 1.0, 1e-300, 1e140)))


@mutation("repeated rows")
def _(m: Made) -> Any:
    return m.x[m.rng.integers(m.one_of((1, 2, 3, 5)), size=len(m.x)) % len(m.x)]


@mutation("few values")
def _(m: Made) -> Any:
    return np.round(m.x * m.one_of((0.2, 1, 10))) / m.one_of((1, 3, 7))


@mutation("two values")
def _(m: Made) -> Any:
    return (m.x > 0) * 1.0


@mutation("collinear columns")
def _(m: Made) -> Any:
    j, i = m.column, m.column
    m.x[:, j] = m.x[:, i] * m.one_of((1.0, -2.0, 1e-9, 1e9)) + m.one_of((0.0, 1.0, 1e6))
    m.x[:, j] += m.one_of((0.0, 0.0, 1e-15, 1e-12, 1e-8)) * m.rng.normal(size=len(m.x))
    return m.x


@mutation("a sum of the others")
def _(m: Made) -> Any:
    m.x[:, 0] = m.x[:, 1:].sum(axis=1)
    return m.x


@mutation("a far row")
def _(m: Made) -> Any:
    m.x[m.row] = m.one_of((1e3, 1e6, -1e8, 1e10, 1e15, 1e100, 1e140))
    return m.x


@mutation("a far entry")
def _(m: Made) -> Any:
    m.x[m.row, m.column] *= m.one_of((1e3, 1e6, -1e8, 1e12, 1e100, 1e140))
    return m.x


@mutation("heavy tails")
def _(m: Made) -> Any:
    return m.rng.standard_cauchy(m.x.shape) ** m.one_of((1, 3, 9))


@mutation("a line of equal steps")
def _(m: Made) -> Any:
    return np.arange(m.x.size, dtype=float).reshape(m.x.shape) * m.one_of((1.0, 0.1, 1e-9))


# Types and layouts -----------------------------------------------------------


@mutation("a dtype")
def _(m: Made) -> Any:
    dtype = m.one_of(
        ("i1", "u1", "i8", "u8", "?", "f2", "f4", ">f8", "g", "O", "U8", "S8", "c16", "m8[h]",
         "M8[s]", ">i4")
    )  # fmt: skip
    if dtype == "u8":
        return np.full(m.x.shape, 2**64 - 1, dtype="u8") - np.abs(m.x).astype("u8")
    if dtype in ("m8[h]", "M8[s]"):
        return m.x.astype("i8").astype(dtype)
    return m.x.astype(dtype)


ODD_OBJECTS = (
    None, "x", "", b"1", True, 1j, dt.date(2020, 1, 1), dt.timedelta(1), decimal.Decimal("1e400"),
    decimal.Decimal("NaN"), decimal.Decimal("1.5"), fractions.Fraction(1, 3), 10**400, pd.NA,
    pd.NaT, [1.0], (1.0, 2.0), {"a": 1}, {1}, np.ma.masked, np.float32(1.5), np.array(2.0),
    np.array([1.0]), object(), float, pd.Timestamp(0), np.datetime64("NaT", "s"),
    np.longdouble("1e4000"), "\ud800", "1.5", range(2),
)  # fmt: skip


@mutation("an odd object")
def _(m: Made) -> Any:
    rows = m.x.astype(object)
    i, j = m.row, m.column
    value = m.one_of(ODD_OBJECTS)
    rows[i, j] = None
    rows = rows.tolist()
    rows[i][j] = value
    if m.rng.random() < 0.5:
        return rows
    array = np.empty(m.x.shape, dtype=object)
    for at in np.ndindex(array.shape):
        array[at] = rows[at[0]][at[1]]
    return array


@mutation("a masked array")
def _(m: Made) -> Any:
    mask = m.one_of((False, True, m.rng.random(m.x.shape) < 0.2))
    return np.ma.masked_array(m.x, mask=mask)


@mutation("a layout")
def _(m: Made) -> Any:
    x = m.x
    frozen = x.copy()
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + x.tobytes(), dtype=np.uint8)[1:].view("f8").reshape(x.shape)
    padded = np.zeros((2 * len(x), x.shape[1] + 3))
    padded[::2, 1:-2] = x
    return m.one_of(
        (
            np.asfortranarray(x),
            x[::-1],
            x[:, ::-1],
            frozen,
            unaligned,
            padded[::2, 1:-2],
            np.broadcast_to(x[:1], x.shape),
            np.lib.stride_tricks.as_strided(x, x.shape, (0, x.strides[1])),
            x.T.copy().T,
        )
    )


@mutation("a container")
def _(m: Made) -> Any:
    x = m.x
    return m.one_of(
        (
            x.tolist(),
            tuple(map(tuple, x)),
            [np.array(row) for row in x],
            np.asmatrix(x),
            x[:, 0],
            x[:, 0].tolist(),
            range(len(x)),
            [pd.Series(row) for row in x],
            scipy.sparse.csr_array(x),
            memoryview(np.ascontiguousarray(x)),
        )
    )


@mutation("no table")
def _(m: Made) -> Any:
    x = m.x
    return m.one_of(
        (
            None, 3.0, True, 1j, "abc", "no/such/file.csv", b"abc", {}, {"a": [1.0, 2.0]}, {1.0},
            object(), float, np.float64(1.0), np.array(1.0), iter(x),
            (row for row in x), x[0, 0], decimal.Decimal(1), dt.date(2020, 1, 1), bg.MixtureSpec(1),
            bytearray(8), slice(3), Ellipsis, NotImplemented, "*", "", "~", "\0", ".", [None],
            [[None]], [[]], [[[]]], [x], lambda: iter([x]), lambda: None, lambda: iter([]),
        )
    )  # fmt: skip


@mutation("a shape")
def _(m: Made) -> Any:
    x = m.x
    n, d = x.shape
    return m.one_of(
        (
            x[:0], x[:, :0], x[:0, :0], x[None], x[:, :, None], x[:, None, :], x.ravel(), x[0],
            np.empty((0,)), np.empty((0, 0, 0)), np.broadcast_to(x, (2, n, d)), x.T,
            np.hstack([x, x]), x[:, :1], [[1.0, 2.0], [3.0]], [1.0, [2.0]], [x[0], x[0][:-1]],
        )
    )  # fmt: skip


# Frames ----------------------------------------------------------------------

ODD_NAMES = (
    "", " ", "a,b", "a\nb", "a/b", "..", ".", "x" * 300, "é", "名", "\ud800", "\0", "obs",
    "feature", "feature_bis", "component", "draw", "chain", "weights", "x", "x0", "x1",
    "$\\alpha_{", "[/b]",
    "{a}", "%s", "nan", None, 0, 1, 1.5, np.nan, ("a", "b"), True, dt.date(2020, 1, 1), "'", '"',
)  # fmt: skip


@mutation("an odd name")
def _(m: Made) -> Any:
    names: list[Any] = list(m.names)
    names[m.column] = m.one_of(ODD_NAMES)
    return pd.DataFrame(m.x, columns=pd.Index(names, dtype=object, tupleize_cols=False))


@mutation("odd names given")
def _(m: Made) -> Any:
    names: Any = list(m.names)
    names[m.column] = m.one_of(ODD_NAMES)
    names = m.one_of((names, names, names, names[:-1], names * 2, "f0", 3, None, {}, names[0]))
    return Input(m.x, {"names": names})


@mutation("names that repeat")
def _(m: Made) -> Any:
    return pd.DataFrame(m.x, columns=["a"] * m.x.shape[1])


@mutation("names in another order")
def _(m: Made) -> Any:
    names = [f"x{j}" for j in range(m.x.shape[1])]
    return pd.DataFrame(m.x, columns=m.one_of((names[::-1], names)))


@mutation("an odd index")
def _(m: Made) -> Any:
    n = len(m.x)
    index = m.one_of(
        (
            np.zeros(n, dtype=int),
            ["u"] * n,
            [None] * n,
            [np.nan] * n,
            pd.MultiIndex.from_arrays([np.arange(n), ["a"] * n]),
            pd.date_range("2020-01-01", periods=n),
            pd.date_range("2020-01-01", periods=n, tz="UTC"),
            pd.to_timedelta(np.arange(n), "h"),
            pd.period_range("2020-01", periods=n, freq="M"),
            pd.interval_range(0, n),
            pd.CategoricalIndex(["u"] * n),
            pd.Index([m.one_of(("\ud800", "\0", "a\0b", "", "é" * 400))] * n, dtype=object),
            pd.Index([1, "a", None, (1, 2), 2.5, b"x", dt.date(2020, 1, 1)] * n, dtype=object)[:n],
            np.full(n, 1e300),
            pd.Index([True] * n),
            pd.Index(np.arange(n) * 1j),
            pd.array([None] * n, dtype="Int64"),
            pd.Index([2**63] * n),
            pd.Index([pd.NaT] * n),
            pd.Index([object()] * n),
            np.arange(n)[::-1],
        )
    )
    return pd.DataFrame(m.x, columns=m.names, index=index)


@mutation("an odd column of pandas")
def _(m: Made) -> Any:
    n, j = len(m.x), m.column
    frame = pd.DataFrame(m.x, columns=m.names)
    values = m.one_of(
        (
            pd.array([None] * n, dtype="Int64"),
            pd.array([1, None] * n, dtype="Float64")[:n],
            pd.array(np.arange(n), dtype="UInt8"),
            pd.array([True] * n, dtype="boolean"),
            pd.Categorical(["u"] * n),
            pd.Categorical(np.arange(n)),
            pd.Categorical([None] * n),
            pd.arrays.SparseArray(np.zeros(n)),
            pd.array(["1"] * n, dtype="string"),
            pd.Series(m.x[:, j]).astype("float32[pyarrow]"),
            pd.Series([[1.0]] * n),
            pd.date_range("2020-01-01", periods=n),
            pd.to_timedelta(np.arange(n), "h"),
            pd.period_range("2020-01", periods=n, freq="M"),
            np.arange(n) * 1j,
            pd.array(
                [decimal.Decimal(i) for i in range(n)], dtype=pd.ArrowDtype(pa.decimal128(10, 2))
            ),
            pd.Series([m.one_of(ODD_OBJECTS)] * n, dtype=object),
        )
    )
    frame[m.names[j]] = values
    return frame


@mutation("another frame")
def _(m: Made) -> Any:
    frame = pl.DataFrame(m.x, schema=m.names)
    first = m.names[0]
    labelled = xr.DataArray(m.x, dims=("obs", "feature"), coords={"feature": m.names})
    return m.one_of(
        (
            frame,
            frame.lazy(),
            frame.to_arrow(),
            frame.head(0),
            frame[first],
            frame.with_columns(pl.lit(None).alias(first)),
            frame.with_columns(pl.lit(None).cast(pl.Float64).alias(first)),
            frame.with_columns(pl.col(first).cast(pl.Float32)),
            frame.with_columns(pl.col(first).cast(pl.String)),
            frame.with_columns(pl.col(first).cast(pl.String).cast(pl.Categorical)),
            frame.with_columns(pl.lit([1.0]).alias(first)),
            frame.with_columns(pl.struct(first).alias(first)),
            frame.with_columns(pl.lit(2**100, dtype=pl.Int128).alias(first)),
            frame.with_columns(pl.lit(1).cast(pl.Decimal(10, 2)).alias(first)),
            frame.with_columns(pl.lit(dt.date(2020, 1, 1)).alias(first)),
            frame.with_columns(pl.lit(b"x").alias(first)),
            frame.with_columns(pl.lit(float("nan")).alias(first)),
            frame.rename({first: m.one_of([n for n in ODD_NAMES if isinstance(n, str)
                                           and n.isprintable()])}),
            pl.DataFrame(),
            pd.DataFrame(),
            pd.DataFrame(index=range(len(m.x))),
            pd.DataFrame(m.x, columns=m.names)[first],
            pd.Series(m.x[:, 0], name=m.one_of(ODD_NAMES[:20])),
            labelled.T,
            labelled.to_dataset("feature"),
            labelled.rename(obs="component", feature="draw"),
            labelled.rename(obs="feature", feature="obs"),
            labelled[0, 0],
            labelled[:, 0],
            labelled.expand_dims("chain"),
            labelled.assign_coords(feature=["a"] * m.x.shape[1]),
            labelled.assign_coords(feature=np.arange(m.x.shape[1]) * 1.5),
            labelled.assign_coords(obs=[None] * len(m.x)),
            labelled.assign_coords(obs=np.full(len(m.x), np.nan)),
            labelled.assign_coords(obs=np.full(len(m.x), np.datetime64("NaT", "s"))),
            labelled.assign_coords(scale=3.0),
            labelled.drop_vars("feature"),
            labelled.chunk(),
            xr.Dataset(),
            xr.Dataset({"a": 1.0}),
            xr.Dataset({"a": ("t", m.x[:, 0]), "b": ("u", m.x[:, 0])}),
            labelled.astype("f4"),
            labelled.astype(str),
        )
    )  # fmt: skip


# What is known of rows -------------------------------------------------------


@mutation("odd weights")
def _(m: Made) -> Any:
    n = len(m.x)
    one = np.zeros(n)
    one[m.row] = 1.0
    weights = m.one_of(
        (
            np.zeros(n), np.ones(n + 1), np.ones(n - 1), np.ones((n, 1)), one, -np.ones(n), 3.0,
            np.full(n, np.nan), np.full(n, np.inf), np.full(n, 1e308), np.full(n, 1e-300),
            np.full(n, 5e-324), np.full(n, 1e150), one * 1e9 + 1, one * 1e15 + 1, one * 1e100 + 1,
            one + 1e-300, 1 - one, np.full(n, True), np.full(n, "a"), np.arange(n), [None] * n,
            np.where(np.arange(n) % 2, 1e-12, 1e12), np.ma.masked_array(np.ones(n), mask=one > 0),
            pd.Series(np.ones(n), index=np.arange(n) + 9), pl.Series(np.ones(n)), "f0", {}, [],
            m.rng.random(n), np.full(n, 1j), object(), np.ones(n, dtype="f2"), [10**400] * n,
        )
    )  # fmt: skip
    return Input(m.x, {"row_weights": weights})


@mutation("odd labels")
def _(m: Made) -> Any:
    n, k = len(m.x), m.case.k
    labels = m.one_of(
        (
            np.arange(n) % k, np.full(n, k), np.full(n, -1), np.full(n, -2), np.full(n, 10**9),
            np.full(n, 2**62), np.full(n, np.nan), np.full(n, 0.5), np.full(n, "a"), [None] * n,
            np.zeros(n, dtype=int), np.full(n, k - 1), np.zeros(n + 1, dtype=int), np.zeros(n),
            np.zeros((n, 1), dtype=int), np.full(n, True), 0, "f0", {}, [], object(),
            pd.Series([0] * n), pd.Categorical(["u"] * n), np.arange(n) % (k + 1) - 1,
            [10**400] * n, np.full(n, np.inf), np.full(n, 1e300), np.arange(n),
        )
    )  # fmt: skip
    return Input(m.x, {"labels": labels})


@mutation("odd allowed components")
def _(m: Made) -> Any:
    n, k = len(m.x), m.case.k
    some = m.rng.random((n, k)) < 0.5
    allowed = m.one_of(
        (
            np.ones((n, k), dtype=bool), np.zeros((n, k), dtype=bool), some, some | ~some[:, ::-1],
            np.ones((n, k + 1), dtype=bool), np.ones((n, k - 1), dtype=bool), np.ones((n, k)),
            np.ones((n + 1, k), dtype=bool), np.ones(n, dtype=bool), np.full((n, k), np.nan),
            np.full((n, k), "a"), 3, "x", {}, [], np.eye(k, dtype=bool)[np.arange(n) % k],
            np.eye(k, dtype=bool)[np.zeros(n, dtype=int)], np.ones((n, k, 1), dtype=bool),
            np.full((n, k), 2),
        )
    )  # fmt: skip
    return Input(m.x, {"allowed": allowed})


def odd_box(m: Made) -> Any:
    low, high = m.x.min(axis=0), m.x.max(axis=0)
    middle = np.median(m.x, axis=0)
    return m.one_of(
        (
            [low, high], [low - 1, high + 1], [low + 1, high], [high, low], [low, low],
            [middle, high], [low - 1e100, high + 1e100], [low - 1e300, high + 1e300],
            [low * np.nan, high], [low * -np.inf, high * np.inf], [[-np.inf] * len(low), high],
            [[-np.inf] * len(low), [np.inf] * len(low)], [low - 1e-9, high + 1e-9],
            [low, high, low], [low], low, 3.0, "x", {}, [], {"x0": (0, 1)}, {"x0": (-99, 99)},
            {"x0": (None, None)},
            {"x0": (None, 99.0)}, {"f9": (0, 1)}, {"x0": 3}, {"x0": ("a", 1)}, {0: (-99, 99)},
            [[1e100] * len(low), [1e101] * len(low)], {"x0": (-99, 99), "x1": (-99, 99)},
            {f"x{j}": (-99, 99) for j in range(len(low))}, {"x0": (99, 199)}, {"x0": (np.nan, 1)},
        )
    )  # fmt: skip


@mutation("an odd selection")
def _(m: Made) -> Any:
    return Input(m.x, {"selection": odd_box(m)})


@mutation("an odd background")
def _(m: Made) -> Any:
    n = len(m.x)
    density = m.one_of((0.0, -1e3, 1e3, -1e300, -np.inf, np.nan, np.inf, 700.0, -800.0))
    return Input(m.x, {"background": odd_box(m) if m.rng.random() < 0.7 else np.full(n, density)})


@mutation("odd errors")
def _(m: Made) -> Any:
    n, d = m.x.shape
    one = np.zeros((n, d))
    one[m.row, m.column] = m.one_of((1e-300, 1.0, 1e8, 1e100, 1e150, np.inf, np.nan))
    root = m.rng.normal(size=(n, d, d))
    errors = m.one_of(
        (
            0.0, 1.0, 1e-12, 1e-200, 1e-300, 1e8, 1e100, 1e150, 1e200, -1.0, np.nan, np.inf,
            np.zeros((n, d)), np.ones((n, d)), one, np.ones(d), np.ones(d + 1), np.ones((n + 1, d)),
            root @ root.transpose(0, 2, 1), np.zeros((n, d, d)), np.ones((n, d, d)),
            -np.ones((n, d, d)), root, np.full((n, d, d), np.nan), root @ root.transpose(0, 2, 1)
            * 1e-20, np.full((n, d), "a"), [None] * d, {}, [], "x", object(), [0.0] * d, 10**400,
            np.broadcast_to(np.eye(d), (n, d, d)) * np.where(np.arange(d) % 2, 1e12, 1e-12),
        )
    )  # fmt: skip
    return Input(m.x, {"errors": errors})


@mutation("an odd resolution")
def _(m: Made) -> Any:
    d = m.x.shape[1]
    step = m.one_of(
        (0, 1, 0.1, 1e-12, 1e-300, 1e3, 1e300, -1, np.nan, np.inf, None, "x", [1] * d,
         [1] * (d + 1), ["auto"] * d, {"x0": 1}, {"x0": "auto"}, {"f9": 1}, [], {}, True, 1j,
         np.ones((d, 1)),
         [None] * d, 10**400, 5e-324)
    )  # fmt: skip
    return Input(np.round(m.x, m.one_of((0, 1, 9))), {"resolution": step})


@mutation("missing values")
def _(m: Made) -> Any:
    x = m.x
    kind = m.one_of(("entry", "row", "column", "all", "half", "most", "none", "one seen"))
    if kind == "entry":
        x[m.row, m.column] = np.nan
    elif kind == "row":
        x[m.row] = np.nan
    elif kind == "column":
        x[:, m.column] = np.nan
    elif kind == "all":
        x[:] = np.nan
    elif kind == "one seen":
        j, i = m.column, m.row
        kept = x[i, j]
        x[:, j] = np.nan
        x[i, j] = kept
    elif kind != "none":
        x[m.rng.random(x.shape) < (0.5 if kind == "half" else 0.9)] = np.nan
    options = {"missing": m.one_of(("marginal", "marginal", "marginal", "luck", 3, None))}
    if m.rng.random() < 0.3:
        options["errors"] = m.one_of((1.0, 0.1, 1e-12))
    if m.rng.random() < 0.2:
        options["row_weights"] = m.rng.integers(0, 3, len(x))
    return Input(x, options)


def unchanged(before: Any, after: Any) -> bool:
    """Whether an array is as it was; what is no array is not looked at."""
    if not isinstance(before, np.ndarray) or before.dtype.kind not in "iufc":
        return True
    return np.array_equal(np.asarray(before), np.asarray(after), equal_nan=True)


def copied(given: Input) -> Any:
    """What to compare the data to when a call is over."""
    return copy.deepcopy(given.data) if isinstance(given.data, np.ndarray) else None
