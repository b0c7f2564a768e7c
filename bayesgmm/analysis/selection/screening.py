"""Every candidate by EM, and the table that they begin and that its order belongs to."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.analysis.compare import point_criteria, ranks
from bayesgmm.analysis.selection.candidates import Candidates
from bayesgmm.compiled.threads import thread_map
from bayesgmm.errors import FitError
from bayesgmm.expectation.rows import cores_of_one_pass
from bayesgmm.inference.maximum.soundness import of_few_rows
from bayesgmm.methods import EM
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.status import Status

_OF_DRAWS = (
    "elpd_loo", "elpd_loo_se", "elpd_diff", "dse", "weight", "log_evidence", "log_evidence_se",
    "probability", "probability_se", "bad_rows",
)  # fmt: skip


def screened(
    candidates: Candidates,
    models: dict[MixtureSpec, list[Covariance]],
    by: str,
    cores: int,
    progress: Any,
) -> tuple[dict[str, MixtureFit], Any]:
    """Every model by EM, and the table so far, best first."""
    import pandas as pd

    specs = list(models)
    finished = 0
    each = cores_of_one_pass(candidates.observations.n_rows, cores)
    side_by_side = cores // each

    def one(spec: MixtureSpec) -> MixtureFit | str:
        nonlocal finished
        result = candidates.fitted(spec, EM(), cores=each)
        finished += 1
        if progress is not None:
            progress(f"EM {spec.label}", finished, len(specs))
        return result

    # One goes first, alone: packages that load themselves lazily cannot do so on two threads.
    first = next((spec for spec in specs if spec.n_components > 1), specs[0])
    results = {first: one(first)}
    others = [spec for spec in specs if spec != first]
    results |= zip(others, thread_map(one, others, side_by_side), strict=True)
    fits, rows = {}, {}
    for spec in specs:
        result = results[spec]
        if isinstance(result, MixtureFit):
            fits[spec.label] = result
            rows[spec.label] = point_criteria(result) | {
                "status": str(result.status),
                "few_rows": components_of_few_rows(result),
            }
        else:
            rows[spec.label] = _failed(spec, result)
    if not fits:
        reason = rows[specs[0].label]["status"]
        raise FitError(f"No model could be fitted; the first failed so: {reason}")
    table = pd.DataFrame.from_dict(rows, orient="index").drop(columns=["method"])
    table.insert(2, "noise", [spec.noise for spec in specs])
    table.insert(3, "same_as", [", ".join(others) for others in models.values()])
    for column in _OF_DRAWS:
        table[column] = np.nan
    table["sampling"] = table["evidence_note"] = ""
    return fits, ordered(table, by if by in ("bic", "aic", "icl") else "bic")


def ordered(table: Any, by: str) -> Any:
    """Best first: converged models, by the criterion, and by BIC where it is unknown.

    A model whose draws have the criterion needs no EM fit that converged.  What is equal up
    to rounding stands by simplicity.
    """
    column, sign = {
        "loo": ("elpd_loo", -1),
        "evidence": ("log_evidence", -1),
        "all": ("log_evidence", -1),
    }.get(by, (by, 1))
    failed = (table["status"] != Status.CONVERGED.value) & ((sign > 0) | table[column].isna())
    structure = [list(STRUCTURES).index(name) for name in table["covariance"]]
    simplicity = [structure, table["n_components"], table["n_parameters"]]
    keys = [*simplicity, ranks(table["bic"]), ranks(sign * table[column]), failed]
    return table.iloc[np.lexsort([np.asarray(key) for key in keys])]  # the last key first


def _failed(spec: MixtureSpec, reason: str) -> dict[str, Any]:
    return {
        "method": "em",
        "n_components": spec.n_components,
        "covariance": spec.covariance,
        "log_likelihood": np.nan,
        "n_parameters": np.nan,
        "aic": np.nan,
        "bic": np.nan,
        "icl": np.nan,
        "status": reason,
        "few_rows": np.nan,
    }


def components_of_few_rows(fit: MixtureFit) -> float:
    """How many components hold fewer than 2 D + 2 rows: in the mean over draws, or at a point."""
    return float(of_few_rows(fit.parameters, fit.observations).sum(axis=-1).mean())
