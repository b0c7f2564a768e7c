"""The one door for data that need not fit in memory: which source reads what was given.

What is read at once, arrays and frames in memory, has no source; neither has what is no data,
which :mod:`bayesgmm.data.reading` refuses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Set
from functools import partial
from typing import Any

import numpy as np

from bayesgmm.data.sources.arrays import mapped_again, memmap_source, zarr_source
from bayesgmm.data.sources.arrow_dataset import dataset_source
from bayesgmm.data.sources.batches import batch_source, is_frame, one_shot
from bayesgmm.data.sources.choosing import with_columns
from bayesgmm.data.sources.dask_collections import dask_source
from bayesgmm.data.sources.files import files_source, kind_of
from bayesgmm.data.sources.source import Source

__all__ = ["reopened", "source_of", "with_columns"]

#: What arrays, frames and sparse matrices in memory have.
_AT_ONCE = (
    "__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__", "__arrow_c_array__",
    "__narwhals_dataframe__", "__narwhals_lazyframe__", "toarray", "collect",
)  # fmt: skip


def source_of(data: Any, columns: Any = None) -> Source | None:
    """The source of the rows; None where they are read at once.

    Parameters
    ----------
    data : anything
        Paths of files, folders and patterns with ``*``, also several; ``numpy.memmap``; Zarr
        arrays; collections of Dask, also inside xarray; datasets of pyarrow; batches: a list of
        frames, an object that gives them each time it is iterated, a function that returns an
        iterator of them.
    columns : sequence of str, optional
        Which to read, of data whose columns have names; by default all.
    """
    if isinstance(data, (str, os.PathLike)):
        return files_source([data], columns)
    if isinstance(data, (list, tuple)):
        if data and all(_is_file(entry) for entry in data):
            return files_source(data, columns)
        return batch_source(data, columns) if data and all(map(is_frame, data)) else None
    if isinstance(data, np.memmap):
        mapped = data._mmap is not None  # type: ignore[attr-defined]
        return memmap_source(data, columns) if mapped else None
    zarr = sys.modules.get("zarr")
    if zarr is not None and isinstance(data, zarr.Array):
        in_memory = type(data.store).__name__ == "MemoryStore"
        return None if in_memory else zarr_source(data, columns)
    if _on_dask(data):
        return dask_source(data, columns)
    dataset = sys.modules.get("pyarrow.dataset")
    if dataset is not None and isinstance(data, dataset.Dataset):
        return dataset_source(data, columns)
    if _gives_batches(data):
        return batch_source(data, columns)
    return None


def _on_dask(data: Any) -> bool:
    """Whether data are a collection of Dask, or xarray has them on Dask."""
    dask = sys.modules.get("dask.base")
    return dask is not None and bool(dask.is_dask_collection(data))


def _gives_batches(data: Any) -> bool:
    """Whether data are neither numbers nor a table, but give something one after the other.

    What has a length and entries by number is numbers, as a list of them is.
    """
    if "RecordBatchReader" in {cls.__name__ for cls in type(data).__mro__}:
        raise one_shot(data)
    if isinstance(data, (type, Mapping, Set, bytes)) or any(map(partial(hasattr, data), _AT_ONCE)):
        return False
    if isinstance(data, Iterator):
        raise one_shot(data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return False
    return callable(data) or hasattr(data, "__iter__")


def _is_file(entry: Any) -> bool:
    """Whether an entry of a list is a path; text is one if it ends as files do."""
    return isinstance(entry, os.PathLike) or (isinstance(entry, str) and kind_of(entry) is not None)


def reopened(address: Mapping[str, Any]) -> Source:
    """The source that has this address."""
    if "memmap" in address:
        return mapped_again(dict(address["memmap"]))
    return files_source(address["paths"], address["columns"])
