"""Can these draws be relied on, and for what?  The verdict, and what it rests on.

The short form of it is kept with every fit and printed; here is the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.errors import FitError
from bayesgmm.inference.convergence import (
    AGREE,
    by_component,
    label_free,
    r_hat_and_ess,
)
from bayesgmm.interrupts import whole_imports
from bayesgmm.markup import block, of_frame, sentences
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.status import Status

if TYPE_CHECKING:
    import pandas as pd

#: Share of the variance of the energy that one step must be able to move (Betancourt 2016).
_LOW_ENERGY = 0.3
_SHOWN = 5

_FORMATS = {
    "mean": "{:.5g}".format,
    "sd": "{:.3g}".format,
    "r_hat": "{:.3f}".format,
    "ess": "{:,.0f}".format,
}


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    status : Status
    verdict : str
        In words.
    warnings : tuple of str
        What else there is to know, a sentence each.
    table : pandas.DataFrame
        A row per quantity: ``label_free`` (whether relabelling leaves it as it is),
        ``mean``, ``sd``, ``r_hat`` and ``ess``, worst R-hat first among the label-free,
        then among the rest.
    ambiguous : float
        Share of draws of which two labels could be exchanged at odds below 20 to 1.
    divergences : int

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> found = bg.diagnose(bg.fit(bg.MixtureSpec(1), X, method="laplace", seed=1))
    >>> found.ok, found.divergences
    (True, 0)
    """

    status: Status
    verdict: str
    warnings: tuple[str, ...]
    table: pd.DataFrame
    ambiguous: float
    divergences: int

    @property
    def ok(self) -> bool:
        """True if the fit can be used for everything, components one by one included."""
        return self.status.ok and not self.warnings

    def __str__(self) -> str:
        lines = self._lines()
        for told, shown in self._worst():
            lines += ["", f"{told}:", shown.to_string(formatters=_FORMATS)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        title, *lines = self._lines()
        tables = [of_frame(told, shown, _FORMATS) for told, shown in self._worst()]
        return block(title, sentences(lines), *tables)

    def _lines(self) -> list[str]:
        lines = [self.verdict, *self.warnings]
        if not self.status.ok:
            lines.append(f"{self.status.sentence} {self.status.remedy}".rstrip())
        return lines

    def _worst(self) -> list[tuple[str, pd.DataFrame]]:
        found = []
        for free, title in ((True, "No relabelling changes"), (False, "By component")):
            part = self.table[self.table["label_free"] == free].drop(columns="label_free")
            if len(part):
                told = f"{title} ({len(part)} quantities, worst first)"
                found.append((told, part.head(_SHOWN)))
        return found


@whole_imports
def diagnose(fit: MixtureFit) -> Diagnosis:
    """Say whether the draws of a fit can be relied on, and for what.

    R-hat of a component's parameters says little about a mixture, since labels may
    switch.  So it is asked first of quantities that no relabelling changes: the log
    posterior, the density at rows of the data, the sorted weights, extremes over
    components, the number of components that hold a row.  Then of the relabelled
    parameters, with the share of draws whose labels are in doubt.

    Parameters
    ----------
    fit : MixtureFit
        Draws, by NUTS or Laplace.

    Returns
    -------
    Diagnosis
        Printed, it is the verdict and the quantities that are worst.

    Raises
    ------
    FitError
        For a point fit, which has no draws to judge; its ``status`` says how it ended.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Rank-normalization,
    folding, and localization: an improved R-hat, Bayesian Analysis 16.
    Betancourt (2016), Diagnosing suboptimal cotangent disintegrations in Hamiltonian
    Monte Carlo, arXiv 1604.00695.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> bg.diagnose(fit).ok
    True
    """
    if not require_fit(fit, "diagnose").is_posterior:
        raise FitError(
            f"This fit is one point, by {fit.method}, so there are no draws to judge; its status "
            f"is {str(fit.status)!r}."
        )
    statistics = fit.statistics
    free = label_free(fit.parameters, statistics["lp"].values, fit.observations)
    table = _table(free, True)
    own = by_component(fit.parameters, fit.feature_names)
    import pandas as pd

    table = pd.concat([table, _table(own, False)])
    divergences = int(statistics["diverging"].sum()) if "diverging" in statistics else 0
    return Diagnosis(
        fit.status,
        fit.fact("verdict"),
        tuple(_warnings(statistics, table)),
        table,
        fit.fact("ambiguous"),
        divergences,
    )


def _table(quantities: dict[str, Any], free: bool) -> pd.DataFrame:
    import pandas as pd

    draws = np.stack(list(quantities.values()), axis=-1)
    r_hat, ess = r_hat_and_ess(draws)
    table = pd.DataFrame(
        {
            "label_free": free,
            "mean": draws.mean(axis=(0, 1)),
            "sd": draws.std(axis=(0, 1)),
            "r_hat": r_hat,
            "ess": ess,
        },
        index=list(quantities),
    )
    return table.sort_values("r_hat", ascending=False, na_position="last", kind="stable")


def _warnings(statistics: Any, table: pd.DataFrame) -> list[str]:
    found = []
    if "diverging" in statistics:
        count, total = int(statistics["diverging"].sum()), statistics["diverging"].size
        if count:
            found.append(
                f"{count} of {total:,} transitions diverged, so the tails of small components "
                "may be cut short."
            )
    if "energy" in statistics:
        energy = statistics["energy"].values
        moved = (np.diff(energy, axis=1) ** 2).mean(axis=1) / np.maximum(energy.var(axis=1), 1e-300)
        if moved.min() < _LOW_ENERGY:
            found.append(
                f"Chain {int(moved.argmin())} moves slowly between levels of the density (E-BFMI "
                f"{moved.min():.2f}, below {_LOW_ENERGY}): draw more."
            )
    label_free = table[table["label_free"]]
    slow = label_free["r_hat"] >= AGREE
    if slow.any():
        names = ", ".join(label_free.index[slow][:3])
        found.append(f"R-hat is {AGREE} or more for {names}: draw more before using tails.")
    return found
