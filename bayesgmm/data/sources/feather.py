"""Arrow IPC files, which are Feather files: a part is a few record batches of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.sources.blocks import arrow_columns, needed, of_arrow, reading, rows_at_once
from bayesgmm.data.sources.parquet import runs, same_columns
from bayesgmm.data.sources.source import Part, Source


@dataclass(frozen=True)
class RecordBatches:
    """Consecutive record batches of one file."""

    name: str
    batches: tuple[int, ...]
    columns: tuple[str, ...]
    first: int
    n_rows: int

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        arrow = needed("pyarrow", "Reading Arrow files", "parquet")
        step = rows_at_once(len(self.columns))
        with reading(self.name), arrow.memory_map(self.name) as file:
            reader = _only(file, self.columns)
            for i in self.batches:
                batch = reader.get_batch(i)
                for start in range(0, batch.num_rows, step):
                    piece = batch.slice(start, step)
                    yield of_arrow([piece.column(name) for name in self.columns])

    def sent(self) -> Any:
        return self


def _only(file: Any, columns: Sequence[str]) -> Any:
    """A reader of some columns, which does not decompress the others."""
    from pyarrow import ipc

    names = ipc.open_file(file).schema.names
    fields = [names.index(name) for name in columns]
    options = ipc.IpcReadOptions(included_fields=fields, use_threads=False)
    return ipc.open_file(file, options=options)


def feather_source(files: Sequence[str], description: str, columns: Any = None) -> Source:
    """Of files with the same columns, one after the other."""
    arrow = needed("pyarrow", "Reading Arrow files", "parquet")
    from pyarrow import ipc

    parts: list[Part] = []
    names: tuple[str, ...] = ()
    for path in files:
        with reading(path), arrow.memory_map(path) as file:
            schema = ipc.open_file(file).schema
            own = arrow_columns(schema, columns, repr(path))
            narrow = _only(file, own[:1])  # the sizes of batches are told by the batches alone
            rows = [narrow.get_batch(i).num_rows for i in range(narrow.num_record_batches)]
        names = same_columns(names or own, own, files[0], path)
        first = 0
        for batches in runs(rows) or [()]:
            n_rows = sum(rows[i] for i in batches)
            parts.append(RecordBatches(path, batches, names, first, n_rows))
            first += n_rows
    n_rows = sum(part.n_rows or 0 for part in parts)
    return Source(description, names, True, parts, n_rows)
