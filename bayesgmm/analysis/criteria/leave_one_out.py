"""Predictive accuracy by leaving one row out, and the repair of rows for which that fails.

ArviZ computes it from one posterior, by importance sampling that is smoothed (PSIS).  A
row with a Pareto k-hat above 0.7 has shaped the posterior so much that its draws
say little about the posterior without it; such rows are named, and on request fitted
without.  Moment matching, ArviZ's other remedy, is not offered: it moves the draws by one
affine map, and what happens to a mixture that loses an outlier is that a component goes
elsewhere, which no such map can do and which its own diagnostic does not always see.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from bayesgmm.analysis.criteria.pointwise import (
    Pointwise,
    named_rows,
    pointwise,
    weights_without_rows,
)
from bayesgmm.analysis.criteria.refit_without_row import RowsLeftOut
from bayesgmm.errors import BayesGMMError, warn
from bayesgmm.inference.sampling.laplace import K_HAT_LIMIT
from bayesgmm.interrupts import whole_imports
from bayesgmm.options import CORES, LIMIT, SEED, TRUTH
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.record import doubt


class Elpd(NamedTuple):
    """Expected log predictive density of new rows, summed over as many as were fitted.

    Made by :func:`bayesgmm.elpd_loo`.

    Attributes
    ----------
    value : float
        Larger is better.
    se : float
        Standard error, from how much rows differ.
    p : float
        Effective number of parameters.
    bad_rows : tuple of int
        Positions of the rows whose part is not reliable.
    repaired : tuple of int
        Positions of the rows that were fitted without.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()[:60]
    >>> fit = bg.fit(bg.MixtureSpec(1), X, method="laplace", seed=1)
    >>> found = bg.elpd_loo(fit)
    >>> found.value < 0 < found.se, len(found.repaired)
    (True, 0)
    """

    value: float
    se: float
    p: float
    bad_rows: tuple[int, ...]
    repaired: tuple[int, ...] = ()


class LeaveOneOut(NamedTuple):
    """What ArviZ's functions take (``arviz.compare``), its summary, and what to warn of."""

    arviz: Any  # arviz's ELPDData, pointwise
    elpd: Elpd
    warnings: tuple[str, ...] = ()


@whole_imports
def elpd_loo(
    fit: MixtureFit,
    *,
    repair: bool = False,
    max_refits: int = 10,
    seed: Any = None,
    cores: int | None = None,
) -> Elpd:
    """Leave-one-out predictive accuracy of a posterior fit, by ``arviz.loo``.

    Larger is better.  ``bad_rows`` are those whose Pareto k-hat is above 0.7, for
    which the estimate is not reliable; with ``repair`` the model is fitted without
    each of them, under the same priors, and ``repaired`` are the rows that this settled.

    Parameters
    ----------
    fit : MixtureFit
        Draws, by NUTS or Laplace.
    repair : bool, default False
        Whether to fit without the bad rows.  A row takes one run of NUTS and sometimes
        two estimates of the evidence: seconds on some hundred rows.
    max_refits : int, default 10
        How many rows at most, those of the largest k-hat.
    seed : int, SeedSequence or Generator, optional
        Of the refits.
    cores : int, optional
        Threads of the refits; all that may be used by default.

    Returns
    -------
    Elpd
        ``value``, ``se``, ``p`` (effective number of parameters), ``bad_rows``,
        ``repaired``.

    Raises
    ------
    FitError
        For a point fit, which has no posterior to leave a row out of, where the
        fit holds no pointwise log-likelihood, and for row weights that are no counts.  A
        row that counts n times is n observations, left out one at a time.
        Also for fewer than 25 draws, whose weights have no tail to be smoothed.
    SpecError
        If an option is not valid.

    Warns
    -----
    FitWarning
        If the chains are not known to have converged, which Pareto k-hat cannot see; and if
        ``repair`` was asked for and rows are left that it did not settle.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Practical Bayesian model evaluation using
    leave-one-out cross-validation and WAIC, Statistics and Computing 27.  Meng and
    Wong (1996), Simulating ratios of normalizing constants via a simple identity,
    Statistica Sinica 6 (the density of a row between two fits).

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.faithful()
    >>> fits = [bg.fit(bg.MixtureSpec(k), X, method="laplace", seed=1) for k in (1, 2)]
    >>> one, two = (bg.elpd_loo(fit) for fit in fits)
    >>> two.value > one.value, two.bad_rows
    (True, ())
    """
    found = leave_one_out(fit, repair=repair, max_refits=max_refits, seed=seed, cores=cores)
    for told in found.warnings:
        warn(told)
    return found.elpd


def leave_one_out(
    fit: MixtureFit,
    *,
    repair: bool = False,
    max_refits: int = 10,
    seed: Any = None,
    cores: int | None = None,
) -> LeaveOneOut:
    """:func:`elpd_loo` with the pointwise values and without a warning; the same arguments."""
    fit = require_fit(fit, "elpd_loo")
    repair, max_refits = TRUTH("repair", repair), LIMIT("max_refits", max_refits)
    seed, cores = SEED("seed", seed), CORES("cores", cores)
    each = pointwise(fit, "elpd_loo")
    loo = _by_arviz(each)
    k_hat = loo.pareto_k.values
    bad = _rows(each, k_hat > K_HAT_LIMIT)
    repaired: tuple[int, ...] = ()
    warnings = [told] if (told := doubt(fit, "elpd_loo")) else []
    if repair and bad:
        largest = {row: float(k_hat[each.rows == row].max()) for row in bad}
        worst = sorted(bad, key=lambda row: -largest[row])
        known, failed = _refitted(fit, each, worst[:max_refits], seed, cores)
        loo = _replaced(loo, each, known)
        repaired = tuple(row for row in bad if row in known)
        bad = tuple(row for row in bad if row not in known)
        if bad:
            beyond = [row for row in bad if row not in failed]
            warnings.append(_uncertain(fit, repaired, failed, beyond, max_refits))
    elpd = Elpd(float(loo.elpd), float(loo.se), float(loo.p), bad, repaired)
    return LeaveOneOut(loo, elpd, tuple(warnings))


def _by_arviz(each: Pointwise) -> Any:
    """What ``arviz.loo`` gives, without its warning: the bad rows are returned."""
    from arviz_stats import ELPDDataLOO
    from arviz_stats.base import array_stats

    chains, draws, n = each.values.shape
    r_eff = 1.0
    if chains > 1:
        sizes = each.tree["posterior"].to_dataset().azstats.ess(method="mean")
        r_eff = np.hstack([sizes[name].values.ravel() for name in sizes]).mean() / (chains * draws)
    values = each.values.reshape(chains * draws, n).T
    log_weights, pareto_k = weights_without_rows(values, r_eff)
    elpd_i = np.logaddexp.reduce(log_weights + values, axis=1)
    lpd_i = np.logaddexp.reduce(values, axis=1) - np.log(chains * draws)
    elpd, se, p, _ = array_stats.loo_summary(elpd_i, lpd_i - elpd_i)
    good_k = min(1 - 1 / np.log10(chains * draws), K_HAT_LIMIT)
    observations = each.tree["log_likelihood"].to_dataset()["x"].isel(chain=0, draw=0, drop=True)
    return ELPDDataLOO(
        elpd=elpd,
        se=se,
        p=p,
        n_samples=chains * draws,
        n_data_points=n,
        scale="log",
        warning=bool((pareto_k > good_k).any()),
        good_k=good_k,
        elpd_i=observations.copy(data=elpd_i),
        pareto_k=observations.copy(data=pareto_k),
    )


def _rows(each: Pointwise, chosen: Any) -> tuple[int, ...]:
    return tuple(int(row) for row in np.unique(each.rows[chosen]))


def _refitted(
    fit: MixtureFit, each: Pointwise, rows: list[int], seed: Any, cores: int | None
) -> tuple[dict[int, float], dict[int, str]]:
    """log p(y_i | y_-i) of rows by refits, and for those that failed the reason."""
    without = RowsLeftOut(fit, seed=seed, cores=cores)
    known, failed = {}, {}
    for row in rows:
        on_draws = each.values[..., np.flatnonzero(each.rows == row)[0]]
        try:
            known[row] = without.log_density(row, on_draws).value
        except BayesGMMError as error:
            failed[row] = str(error)
    return known, failed


def _replaced(loo: Any, each: Pointwise, known: Mapping[int, float]) -> Any:
    """ArviZ's result with some rows' values in the place of its own, as its reloo does."""
    from arviz_stats.base import array_stats

    after = deepcopy(loo)
    for row, value in known.items():
        after.elpd_i.values[each.rows == row] = value
        after.pareto_k.values[each.rows == row] = 0.0
    draws = each.values.shape[0] * each.values.shape[1]
    lpd = np.logaddexp.reduce(each.values.reshape(draws, -1), axis=0) - np.log(draws)
    after.elpd, after.se, after.p, _ = array_stats.loo_summary(
        after.elpd_i.values, lpd - after.elpd_i.values
    )
    after.warning = bool(np.any(after.pareto_k.values > after.good_k))
    return after


def _uncertain(
    fit: MixtureFit,
    repaired: tuple[int, ...],
    failed: Mapping[int, str],
    beyond: list[int],
    max_refits: int,
) -> str:
    """The sentence on which rows were repaired and which were not, and why."""
    told = [f"{named_rows(repaired)} repaired by a fit without" if repaired else "no row repaired"]
    told += [f"row {row} not: {reason.rstrip('.')}" for row, reason in failed.items()]
    if beyond:
        told.append(f"{named_rows(beyond)} not tried, being beyond max_refits={max_refits}")
    return f"elpd_loo of {fit.spec.label} by {fit.method} is still uncertain: {'; '.join(told)}."


def stacked(results: Mapping[Any, LeaveOneOut]) -> dict[Any, dict[str, float]]:
    """elpd differences, their standard errors and stacking weights, by ``arviz.compare``."""
    import arviz as az

    keys = {str(i): name for i, name in enumerate(results)}
    table = az.compare({key: results[name].arviz for key, name in keys.items()}, round_to="none")
    return {
        keys[str(key)]: {
            "elpd_diff": float(row["elpd_diff"]),
            "dse": float(row["dse"]),
            "weight": float(row["weight"]),
        }
        for key, row in table.iterrows()
    }
