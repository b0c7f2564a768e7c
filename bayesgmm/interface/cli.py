"""The command line: ``bayesgmm select faithful`` or any CSV file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
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
# Tables go to standard output; progress and remarks to standard error, so that
# the first can be piped.
_out = Console()
_err = Console(stderr=True)


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
    by: Annotated[str, typer.Option(help="Order the table by bic, aic or icl.")] = "bic",
    posteriors: Annotated[
        int, typer.Option(min=0, help="How many of the best models are sampled.")
    ] = 2,
    draws: Annotated[int, typer.Option(min=10, help="Draws kept of each chain.")] = 1000,
    seed: Annotated[int, typer.Option()] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Fit every K and structure by EM, sample the best, and print one table."""
    observations = _read(data, columns)
    with _progress() as bars:
        chosen = bg.select(
            observations,
            range(1, max_components + 1),
            [name.strip() for name in covariances.split(",") if name.strip()],
            by=by,
            posteriors=posteriors,
            seed=seed,
            progress=_reporter(bars),
            sampling={"draws": draws},
        )
    if as_json:
        print(json.dumps(_plain(chosen, data), indent=2))
        return
    _out.print(_table(chosen, f"{data}: {observations.n_rows} rows, {observations.n_features} features"))
    _out.print(
        "Smaller is better for AIC, BIC and ICL; larger for elpd_loo (± its standard error).",
        style="dim",
    )
    for label in chosen.table.index[chosen.table["bad_rows"] > 0]:
        count = int(chosen.table.loc[label, "bad_rows"])
        _out.print(f"{label}: {count} rows have Pareto k-hat above 0.7, so its elpd is uncertain.")
    _out.print(chosen.verdict, style="bold")


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


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        console=_err,
        transient=True,
        disable=not _err.is_terminal,
    )


def _reporter(bars: Progress) -> Any:
    """Feed the two bars from ``select``'s reports, and say once what will take long."""
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, total: int) -> None:
        stage = what.partition(" ")[0]
        if stage not in tasks:
            tasks[stage] = bars.add_task(what, total=total)
            if stage == "sampling":
                _err.print(
                    "Sampling with PyMC. It compiles each model first: minutes where its caches "
                    "are cold, half a minute where they are warm.",
                    style="dim",
                )
        bars.update(tasks[stage], description=what, completed=done)

    return report


_STYLES = {"converged": "green", "degenerate": "red"}


def _table(chosen: Any, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in ("log-lik", "free", "AIC", "BIC", "ICL", "elpd_loo"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("EM")
    table.add_column("sampling")
    for label, row in chosen.table.iterrows():
        elpd = "" if math.isnan(row["elpd_loo"]) else (
            f"{row['elpd_loo']:.1f} ± {row['elpd_loo_se']:.1f}"
        )
        numbers = [_number(row[name]) for name in ("aic", "bic", "icl")]
        free = "" if math.isnan(row["n_parameters"]) else str(int(row["n_parameters"]))
        status = str(row["status"])
        table.add_row(
            str(label), _number(row["log_likelihood"]), free, *numbers, elpd,
            f"[{_STYLES.get(status, 'yellow')}]{status}", str(row["sampling"]),
            style="bold" if label == chosen.table.index[0] else "",
        )  # fmt: skip
    return table


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


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
        _err.print(f"[red]Error:[/red] {error}", highlight=False)
        raise SystemExit(2) from None
