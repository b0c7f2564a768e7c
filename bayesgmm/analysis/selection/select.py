"""How many components, and which structure: every candidate fitted, one table.

EM fits every model and screens them; the best are sampled, so that their predictive
accuracy has a standard error and their evidence is known.  How many that takes is found out
on the way, for what is left unsampled may be what is most probable.  A model that fails is a
row with its reason and loses no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bayesgmm.analysis.criteria.leave_one_out import LeaveOneOut, leave_one_out, stacked
from bayesgmm.analysis.criteria.pointwise import why_not
from bayesgmm.analysis.selection.candidates import Candidates
from bayesgmm.analysis.selection.model_probabilities import probabilities
from bayesgmm.analysis.selection.screening import components_of_few_rows, ordered, screened
from bayesgmm.analysis.selection.selected import Selection
from bayesgmm.analysis.selection.unsampled import next_to_sample, share_of
from bayesgmm.compiled.threads import available_cores
from bayesgmm.data.observations import Observations
from bayesgmm.errors import SpecError
from bayesgmm.inference.evidence.log_evidence import FEWEST
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import NUTS
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.model.structure import Covariance
from bayesgmm.options import (
    CORES,
    COUNT,
    LIMIT_FROM_ZERO,
    MAPPING,
    NOT_NEGATIVE,
    PATH,
    PROGRESS,
    SHARE,
    Progress,
    instance,
    one_of,
    optional,
    seed_value,
    shown,
)
from bayesgmm.progress import watched
from bayesgmm.result.fit import MixtureFit
from bayesgmm.result.status import Status

#: What may order the table, and how many models are sampled for it at most by default.
CRITERIA = {"bic": 2, "aic": 2, "icl": 2, "loo": 12, "evidence": 12, "all": 12}
_MOST_MODELS = 10_000
#: Structures tried where none are named: those that every package has.
CANDIDATES: tuple[Covariance, ...] = ("full", "tied", "diag", "spherical")


@whole_imports
def select(
    data: Any,
    n_components: Iterable[int] = range(1, 6),
    covariances: Iterable[Covariance] = CANDIDATES,
    *,
    by: str = "bic",
    posteriors: int | None = None,
    unsampled: float = 0.02,
    priors: Priors | None = None,
    noise: bool | Iterable[bool] = False,
    prior_on_k: Mapping[int, float] | None = None,
    out: str | Path | None = None,
    seed: Any = None,
    cores: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    sampling: NUTS | None = None,
) -> Selection:
    """Fit every candidate by EM, sample the best, and put them in one table.

    By evidence (and ``"all"``) models are sampled until the K after the best is known, and
    what is left can hold no more than ``unsampled`` of the probability.  The log evidence of
    a model that was not sampled is judged, high rather than low, by the larger of two
    guesses: -BIC / 2, corrected by what the nearest sampled K of its structure has above it;
    and the fall in K seen last in its structure, which goes on, for the log evidence is
    concave in K past what the data ask for.  A structure that was not seen to fall, or of
    which nothing was sampled, is given 5 more.  By ``elpd_loo`` the best four by BIC are
    sampled, and on until the K after the best is known.

    Parameters
    ----------
    data : anything that Observations takes
    n_components : iterable of int, default 1 to 5
    covariances : iterable of str, default ("full", "tied", "diag", "spherical")
        Any of :class:`bayesgmm.MixtureSpec`.  Where two are one model it is fitted once, and
        has one row: with one feature ``diag`` and ``spherical`` are ``full``, and with K = 1
        ``tied`` is.
    by : {"bic", "aic", "icl", "loo", "evidence", "all"}, default "bic"
        What orders the table.  EM screens by it, or by BIC where it needs draws;
        ``"all"`` computes everything and orders by evidence.
    posteriors : int, optional
        How many are sampled; 0 for none.  2 by default.  By ``"loo"``, ``"evidence"`` and
        ``"all"`` it is the most that are sampled, 12 by default.
    unsampled : float, default 0.02
        By evidence, the probability that may be left in models that are not sampled; with
        0 all are, up to ``posteriors``.
    priors : Priors, optional
        Of the sampled models.
    noise : bool or iterable of bool, default False
        Whether the models have noise beside their components, or ``[False, True]`` for each
        with and without.
    prior_on_k : mapping of K to weight, optional
        For the posterior probabilities of the models; uniform by default, and equal for
        the structures within one K.  A K that it leaves out has no weight.
    out : path, optional
        A folder where each fit is kept as it is finished.  The same call again, after
        an interruption say, does only what is missing.
    seed : int, SeedSequence or Generator, optional
    cores : int, optional
    progress : callable, optional
        Called as ``progress(what, done, total)``: after each model by EM, and with the
        stages of each that is sampled.
    sampling : NUTS, optional
        How to sample, such as ``bg.NUTS(draws=500)``.

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
    most = CRITERIA[by] if posteriors is None else posteriors
    unsampled = SHARE("unsampled", unsampled)
    priors = Priors() if priors is None else priors
    noisy = [noise] if isinstance(noise, (bool, np.bool_)) else _several("noise", noise, "True")
    structures = _several("covariances", covariances, "['full', 'tied']")
    ks = _several("n_components", n_components, "range(1, 6)")
    specs = [
        MixtureSpec(k, covariance, priors, each)
        for each in noisy
        for covariance in structures
        for k in ks
    ]
    if not specs:
        raise SpecError("There is no model to fit; give at least one K and one covariance.")
    prior_on_k = _prior_on_k(prior_on_k, [spec.n_components for spec in specs])
    out = optional(PATH)("out", out)
    sampling = optional(instance("a bayesgmm.NUTS", NUTS))("sampling", sampling) or NUTS()
    if by in ("evidence", "all") and most and sampling.n_draws < FEWEST:
        raise SpecError(
            f"The evidence needs {FEWEST} draws or more and sampling gives "
            f"{sampling.n_draws}; draw more, or select by another criterion."
        )
    seed, cores = seed_value(seed), CORES("cores", cores)
    progress = PROGRESS("progress", progress)
    observations = data if isinstance(data, Observations) else Observations(data)
    models = _distinct(specs, observations.n_features)
    candidates = Candidates.of(observations, out, seed)
    with watched(progress) as report:
        return _selected(
            candidates, models, by, most, unsampled, prior_on_k, sampling, cores, report
        )


def _selected(
    candidates: Candidates,
    models: dict[MixtureSpec, list[Covariance]],
    by: str,
    most: int,
    unsampled: float,
    prior_on_k: dict[int, float] | None,
    sampling: NUTS,
    cores: int | None,
    progress: Progress | None,
) -> Selection:
    """Screen by EM, then sample what may be most probable."""
    fits, table = screened(candidates, models, by, available_cores(cores), progress)
    drawn: dict[str, MixtureFit] = {}
    left_out: dict[str, LeaveOneOut] = {}
    tried: list[str] = []
    while len(tried) < most:
        label = next_to_sample(table, tried, by, prior_on_k, unsampled)
        if label is None:
            break
        tried.append(label)
        report = _stages(progress, f"sampling {label}, {len(tried)} of at most {most}")
        result = candidates.fitted(
            fits[label].spec,
            sampling,
            cores=cores,
            progress=report,
            evidence=by in ("evidence", "all"),
        )
        if not isinstance(result, MixtureFit):
            table.loc[label, "sampling"] = result
            continue
        drawn[label] = result
        _add(table, label, result)
        if why_not(result) is None:  # not with row weights that count no rows
            left_out[label] = leave_one_out(result)
            elpd = left_out[label].elpd
            columns = ["elpd_loo", "elpd_loo_se", "bad_rows"]
            table.loc[label, columns] = [elpd.value, elpd.se, len(elpd.bad_rows)]
        if result.status is Status.INTERRUPTED:
            break
    if len(left_out) > 1:
        for label, values in stacked(left_out).items():
            for name in ("elpd_diff", "dse", "weight"):
                table.loc[label, name] = values[name]
    found = probabilities(table, prior_on_k, candidates.seed)
    table["probability"], table["probability_se"] = found
    left = float("nan")
    if table["log_evidence"].notna().any():
        left = float(share_of(table, prior_on_k)[table["log_evidence"].isna()].sum())
    return Selection(ordered(table, by), fits, drawn, by, left, prior_on_k)


def _stages(progress: Any, what: str) -> Any:
    """A sampler's stages as stages of the selection."""
    if progress is None:
        return None
    progress(what, 0, 0)
    return lambda stage, done, total: progress(f"{what}: {stage}", done, total)


def _add(table: Any, label: str, result: MixtureFit) -> None:
    """What draws say of a model, in its row of the table."""
    table.loc[label, "sampling"] = str(result.status)
    facts = result.tree["fit"].to_dataset()
    for name in ("log_evidence", "log_evidence_se"):
        table.loc[label, name] = float(facts.get(name, np.nan))
    table.loc[label, "evidence_note"] = (
        str(facts["log_evidence_note"].item()) if ("log_evidence_note" in facts) else ""
    )
    table.loc[label, "few_rows"] = components_of_few_rows(result)


def _several(name: str, given: Any, example: str) -> list[Any]:
    """The entries of an option that takes several, or a refusal."""
    try:
        if isinstance(given, (str, bytes, Mapping)):
            raise TypeError
        entries = list(islice(given, _MOST_MODELS + 1))
    except TypeError:
        raise SpecError(f"{name} must be several, such as {example}, got {shown(given)}.") from None
    if len(entries) > _MOST_MODELS:
        raise SpecError(f"{name} has more than {_MOST_MODELS:,} entries; give fewer.")
    return entries


def _prior_on_k(prior: Any, asked: list[int]) -> dict[int, float] | None:
    given = optional(MAPPING)("prior_on_k", prior)
    if given is None:
        return None
    weights = {
        COUNT("A K of prior_on_k", k): NOT_NEGATIVE(f"prior_on_k[{k}]", weight)
        for k, weight in given.items()
    }
    if not any(weights.get(k) for k in asked):
        raise SpecError(
            f"prior_on_k gives no weight to any K of n_components, {shown(sorted(set(asked)))}; "
            "give it to one or more."
        )
    return weights


def _distinct(specs: list[MixtureSpec], n_features: int) -> dict[MixtureSpec, list[Covariance]]:
    """Each model once, by the plainest of the names asked for, with the other such names."""
    asked: dict[Any, list[MixtureSpec]] = {}
    for spec in specs:
        key = (spec.n_components, spec.noise, spec.synonyms(n_features))
        asked.setdefault(key, []).append(spec)
    models = {}
    for (_, _, synonyms), same in asked.items():
        wanted = {spec.covariance for spec in same}
        plainest, *others = (name for name in synonyms if name in wanted)
        models[same[0].replace(covariance=plainest)] = others
    return models
