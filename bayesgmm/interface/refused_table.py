"""The one message about a file that cannot be used as it is, and the command that works.

What would mend each problem is put together, the file is read once more in that way, and
what can be used then is what the command asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bayesgmm.errors import DataError
from bayesgmm.interface.numbers_as_written import grouping
from bayesgmm.interface.table_columns import Column
from bayesgmm.interface.table_options import TableOptions, one_line

_SHOWN = 12  # problems of columns that a message lists
#: The columns of a file read otherwise, those of them that can be used, and what is wrong still.
Again = Callable[[TableOptions], tuple[list[Column], list[Column], list[str]]]


def refusal(
    path: str,
    options: TableOptions,
    columns: Sequence[Column],
    wrong: list[str],
    told: list[str],
    amends: dict[str, Any],
    again: Again,
) -> DataError:
    """All that is wrong, in one sentence, with what to do.

    ``wrong`` is of the file and its lines, ``told`` of columns; ``amends`` are options that
    would mend some of it.
    """
    if len(told) > _SHOWN:
        told = [*told[:_SHOWN], f"{len(told) - _SHOWN} more columns like these"]
    problems = [*wrong, *told]
    better, still = _amended(options, columns, amends, again)
    command = better.command(path) if better is not None and better != options else None
    if command is None or better is None:
        remedy = "mend the file and run this again"
    elif better.columns != options.columns or better.ignore_text:
        first = "mend the lines first and then" if still else "mend the file or"
        remedy = f"{first} choose the columns that are right"
    elif better == replace(options, missing=True):
        remedy = "take what was seen of each row"
    elif still:
        remedy = "mend the lines first and then say how the file is to be read"
    else:
        remedy = "mend the file or say how it is to be read"
    example = f" ({one_line(command)})" if command else ""
    return DataError(
        f"{path!r} cannot be used as it is: {'; '.join(problems)}; {remedy}{example}.",
        path=path,
        problems=tuple(problems),
        remedy=remedy,
        command=command,
    )


def _amended(
    options: TableOptions, columns: Sequence[Column], amends: dict[str, Any], again: Again
) -> tuple[TableOptions | None, list[str]]:
    """Options with which the file can be used, if there are any; and what is wrong with its
    lines even so."""
    marks = Counter(
        grouping(column.grouped.example, column.decimal)
        for column in columns
        if column.grouped.count
    )
    better = replace(options, **amends)
    thousands = options.thousands
    marks.pop(better.decimal, None)
    if marks and not thousands:
        thousands = marks.most_common(1)[0][0]
    try:
        better = replace(better, thousands=thousands, missing=not options.drop_na)
        every, usable, still = again(better)
        if not usable and options.columns and not options.fixed:
            better = replace(better, columns=())
            every, usable, still = again(better)
    except DataError:
        return None, []
    if not better.columns and not better.id and not better.fixed:
        named = [c for c in every if c.looks_like_an_identifier == "by its name"]
        rest = [c for c in usable if c not in named[:1]]
        if named and rest:
            better, usable = replace(better, id=named[0].name), rest
            every = [c for c in every if c is not named[0]]
    if not usable or (options.fixed and len(usable) < len(every)):
        return None, still
    grouped = {column.name for column in columns if column.grouped.count}
    if not any(column.name in grouped for column in usable):
        better = replace(better, thousands=options.thousands)
    holes = any(column.missing.count for column in usable)
    better = replace(better, missing=options.missing or (holes and not options.drop_na))
    if len(usable) == len(every):
        return better, still
    if len(usable) > _SHOWN and all(c.is_text for c in every if c not in usable):
        return replace(better, ignore_text=True), still
    names = [column.name for column in usable]
    if better.columns:
        names.sort(key=list(better.columns).index)
    return replace(better, columns=tuple(names), ignore_text=False), still
