"""Files that commands write: whole or not at all, and never over what is no file of rows.

Where output goes is checked before anything is computed, since an answer that took an hour
must not be lost to a folder that is not there.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO

from bayesgmm.errors import FileError
from bayesgmm.interface.numbers_as_written import number
from bayesgmm.whole_files import replacing

STDOUT = "-"
_TEXT = {".csv": "", ".tsv": "\t", ".txt": ""}
_FRAMES = {".parquet": "to_parquet", ".feather": "to_feather", ".arrow": "to_feather"}


def checked(out: str, endings: Sequence[str], *, source: str = "") -> str:
    """A path that can be written to, or a refusal.

    ``source`` is the file that is read, which is not to be written over.
    """
    if out == STDOUT and STDOUT in endings:
        return out
    path, known = Path(out), [ending for ending in endings if ending != STDOUT]
    ending = path.suffix.lower()
    if ending not in known:
        choice = ", ".join(known[:-1]) + f" or {known[-1]}" if len(known) > 1 else known[0]
        raise FileError(f"{out!r} does not say what to write; end it in {choice}.")
    if not path.parent.is_dir():
        raise FileError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    if ending == ".zarr":
        from bayesgmm.result.store import SAVED_FIT, refuse_to_replace

        refuse_to_replace(path, SAVED_FIT)
    elif path.exists() and not path.is_file():
        raise FileError(f"{out!r} exists and is no regular file; choose another name.")
    if source and path.exists() and os.path.exists(source) and os.path.samefile(path, source):
        raise FileError(f"{out!r} is the file that is read; choose another name.")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"The folder {str(path.parent)!r} cannot be written to; choose another.")
    return out


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names for new columns, numbered where there is such a column already."""
    every, made = list(taken), list[str]()
    for name in names:
        free, number = name, 2
        while free in every:
            free, number = f"{name}_{number}", number + 1
        every.append(free)
        made.append(free)
    return made


TABLES = (*_TEXT, *_FRAMES, STDOUT)


def written(value: Any, decimal: str = ".") -> str:
    """A number as a field; a text as it is, and nothing where there is none."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    text = str(value)
    return text if decimal == "." else text.replace(".", decimal)


class Manner(NamedTuple):
    """How the fields of a table are written, so that it is written back as it was read."""

    sep: str = ","
    decimal: str = "."
    thousands: str = ""
    kinds: Mapping[int, str] = MappingProxyType({})  # "number", "whole" or "date", by place


PLAIN = Manner()


def write_rows(
    out: str, header: Sequence[str], rows: Iterable[Sequence[Any]], manner: Manner = PLAIN
) -> None:
    """Rows of texts and numbers as CSV, or as a frame where the name says so."""
    if out == STDOUT:
        _write_csv(sys.stdout, header, rows, manner)
        return
    with replacing(out) as fresh:
        ending = fresh.suffix.lower()
        if ending in _FRAMES:
            _write_frame(fresh, header, rows, manner)
            return
        with open(fresh, "w", newline="", encoding="utf-8") as file:
            _write_csv(file, header, rows, manner._replace(sep=_TEXT[ending] or manner.sep))


def _write_csv(
    file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]], manner: Manner
) -> None:
    writer = csv.writer(file, delimiter=manner.sep, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([written(value, manner.decimal) for value in row] for row in rows)


def _write_frame(
    fresh: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], manner: Manner
) -> None:
    import pandas as pd

    columns: list[list[Any]] = [[] for _ in header]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    for place, kind in manner.kinds.items():
        if kind == "number":
            columns[place] = [
                number(value, manner.decimal, manner.thousands) if isinstance(value, str) else value
                for value in columns[place]
            ]
        elif kind == "whole":
            columns[place] = [
                (int(value) if value else None) if isinstance(value, str) else value
                for value in columns[place]
            ]
        else:
            columns[place] = list(pd.to_datetime([value or None for value in columns[place]]))
    frame = pd.DataFrame(dict(zip(distinct(header), columns, strict=True)))
    try:
        getattr(frame, _FRAMES[fresh.suffix.lower()])(fresh)
    except ImportError:
        raise FileError(
            f"Files that end in {fresh.suffix} need pyarrow; pip install 'bayesgmm[polars]', or "
            "write .csv."
        ) from None
