"""A fit for people: its printed form, with a table of its components, and one of all parameters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.errors import FitError
from bayesgmm.markup import block, sentences, table
from bayesgmm.methods import METHODS
from bayesgmm.result.record import FitRecord
from bayesgmm.result.tree import free_parameters

_SHOWN_COMPONENTS = 12
_SHOWN_FEATURES = 4


def printed(fit: FitRecord) -> str:
    """The text that ``print(fit)`` shows."""
    rows, below = _table(fit)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join([*_headlines(fit), "", *lines, *below])


def page(fit: FitRecord) -> str:
    """The same for a notebook."""
    title, *lines = _headlines(fit)
    (header, *rows), below = _table(fit)
    caption = "Components: mean and standard deviation over the draws" if fit.is_posterior else ""
    parts = table(caption or "Components", header, rows), sentences(below)
    return block(title, sentences(lines), *parts)


def one_line(text: str) -> str:
    r"""A name of a user's as part of a line: without line breaks and other control characters.

    >>> from bayesgmm.result.text import one_line
    >>> print(one_line("length\nin cm"))
    length\nin cm
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _headlines(fit: FitRecord) -> list[str]:
    chains, draws = fit.parameters.batch_shape
    some = f"{chains} chain{'s' * (chains != 1)} x {draws} draws"
    told, d = fit.of_rows, len(fit.feature_names)
    steps, unseen, seen = one_line(told["recorded"]), told["n_unseen"], one_line(told["seen"])
    recorded = f" recorded to {steps}" if steps else ""
    holes = f", {unseen:,} value{'s' * (unseen != 1)} not seen" if unseen else ""
    likelihood = f"log-likelihood {fit.log_likelihood:.2f}"
    seen = f", {seen}" if seen else ""
    lines = [
        f"MixtureFit {fit.spec.label}: {METHODS[fit.method].title.format(some)}",
        f"{_rows(fit)}{recorded}, {d} feature{'s' * (d != 1)}{holes}{seen}, "
        f"{fit.n_parameters} free parameters; {likelihood}"
        + (" (mean over draws)" if fit.is_posterior else ""),
    ]
    if not fit.is_posterior:
        icl = f", ICL {fit.icl():.2f}" if fit.has_rows else ""  # which goes over all rows
        lines.append(f"AIC {fit.aic():.2f}, BIC {fit.bic():.2f}{icl}")
    if (whole := fit.fact("sample_of")) is not None:
        n = int(fit.fact("n_rows"))
        lines.append(
            f"The rows are a random sample of {n:,} of {whole:,} rows: standard errors are those "
            f"of {n:,} rows."
        )
    status, facts = fit.status, fit.tree["fit"].to_dataset()
    if sampled := _how_sampled(facts):
        lines.append(sampled)
    if "verdict" in facts:
        lines.append(str(facts["verdict"].item()))
    lines.append(f"Status: {status}. {status.sentence} {status.remedy}".rstrip())
    return [*lines, fit.note] if fit.note else lines


def _rows(fit: FitRecord) -> str:
    """How many there are, and where those are that the fit does not hold."""
    n = int(fit.fact("n_rows"))
    if fit.has_rows:
        return f"{n} rows"
    if "data" in fit.tree.attrs:
        return f"{n:,} rows of {one_line(json.loads(fit.tree.attrs['data'])['description'])}"
    return f"{n:,} rows (saved without them)"


def _how_sampled(facts: xr.Dataset) -> str:
    """How draws came about, where it is not by NUTS alone."""
    sampler = str(facts["sampler"].item()) if "sampler" in facts else ""
    if sampler == "jumps":
        said = f"Sampled by chains that jump between {facts['n_modes'].item()} modes "
        if "round_trips" in facts:
            return (
                f"{said}by way of {facts['temperatures'].size} temperatures "
                f"({facts['round_trips'].item()} round trips)."
            )
        return f"{said}({facts['jumps_accepted'].item():.1%} of their proposals accepted)."
    if sampler == "tempering":
        return (
            f"Sampled by tempering at {facts['temperatures'].size} temperatures, "
            f"{facts['round_trips'].item()} round trips from the prior."
        )
    return ""


def _table(fit: FitRecord) -> tuple[list[list[str]], list[str]]:
    """Rows of cells, the header first, and lines to stand below them."""
    p = fit.parameters
    shown = min(p.n_components, _SHOWN_COMPONENTS)
    features = [one_line(name) for name in fit.feature_names[:_SHOWN_FEATURES]]
    columns = [("weight", p.weights[..., :shown])]
    noise = p.noise
    for title, values in (("mean", p.means), ("sd", p.scales)):
        columns += [(f"{title} {name}", values[..., :shown, j]) for j, name in enumerate(features)]
    cells = [["component", *(str(j) for j in range(shown))]]
    for title, values in columns:
        mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
        texts = [f"{m:.4g} ± {s:.2g}" for m, s in zip(mean, sd, strict=True)]
        cells.append([title, *(texts if fit.is_posterior else [f"{m:.4g}" for m in mean])])
    lines = []
    if noise is not None:
        spread = f" ± {noise.weight.std():.2g}" if fit.is_posterior else ""
        lines.append(f"noise: weight {noise.weight.mean():.4g}{spread}")
    if shown < p.n_components or len(features) < len(fit.feature_names):
        lines.append("(more in .summary())")
    return [list(row) for row in zip(*cells, strict=True)], lines


def parameter_table(fit: FitRecord) -> Any:
    """The table of :meth:`MixtureFit.summary`."""
    free = free_parameters(fit.tree["posterior"].to_dataset(), fit.spec)
    if fit.is_posterior:
        import arviz as az

        try:
            with np.errstate(over="raise"):
                return az.summary(free, round_to="none")
        except FloatingPointError:
            largest = max(float(np.abs(array).max()) for array in free.values())
            raise FitError(
                f"Squares of parameters as large as {largest:.0e} are beyond floating point, and "
                "a summary needs them; divide the data."
            ) from None
    import pandas as pd

    rows = {
        f"{name}[{', '.join(str(label) for label in labels)}]": value
        for name, array in free.isel(chain=0, draw=0).items()
        for labels, value in _labelled(array)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value"])


def _labelled(array: xr.DataArray) -> list[tuple[tuple[Any, ...], float]]:
    """Each entry of an array with its coordinates."""
    return [
        (
            tuple(array[dim].values[i] for dim, i in zip(array.dims, at, strict=True)),
            float(array.values[at]),
        )
        for at in np.ndindex(*array.shape)
    ]
