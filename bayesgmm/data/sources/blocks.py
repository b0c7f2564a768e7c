"""How what was read becomes blocks, and how its columns are chosen and its faults told.

Every kind of source reads in its own way; what they share is here, so that all give the same
blocks and the same sentences.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import refuse_repeated, refuse_unwritable
from bayesgmm.data.sources import source
from bayesgmm.errors import BayesGMMError, DataError, FileError
from bayesgmm.options import shown

#: Numbers of a block, about: what a core keeps in its own cache between reading a block and
#: working on it, and what threads do between blocks is little beside the work on them.
_NUMBERS = 655_360
#: Rows of columns that are put side by side at once.
_TURNED = 4_096
#: Rows below which what is done once for a block and column costs more than the cache saves.
_LEAST = 2_048


def rows_at_once(d: int) -> int:
    """Rows of a block with so many columns."""
    return min(source.BLOCK, max(_LEAST, _NUMBERS // max(d, 1)))


def cut(array: Any) -> Iterator[NDArray[np.float64]]:
    """Blocks of an array in memory, or mapped into it: copies, which are the caller's own."""
    step = rows_at_once(1 if array.ndim == 1 else array.shape[1])
    for start in range(0, len(array), step):
        piece = array[start : start + step]
        with np.errstate(over="ignore"):  # a long double may become infinite, which is refused
            block = np.array(piece, dtype=np.float64, order="C")
        yield block[:, None] if block.ndim == 1 else block


def of_arrow(columns: Sequence[Any]) -> NDArray[np.float64]:
    """One block of Arrow arrays of numbers; nulls are NaN."""
    arrays = [
        (column if _as_numpy_has_it(column.type) else column.cast("float64", safe=False)).to_numpy(
            zero_copy_only=False
        )
        for column in columns
    ]
    n = len(arrays[0])
    block = np.empty((n, len(arrays)))
    for start in range(0, n, _TURNED):  # a piece of all columns at a time, which stays in cache
        piece = block[start : start + _TURNED]
        for j, array in enumerate(arrays):
            piece[:, j] = array[start : start + _TURNED]
    return block


def _as_numpy_has_it(type_: Any) -> bool:
    from pyarrow import types

    return bool(types.is_floating(type_) or types.is_integer(type_))


def _of_numbers(type_: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(type_):
        return _of_numbers(type_.value_type)
    return bool(_as_numpy_has_it(type_) or types.is_decimal(type_) or types.is_null(type_))


def arrow_columns(schema: Any, columns: Any, where: str) -> tuple[str, ...]:
    """Which columns of an Arrow schema are read: those chosen, or all but the index of pandas.

    What is read must be numbers.
    """
    names, pandas = list(schema.names), schema.pandas_metadata or {}
    index = {name for name in pandas.get("index_columns", ()) if isinstance(name, str)}
    picked = chosen(names, columns, where)
    if columns is None and len(index) < len(names):
        picked = tuple(name for name in picked if name not in index)
    numbers = [field.name for field in schema if _of_numbers(field.type)]
    for name in picked:
        if name not in numbers:
            refuse_column(name, str(schema.field(name).type), numbers, where)
    return picked


def refuse_column(name: str, kind: str, numbers: Sequence[str], where: str) -> None:
    """A column that was to be read and is not of numbers."""
    remedy = "there are none of numbers"
    if numbers:
        some = ", ".join(map(repr, numbers[:4])) + (", ..." if len(numbers) > 4 else "")
        remedy = f"choose those of numbers, columns=[{some}]"
    raise DataError(
        f"Column {name!r} of {where} is of type {kind}, which is no number; {remedy}.", column=name
    )


def chosen(names: Sequence[str], columns: Any, where: str) -> tuple[str, ...]:
    """The columns that are wanted, all where None; those that are not there are refused."""
    refuse_repeated(list(names))
    refuse_unwritable(list(names))
    if not names:
        raise DataError(f"There are no columns in {where}; give one column per feature.")
    if columns is None:
        return tuple(names)
    if isinstance(columns, str) or not hasattr(columns, "__iter__"):
        raise DataError(f"columns must be a sequence of names, got {shown(columns)}.")
    picked = tuple(columns)
    if not picked:
        raise DataError("columns is empty; name at least one column.")
    for name in picked:
        if name not in names:
            raise DataError(
                f"There is no column {shown(name)} in {where}; the columns are {listed(names)}.",
                column=name,
            )
    refuse_repeated(list(picked))
    return picked


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a sentence, the first of them where there are many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


@contextmanager
def reading(name: str, error: type[BayesGMMError] = FileError) -> Iterator[None]:
    """What goes wrong in here is told in one sentence with the name of the file."""
    try:
        yield
    except (BayesGMMError, MemoryError):
        raise
    except Exception as why:
        said = (str(why).strip() or type(why).__name__).splitlines()[0].strip().rstrip(".")
        error = FileError if isinstance(why, OSError) else error
        raise error(f"{name!r} cannot be read: {said}.", path=name) from why


def needed(package: str, what: str, extra: str) -> Any:
    """An optional package, or which extra brings it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise FileError(f"{what} needs {name}; pip install 'bayesgmm[{extra}]'.") from None
