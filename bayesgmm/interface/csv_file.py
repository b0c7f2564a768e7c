"""A table for the command line: read right, or refused with all that is wrong in it.

Every problem of a file is found in one go, and the command that ends the message is made by
reading the file once more as the command would: so it works.

A first line of nothing but numbers is refused.  It may be data, and to take it for names
would lose a row; or it may be names, years say or pandas' 0, 1, 2, and to take it for data
would add a row that nobody measured.  Only who made the file knows, and says --no-header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesgmm.errors import DataError
from bayesgmm.interface.refused_table import refusal
from bayesgmm.interface.table_columns import Column, filled
from bayesgmm.interface.table_options import SHIPPED, TableOptions, listed
from bayesgmm.interface.table_source import Source, bytes_of, shipped, source_of

if TYPE_CHECKING:
    from bayesgmm.data.observations import Observations

__all__ = ["Table", "listed", "read_csv", "read_table", "refuse_unknown"]

_SHOWN = 12  # problems of columns that a message lists


@dataclass(frozen=True)
class Table:
    """Rows that can be fitted, and beside them everything that the file has."""

    observations: Observations
    source: Source
    features: list[int]  # places of the fitted columns among the file's own
    kept: list[int] | None  # numbers of the rows that are fitted, where some were left out
    said: tuple[str, ...] = ()

    def own_rows(self) -> Iterator[Sequence[str]]:
        """All fields of each row that is fitted, as they stand in the file."""
        kept = None if self.kept is None else set(self.kept)
        for number, (_, fields) in enumerate(self.source.rows()):
            if kept is None or number in kept:
                yield fields

    def places(self) -> list[int]:
        """The line or row of the file at which each row that is fitted stands."""
        every = [place for place, _ in self.source.rows()]
        return every if self.kept is None else [every[number] for number in self.kept]


def read_csv(path: str, wanted: Sequence[str] = (), *, missing: bool = False) -> Observations:
    """Some or all columns of a file with a header; ``missing`` values are then not seen.

    Raises
    ------
    DataError
        Of all that is wrong in one sentence; as facts the ``problems`` one by one, and a
        ``command`` that uses the columns that are right, or None.
    """
    return read_table(path, TableOptions(columns=tuple(wanted), missing=missing)).observations


def read_table(path: str, options: TableOptions) -> Table:
    """A file, a data set by name, or standard input (``-``), as the options have it."""
    if path in SHIPPED and not Path(path).is_file():
        source = shipped(path)
        return _judged(source, options, lambda _: source)
    content = bytes_of(path)
    return _judged(
        source_of(path, options, content), options, lambda other: source_of(path, other, content)
    )


@dataclass
class _Reading:
    """The columns that are asked for, and what is wrong with them and their rows."""

    columns: list[Column]
    wrong: list[str]
    amends: dict[str, Any] = field(default_factory=dict)
    left_out: list[Column] = field(default_factory=list)

    @property
    def repeated(self) -> set[str]:
        names = [column.name for column in self.columns]
        return {name for name in names if name and names.count(name) > 1}

    def usable(self) -> list[Column]:
        twice = self.repeated
        return [c for c in self.columns if c.name not in twice and not c.problems()]


def _judged(source: Source, options: TableOptions, again: Any) -> Table:
    import numpy as np
    import pandas as pd

    from bayesgmm.data.observations import Observations

    unnamed = options.fixed and "header" in source.amends
    if unnamed and not set(options.columns) <= set(source.names):  # there are no names to be found
        options = replace(options, columns=())
    refuse_unknown(options.columns, source.names, repr(source.path))
    if options.id:
        refuse_unknown([options.id], source.names, repr(source.path))
    reading = _read(source, options, options.columns)
    told = _problems(reading)
    if reading.wrong or told:
        raise refusal(
            source.path, options, reading.columns, reading.wrong, told, reading.amends,
            lambda other: _usable(again(other), other),
        )  # fmt: skip
    order = options.columns or [column.name for column in reading.columns]
    columns = sorted(reading.columns, key=lambda column: order.index(column.name))
    if not columns:
        raise DataError(f"{source.path!r} has no column of numbers; give a file with some.")
    values = np.column_stack([np.asarray(column.values) for column in columns])
    kept, said = None, list(source.said)
    if reading.left_out:
        names = ", ".join(repr(c.name or f"column {c.at}") for c in reading.left_out)
        said.append(f"Left out, for they are not numbers: {names}.")
    if options.drop_na:
        whole = ~np.isnan(values).any(axis=1)
        if not whole.all():
            kept = np.flatnonzero(whole).tolist()
            said.append(f"{(~whole).sum()} of {len(whole)} rows with empty fields are left out.")
            values = values[whole]
    if len(values) < (1 if options.fixed else 2) and kept is not None:
        raise DataError(
            f"{source.path!r} has {len(values)} row{'s' * (len(values) != 1)} without empty "
            "fields, which is too few; take what was seen of each row (--missing)."
        )
    for column in columns:
        if why := column.looks_like_an_identifier:
            said.append(
                f"Warning: column {column.name!r} looks like an identifier ({why}) and is fitted; "
                f"--id {column.name} keeps it without fitting it."
            )
    frame = pd.DataFrame(values, columns=[column.name for column in columns])
    if options.id:
        frame.index = pd.Index(_labels(source, options.id, kept))
    elif kept is not None:
        frame.index = pd.Index(kept)
    rows = Observations(frame, missing="marginal" if options.missing else None)
    return Table(rows, source, [column.at - 1 for column in columns], kept, tuple(said))


def _usable(source: Source, options: TableOptions) -> tuple[list[Column], list[Column], list[str]]:
    """What a refusal asks of the file read otherwise."""
    reading = _read(source, options, options.columns)
    return reading.columns, reading.usable(), reading.wrong


def _labels(source: Source, name: str, kept: list[int] | None) -> list[str]:
    at = source.names.index(name)
    every = [fields[at].strip() for _, fields in source.rows()]
    return every if kept is None else [every[number] for number in kept]


def _read(source: Source, options: TableOptions, wanted: Sequence[str]) -> _Reading:
    """The columns that are asked for, or all."""
    columns = [
        Column(
            at + 1, name, options.missing or options.drop_na, source.decimal, options.thousands,
            source.place, options.fixed,
        )
        for at, name in enumerate(source.names)
        if (name in wanted if wanted else name != options.id or not name)
        and not (source.row_names and at == 0)
    ]  # fmt: skip
    if all(column.at - 1 in source.native for column in columns) and source.native:
        for column in columns:
            _take(column, source.native[column.at - 1])
        ragged, count = [], len(columns[0].values) if columns else 0
    else:
        ragged = filled(columns, len(source.names), source.rows())
        count = len(columns[0].values) if columns else 0
    reading = _Reading(columns, list(source.wrong), dict(source.amends))
    if ragged:
        reading.wrong.append(_ragged(ragged, len(source.names), count, reading.amends))
    count += len(ragged)
    if count < (1 if options.fixed else 2):
        some = "one row" if count else "no rows"
        needed = "one is" if options.fixed else "two are"
        reading.wrong.append(f"{some} of data, where at least {needed} needed")
    if options.ignore_text and not wanted:
        reading.left_out = [column for column in columns if column.is_text]
        reading.columns = [column for column in columns if not column.is_text]
    return reading


def _take(column: Column, values: Any) -> None:
    """Numbers that the file holds as such."""
    import numpy as np

    column.values = np.where(np.isinf(values), np.nan, values)
    for seen, bad in ((column.missing, np.isnan(values)), (column.infinite, np.isinf(values))):
        if bad.any():
            first = int(np.argmax(bad))
            seen.count, seen.line, seen.example = int(bad.sum()), first, str(values[first])


def _ragged(
    ragged: list[tuple[int, int, bool]], width: int, others: int, amends: dict[str, Any]
) -> str:
    line, first, _ = ragged[0]
    told = f"line {line}: {_fields(first)} where the header has {width}"
    if len(ragged) > 1:
        told += f", and {len(ragged)} lines in all differ from it"
    if not others and all(size == 2 * width and numbers for _, size, numbers in ragged):
        told += " (numbers need decimal points, not commas)"
        amends.setdefault("decimal", ",")
    return told


def _fields(count: int) -> str:
    return f"{count} field{'s' * (count != 1)}"


def _problems(reading: _Reading) -> list[str]:
    told = [problem for column in reading.columns for problem in column.problems()]
    names = dict.fromkeys(column.name for column in reading.columns)
    return told + [_twice(name, reading.columns) for name in names if name in reading.repeated]


def _twice(name: str, columns: list[Column]) -> str:
    places = [str(column.at) for column in columns if column.name == name]
    all_of = "both" if len(places) == 2 else "all"
    return f"columns {', '.join(places[:-1])} and {places[-1]}: {all_of} named {name!r}"


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
