"""Batches that something gives one after the other: frames or arrays, of whatever lengths.

Rows are gone over more than once, so whatever gives them has to begin anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import default_names, read
from bayesgmm.data.sources.blocks import chosen, cut, listed
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError

_REMEDY = (
    "give a list of them, a function that returns a new iterator, or an object whose __iter__ does"
)


@dataclass(frozen=True)
class Batch:
    """Rows in memory, not yet read."""

    name: str
    value: Any
    names: tuple[str, ...] | None  # those that it has to have, if any
    n_columns: int
    first: int = 0

    @property
    def n_rows(self) -> int:
        shape = getattr(self.value, "shape", None)
        return int(shape[0]) if shape else len(self.value)

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Columns in the order of ``names``."""
        try:
            value = self.value if self.names is None else with_names(self.value, self.names)
            values, names, _ = read(value, holes=True)
        except DataError as why:
            raise DataError(f"In {self.name}: {why}", **why.facts) from why
        if values.shape[1] != self.n_columns or (self.names is None) != (names is None):
            raise DataError(
                f"In {self.name} the columns are {listed(names or default_names(values.shape[1]))} "
                f"and in the first {listed(self.names or default_names(self.n_columns))}; give "
                "all batches the same."
            )
        yield from cut(values)

    def sent(self) -> Any:
        return self


@dataclass(frozen=True)
class Batches:
    """The parts of all batches, begun anew for each pass."""

    begin: Callable[[], Iterator[Any]]
    names: tuple[str, ...] | None
    n_columns: int

    def __iter__(self) -> Iterator[Part]:
        number = -1
        for number, batch in enumerate(self.begin()):
            yield Batch(f"batch {number}", in_memory(batch), self.names, self.n_columns)
        if number < 0:
            raise DataError(f"There were batches once, but none when begun anew; {_REMEDY}.")


def batch_source(data: Any, columns: Any = None) -> Source:
    """Of an iterable of batches, or of a function that returns an iterator of them."""
    begin: Callable[[], Iterator[Any]]
    begin = partial(_called, data) if callable(data) else partial(iter, data)
    batches, anew = begin(), begin()
    if batches is anew:
        raise one_shot(data)
    nothing = object()
    first = next(batches, nothing)
    for one in (batches, anew):
        if hasattr(one, "close"):
            one.close()
    if first is nothing:
        raise DataError("There are no batches; give at least one.")
    first = in_memory(first)
    if columns is not None and is_frame(first):
        first = with_names(first, chosen(_names(first), columns, "batch 0"))
    try:
        values, names, _ = read(first, holes=True)
    except DataError as why:
        raise DataError(f"In batch 0: {why}", **why.facts) from why
    d = values.shape[1]
    if columns is not None and not is_frame(first):
        raise DataError("The columns of batches that are arrays have no names; leave columns out.")
    own = None if names is None else tuple(names)
    parts = Batches(begin, own, d)
    n_rows = None
    if isinstance(data, (list, tuple)) and all(hasattr(one, "shape") for one in data):
        n_rows = sum(one.shape[0] for one in data)
    return Source("batches", own or tuple(default_names(d)), own is not None, parts, n_rows)


def one_shot(data: Any) -> DataError:
    """What can be gone through only once."""
    return DataError(
        f"Batches are gone through several times, and this {type(data).__name__} gives them only "
        f"once; {_REMEDY}."
    )


def _called(function: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """What a function gives; a function of something else gives no batches."""
    try:
        signature(function).bind()
        return iter(function())
    except (TypeError, ValueError):
        name = getattr(function, "__name__", type(function).__name__)
        raise DataError(
            f"The function {name!r} was given as data, and does not return batches when called "
            "without arguments; give a table, or a function that does."
        ) from None


def in_memory(batch: Any) -> Any:
    """A batch as ``read`` takes it: no query, and a table where Arrow has a batch."""
    origins = _origins(batch)
    if hasattr(batch, "collect") and origins & {"polars", "narwhals"}:
        batch = batch.collect()
    if "narwhals" in origins:
        batch = batch.to_native()
    if type(batch).__name__ == "RecordBatch" and "pyarrow" in origins:
        from pyarrow import Table

        batch = Table.from_batches([batch])
    return batch


def is_frame(data: Any) -> bool:
    """Whether it is a table with named columns, of pandas, polars, Arrow or the like."""
    origins = _origins(data)
    if not origins & {"pandas", "polars", "pyarrow", "modin", "cudf", "narwhals"}:
        return False
    import narwhals as nw

    frame = nw.from_native(data, pass_through=True)
    named = type(data).__name__ == "RecordBatch" and "pyarrow" in origins
    return named or isinstance(frame, (nw.DataFrame, nw.LazyFrame))


def _origins(data: Any) -> set[str]:
    return {cls.__module__.partition(".")[0] for cls in type(data).__mro__}


def _names(frame: Any) -> list[str]:
    names = frame.column_names if hasattr(frame, "column_names") else frame.columns
    return [str(name) for name in names]


def with_names(frame: Any, columns: Sequence[str]) -> Any:
    """Some columns of a frame in this order; what is no frame as it is."""
    import narwhals as nw

    if not is_frame(frame):
        return frame
    names = _names(frame)
    for name in columns:
        if name not in names:
            raise DataError(
                f"There is no column {name!r}; the columns are {listed(names)}.", column=name
            )
    if hasattr(frame, "set_axis"):  # pandas columns may be called anything
        frame = frame.set_axis(names, axis=1)
    return nw.from_native(frame).select(list(columns)).to_native()
