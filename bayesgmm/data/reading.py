"""Reading data of any kind into a float64 matrix, names and row labels.

The second half of the one door (``observations`` is the first): what can be read is
read, what cannot is refused in one sentence that says what, where and what to do.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import DataError
from bayesgmm.options import shown

#: Beyond this a square, or a sum of squares, leaves the range of float64.
LARGEST = 1e150


def default_names(d: int) -> list[str]:
    return [f"x{j}" for j in range(d)]


def given_names(names: Any, d: int) -> list[str]:
    try:
        if isinstance(names, str):
            raise TypeError
        given = [str(name) for name in names]
    except TypeError:
        raise DataError(f"names must be a sequence of {d} strings, got {shown(names)}.") from None
    if len(given) != d:
        raise DataError(f"{len(given)} names were given for {d} features; give one per column.")
    return given


def refuse_unwritable(names: list[str]) -> None:
    """Refuse names that no file can hold: half of a surrogate pair is no character."""
    for j, name in enumerate(names):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"The name of column {j}, {name!a}, holds half of a surrogate pair, which is no "
                "character; rename the column.",
                column=name,
            ) from None


def refuse_repeated(names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"Two columns are named {twice!r}; give each its own name.", column=twice)


def read(
    data: Any, *, holes: bool = False
) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    """Values, column names if there are any, and row labels of anything that is data.

    ``holes`` says that what is masked is not there.
    """
    if holes and isinstance(data, np.ma.MaskedArray):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    origins = {cls.__module__.partition(".")[0] for cls in type(data).__mro__}
    if "xarray" in origins:
        return _read_dataset(data) if hasattr(data, "data_vars") else _read_dataarray(data)
    if origins & {"pandas", "polars", "pyarrow", "modin", "cudf", "dask"}:
        import narwhals as nw

        if hasattr(data, "set_axis") and data.ndim == 2:  # pandas columns may be called anything
            names = [str(name) for name in data.columns]
            refuse_repeated(names)
            refuse_unwritable(names)
            data = data.set_axis(names, axis=1)
        refuse_repeated(list(getattr(data, "column_names", ())))
        frame = nw.from_native(data, allow_series=True, pass_through=True)
        if frame is not data:  # otherwise it is an array of one of these packages
            index = getattr(data, "index", None)
            return _read_frame(frame, None if callable(index) else index)
    if hasattr(data, "toarray"):
        raise DataError("The data are a sparse matrix; pass data.toarray().")
    remedy = "pass numpy.ma.compress_rows(data), or Observations(data, missing='marginal')"
    _refuse_masked(data, "The data are", remedy)
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
    return row_labels(data[rows].values) if rows in data.coords else np.arange(n)


def row_labels(index: Any) -> NDArray[Any]:
    """Row labels as one plain array; those of other types as text, which a file can hold."""
    labels = np.asarray(index)
    if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        labels = np.array([str(label) for label in labels])
    if labels.dtype.kind in "OU":
        try:
            "".join(labels.tolist()).encode()
        except UnicodeEncodeError:  # half of a surrogate pair is no character
            plain = [label.encode(errors="backslashreplace").decode() for label in labels.tolist()]
            labels = np.array(plain)
    return labels


def _read_frame(
    frame: Any, index: Any
) -> tuple[NDArray[np.float64], list[str] | None, NDArray[Any]]:
    """Of a frame or series as narwhals shows it, with the row labels of pandas."""
    if hasattr(frame, "collect"):
        frame = frame.collect()
    if hasattr(frame, "to_frame"):
        names = None if frame.name in (None, "") else [str(frame.name)]
        columns = [_numbers(_in_numpy(frame), "x0" if names is None else names[0])]
    else:
        names = list(frame.columns)
        columns = [_numbers(_in_numpy(column), column.name) for column in frame.iter_columns()]
    if not columns:
        raise DataError("The frame has no columns; give one column per feature.")
    labels = np.arange(len(columns[0])) if index is None else row_labels(index)
    return np.hstack(columns), names, labels


def _in_numpy(series: Any) -> Any:
    """A narwhals series as NumPy has it; numbers of 128 bits, which it has not, as floats."""
    import narwhals as nw

    wide = series.dtype in (nw.Int128, nw.UInt128)
    return (series.cast(nw.Float64) if wide else series).to_numpy()


def _refuse_masked(data: Any, what: str, remedy: str) -> None:
    rows = data if isinstance(data, (list, tuple)) else (data,)
    if any(
        isinstance(row, np.ma.MaskedArray)
        or (isinstance(row, (list, tuple)) and any(entry is np.ma.masked for entry in row))
        for row in rows
    ):
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
    what = (
        "nested unevenly"
        if other is None
        else (f"ragged: row 0 has {sizes[0]} entries and row {other} has {sizes[other]}")
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
                numbers[at] = number_or_nan(array[at])
            except (TypeError, ValueError):
                first = at
                break
        else:
            return numbers
    if first is None:  # an array of text, dates, or truth: say where it is least a number
        first = next(
            (at for at in np.ndindex(*array.shape) if not _parses(array[at])), (0,) * array.ndim
        )
    entry = array[first]
    kind = next((name for types, name in _KINDS if isinstance(entry, types)), type(entry).__name__)
    where = "".join(f", {axis} {i}" for axis, i in zip(("row", "column"), first, strict=False))[2:]
    raise DataError(
        f"{what} {kind} where numbers are needed, first in {where} ({str(entry)!r}); make "
        "them numbers or leave them out: The argument must be a number.",
        row=first[0],
    )


def number_or_nan(entry: Any) -> float:
    """A number as a float; a missing one is NaN, one out of range the largest."""
    if entry is None or entry is np.ma.masked or type(entry).__name__ == "NAType":
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


def largest_magnitudes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest magnitude in each column, without a copy of the data."""
    return np.fmax(np.fmax.reduce(values), -np.fmin.reduce(values))


class Place(NamedTuple):
    """Where a block of rows lies."""

    name: str  # of a file, or empty
    first: int  # the number of its first row there

    def of(self, row: int) -> str:
        """One of its rows, for people."""
        return f"row {row + self.first:,}" + (f" of {self.name}" if self.name else "")


def refuse_unusable(
    values: NDArray[np.float64], names: list[str], *, holes: bool, place: Place | None = None
) -> None:
    n, d = values.shape
    if n == 0 or d == 0:
        raise DataError(
            f"The data are empty: Found array with {n} sample(s) and {d} feature(s) "
            f"(shape=({n}, {d})) while a minimum of 1 is required."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum(axis=0)
    if not np.isnan(total).any() and np.all(largest_magnitudes(values) < LARGEST):
        return
    if holes:
        values = np.where(np.isnan(values), 0.0, values)
    for test, one, many, remedy in (
        (
            np.isnan,
            "missing value (NaN)",
            "missing values (NaN)",
            "drop those rows, or pass Observations(data, missing='marginal') to fit what was seen",
        ),
        (np.isinf, "infinite value (inf)", "infinite values (inf)", "remove or correct them"),
        (
            lambda x: np.abs(x) >= LARGEST,
            "magnitude whose square overflows",
            "magnitudes whose squares overflow",
            "rescale the column",
        ),
    ):
        bad = test(values)
        if bad.any():
            column = int(np.argmax(bad.any(axis=0)))
            row = int(np.argmax(bad[:, column]))
            count = int(bad[:, column].sum())
            if place is not None:  # of what comes after this block nothing is known
                raise DataError(
                    f"Column {names[column]!r} has {many}, first in {place.of(row)}; {remedy}.",
                    column=names[column],
                    row=row + place.first,
                )
            raise DataError(
                f"Column {names[column]!r} has {count} {one if count == 1 else many}, first in "
                f"row {row} ({int(bad.sum())} in all columns); {remedy}.",
                column=names[column],
                row=row,
                count=int(bad.sum()),
            )


def checked_weights(weights: Any, n: int) -> NDArray[np.float64]:
    _refuse_masked(weights, "row_weights are", "give those rows a weight of 0")
    if type(weights).__module__.startswith("polars"):
        import narwhals as nw

        weights = nw.from_native(weights, allow_series=True, pass_through=True)
        weights = _in_numpy(weights) if isinstance(weights, nw.Series) else weights
    try:
        if np.iscomplexobj(weights):  # NumPy would drop the imaginary parts
            raise TypeError
        # A copy if read-only, for which compiled code would be compiled once more.
        array = np.require(weights, dtype=np.float64, requirements=["C", "W"])
    except (TypeError, ValueError, OverflowError):
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
    if not array.max() < LARGEST:
        raise DataError("row_weights are too large to add up; divide them all by their largest.")
    return array
