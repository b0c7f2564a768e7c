"""The one door for data.

Arrays, pandas and polars frames, xarray objects and lists come in here and
nowhere else; what leaves is a checked float64 matrix with its names,
coordinates, row weights and scaling.  Bad data are refused in one sentence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import DataError
from bayesgmm.model.spec import Structure

#: Beyond this a square, or a sum of squares, leaves the range of float64.
_LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class Observations:
    """Data to fit, checked once and labelled from then on.

    Parameters
    ----------
    data : array, DataFrame, Series, DataArray, Dataset, list or Observations
        N rows and D features; one dimension is read as one feature.  Integer
        and float32 data are cast to float64.  Row and column labels of pandas,
        polars and xarray are kept.
    row_weights : array of shape (N,), optional
        Non-negative weight of each row in the likelihood: 2 counts a row twice.
    names : sequence of D strings, optional
        Feature names, where the data bring none or others are wanted.

    Attributes
    ----------
    values : array of shape (N, D)
        The data, in their own units, C-contiguous float64, read-only.
    matrix : array of shape (N, D)
        The same for compiled code, which would be compiled once more for read-only
        arrays.  Not to be written to.
    names : tuple of str
    index : array of shape (N,)
        Row labels: a pandas index, an xarray coordinate, or 0 .. N-1.  Those that no
        file holds as they are (of a MultiIndex, periods, time zones) are text.
    labelled : bool
        Whether the names came with the data or were given; without, they are x0, x1, ...
    row_weights : array of shape (N,) or None

    Raises
    ------
    DataError
        In one sentence: what was wrong, where, and what to do.

    Examples
    --------
    >>> from bayesgmm import Observations
    >>> Observations([[1, 2], [3, 5], [4, 4]], names=["a", "b"])
    Observations(3 rows; features a, b)
    """

    data: Any = field(repr=False)
    row_weights: NDArray[np.float64] | None = None
    names: Sequence[str] | None = None
    matrix: NDArray[np.float64] = field(init=False, repr=False)
    index: NDArray[Any] = field(init=False)
    labelled: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values, own, index = _read(self.data)
        put = object.__setattr__
        if isinstance(self.data, Observations) and self.row_weights is None:
            put(self, "row_weights", self.data.row_weights)
        if self.names is not None:
            own = _given_names(self.names, values.shape[1])
        names = _default_names(values.shape[1]) if own is None else own
        _refuse_repeated(names)
        _refuse_unusable(values, names)
        put(self, "data", None)
        put(self, "matrix", np.require(values, requirements=["C", "W"]))  # a copy if read-only
        put(self, "names", tuple(names))
        put(self, "index", index)
        put(self, "labelled", own is not None)
        if self.row_weights is not None:
            put(self, "row_weights", _checked_weights(self.row_weights, len(values)))

    @property
    def values(self) -> NDArray[np.float64]:
        """The data (N, D), read-only."""
        view = self.matrix.view()
        view.flags.writeable = False
        return view

    @property
    def n_rows(self) -> int:
        """N."""
        return self.matrix.shape[0]

    @property
    def n_features(self) -> int:
        """D."""
        return self.matrix.shape[1]

    @cached_property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return float(self.n_rows if self.row_weights is None else self.row_weights.sum())

    @cached_property
    def center(self) -> NDArray[np.float64]:
        """Mean of each feature, where the standardised scale has its zero."""
        return np.average(self.values, axis=0, weights=self.row_weights)

    @cached_property
    def feature_scale(self) -> NDArray[np.float64]:
        """Standard deviation of each feature (divisor N)."""
        variance = np.empty(self.n_features)
        for j in range(self.n_features):  # a column at a time: no copy of all the data
            deviation = self.values[:, j] - self.center[j]
            variance[j] = np.average(deviation * deviation, weights=self.row_weights)
        return np.sqrt(variance)

    def scale_for(self, covariance: Structure) -> NDArray[np.float64]:
        """Units of the standardised scale, shape (D,).

        One common factor for ``spherical``: separate ones would turn its circles
        into ellipses and so change the model.
        """
        if covariance == "spherical":
            return np.full(self.n_features, np.sqrt(np.mean(self.feature_scale**2)))
        return self.feature_scale

    def require(self, n_components: int, covariance: Structure, *, likelihood_only: bool) -> None:
        """Refuse data on which such a mixture cannot be fitted.

        ``likelihood_only`` asks for what maximum likelihood needs: without a
        prior, each component must have rows enough for its covariance.
        """
        counted = self.values if self.row_weights is None else self.values[self.row_weights > 0]
        n, d = counted.shape
        if n == 1:
            raise DataError(
                "Only one row counts (n_samples=1), which has no spread to fit; give two or more."
            )
        # The rounding of a mean is of this size; a column that varies less does not vary.
        noise = 8 * np.finfo(float).eps * _largest(counted)
        for j, name in enumerate(self.names or ()):
            if self.feature_scale[j] <= noise[j]:
                raise DataError(
                    f"Column {name!r} is constant ({counted[0, j]:g} in every row); "
                    "drop it before fitting.",
                    column=name,
                )
        distinct = _distinct_rows(counted, at_most=n_components)
        if n_components > distinct:
            raise DataError(
                f"{n_components} components were asked of data with only {distinct} distinct "
                f"rows; use n_components <= {distinct}.",
                distinct=distinct,
            )
        if likelihood_only and covariance == "full" and n < n_components * (d + 1):
            raise DataError(
                f"{n} rows are too few for {n_components} full covariance matrices of {d} "
                f"features, which need {n_components * (d + 1)}; use covariance='diag', fewer "
                "components, or method='map'.",
                rows=n,
            )

    def select(self, names: Sequence[str]) -> Observations:
        """The same rows with some features, in the order given."""
        own = list(self.names or ())
        columns = self.values[:, [own.index(name) for name in names]]
        chosen = Observations(columns, row_weights=self.row_weights, names=names)
        object.__setattr__(chosen, "index", self.index)
        return chosen

    def __repr__(self) -> str:
        shown = ", ".join((self.names or ())[:6]) + (", …" if self.n_features > 6 else "")
        weighted = "" if self.row_weights is None else ", weighted"
        return f"Observations({self.n_rows} rows{weighted}; features {shown})"


def features_like(data: Any, names: Sequence[str]) -> Observations:
    """New data for a model of features ``names``, or a refusal.

    Labelled data are matched by name where all the names are there, and may come
    in another order; unlabelled data by position, whatever the model's names.
    """
    observations = data if isinstance(data, Observations) else Observations(data)
    own = list(observations.names or ())
    if own == list(names):
        return observations
    if observations.labelled and set(names) <= set(own):
        return observations.select(names)
    if observations.n_features != len(names):
        raise DataError(
            f"The model has {len(names)} features ({', '.join(names)}) but the data have "
            f"{observations.n_features}; give the same columns as in fitting.",
            expected=len(names),
            found=observations.n_features,
        )
    if observations.labelled and list(names) != _default_names(len(names)):
        missing = next(name for name in names if name not in own)
        raise DataError(
            f"The model's feature {missing!r} is not among the data's columns "
            f"({', '.join(own)}); rename them or pass a plain array.",
            column=missing,
        )
    return observations


def _default_names(d: int) -> list[str]:
    return [f"x{j}" for j in range(d)]


def _given_names(names: Any, d: int) -> list[str]:
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise DataError(f"names must be a sequence of {d} strings, got {names!r}.")
    given = [str(name) for name in names]
    if len(given) != d:
        raise DataError(f"{len(given)} names were given for {d} features; give one per column.")
    return given


def _refuse_repeated(names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"Two columns are named {twice!r}; give each its own name.", column=twice)


def _read(data: Any) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    """Values, column names if there are any, and row labels of anything that is data."""
    if isinstance(data, Observations):
        return data.matrix, list(data.names or ()) if data.labelled else None, data.index
    origins = {cls.__module__.partition(".")[0] for cls in type(data).__mro__}
    if "xarray" in origins:
        return _read_dataset(data) if hasattr(data, "data_vars") else _read_dataarray(data)
    if origins & {"pandas", "polars", "pyarrow", "modin", "cudf", "dask"}:
        import narwhals as nw

        if hasattr(data, "set_axis") and data.ndim == 2:  # pandas columns may be called anything
            names = [str(name) for name in data.columns]
            _refuse_repeated(names)
            data = data.set_axis(names, axis=1)
        _refuse_repeated(list(getattr(data, "column_names", ())))
        frame = nw.from_native(data, allow_series=True, pass_through=True)
        if frame is not data:  # otherwise it is an array of one of these packages
            index = getattr(data, "index", None)
            return _read_frame(frame, None if callable(index) else index)
    if hasattr(data, "toarray"):
        raise DataError("The data are a sparse matrix; pass data.toarray().")
    _refuse_masked(data, "The data are", "pass the complete rows, numpy.ma.compress_rows(data)")
    values = _numbers(data, None)
    return values, None, np.arange(len(values))


def _read_dataset(data: Any) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    variables = {str(name): variable for name, variable in data.data_vars.items()}
    if len(variables) == 1:
        return _read_dataarray(*variables.values())
    shapes = {variable.dims for variable in variables.values()}
    if len(shapes) != 1 or len(rows := shapes.pop()) != 1:
        raise DataError(
            f"The Dataset has {len(variables)} variables along the dimensions "
            f"{tuple(map(str, data.sizes))}; give one variable per feature, all along the rows."
        )
    columns = [_numbers(variable.values, name) for name, variable in variables.items()]
    return np.hstack(columns), list(variables), _coordinate(data, rows[0], len(columns[0]))


def _read_dataarray(data: Any) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    if data.ndim not in (1, 2):
        raise DataError(
            f"The DataArray has {data.ndim} dimensions {data.dims}; give rows and features."
        )
    rows, columns = data.dims[0], data.dims[-1]
    if data.ndim == 2 and (rows == "feature" or columns == "obs"):
        data, rows, columns = data.transpose(), columns, rows
    values = _numbers(data.values, None)
    names = None
    if data.ndim == 2 and columns in data.coords:
        names = [str(name) for name in data[columns].values]
    elif data.ndim == 1 and data.name is not None:
        names = [str(data.name)]
    return values, names, _coordinate(data, rows, len(values))


def _coordinate(data: Any, rows: Any, n: int) -> NDArray[Any]:
    return _labels(data[rows].values) if rows in data.coords else np.arange(n)


def _labels(index: Any) -> NDArray[Any]:
    """Row labels as one plain array; those of other types as text."""
    labels = np.asarray(index)
    if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        labels = np.array([str(label) for label in labels])
    return labels


def _read_frame(
    frame: Any, index: Any
) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    """Of a frame or series as narwhals shows it, with the row labels of pandas."""
    if hasattr(frame, "collect"):
        frame = frame.collect()
    if hasattr(frame, "to_frame"):
        names = None if frame.name in (None, "") else [str(frame.name)]
        columns = [_numbers(frame.to_numpy(), "x0" if names is None else names[0])]
    else:
        names = list(frame.columns)
        columns = [_numbers(column.to_numpy(), column.name) for column in frame.iter_columns()]
    if not columns:
        raise DataError("The frame has no columns; give one column per feature.")
    labels = np.arange(len(columns[0])) if index is None else _labels(index)
    return np.hstack(columns), names, labels


def _refuse_masked(data: Any, what: str, remedy: str) -> None:
    rows = data if isinstance(data, (list, tuple)) else (data,)
    if any(isinstance(row, np.ma.MaskedArray) for row in rows):
        raise DataError(f"{what} a masked array, whose mask would be ignored; {remedy}.")


def _numbers(data: Any, column: str | None) -> NDArray[np.float64]:
    """A two-dimensional float64 array, or the reason why not."""
    what = "The data hold" if column is None else f"Column {column!r} holds"
    try:
        array = np.asarray(data)
    except ValueError:
        raise _ragged(data) from None
    if array.ndim == 0:
        raise DataError(
            "The data must be a table of rows and features, such as an array or a frame, got "
            f"{type(data).__name__}."
        )
    if array.ndim == 1 and column is None and _first_of(array, (list, tuple, np.ndarray)):
        raise _ragged(array)
    if array.dtype.kind == "c" or _first_of(array, (complex, np.complexfloating)):
        raise DataError(
            f"{what} complex numbers; pass real and imaginary parts as features: "
            "Complex data not supported."
        )
    if array.dtype.kind not in "iuf":
        array = _from_objects(array, what)
    if array.ndim > (2 if column is None else 1):
        where = "The data have" if column is None else f"Column {column!r} has"
        raise DataError(
            f"{where} {array.ndim} dimensions (shape {array.shape}); give rows and features, "
            "shape (N, D)."
        )
    if array.ndim == 1:
        array = array[:, None]
    with np.errstate(over="ignore"):  # a long double may become infinite, which is refused
        return array.astype(np.float64, copy=False)


def _first_of(array: NDArray[Any], types: tuple[type, ...]) -> bool:
    """Whether an array of objects has one of these types."""
    return array.dtype.kind == "O" and any(isinstance(entry, types) for entry in array.flat)


def _ragged(rows: Any) -> DataError:
    sizes = [len(row) if hasattr(row, "__len__") else 1 for row in rows]
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    what = "nested unevenly" if other is None else (
        f"ragged: row 0 has {sizes[0]} entries and row {other} has {sizes[other]}"
    )
    return DataError(f"The data are {what}; give every row the same number of entries.", row=other)


#: What an entry that is no number is called in messages.
_KINDS: tuple[tuple[Any, str], ...] = (
    ((bool, np.bool_), "truth values"),
    ((str, bytes), "text"),
    ((date, np.datetime64), "dates"),
    ((timedelta, np.timedelta64), "time spans"),
    ((list, tuple, np.ndarray), "lists"),
)


def _from_objects(array: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Numbers that came as Python objects; the first that is not one is named."""
    numbers = np.zeros(array.shape)
    if array.size == 0:
        return numbers
    first = None
    if array.dtype.kind == "O":
        for at in np.ndindex(*array.shape):
            try:
                numbers[at] = _real(array[at])
            except (TypeError, ValueError):
                first = at
                break
        else:
            return numbers
    if first is None:  # an array of text, dates, or truth: say where it is least a number
        first = next((at for at in np.ndindex(*array.shape) if not _parses(array[at])),
                     (0,) * array.ndim)  # fmt: skip
    entry = array[first]
    kind = next((name for types, name in _KINDS if isinstance(entry, types)), type(entry).__name__)
    where = "".join(f", {axis} {i}" for axis, i in zip(("row", "column"), first, strict=False))[2:]
    raise DataError(
        f"{what} {kind} where numbers are needed, first in {where} ({str(entry)!r}); make "
        "them numbers or leave them out: The argument must be a number.",
        row=first[0],
    )


def _real(entry: Any) -> float:
    """A number as a float; a missing one is NaN, one out of range the largest."""
    if entry is None or type(entry).__name__ == "NAType":
        return np.nan
    if isinstance(entry, (bool, np.bool_, str, bytes)):
        raise TypeError
    try:
        return float(entry)
    except OverflowError:
        return sys.float_info.max if entry > 0 else -sys.float_info.max


def _parses(entry: Any) -> bool:
    try:
        return isinstance(entry, (str, bytes)) and np.isfinite(float(entry))
    except ValueError:
        return False


def _largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest magnitude in each column, without a copy of the data."""
    return np.maximum(values.max(axis=0), -values.min(axis=0))


def _refuse_unusable(values: NDArray[np.float64], names: list[str]) -> None:
    n, d = values.shape
    if n == 0 or d == 0:
        raise DataError(
            f"The data are empty: Found array with {n} sample(s) and {d} feature(s) "
            f"(shape=({n}, {d})) while a minimum of 1 is required."
        )
    if np.all(_largest(values) < _LARGEST):  # false for NaN and infinity as well
        return
    for test, one, many, remedy in (
        (np.isnan, "missing value (NaN)", "missing values (NaN)",
         "drop those rows or fill them in first"),
        (np.isinf, "infinite value (inf)", "infinite values (inf)", "remove or correct them"),
        (lambda x: np.abs(x) >= _LARGEST, "magnitude whose square overflows",
         "magnitudes whose squares overflow", "rescale the column"),
    ):  # fmt: skip
        bad = test(values)
        if bad.any():
            column = int(np.argmax(bad.any(axis=0)))
            row = int(np.argmax(bad[:, column]))
            count = int(bad[:, column].sum())
            raise DataError(
                f"Column {names[column]!r} has {count} {one if count == 1 else many}, first in "
                f"row {row} ({int(bad.sum())} in all columns); {remedy}.",
                column=names[column],
                row=row,
                count=int(bad.sum()),
            )


def _checked_weights(weights: Any, n: int) -> NDArray[np.float64]:
    _refuse_masked(weights, "row_weights are", "give those rows a weight of 0")
    try:
        array = np.ascontiguousarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("row_weights must be numbers; give one per row.") from None
    if np.shape(weights) != (n,):
        raise DataError(
            f"row_weights has shape {np.shape(weights)}; give one weight per row, ({n},)."
        )
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"row_weights[{row}] is {array[row]}; give a finite weight of 0 or more.", row=row
        )
    if not array.any():
        raise DataError("row_weights are all zero; at least one row must count.")
    if not array.max() < _LARGEST:
        raise DataError("row_weights are too large to add up; divide them all by their largest.")
    return array


def _distinct_rows(values: NDArray[np.float64], at_most: int) -> int:
    """Number of distinct rows, counted only as far as ``at_most``."""
    seen: set[bytes] = set()
    for row in values + 0.0:  # + 0.0 makes -0.0 and 0.0 the same bytes
        seen.add(row.tobytes())
        if len(seen) >= at_most:
            break
    return len(seen)
