"""EM exactly as scikit-learn defines it, on this package's compiled pass.

A class that takes the place of another's must take its steps: one start, a fixed
ridge on the variances and no other bound on them, an emptied component sent to the
origin, a stop where the mean log-likelihood changes by less than a tolerance.
``bayesgmm.inference.maximum.em`` does none of these, and searches; the two share the pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread
from bayesgmm.errors import FitError
from bayesgmm.expectation.point import Point
from bayesgmm.expectation.precision import PrecisionForm
from bayesgmm.expectation.rows import Rows
from bayesgmm.expectation.statistics import (
    SufficientStatistics,
    expected_statistics,
    row_memberships,
    scatter_about_means,
)
from bayesgmm.model.structure import Structure

Array = NDArray[np.float64]

#: scikit-learn adds this to every count of rows, so that none is zero.
_TINY = 10 * float(np.finfo(float).eps)
#: Below this share of its squared distance to the data's centre, a variance
#: taken from moments about that centre has lost too many digits.
_LOST = 1e-7


@dataclass(frozen=True)
class Mixture:
    """Parameters in the data's units, covariances as ``model.structure`` keeps them."""

    weights: Array
    means: Array
    factors: Array
    structure: Structure

    @classmethod
    def of(cls, weights: Array, means: Array, covariances: Array, structure: Structure) -> Mixture:
        """From covariances in the shape of factors, or a refusal where one has no factor."""
        try:
            if structure.matrices:
                return cls(weights, means, np.linalg.cholesky(covariances), structure)
            if np.all(covariances > 0):
                return cls(weights, means, np.sqrt(covariances), structure)
        except np.linalg.LinAlgError:
            pass
        raise FitError(
            "A component's covariance is not positive definite, as where it has collapsed on "
            "one row; use fewer components, raise reg_covar, or use bayesgmm.fit, which "
            "bounds covariances."
        )

    def form(self, center: Array) -> PrecisionForm:
        """The mixture as the pass reads it, about ``center``."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        point = Point(log_weights, self.means - center, self.factors)
        return PrecisionForm.of(point, self.structure.code)


@dataclass(frozen=True)
class Moments:
    """What an M-step asks of rows, before any ridge; those of two parts of the data combine.

    About each component's own mean, so that nothing is lost where components are far from
    each other or from zero.
    """

    counts: Array  # (K,)
    means: Array  # (K, D) in the data's units; anything of a component without rows
    scatters: Array  # sums of squares about the means, in the shape of factors
    structure: Structure

    def maximised(self, reg_covar: float) -> Mixture:
        """The M-step."""
        n = self.counts + _TINY
        # An emptied component goes to the origin of the data's units.
        means = self.counts[:, None] * self.means / n[:, None]
        scatters = self.scatters + self._between(self.counts, self.means - means)
        if self.structure.matrices:
            covariances = scatters / (n.sum() if self.structure.shared else n[:, None, None])
        else:
            covariances = scatters / n[:, None]
        covariances = _with_ridge(covariances, n, reg_covar, self.structure)
        return Mixture.of(n / n.sum(), means, covariances, self.structure)

    def followed_by(self, new: Moments, share: float) -> Moments:
        """These, each row counted ``share`` times, and ``new`` ones (Chan and others 1983)."""
        old = share * self.counts
        counts = old + new.counts
        part = new.counts / _above_zero(counts)
        gap = new.means - self.means
        scatters = share * self.scatters + new.scatters + self._between(old * part, gap)
        return Moments(counts, self.means + part[:, None] * gap, scatters, self.structure)

    def _between(self, counts: Array, gaps: Array) -> Array:
        """Sums of squares of ``gaps`` (K, D), each ``counts`` (K,) times."""
        if not self.structure.matrices:
            return (counts[:, None] * gaps**2)[None]
        if self.structure.shared:
            return ((counts[:, None] * gaps).T @ gaps)[None]
        return counts[:, None, None] * gaps[:, :, None] * gaps[:, None, :]


@dataclass(frozen=True)
class PlainRun:
    """One run of EM: where it ended, and the mean log-likelihood of a row on the way."""

    mixture: Mixture
    moments: Moments | None  # those of the last E-step, if there was any
    bounds: list[float]
    converged: bool

    @property
    def bound(self) -> float:
        """The last of ``bounds``."""
        return self.bounds[-1] if self.bounds else -np.inf


def plain_em(
    values: Array,
    row_weights: Array | None,
    mixture: Mixture,
    bound: float,
    *,
    max_iter: int,
    tol: float,
    reg_covar: float,
    print_every: int,
) -> PlainRun:
    """EM from ``mixture``; ``bound`` is the mean log-likelihood of the step before, if any.

    Every ``print_every``-th iteration is printed, and the end; nothing if it is 0.
    """
    rows, total = centred(values, row_weights), total_weight(values, row_weights)
    bounds: list[float] = []
    last, converged = None, False
    with one_blas_thread():
        while len(bounds) < max_iter and not converged:
            previous = bound
            bound, last = expected_moments(rows, total, mixture, reg_covar)
            mixture = last.maximised(reg_covar)
            bounds.append(bound)
            converged = abs(bound - previous) < tol
            if print_every and len(bounds) % print_every == 0:
                print(f"  iteration {len(bounds)}  {bound - previous:.5f}")
    if print_every:
        print(f"  {'converged' if converged else 'not converged'}  {bound:.5f}")
    return PlainRun(mixture, last, bounds, converged)


def centred(values: Array, row_weights: Array | None) -> Rows:
    """Rows about their mean, as the pass takes them."""
    return Rows.of(values, np.average(values, axis=0, weights=row_weights), row_weights=row_weights)


def total_weight(values: Array, row_weights: Array | None) -> float:
    """How many rows there are, or the sum of their weights."""
    return len(values) if row_weights is None else float(row_weights.sum())


def expected_moments(
    rows: Rows, total: float, mixture: Mixture, reg_covar: float
) -> tuple[float, Moments]:
    """The E-step, by one pass: the mean log-likelihood of a row, and the moments."""
    form = mixture.form(rows.center)
    statistics = expected_statistics(rows, form, cores=available_cores(None))
    moments = _moments_of(statistics, form, rows, reg_covar, mixture.structure)
    return statistics.log_likelihood / total, moments


def _moments_of(
    statistics: SufficientStatistics,
    form: PrecisionForm,
    rows: Rows,
    reg_covar: float,
    structure: Structure,
) -> Moments:
    """From statistics about the rows' centre, or from rows where these have lost digits."""
    counts, sums = statistics.counts, statistics.sums
    n = _above_zero(counts)[:, None]
    means = sums / n
    if structure.matrices:
        scatters = np.empty_like(statistics.scatters)
        for g, scatter in enumerate(scatters):
            scatter_about_means(counts, sums, statistics.scatters, means, g, scatter)
    else:
        scatters = statistics.scatters - means * sums
    if not (structure.matrices and structure.shared):
        squares = scatters[0]
        if structure.matrices:
            squares = np.diagonal(scatters, axis1=1, axis2=2)
        if np.any(squares / n + reg_covar < _LOST * means**2):  # such as a row by itself
            return _moments_by_row(rows, form, structure)
    return Moments(counts, means + rows.center, scatters, structure)


def _moments_by_row(rows: Rows, form: PrecisionForm, structure: Structure) -> Moments:
    """From the memberships of all rows, for covariances that components do not share."""
    each, values = row_memberships(rows, form), rows.values - rows.center
    if len(rows.row_weights):
        each *= rows.row_weights[:, None]
    counts = each.sum(axis=0)
    means = each.T @ values / _above_zero(counts)[:, None]
    if structure.matrices:
        scatters = np.stack(
            [(each[:, j] * (values - mean).T) @ (values - mean) for j, mean in enumerate(means)]
        )
    else:
        scatters = np.stack([each[:, j] @ (values - mean) ** 2 for j, mean in enumerate(means)])
        scatters = scatters[None]
    return Moments(counts, means + rows.center, scatters, structure)


def _above_zero(counts: Array) -> Array:
    return np.maximum(counts, np.finfo(float).tiny)


def _with_ridge(covariances: Array, n: Array, reg_covar: float, structure: Structure) -> Array:
    """Variances raised by ``reg_covar``, after those that are one are averaged."""
    if structure.matrices:
        return covariances + reg_covar * np.eye(covariances.shape[-1])
    if structure.shared:
        pooled = np.average(covariances, axis=1, weights=n, keepdims=True)
        covariances = pooled.repeat(len(n), axis=1)
    if structure.round:
        covariances = covariances.mean(-1, keepdims=True).repeat(covariances.shape[-1], axis=-1)
    return covariances + reg_covar


def moments(
    values: Array,
    row_weights: Array | None,
    memberships: Array,
    reg_covar: float,
    structure: Structure,
) -> tuple[Array, Array, Array]:
    """The M-step of a start, from memberships (N, K), whose rows need not sum to one."""
    each: Array = np.ones(len(values))
    if row_weights is not None:
        each = row_weights / row_weights.max()  # whatever their unit, above what is added to n
        memberships = memberships * each[:, None]
    n = memberships.sum(axis=0) + _TINY
    means = memberships.T @ values / n[:, None]
    if structure.matrices:
        covariances = np.stack(
            [
                (memberships[:, j] * (values - mean).T) @ (values - mean)
                for j, mean in enumerate(means)
            ]
        )
        if structure.shared:  # rows without a component count about the origin, to be the same
            alone = ((each - memberships.sum(axis=1)) * values.T) @ values
            covariances = (covariances.sum(axis=0) + alone)[None]
        covariances /= n.sum() if structure.shared else n[:, None, None]
    else:
        # Of single rows these variances are rounding alone, and the way that they are
        # computed decides ties: so it is scikit-learn's, unless it would fail there.
        covariances = memberships.T @ (values * values) / n[:, None] - means**2
        if np.any(covariances + reg_covar <= 0):
            about = [memberships[:, j] @ (values - mean) ** 2 for j, mean in enumerate(means)]
            covariances = np.stack(about) / n[:, None]
        covariances = covariances[None]
    return n / each.sum(), means, _with_ridge(covariances, n, reg_covar, structure)
