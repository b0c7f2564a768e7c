"""Data of any kind opened: read at once, or as a source where they are larger than that.

Columns are chosen here, and those taken out of the features that say something else of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import read
from bayesgmm.data.sources.opening import source_of, with_columns
from bayesgmm.data.sources.source import Source
from bayesgmm.errors import DataError
from bayesgmm.options import shown

#: Bytes, as float64, up to which a file or a collection is read into memory at once.
IN_MEMORY = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Opened:
    """What is to be read, or was: exactly one of ``values`` and ``source``."""

    values: NDArray[np.float64] | None  # (N, D) features
    index: NDArray[Any] | None
    names: list[str] | None  # of the features, where they came with the data
    beside: dict[str, NDArray[np.float64]]  # (N,) columns that say something else
    source: Source | None = None
    at: tuple[int, ...] = ()  # of the features among the source's columns
    beside_at: dict[str, int] = field(default_factory=dict)


def opened(
    data: Any,
    *,
    columns: Sequence[str] | None,
    beside: dict[str, str],
    in_memory: bool | None,
    holes: bool,
) -> Opened:
    """``beside`` names columns by what they are: ``{"row_weights": "w"}``."""
    if columns is not None:
        if np.ndim(columns) != 1 or not all(isinstance(name, str) for name in columns):
            raise DataError(f"columns must be a sequence of names, got {shown(columns)}.")
        columns = [*columns, *(name for name in beside.values() if name not in columns)]
    if isinstance(data, Source):
        source: Source | None = data if columns is None else with_columns(data, columns)
    else:
        source = source_of(data, columns)
    if source is None:
        if in_memory is False:
            raise DataError("The data are in memory already; leave in_memory out.")
        if columns is not None or beside:
            data = _chosen(data, columns)
        values, own, index = read(data, holes=holes)
        if not beside:
            return Opened(values, index, own, {})
        at, beside_at = _apart(own, beside)
        others = {what: values[:, j] for what, j in beside_at.items()}
        return Opened(values[:, at], index, [own[j] for j in at], others)  # type: ignore[index]
    at, beside_at = _apart(list(source.columns), beside)
    names = [source.columns[j] for j in at] if source.named else None
    if in_memory is None:
        source, in_memory = _small(source)
    if not in_memory:
        return Opened(None, None, names, {}, source, tuple(at), beside_at)
    whole = _in_one(source)
    index = np.arange(len(whole))
    if columns is None and not beside and not callable(data) and hasattr(data, "shape"):
        values, own, index = read(data, holes=holes)  # with its labels of rows
        return Opened(values, index, own, {})
    others = {what: whole[:, j] for what, j in beside_at.items()}
    values = whole if len(at) == whole.shape[1] else np.ascontiguousarray(whole[:, at])
    return Opened(values, index, names, others)


def _chosen(data: Any, columns: Sequence[str] | None) -> Any:
    """Some columns of a frame or a Dataset in memory."""
    own = getattr(data, "data_vars", getattr(data, "column_names", getattr(data, "columns", None)))
    if own is None:
        raise DataError(
            "Columns can be named of data whose columns have names; give a frame, or arrays."
        )
    if columns is None:
        return data
    for name in columns:
        if name not in list(own):
            raise DataError(
                f"There is no column {name!r}; the columns are {', '.join(map(str, own))}.",
                column=name,
            )
    return data.select(list(columns)) if hasattr(data, "select") else data[list(columns)]


def _apart(own: list[str] | None, beside: dict[str, str]) -> tuple[list[int], dict[str, int]]:
    """Positions of the features, and of the others by what they are."""
    own = own or []
    for what, name in beside.items():
        if name not in own:
            raise DataError(
                f"{what} names the column {name!r}, which is not there; the columns are "
                f"{', '.join(own)}.",
                column=name,
            )
    beside_at = {what: own.index(name) for what, name in beside.items()}
    return [j for j in range(len(own)) if j not in beside_at.values()], beside_at


def _small(source: Source) -> tuple[Source, bool]:
    """Whether the rows are few enough to be read at once; nobody knows of some but by reading."""
    if source.nbytes is not None:
        return source, source.nbytes <= IN_MEMORY
    most, n = IN_MEMORY // (8 * len(source.columns)), 0
    for part in source.parts:
        for block in part.blocks():
            n += len(block)
            if n > most:
                return source, False
    return replace(source, n_rows=n), True


def _in_one(source: Source) -> NDArray[np.float64]:
    blocks = [block for part in source.parts for block in part.blocks()]
    return np.concatenate(blocks) if blocks else np.empty((0, len(source.columns)))
