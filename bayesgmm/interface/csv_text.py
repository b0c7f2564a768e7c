"""The text of a CSV file, and whether it is one: encoding, separator, records by line.

Fields are separated by commas and numbers have decimal points.  What is otherwise is
refused by name and never guessed at, since a wrong guess is an analysis of wrong numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bayesgmm.datasets import NAMES
from bayesgmm.errors import DataError

#: Other separators, and what messages call them.
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
_SAMPLE = 200  # lines that tell the separator
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
#: How files begin that people take for CSV.
_BINARY = {
    b"PK": "a zip archive or an Excel workbook", b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file", b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text",
}  # fmt: skip


class Lines(NamedTuple):
    """A file from its header on."""

    lines: list[str]
    first: int  # the header's line number, from 1
    comment: str  # the last of the comment lines above it, or nothing


def lines_of(path: str) -> Lines:
    """The lines of a file, less comments (``#``) and blank lines above the header.

    Comments are looked for there only: further down, a row that begins with ``#`` might be
    data, and would be lost.
    """
    every = list(io.StringIO(_text(path), newline=""))
    comment = ""
    for at, line in enumerate(every):
        named = re.fullmatch(r'"?sep=(.)"?\s*', line)  # how Excel is told of a separator
        if line.lstrip().startswith("#"):
            comment = line.strip()
        elif line.strip() and not named:
            found = Lines(every[at:], at + 1, comment)
            _refuse_other_separators(path, found)
            return found
    raise DataError(
        f"{path!r} has no data; give a file with a line of names and rows of numbers below it."
    )


def records(path: str, found: Lines) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of the line in which it begins; blank lines are none."""
    reader = csv.reader(found.lines, skipinitialspace=True, strict=True)
    width, begins = 0, found.first
    try:
        for fields in reader:
            width = width or len(fields)
            # In one column an empty pair of quotes is a missing value, as pandas writes it.
            if fields and (fields != [""] or width == 1):
                yield begins, fields
            begins = found.first + reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{path!r} cannot be read as CSV from line {begins} on ({error}); mend the quotes "
            "there."
        ) from None


def has_decimal_comma(field: str) -> bool:
    """Whether a field is a number but for a comma inside, as in ``1,5``."""
    return _DECIMAL_COMMA.fullmatch(field) is not None


def _text(path: str) -> str:
    try:
        content = Path(path).read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise DataError(
            f"There is no file {path!r}, and the shipped data sets are {', '.join(NAMES)}; give "
            "one of them or the path of a CSV file."
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path!r} is a folder; give the path of a CSV file.") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path!r} cannot be read ({reason}); give a CSV file that can.") from None
    kind = next((kind for start, kind in _BINARY.items() if content.startswith(start)), "")
    if kind or b"\0" in content:
        raise DataError(
            f"{path!r} is {kind or 'a binary file'} and no CSV; save the table as CSV in UTF-8."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path!r} is not in UTF-8 (byte 0x{content[error.start]:02x} in line {line}); save "
            "it again in UTF-8.",
            line=line,
        ) from None


def _refuse_other_separators(path: str, found: Lines) -> None:
    """Name a separator that makes more of the lines than the comma does."""
    sample = [line for line in found.lines[:_SAMPLE] if line.strip()]
    tables = {mark: _split(sample, mark) for mark in (",", *_SEPARATORS)}
    likely = max(tables, key=lambda mark: _sense(tables[mark]))  # the comma where they are equal
    if likely == ",":
        return
    commas = any(has_decimal_comma(field) for row in tables[likely][1:] for field in row)
    also = " and its numbers have decimal commas" if commas else ""
    save = "commas and decimal points" if commas else "commas"
    first = tables[likely][0]
    options = {
        "sep": r"r'\s+'" if likely == " " else repr(likely),
        "decimal": repr(",") if commas else "",
        "skiprows": str(found.first - 1) if found.first > 1 else "",
        "header": "None" if all(is_number(f) or has_decimal_comma(f) for f in first) else "",
    }
    told = ", ".join(f"{name}={value}" for name, value in options.items() if value)
    call = f"pd.read_csv({path!r}, {told})"
    raise DataError(
        f"{path!r} is separated by {_SEPARATORS[likely]}{also}; save it again with {save}, or "
        f"give bayesgmm.select in Python what {call} reads.",
        separator=likely,
    )


def _split(lines: list[str], mark: str) -> list[list[str]]:
    if mark == " ":
        return [line.split() for line in lines]
    try:
        return list(csv.reader(lines, delimiter=mark, skipinitialspace=True))
    except csv.Error:
        return []


def _sense(table: list[list[str]]) -> float:
    """0 where lines do not split into fields as many as the header's, else 1 and the share of
    fields that are numbers."""
    if not table or len(table[0]) < 2:
        return 0.0
    width = len(table[0])
    # R writes names of rows without a heading.
    rows = [row for row in table[1:] if len(row) in (width, width + 1)]
    if 2 * len(rows) < len(table) - 1:
        return 0.0
    numbers = [is_number(field) or has_decimal_comma(field) for row in rows for field in row]
    return 1.0 + sum(numbers) / max(len(numbers), 1)


def is_number(field: str) -> bool:
    """Whether a field is a number as people write one: not ``1_000``, which Python reads."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field
