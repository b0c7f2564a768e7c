"""Which files a path stands for, and what is known by a file's name.

A path is of one file, of a folder (all its files, those of folders in it included), or a
pattern with ``*``; a list has several.  Files are in the order of their names, as pyarrow and
pandas read a folder.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bayesgmm.data.sources.arrays import npy_source, zarr_files
from bayesgmm.data.sources.csv import csv_source
from bayesgmm.data.sources.feather import feather_source
from bayesgmm.data.sources.parquet import parquet_source
from bayesgmm.data.sources.source import Source
from bayesgmm.errors import FileError


@dataclass(frozen=True)
class Kind:
    """Files of one kind: what they are called, and what makes a source of them."""

    name: str
    suffixes: tuple[str, ...]
    source: Callable[[Sequence[str], str, Any], Source]
    named: bool = True  # whether columns have names, which can be chosen


KINDS = (
    Kind("Parquet", (".parquet", ".pq"), parquet_source),
    Kind("Arrow", (".feather", ".arrow", ".ipc"), feather_source),
    Kind("CSV", (".csv", ".csv.gz", ".tsv", ".tsv.gz"), csv_source),
    Kind("NumPy", (".npy",), npy_source, named=False),
    Kind("Zarr", (".zarr",), zarr_files, named=False),
)
KNOWN = ", ".join(suffix for kind in KINDS for suffix in kind.suffixes)


def kind_of(path: str) -> Kind | None:
    """By its suffix; what holds the files of a Zarr store is one."""
    name = path.rstrip("/").lower()
    for kind in KINDS:
        if name.endswith(kind.suffixes):
            return kind
    inside = ("zarr.json", ".zarray", ".zgroup")
    return KINDS[-1] if any(os.path.exists(os.path.join(path, own)) for own in inside) else None


def files_source(paths: Sequence[Any], columns: Any = None) -> Source:
    """Of all the files that some paths stand for, which are of one kind."""
    given = [_absolute(os.fspath(path)) for path in paths]
    files = [(file, kind) for path in given for file, kind in _under(path)]
    (first, kind), *others = files
    for other, own in others:
        if own is not kind:
            raise FileError(
                f"{first!r} is a {kind.name} file and {other!r} a {own.name} file; give files of "
                "one kind, such as a pattern with *."
            )
    names = [file for file, _ in files]
    description = repr(names[0])
    if len(names) > 1:
        where = repr(given[0]) if len(given) == 1 else repr(os.path.commonpath(names))
        description = f"{len(names)} {kind.name} files in {where}"
    made = kind.source(names, description, columns)
    picked = list(made.columns) if kind.named else None
    return replace(made, address={"paths": given, "columns": picked})


def _absolute(path: str) -> str:
    if "://" in path:
        raise FileError(
            f"{path!r} is not on this machine; open it with pyarrow.dataset.dataset, or as a "
            "collection of Dask.",
            path=path,
        )
    if not path:  # not this folder
        raise FileError("There is no file ''; give a path.", path=path)
    return os.path.abspath(os.path.expanduser(path))


def _under(path: str) -> list[tuple[str, Kind]]:
    """The files that a path stands for, each with its kind."""
    kind = kind_of(path)
    if os.path.isfile(path) or (kind is not None and os.path.isdir(path)):
        if kind is None:
            raise FileError(f"It is not known what {path!r} holds; known are {KNOWN}.", path=path)
        return [(path, kind)]
    if os.path.isdir(path):
        files = list(_walked(path))
        if not files:
            raise FileError(f"No file in {path!r} is one of {KNOWN}.", path=path)
        return files
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    if not matches:
        raise FileError(f"There is no file {path!r}; check the path.", path=path)
    return [file for match in matches for file in _under(match)]


def _walked(folder: str) -> Iterator[tuple[str, Kind]]:
    """Files of known kinds in a folder and those in it; hidden ones and _notes are left out."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith((".", "_")):
            continue
        kind = kind_of(entry.path)
        if kind is not None and (entry.is_file() or kind.name == "Zarr"):
            yield entry.path, kind
        elif entry.is_dir():
            yield from _walked(entry.path)
