"""What a file must be before an engine opens it: of its own content alone, and no larger.

NetCDF files and Zarr stores come from other people.  Both formats can point at other files, and
declare arrays that are not there, which engines then allocate; stores of Zarr can name filters
that run code, pickle among them.  None of that is in a saved fit, so it is refused unread.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Bytes that a file may declare for each of its own, as compression has it at best, and beside.
_RATIO, _BESIDE = 1000, 64_000_000
#: Bytes of one description in a Zarr store, of which those of a fit have a few hundred.
_DESCRIPTION = 10_000_000
#: What describes an array of Zarr in a saved fit: types of numbers and texts, filters without code.
_TYPES = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64", "fixed_length_utf32", "string",
}  # fmt: skip
_FILTERS = {"bytes", "zstd", "gzip", "blosc", "crc32c", "vlen-utf8"}
_BYTES = 8  # of a number at most


class Refused(ValueError):
    """Why a file is not read, as part of a sentence."""


def refuse_at_the_door(path: Path) -> None:
    """Refuse what no saved fit has; what is no NetCDF file or store at all is for its engine."""
    if path.suffix.lower() == ".zarr" and path.is_dir():
        size, declared = _bytes_of(path), _declared_by_zarr(path)
    elif path.is_file():
        size, declared = path.stat().st_size, _declared_by_hdf5(path)
    elif path.is_dir():
        raise Refused("it is a folder")
    else:
        raise Refused("it is no regular file")
    total = 0
    for name, n_bytes in declared:
        total += n_bytes
        if total > _RATIO * size + _BESIDE:
            raise Refused(f"{name!r} declares more values than a file of {size:,} bytes holds")


def _declared_by_hdf5(path: Path) -> Iterator[tuple[str, int]]:
    """Every array and attribute, with the bytes that it would take."""
    import h5py

    with h5py.File(path, "r") as file:
        yield from _attributes("/", file)
        for name in file:
            _require_own(file, name)
            group = file[name]
            if isinstance(group, h5py.Dataset):
                yield from _dataset(name, group)
                continue
            yield from _attributes(name, group)
            for inner in group:
                _require_own(group, inner)
                if not isinstance(group[inner], h5py.Dataset):
                    raise Refused(f"{name}/{inner} is a group within a group")
                yield from _dataset(f"{name}/{inner}", group[inner])


def _require_own(group: Any, name: str) -> None:
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Refused(f"{name!r} is a link to something else")


def _dataset(name: str, dataset: Any) -> Iterator[tuple[str, int]]:
    if dataset.external or dataset.is_virtual:
        raise Refused(f"the values of {name!r} are in another file")
    yield name, dataset.size * dataset.dtype.itemsize
    if dataset.chunks:
        yield name, math.prod(dataset.chunks) * dataset.dtype.itemsize
    yield from _attributes(name, dataset)


def _attributes(name: str, owner: Any) -> Iterator[tuple[str, int]]:
    for key in owner.attrs:
        attribute = owner.attrs.get_id(key)
        yield f"{name}:{key}", math.prod(attribute.shape) * attribute.dtype.itemsize


def _bytes_of(store: Path) -> int:
    """The bytes of a store's files, which have to be files within it."""
    total = 0
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            entry = Path(folder, name)
            if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                raise Refused(f"{name!r} in it is a link, or no file")
        total += sum(Path(folder, name).stat().st_size for name in files)
    return total


def _declared_by_zarr(store: Path) -> Iterator[tuple[str, int]]:
    for file in sorted(store.rglob("zarr.json")):
        name = str(file.parent.relative_to(store))
        if file.stat().st_size > _DESCRIPTION:
            raise Refused(f"the description of {name!r} is too long")
        described = json.loads(file.read_bytes())
        if described["node_type"] == "group":
            continue
        kind = described["data_type"]
        if isinstance(kind, dict):
            n_bytes = int(kind.get("configuration", {}).get("length_bytes", _BYTES))
            kind = kind["name"]
        else:
            n_bytes = _BYTES
        filters = [entry["name"] for entry in described["codecs"]]
        for found, known in ((kind, _TYPES), *((each, _FILTERS) for each in filters)):
            if found not in known:
                raise Refused(f"{name!r} is kept as {found!r}, which no saved fit is")
        if described.get("storage_transformers"):
            raise Refused(f"{name!r} has storage transformers, which no saved fit has")
        for shape in (described["shape"], described["chunk_grid"]["configuration"]["chunk_shape"]):
            if not all(isinstance(length, int) and length >= 0 for length in shape):
                raise Refused(f"the shape of {name!r} is none")
            yield name, math.prod(shape) * n_bytes
