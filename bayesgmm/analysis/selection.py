"""How many components, and which structure: every candidate fitted, one table.

EM fits every model and screens them; the best few are sampled, so that their
predictive accuracy has a standard error and their evidence is known.  A model that
fails is a row with its reason and loses no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bayesgmm.analysis.candidates import Candidates
from bayesgmm.analysis.compare import point_criteria
from bayesgmm.analysis.leave_one_out import LeaveOneOut, leave_one_out, stacked
from bayesgmm.analysis.pointwise import why_not
from bayesgmm.analysis.selected import Selection, distinct, probabilities
from bayesgmm.errors import FitError, SpecError
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, thread_map
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import STRUCTURES, MixtureSpec, Structure
from bayesgmm.model.statistics import CHUNK
from bayesgmm.result import MixtureFit
from bayesgmm.status import Status

#: What may order the table, and how many models are sampled for it by default.
CRITERIA = {"bic": 2, "aic": 2, "icl": 2, "loo": 4, "evidence": 4, "all": 4}
_OF_DRAWS = (
    "elpd_loo", "elpd_loo_se", "elpd_diff", "dse", "weight", "log_evidence", "log_evidence_se",
    "probability", "probability_se", "bad_rows",
)  # fmt: skip


@whole_imports
def select(
    data: Any,
    n_components: Iterable[int] = range(1, 6),
    covariances: Iterable[Structure] = STRUCTURES,
    *,
    by: str = "bic",
    posteriors: int | None = None,
    priors: Priors | None = None,
    prior_on_k: Mapping[int, float] | None = None,
    out: str | Path | None = None,
    seed: int | None = None,
    cores: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Selection:
    """Fit every candidate by EM, sample the best few, and put them in one table.

    Parameters
    ----------
    data : anything that Observations takes
    n_components : iterable of int, default 1 to 5
    covariances : iterable of structures, default all four
    by : {"bic", "aic", "icl", "loo", "evidence", "all"}, default "bic"
        What orders the table.  EM screens by it, or by BIC where it needs draws;
        ``"all"`` computes everything and orders by evidence.
    posteriors : int, optional
        How many of the best are sampled; 0 for none.  2 by default, 4 for a criterion
        that needs draws.  A model that goes by two names (with one feature, ``full`` is
        ``diag``) is sampled once.
    priors : Priors, optional
        Of the sampled models.
    prior_on_k : mapping of K to weight, optional
        For the posterior probabilities of the models; uniform by default, and equal for
        the structures within one K.
    out : path, optional
        A folder where each fit is kept as it is finished.  The same call again, after
        an interruption say, does only what is missing.
    seed : int, optional
    cores : int, optional
    progress : callable, optional
        Called as ``progress(what, done, total)`` after each model.
    sampling : mapping, optional
        Options of ``fit(method="nuts")``, such as ``draws``.

    Returns
    -------
    Selection

    References
    ----------
    Fraley and Raftery (2002), Model-based clustering, discriminant analysis and
    density estimation, JASA 97.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> chosen = bg.select(bg.datasets.galaxies(), range(1, 4), ["full"], posteriors=0, seed=1)
    >>> chosen.table.index[0]
    'K=3, full'
    """
    if by not in CRITERIA:
        raise SpecError(f"by must be one of {', '.join(CRITERIA)}, got {by!r}.")
    observations = data if isinstance(data, Observations) else Observations(data)
    counts, structures = list(n_components), list(covariances)
    specs = [
        MixtureSpec(k, covariance, priors or Priors()) for covariance in structures for k in counts
    ]
    if not specs:
        raise SpecError("There is no model to fit; give at least one K and one covariance.")
    candidates = Candidates.of(observations, out, seed)
    fits, table = _screen(candidates, specs, by, available_cores(cores), progress)
    drawn: dict[str, MixtureFit] = {}
    left_out: dict[str, LeaveOneOut] = {}
    chosen = distinct([label for label in table.index if label in fits], fits)
    chosen = chosen[: max(CRITERIA[by] if posteriors is None else posteriors, 0)]
    for done, label in enumerate(chosen):
        if progress is not None:
            progress(f"sampling {label}", done, len(chosen))
        options = {"cores": cores, **(sampling or {})}
        result = candidates.fitted(
            fits[label].spec, "nuts", options, evidence=by in ("evidence", "all")
        )
        if not isinstance(result, MixtureFit):
            table.loc[label, "sampling"] = result
            continue
        drawn[label] = result
        table.loc[label, "sampling"] = str(result.status)
        facts = result.tree["fit"].to_dataset()
        for name in ("log_evidence", "log_evidence_se"):
            table.loc[label, name] = float(facts.get(name, np.nan))
        if why_not(result) is None:  # not with row weights that count no rows
            left_out[label] = leave_one_out(result)
            elpd = left_out[label].elpd
            columns = ["elpd_loo", "elpd_loo_se", "bad_rows"]
            table.loc[label, columns] = [elpd.value, elpd.se, len(elpd.bad_rows)]
        if progress is not None:
            progress(f"sampling {label}", done + 1, len(chosen))
    if len(left_out) > 1:
        for label, values in stacked(left_out).items():
            for name in ("elpd_diff", "dse", "weight"):
                table.loc[label, name] = values[name]
    table["probability"], table["probability_se"] = probabilities(table, prior_on_k, seed)
    return Selection(_ordered(table, by), fits, drawn, by)


def _screen(
    candidates: Candidates, specs: list[MixtureSpec], by: str, cores: int, progress: Any
) -> tuple[dict[str, MixtureFit], Any]:
    """Every model by EM, and the table so far, best first."""
    import pandas as pd

    finished = 0
    # Side by side, one core each; where rows are many, one model at a time on all cores.
    side_by_side = cores if candidates.observations.n_rows <= CHUNK else 1
    options = {"cores": cores // side_by_side}

    def one(spec: MixtureSpec) -> MixtureFit | str:
        nonlocal finished
        result = candidates.fitted(spec, "em", options)
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
            rows[spec.label] = point_criteria(result) | {"status": str(result.status)}
        else:
            rows[spec.label] = _failed(spec, result)
    if not fits:
        reason = rows[specs[0].label]["status"]
        raise FitError(f"No model could be fitted; the first failed so: {reason}")
    table = pd.DataFrame.from_dict(rows, orient="index").drop(columns=["method"])
    for column in _OF_DRAWS:
        table[column] = np.nan
    table["sampling"] = ""
    return fits, _ordered(table, by if by in ("bic", "aic", "icl") else "bic")


def _ordered(table: Any, by: str) -> Any:
    """Best first: converged models, by the criterion, and by BIC where it is unknown."""
    failed = table["status"] != Status.CONVERGED.value
    column, sign = {"loo": ("elpd_loo", -1), "evidence": ("log_evidence", -1),
                    "all": ("log_evidence", -1)}.get(by, (by, 1))  # fmt: skip
    keys = table.assign(_failed=failed, _key=sign * table[column])
    order = keys.sort_values(["_failed", "_key", "bic"], na_position="last").index
    return table.loc[order]


def _failed(spec: MixtureSpec, reason: str) -> dict[str, Any]:
    return {
        "method": "em", "n_components": spec.n_components, "covariance": spec.covariance,
        "log_likelihood": np.nan, "n_parameters": np.nan, "aic": np.nan, "bic": np.nan,
        "icl": np.nan, "status": reason,
    }  # fmt: skip
