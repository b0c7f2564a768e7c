"""``generate`` and ``condition``: rows that a fit expects, and what follows from some values."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import typer

from bayesgmm.errors import SpecError
from bayesgmm.interface.commands.output import STDOUT, write_rows
from bayesgmm.interface.commands.parameters import FitArgument, Json, OutTable, Seed
from bayesgmm.interface.commands.rows_out import fit_of, free, out_for
from bayesgmm.interface.commands.terminal import (
    console_of,
    number,
    print_json,
    print_table,
    tell,
    whole_lines,
)

_CHUNK = 100_000


def generate(
    fit: FitArgument,
    out: OutTable,
    n: Annotated[int, typer.Option("-n", min=1, help="How many rows.")] = 1000,
    with_component: Annotated[
        bool,
        typer.Option("--component", help="Also the component of each row (-1 for noise)."),
    ] = False,
    seed: Seed = 1,
) -> None:
    """Write new rows from a fit, each by a draw of its own."""
    out_for(out, None)
    found = fit_of(fit)
    header = list(found.feature_names)
    if with_component:
        header += free(["component"], header)
    chunks = found.generate_chunks(n, chunk=_CHUNK, seed=seed)
    write_rows(out, header, _rows(chunks, with_component))
    tell([f"{n} rows." if out == STDOUT else f"Wrote {out}: {n} rows."])


def _rows(chunks: Iterator[Any], with_component: bool) -> Iterator[list[Any]]:
    for chunk in chunks:
        values, component = chunk["x"].values.tolist(), chunk["component"].values.tolist()
        for row, own in zip(values, component, strict=True):
            yield [*row, own] if with_component else row


def condition(
    fit: FitArgument,
    given: Annotated[
        list[str],
        typer.Option(help="What is known, as waiting=60; once for each feature."),
    ],
    quantiles: Annotated[
        str, typer.Option(help="Comma-separated probabilities of quantiles.")
    ] = "0.05,0.5,0.95",
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="So many new rows with these values.")
    ] = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where the new rows go; - to print CSV.")
    ] = "",
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Say what the other features are, where some have given values."""
    if bool(out) != (n is not None):
        raise SpecError("-n says how many new rows --out gets; give both or neither.")
    if out and as_json:
        raise SpecError("--out has new rows, and --json is of an answer; give one of them.")
    if out:
        out_for(out, None)
    known, wanted = _known(given), _probabilities(quantiles)
    found = fit_of(fit)
    left = found.condition(known)
    if n is not None:
        names = found.feature_names
        at = {name: j for j, name in enumerate(left.feature_names)}
        chunks = left.generate_chunks(n, chunk=_CHUNK, seed=seed)
        lines = (
            [row[at[name]] if name in at else known[name] for name in names]
            for row in _rows(chunks, False)
        )
        write_rows(out, list(names), lines)
        tell([f"{n} rows." if out == STDOUT else f"Wrote {out}: {n} rows."])
        return
    means, deviations = left.mean.values, left.covariance.values.diagonal() ** 0.5
    cuts = [left.marginal(name).quantile(wanted).values for name in left.feature_names]
    if as_json:
        told = {
            name: {
                "mean": mean,
                "sd": sd,
                "quantiles": {str(q): value for q, value in zip(wanted, cut, strict=True)},
            }
            for name, mean, sd, cut in zip(left.feature_names, means, deviations, cuts, strict=True)
        }
        print_json({"given": known, "features": told})
        return
    console = console_of()
    said = ", ".join(f"{name} = {value:g}" for name, value in known.items())
    console.print(f"Given {said}:", soft_wrap=whole_lines(console))
    columns = {
        "feature": list(left.feature_names),
        "mean": [number(float(mean)) for mean in means],
        "sd": [number(float(sd)) for sd in deviations],
    }
    for j, q in enumerate(wanted):
        columns[_percent(q)] = [number(float(cut[j])) for cut in cuts]
    middle = sorted(list(columns)[3:], key=lambda q: abs(float(q.split()[0]) - 50), reverse=True)
    print_table(console, columns, ["sd", *middle])


def _percent(q: float) -> str:
    """A probability with all digits that it was given with, so that no two look the same."""
    return f"{(100 * Decimal(str(q))).normalize():f} %"


def _known(given: list[str]) -> dict[str, float]:
    known: dict[str, float] = {}
    for entry in given:
        name, equals, text = entry.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            equals, value = "", 0.0
        if not equals or not name.strip():
            raise SpecError(f"--given {entry!r} is no name and number; write it as waiting=60.")
        if name.strip() in known:
            raise SpecError(f"--given has {name.strip()!r} twice; give each feature once.")
        known[name.strip()] = value
    return known


def _probabilities(text: str) -> list[float]:
    try:
        wanted = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        wanted = []
    if not wanted or not all(0 < q < 1 for q in wanted):
        raise SpecError(
            f"--quantiles must be numbers between 0 and 1, as 0.05,0.5,0.95, and not {text!r}."
        )
    return wanted
