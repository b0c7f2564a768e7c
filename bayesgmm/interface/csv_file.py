"""A CSV file for the command line: read right, or refused with all that is wrong in it.

Every problem of a file is found in one go, and the columns that have none make the command
that works.

A first line of nothing but numbers is refused.  It may be data, and to take it for names
would lose a row; or it may be names, years say or pandas' 0, 1, 2, and to take it for data
would add a row that nobody measured.  Only who made the file knows.
"""

from __future__ import annotations

import csv
import math
import re
import shlex
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np

from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError
from bayesgmm.interface.csv_text import (
    Lines,
    has_decimal_comma,
    is_number,
    lines_of,
    records,
)
from bayesgmm.result.text import one_line

#: What stands for a missing value, in lower case.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"}
_SHOWN = 12  # problems of columns that a message lists


def read_csv(path: str, wanted: Sequence[str] = (), *, missing: bool = False) -> Observations:
    """Some or all columns of a file with a header; ``missing`` values are then not seen.

    Raises
    ------
    DataError
        Of all that is wrong in one sentence; as facts the ``problems`` one by one, and a
        ``command`` that uses the columns that are right, or None.
    """
    found = lines_of(path)
    rows = records(path, found)
    _, header = next(rows)
    names = [name.strip() for name in header]
    wrong = []
    if all(is_number(name) or _is_missing(name) for name in names) and any(map(is_number, names)):
        wrong.append(_no_header(names, found))
        rows, names = records(path, found), [f"x{j}" for j in range(len(names))]  # all of them
    columns = [_Column(at, name, missing) for at, name in enumerate(names, start=1)]
    wrong += _fill(columns, rows)
    refuse_unknown(wanted, names, repr(path))
    asked = [column for column in columns if column.name in wanted] if wanted else columns
    twice = {name for name in names if name and names.count(name) > 1}
    told = [problem for column in asked for problem in column.problems()]
    told += [
        _repeated(name, columns) for name in dict.fromkeys(c.name for c in asked) if name in twice
    ]
    if wrong or told:
        usable = [
            [c.name for c in some if c.name not in twice and not c.problems()]
            for some in (asked, columns)
        ]
        holes = all(column.only_missing or not column.problems() for column in asked)
        if not wrong and holes and not twice:
            raise _holes(path, told, wanted)
        raise _refusal(path, wrong, told, usable[0] or usable[1])
    own = {column.name: column.values for column in columns}
    chosen = list(wanted) or names
    return Observations(
        np.column_stack([np.asarray(own[name]) for name in chosen]),
        names=chosen,
        missing="marginal" if missing else None,
    )


def listed(text: str) -> list[str]:
    """Names separated by commas; one that has a comma itself stands in double quotes."""
    try:
        fields = [
            name for line in csv.reader([text], skipinitialspace=True, strict=True) for name in line
        ]
    except csv.Error as error:
        raise DataError(
            f"The column names {text!r} cannot be read ({error}); separate them by commas, and "
            "put a name that has a comma in double quotes."
        ) from None
    names = [name.strip() for name in fields if name.strip()]
    if text and not names:
        raise DataError(f"There is no column name in {text!r}; name one, or leave --columns out.")
    return names


def refuse_unknown(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    """Refuse columns that are not there, or asked for twice; name those that are like them."""
    for name in wanted:
        if name not in names:
            lower = {own.lower(): own for own in reversed(names) if own}
            close = get_close_matches(name.lower(), lower, n=1)
            nearest = f", and the closest is {lower[close[0]]!r}" if close else ""
            there = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
            raise DataError(
                f"There is no column {name!r} in {where}{nearest}; choose among {there}.",
                column=name,
            )
        if list(wanted).count(name) > 1:
            raise DataError(f"Column {name!r} is asked for twice; name it once.", column=name)


@dataclass
class _Seen:
    """Fields of a column that cannot be used: how many, and the first."""

    count: int = 0
    line: int = 0
    example: str = ""

    def add(self, line: int, example: str) -> None:
        if not self.count:
            short = example if len(example) <= 40 else example[:39] + "…"
            self.line, self.example = line, short
        self.count += 1


@dataclass
class _Column:
    """A column as it is read: its numbers, and what was none."""

    at: int  # from 1
    name: str
    may_lack: bool  # whether values may be missing
    values: array[float] = field(default_factory=lambda: array("d"))
    missing: _Seen = field(default_factory=_Seen)
    infinite: _Seen = field(default_factory=_Seen)
    commas: _Seen = field(default_factory=_Seen)
    text: _Seen = field(default_factory=_Seen)

    def add(self, line: int, entry: str) -> None:
        """One field, which need not be a number."""
        value = float(entry) if is_number(entry) else math.nan
        if not math.isfinite(value):
            seen = self.missing
            if math.isinf(value):
                seen = self.infinite
            elif has_decimal_comma(entry):
                seen = self.commas
            elif not _is_missing(entry):
                seen = self.text
            seen.add(line, entry.strip())
        self.values.append(value)

    @property
    def only_missing(self) -> bool:
        """Whether all that is wrong is values that are missing, some of them."""
        wrong = self.text.count + self.infinite.count + self.commas.count
        return bool(self.name) and not wrong and 0 < self.missing.count < len(self.values)

    def problems(self) -> list[str]:
        """All that keeps the column from being used."""
        n, seen_values = len(self.values), [v for v in self.values if not math.isnan(v)]
        name = f"column {self.name!r}" if self.name else f"column {self.at}"
        told = [] if self.name else ["no name"]
        for seen, what in (
            (self.text, "text"),
            (self.missing, "no value"),
            (self.infinite, "an infinite value"),
            (self.commas, "a comma inside the number"),
        ):
            lacks = seen is self.missing and self.may_lack and seen.count < n
            if seen.count and not lacks:
                example = "" if seen is self.missing else f" {seen.example!r}"
                how_many = "every row" if seen.count == n else f"{seen.count} of {n} rows"
                told.append(f"{what} in {how_many}, first{example} in line {seen.line}")
        if not told and n > 1 and min(seen_values) == max(seen_values):
            told.append(f"constant, {seen_values[0]:g} in every row")
        return [f"{name}: {'; '.join(told)}"] if told else []


def _is_missing(entry: str) -> bool:
    return entry.strip().lower() in _MISSING


def _fill(columns: list[_Column], rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """Put the rows into the columns; what is wrong with the rows themselves."""
    width, count, ragged = len(columns), 0, []
    for line, fields in rows:
        count += 1
        if len(fields) != width:
            ragged.append((line, len(fields)))
            continue
        try:
            numbers = list(map(float, fields))
        except ValueError:
            numbers = []
        if numbers and math.isfinite(sum(numbers)) and "_" not in "".join(fields):
            for column, number in zip(columns, numbers, strict=True):
                column.values.append(number)
        else:
            for column, entry in zip(columns, fields, strict=True):
                column.add(line, entry)
    wrong = []
    if ragged:
        line, first = ragged[0]
        told = f"line {line}: {_fields(first)} where the header has {width}"
        if len(ragged) > 1:
            told += f", and {len(ragged)} lines in all differ from it"
        if len(ragged) == count and {size for _, size in ragged} == {2 * width}:
            told += " (numbers need decimal points, not commas)"
        wrong.append(told)
    if count < 2:
        wrong.append(f"{'one row' if count else 'no rows'} of data, where at least two are needed")
    return wrong


def _fields(count: int) -> str:
    return f"{count} field{'s' * (count != 1)}"


def _no_header(names: list[str], found: Lines) -> str:
    numbers = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    told = f"line {found.first}: numbers ({numbers}) and not the names of the columns, "
    if found.comment:
        return told + "which may be in the comment above and need its # taken away"
    example = ",".join(f"x{j}" for j in range(min(len(names), 3))) + ",…" * (len(names) > 3)
    return told + f"which need a line of their own above it, such as {example}"


def _repeated(name: str, columns: list[_Column]) -> str:
    places = [str(column.at) for column in columns if column.name == name]
    all_of = "both" if len(places) == 2 else "all"
    return f"columns {', '.join(places[:-1])} and {places[-1]}: {all_of} named {name!r}"


def _holes(path: str, told: list[str], wanted: Sequence[str]) -> DataError:
    """Of a file in which nothing is wrong but that values are missing."""
    columns = f" --columns {shlex.quote(','.join(map(_quoted, wanted)))}" if wanted else ""
    command = f"bayesgmm select {shlex.quote(path)}{columns} --missing"
    if len(told) > _SHOWN:
        told = [*told[:_SHOWN], f"{len(told) - _SHOWN} more columns like these"]
    remedy = "take what was seen of each row"
    return DataError(
        f"{path!r} cannot be used as it is: {'; '.join(told)}; {remedy} ({one_line(command)}).",
        path=path,
        problems=tuple(told),
        remedy=remedy,
        command=command,
    )


def _refusal(path: str, wrong: list[str], told: list[str], usable: list[str]) -> DataError:
    if len(told) > _SHOWN:
        told = [*told[:_SHOWN], f"{len(told) - _SHOWN} more columns like these"]
    problems = [*wrong, *told]
    command = None
    remedy = "mend the file and run this again"
    if told and usable:
        names = shlex.quote(",".join(map(_quoted, usable)))
        command = f"bayesgmm select {shlex.quote(path)} --columns {names}"
        first = "mend the lines first and then" if wrong else "mend the file or"
        remedy = f"{first} choose the columns that are right"
    example = f" ({one_line(command)})" if command else ""
    return DataError(
        f"{path!r} cannot be used as it is: {'; '.join(problems)}; {remedy}{example}.",
        path=path,
        problems=tuple(problems),
        remedy=remedy,
        command=command,
    )


def _quoted(name: str) -> str:
    """A name as :func:`listed` reads it."""
    return '"' + name.replace('"', '""') + '"' if re.search(r'[,"\r\n]', name) else name
