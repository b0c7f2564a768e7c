"""The command line: from a table to labels, new rows, pictures and answers, without Python."""

from __future__ import annotations

from shutil import get_terminal_size
from typing import Annotated

import typer

import bayesgmm as bg
from bayesgmm.errors import BayesGMMError
from bayesgmm.interface.commands import asking, fitting, next_rows, pictures, selecting
from bayesgmm.interface.commands.help_pages import ROOM_FOR_BOXES, Command, Group
from bayesgmm.interface.commands.selecting import Criterion, Engine
from bayesgmm.interface.commands.terminal import (
    print_error,
    tell,
    warnings_as_sentences,
    write_any_character,
)

__all__ = ["Criterion", "Engine", "app", "main"]

_ENDS = (
    "Exit status: 0 with {}; 2 if the command, the file or {} was refused, with the reason on "
    "standard error; 130 after Ctrl-C; 1 after anything else."
)
_INTERRUPTED = 130

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich" if get_terminal_size().columns >= ROOM_FOR_BOXES else None,
    help="Bayesian Gaussian mixtures: how many components, of which shape, and what they say of "
    "your rows. A fit is kept in a file (.nc), which the other commands take.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(bg.__version__)
        raise typer.Exit


app.command(cls=Command, epilog=_ENDS.format("a table", "every model"))(selecting.select)
for command, made in (
    (fitting.fit, "a fit"),
    (asking.predict, "labels"),
    (next_rows.generate, "rows"),
    (next_rows.condition, "an answer"),
    (asking.outliers, "an answer"),
    (asking.impute, "rows"),
    (pictures.plot, "a picture"),
    (selecting.report, "a page"),
    (fitting.show, "a fit"),
    (pictures.datasets, "a list"),
):
    app.command(cls=Command, epilog=_ENDS.format(made, "the fit"))(command)


def main() -> None:
    """Run the command line; an error of ours is a message, not a traceback."""
    write_any_character()
    try:
        with warnings_as_sentences():
            app()
    except BayesGMMError as error:
        print_error(error)
        raise SystemExit(2) from None
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            tell(["Interrupted; nothing half-written is left."])
        raise
