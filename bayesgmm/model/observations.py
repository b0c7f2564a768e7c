"""The one door for data.

Arrays, pandas and polars frames, xarray objects and lists come in here and
nowhere else; what leaves is a checked float64 matrix with its names,
coordinates, row weights and scaling.  Bad data are refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
        Row labels: a pandas index, an xarray coordinate, or 0 .. N-1.
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

    def __post_init__(self) -> None:
        values, names, index = _read(self.data)
        if self.names is not None:
            names = [str(name) for name in self.names]
        if len(names) != values.shape[1]:
            raise DataError(
                f"{len(names)} names were given for {values.shape[1]} features; give one per column."
            )
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"Two columns are named {twice!r}; give each its own name.", column=twice)
        _refuse_unusable(values, names)
        put = object.__setattr__
        put(self, "data", None)
        put(self, "matrix", np.ascontiguousarray(values))
        put(self, "names", tuple(names))
        put(self, "index", index)
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
        n, d = self.matrix.shape
        # The rounding of a mean is of this size; a column that varies less does not vary.
        noise = 8 * np.finfo(float).eps * np.abs(self.values).max(axis=0)
        for j, name in enumerate(self.names or ()):
            if self.feature_scale[j] <= noise[j]:
                raise DataError(
                    f"Column {name!r} is constant ({self.values[0, j]:g} in every row); "
                    "drop it before fitting.",
                    column=name,
                )
        distinct = _distinct_rows(self.values, at_most=n_components)
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

    def __repr__(self) -> str:
        shown = ", ".join((self.names or ())[:6]) + (", …" if self.n_features > 6 else "")
        weighted = "" if self.row_weights is None else ", weighted"
        return f"Observations({self.n_rows} rows{weighted}; features {shown})"


def features_like(data: Any, names: Sequence[str]) -> Observations:
    """New data for a model of features ``names``, or a refusal.

    Labelled data are matched by name where all the names are there, and may come
    in another order; unlabelled data by position.
    """
    observations = data if isinstance(data, Observations) else Observations(data)
    own = list(observations.names or ())
    if own == list(names):
        return observations
    if set(names) <= set(own):
        order = [own.index(name) for name in names]
        return Observations(
            observations.values[:, order], row_weights=observations.row_weights, names=names
        )
    if observations.n_features != len(names):
        raise DataError(
            f"The model has {len(names)} features ({', '.join(names)}) but the data have "
            f"{observations.n_features}; give the same columns as in fitting.",
            expected=len(names),
            found=observations.n_features,
        )
    if own != _default_names(len(own)) and list(names) != _default_names(len(names)):
        missing = next(name for name in names if name not in own)
        raise DataError(
            f"The model's feature {missing!r} is not among the data's columns "
            f"({', '.join(own)}); rename them or pass a plain array.",
            column=missing,
        )
    return observations


def _default_names(d: int) -> list[str]:
    return [f"x{j}" for j in range(d)]


def _read(data: Any) -> tuple[NDArray[np.float64], list[str], NDArray[Any]]:
    """Values, column names and row labels of anything that is data."""
    if isinstance(data, Observations):
        return data.matrix, list(data.names or ()), data.index
    module = type(data).__module__.partition(".")[0]
    if module == "xarray":
        return _read_xarray(data)
    if module in ("pandas", "polars", "pyarrow", "modin", "cudf", "dask"):
        return _read_frame(data)
    if module == "scipy" and hasattr(data, "toarray"):
        raise DataError("The data are a sparse matrix; pass data.toarray().")
    if isinstance(data, np.ma.MaskedArray):
        raise DataError(
            "The data are a masked array, whose mask would be ignored; pass data.compressed() "
            "or the complete rows."
        )
    values = _numbers(data, None)
    return values, _default_names(values.shape[1]), np.arange(len(values))


def _read_xarray(data: Any) -> tuple[NDArray[np.float64], list[str], NDArray[Any]]:
    if hasattr(data, "data_vars"):
        if not data.data_vars:
            raise DataError("The Dataset has no variables; give one variable per feature.")
        data = data.to_dataarray("feature")
        data = data.transpose(*[d for d in data.dims if d != "feature"], "feature")
    if data.ndim not in (1, 2):
        raise DataError(f"The DataArray has dimensions {data.dims}; it must have rows and features.")
    rows, columns = data.dims[0], data.dims[-1]
    if data.ndim == 2 and (rows == "feature" or columns == "obs"):
        data, rows, columns = data.transpose(), columns, rows
    values = _numbers(data.values, None)
    index = data[rows].values if rows in data.coords else np.arange(len(values))
    if data.ndim == 2 and columns in data.coords:
        names = [str(name) for name in data[columns].values]
    elif data.ndim == 1 and data.name is not None:
        names = [str(data.name)]
    else:
        names = _default_names(values.shape[1])
    return values, names, index


def _read_frame(data: Any) -> tuple[NDArray[np.float64], list[str], NDArray[Any]]:
    import narwhals as nw

    frame = nw.from_native(data, allow_series=True, pass_through=False)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.Series):
        frame = frame.rename(str(frame.name or "x0")).to_frame()
    names = [str(name) for name in frame.columns]
    if not names:
        raise DataError("The frame has no columns; give one column per feature.")
    columns = [_numbers(frame[name].to_numpy(), name).ravel() for name in frame.columns]
    index = np.asarray(data.index) if hasattr(data, "index") else np.arange(len(frame))
    if index.ndim != 1 or len(index) != len(frame):  # a MultiIndex has no plain coordinate
        index = np.arange(len(frame))
    return np.column_stack(columns), names, index


def _numbers(data: Any, column: str | None) -> NDArray[np.float64]:
    """A two-dimensional float64 array, or the reason why not."""
    where = "The data" if column is None else f"Column {column!r}"
    try:
        array = np.asarray(data)
    except ValueError:
        raise DataError(f"{where} are ragged: rows have different lengths.") from None
    if array.ndim == 0:
        raise DataError(f"{where} must be a table of rows and features, got {data!r}.")
    if array.dtype.kind == "c":
        raise DataError(
            f"{where} hold complex numbers; pass real and imaginary parts as features. "
            "Complex data not supported."
        )
    if array.dtype.kind not in "biuf":
        array = _from_objects(array, where)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise DataError(
            f"{where} have {array.ndim} dimensions (shape {array.shape}); give rows and features, "
            "shape (N, D)."
        )
    return array.astype(np.float64, copy=False)


def _from_objects(array: NDArray[Any], where: str) -> NDArray[np.float64]:
    """Numbers that came as Python objects; the first that is not one is named."""
    if array.dtype.kind == "O":
        if array.ndim == 1 and any(isinstance(entry, (list, tuple, np.ndarray)) for entry in array):
            raise DataError(f"{where} are ragged: rows have different lengths.")
        try:
            return np.where([entry is None for entry in array.ravel()], np.nan, 0.0).reshape(
                array.shape
            ) + np.array(
                [0.0 if entry is None else _real(entry) for entry in array.ravel()]
            ).reshape(array.shape)
        except (TypeError, ValueError):
            pass
    kind = {"U": "text", "S": "text", "O": "objects", "M": "dates", "m": "time spans"}
    first = next(
        (i for i, entry in enumerate(array.reshape(len(array), -1)) if not _all_real(entry)), 0
    )
    raise DataError(
        f"{where} hold {kind.get(array.dtype.kind, array.dtype)} where numbers are needed, first "
        f"in row {first} ({array.reshape(len(array), -1)[first].tolist()!r}); encode or drop it. "
        "The argument must be a number.",
        row=first,
    )


def _real(entry: Any) -> float:
    if isinstance(entry, (str, bytes, complex)):
        raise TypeError
    return float(entry)


def _all_real(row: NDArray[Any]) -> bool:
    try:
        [_real(entry) for entry in row]
    except (TypeError, ValueError):
        return False
    return True


def _refuse_unusable(values: NDArray[np.float64], names: list[str]) -> None:
    n, d = values.shape
    if n == 0 or d == 0:
        raise DataError(
            f"The data are empty: Found array with {n} sample(s) and {d} feature(s) "
            f"(shape=({n}, {d})) while a minimum of 1 is required."
        )
    largest = np.abs(values).max(axis=0)
    if np.all(largest < _LARGEST):  # false for NaN and infinity as well
        return
    for test, what, remedy in (
        (np.isnan, "missing values (NaN)", "drop those rows or fill them in first"),
        (np.isinf, "infinite values (inf)", "remove or correct them"),
        (lambda x: np.abs(x) >= _LARGEST, "magnitudes whose squares overflow", "rescale it"),
    ):
        bad = test(values)
        if bad.any():
            column = int(np.argmax(bad.any(axis=0)))
            row = int(np.argmax(bad[:, column]))
            raise DataError(
                f"Column {names[column]!r} has {int(bad[:, column].sum())} {what}, first in row "
                f"{row} ({int(bad.sum())} in all columns); {remedy}.",
                column=names[column],
                row=row,
                count=int(bad.sum()),
            )


def _checked_weights(weights: Any, n: int) -> NDArray[np.float64]:
    array = np.ascontiguousarray(weights, dtype=np.float64)
    if array.shape != (n,):
        raise DataError(f"row_weights has shape {array.shape}; give one weight per row, ({n},).")
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"row_weights[{row}] is {array[row]}; weights are finite and not negative.", row=row
        )
    if not array.sum() > 0:
        raise DataError("row_weights are all zero; at least one row must count.")
    return array


def _distinct_rows(values: NDArray[np.float64], at_most: int) -> int:
    """Number of distinct rows, counted only as far as ``at_most``."""
    seen: set[bytes] = set()
    for row in values + 0.0:  # + 0.0 makes -0.0 and 0.0 the same bytes
        seen.add(row.tobytes())
        if len(seen) >= at_most:
            break
    return len(seen)
