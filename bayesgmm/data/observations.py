"""The one door for data.

Arrays, pandas and polars frames, xarray objects and lists come in here and
nowhere else; what leaves is a checked float64 matrix with its names,
coordinates, row weights and scaling.  Bad data are refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.fittable import refuse_unfittable
from bayesgmm.data.lattice import recorded_steps, steps_in_words
from bayesgmm.data.reading import (
    checked_weights,
    default_names,
    given_names,
    read,
    refuse_repeated,
    refuse_unusable,
    refuse_unwritable,
)
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.scaling import Scaling, centers_and_scales
from bayesgmm.errors import DataError
from bayesgmm.model.spec import COVARIANCE
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.options import COUNT, TRUTH, Kind, one_of, optional, shown

Missing = Literal["marginal"]
_MISSING: Kind[Missing | None] = optional(one_of(*get_args(Missing)))

_FEW_ENOUGH_TO_COMPARE = 100_000  # rows, to look for equal ones among them


@dataclass(frozen=True, eq=False)
class Observations:
    """Data to fit, checked once and labelled from then on.

    Parameters
    ----------
    data : array, DataFrame, Series, DataArray, Dataset, list or Observations
        N rows and D features; one dimension is read as one feature.  Integer
        and float32 data are cast to float64.  Row and column labels of pandas,
        polars and xarray are kept.
    row_weights : array of shape (N,), optional
        Non-negative weight of each row in the likelihood: 2 counts a row twice.
    names : sequence of D strings, optional
        Feature names, where the data bring none or others are wanted.
    resolution : "auto", number, mapping or sequence of D numbers, default "auto"
        The step to which values were recorded, in their units: 0.1 for a length to a
        millimetre in centimetres, 1 for counts, 0 for what is as good as continuous.  One
        for all features, one for each by name (others are found), or ``"auto"``: a
        feature's is the lattice on which all its values lie, where some are equal, and
        otherwise 0.  Values recorded to r have r^2 / 12 of variance from that alone
        (Sheppard 1898), so no component has less; see docs/mathematics.md.
    missing : {"marginal"}, optional
        What NaN (None, pandas' NA, a null) means.  ``"marginal"``: that the value was not
        seen, at random given what was (Little and Rubin 2019): a row has then the density
        of its other features, and one of which nothing was seen says nothing.  Without
        it NaN is refused.
    errors : number or array of shape (D,), (N, D) or (N, D, D), optional
        Standard deviations of the errors with which values were measured, or their
        covariances, in the data's units: a row is x = y + error, and what is fitted is the
        distribution of y (Bovy, Hogg and Roweis 2011).
    labels : array of shape (N,), optional
        The component, from 0 on, that a row is known to be of; -1 (or NaN, None) where that
        is not known.  ``pandas.factorize`` makes them of names.
    allowed : array of bool of shape (N, K), optional
        Which components a row may be of, in place of ``labels``.
    background : array of shape (2, D) or (N,), or mapping, optional
        Of models with noise (``MixtureSpec(noise=True)``): lower and upper bounds of the box
        over which it is uniform, also by name, as ``{"x": (0, 10)}``; or its log density at
        each row.  By default the smallest box that holds the data.
    selection : array of shape (2, D), or mapping, optional
        The box outside of which no row was recorded, infinite (None) where there is no
        bound: the fit is of all rows, those not recorded included.  At most two features can
        be bounded, and any number where covariances are diagonal.

    Attributes
    ----------
    values : array of shape (N, D)
        The data, in their own units, C-contiguous float64, read-only.
    matrix : array of shape (N, D)
        The same for compiled code, which would be compiled once more for read-only
        arrays.  Not to be written to.
    names : tuple of str
    index : array of shape (N,)
        Row labels: a pandas index, an xarray coordinate, or 0 .. N-1.  Those that no
        file holds as they are (of a MultiIndex, periods, time zones) are text.
    labelled : bool
        Whether the names came with the data or were given; without, they are x0, x1, ...
    row_weights : array of shape (N,) or None
    resolution : array of shape (D,)
    views : RowViews
        How rows were seen: ``errors``, ``labels``, ``allowed``, ``background``, ``selection``.

    Raises
    ------
    DataError
        In one sentence: what was wrong, where, and what to do.

    Examples
    --------
    >>> from bayesgmm import Observations
    >>> Observations([[1, 2], [3, 5], [4, 4]], names=["a", "b"])
    Observations(3 rows; features a, b)
    """

    matrix: NDArray[np.float64]
    names: tuple[str, ...]
    index: NDArray[Any]
    labelled: bool
    row_weights: NDArray[np.float64] | None
    resolution: NDArray[np.float64]
    missing: Missing | None
    views: RowViews

    def __init__(
        self,
        data: Any,
        row_weights: Any = None,
        names: Sequence[str] | None = None,
        resolution: Any = "auto",
        missing: Missing | None = None,
        *,
        errors: Any = None,
        labels: Any = None,
        allowed: Any = None,
        background: Any = None,
        selection: Any = None,
    ) -> None:
        missing = _MISSING("missing", missing)
        if isinstance(data, Observations):
            values, index = data.matrix, data.index
            own = list(data.names) if data.labelled else None
            row_weights = data.row_weights if row_weights is None else row_weights
            if isinstance(resolution, str) and resolution == "auto":
                resolution = data.resolution
            missing = data.missing if missing is None else missing
            views = data.views
            errors = views.errors if errors is None else errors
            if labels is None and allowed is None:
                labels, allowed = views.labels, views.allowed
            background = views.background if background is None else background
            selection = views.selection if selection is None else selection
        else:
            values, own, index = read(data, holes=missing is not None)
        if names is not None:
            own = given_names(names, values.shape[1])
        named = default_names(values.shape[1]) if own is None else own
        refuse_repeated(named)
        refuse_unwritable(named)
        refuse_unusable(values, named, holes=missing is not None)
        put = object.__setattr__
        put(self, "matrix", np.require(values, requirements=["C", "W"]))  # a copy if read-only
        put(self, "names", tuple(named))
        put(self, "index", index)
        put(self, "labelled", own is not None)
        put(self, "missing", missing)
        if row_weights is not None:
            row_weights = checked_weights(row_weights, len(values))
        put(self, "row_weights", row_weights)
        put(self, "resolution", recorded_steps(resolution, self.matrix, self.names))
        views = RowViews.of(
            self.matrix,
            self.names,
            errors=errors,
            labels=labels,
            allowed=allowed,
            background=background,
            selection=selection,
        )
        put(self, "views", views)

    @property
    def values(self) -> NDArray[np.float64]:
        """The data (N, D), read-only."""
        view = self.matrix.view()
        view.flags.writeable = False
        return view

    @property
    def n_rows(self) -> int:
        """N."""
        return self.matrix.shape[0]

    @property
    def n_features(self) -> int:
        """D."""
        return self.matrix.shape[1]

    @cached_property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return float(self.n_rows if self.row_weights is None else self.row_weights.sum())

    @cached_property
    def center(self) -> NDArray[np.float64]:
        """Mean of each feature, where the standardised scale has its zero."""
        return self._moments[0]

    @cached_property
    def feature_scale(self) -> NDArray[np.float64]:
        """Standard deviation of each feature (divisor N), errors of measurement taken out."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return centers_and_scales(self.matrix, self.row_weights, self.views.error_variances)

    @cached_property
    def n_unseen(self) -> int:
        """How many values were not seen."""
        return 0 if self.missing is None else int(np.isnan(self.matrix).sum())

    @property
    def has_holes(self) -> bool:
        """Whether any value was not seen."""
        return self.n_unseen > 0

    @cached_property
    def seen_weight(self) -> NDArray[np.float64]:
        """Weight (D,) of the rows in which each feature was seen."""
        if not self.has_holes:
            return np.full(self.n_features, self.total_weight)
        seen = ~np.isnan(self.matrix)
        return seen.sum(axis=0) * 1.0 if self.row_weights is None else self.row_weights @ seen

    @cached_property
    def typical_weight(self) -> float:
        """Median weight of a distinct row: 1, or 2 where every row is there twice."""
        weights = np.ones(self.n_rows) if self.row_weights is None else self.row_weights
        if self.n_rows <= _FEW_ENOUGH_TO_COMPARE:
            place = np.unique(self.values + 0.0, axis=0, return_inverse=True)[1]
            weights = np.bincount(place.ravel(), weights)
        return float(np.median(weights[weights > 0]))

    def recorded_variance(self, covariance: Covariance) -> NDArray[np.float64]:
        """Variance of each feature (D,) from recording alone, on the standardised scale.

        One for all features where one scale has to serve them: the largest.
        """
        variance = self.resolution**2 / (12 * self.scale_for(covariance) ** 2)
        if STRUCTURES[covariance].round:
            return np.full(self.n_features, variance.max())
        return np.asarray(variance)

    def scale_for(self, covariance: Covariance) -> NDArray[np.float64]:
        """Units of the standardised scale, shape (D,).

        One common factor for circles: separate ones would turn them into ellipses and so
        change the model.
        """
        if STRUCTURES[COVARIANCE("covariance", covariance)].round:
            return np.full(self.n_features, np.sqrt(np.mean(self.feature_scale**2)))
        return self.feature_scale

    def scaling(self, covariance: Covariance) -> Scaling:
        """The standardised scale of a structure."""
        return Scaling(self.center, self.scale_for(covariance))

    def noise_box(self) -> NDArray[np.float64] | None:
        """The box (2, D) over which noise is uniform; None where its density is given by row."""
        return self.views.noise_box(self.matrix, self.resolution)

    def require(
        self,
        n_components: int,
        covariance: Covariance,
        *,
        likelihood_only: bool,
        noise: bool = False,
    ) -> None:
        """Refuse data on which such a mixture cannot be fitted.

        ``likelihood_only`` asks for what maximum likelihood needs: without a
        prior, each component must have rows enough for its covariance.
        """
        n_components = COUNT("n_components", n_components)
        covariance = COVARIANCE("covariance", covariance)
        likelihood_only = TRUTH("likelihood_only", likelihood_only)
        self.views.refuse_empty(n_components, TRUTH("noise", noise))
        self.views.refuse_unknown_probability(STRUCTURES[covariance].matrices, self.names)
        refuse_unfittable(
            self.values if self.row_weights is None else self.values[self.row_weights > 0],
            self.names,
            self.seen_weight,
            self.center,
            self.feature_scale,
            n_components,
            covariance,
            likelihood_only=likelihood_only,
        )

    def part(self, rows: Any) -> Observations:
        """Some of the rows, by number: what holds of all is not checked again of some."""
        some, put = object.__new__(Observations), object.__setattr__
        for name in ("names", "labelled", "resolution", "missing"):
            put(some, name, getattr(self, name))
        put(some, "matrix", np.ascontiguousarray(self.matrix[rows]))
        put(some, "index", self.index[rows])
        weights = self.row_weights
        put(some, "row_weights", None if weights is None else weights[rows])
        put(some, "views", self.views.part(rows))
        return some

    def select(self, names: Sequence[str]) -> Observations:
        """The same rows with some features, in the order given."""
        own = list(self.names)
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise DataError(f"names must be a sequence of features, got {shown(names)}.")
        names = list(names)
        for name in names:
            if not isinstance(name, str) or name not in own:
                raise DataError(
                    f"There is no feature {shown(name)}; the features are {', '.join(own)}."
                )
        at = [own.index(name) for name in names]
        chosen = Observations(
            self.values[:, at],
            row_weights=self.row_weights,
            names=names,
            resolution=self.resolution[at],
            missing=self.missing,
            **vars(self.views.select(at, self.names)),
        )
        object.__setattr__(chosen, "index", self.index)
        return chosen

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:6]) + (", …" if self.n_features > 6 else "")
        weighted = "" if self.row_weights is None else ", weighted"
        steps = "" if not self.resolution.any() else f"; recorded to {self.recorded()}"
        holes = ""
        if self.has_holes:
            holes = f"; {self.n_unseen:,} values not seen"
        seen = self.views.words(self.names)
        seen = f"; {seen}" if seen else ""
        return f"Observations({self.n_rows} rows{weighted}; features {shown}{steps}{holes}{seen})"

    def recorded(self) -> str:
        """The steps to which values were recorded, for people; empty where there are none."""
        return steps_in_words(self.resolution, self.names)
