"""Which components of a maximum are artefacts, and of which rows.

The likelihood of a mixture has, beside the maxima that describe the data, many that
rest on rows which happen to lie close together or near a plane: the *spurious*
maxima of McLachlan and Peel (2000, section 3.10), and, without bound, those that
collapse onto ties.  Which of them a search meets is luck, so a search looks for the best
sound maximum, and one that is not sound names the component and its rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln

from bayesgmm.data.observations import Observations
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.expectation.point import Point
from bayesgmm.inference.maximum.floor import on_the_floor, variance_floor
from bayesgmm.mixture.parameters import MixtureParameters

Array = NDArray[np.float64]

_NAMED = 5  # components and rows that a note names
_EMPTY_WEIGHT = 1e-6  # less than this share of the rows is an emptied component
_WITHIN = 2.0  # standard deviations of a component, within which its neighbours' rows are counted
_BY_CHANCE = 0.01  # like groups expected by chance, from which on a tight one is no component
_TIGHT = 3.0  # times smaller than what it lies in, in volume


class Soundness(NamedTuple):
    """What of a maximum is unsound: indices of components, none where it is sound."""

    collapsed: tuple[int, ...]  # at the smallest covariance allowed, or emptied
    spurious: tuple[int, ...]  # few rows, or no more than chance brings together

    @property
    def sound(self) -> bool:
        """True if no component is an artefact."""
        return not self.collapsed and not self.spurious

    def of(self, order: NDArray[np.int64]) -> Soundness:
        """The same of the components in another order."""
        place = np.argsort(order)
        return Soundness(*(tuple(sorted(int(place[j]) for j in part)) for part in self))


def fewest_rows(n_features: int) -> int:
    """Rows below which a component is of few: 2 D + 2, twice what fixes its covariance."""
    return 2 * n_features + 2


def of_few_rows(
    mixture: MixtureParameters, observations: Observations, fewest: int | None = None
) -> NDArray[np.bool_]:
    """Which components (..., K) hold fewer rows than that, or ``fewest``, by their weights."""
    rows = mixture.weights * observations.total_weight / observations.typical_weight
    return np.asarray(rows < (fewest or fewest_rows(observations.n_features)) - 1e-6)


class Bounds:
    """What a component needs to be sound on the rows of a density."""

    def __init__(self, density: LogPosterior) -> None:
        self.density = density
        self.likelihood = not density.prior.active
        self.floor = variance_floor(density)
        self.n_rows = (
            density.rows.total_weight / density.observations.typical_weight
        )  # of this density, which may be on a part of the data

    def judge(self, point: Point) -> Soundness:
        """The components that are artefacts.

        A posterior mode is not called spurious: its prior says how tight is too tight.
        """
        return Soundness(self.collapsed(point), self.spurious(point))

    def collapsed(self, point: Point) -> tuple[int, ...]:
        """Components at their bound, where the objective is a property of that bound."""
        structure = self.density.spec.structure
        low = on_the_floor(point.factors, structure.code, self.floor, clipped=self.likelihood)
        weights = np.exp(point.log_weights)[: len(point.means)]
        if structure.shared:  # one for all: no component in particular
            low = np.full(len(weights), low[0])
        return _indices(low | (self.likelihood & (weights < _EMPTY_WEIGHT)))

    def spurious(self, point: Point) -> tuple[int, ...]:
        """Components that chance explains; none where all share one covariance."""
        structure = self.density.spec.structure
        k, d = point.means.shape
        if not self.likelihood or structure.shared or k == 1:
            return ()
        rows, volumes = np.exp(point.log_weights[:k]) * self.n_rows, self._volumes(point)
        few = rows < fewest_rows(d) - 1e-6
        tightest = few & (volumes < np.min(volumes, where=~few, initial=np.inf))
        return _indices((tightest & ~few.all()) | self._by_chance(point, rows, volumes))

    def tightness(self, point: Point) -> float:
        """How small the smallest component is, to a tenth of its logarithm; 0 for a mode."""
        return round(-float(self._volumes(point).min()), 1) if self.likelihood else 0.0

    def _volumes(self, point: Point) -> Array:
        """Logarithms of the roots of the covariances' determinants (K,), or of their one."""
        diagonals = point.factors[0]
        if self.density.spec.structure.matrices:
            diagonals = np.diagonal(point.factors, axis1=-2, axis2=-1)
        return np.asarray(np.log(diagonals).sum(axis=-1))

    def _by_chance(self, point: Point, rows: Array, volumes: Array) -> NDArray[np.bool_]:
        """Tight groups within other components, such as these have somewhere by chance.

        The others put a Poisson number of rows there, D of its own rows are used up to lay it
        through them, and there are as many places as rows (docs/mathematics.md, section 5).
        """
        k, d = point.means.shape
        factors = point.factors
        if not self.density.spec.structure.matrices:
            factors = factors[0, :, :, None] * np.eye(d)
        apart = point.means[:, :, None] - point.means.T  # (K, D, K), of each to those of the last
        squares = (np.linalg.solve(factors, apart) ** 2).sum(axis=1)
        others = point.log_weights[:k, None] - volumes[:, None] - squares / 2  # (others, K)
        np.fill_diagonal(others, -np.inf)
        together = np.maximum(np.logaddexp.reduce(others), -1e300)  # which nothing is as far as
        around = (np.exp(others - together) * volumes[:, None]).sum(axis=0)
        sphere = d * np.log(_WITHIN) - d / 2 * np.log(2) - gammaln(d / 2 + 1)  # over (2 pi)^(D/2)
        expected = self.n_rows * np.exp(np.minimum(together + sphere + volumes, 0.0))
        chance = self.n_rows * gammainc(np.maximum(rows - d, 1e-9), expected)
        return np.asarray((chance > _BY_CHANCE) & (volumes < around - np.log(_TIGHT)))


def weak_draw(density: LogPosterior, draw: MixtureParameters) -> str:
    """:func:`weak_components` of the highest place of a posterior that is known.

    Its prior makes few rows do, so that only those are named that fix no covariance.
    """
    soundness = Soundness(Bounds(density).collapsed(density.standardise(draw)), ())
    observations = density.observations
    return weak_components(draw, observations, soundness, fewest=observations.n_features + 1)


def weak_components(
    mixture: MixtureParameters,
    observations: Observations,
    soundness: Soundness,
    fewest: int | None = None,
) -> str:
    """What to know of the components that are artefacts or rest on few rows, with their rows."""
    rows = mixture.weights * observations.total_weight
    least = (fewest or fewest_rows(observations.n_features)) * observations.typical_weight
    told = dict.fromkeys(soundness.spurious, "is spurious; it")
    told |= dict.fromkeys(soundness.collapsed, "has collapsed; it")
    few = of_few_rows(mixture, observations, fewest)
    named = sorted({*told, *np.flatnonzero(few).tolist()})
    if not named:
        return ""
    listed: dict[int, list[Any]] = {j: [] for j in named[:_NAMED]}
    for block in observations.blocks():
        own = mixture.memberships(block)
        for j, labels in listed.items():
            labels += block.index[own[:, j] > 0.5].tolist()[: _NAMED + 1]
        if all(len(labels) > _NAMED for labels in listed.values()):
            break
    return " ".join(
        f"Component {j} {told[j] + ' ' if j in told else ''}rests on {rows[j]:.1f} rows"
        + (f", fewer than {least:g}" if few[j] else "")
        + _listed(listed[j])
        for j in named[:_NAMED]
    ) + (f" ({len(named) - _NAMED} more.)" if len(named) > _NAMED else "")


def _listed(labels: list[Any]) -> str:
    shown = ", ".join(str(label) for label in labels[:_NAMED])
    return f" ({shown}{', …' if len(labels) > _NAMED else ''})." if shown else "."


def _indices(which: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(which).tolist())
