"""``fit`` and ``show``: one model, kept in a file that the other commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from bayesgmm.interface.commands.output import checked
from bayesgmm.interface.commands.parameters import (
    DataArgument,
    FitArgument,
    Json,
    Seed,
    reads_tables,
)
from bayesgmm.interface.commands.rows_out import fit_of
from bayesgmm.interface.commands.terminal import (
    console_of,
    number,
    print_json,
    print_table,
    progress_on,
    tell,
    whole_lines,
)
from bayesgmm.interface.table_options import TableOptions, one_line

if TYPE_CHECKING:
    from bayesgmm.result.fit import MixtureFit

# Written out here as well, for to import the methods would load NumPy, and keep --help waiting.
Method = Literal["em", "map", "laplace", "nuts", "tempering"]
Covariance = Literal["full", "tied", "diag", "tied-diag", "spherical", "tied-spherical"]


@reads_tables
def fit(
    data: DataArgument,
    components: Annotated[
        int, typer.Option("--components", "-k", min=1, help="How many components.")
    ],
    covariance: Annotated[
        Covariance,
        typer.Option(
            "--covariance", "-c", metavar="SHAPE", help=f"{', '.join(get_args(Covariance))}."
        ),
    ] = "full",
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            "-m",
            metavar="NAME",
            help=f"{', '.join(get_args(Method))}. em and map are points; the others have draws, "
            "so that answers say how sure they are.",
        ),
    ] = "em",
    noise: Annotated[
        bool, typer.Option("--noise", help="Rows may belong to no component.")
    ] = False,
    draws: Annotated[
        int | None, typer.Option(min=2, help="Draws kept (of each chain), 1000 by default.")
    ] = None,
    tune: Annotated[
        int | None, typer.Option(min=1, help="Warm-up draws of a chain, 500 by default.")
    ] = None,
    chains: Annotated[int | None, typer.Option(min=1, help="Chains, 4 by default.")] = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where the fit is kept (.nc or .zarr).")
    ] = "",
    seed: Seed = 1,
    as_json: Json = False,
    *,
    reading: TableOptions,
) -> None:
    """Fit one mixture, print it, and keep it for the other commands."""
    import bayesgmm as bg
    from bayesgmm.inference.fitting import fitted
    from bayesgmm.interface.csv_file import read_table
    from bayesgmm.interface.made_again import typed
    from bayesgmm.methods import METHODS

    if out:
        checked(out, (".nc", ".zarr"), source=data)
    options: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains}
    options = {name: value for name, value in options.items() if value is not None}
    if method == "nuts":
        options["progressbar"] = False  # there is one bar already
    how = METHODS[method].of(**options)
    spec = bg.MixtureSpec(components, covariance, noise=noise)
    table = read_table(data, reading)
    tell(table.said)
    with progress_on(console_of(stderr=True)) as report:
        found = fitted(spec, table.observations, how, seed=seed, progress=report)
    typed([found], reading.given, data)
    _shown(found, as_json=as_json)
    if out:  # after the answer, which is not lost where a disk is full
        found.save(out)
        tell([f"Kept in {out}."])


def show(fit: FitArgument, as_json: Json = False) -> None:
    """Print a saved fit: what it is, how it ended, and its components."""
    _shown(fit_of(fit, doubts=False), as_json=as_json)


def _shown(fit: MixtureFit, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(fit))
        return
    console = console_of()
    headlines, _, _ = repr(fit).partition("\n\n")
    for line in headlines.splitlines():
        console.print(line, soft_wrap=whole_lines(console))
    print_table(console, _components(fit), ["sd", "weight"])
    if fit.is_posterior:
        console.print("± standard deviations over the draws.", style="dim")


def _components(fit: MixtureFit) -> dict[str, list[str]]:
    """A line for each feature of each component, which grows down and not beyond the screen."""
    p, names = fit.parameters, fit.feature_names
    columns: dict[str, list[str]] = {
        name: [] for name in ("component", "weight", "feature", "mean", "sd")
    }
    for k in range(p.n_components):
        for j, name in enumerate(names):
            columns["component"].append("" if j else str(k))
            columns["weight"].append("" if j else _over_draws(p.weights[..., k]))
            columns["feature"].append(one_line(name))
            columns["mean"].append(_over_draws(p.means[..., k, j]))
            columns["sd"].append(_over_draws(p.scales[..., k, j]))
    if p.noise is not None:
        for name, cells in columns.items():
            cells.append(
                {"component": "noise", "weight": _over_draws(p.noise.weight)}.get(name, "")
            )
    return columns


def _over_draws(values: Any) -> str:
    spread = f" ± {values.std():.2g}" if values.size > 1 else ""
    return f"{number(float(values.mean()))}{spread}"


def _plain(fit: MixtureFit) -> dict[str, Any]:
    """A fit's numbers: of draws their means, in the data's units."""
    p, axes = fit.parameters, (0, 1)
    content: dict[str, Any] = {
        "model": fit.spec.label,
        "n_components": fit.spec.n_components,
        "covariance": fit.spec.covariance,
        "method": fit.method,
        "status": str(fit.status),
        "status_sentence": fit.status.sentence,
        "note": fit.note,
        "n_rows": int(fit.fact("n_rows")),
        "features": list(fit.feature_names),
        "n_draws": p.weights.shape[0] * p.weights.shape[1],
        "n_parameters": fit.n_parameters,
        "log_likelihood": fit.log_likelihood,
        "weights": p.weights.mean(axis=axes),
        "means": p.means.mean(axis=axes),
        "scales": p.scales.mean(axis=axes),
        "covariances": p.covariances.mean(axis=axes),
    }
    if p.noise is not None:
        content["noise_weight"] = float(p.noise.weight.mean())
    if not fit.is_posterior:
        content |= {"aic": fit.aic(), "bic": fit.bic(), "icl": fit.icl()}
    return content
