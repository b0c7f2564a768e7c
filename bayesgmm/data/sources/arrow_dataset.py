"""Datasets of pyarrow, which may lie anywhere that pyarrow reads, such as object storage.

A part is a fragment, or a row group of one.  What is filtered or in memory is read as batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.sources.batches import batch_source
from bayesgmm.data.sources.blocks import arrow_columns, of_arrow, reading, rows_at_once
from bayesgmm.data.sources.source import Part, Source


@dataclass(frozen=True)
class Fragment:
    """A fragment of a dataset, which knows where it lies."""

    name: str
    fragment: Any
    schema: Any
    columns: tuple[str, ...]
    first: int
    n_rows: int | None

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        with reading(self.name):
            for batch in self.fragment.to_batches(
                schema=self.schema,
                columns=list(self.columns),
                batch_size=rows_at_once(len(self.columns)),
                use_threads=False,
            ):
                if batch.num_rows:
                    yield of_arrow([batch.column(name) for name in self.columns])

    def sent(self) -> Any:
        return self


def dataset_source(dataset: Any, columns: Any = None) -> Source:
    """Of a ``pyarrow.dataset.Dataset``."""
    names = arrow_columns(dataset.schema, columns, "the Dataset")
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # pyarrow gives none of a filtered dataset
        fragments = []
    if not fragments or not all(hasattr(one, "path") for one in fragments):
        made = batch_source(partial(dataset.to_batches, columns=list(names)))
        return replace(made, description="Dataset of Arrow batches")
    parts: list[Part] = []
    for fragment in fragments:
        groups, first = [fragment], 0
        with reading(fragment.path):
            if hasattr(fragment, "split_by_row_group"):
                groups = fragment.split_by_row_group() or [fragment]
            for group in groups:
                found = group.count_rows() if fragment.format.default_extname != "csv" else None
                parts.append(Fragment(fragment.path, group, dataset.schema, names, first, found))
                first += found or 0
    counts = [part.n_rows for part in parts]
    n_rows = None if None in counts else sum(n or 0 for n in counts)
    return Source(f"Dataset of {len(fragments)} files", names, True, parts, n_rows)
