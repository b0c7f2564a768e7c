"""CSV files: a part is a file, since where a row begins is known only after those before it.

They are read as a stream by pyarrow, also where they are compressed, with the memory of a few
megabytes.  Files that are read often are better kept as Parquet, which is read many times
faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import default_names
from bayesgmm.data.sources.blocks import arrow_columns, needed, of_arrow, reading, rows_at_once
from bayesgmm.data.sources.parquet import same_columns
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError


@dataclass(frozen=True)
class Text:
    """All rows of one file."""

    name: str
    columns: tuple[str, ...]
    header: bool
    first: int = 0
    n_rows: int | None = None

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        step = rows_at_once(len(self.columns))
        with reading(self.name, DataError), _opened(self.name, self.columns, self.header) as file:
            for batch in file:
                for start in range(0, batch.num_rows, step):
                    piece = batch.slice(start, step)
                    yield of_arrow([piece.column(name) for name in self.columns])

    def sent(self) -> Any:
        return self


def csv_source(files: Sequence[str], description: str, columns: Any = None) -> Source:
    """Of files with the same columns, one after the other."""
    parts: list[Part] = []
    names: tuple[str, ...] = ()
    named = True
    for path in files:
        with reading(path):
            with _opened(path, None, True) as file:
                schema = file.schema
            named = not all(map(_is_number, schema.names))
            if not named:  # the first line is a row
                with _opened(path, None, False) as file:
                    schema = file.schema
            own = arrow_columns(schema, columns, repr(path))
        names = same_columns(names or own, own, files[0], path)
        parts.append(Text(path, names, named))
    return Source(description, names, named, parts)


def _opened(path: str, columns: Sequence[str] | None, header: bool) -> Any:
    """A stream of batches: of some columns as numbers, or of all as they seem to be."""
    csv = needed("pyarrow.csv", "Reading CSV files a part at a time", "parquet")
    read = csv.ReadOptions(use_threads=False)
    if not header:
        with csv.open_csv(
            path, csv.ReadOptions(autogenerate_column_names=True), _form(path)
        ) as file:
            read.column_names = default_names(len(file.schema))
    convert = csv.ConvertOptions()
    if columns is not None:
        convert.include_columns = list(columns)
        convert.column_types = dict.fromkeys(columns, "float64")
    return csv.open_csv(path, read, _form(path), convert)


def _form(path: str) -> Any:
    from pyarrow import csv

    tabs = path.lower().endswith((".tsv", ".tsv.gz"))
    return csv.ParseOptions(delimiter="\t" if tabs else ",")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
