"""Some columns of a source that is there: read again without the others where it can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.sources.blocks import chosen
from bayesgmm.data.sources.files import files_source
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError


@dataclass(frozen=True)
class SomeColumns:
    """A part of which some columns are taken."""

    part: Part
    at: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def first(self) -> int:
        return self.part.first

    @property
    def n_rows(self) -> int | None:
        return self.part.n_rows

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        for block in self.part.blocks():
            yield np.ascontiguousarray(block[:, list(self.at)])

    def sent(self) -> Any:
        sent = self.part.sent()
        if sent is self.part:
            return self
        from dask.delayed import delayed

        return delayed(SomeColumns, pure=False)(sent, self.at)


@dataclass(frozen=True)
class Parts:
    """The parts of a source, of each some columns."""

    parts: Iterable[Part]
    at: tuple[int, ...]

    def __iter__(self) -> Iterator[Part]:
        return (SomeColumns(part, self.at) for part in self.parts)


def with_columns(source: Source, columns: Any) -> Source:
    """The same rows with some of the columns, in the order given."""
    if columns is None:
        return source
    if not source.named:
        raise DataError(
            f"The columns of {source.description} have no names, by which columns could choose; "
            "leave columns out."
        )
    names = chosen(source.columns, columns, source.description)
    if source.address is not None and "paths" in source.address:
        return files_source(source.address["paths"], names)
    at = tuple(source.columns.index(name) for name in names)
    return replace(source, columns=names, parts=Parts(source.parts, at))
