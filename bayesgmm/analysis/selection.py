"""How many components, and which structure: every candidate fitted, one table.

EM fits every model and screens them; the best few are sampled, so that their
predictive accuracy has a standard error and their evidence is known.  A model that
fails is a row with its reason and loses no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bayesgmm.analysis.candidates import Candidates
from bayesgmm.analysis.compare import point_criteria, ranks
from bayesgmm.analysis.leave_one_out import LeaveOneOut, leave_one_out, stacked
from bayesgmm.analysis.pointwise import why_not
from bayesgmm.analysis.selected import Selection, probabilities
from bayesgmm.errors import FitError, SpecError
from bayesgmm.inference.fitting import check_options
from bayesgmm.interrupts import whole_imports
from bayesgmm.model.observations import Observations
from bayesgmm.model.parallel import available_cores, thread_map
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import STRUCTURES, MixtureSpec, Structure
from bayesgmm.model.statistics import CHUNK
from bayesgmm.options import (
    CORES,
    COUNT,
    LIMIT_FROM_ZERO,
    MAPPING,
    NOT_NEGATIVE,
    PATH,
    PROGRESS,
    one_of,
    optional,
    seed_value,
    shown,
)
from bayesgmm.result import MixtureFit
from bayesgmm.status import Status

#: What may order the table, and how many models are sampled for it by default.
CRITERIA = {"bic": 2, "aic": 2, "icl": 2, "loo": 4, "evidence": 4, "all": 4}
_OF_ANY_FIT = ("cores", "progress", "start")  # what sampling may hold beside NUTS's own options
_MOST_MODELS = 10_000
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
    seed: Any = None,
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
        Where two are one model it is fitted once, and has one row: with one feature
        ``diag`` and ``spherical`` are ``full``, and with K = 1 ``tied`` is.
    by : {"bic", "aic", "icl", "loo", "evidence", "all"}, default "bic"
        What orders the table.  EM screens by it, or by BIC where it needs draws;
        ``"all"`` computes everything and orders by evidence.
    posteriors : int, optional
        How many of the best are sampled; 0 for none.  2 by default, 4 for a criterion
        that needs draws.
    priors : Priors, optional
        Of the sampled models.
    prior_on_k : mapping of K to weight, optional
        For the posterior probabilities of the models; uniform by default, and equal for
        the structures within one K.
    out : path, optional
        A folder where each fit is kept as it is finished.  The same call again, after
        an interruption say, does only what is missing.
    seed : int, SeedSequence or Generator, optional
    cores : int, optional
    progress : callable, optional
        Called as ``progress(what, done, total)`` after each model.
    sampling : mapping, optional
        Options of ``fit(method="nuts")``, such as ``draws``.

    Returns
    -------
    Selection

    Raises
    ------
    DataError, FitError, SpecError
        For bad data, where no model could be fitted, and for an option that is not valid,
        before any model is fitted.

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
    by = one_of(*CRITERIA)("by", by)
    posteriors = optional(LIMIT_FROM_ZERO)("posteriors", posteriors)
    priors = Priors() if priors is None else priors
    specs = [
        MixtureSpec(k, covariance, priors)
        for covariance in _several("covariances", covariances, "['full', 'tied']")
        for k in _several("n_components", n_components, "range(1, 6)")
    ]
    if not specs:
        raise SpecError("There is no model to fit; give at least one K and one covariance.")
    prior_on_k = _prior_on_k(prior_on_k)
    out, sampling = optional(PATH)("out", out), optional(MAPPING)("sampling", sampling)
    seed, cores = seed_value(seed), CORES("cores", cores)
    progress = PROGRESS("progress", progress)
    check_options("nuts", {k: v for k, v in (sampling or {}).items() if k not in _OF_ANY_FIT})
    observations = data if isinstance(data, Observations) else Observations(data)
    models = _distinct(specs, observations.n_features)
    candidates = Candidates.of(observations, out, seed)
    fits, table = _screen(candidates, models, by, available_cores(cores), progress)
    drawn: dict[str, MixtureFit] = {}
    left_out: dict[str, LeaveOneOut] = {}
    chosen = [str(label) for label in table.index if label in fits]
    chosen = chosen[: CRITERIA[by] if posteriors is None else posteriors]
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


def _several(name: str, given: Any, example: str) -> list[Any]:
    """The entries of an option that takes several, or a refusal."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise SpecError(f"{name} must be several, such as {example}, got {shown(given)}.")
    entries = list(islice(given, _MOST_MODELS + 1))
    if len(entries) > _MOST_MODELS:
        raise SpecError(f"{name} has more than {_MOST_MODELS:,} entries; give fewer.")
    return entries


def _prior_on_k(prior: Any) -> dict[int, float] | None:
    weights = optional(MAPPING)("prior_on_k", prior)
    if weights is None:
        return None
    return {
        COUNT("A K of prior_on_k", k): NOT_NEGATIVE(f"prior_on_k[{k}]", weight)
        for k, weight in weights.items()
    }


def _distinct(specs: list[MixtureSpec], n_features: int) -> dict[MixtureSpec, list[Structure]]:
    """Each model once, by the plainest of the names asked for, with the other such names."""
    asked: dict[Any, list[MixtureSpec]] = {}
    for spec in specs:
        asked.setdefault((spec.n_components, spec.synonyms(n_features)), []).append(spec)
    models = {}
    for (_, synonyms), same in asked.items():
        wanted = {spec.covariance for spec in same}
        plainest, *others = (name for name in synonyms if name in wanted)
        models[same[0].replace(covariance=plainest)] = others
    return models


def _screen(
    candidates: Candidates,
    models: dict[MixtureSpec, list[Structure]],
    by: str,
    cores: int,
    progress: Any,
) -> tuple[dict[str, MixtureFit], Any]:
    """Every model by EM, and the table so far, best first."""
    import pandas as pd

    specs = list(models)
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
    table.insert(2, "same_as", [", ".join(others) for others in models.values()])
    for column in _OF_DRAWS:
        table[column] = np.nan
    table["sampling"] = ""
    return fits, _ordered(table, by if by in ("bic", "aic", "icl") else "bic")


def _ordered(table: Any, by: str) -> Any:
    """Best first: converged models, by the criterion, and by BIC where it is unknown.

    What is equal up to rounding stands by simplicity.
    """
    failed = table["status"] != Status.CONVERGED.value
    column, sign = {"loo": ("elpd_loo", -1), "evidence": ("log_evidence", -1),
                    "all": ("log_evidence", -1)}.get(by, (by, 1))  # fmt: skip
    structure = [STRUCTURES.index(name) for name in table["covariance"]]
    simplicity = [structure, table["n_components"], table["n_parameters"]]
    keys = [*simplicity, ranks(table["bic"]), ranks(sign * table[column]), failed]
    return table.iloc[np.lexsort([np.asarray(key) for key in keys])]  # the last key first


def _failed(spec: MixtureSpec, reason: str) -> dict[str, Any]:
    return {
        "method": "em", "n_components": spec.n_components, "covariance": spec.covariance,
        "log_likelihood": np.nan, "n_parameters": np.nan, "aic": np.nan, "bic": np.nan,
        "icl": np.nan, "status": reason,
    }  # fmt: skip
