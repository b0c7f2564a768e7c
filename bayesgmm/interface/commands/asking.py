"""``predict``, ``outliers`` and ``impute``: what a fit says of rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bayesgmm.errors import SpecError
from bayesgmm.interface.commands.output import STDOUT, distinct, write_rows
from bayesgmm.interface.commands.parameters import (
    FitArgument,
    Json,
    MoreData,
    OutTable,
    Seed,
    reads_tables,
)
from bayesgmm.interface.commands.rows_out import fit_of, free, out_for, rows_for
from bayesgmm.interface.commands.terminal import (
    console_of,
    number,
    print_json,
    print_table,
    tell,
)
from bayesgmm.interface.table_options import TableOptions

_SHOWN = 20  # rows that are printed


@reads_tables
def predict(
    fit: FitArgument, out: OutTable, data: MoreData = None, *, reading: TableOptions
) -> None:
    """Label rows: the most probable component, and the probability of each.

    Written are all of the input's own columns, then label (-1 for noise) and a probability
    for each component.
    """
    out_for(out, data)
    found = fit_of(fit, by_component=True)
    rows = rows_for(found, data, reading)
    memberships = found.predict_proba(rows.observations)
    names = [str(name) for name in memberships["component"].values]
    labels = memberships.values.argmax(axis=1)
    if found.spec.noise:
        labels[labels == len(names) - 1] = -1
    header, lines = rows.beside(
        ["label", *(name if name == "noise" else f"probability_{name}" for name in names)],
        [labels.tolist(), *([_short(p) for p in column] for column in memberships.values.T)],
    )
    write_rows(out, header, lines, rows.manner)
    counts = [f"{(labels == k).sum()} of component {k}" for k in range(found.spec.n_components)]
    if found.spec.noise:
        counts.append(f"{(labels == -1).sum()} noise")
    _tell_written(out, f"{len(labels)} rows: {', '.join(counts)}")


@reads_tables
def outliers(
    fit: FitArgument,
    data: MoreData = None,
    rate: Annotated[
        float, typer.Option(help="Share of the model's own rows that are flagged as well.")
    ] = 0.01,
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="All rows, with anomaly_score and outlier (0 or 1)."),
    ] = "",
    seed: Seed = 0,
    as_json: Json = False,
    *,
    reading: TableOptions,
) -> None:
    """Print the rows that are stranger than all but a share of the model's own."""
    if out:
        out_for(out, data)
        if out == STDOUT and as_json:
            raise SpecError("--json and --out - would print two things; give one of them.")
    found = fit_of(fit)
    rows = rows_for(found, data, reading)
    flagged = found.outliers(rows.observations, rate=rate, seed=seed).values
    scores = found.anomaly_score(rows.observations, seed=seed).values
    if out:
        header, lines = rows.beside(
            ["anomaly_score", "outlier"],
            [[_short(s) for s in scores], flagged.astype(int).tolist()],
        )
        write_rows(out, header, lines, rows.manner)
        _tell_written(out, f"{len(scores)} rows, {flagged.sum()} of them outliers")
        if out == STDOUT:
            return
    worst = sorted((int(i) for i in flagged.nonzero()[0]), key=lambda i: (scores[i], i))
    values = rows.observations.values
    places, own = rows.places(), dict[int, Any]()
    for i, fields in enumerate(rows.own()):
        if flagged[i]:
            own[i] = fields
    if as_json:
        told = [
            {
                rows.place: places[i],
                "anomaly_score": float(scores[i]),
                "values": {
                    **dict(zip(distinct(rows.header), own[i], strict=True)),
                    **dict(zip(rows.observations.names, values[i].tolist(), strict=True)),
                },
            }
            for i in worst
        ]
        print_json({"rate": rate, "n_rows": len(scores), "outliers": told})
        return
    console = console_of()
    expected = rate * len(scores)
    about = f"{expected:.2g}" if expected < 9.95 else f"{expected:,.0f}"
    console.print(
        f"Outliers at a rate of {rate:g}: {len(worst)} of {len(scores)} rows; of the model's own "
        f"it would be about {about}."
    )
    shown = worst[:_SHOWN]
    if not shown:
        return
    order = list(rows.features)
    if reading.id:  # by which the rows are known
        order.insert(0, rows.header.index(reading.id))
    if data is not None:  # of the fitted rows there is nothing else but their places
        order += [j for j in range(len(rows.header)) if j not in order]
    names = distinct(rows.header[j] for j in order)
    place, score = distinct([rows.place, "score"], names)
    columns = {place: [str(places[i]) for i in shown]}
    for name, j in zip(names, order, strict=True):
        columns[name] = [_cell(own[i][j]) for i in shown]
    columns[score] = [f"{scores[i]:.2g}" for i in shown]
    print_table(console, columns, list(columns)[-2:0:-1])
    if len(worst) > len(shown):
        console.print(f"{len(worst) - len(shown)} more; --out writes all.", style="dim")


@reads_tables
def impute(
    fit: FitArgument,
    out: OutTable,
    data: MoreData = None,
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="Copies with drawn values; expectations by default."),
    ] = None,
    seed: Seed = 1,
    *,
    reading: TableOptions,
) -> None:
    """Fill in empty fields, by what is expected or by draws of what they may be.

    Several copies stand one below the other, numbered in a column copy.
    """
    out_for(out, data)
    found = fit_of(fit)
    rows = rows_for(found, data, reading, holes=True)
    filled = found.impute(n, rows.observations, seed=seed)
    copies = filled.values if n is not None else filled.values[None]
    holes = ~(rows.observations.values == rows.observations.values)

    def lines() -> Any:
        for number_of, copy in enumerate(copies):
            for i, own in enumerate(rows.own()):
                line: list[Any] = list(own)
                for j, place in enumerate(rows.features):
                    if holes[i, j]:
                        line[place] = float(copy[i, j])
                yield line if n is None else [*line, number_of]

    header = [*rows.header, *(free(["copy"], rows.header) if n is not None else [])]
    write_rows(out, header, lines(), rows.manner)
    some = "" if n is None else f", in {n} {'copy' if n == 1 else 'copies'}"
    _tell_written(out, f"{len(holes)} rows with {holes.sum()} empty fields filled in{some}")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else number(float(value))


def _short(value: float) -> float:
    """Six digits: more are not known, and make a table hard to read."""
    return float(f"{value:.6g}")


def _tell_written(out: str, what: str) -> None:
    tell([f"{what}." if out == STDOUT else f"Wrote {out}: {what}."])
