"""The command line: ``bayesgmm select faithful`` or any CSV file."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

import bayesgmm as bg
from bayesgmm.datasets import NAMES
from bayesgmm.errors import BayesGMMError, DataError
from bayesgmm.interface.csv_file import listed, read_csv, refuse_unknown
from bayesgmm.interface.selection_table import (
    selection_table,
    shown_once,
    uncertain,
    what_columns_say,
)
from bayesgmm.result.text import one_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bayesian Gaussian mixtures: how many components, and of which shape?",
)

#: Width of the table where nobody looks on: wide enough for all of it.
_PIPED = 112

# Written out here as well, for to import select would keep --help waiting.
Criterion = Literal["bic", "aic", "icl", "loo", "evidence", "all"]
Engine = Literal["bayesgmm", "pymc"]


def _console(*, stderr: bool = False) -> Console:
    """Tables go to standard output, progress to standard error, so that the first can be piped.

    Nothing that is printed is markup: names of files and columns may look like it.
    """
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPED
    return console


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(bg.__version__)
        raise typer.Exit


@app.command(
    epilog="Exit status: 0 with a table; 2 if the command, the file or every model was refused, "
    "with the reason on standard error; 1 after anything else."
)
def select(
    data: Annotated[
        str, typer.Argument(help=f"A CSV file with a header, or one of: {', '.join(NAMES)}.")
    ],
    columns: Annotated[
        str,
        typer.Option(
            help="Comma-separated names of the columns to use, in double quotes those that have a "
            "comma; all by default."
        ),
    ] = "",
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Take empty fields as values that were not seen."),
    ] = False,
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Every model also with noise, uniform beside its components."),
    ] = False,
    max_components: Annotated[int, typer.Option("--max-components", "-k", min=1)] = 5,
    covariances: Annotated[
        str, typer.Option(help="Comma-separated structures.")
    ] = "full,tied,diag,spherical",
    by: Annotated[
        Criterion, typer.Option(help="What orders the table; all computes every one of them.")
    ] = "bic",
    posteriors: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many of the best models are sampled, 2 by default; by loo, evidence or all "
            "the most that are, 12 by default.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder to keep each fit in; run again, only what is missing is done."),
    ] = None,
    draws: Annotated[int, typer.Option(min=10, help="Draws kept of each chain.")] = 1000,
    engine: Annotated[
        Engine, typer.Option(help="bayesgmm (seconds), or pymc (compiles for minutes at first).")
    ] = "bayesgmm",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Fit every K and structure by EM, sample the best, and print one table.

    By evidence models are sampled until those left can hold under 2 % of the probability.
    """
    observations = _read(data, listed(columns), missing)
    if max_components > observations.n_rows:
        raise DataError(
            f"--max-components is {max_components} and {data!r} has {observations.n_rows} rows; "
            f"give at most {observations.n_rows}."
        )
    console, err = _console(), _console(stderr=True)
    if engine == "pymc" and posteriors != 0:
        err.print(
            "PyMC compiles each model before it samples: minutes where its caches are cold, half "
            "a minute where they are warm.",
            style="dim",
        )
    with _progress(err) as bar:
        chosen = bg.select(
            observations,
            range(1, max_components + 1),
            cast(Any, [name.strip() for name in covariances.split(",") if name.strip()]),
            by=by,
            noise=[False, True] if noise else False,
            posteriors=posteriors,
            out=out,
            seed=seed,
            progress=_reporter(bar),
            sampling=bg.NUTS(draws=draws, engine=engine, progressbar=False),
        )
    if as_json:
        print(json.dumps(_plain(chosen, data), indent=2))
        return
    features = f"{observations.n_features} feature{'s' * (observations.n_features != 1)}"
    console.print(f"{one_line(data)}: {observations.n_rows} rows, {features}", soft_wrap=True)
    table, left_out = selection_table(chosen, console)
    console.print(table)
    if left_out:
        console.print(f"Not shown for want of room: {', '.join(left_out)}.", style="dim")
    for told in what_columns_say(chosen):
        console.print(told, style="dim")
    if same := shown_once(chosen):
        console.print(same, style="dim")
    for told in uncertain(chosen):
        console.print(told)
    console.print(chosen.verdict, style="bold")


def _read(data: str, wanted: list[str], missing: bool) -> bg.Observations:
    if data not in NAMES or Path(data).is_file():
        return read_csv(data, wanted, missing=missing)
    observations = bg.Observations(bg.datasets.load(data))
    refuse_unknown(wanted, observations.names, repr(data))
    return observations.select(wanted) if wanted else observations


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _reporter(bar: Progress) -> Any:
    """Show ``select``'s reports in one bar, which begins anew with each stage."""
    task = bar.add_task("starting", total=None)

    def report(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=done, total=total)

    return report


def _plain(chosen: Any, data: str) -> dict[str, Any]:
    """The selection as JSON: numbers, or null where there is none."""
    rows = []
    for label, row in chosen.table.iterrows():
        content = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in row.items()
        }
        rows.append({"model": label, **content})
    return {"data": data, "by": chosen.by, "verdict": chosen.verdict, "models": rows}


def _print_error(error: BayesGMMError) -> None:
    """One line; or of a file a line for each of its problems, and the command that works."""
    console = _console(stderr=True)
    problems, command = error.facts.get("problems"), error.facts.get("command")
    message = f"{error.facts['path']!r} cannot be used as it is:" if problems else str(error)
    console.print(Text("Error: ", style="red") + Text(message), soft_wrap=True)
    for problem in problems or ():
        console.print(f"  {problem}", soft_wrap=True)
    if problems:
        remedy = error.facts["remedy"]
        console.print(remedy[0].upper() + remedy[1:] + (":" if command else "."), soft_wrap=True)
    if command:
        console.print(f"  {command}", soft_wrap=True)


def main() -> None:
    """Run the command line; an error of ours is a message, not a traceback."""
    for stream in (sys.stdout, sys.stderr):  # names may have characters that a terminal lacks
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BayesGMMError as error:
        _print_error(error)
        raise SystemExit(2) from None
