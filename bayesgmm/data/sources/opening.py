"""The one door for data that need not fit in memory: which source reads what was given.

What is read at once, arrays and frames in memory, has no source; neither has what is no data,
which :mod:`bayesgmm.data.reading` refuses.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesgmm.data.sources.arrays import mapped_again, memmap_source, zarr_source
from bayesgmm.data.sources.files import files_source, kind_of
from bayesgmm.data.sources.source import Source


def source_of(data: Any, columns: Any = None) -> Source | None:
    """The source of the rows; None where they are read at once.

    Parameters
    ----------
    data : anything
        Paths of files, folders and patterns with ``*``; ``numpy.memmap``; Zarr arrays.
    columns : sequence of str, optional
        Which to read, of data whose columns have names; by default all.
    """
    if isinstance(data, (str, os.PathLike)):
        return files_source([data], columns)
    if isinstance(data, (list, tuple)):
        if data and all(_is_file(entry) for entry in data):
            return files_source(data, columns)
        return None
    if isinstance(data, np.memmap):
        return None if data._mmap is None else memmap_source(data, columns)  # type: ignore[attr-defined]
    zarr = sys.modules.get("zarr")
    if zarr is not None and isinstance(data, zarr.Array):
        in_memory = type(data.store).__name__ == "MemoryStore"
        return None if in_memory else zarr_source(data, columns)
    return None


def _is_file(entry: Any) -> bool:
    """Whether an entry of a list is a path; text is one if it ends as files do."""
    return isinstance(entry, os.PathLike) or (isinstance(entry, str) and kind_of(entry) is not None)


def reopened(address: Mapping[str, Any]) -> Source:
    """The source that has this address."""
    if "memmap" in address:
        return mapped_again(dict(address["memmap"]))
    return files_source(address["paths"], address["columns"])
