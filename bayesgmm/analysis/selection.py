"""How many components, and which structure: every candidate fitted, one table.

EM fits every model and screens them; the best few are sampled, so that their
predictive accuracy has a standard error.  A model that fails is a row with its
reason and loses no other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesgmm.analysis.compare import elpd_loo, point_criteria, stacked
from bayesgmm.errors import BayesGMMError, FitError, FitWarning, SpecError
from bayesgmm.inference.fitting import fit
from bayesgmm.model.observations import Observations
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import STRUCTURES, MixtureSpec, Structure
from bayesgmm.result import MixtureFit
from bayesgmm.status import Status

CRITERIA = ("bic", "aic", "icl")


@dataclass(frozen=True)
class Selection:
    """Candidate models of the same data, and what is known of each.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per model, best first: ``n_components``, ``covariance``,
        ``log_likelihood``, ``n_parameters``, ``aic``, ``bic``, ``icl`` (smaller is
        better), ``elpd_loo`` and ``elpd_loo_se`` (larger is better; NaN where not
        sampled), ``elpd_diff``, ``dse``, ``bad_rows``, ``status`` and ``sampling``
        (how EM and the sampler ended).
    fits : mapping of label to MixtureFit
        The EM fits.
    posteriors : mapping of label to MixtureFit
        Those that were sampled.
    by : str
        The criterion that orders the table.
    """

    table: Any
    fits: Mapping[str, MixtureFit]
    posteriors: Mapping[str, MixtureFit]
    by: str

    @property
    def best(self) -> MixtureFit:
        """The EM fit of the best model by the criterion."""
        return self[str(self.table.index[0])]

    def __getitem__(self, label: str) -> MixtureFit:
        if label not in self.fits:
            raise FitError(f"There is no fit {label!r}; there are {', '.join(self.fits)}.")
        return self.fits[label]

    @property
    def verdict(self) -> str:
        """One sentence: what the criteria support, and how firmly."""
        ok = self.table[self.table["status"] == Status.CONVERGED.value]
        ok = ok.loc[_distinct(ok.index, self.fits)]
        if not len(ok):
            return "No model converged; the table says why."
        best = ok.index[0]
        text = f"{self.by.upper()} prefers {best}"
        if len(ok) > 1:
            gap = ok[self.by].iloc[1] - ok[self.by].iloc[0]
            text += f", {gap:.1f} below {ok.index[1]}"
        sampled = ok.dropna(subset=["elpd_loo"]).sort_values("elpd_loo", ascending=False)
        if len(sampled) > 1:
            first, second = sampled.index[:2]
            gap = sampled["elpd_loo"].iloc[0] - sampled["elpd_loo"].iloc[1]
            error = sampled["dse"].iloc[1]
            sure = "more" if gap > 2 * error else "less"
            text += (
                f"; elpd_loo puts {first} above {second} by {gap:.1f} ± {error:.1f}, {sure} than "
                "twice its error"
            )
        return text + "."

    def __repr__(self) -> str:
        shown = self.table.drop(columns=["bad_rows", "sampling"]).head(10)
        return f"Selection of {len(self.table)} models\n{shown.to_string()}\n{self.verdict}"


def select(
    data: Any,
    n_components: Iterable[int] = range(1, 6),
    covariances: Iterable[Structure] = STRUCTURES,
    *,
    by: str = "bic",
    posteriors: int = 2,
    priors: Priors | None = None,
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
    by : {"bic", "aic", "icl"}, default "bic"
        The criterion that orders the table and chooses what is sampled.
    posteriors : int, default 2
        How many of the best are sampled; 0 for none.  A model that goes by two names
        (with one feature, ``full`` is ``diag``) is sampled once.
    priors : Priors, optional
        Of the sampled models.
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
    import pandas as pd

    if by not in CRITERIA:
        raise SpecError(f"by must be one of {', '.join(CRITERIA)}, got {by!r}.")
    observations = data if isinstance(data, Observations) else Observations(data)
    counts, structures = list(n_components), list(covariances)
    specs = [
        MixtureSpec(k, covariance, priors or Priors()) for covariance in structures for k in counts
    ]
    if not specs:
        raise SpecError("There is no model to fit; give at least one K and one covariance.")
    fits, rows = {}, {}
    for done, spec in enumerate(specs):
        result = _try(spec, observations, method="em", seed=seed, cores=cores)
        if isinstance(result, MixtureFit):
            fits[spec.label] = result
            rows[spec.label] = point_criteria(result) | {"status": str(result.status)}
        else:
            rows[spec.label] = _failed(spec, result)
        if progress is not None:
            progress(f"EM {spec.label}", done + 1, len(specs))
    if not fits:
        reason = rows[specs[0].label]["status"]
        raise FitError(f"No model could be fitted; the first failed so: {reason}")

    table = pd.DataFrame.from_dict(rows, orient="index")
    table["_rank"] = table["status"] != Status.CONVERGED.value
    table = table.sort_values(["_rank", by], na_position="last").drop(columns=["_rank", "method"])
    for column in ("elpd_loo", "elpd_loo_se", "elpd_diff", "dse", "bad_rows"):
        table[column] = np.nan
    table["sampling"] = ""
    drawn = {}
    chosen = _distinct([label for label in table.index if label in fits], fits)
    chosen = chosen[: max(posteriors, 0)]
    for done, label in enumerate(chosen):
        if progress is not None:
            progress(f"sampling {label}", done, len(chosen))
        options = {"seed": seed, "cores": cores, **(sampling or {})}
        result = _try(fits[label].spec, observations, method="nuts", **options)
        if not isinstance(result, MixtureFit):
            table.loc[label, "sampling"] = result
            continue
        drawn[label] = result
        elpd = elpd_loo(result)
        table.loc[label, ["elpd_loo", "elpd_loo_se", "bad_rows"]] = [
            elpd.value, elpd.se, len(elpd.bad_rows)
        ]  # fmt: skip
        table.loc[label, "sampling"] = str(result.status)
        if progress is not None:
            progress(f"sampling {label}", done + 1, len(chosen))
    if len(drawn) > 1:
        for label, values in stacked(drawn).items():
            table.loc[label, ["elpd_diff", "dse"]] = [values["elpd_diff"], values["dse"]]
    return Selection(table, fits, drawn, by)


def _distinct(labels: Iterable[str], fits: Mapping[str, MixtureFit]) -> list[str]:
    """Labels without those of a model that an earlier one is as well.

    With one feature ``full``, ``diag`` and ``spherical`` are one model, and with one
    component ``tied`` is ``full``.
    """
    seen, kept = set(), []
    for label in labels:
        spec, d = fits[label].spec, len(fits[label].feature_names)
        same = (d == 1 and spec.covariance in ("diag", "spherical")) or (
            spec.n_components == 1 and spec.covariance == "tied"
        )
        model = (spec.n_components, "full" if same else spec.covariance)
        if model not in seen:
            kept.append(label)
        seen.add(model)
    return kept


def _try(spec: MixtureSpec, observations: Observations, **options: Any) -> MixtureFit | str:
    """A fit, or why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # its status is in the table
            return fit(spec, observations, **options)
    except BayesGMMError as error:
        return str(error)


def _failed(spec: MixtureSpec, reason: str) -> dict[str, Any]:
    return {
        "method": "em", "n_components": spec.n_components, "covariance": spec.covariance,
        "log_likelihood": np.nan, "n_parameters": np.nan, "aic": np.nan, "bic": np.nan,
        "icl": np.nan, "status": reason,
    }  # fmt: skip
