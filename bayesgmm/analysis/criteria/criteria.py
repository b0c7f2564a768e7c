"""Every criterion that a fit has, with its sign, its error and, where it has none, why.

The criteria come in two families of opposite signs: those on the scale of the deviance
(AIC, AICc, BIC, ICL, DIC: smaller is better) and those that are log predictive
densities (elpd: larger is better).  mclust has the first with the sign changed; the table
says of every value which way it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from bayesgmm.analysis.criteria.information import LARGEST_VARIANCE, aicc, compute_dic, compute_waic
from bayesgmm.analysis.criteria.leave_one_out import Elpd, leave_one_out
from bayesgmm.analysis.criteria.pointwise import named_rows
from bayesgmm.errors import FitError
from bayesgmm.inference.sampling.laplace import K_HAT_LIMIT
from bayesgmm.interrupts import whole_imports
from bayesgmm.markup import block, sentences, table
from bayesgmm.options import CORES, LIMIT, SEED, TRUTH, one_of
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.record import reason_to_doubt

if TYPE_CHECKING:
    import pandas as pd

Sign = Literal["smaller", "mclust"]

_DEVIANCES: dict[str, Callable[[MixtureFit], Any]] = {
    "aic": MixtureFit.aic, "aicc": aicc, "bic": MixtureFit.bic, "icl": MixtureFit.icl,
    "dic": compute_dic,
}  # fmt: skip
_TITLES = {
    "aic": "AIC", "aicc": "AICc", "bic": "BIC", "icl": "ICL", "dic": "DIC",
    "elpd_loo": "elpd_loo", "elpd_waic": "elpd_waic",
}  # fmt: skip


@dataclass(frozen=True)
class Criteria:
    """What :func:`criteria` returns: ``found["bic"]`` is a number, ``print(found)`` a table.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per criterion: ``value`` (NaN where the fit has none), ``se``, ``p`` (number
        of parameters, or their effective number), ``better`` ("smaller" or "larger")
        and ``note``: why there is none, or what to know of the value.
    title : str
        Of which fit they are.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> found = bg.criteria(bg.fit(bg.MixtureSpec(2), X, method="em", seed=1))
    >>> found["aic"] < found["bic"], list(found.table.columns)
    (True, ['value', 'se', 'p', 'better', 'note'])
    """

    table: pd.DataFrame
    title: str

    def __getitem__(self, name: str) -> float:
        if name not in self.table.index:
            raise FitError(
                f"There is no criterion {name!r}; there are {', '.join(self.table.index)}."
            )
        return float(self.table.loc[name, "value"])

    def __str__(self) -> str:
        rows, notes = self._cells(), self._notes()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        return "\n".join([self.title, "", *lines, *notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        header, *rows = self._cells()
        return block(self.title, table("Criteria", header, rows), sentences(self._notes()))

    def _cells(self) -> list[list[str]]:
        """Rows of cells, the header first."""
        there = self.table.dropna(subset="value")
        columns = {
            "": [_TITLES[name] for name in there.index],
            "value": [f"{value:.2f}" for value in there["value"]],
            "se": ["" if np.isnan(se) else f"{se:.2f}" for se in there["se"]],
            "p": [f"{p:.1f}" for p in there["p"]],
            "better": list(there["better"]),
        }
        filled = [[name, *cells] for name, cells in columns.items() if any(cells)]
        return [list(row) for row in zip(*filled, strict=True)]

    def _notes(self) -> list[str]:
        notes: dict[str, list[str]] = {}
        for name, row in self.table.iterrows():
            if row["note"]:
                none = "No " if np.isnan(row["value"]) else ""
                notes.setdefault(row["note"], [none]).append(_TITLES[str(name)])
        return [f"{none}{', '.join(names)}: {note}" for note, (none, *names) in notes.items()]


@whole_imports
def criteria(
    fit: MixtureFit,
    *,
    sign: Sign = "smaller",
    repair: bool = False,
    max_refits: int = 10,
    seed: Any = None,
    cores: int | None = None,
) -> Criteria:
    """All criteria of one fit.

    A point estimate has AIC, AICc, BIC and ICL; draws have ``elpd_loo``, ``elpd_waic``
    and DIC.  What needs another run has a function of its own: ``log_evidence`` and
    ``wbic``.

    Parameters
    ----------
    fit : MixtureFit
        By any method.
    sign : {"smaller", "mclust"}, default "smaller"
        ``"smaller"``: AIC, AICc, BIC, ICL and DIC as deviances, -2 log L + penalty, of
        which smaller is better.  ``"mclust"``: minus that, as mclust has it, of which
        larger is better.  The elpd criteria are the same under both: larger is better.
        mclust's own ICL is not ours with the sign changed: it penalises by the
        probability of the most probable component alone, ours by the whole entropy.
    repair, max_refits, seed, cores
        As in :func:`bayesgmm.elpd_loo`.

    Returns
    -------
    Criteria

    Raises
    ------
    FitError
        If the first argument is not a fit.
    SpecError
        If an option is out of its range.

    References
    ----------
    Scrucca, Fop, Murphy and Raftery (2016), mclust 5, The R Journal 8.  The others
    are named by the functions: :func:`bayesgmm.elpd_loo`, ``waic``, ``dic``, ``aicc``
    and the methods of :class:`MixtureFit`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.criteria.criteria import criteria
    >>> em = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> criteria(em)
    Criteria of K=2, full by em; deviances are -2 log L + penalty
    <BLANKLINE>
            value     p   better
    AIC   2282.53  11.0  smaller
    AICc  2283.54  11.0  smaller
    BIC   2322.19  11.0  smaller
    ICL   2323.58  11.0  smaller
    No DIC, elpd_loo, elpd_waic: needs a posterior; fit with method='nuts'.
    >>> round(criteria(em, sign="mclust")["bic"], 2)
    -2322.19
    """
    import pandas as pd

    fit = require_fit(fit, "criteria")
    one_of(*get_args(Sign))("sign", sign)
    repair, max_refits = TRUTH("repair", repair), LIMIT("max_refits", max_refits)
    seed, cores = SEED("seed", seed), CORES("cores", cores)

    def by_loo(fit: MixtureFit) -> Elpd:
        return leave_one_out(fit, repair=repair, max_refits=max_refits, seed=seed, cores=cores).elpd

    rows: dict[str, dict[str, Any]] = {}
    for name, compute in _DEVIANCES.items():
        rows[name] = _row(compute, fit)
        rows[name]["value"] *= -1 if sign == "mclust" else 1
        rows[name]["better"] = "larger" if sign == "mclust" else "smaller"
    rows["elpd_loo"] = _row(
        by_loo,
        fit,
        f"uncertain, for Pareto k-hat is above {K_HAT_LIMIT} for {{}}; repair=True "
        "fits without them.",
    )
    rows["elpd_waic"] = _row(
        compute_waic,
        fit,
        f"uncertain, for the log density of {{}} has a variance above "
        f"{LARGEST_VARIANCE} over draws; elpd_loo is better.",
    )
    table = pd.DataFrame.from_dict(rows, orient="index")
    form = "2 log L - penalty, as in mclust" if sign == "mclust" else "-2 log L + penalty"
    return Criteria(table, f"Criteria of {fit.spec.label} by {fit.method}; deviances are {form}")


def _row(compute: Callable[[MixtureFit], Any], fit: MixtureFit, bad: str = "") -> dict[str, Any]:
    """A criterion's row of the table, or the reason that there is none."""
    row: dict[str, Any] = {"value": np.nan, "se": np.nan, "p": np.nan, "better": "larger"}
    try:
        found = compute(fit)
    except FitError as error:
        return row | {"note": error.facts.get("reason", str(error))}
    if isinstance(found, float):
        at_map = "defined at the maximum of the likelihood, and a little larger at the MAP."
        note = at_map if fit.method == "map" else ""
        return row | {"value": found, "p": float(fit.n_parameters), "note": note}
    rows = getattr(found, "bad_rows", ())
    told = [reason_to_doubt(fit), bad.format(named_rows(rows)) if rows else ""]
    return row | {
        "value": found.value,
        "se": getattr(found, "se", np.nan),
        "p": found.p,
        "note": " Also ".join(text for text in told if text),
    }
