"""Dask's collections, also inside xarray: a part is a partition, computed where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import default_names
from bayesgmm.data.sources.batches import Batch
from bayesgmm.data.sources.blocks import chosen, refuse_column
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError


@dataclass(frozen=True)
class Partition:
    """A partition that is still to be computed."""

    delayed: Any
    name: str
    names: tuple[str, ...] | None
    n_columns: int
    first: int
    n_rows: int | None

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Computed by this thread, or by the scheduler that is in use."""
        from dask.base import get_scheduler

        value = self.delayed.compute(scheduler=get_scheduler() or "synchronous")
        yield from _held(value, self.name, self.names, self.n_columns, self.first).blocks()

    def sent(self) -> Any:
        """A Delayed of the rows in memory, which are there where they are computed."""
        from dask.delayed import delayed

        held = delayed(_held, pure=False)
        return held(self.delayed, self.name, self.names, self.n_columns, self.first)


def _held(value: Any, name: str, names: tuple[str, ...] | None, n_columns: int, first: int) -> Part:
    return Batch(name, value, names, n_columns, first)


def dask_source(data: Any, columns: Any = None) -> Source:
    """Of a Dask array or DataFrame, or of what xarray has on Dask."""
    from dask.delayed import Delayed

    if isinstance(data, Delayed) or not hasattr(data, "dims") | hasattr(data, "_meta"):
        raise DataError(
            f"A {type(data).__name__} of Dask is no table; make it one, such as with "
            "dask.dataframe.from_delayed."
        )
    if hasattr(data, "data_vars"):
        array, names = _of_dataset(data)
        return _of_array(array, names, columns, "Dataset on Dask")
    if hasattr(data, "dims"):
        array, names = _of_dataarray(data)
        return _of_array(array, names, columns, "DataArray on Dask")
    if hasattr(data, "chunks"):
        return _of_array(data, None, columns, "Dask array")
    return _of_frame(data, columns)


def _of_array(data: Any, names: list[str] | None, columns: Any, what: str) -> Source:
    if data.ndim not in (1, 2):
        raise DataError(
            f"The {what} has {data.ndim} dimensions (shape {data.shape}); give rows and features, "
            "shape (N, D)."
        )
    if data.dtype.kind not in "iuf":
        raise DataError(f"The {what} holds {data.dtype}, where numbers are needed.")
    if columns is not None:
        if names is None:
            raise DataError(f"The columns of the {what} have no names; leave columns out.")
        wanted = chosen(names, columns, f"the {what}")
        data, names = data[:, [names.index(name) for name in wanted]], list(wanted)
    if data.ndim == 2 and data.numblocks[1] > 1:
        data = data.rechunk({1: -1})
    rows = data.chunks[0]
    d = 1 if data.ndim == 1 else int(data.shape[1])
    if names is not None:
        chosen(names, None, f"the {what}")  # names that repeat are refused
    delayed = data.to_delayed().ravel()
    unknown = any(np.isnan(n) for n in rows)
    firsts = [0] * len(rows) if unknown else np.cumsum([0, *rows[:-1]]).tolist()
    parts: list[Part] = [
        Partition(
            one,
            f"chunk {i}" if unknown else "",
            None,
            d,
            first,
            None if unknown else int(n),
        )
        for i, (one, first, n) in enumerate(zip(delayed, firsts, rows, strict=True))
    ]
    return Source(
        f"{what} of {len(parts)} chunks",
        tuple(names or default_names(d)),
        names is not None,
        parts,
        None if unknown else int(sum(rows)),
    )


def _of_frame(data: Any, columns: Any) -> Source:
    import narwhals as nw

    if data.ndim == 1:
        data = data.to_frame()
    names = [str(name) for name in data.columns]
    picked = chosen(names, columns, "the Dask DataFrame")
    meta = nw.from_native(data._meta.set_axis(names, axis=1))
    numbers = [
        name
        for name, dtype in meta.schema.items()
        if dtype.is_numeric() or dtype in (nw.Object, nw.Unknown)  # seen when they are read
    ]
    for name in picked:
        if name not in numbers:
            refuse_column(name, str(meta.schema[name]), numbers, "the Dask DataFrame")
    data = data[[data.columns[names.index(name)] for name in picked]]
    parts: list[Part] = [
        Partition(one, f"partition {i}", picked, len(picked), 0, None)
        for i, one in enumerate(data.to_delayed())
    ]
    return Source(f"Dask DataFrame of {len(parts)} partitions", picked, True, parts)


def _of_dataset(data: Any) -> tuple[Any, list[str] | None]:
    """As one array, as ``reading`` makes of one in memory."""
    import dask.array as da

    variables = {str(name): variable for name, variable in data.data_vars.items()}
    if len(variables) == 1:
        return _of_dataarray(*variables.values())
    shapes = {variable.dims for variable in variables.values()}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise DataError(
            f"The Dataset has {len(variables)} variables along the dimensions "
            f"{tuple(map(str, data.sizes))}; give one variable per feature, all along the rows."
        )
    columns = [da.asarray(variable.data) for variable in variables.values()]
    return da.stack(columns, axis=1), list(variables)


def _of_dataarray(data: Any) -> tuple[Any, list[str] | None]:
    if data.ndim not in (1, 2):
        raise DataError(
            f"The DataArray has {data.ndim} dimensions {data.dims}; give rows and features."
        )
    rows, columns = data.dims[0], data.dims[-1]
    if data.ndim == 2 and (rows == "feature" or columns == "obs"):
        data, columns = data.transpose(), rows
    if data.ndim == 2:
        named = columns in data.coords
        return data.data, [str(name) for name in data[columns].values] if named else None
    return data.data, None if data.name is None else [str(data.name)]
