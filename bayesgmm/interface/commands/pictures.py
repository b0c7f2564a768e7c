"""``plot`` and ``datasets``: a picture of a fit, and data to begin with."""

from __future__ import annotations

from typing import Annotated

import typer

from bayesgmm.errors import SpecError
from bayesgmm.interface.commands.output import checked, write_rows
from bayesgmm.interface.commands.parameters import FitArgument, Json
from bayesgmm.interface.commands.rows_out import fit_of, out_for
from bayesgmm.interface.commands.terminal import console_of, print_json, print_table, tell
from bayesgmm.interface.table_options import SHIPPED, listed
from bayesgmm.whole_files import replacing


def plot(
    fit: FitArgument,
    out: Annotated[str, typer.Option("--out", "-o", help="The picture: .png, .pdf, .svg or .jpg.")],
    features: Annotated[
        str, typer.Option(help="Comma-separated names of the features to draw; all by default.")
    ] = "",
    dpi: Annotated[int, typer.Option(min=20, max=1200, help="Dots per inch.")] = 150,
) -> None:
    """Draw a fit over its data."""
    checked(out, (".png", ".pdf", ".svg", ".jpg"))
    found = fit_of(fit)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    import bayesgmm as bg

    drawn = bg.plot_fit(found, features=listed(features) or None)
    figure = np.ravel(drawn)[0].figure
    with replacing(out) as fresh:
        figure.savefig(fresh, dpi=dpi)
    plt.close(figure)
    tell([f"Wrote {out}."])


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help=f"One of {', '.join(SHIPPED)}; a list of them if none."
        ),
    ] = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where its rows go; - to print CSV.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the data sets that ship, or write one."""
    import bayesgmm as bg

    if out and name is None:
        raise SpecError("--out writes one data set; name it, as bayesgmm datasets faithful.")
    if out and as_json:
        raise SpecError("--out writes rows, and --json prints a list; give one of them.")
    if out:
        out_for(out, None)
    found = {one: bg.datasets.load(one) for one in ([name] if name else SHIPPED)}
    if out:
        ((one, values),) = found.items()
        header = [str(feature) for feature in values["feature"].values]
        write_rows(out, header, values.values.tolist())
        tell([f"{one}: {len(values)} rows."])
        return
    if as_json:
        print_json(
            [
                {
                    "name": one,
                    "n_rows": values.sizes["obs"],
                    "features": [str(feature) for feature in values["feature"].values],
                    "units": values.attrs["units"],
                }
                for one, values in found.items()
            ]
        )
        return
    columns = {
        "name": list(found),
        "rows": [str(values.sizes["obs"]) for values in found.values()],
        "units": [values.attrs["units"] for values in found.values()],
        "features": [", ".join(map(str, values["feature"].values)) for values in found.values()],
    }
    print_table(console_of(), columns, ["units", "features"])
