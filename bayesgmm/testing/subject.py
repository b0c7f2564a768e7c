"""A method under check: the model and rows it is tried on, and its fits, each made once.

Draws are compared from one start, since which of two labellings a search ends in hangs on the
last digit: with it the same seed mostly gives the same draws, whatever the units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.data.observations import Observations
from bayesgmm.errors import DataError, SpecError
from bayesgmm.inference.fitting import fitted
from bayesgmm.methods import EM, Method
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.result.fit import MixtureFit
from bayesgmm.testing.expectations import Broken, Skipped, close, holds
from bayesgmm.testing.monte_carlo import standard_errors, worst

Array = NDArray[np.float64]

#: How equal what differs by rounding alone must be: draws, and log-likelihoods relative to
#: themselves; parameters on the standardised scale.
DRAWS, LIKELIHOODS = 1e-6, 1e-9
#: And points, which end where the slope is 1e-4 standard errors, not at the top itself.
POINTS = 1e-4
#: Options of a method that is named: few draws and starts, which easy data allow.
FEW: Mapping[str, Any] = {
    "n_starts": 6, "n_best": 2, "rounds": 1, "draws": 200, "tune": 200, "chains": 2,
    "progressbar": False,
}  # fmt: skip


def of_few(method: type[Method]) -> Method:
    """A method with options that take little time."""
    known = [option.name for option in fields(method)]
    return method(**{name: value for name, value in FEW.items() if name in known})


def easy_rows(n: int = 90, seed: int = 3) -> Observations:
    """Rows of two components that overlap a little, in units that differ."""
    truth = MixtureParameters.from_covariances(
        [0.6, 0.4], [[0, 0], [3.5, 2]], [[[1, 0.5], [0.5, 1]], [[1, -0.4], [-0.4, 0.8]]]
    )
    x, _ = truth.simulate(n, seed=seed)
    return Observations(x * [2.0, 0.5] + [10.0, -3.0], names=["length", "width"])


@dataclass(frozen=True)
class Affine:
    """x -> a x + b, and what becomes of mixtures and densities."""

    a: Array  # (D, D)
    b: Array  # (D,)

    @classmethod
    def none(cls, d: int) -> Affine:
        return cls(np.eye(d), np.zeros(d))

    def of_rows(self, x: Array) -> Array:
        """Rows or means; of what was not seen comes what is not seen."""
        gone = (np.isnan(x).astype(float) @ (self.a != 0).T) > 0
        return np.where(gone, np.nan, np.nan_to_num(x) @ self.a.T + self.b)

    def of_mixture(self, p: MixtureParameters) -> MixtureParameters:
        covariances = self.a @ p.covariances @ self.a.T
        covariances = 0.5 * (covariances + np.swapaxes(covariances, -1, -2))
        return MixtureParameters.from_covariances(p.weights, self.of_rows(p.means), covariances)

    @property
    def inverse(self) -> Affine:
        inverse = np.linalg.inv(self.a)
        return Affine(inverse, -inverse @ self.b)

    def log_jacobian(self, seen_weight: Array) -> float:
        """What log densities of rows lose; ``seen_weight`` (D,) of the values that were seen."""
        if np.array_equal(self.a, np.diag(np.diag(self.a))):
            return float(seen_weight @ np.log(np.diag(self.a)))
        return float(seen_weight.mean() * np.linalg.slogdet(self.a)[1])


@dataclass(frozen=True)
class Said:
    """A fit beside the rows of which it is and how these were written."""

    fit: MixtureFit
    rows: Observations
    written: Affine


@dataclass(frozen=True, eq=False)
class Subject:
    """A method on a model and rows."""

    method: Method
    spec: MixtureSpec
    rows: Observations
    seed: int
    exact: bool | None
    easy: bool  # whether the rows are our own, of which every method must make something

    def fitted(self, rows: Any = None, **changed: Any) -> MixtureFit:
        """A fit; ``changed`` may have another spec, method, seed, start or number of cores."""
        spec, method = changed.pop("spec", self.spec), changed.pop("method", self.method)
        data = self.rows if rows is None else rows
        return fitted(spec, data, method, **{"seed": self.seed, "cores": 1, **changed})

    def tried(self, rows: Any = None, **changed: Any) -> MixtureFit:
        """A fit of what a method may refuse; a refusal is no fault."""
        try:
            return self.fitted(rows, **changed)
        except (DataError, SpecError) as refusal:
            raise Skipped(f"It refuses this: {refusal}") from None

    @property
    def draws(self) -> bool:
        """Whether it draws, rather than finds a point."""
        return self.method.n_draws > 0

    @cached_property
    def fit(self) -> MixtureFit:
        """The fit that most is asked of."""
        return self.fitted()

    @cached_property
    def on_two(self) -> MixtureFit:
        """The same fit again, on two threads."""
        return self.fitted(cores=2)

    @cached_property
    def start(self) -> MixtureParameters | None:
        """From which fits that are compared begin: none, where a search ends at one point."""
        if not self.draws:
            return None
        return fitted(
            self.spec.replace(noise=False), self.rows, of_few(EM), seed=self.seed
        ).parameters[0, 0]

    @cached_property
    def plain(self) -> Said:
        """The fit that others are compared with."""
        none = Affine.none(self.rows.n_features)
        fit = self.fit if self.start is None else self.fitted(start=self.start)
        return Said(fit, self.rows, none)

    def written(self, affine: Affine, names: Any = None) -> Said:
        """A fit of the same rows in other units or directions."""
        rows = Observations(
            affine.of_rows(self.rows.values), row_weights=self.rows.row_weights,
            names=self.rows.names if names is None else names,
            resolution=0, missing=self.rows.missing,
        )  # fmt: skip
        start = None if self.start is None else affine.of_mixture(self.start)
        return Said(self.fitted(rows, start=start), rows, affine)

    def same(self, one: Said, other: Said, *, exact: bool = True) -> str:
        """Whether two fits say the same; how well, in words.

        ``exact`` says that draws may be the same one by one, so that these are looked at first.
        """
        x, y = in_common(one), in_common(other)
        order = matching(x["means"], y["means"])
        for name in ("weights", "means", "log scales", "correlations"):
            rest = range(len(order), y[name].shape[2])  # noise
            y[name] = y[name][:, :, [*order, *rest]]
        if not self.draws:
            return _same_points(x, y)
        gap = largest_gap(x, y)
        if exact and gap <= DRAWS:
            return f"draw for draw, to {gap:.0e}"
        if exact and self.exact:
            raise Broken(f"Found draws that differ by {gap:.2g} where each should be the same.")
        scores = [
            worst(
                name,
                a.mean(axis=(0, 1)) - b.mean(axis=(0, 1)),
                np.hypot(standard_errors(one.fit, a), standard_errors(other.fit, b)),
            )
            for (name, a), b in zip(x.items(), y.values(), strict=True)
        ]
        return f"within {max(scores):.1f} standard errors"


def in_common(said: Said) -> dict[str, Array]:
    """A fit's quantities (chain, draw, ...), on the scale of the rows as they were."""
    p, written = said.fit.parameters, said.written
    back = written.inverse
    rows = back.of_rows(said.rows.values)
    unit = np.nanstd(rows, axis=0)
    covariances = back.a @ p.covariances @ back.a.T
    scales = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))
    correlations = covariances / (scales[..., None] * scales[..., None, :])
    i, j = np.triu_indices(len(unit), 1)
    likelihood = p.log_likelihood(said.rows)
    return {
        "weights": p.class_weights,
        "means": (back.of_rows(p.means) - np.nanmean(rows, axis=0)) / unit,
        "log scales": np.log(scales / unit),
        "correlations": correlations[..., i, j],
        "log-likelihood": likelihood + written.log_jacobian(said.rows.seen_weight),
    }


def matching(means: Array, others: Array) -> list[int]:
    """Which component of the others is which of these, by their means over the draws."""
    a, b = means.mean(axis=(0, 1)), others.mean(axis=(0, 1))
    cost = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
    return [int(i) for i in linear_sum_assignment(cost)[1]]


def largest_gap(x: dict[str, Array], y: dict[str, Array]) -> float:
    """Between draws, one by one; of log-likelihoods relative to their size."""
    if any(x[name].shape != y[name].shape for name in x):
        return np.inf
    size = 1 + np.abs(x["log-likelihood"]).max()
    gaps = [
        np.abs(x[name] - y[name]).max(initial=0.0) / (size if name == "log-likelihood" else 1.0)
        for name in x
    ]
    return float(max(gaps)) if np.isfinite(gaps).all() else np.inf


def _same_points(x: dict[str, Array], y: dict[str, Array]) -> str:
    names = [name for name in x if name != "log-likelihood"]
    gaps = [close(name, y[name], x[name], atol=POINTS) for name in names]
    # Of first order in the gap where it is not the likelihood alone that is at its top.
    close("log-likelihood", y["log-likelihood"], x["log-likelihood"], rtol=LIKELIHOODS,
          atol=20 * max(gaps))  # fmt: skip
    return f"to {max(gaps):.0e}"


def has_ridge(method: Method) -> bool:
    """Whether something is added to variances, in units of its own."""
    return isinstance(method, EM) and method.reg_covar > 0


def require_ok(subject: Subject, fit: MixtureFit) -> None:
    """Draws of a fit that did not end well are compared with nothing."""
    told = f"a fit that is {str(fit.status)!r}: {fit.note or fit.status.sentence}"
    if subject.easy:
        holds(fit.status.ok, told)
    elif not fit.status.ok:
        raise Skipped(told[0].upper() + told[1:])
