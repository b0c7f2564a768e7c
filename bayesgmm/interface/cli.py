"""The command line: ``bayesgmm select faithful`` or any CSV file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import bayesgmm as bg
from bayesgmm.datasets import NAMES
from bayesgmm.errors import BayesGMMError, DataError
from bayesgmm.model.spec import STRUCTURES

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bayesian Gaussian mixtures: how many components, and of which shape?",
)

#: Width of the table where nobody looks on: wide enough for all of it.
_PIPED = 112


def _console(*, stderr: bool = False) -> Console:
    """Tables go to standard output, progress to standard error, so that the first can be piped."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPED)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(bg.__version__)
        raise typer.Exit


@app.command()
def select(
    data: Annotated[
        str, typer.Argument(help=f"A CSV file with a header, or one of: {', '.join(NAMES)}.")
    ],
    columns: Annotated[
        str, typer.Option(help="Comma-separated names of the columns to use; all by default.")
    ] = "",
    max_components: Annotated[int, typer.Option("--max-components", "-k", min=1)] = 5,
    covariances: Annotated[
        str, typer.Option(help="Comma-separated structures.")
    ] = ",".join(STRUCTURES),
    by: Annotated[
        str, typer.Option(help="Order the table by bic, aic, icl, loo, evidence, or all of them.")
    ] = "bic",
    posteriors: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many of the best models are sampled; 2, or 4 by loo, evidence or all."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder to keep each fit in; run again, only what is missing is done."),
    ] = None,
    draws: Annotated[int, typer.Option(min=10, help="Draws kept of each chain.")] = 1000,
    engine: Annotated[
        str, typer.Option(help="bayesgmm (seconds), or pymc (compiles for minutes at first).")
    ] = "bayesgmm",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Fit every K and structure by EM, sample the best, and print one table."""
    observations = _read(data, columns)
    console, err = _console(), _console(stderr=True)
    with _progress(err) as bars:
        chosen = bg.select(
            observations,
            range(1, max_components + 1),
            [name.strip() for name in covariances.split(",") if name.strip()],
            by=by,
            posteriors=posteriors,
            out=out,
            seed=seed,
            progress=_reporter(bars, err, engine),
            sampling={"draws": draws, "engine": engine, "progressbar": False},
        )
    if as_json:
        print(json.dumps(_plain(chosen, data), indent=2))
        return
    features = f"{observations.n_features} feature{'s' * (observations.n_features != 1)}"
    title = f"{data}: {observations.n_rows} rows, {features}"
    console.print(title, soft_wrap=True, highlight=False)
    console.print(_table(chosen))
    console.print(
        "Smaller is better for AIC, BIC and ICL; larger for elpd_loo and log evidence (± their "
        "standard errors).",
        style="dim",
    )
    for label in chosen.table.index[chosen.table["bad_rows"] > 0]:
        count = int(chosen.table.loc[label, "bad_rows"])
        console.print(
            f"{label}: {count} row{'s' * (count != 1)} with Pareto k-hat above 0.7, so its "
            "elpd_loo is uncertain."
        )
    console.print(chosen.verdict, style="bold")


def _read(data: str, columns: str) -> bg.Observations:
    if data in NAMES and not Path(data).exists():
        frame = bg.datasets.load(data).to_pandas()
    else:
        import pandas as pd

        path = Path(data)
        if not path.is_file():
            raise DataError(
                f"There is no file {data!r}, and the shipped data sets are {', '.join(NAMES)}."
            )
        try:
            frame = pd.read_csv(path)
        except (ValueError, UnicodeDecodeError) as error:
            raise DataError(f"{data!r} could not be read as CSV: {error}.") from error
    wanted = [name.strip() for name in columns.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in frame.columns]
    if unknown:
        raise DataError(
            f"There is no column {unknown[0]!r}; the file has {', '.join(map(str, frame.columns))}."
        )
    return bg.Observations(frame[wanted] if wanted else frame)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _reporter(bars: Progress, console: Console, engine: str) -> Any:
    """Feed the two bars from ``select``'s reports, and say once what will take long."""
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, total: int) -> None:
        stage = what.partition(" ")[0]
        if stage not in tasks:
            tasks[stage] = bars.add_task(what, total=total)
            if stage == "sampling" and engine == "pymc":
                console.print(
                    "Sampling with PyMC. It compiles each model first: minutes where its caches "
                    "are cold, half a minute where they are warm.",
                    style="dim",
                )
        bars.update(tasks[stage], description=what, completed=done)

    return report


def _table(chosen: Any) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    evidence = bool(chosen.table["log_evidence"].notna().any())
    first, last = ((), ("log evidence", "prob.")) if evidence else (("AIC",), ())
    for name in ("log-lik", "free", *first, "BIC", "ICL", "elpd_loo", *last):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("EM; sampling")
    for label, row in chosen.table.iterrows():
        elpd = _with_error(row, "elpd_loo", 1)
        names = ("bic", "icl") if evidence else ("aic", "bic", "icl")
        numbers = [_number(row[name]) for name in names]
        more = [_with_error(row, "log_evidence", 2), _number(row["probability"])]
        free = "" if math.isnan(row["n_parameters"]) else str(int(row["n_parameters"]))
        ends = "; ".join(text for text in (row["status"], row["sampling"]) if text)
        sound = all(text in ("converged", "") for text in (row["status"], row["sampling"]))
        ends = "converged" if sound else ends
        table.add_row(
            str(label), _number(row["log_likelihood"]), free, *numbers, elpd,
            *(more if evidence else ()),
            f"[{'green' if sound else 'yellow'}]{ends}",
            style="bold" if label == chosen.table.index[0] else "",
        )  # fmt: skip
    return table


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _with_error(row: Any, name: str, digits: int) -> str:
    if math.isnan(row[name]):
        return ""
    return f"{row[name]:.{digits}f} ± {row[name + '_se']:.{digits}f}"


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


def main() -> None:
    """Run the command line; an error of ours is one line, not a traceback."""
    try:
        app()
    except BayesGMMError as error:
        _console(stderr=True).print(f"[red]Error:[/red] {error}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
