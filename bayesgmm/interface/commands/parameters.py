"""Parameters that several commands share, written once: how a table is read, where it goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_type_hints

import typer

from bayesgmm.errors import SpecError
from bayesgmm.interface.table_options import SHIPPED, TableOptions, listed

_READING = "How the table is read"

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, Parquet, Arrow or NetCDF; - for standard input; or "
        f"{' or '.join(SHIPPED)}, which ship.",
    ),
]
MoreData = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]", help="Rows with the fitted columns; the fitted rows where left out."
    ),
]
FitArgument = Annotated[str, typer.Argument(metavar="FIT", help="A saved fit (.nc).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")]
OutTable = Annotated[
    str,
    typer.Option(
        "--out", "-o", help="Where the rows go: .csv, .tsv, .parquet, .feather; - to print CSV."
    ),
]

_OPTIONS: dict[str, Any] = {
    "columns": Annotated[
        str,
        typer.Option(
            help="Comma-separated names of the columns to use, in double quotes those that have a "
            "comma; all by default.",
            rich_help_panel=_READING,
        ),
    ],
    "id": Annotated[
        str,
        typer.Option(
            help="A column that names the rows: kept in what is written, not fitted.",
            rich_help_panel=_READING,
        ),
    ],
    "missing": Annotated[
        bool,
        typer.Option(
            "--missing",
            help="Take empty fields as values that were not seen.",
            rich_help_panel=_READING,
        ),
    ],
    "drop_na": Annotated[
        bool,
        typer.Option(
            "--drop-na", help="Leave out rows with empty fields.", rich_help_panel=_READING
        ),
    ],
    "ignore_text": Annotated[
        bool,
        typer.Option(
            "--ignore-text",
            help="Leave out columns that are not numbers.",
            rich_help_panel=_READING,
        ),
    ],
    "encoding": Annotated[
        str, typer.Option(help="Of the text; UTF-8 by default.", rich_help_panel=_READING)
    ],
    "sep": Annotated[
        str,
        typer.Option(
            help="What separates fields (comma, ;, tab, |, space); found by default.",
            rich_help_panel=_READING,
        ),
    ],
    "decimal": Annotated[
        str, typer.Option(help="The decimal mark, . or , ; found.", rich_help_panel=_READING)
    ],
    "thousands": Annotated[
        str,
        typer.Option(help="What groups thousands, as , in 1,234.5.", rich_help_panel=_READING),
    ],
    "no_header": Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line is data; columns are x0, x1, ...",
            rich_help_panel=_READING,
        ),
    ],
}


def reads_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading, and hand it them as one ``reading``."""

    @wraps(command)
    def with_options(**given: Any) -> None:
        own = {name: given.pop(name) for name in _OPTIONS}
        command(reading=_options(**own), **given)

    plain = signature(command)
    hints = get_type_hints(command, include_extras=True)
    kept = [
        parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
        for name, parameter in plain.parameters.items()
        if name != "reading"
    ]
    for name, annotation in _OPTIONS.items():
        default = False if annotation.__origin__ is bool else ""
        kept.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    made: Any = with_options
    made.__signature__ = plain.replace(parameters=kept, return_annotation=None)
    made.__annotations__ = {parameter.name: parameter.annotation for parameter in kept}
    del made.__wrapped__
    return with_options


def refuse_unused(options: Sequence[str], why: str) -> None:
    """Refuse options that would say nothing here."""
    if options:
        are, them = ("is", "it") if len(options) == 1 else ("are", "them")
        raise SpecError(f"{', '.join(options)} {are} {why}; leave {them} out.")


def _options(*, columns: str, no_header: bool, **own: Any) -> TableOptions:
    return TableOptions(
        columns=tuple(listed(columns)), header=not no_header, given=tuple(sys.argv[1:]), **own
    )
