"""Arrays that lie in files and are read a slice at a time: NumPy's memory maps, Zarr.

A part says where its slices lie and opens the array where it is read, so that another process
is sent a path and not the numbers.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import default_names
from bayesgmm.data.sources import source
from bayesgmm.data.sources.blocks import cut, reading
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.errors import DataError, FileError


class Where(Protocol):
    """How an array is opened, in whatever process."""

    def open(self) -> Any:
        """What has a shape, a dtype and slices."""


@dataclass(frozen=True)
class Mapped:
    """Where in a file the numbers of a memory map lie."""

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...]

    def open(self) -> NDArray[Any]:
        whole = np.memmap(self.path, dtype=np.uint8, mode="r")
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)

    @classmethod
    def of(cls, array: Any) -> Mapped | None:
        """Of a memory map or a view of one; None where a file does not hold what it holds."""
        if array.filename is None or array.mode == "c":
            return None
        start = np.frombuffer(array._mmap, np.uint8).__array_interface__["data"][0]
        page = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
        offset = array.__array_interface__["data"][0] - start + page
        return cls(str(array.filename), offset, array.shape, array.dtype.str, array.strides)


@dataclass(frozen=True)
class Stored:
    """An array of a Zarr store on this machine's disks."""

    store: str
    path: str

    def open(self) -> Any:
        import zarr

        return zarr.open_array(self.store, path=self.path, mode="r")


@dataclass(frozen=True)
class Held:
    """An array that is what it is: it is sent whole, or knows itself how it travels."""

    array: Any

    def open(self) -> Any:
        return self.array


@dataclass(frozen=True)
class Slices:
    """Rows from ``start`` on, ``step`` of them read at a time."""

    name: str
    where: Where
    start: int
    n_rows: int
    step: int

    @property
    def first(self) -> int:
        return self.start

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        with reading(self.name or "array"):
            array = self.where.open()
            stop = self.start + self.n_rows
            for start in range(self.start, stop, self.step):
                yield from cut(array[start : min(start + self.step, stop)])

    def sent(self) -> Any:
        return self


def array_source(
    arrays: Sequence[tuple[str, Where, Any]],
    description: str,
    columns: Any = None,
    address: dict[str, Any] | None = None,
) -> Source:
    """Of arrays with the same columns, one after the other: name, where it lies, the array."""
    if columns is not None:
        raise DataError(
            f"The columns of {description} have no names, by which columns could choose; leave "
            "columns out."
        )
    parts: list[Part] = []
    width, first = 0, arrays[0][0]
    for name, where, array in arrays:
        d = _width(array, name or "The array")
        if width not in (0, d):
            raise DataError(f"{first!r} has {width} columns and {name!r} has {d}; give the same.")
        width = d
        chunk = getattr(array, "chunks", (1,))[0]  # what is read is decompressed in whole chunks
        step = chunk * max(1, source.BLOCK // chunk)
        size = step * max(1, source.part_size(array.shape[0]) // step)
        for start in range(0, max(array.shape[0], 1), size):
            n_rows = min(size, array.shape[0] - start)
            parts.append(Slices(name, where, start, n_rows, step))
    n_rows = sum(part.n_rows or 0 for part in parts)
    return Source(description, tuple(default_names(width)), False, parts, n_rows, address)


def _width(array: Any, name: str) -> int:
    if array.ndim not in (1, 2):
        raise DataError(
            f"{name} has {array.ndim} dimensions (shape {array.shape}); give rows and features, "
            "shape (N, D)."
        )
    if np.dtype(array.dtype).kind not in "iuf":
        raise DataError(f"{name} holds {array.dtype}, where numbers are needed; make them float64.")
    if 0 in array.shape[1:]:
        raise DataError(f"There are no columns in {name}; give one column per feature.")
    return 1 if array.ndim == 1 else int(array.shape[1])


def memmap_source(array: Any, columns: Any = None) -> Source:
    """Of a memory map in this process."""
    where = Mapped.of(array)
    if where is None:
        return array_source([("", Held(array), array)], "a memory map", columns)
    address = {
        "memmap": {**vars(where), "shape": list(where.shape), "strides": list(where.strides)}
    }
    return array_source(
        [(where.path, where, array)], f"memory map of {where.path!r}", columns, address
    )


def mapped_again(address: dict[str, Any]) -> Source:
    """The memory map that has this address."""
    again = {**address, "shape": tuple(address["shape"]), "strides": tuple(address["strides"])}
    where = Mapped(**again)
    with reading(where.path):
        array = where.open()
    named = f"memory map of {where.path!r}"
    return array_source([(where.path, where, array)], named, None, {"memmap": address})


def npy_source(files: Sequence[str], description: str, columns: Any = None) -> Source:
    """Of files that numpy.save wrote."""
    arrays: list[tuple[str, Where, Any]] = []
    for path in files:
        with reading(path):
            array = np.load(path, mmap_mode="r")
            where = Mapped.of(array)
        assert where is not None
        arrays.append((path, where, array))
    return array_source(arrays, description, columns)


def zarr_source(array: Any, columns: Any = None) -> Source:
    """Of a Zarr array in this process that is not held in its memory."""
    root = getattr(array.store, "root", None)
    if type(array.store).__name__ != "LocalStore":
        return array_source([("", Held(array), array)], f"Zarr array {array.store_path}", columns)
    where = Stored(str(root), array.path)
    name = str(root / array.path)
    address = {"paths": [name], "columns": None}
    return array_source([(name, where, array)], f"Zarr array {name!r}", columns, address)


def zarr_files(files: Sequence[str], description: str, columns: Any = None) -> Source:
    """Of stores that hold an array each."""
    import zarr

    arrays: list[tuple[str, Where, Any]] = []
    for path in files:
        with reading(path):
            found = zarr.open(path, mode="r")
            if not isinstance(found, zarr.Array):
                inside = ", ".join(repr(f"{path}/{name}") for name, _ in found.arrays())
                raise FileError(f"{path!r} holds no array but a group; give one of {inside}.")
        arrays.append((path, Stored(path, ""), found))
    return array_source(arrays, description, columns)
