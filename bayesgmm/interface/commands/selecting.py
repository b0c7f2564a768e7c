"""``select`` and ``report``: how many components, and of which shape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from bayesgmm.errors import DataError, FileError
from bayesgmm.interface.commands.output import checked
from bayesgmm.interface.commands.parameters import (
    DataArgument,
    Json,
    reads_tables,
    refuse_unused,
)
from bayesgmm.interface.commands.terminal import (
    console_of,
    print_json,
    progress_on,
    tell,
    whole_lines,
)
from bayesgmm.interface.table_options import TableOptions, one_line
from bayesgmm.whole_files import replacing

# Written out here as well, for to import select would keep --help waiting.
Criterion = Literal["bic", "aic", "icl", "loo", "evidence", "all"]
Engine = Literal["bayesgmm", "pymc"]

MaxComponents = Annotated[
    int, typer.Option("--max-components", "-k", min=1, help="Every K up to this.")
]
Covariances = Annotated[
    str,
    typer.Option(
        help="Comma-separated structures; full, tied, diag and spherical by default.",
        show_default=False,
    ),
]
By = Annotated[
    Criterion,
    typer.Option(
        metavar="NAME",
        help="What orders the table: bic, aic, icl, loo, evidence, or all, which computes every "
        "one of them.",
    ),
]
_ALL = "full,tied,diag,spherical"


@reads_tables
def select(
    data: DataArgument,
    noise: Annotated[
        bool,
        typer.Option("--noise", help="Every model also with noise, uniform beside its components."),
    ] = False,
    max_components: MaxComponents = 5,
    covariances: Covariances = _ALL,
    by: By = "bic",
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
    best: Annotated[
        str, typer.Option(help="A file (.nc) for the best fit, which the other commands take.")
    ] = "",
    draws: Annotated[int, typer.Option(min=10, help="Draws kept of each chain.")] = 1000,
    engine: Annotated[
        Engine,
        typer.Option(
            metavar="NAME", help="bayesgmm (seconds), or pymc (compiles for minutes at first)."
        ),
    ] = "bayesgmm",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: Json = False,
    *,
    reading: TableOptions,
) -> None:
    """Fit every K and structure by EM, sample the best, and print one table.

    By evidence models are sampled until those left can hold under 2 % of the probability.
    """
    import bayesgmm as bg

    if best:
        checked(best, (".nc", ".zarr"), source=data)
    if engine == "pymc" and posteriors != 0:
        console_of(stderr=True).print(
            "PyMC compiles each model before it samples: minutes where its caches are cold, half "
            "a minute where they are warm.",
            style="dim",
        )
    chosen, observations = _selected(
        data,
        reading,
        max_components,
        covariances,
        by=by,
        noise=[False, True] if noise else False,
        posteriors=posteriors,
        out=out,
        seed=seed,
        sampling=bg.NUTS(draws=draws, engine=engine, progressbar=False),
    )
    if as_json:
        rows = [{"model": label, **row.to_dict()} for label, row in chosen.table.iterrows()]
        print_json({"data": data, "by": chosen.by, "verdict": chosen.verdict, "models": rows})
    else:
        _print(chosen, observations, data)
    if best:  # after the answer, which is not lost where a disk is full
        chosen.best.save(best)


def _selected(
    data: str, reading: TableOptions, most: int, covariances: str, *, out: Any = None, **how: Any
) -> tuple[Any, Any]:
    import bayesgmm as bg
    from bayesgmm.interface.csv_file import read_table
    from bayesgmm.interface.made_again import typed

    table = read_table(data, reading)
    tell(table.said)
    rows = table.observations
    if most > rows.n_rows:
        raise DataError(
            f"--max-components is {most} and {data!r} has {rows.n_rows} rows; give at most "
            f"{rows.n_rows}."
        )
    names = [name.strip() for name in covariances.split(",") if name.strip()]
    with progress_on(console_of(stderr=True)) as report_progress:
        try:
            chosen = bg.select(
                rows, range(1, most + 1), cast(Any, names), out=out, progress=report_progress, **how
            )
        except KeyboardInterrupt:
            kept = (
                f"Fits that were finished are in {str(out)!r}, and the same command goes on there"
                if out
                else "Nothing is kept without --out, a folder for fits"
            )
            tell([f"{kept}."])
            raise
    typed([*chosen.fits.values(), *chosen.posteriors.values()], reading.given, data)
    return chosen, rows


def _print(chosen: Any, rows: Any, data: str) -> None:
    from bayesgmm.interface.selection_table import (
        selection_table,
        shown_once,
        uncertain,
        what_columns_say,
    )

    console = console_of()
    features = f"{rows.n_features} feature{'s' * (rows.n_features != 1)}"
    console.print(
        f"{one_line(data)}: {rows.n_rows} rows, {features}", soft_wrap=whole_lines(console)
    )
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


@reads_tables
def report(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(metavar="DATA|FIT", help="A saved fit (.nc), or data as select takes them."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="The page to write (.html).")],
    max_components: MaxComponents = 5,
    covariances: Covariances = _ALL,
    by: By = "bic",
    posteriors: Annotated[
        int | None, typer.Option(min=0, help="How many of the best models are sampled.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    *,
    reading: TableOptions,
) -> None:
    """Write one page on a fit, or on every model that select tries: tables and pictures."""
    import bayesgmm as bg

    checked(out, (".html", ".htm"), source=data)
    about: Any = None
    if Path(data).suffix.lower() in (".nc", ".zarr") and Path(data).exists():
        try:
            about = bg.load(data)
        except FileError as error:
            if "is not a saved bayesgmm fit" not in str(error):
                raise
    if about is not None:
        given = [
            f"--{name.replace('_', '-')}"
            for name in context.params
            if name not in ("data", "out") and _typed(context, name)
        ]
        refuse_unused(given, f"of data to be fitted, and {data!r} is a fit")
    else:
        about, _ = _selected(
            data,
            reading,
            max_components,
            covariances,
            by=by,
            posteriors=posteriors,
            seed=seed,
            sampling=bg.NUTS(progressbar=False),
        )
    from bayesgmm.interface.report import report as write

    with replacing(out) as fresh:
        write(about, fresh)
    tell([f"Wrote {out}."])


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
