"""The text of a CSV file, and whether it is one: encoding, separator, decimal mark, records.

Separator and decimal mark are found by looking.  What can be read in one way only is read
so; where another way makes as much sense it is left to who made the file, since a wrong
guess is an analysis of wrong numbers.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bayesgmm.errors import DataError
from bayesgmm.interface.numbers_as_written import has_decimal_comma, is_number, is_proof

#: Separators, and what messages call them.
SEPARATORS = {
    ",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"
}  # fmt: skip
_SAMPLE = 200  # lines that tell the separator, and how numbers are written
_RIVAL = 0.25  # by how much less of another separator's fields may be numbers to rival the best
#: How files begin that people take for CSV.
_BINARY = {
    b"PK": "a zip archive or an Excel workbook", b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}  # fmt: skip
STDIN = "-"
#: What text mostly is that is no UTF-8.
LIKELY = "cp1252"


class Lines(NamedTuple):
    """A file from its header on, and how its fields are written."""

    lines: list[str]
    first: int  # the header's line number, from 1
    comment: str  # the last of the comment lines above it, or nothing
    sep: str
    decimal: str  # "" where the numbers could be read in two ways
    rival: str = ""  # another separator that makes as much sense
    example: str = ""  # a number that can be read in two ways
    undecoded: str = ""  # the first byte that is no UTF-8, in words


def content_of(path: str, known: tuple[str, ...] = ()) -> bytes:
    """The bytes of a file, or of standard input, unpacked."""
    try:
        content = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except FileNotFoundError:
        shipped = f", and the shipped data sets are {', '.join(known)}" if known else ""
        one = "one of them or " if known else ""
        raise DataError(
            f"There is no file {path!r}{shipped}; give {one}the path of a CSV file."
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path!r} is a folder; give the path of a CSV file.") from None
    except (OSError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path!r} cannot be read ({reason}); give a CSV file that can.") from None


def lines_of(
    path: str, content: bytes, *, encoding: str = "", sep: str = "", decimal: str = ""
) -> Lines:
    """The lines of a file, less comments (``#``) and blank lines above the header.

    Comments are looked for there only: further down, a row that begins with ``#`` might be
    data, and would be lost.
    """
    text, undecoded = _text(path, content, encoding)
    every = list(io.StringIO(text, newline=""))
    comment = ""
    for at, line in enumerate(every):
        named = re.fullmatch(r'"?sep=(.)"?\s*', line)  # how Excel is told of a separator
        if line.lstrip().startswith("#"):
            comment = line.strip()
        elif line.strip() and not named:
            found = Lines(every[at:], at + 1, comment, sep, decimal, undecoded=undecoded)
            return _as_written(found)
        elif named and not sep:
            sep = named[1]
    raise DataError(
        f"{path!r} has no data; give a file with a line of names and rows of numbers below it."
    )


def records(path: str, found: Lines) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of the line in which it begins; blank lines are none."""
    reader = _reader(found.lines, found.sep, strict=True)
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


def _reader(lines: list[str], sep: str, *, strict: bool = False) -> Any:
    taken = (line.strip() + "\n" for line in lines) if sep == " " else lines
    return csv.reader(taken, delimiter=sep, skipinitialspace=True, strict=strict)


def _text(path: str, content: bytes, encoding: str) -> tuple[str, str]:
    """The text, and what in it is not the UTF-8 that it should be; then read as cp1252."""
    kind = next((kind for start, kind in _BINARY.items() if content.startswith(start)), "")
    if kind or b"\0" in content:
        raise DataError(
            f"{path!r} is {kind or 'a binary file'} and no CSV; save the table as CSV in UTF-8."
        )
    try:
        return content.decode(encoding or "utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x} in line {line}"
        if encoding:
            raise DataError(
                f"{path!r} is not in {encoding} ({byte}); give another --encoding.", line=line
            ) from None
        return content.decode(LIKELY, errors="replace"), byte


def _as_written(found: Lines) -> Lines:
    """The same lines with what is found of their separator and decimal mark."""
    sample = [line for line in islice(found.lines, _SAMPLE) if line.strip()]
    sep, rival = (found.sep, "") if found.sep else _separator(sample, found.decimal)
    found = found._replace(sep=sep, rival=rival)
    if found.decimal:
        return found
    decimal, example = _decimal_mark(found)
    return found._replace(decimal=decimal, example=example)


def _separator(sample: list[str], decimal: str) -> tuple[str, str]:
    """The separator that makes most of the lines, and one that makes about as much."""
    # Where commas are decimal marks they seldom separate, and one column needs no mark.
    marks = sorted(SEPARATORS, key=lambda mark: mark == decimal)
    sense = {mark: _sense(_split(sample, mark)) for mark in marks}
    likely = max(marks, key=sense.__getitem__)  # the first where they are equal
    for mark in marks:
        numbers = sense[mark] - 1
        if mark != likely and numbers >= max(0.5, sense[likely] - 1 - _RIVAL):
            return likely, mark
    return likely, ""


def _split(lines: list[str], mark: str) -> list[list[str]]:
    try:
        return list(_reader(lines, mark))
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


def _decimal_mark(found: Lines) -> tuple[str, str]:
    """The decimal mark; or none, and a number with a comma that could be either."""
    if found.sep == "," and not any('"' in line for line in found.lines):
        return ".", ""
    points = commas = 0
    unclear = ""
    for at, fields in enumerate(_reader(found.lines, found.sep)):
        for field in fields if at else ():
            if "," in field and has_decimal_comma(field):
                if is_proof(field, ","):
                    commas += 1
                else:
                    unclear = unclear or field.strip()
            elif "." in field and is_proof(field, "."):
                points += 1
        if at > _SAMPLE and points + commas:
            break
    # Of commas and points, those that are fewer are refused column by column.
    if commas > points and not (points and found.sep == ","):
        return ",", ""
    # Beside decimal points, and between commas, a comma groups thousands, which is asked for.
    if unclear and not points and found.sep != ",":
        return "", unclear
    return ".", ""
