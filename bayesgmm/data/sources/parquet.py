"""Parquet files: a part is a few row groups of one of them.

Decoding is the price of every pass over the rows, so it is kept low: the file is mapped rather
than copied, and decoded in pieces that a core's cache holds until they stand in a block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.sources import source
from bayesgmm.data.sources.blocks import arrow_columns, needed, of_arrow, reading, rows_at_once
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError


@dataclass(frozen=True)
class RowGroups:
    """Consecutive row groups of one file."""

    name: str
    groups: tuple[int, ...]
    columns: tuple[str, ...]
    first: int
    n_rows: int

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """By batches; pyarrow gives columns in the order of the file."""
        parquet = needed("pyarrow.parquet", "Reading Parquet", "parquet")
        with (
            reading(self.name),
            parquet.ParquetFile(
                self.name, memory_map=True, metadata=_footer(self.name, _stamp(self.name))
            ) as file,
        ):
            for batch in file.iter_batches(
                batch_size=rows_at_once(len(self.columns)),
                row_groups=list(self.groups),
                columns=list(self.columns),
                use_threads=False,
            ):
                if batch.num_rows:
                    yield of_arrow([batch.column(name) for name in self.columns])

    def sent(self) -> Any:
        return self


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=256)
def _footer(path: str, stamp: tuple[int, int]) -> Any:
    """What stands at the end of a file: of many row groups it takes long to read, for each part."""
    from pyarrow.parquet import read_metadata

    return read_metadata(path)


def parquet_source(files: Sequence[str], description: str, columns: Any = None) -> Source:
    """Of files with the same columns, one after the other."""
    parquet = needed("pyarrow.parquet", "Reading Parquet", "parquet")
    parts: list[Part] = []
    names: tuple[str, ...] = ()
    for path in files:
        with reading(path), parquet.ParquetFile(path, memory_map=True) as file:
            own = arrow_columns(file.schema_arrow, columns, repr(path))
            rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        names = same_columns(names or own, own, files[0], path)
        first = 0
        for groups in runs(rows) or [()]:
            n_rows = sum(rows[i] for i in groups)
            parts.append(RowGroups(path, groups, names, first, n_rows))
            first += n_rows
    n_rows = sum(part.n_rows or 0 for part in parts)
    return Source(description, names, True, parts, n_rows)


def same_columns(
    names: tuple[str, ...], own: tuple[str, ...], first: str, path: str
) -> tuple[str, ...]:
    """The columns of the first file, which another has as well, in whatever order."""
    if other := set(names) ^ set(own):
        name = min(other)
        has, lacks = (path, first) if name in own else (first, path)
        raise DataError(
            f"Column {name!r} is in {has!r} and not in {lacks!r}; choose columns that are in all "
            "files with columns=[...].",
            column=name,
        )
    return names


def runs(rows: Sequence[int]) -> list[tuple[int, ...]]:
    """Numbers of consecutive pieces, taken together to about the rows of a part."""
    ends, size = np.cumsum(rows, dtype=np.int64), source.part_size(sum(rows))
    found: list[tuple[int, ...]] = []
    for _, group in groupby(range(len(rows)), lambda i: (ends[i] - rows[i]) // size):
        found.append(tuple(group))
    return found
