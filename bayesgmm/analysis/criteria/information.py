"""Information criteria that are neither a point's nor leave-one-out: AICc, WAIC, DIC, WBIC.

Each needs only densities of the rows, which no relabelling changes.  That is why DIC is
here in the form that replaces the density at the posterior mean by the predictive
density: components of a mean over draws in several labellings are of no mixture.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.criteria.leave_one_out import Elpd
from bayesgmm.analysis.criteria.pointwise import named_rows, pointwise
from bayesgmm.compiled.threads import available_cores
from bayesgmm.data.observations import Observations
from bayesgmm.errors import FitError, warn
from bayesgmm.inference.fitting import fitted
from bayesgmm.interrupts import whole_imports
from bayesgmm.methods import NUTS
from bayesgmm.options import COUNT, SEED
from bayesgmm.result.fit import MixtureFit, require_fit
from bayesgmm.result.record import doubt

#: A row whose log density varies more than this over draws is not in the range where
#: WAIC approximates leave-one-out (Vehtari, Gelman and Gabry 2017).
LARGEST_VARIANCE = 0.4
_BLOCK = 4_000_000  # log densities held at once


class Dic(NamedTuple):
    """Deviance information criterion, DIC_3 of Celeux et al. (2006)."""

    value: float
    p: float  # effective number of parameters


class Wbic(NamedTuple):
    """Widely applicable Bayesian information criterion: an estimate of minus log evidence."""

    value: float
    se: float  # Monte Carlo standard error


def aicc(fit: MixtureFit) -> float:
    """AIC with its correction for few rows, AIC + 2 p (p + 1) / (N - p - 1); smaller is better.

    The correction is exact for one normal (Hurvich and Tsai 1989, for regression) and is
    a convention for mixtures.  N is the total weight of the rows of which something was seen.

    Parameters
    ----------
    fit : MixtureFit
        A point estimate.

    Returns
    -------
    float

    Raises
    ------
    FitError
        For draws, and where N is not above p + 1.

    References
    ----------
    Hurvich and Tsai (1989), Regression and time series model selection in small
    samples, Biometrika 76.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.criteria.information import aicc
    >>> em = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="em", seed=1)
    >>> round(aicc(em) - em.aic(), 3)
    1.015
    """
    fit = require_fit(fit, "aicc")
    aic, p = fit.aic(), fit.n_parameters
    n = fit.telling_weight
    if n <= p + 1:
        reason = (
            f"needs more than p + 1 = {p + 1} rows and there are {n:g}; use bic(), or a model with "
            "fewer parameters."
        )
        raise FitError(f"AICc {reason}", reason=reason)
    return aic + 2 * p * (p + 1) / (n - p - 1)


@whole_imports
def waic(fit: MixtureFit) -> Elpd:
    """Widely applicable information criterion, on the scale of elpd: larger is better.

    The log predictive density of each row, less the variance over draws of its log
    density.  It estimates what :func:`bayesgmm.elpd_loo` does, which is the better
    founded of the two and says where it fails.  Multiply by -2 for Watanabe's sign.

    Parameters
    ----------
    fit : MixtureFit
        Draws, by NUTS or Laplace.

    Returns
    -------
    Elpd
        ``value``, ``se``, ``p`` (effective number of parameters), ``bad_rows``
        (those whose part of ``p`` is above 0.4).

    Raises
    ------
    FitError
        For a point fit, one without a pointwise log-likelihood, and row weights that are
        no counts.

    Warns
    -----
    FitWarning
        If the chains are not known to have converged; and naming the bad rows, if there are
        any.

    References
    ----------
    Watanabe (2010), Asymptotic equivalence of Bayes cross validation and widely
    applicable information criterion in singular learning theory, JMLR 11.  Gelman,
    Hwang and Vehtari (2014), Understanding predictive information criteria for
    Bayesian models, Statistics and Computing 24.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.criteria.information import waic
    >>> fit = bg.fit(bg.MixtureSpec(1), bg.datasets.faithful(), method="laplace", seed=1)
    >>> abs(waic(fit).value - bg.elpd_loo(fit).value) < 0.5
    True
    """
    found = compute_waic(fit)
    if told := doubt(fit, "WAIC"):
        warn(told)
    if found.bad_rows:
        warn(
            f"WAIC of {fit.spec.label} by {fit.method} is uncertain: over draws the log density "
            f"of {named_rows(found.bad_rows)} has a variance above {LARGEST_VARIANCE}; use "
            "elpd_loo."
        )
    return found


def compute_waic(fit: MixtureFit) -> Elpd:
    """:func:`waic` without a warning, for what names the bad rows by itself."""
    each = pointwise(require_fit(fit, "waic"), "WAIC")
    values = each.values.reshape(-1, each.values.shape[-1])
    p_i = values.var(axis=0, ddof=1)
    elpd_i = _log_mean(values) - p_i
    bad = tuple(int(row) for row in np.unique(each.rows[p_i > LARGEST_VARIANCE]))
    se = float(np.sqrt(len(elpd_i) * elpd_i.var(ddof=1)))
    return Elpd(float(elpd_i.sum()), se, float(p_i.sum()), bad)


def _log_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the mean over draws (S, n) of densities given as logarithms."""
    return np.asarray(np.logaddexp.reduce(values, axis=0) - np.log(len(values)))


def dic(fit: MixtureFit) -> Dic:
    """Deviance information criterion for mixtures: smaller is better.

    DIC_3 = -4 E[log p(y | theta)] + 2 log p_hat(y), where p_hat is the density of
    each row averaged over the draws.  The original (Spiegelhalter et al. 2002) takes
    the density at the posterior mean of the parameters, which for a mixture depends on
    how the draws are labelled and may be no density that any draw resembles.

    Parameters
    ----------
    fit : MixtureFit
        Draws, by NUTS or Laplace.

    Returns
    -------
    Dic
        ``value`` and ``p``.

    Raises
    ------
    FitError
        For a point fit.

    Warns
    -----
    FitWarning
        If the chains are not known to have converged.

    References
    ----------
    Celeux, Forbes, Robert and Titterington (2006), Deviance information criteria for
    missing data models, Bayesian Analysis 1.  Spiegelhalter, Best, Carlin and van der
    Linde (2002), Bayesian measures of model complexity and fit, JRSS B 64.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.criteria.information import dic
    >>> fit = bg.fit(bg.MixtureSpec(2), bg.datasets.faithful(), method="laplace", seed=1)
    >>> 8 < dic(fit).p < 14
    True
    """
    found = compute_dic(fit)
    if told := doubt(fit, "DIC"):
        warn(told)
    return found


def compute_dic(fit: MixtureFit) -> Dic:
    """:func:`dic` without a warning, for what has the fit's status by itself."""
    if not require_fit(fit, "dic").is_posterior:
        reason = "needs a posterior; fit with method='nuts'."
        raise FitError(f"DIC {reason}", reason=reason)
    rows, draws = fit.observations, int(np.prod(fit.parameters.batch_shape))
    weights = np.ones(rows.n_rows) if rows.row_weights is None else rows.row_weights
    counted, size = np.flatnonzero(weights > 0), max(_BLOCK // draws, 1)
    total = 0.0
    for begin in range(0, len(counted), size):
        some = counted[begin : begin + size]
        # Of the rows as they were seen, as the log-likelihood is: with labels, say.
        values = fit.parameters.log_density(rows.part(some)).reshape(draws, -1)
        total += float(_log_mean(values) @ weights[some])
    p = 2 * (total - fit.log_likelihood)
    return Dic(-2 * fit.log_likelihood + p, p)


@whole_imports
def wbic(fit: MixtureFit, *, draws: int = 1000, seed: Any = None, cores: int | None = None) -> Wbic:
    """Widely applicable Bayesian information criterion: smaller is better.

    The mean of minus the log-likelihood over the posterior at inverse temperature
    1 / log N, from a run of NUTS with every row weighted by that.  It approximates minus
    the log evidence; twice it compares with BIC.  The approximation is rough at sizes
    such as the data sets that ship: on Old Faithful and the galaxies, K from 1 to 4, it
    is off by up to 7, more than their best models differ by.
    :func:`bayesgmm.log_evidence` has errors of 0.03 and takes no longer.

    Parameters
    ----------
    fit : MixtureFit
        By any method: its spec and data are used.
    draws : int, default 1000
        Of each of four chains.
    seed : int, SeedSequence or Generator, optional
    cores : int, optional
        Threads; all that may be used by default.

    Returns
    -------
    Wbic
        ``value`` and ``se``, its Monte Carlo standard error.

    Raises
    ------
    FitError
        If fewer than three rows count.

    Warns
    -----
    FitWarning
        If that run did not mix.

    References
    ----------
    Watanabe (2013), A widely applicable Bayesian information criterion, JMLR 14.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> from bayesgmm.analysis.criteria.information import wbic
    >>> em = bg.fit(bg.MixtureSpec(1), bg.datasets.galaxies(), method="em")
    >>> abs(wbic(em, seed=1).value - 811) < 2
    True
    """
    from arviz_stats.base import array_stats

    observations = require_fit(fit, "wbic").observations
    draws, seed, cores = COUNT("draws", draws), SEED("seed", seed), available_cores(cores)
    n, weights = observations.telling_weight, observations.row_weights
    if n < 3:
        raise FitError(f"WBIC needs three rows or more and there are {n:g}; use log_evidence.")
    each = np.ones(observations.n_rows) if weights is None else weights
    warm = Observations(
        observations,
        row_weights=each / np.log(n),
        names=fit.feature_names,
        resolution=observations.resolution,
    )
    run = fitted(fit.spec, warm, NUTS(draws=draws), seed=seed, cores=cores)
    if told := doubt(run, "WBIC"):
        warn(told)
    total = -run.parameters.log_likelihood(observations, cores=cores)
    se = array_stats.mcse(total, chain_axis=0, draw_axis=1, method="mean")
    return Wbic(float(total.mean()), float(se))
