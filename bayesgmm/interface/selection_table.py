"""A selection as a table on a terminal: what fits its width, best models first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bayesgmm.analysis.selection.selected import Selection

#: Columns that a narrow terminal does without, the first first.
_FIRST_TO_GO = (
    "AIC",
    "log-lik",
    "free",
    "ICL",
    "few rows",
    "prob.",
    "elpd_loo",
    "log evidence",
    "BIC",
)
_SHOWN_FEW = 0.5  # components of few rows, in the mean, from which they are shown
#: Which of them the order of the table comes from.
_BY = {
    "bic": "BIC", "aic": "AIC", "icl": "ICL", "loo": "elpd_loo", "evidence": "log evidence",
    "all": "log evidence",
}  # fmt: skip


def selection_table(chosen: Selection, console: Console) -> tuple[Table, list[str]]:
    """The table, and the columns that the console has no room for."""
    columns = _columns(chosen)
    left_out: list[str] = []
    for name in (name for name in _FIRST_TO_GO if name in columns and name != _BY[chosen.by]):
        if _least_width(_table(chosen, columns), console) <= console.width:
            break
        left_out.append(name)
        del columns[name]
    return _table(chosen, columns), left_out


def _least_width(table: Table, console: Console) -> int:
    """Of the table with no number cut; what is said in the last column may break."""
    return Measurement.get(console, console.options.update_width(1000), table).minimum


def shown_once(chosen: Selection) -> str:
    """A sentence on models that go by several names, if there are any."""
    several: dict[str, list[int]] = {}
    for _, row in chosen.table[chosen.table["same_as"] != ""].iterrows():
        names = " = ".join([row["covariance"], *row["same_as"].split(", ")])
        several.setdefault(names, []).append(row["n_components"])
    told = [f"{names} at K = {', '.join(map(str, sorted(ks)))}" for names, ks in several.items()]
    return f"One model by several names, shown once: {'; '.join(sorted(told))}." if told else ""


def what_columns_say(chosen: Selection) -> list[str]:
    """Sentences on the columns that are there."""
    told = [
        "Smaller is better for AIC, BIC and ICL; larger for elpd_loo and log evidence (± their "
        "standard errors)."
    ]
    sampled = int(chosen.table["probability"].notna().sum())
    if sampled:
        told.append(f"prob.: posterior probability among the {sampled} models sampled.")
    if (chosen.table["few_rows"] >= _SHOWN_FEW).any():
        from bayesgmm.inference.maximum.soundness import fewest_rows

        some = next(iter(chosen.fits.values()))
        told.append(
            f"few rows: components with fewer than {fewest_rows(len(some.feature_names))} rows, "
            "by EM or in the mean over draws."
        )
    return told


def uncertain(chosen: Selection) -> list[str]:
    """Sentences on numbers of the table that are not to be relied on."""
    told = []
    for label, count in chosen.table["bad_rows"][chosen.table["bad_rows"] > 0].items():
        told.append(
            f"{label}: {count:.0f} row{'s' * (count != 1)} with Pareto k-hat above 0.7, so its "
            "elpd_loo is uncertain."
        )
    return told + [note for note in chosen.table["evidence_note"] if note]


def _columns(chosen: Selection) -> dict[str, list[str]]:
    """The cells of each column that has numbers."""
    rows = [row for _, row in chosen.table.iterrows()]
    columns = {
        "log-lik": [_number(row["log_likelihood"]) for row in rows],
        "free": [
            "" if math.isnan(row["n_parameters"]) else f"{row['n_parameters']:.0f}" for row in rows
        ],
        "AIC": [_number(row["aic"]) for row in rows],
        "BIC": [_number(row["bic"]) for row in rows],
        "ICL": [_number(row["icl"]) for row in rows],
        "elpd_loo": [_with_error(row, "elpd_loo", 1) for row in rows],
        "log evidence": [_with_error(row, "log_evidence", 2) for row in rows],
        "prob.": [_number(row["probability"]) for row in rows],
        "few rows": [_few(row["few_rows"]) for row in rows],
    }
    if any(columns["log evidence"]) and chosen.by != "aic":  # too wide with both
        del columns["AIC"]
    return {name: cells for name, cells in columns.items() if any(cells)}


def _table(chosen: Selection, columns: dict[str, list[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    labels = [str(label) for label in chosen.table.index]
    table.add_column("model", no_wrap=True, min_width=max(map(len, labels)))
    for name, cells in columns.items():
        widest = max(map(len, [name, *cells]))
        table.add_column(name, justify="right", no_wrap=True, min_width=widest)
    table.add_column("EM; sampling", min_width=len("converged"), overflow="fold")
    for i, (_, row) in enumerate(chosen.table.iterrows()):
        told = [text for text in (row["status"], row["sampling"]) if text]
        sound = all(text == "converged" for text in told)
        ends = Text("converged" if sound else "; ".join(told), style="green" if sound else "yellow")
        numbers = [cells[i] for cells in columns.values()]
        table.add_row(labels[i], *numbers, ends, style="bold" if i == 0 else "")
    return table


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _few(count: float) -> str:
    return "" if not count >= _SHOWN_FEW else f"{count:.1f}".removesuffix(".0")


def _with_error(row: Any, name: str, digits: int) -> str:
    if math.isnan(row[name]):
        return ""
    return f"{row[name]:.{digits}f} ± {row[name + '_se']:.{digits}f}"
