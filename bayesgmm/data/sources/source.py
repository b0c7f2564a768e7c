"""What every source of rows is: parts that can be read by themselves, a block at a time.

A source says where rows lie and how to read them, and nothing of what they mean: that is
:class:`~bayesgmm.data.observations.Observations`.  Parts are read by threads side by side, or
by other processes, to which they are sent as they are, so they hold paths and not open files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

#: Rows of a block at most: few enough that blocks of every thread stay small beside memory,
#: many enough that what is done once for a block costs nothing beside its rows.
BLOCK = 131_072
#: Rows of a part at most, where a source can be cut anywhere.
PART = 8 * BLOCK
_PARTS = 64  # of few rows: enough that no thread waits long for the last of another


def part_size(n_rows: int) -> int:
    """Rows of a part of so many."""
    return min(PART, max(BLOCK, n_rows // _PARTS))


class Part(Protocol):
    """Consecutive rows of a source, which can be read by themselves as often as wanted."""

    @property
    def name(self) -> str:
        """Where the rows lie, for messages, such as the name of a file; empty where unnamed."""

    @property
    def first(self) -> int:
        """The number of its first row in what it is named after."""

    @property
    def n_rows(self) -> int | None:
        """How many rows there are; None where that is known only after reading."""

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """The rows in order, as C-contiguous float64 matrices of at most ``BLOCK`` rows."""

    def sent(self) -> Any:
        """What a cluster is given in its place: itself, or a Dask delayed that becomes a part."""


@dataclass(frozen=True)
class Source:
    """Rows that are read when they are needed.

    Attributes
    ----------
    description : str
        For people: ``"3 Parquet files in 'trips'"``.
    columns : tuple of str
        Names of the columns, in the order of the blocks' columns.
    named : bool
        Whether the names came with the data, rather than being x0, x1, ...
    parts : iterable of Part
        In the order of the rows; can be gone through as often as wanted.
    n_rows : int or None
        Where it is known without reading.
    nbytes : int or None
        Of the rows as float64, where it is known without reading.
    address : dict or None
        From which :func:`reopened` makes the source again, as JSON: a path and its columns.
        None for what lives in this process alone.
    """

    description: str
    columns: tuple[str, ...]
    named: bool
    parts: Iterable[Part]
    n_rows: int | None = None
    address: dict[str, Any] | None = None

    @property
    def nbytes(self) -> int | None:
        """Of the rows as float64, where it is known without reading."""
        return None if self.n_rows is None else 8 * self.n_rows * len(self.columns)
