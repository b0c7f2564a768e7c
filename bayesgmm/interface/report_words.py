"""What a report's tables say, in words: no name of a column or a parameter that is code."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from bayesgmm.analysis.diagnose import diagnose
from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.interface.selection_table import shown_once, uncertain, what_columns_say
from bayesgmm.markup import sentences, table
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.tree import free_parameters

_PARAMETERS, _MODELS, _QUANTITIES = 60, 12, 5  # that tables list
_FEW = 0.5  # components of few rows, in the mean, from which they are told

CRITERIA = {
    "bic": "BIC", "aic": "AIC", "icl": "ICL", "loo": "accuracy for new rows",
    "evidence": "the evidence", "all": "the evidence, with all other criteria beside it",
}  # fmt: skip
_NAMES = {
    "weights": "weight of {component}",
    "noise_weight": "weight of noise",
    "means": "mean of {feature}, {component}",
    "scales": "standard deviation of {feature}, {component}",
    "correlations": "correlation of {pair}, {component}",
}


def in_words(sentence: str) -> str:
    """A sentence on a selection without the name of a column."""
    told = sentence.replace("elpd_loo", "accuracy for new rows")
    return told[0].upper() + told[1:]


def number(value: float, form: str = ".4g") -> str:
    """A number as a cell; nothing where there is none."""
    return "" if value is None or np.isnan(value) else format(float(value), form)


# Parameters ---------------------------------------------------------------------------


def parameters(fit: MixtureFit) -> str:
    """A table of every parameter, with how sure each is."""
    summary, names = fit.summary(), _parameter_names(fit)
    header, cells = ["parameter", "value"], _of_value
    if fit.is_posterior:
        mass = next(str(name).rpartition("_")[0] for name in summary if str(name).endswith("_lb"))
        percent = "".join(c for c in mass if c.isdigit())
        header = ["parameter", "mean", "standard deviation", f"{percent} % interval",
                  "error of the mean", "independent draws", "R-hat"]  # fmt: skip
        cells = partial(_of_draws, interval=mass)
    rows = [
        [names.get(str(label), str(label)), *cells(row)]
        for label, row in summary.head(_PARAMETERS).iterrows()
    ]
    left_out, below = len(summary) - len(rows), []
    if left_out:
        below.append(f"{left_out:,} more are in fit.summary().")
    if fit.is_posterior:
        below.append(
            "The error of a mean is that of the simulation, small beside the standard deviation "
            "where there were draws enough. R-hat is near 1 where chains agree."
        )
    return table("Every parameter", header, rows) + sentences(below)


def _of_value(row: Any) -> list[str]:
    return [number(row["value"])]


def _of_draws(row: Any, interval: str) -> list[str]:
    """The cells of a line of ArviZ's summary."""
    low, high = number(row[f"{interval}_lb"]), number(row[f"{interval}_ub"])
    draws = min(row["ess_bulk"], row["ess_tail"])
    return [
        number(row["mean"]), number(row["sd"], ".2g"), f"{low} to {high}",
        number(row["mcse_mean"], ".2g"), number(draws, ",.0f"), number(row["r_hat"], ".3f"),
    ]  # fmt: skip


def _parameter_names(fit: MixtureFit) -> dict[str, str]:
    """Words for each entry of a summary, by the name that it has there."""
    found = {}
    for name, values in free_parameters(fit.tree["posterior"].to_dataset(), fit.spec).items():
        dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
        for at in np.ndindex(*(values.sizes[dim] for dim in dims)):
            labels = [str(values[dim].values[i]) for dim, i in zip(dims, at, strict=True)]
            told = dict(zip(map(str, dims), labels, strict=True))
            if "component" in told:
                told["component"] = f"component {told['component']}"
            if "pair" in told:
                told["pair"] = told["pair"].replace(", ", " and ", 1)
            raw = f"{name}[{', '.join(labels)}]" if labels else str(name)
            found[raw] = _NAMES[str(name)].format_map(told)
    return found


# Diagnosis ------------------------------------------------------------------------------


def diagnosed(fit: MixtureFit) -> str:
    """What :func:`diagnose` says of draws, with the quantities that are worst."""
    found = diagnose(fit)
    words = _parameter_names(fit)
    said = sentences([found.verdict, *found.warnings])
    for free, caption in (
        (True, "Quantities that do not depend on how components are numbered, worst first"),
        (False, "Parameters of components, worst first"),
    ):
        part = found.table[found.table["label_free"] == free].head(_QUANTITIES)
        if not len(part):
            continue
        rows = [
            [
                words.get(str(label), str(label)),
                number(row["mean"], ".5g"),
                number(row["sd"], ".3g"),
                number(row["r_hat"], ".3f"),
                number(row["ess"], ",.0f"),
            ]
            for label, row in part.iterrows()
        ]
        header = ["quantity", "mean", "standard deviation", "R-hat", "independent draws"]
        said += table(caption, header, rows)
    return said


# Selection ------------------------------------------------------------------------------


def selected(selection: Selection) -> str:
    """The models, best first, with what each column says."""
    models = selection.table.head(_MODELS)

    def with_error(name: str, form: str) -> list[str]:
        return [
            f"{number(value, form)} ± {number(error, form)}" if value == value else ""
            for value, error in zip(models[name], models[f"{name}_se"], strict=True)
        ]

    columns = {
        "posterior probability": [number(p, ".3f") for p in models["probability"]],
        "log evidence": with_error("log_evidence", ".2f"),
        "accuracy for new rows (elpd)": with_error("elpd_loo", ".1f"),
        "BIC": [number(value, ".2f") for value in models["bic"]],
        "AIC": [number(value, ".2f") for value in models["aic"]],
        "ICL": [number(value, ".2f") for value in models["icl"]],
        "log-likelihood": [number(value, ".2f") for value in models["log_likelihood"]],
        "free parameters": [number(value, ".0f") for value in models["n_parameters"]],
        "components of few rows": [
            number(value, ".2g") if value >= _FEW else "" for value in models["few_rows"]
        ],
        "how EM and sampling ended": [
            _ended(told) for told in zip(models["status"], models["sampling"], strict=True)
        ],
    }
    if any(columns["log evidence"]) and selection.by != "aic":  # too wide with both
        del columns["AIC"], columns["log-likelihood"]
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    rows = [
        [str(label), *cells] for label, *cells in zip(models.index, *columns.values(), strict=True)
    ]
    every = len(selection.table)
    many = f"The best {len(models)} of {every}" if len(models) < every else str(every)
    caption = f"{many} model{'s' * (every != 1)}, best first"
    told = [
        in_words(
            line.replace(
                "prob.: posterior probability", "posterior probabilities are those"
            ).replace("few rows:", "components of few rows:")
        )
        for line in [*what_columns_say(selection), shown_once(selection), *uncertain(selection)]
        if line
    ]
    return table(caption, ["model", *columns], rows) + sentences(told)


def _ended(told: Iterable[str]) -> str:
    """How each went, in one word where all went well."""
    parts = [part for part in told if part]
    return "converged" if all(part == "converged" for part in parts) else "; ".join(parts)
