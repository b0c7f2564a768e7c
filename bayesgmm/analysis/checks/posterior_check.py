"""Do the data look like data from the fit?  One question, asked in two ways.

Test statistics of the data are held against those of replicated data, and each row against
the predictive distribution that had not seen it.  The first sees what a number can say, the
second the shape of every feature and of random directions through them.  A criterion says
which of some models is best; this says whether any of them will do, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayesgmm.analysis.checks.left_out_pit import left_out_pit, uniformity
from bayesgmm.analysis.checks.replicated_data import checkable
from bayesgmm.analysis.checks.replicated_statistics import (
    Statistic,
    deviations,
    replicated_statistics,
    statistics_table,
)
from bayesgmm.compiled.threads import available_cores
from bayesgmm.errors import SpecError
from bayesgmm.inference.sampling.laplace import K_HAT_LIMIT
from bayesgmm.interrupts import whole_imports
from bayesgmm.markup import block, of_frame, sentences
from bayesgmm.options import (
    FUNCTION,
    LIMIT,
    MAPPING,
    PROBABILITY,
    generator,
    optional,
    seed_sequence,
    whole,
)
from bayesgmm.result.fit import MixtureFit

if TYPE_CHECKING:
    import pandas as pd

_INTERVAL = 0.95  # of the replicated statistics
_SHOWN = 6
_NAMED = 3
#: Replicated data sets, without which no p-value gets below a usual level.
_FEWEST = 100

_STYLE = {
    **dict.fromkeys(("observed", "replicated", "lower", "upper"), "{:.4g}".format),
    **dict.fromkeys(("p_value", "p_adjusted", "distance"), "{:.3f}".format),
}


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorCheck:
    """What :func:`posterior_check` found; printed, a verdict and what deviates most.

    Attributes
    ----------
    label : str
        The model and method that were checked.
    statistics : pandas.DataFrame
        A row per test statistic: ``statistic``, ``features``, ``observed``,
        ``replicated`` (mean), ``lower`` and ``upper`` (95 % of the replicated),
        ``p_value`` (two-sided) and ``p_adjusted`` (for all statistics together).
    pit : pandas.DataFrame
        A row per feature and projection: ``p_value`` of uniformity, ``p_adjusted`` (Holm,
        over the rows of this table), ``distance`` (largest difference from the uniform
        distribution function).
    pit_values : DataArray
        The probabilities (obs, direction) themselves.
    directions : DataArray
        Coefficients (direction, feature) of the features in each direction.
    deviations : DataArray
        Deviations (data_set, statistic) of the data, data set 0, and of the replicated,
        in units in which 1 is the edge of the central 95 % on that side.
    pareto_k : DataArray or None
        k-hat (obs) of taking each row out; None where that was not done.
    left_out : bool
        Whether each row was held against a distribution that had not seen it; False for a
        point fit, whose rows look better than they are.
    level : float
        Chance at most of finding a misfit where there is none.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> post = bg.fit(bg.MixtureSpec(1), X, method="laplace", seed=1, draws=200)
    >>> found = bg.posterior_check(post, seed=1)
    >>> found.left_out, found.pit_values.dims
    (True, ('obs', 'direction'))
    """

    label: str
    statistics: pd.DataFrame
    pit: pd.DataFrame
    pit_values: xr.DataArray
    directions: xr.DataArray
    deviations: xr.DataArray
    pareto_k: xr.DataArray | None
    left_out: bool
    level: float

    @property
    def ok(self) -> bool:
        """True if no misfit was found."""
        return not self.misfits and not self.misplaced

    @property
    def misfits(self) -> list[str]:
        """Statistics that the model does not reproduce, worst first."""
        return _below(self.statistics, self.level / 2)

    @property
    def misplaced(self) -> list[str]:
        """Features and projections in which rows are not where the model expects them."""
        return _below(self.pit, self.level / 2)

    @property
    def unreliable_rows(self) -> int:
        """Number of rows of which the draws say little once they are left out (k-hat > 0.7)."""
        return 0 if self.pareto_k is None else int((self.pareto_k > K_HAT_LIMIT).sum())

    @property
    def verdict(self) -> str:
        """The finding in a sentence."""
        counts = (
            f"{len(self.statistics)} statistics of replicated data (smallest adjusted p "
            f"{self.statistics['p_adjusted'].min():.2g}) and {len(self.pit)} distributions of "
            f"rows ({self.pit['p_adjusted'].min():.2g})"
        )
        if self.ok:
            return f"{self.label}: no misfit found by {counts}."
        found = []
        if self.misfits:
            told = [self._told(name) for name in self.misfits[:_NAMED]]
            found.append(f"it does not reproduce {_and_more(told, self.misfits)}")
        if self.misplaced:
            told = self.misplaced[:_NAMED]
            found.append(
                f"rows are not distributed as it says along {_and_more(told, self.misplaced)}"
            )
        return f"{self.label}: misfit found, {'; '.join(found)}."

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know, a sentence each."""
        notes = []
        if not self.left_out:
            notes.append(
                "A point fit has no posterior to leave rows out of: each row was held against a "
                "distribution that had seen it, which hides misfit."
            )
        if self.unreliable_rows:
            rows = self.unreliable_rows
            notes.append(
                f"{rows} row{'s' * (rows != 1)} cannot be left out reliably by reweighting draws "
                f"(k-hat above {K_HAT_LIMIT})."
            )
        return tuple(notes)

    def _told(self, name: str) -> str:
        row = self.statistics.loc[name]
        return (
            f"the {name} ({row['observed']:.4g}, where its own data have {row['lower']:.4g} to "
            f"{row['upper']:.4g})"
        )

    def __repr__(self) -> str:
        lines = [self.verdict, *self.notes]
        for told, worst in self._worst():
            style = {name: _STYLE[name] for name in worst.columns}
            lines += ["", f"{told}:", worst.to_string(formatters=style)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        tables = [of_frame(told, worst, _STYLE) for told, worst in self._worst()]
        return block(self.verdict, sentences(self.notes), *tables)

    def _worst(self) -> list[tuple[str, Any]]:
        statistics = self.statistics.drop(columns=["statistic", "features"])
        seen = "PIT" if not self.left_out else "LOO-PIT"
        found = []
        for title, table in (("Test statistics", statistics), (f"{seen} uniform?", self.pit)):
            worst = table.sort_values(["p_adjusted", "p_value"], kind="stable").head(_SHOWN)
            found.append((f"{title} ({len(table)}, worst first)", worst))
        return found


@whole_imports
def posterior_check(
    fit: MixtureFit,
    *,
    statistics: Mapping[str, Statistic] | None = None,
    n_replicates: int = 500,
    n_projections: int = 8,
    level: float = 0.05,
    max_draws: int = 1000,
    max_rows: int = 5000,
    seed: Any = None,
    cores: int | None = None,
) -> PosteriorCheck:
    """Check whether the data look like data from the fit.

    Statistics of the data (mean, sd, skewness, excess kurtosis, smallest and largest value of
    each feature, correlations of pairs) are held against those of replicated data sets.
    And each row is held against the predictive distribution without it: the
    probability of smaller values, in each feature and along random projections, is uniform
    if the model is right.

    Parameters
    ----------
    fit : MixtureFit
        By any method.  A point fit is checked as it is: its replicated data leave out that
        parameters are uncertain, and its rows cannot be left out.
    statistics : mapping of str to callable, optional
        More statistics: each takes rows (N, D) and gives a number.
    n_replicates : int, default 500
        Replicated data sets, each of as many rows as the data, from evenly spaced draws.
        No p-value is below 1 / (n_replicates + 1).
    n_projections : int, default 8
        Random directions, uniform on the scale on which the data have unit covariance; none
        where there is one feature.
    level : float, default 0.05
        Chance at most of finding a misfit where there is none; half of it is for each of
        the two ways, so ``n_replicates`` has to be 2 / level - 1 or more.
    max_draws : int, default 1000
        Draws from which rows are left out, evenly spaced over the chains.
    max_rows : int, default 5000
        Rows that are left out, evenly spaced where there are more.
    seed : int, SeedSequence or Generator, optional
        The same seed gives the same check on any number of threads.
    cores : int, optional
        All that may be used by default.

    Returns
    -------
    PosteriorCheck

    Raises
    ------
    FitError
        For row weights, since nothing says how many rows a replicated data set has, and where
        the density of noise was given row by row.
    SpecError
        If an option is out of its range, or a statistic is no finite number.

    Notes
    -----
    Both ways err on the side of the model.  Data that helped to fit a model lie closer to
    it than new data would, so p-values of statistics that a parameter governs (a mean,
    say) crowd around one half; and rows left out one at a time are spread more evenly
    than independent uniform values, because their mean and spread have been fitted.  At
    the level of 0.05, a misfit was found in one of 250 data sets of one normal (100 rows) and
    in none of 60 of a mixture of two (150 rows), fitted with as many components.  So a
    misfit that is found is there; for an unbiased test hold out rows, and give them to
    :func:`bayesgmm.two_sample_test`.

    Values that were recorded to a step are held against ones recorded to the same: replicated
    data are rounded, and the probability of a row is a random number (by ``seed``) between those
    at the two ends of its step.

    References
    ----------
    Gelman, Meng and Stern (1996), Posterior predictive assessment of model fitness via
    realized discrepancies, Statistica Sinica 6.  Gelfand, Dey and Chang (1992), Model
    determination using predictive distributions, Bayesian Statistics 4 (leave-one-out PIT).
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling,
    JMLR 25.  Tesso and Vehtari (2026), LOO-PIT predictive model checking, arXiv 2603.02928.
    Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn (2017), Global envelope tests for spatial
    processes, Journal of the Royal Statistical Society B 79.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.checks.posterior_check import posterior_check
    >>> X = bg.datasets.faithful()
    >>> one, two = (bg.fit(bg.MixtureSpec(k), X, method="laplace", seed=1) for k in (1, 2))
    >>> posterior_check(two, seed=1).ok
    True
    >>> found = posterior_check(one, seed=1)
    >>> found.misfits[:2]
    ['kurtosis of eruptions', 'kurtosis of waiting']
    """
    checkable(fit, "posterior_check")
    n_replicates = whole(_FEWEST, 1_000_000)("n_replicates", n_replicates)
    n_projections = whole(0, 10_000)("n_projections", n_projections)
    max_draws, max_rows = LIMIT("max_draws", max_draws), LIMIT("max_rows", max_rows)
    level, rng, cores = PROBABILITY("level", level), generator(seed), available_cores(cores)
    if level * (n_replicates + 1) < 2 - 1e-9:  # below the least p-value there can be
        raise SpecError(
            f"{n_replicates:,} replicated data sets cannot find a misfit at level={level:g}; give "
            "n_replicates of 2 / level - 1 or more, or a larger level."
        )
    own = dict(optional(MAPPING)("statistics", statistics) or {})
    for name, statistic in own.items():
        FUNCTION(f"statistics[{name!r}]", statistic)
    root = seed_sequence(rng)
    replicated = replicated_statistics(fit, n_replicates, own, root, cores)
    table = statistics_table(replicated, _INTERVAL)
    left_out = left_out_pit(fit, n_projections, max_draws, max_rows, rng, cores)
    away = xr.DataArray(
        deviations(replicated),
        dims=("data_set", "statistic"),
        name="deviations",
        coords={"statistic": list(table.index)},
    )
    return PosteriorCheck(
        label=f"{fit.spec.label} by {fit.method}",
        statistics=table,
        pit=uniformity(left_out.values),
        pit_values=left_out.values,
        directions=left_out.directions,
        deviations=away,
        pareto_k=left_out.k_hat,
        left_out=fit.is_posterior,
        level=float(level),
    )


def _below(table: pd.DataFrame, level: float) -> list[str]:
    found = table[table["p_adjusted"] <= level]
    return [str(name) for name in found.sort_values(["p_adjusted", "p_value"], kind="stable").index]


def _and_more(told: list[str], of: list[str]) -> str:
    more = len(of) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")
