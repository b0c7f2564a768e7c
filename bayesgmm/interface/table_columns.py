"""The columns of a table as they are read: their numbers, and all that is wrong with them."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bayesgmm.interface.numbers_as_written import (
    grouping,
    has_decimal_comma,
    is_missing,
    is_number,
    number,
)

#: Fewer rows in steps of one are no sign of anything.
_COUNTED = 5
_NAMED_SO = re.compile(r"(?i:(row[ _.]?)?(id|index)|.*[_ .-]id|unnamed: 0)|.*[a-z]I[Dd]")


@dataclass
class Seen:
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
class Column:
    """A column as it is read: its numbers, and what was none."""

    at: int  # from 1
    name: str
    may_lack: bool = False  # whether values may be missing
    decimal: str = "."
    thousands: str = ""
    place: str = "line"  # what a message calls where a field is
    asked: bool = False  # whether a fit is asked of it: then it may say nothing, or be constant
    values: Any = field(default_factory=lambda: array("d"))
    missing: Seen = field(default_factory=Seen)
    infinite: Seen = field(default_factory=Seen)
    commas: Seen = field(default_factory=Seen)
    grouped: Seen = field(default_factory=Seen)
    text: Seen = field(default_factory=Seen)

    def add(self, line: int, entry: str) -> None:
        """One field, which need not be a number."""
        value = number(entry, self.decimal, self.thousands)
        if not math.isfinite(value):
            seen = self.text
            if math.isinf(value):
                seen, value = self.infinite, math.nan
            elif is_missing(entry):
                seen = self.missing
            elif grouping(entry, self.decimal):
                seen = self.grouped
            elif self.decimal == "." and has_decimal_comma(entry):
                seen = self.commas
            seen.add(line, entry.strip())
        self.values.append(value)

    @property
    def is_text(self) -> bool:
        """Whether it is left out where columns that are not numbers are."""
        return not self.name or bool(self.text.count) or self.missing.count == len(self.values)

    def problems(self) -> list[str]:
        """All that keeps the column from being used."""
        n = len(self.values)
        name = f"column {self.name!r}" if self.name else f"column {self.at}"
        told = [] if self.name else ["no name"]
        for seen, what in (
            (self.text, "text"),
            (self.missing, "no value"),
            (self.infinite, "an infinite value"),
            (self.grouped, f"thousands apart by {grouping(self.grouped.example, self.decimal)!r}"),
            (self.commas, "a comma inside the number"),
        ):
            lacks = seen is self.missing and self.may_lack and (self.asked or seen.count < n)
            if seen.count and not lacks:
                example = "" if seen is self.missing else f" {seen.example!r}"
                how_many = "every row" if seen.count == n else f"{seen.count} of {n} rows"
                told.append(f"{what} in {how_many}, first{example} in {self.place} {seen.line}")
        if not told and n > 1 and not self.asked:
            seen_values = [v for v in self.values if not math.isnan(v)]
            if min(seen_values) == max(seen_values):
                told.append(f"constant, {seen_values[0]:g} in every row")
        return [f"{name}: {'; '.join(told)}"] if told else []

    @property
    def looks_like_an_identifier(self) -> str:
        """Why this column seems to number rows, not to measure them; or nothing."""
        if _NAMED_SO.fullmatch(self.name):
            return "by its name"
        n = len(self.values)
        if n < _COUNTED or self.missing.count or self.text.count:
            return ""
        low, high = min(self.values), max(self.values)
        if high - low != n - 1 or not float(low).is_integer():
            return ""
        return f"{low:.0f} to {high:.0f} in steps of one" * (
            len(set(self.values)) == n and all(float(v).is_integer() for v in self.values)
        )


def filled(
    columns: list[Column], width: int, rows: Iterator[tuple[int, Sequence[str]]]
) -> list[tuple[int, int, bool]]:
    """Put rows into some of ``width`` columns.

    Rows of another length come back: line, length, and whether all of it are numbers.
    """
    ragged = []
    at = [column.at - 1 for column in columns]
    whole = at == list(range(width))
    comma = any(column.decimal == "," for column in columns)
    put = [column.values.append for column in columns]
    for line, fields in rows:
        if len(fields) != width:
            ragged.append((line, len(fields), all(map(is_number, fields))))
            continue
        chosen = fields if whole else [fields[j] for j in at]
        text = "\0".join(chosen)
        if comma:
            text = "_" if "." in text else text.replace(",", ".")
            plain: Sequence[str] = text.split("\0")
        else:
            plain = chosen
        try:
            numbers = [] if "_" in text else list(map(float, plain))
        except ValueError:
            numbers = []
        if numbers and math.isfinite(sum(numbers)):
            for append, value in zip(put, numbers, strict=True):
                append(value)
        else:
            for column, entry in zip(columns, chosen, strict=True):
                column.add(line, entry)
    return ragged
