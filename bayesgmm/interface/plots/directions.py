"""Which directions of the data a picture shows: features, or a projection of them.

Beyond six features a page of pairs cannot be read, and the first six may be those in which
the components do not differ.  What is shown then are the directions that separate the
components most: generalised eigenvectors of the covariance between the components' means
against the one within them, as Fisher's discriminants are of groups that are known (Scrucca
2010, Dimension reduction for model-based clustering, Statistics and Computing 20).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from bayesgmm.errors import DataError
from bayesgmm.interface.plots.words import in_percent, plain
from bayesgmm.mixture.conditioning import factor_of
from bayesgmm.mixture.noise import Noise
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import shown
from bayesgmm.result.fit import MixtureFit

Array = NDArray[np.float64]

#: Features beyond which a projection is shown where none are chosen.
MOST_PANELS = 6
#: Directions of a projection at most, and the part of the separation below which one is left out.
_DIRECTIONS, _PART = 4, 0.02
_TERMS, _LETTERS = 3, 14  # features that a direction's name has, and letters of each


@dataclass(frozen=True, eq=False)
class Shown:
    """Directions of the data: some features, or linear combinations of all."""

    names: tuple[str, ...]  # as they are drawn
    index: list[int]  # of features; all where they are combined
    matrix: Array | None = None  # (D, m) of a projection
    origin: Array | float = 0.0  # (D,)
    note: str = ""  # what a title says of it

    def rows(self, values: Array) -> Array:
        """Rows (N, m) of rows (N, D); NaN where something of a combination was not seen."""
        if self.matrix is None:
            return values[:, self.index]
        return np.asarray((values - self.origin) @ self.matrix)

    def mixture(self, parameters: MixtureParameters) -> MixtureParameters:
        """The marginal mixtures; noise of a projection has a weight and no box."""
        if self.matrix is None:
            return parameters.marginal(self.index)
        noise = parameters.noise
        return MixtureParameters(
            parameters.weights,
            (parameters.means - self.origin) @ self.matrix,
            factor_of(self.matrix.T @ parameters.scale_tril),
            None if noise is None else Noise(noise.weight, None),
        )

    def box(self, bounds: Array | None) -> Array | None:
        """Bounds (2, m) of a selection, which a projection does not keep."""
        return None if bounds is None or self.matrix is not None else bounds[:, self.index]


def choose(fit: MixtureFit, features: Any, *, most: int = MOST_PANELS) -> Shown:
    """What an option ``features`` asks for: names, ``"projection"``, or what there is room for."""
    names = list(fit.feature_names)
    projected = isinstance(features, str) and features == "projection" and features not in names
    if len(names) == 1 and projected:  # which has one direction
        features = None
    if features is None and len(names) <= most:
        features = names
    elif features is None or projected:
        return separating(center_of(fit.parameters), names)
    index = feature_index(names, features)
    return Shown(tuple(plain(names[j]) for j in index), index)


def feature_index(names: Sequence[str], features: Any) -> list[int]:
    """Positions of features by name or position, or a refusal."""
    several = isinstance(features, (list, tuple, np.ndarray))
    asked: list[Any] = list(features) if several else [features]
    index = []
    for feature in asked:
        whole_number = isinstance(feature, (int, np.integer)) and not isinstance(feature, bool)
        if isinstance(feature, str) and feature in names:
            index.append(names.index(feature))
        elif whole_number and 0 <= feature < len(names):
            index.append(int(feature))
        else:
            raise DataError(
                f"There is no feature {shown(feature)} in this fit; it has {', '.join(names)}."
            )
    if not index or len(set(index)) < len(index):
        raise DataError(
            f"features must name at least one feature and none twice, got {shown(asked)}."
        )
    return index


def center_of(parameters: MixtureParameters) -> MixtureParameters:
    """One mixture for a batch: itself where it is one, else of posterior means."""
    flat = parameters.flat()
    if len(flat.weights) == 1:
        return flat[0]
    noise = flat.noise
    return MixtureParameters(
        flat.weights.mean(axis=0),
        flat.means.mean(axis=0),
        np.linalg.cholesky(flat.covariances.mean(axis=0)),
        None if noise is None else Noise(noise.weight.mean(axis=0), noise.box),
    )


def between_and_within(mixture: MixtureParameters) -> tuple[Array, Array, Array]:
    """Mean (D,), and covariances (D, D) of the components' means and within components."""
    shares = mixture.weights / mixture.weights.sum()
    mean = shares @ mixture.means
    apart = mixture.means - mean
    between = np.einsum("k,ki,kj->ij", shares, apart, apart)
    within = np.einsum("k,kij->ij", shares, mixture.covariances)
    return mean, between, within


def separating(mixture: MixtureParameters, names: Sequence[str]) -> Shown:
    """The projection onto the directions that separate the components most, at least two.

    Where their means lie on one line, the next directions are those in which the
    covariances differ most; with one component, those of most correlation.
    """
    mean, between, within = between_and_within(mixture)
    unit = np.sqrt(np.diag(between + within))
    b, w = between / np.outer(unit, unit), within / np.outer(unit, unit)
    ratios, vectors = eigh(b, w)  # vectors are of unit variance within components
    ratios, vectors = ratios[::-1], vectors[:, ::-1]
    k, d = mixture.n_components, len(unit)
    found = int(np.sum(ratios[: min(k - 1, d)] > _PART * max(ratios.sum(), 1e-12)))
    found = min(found, _DIRECTIONS)
    part = ratios[:found].sum() / max(ratios.sum(), 1e-12)
    note = f"projected on the {found} directions that separate most ({in_percent(part)}% of all)"
    if found < 2:
        rest = vectors[:, found:]  # uncorrelated with those found, within components
        shares = mixture.weights / mixture.weights.sum()
        scaled = mixture.covariances / np.outer(unit, unit)
        differ = np.array([rest.T @ (own - w) @ rest for own in scaled])
        spread = np.einsum("k,kij,kjl->il", shares, differ, differ)
        if k == 1:
            spread = np.asarray(rest.T @ w @ w @ rest)
            note = "projected on the 2 directions of most correlation"
        else:
            note = "direction 1 separates means most, direction 2 spreads"
        turned = rest @ np.linalg.eigh(spread)[1][:, ::-1]
        vectors = np.column_stack([vectors[:, :found], turned[:, : 2 - found]])
        found = 2
    vectors = vectors[:, :found]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), range(found)])
    labels = tuple(_name(i, column, names) for i, column in enumerate(vectors.T, start=1))
    return Shown(labels, list(range(d)), vectors / unit[:, None], mean, note)


def _name(number: int, coefficients: Array, names: Sequence[str]) -> str:
    """A direction by its largest coefficients, of standardised features, as parts of a whole."""
    parts = coefficients / np.sqrt((coefficients**2).sum())
    order = np.argsort(-np.abs(parts), kind="stable")[:_TERMS].tolist()
    largest = [j for j in order if abs(parts[j]) >= 0.15]
    text = ""
    for j in largest:
        sign = "−" if parts[j] < 0 else "+"
        short = names[j] if len(names[j]) <= _LETTERS else names[j][: _LETTERS - 1] + "…"
        text += f" {sign} {abs(parts[j]):.1f} {plain(short)}"
    text = text.removeprefix(" + ").strip()
    return f"{number}: {text}" + (" …" if len(coefficients) > len(largest) else "")


def most_separating(mixture: MixtureParameters, n: int) -> list[int]:
    """The ``n`` features in which the components' means differ most, in their own order."""
    _, between, within = between_and_within(mixture)
    ratio = np.diag(between) / np.diag(within)
    return sorted(np.argsort(-ratio, kind="stable")[:n].tolist())


def in_lines(name: str) -> str:
    """The name of a direction, a line for each of its features; other names as they are."""
    if ": " not in name or not name[0].isdigit():
        return name
    return name.replace(" + ", "\n+ ").replace(" − ", "\n− ")
