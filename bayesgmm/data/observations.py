"""The one door for data.

Arrays, frames, xarray objects, lists, files and collections that are larger than memory come in
here and nowhere else; what leaves is rows with their names, weights and scaling, in memory as
a checked float64 matrix, or stored and read a block at a time.  Bad data are refused in one
sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.alignment import aligned
from bayesgmm.data.fittable import refuse_unfittable
from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.lattice import steps_in_words
from bayesgmm.data.opened import Opened, opened
from bayesgmm.data.reading import (
    default_names,
    given_names,
    refuse_repeated,
    refuse_unwritable,
)
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.scaling import Scaling
from bayesgmm.data.stored import Stored
from bayesgmm.data.tables import table_of
from bayesgmm.errors import DataError
from bayesgmm.model.spec import COVARIANCE
from bayesgmm.model.structure import STRUCTURES, Covariance
from bayesgmm.options import COUNT, TRUTH, Kind, Seed, generator, one_of, optional, shown

Missing = Literal["marginal"]
_MISSING: Kind[Missing | None] = optional(one_of(*get_args(Missing)))


@dataclass(frozen=True, eq=False)
class Observations:
    """Data to fit, checked once and labelled from then on.

    Parameters
    ----------
    data : array, DataFrame, Series, DataArray, Dataset, list, path or Observations
        N rows and D features; one dimension is read as one feature.  Integer
        and float32 data are cast to float64.  Row and column labels of pandas,
        polars and xarray are kept.  Also a path of Parquet, Arrow, CSV, NumPy or Zarr
        files (one, a folder, or a pattern with ``*``), a memory map, a Zarr array, a
        collection of Dask, or batches of rows: a function that returns an iterator of
        frames, or an object that can be iterated over again and again.
    row_weights : array of shape (N,) or name of a column, optional
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
    columns : sequence of str, optional
        Which columns are the features, where columns have names; by default all.
    in_memory : bool, optional
        Whether files and collections are read at once.  By default those are that take no
        more than 256 MB as float64; others are read a block at a time whenever a pass needs
        them, after a first pass that checks every value and finds centre, scale and
        resolution.  A cluster whose ``distributed.Client`` is active goes over them.
    errors : number or array of shape (D,), (N, D) or (N, D, D), optional
        Standard deviations of the errors with which values were measured, or their
        covariances, in the data's units: a row is x = y + error, and what is fitted is the
        distribution of y (Bovy, Hogg and Roweis 2011).
    labels : array of shape (N,) or name of a column, optional
        The component, from 0 on, that a row is known to be of; -1 (or NaN, None) where that
        is not known.  ``pandas.factorize`` makes them of names.  K is noise, where the model
        has it (``predict`` says -1 of such rows).
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

    What is given of each row or feature goes by position; pandas' Series and frames by their row
    labels where the data are pandas' as well, and ``errors`` and ``background`` in frames by the
    names of their columns.  Another order is put right, other labels are an error.

    Attributes
    ----------
    values : array of shape (N, D)
        The data, in their own units, C-contiguous float64, read-only.
    matrix : array of shape (N, D)
        The same for compiled code, which would be compiled once more for read-only
        arrays.  Not to be written to.
    names : tuple of str
    stored : Stored or None
        How rows are read that are not in memory: those have no ``values``, ``matrix`` or
        ``index``, but :meth:`blocks` and a :meth:`sample`.
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

    table: InMemory | Stored
    names: tuple[str, ...]
    labelled: bool
    resolution: NDArray[np.float64]
    missing: Missing | None
    sample_of: int | None  # how many rows these are a random sample of

    def __init__(
        self,
        data: Any,
        row_weights: Any = None,
        names: Sequence[str] | None = None,
        resolution: Any = "auto",
        missing: Missing | None = None,
        *,
        columns: Sequence[str] | None = None,
        in_memory: bool | None = None,
        errors: Any = None,
        labels: Any = None,
        allowed: Any = None,
        background: Any = None,
        selection: Any = None,
    ) -> None:
        missing = _MISSING("missing", missing)
        in_memory = optional(TRUTH)("in_memory", in_memory)
        sample_of = None
        if isinstance(data, Observations):
            if columns is not None:
                data = data.select(columns)
            own = list(data.names) if data.labelled else None
            row_weights = data.row_weights if row_weights is None else row_weights
            if isinstance(resolution, str) and resolution == "auto":
                resolution = data.resolution
            missing = data.missing if missing is None else missing
            views, sample_of = data.views, data.sample_of
            errors = views.errors if errors is None else errors
            if labels is None and allowed is None:
                labels, allowed = views.labels, views.allowed
            background = views.background if background is None else background
            selection = views.selection if selection is None else selection
            found = Opened(data.matrix, data.index, own, {})
        else:
            beside = {
                what: name
                for what, name in (("row_weights", row_weights), ("labels", labels))
                if isinstance(name, str)
            }
            found = opened(
                data,
                columns=columns,
                beside=beside,
                in_memory=in_memory,
                holes=missing is not None,
            )
            own = found.names
        d = len(found.at) if found.values is None else found.values.shape[1]
        if names is not None:
            own = given_names(names, d)
        named = tuple(default_names(d) if own is None else own)
        refuse_repeated(list(named))
        refuse_unwritable(list(named))
        known = {
            "row_weights": row_weights,
            "errors": errors,
            "labels": labels,
            "allowed": allowed,
            "background": background,
            "selection": selection,
        }
        labels = found.index if hasattr(data, "iloc") else None  # pandas' rows have labels
        known = {
            what: aligned(what, given, None if own is None else named, labels)
            for what, given in known.items()
        }
        table, steps = table_of(found, named, resolution, missing is not None, known)
        self._put(table, named, own is not None, steps, missing, sample_of)

    def _put(self, *given: Any) -> None:
        names = ("table", "names", "labelled", "resolution", "missing", "sample_of")
        for name, value in zip(names, given, strict=True):
            object.__setattr__(self, name, value)

    def _with(self, table: InMemory | Stored, sample_of: int | None = None) -> Observations:
        """The same of other rows: what holds of all is not checked again of some."""
        other = object.__new__(Observations)
        other._put(table, self.names, self.labelled, self.resolution, self.missing, sample_of)
        return other

    # The rows -------------------------------------------------------------

    @property
    def stored(self) -> Stored | None:
        """How rows are read that are not in memory; None where they are."""
        return self.table if isinstance(self.table, Stored) else None

    @property
    def table_in_memory(self) -> InMemory:
        """The rows, or a refusal where they are not in memory."""
        if isinstance(self.table, Stored):
            raise DataError(
                f"The {self.n_rows:,} rows of {self.table.source.description} are not in memory, "
                "which this needs; take observations.sample(n), or columns and rows that fit."
            )
        return self.table

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The data (N, D) for compiled code; not to be written to."""
        return self.table_in_memory.matrix

    @property
    def values(self) -> NDArray[np.float64]:
        """The data (N, D), read-only."""
        view = self.matrix.view()
        view.flags.writeable = False
        return view

    @property
    def index(self) -> NDArray[Any]:
        """Row labels (N,)."""
        return np.asarray(self.table_in_memory.index)

    @property
    def row_weights(self) -> NDArray[np.float64] | None:
        """Weights (N,) of the rows, where they were given."""
        return self.table_in_memory.row_weights

    @property
    def views(self) -> RowViews:
        """How rows were seen; of stored rows what holds of all of them."""
        return self.table.views

    def on_cluster(self, client: Any) -> Observations:
        """The same rows, which the workers of a ``distributed.Client`` go over if not in memory."""
        if isinstance(self.table, InMemory):
            return self
        return self._with(replace(self.table, client=client), self.sample_of)

    def blocks(self) -> Iterator[Observations]:
        """The rows in memory, one part after the other."""
        if isinstance(self.table, InMemory):
            yield self
            return
        for block in self.table.tables():
            yield self._with(block)

    @property
    def kept(self) -> Observations:
        """The rows in memory: all, or those of the sample that the first pass kept."""
        return self if isinstance(self.table, InMemory) else self._with(self.table.sample)

    def sample(self, n: int = 20_000, *, seed: Seed = None) -> Observations:
        """Some of the rows at random, in memory; all where there are no more.

        A fit to them is a fit to ``n`` rows and says so: its standard errors are those of
        ``n`` rows, the root of N / n times as large as those of all.  Of rows that are not in
        memory 100,000 were kept by the first pass, and are the most there are.

        Examples
        --------
        >>> from bayesgmm import Observations, datasets
        >>> Observations(datasets.faithful()).sample(100, seed=1)
        Observations(a sample of 100 of 272 rows; features eruptions, waiting; recorded to ...)
        """
        n, rng = COUNT("n", n), generator(seed)
        some = self.kept
        if n > some.n_rows < self.n_rows:
            raise DataError(
                f"n={n:,} rows were asked of {some.n_rows:,} that the first pass kept; ask for "
                "no more."
            )
        if n < some.n_rows:
            some = some.part(np.sort(rng.choice(some.n_rows, n, replace=False)))
        if some.n_rows == self.n_rows:
            return some
        whole = self.n_rows if self.sample_of is None else self.sample_of
        return some._with(some.table, whole)

    # What is known of them ------------------------------------------------

    @property
    def n_rows(self) -> int:
        """N."""
        return self.table.n_rows

    @property
    def n_features(self) -> int:
        """D."""
        return len(self.names)

    @property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return self.table.total_weight

    @property
    def center(self) -> NDArray[np.float64]:
        """Mean of each feature, where the standardised scale has its zero."""
        return self.table.moments[0]

    @property
    def feature_scale(self) -> NDArray[np.float64]:
        """Standard deviation of each feature (divisor N), errors of measurement taken out."""
        return self.table.moments[1]

    @property
    def n_unseen(self) -> int:
        """How many values were not seen."""
        return self.table.n_unseen

    @property
    def has_holes(self) -> bool:
        """Whether any value was not seen."""
        return self.n_unseen > 0

    @property
    def seen_whole(self) -> bool:
        """Whether every value was seen, and without an error of measurement."""
        return not self.has_holes and self.views.errors is None

    @property
    def seen_weight(self) -> NDArray[np.float64]:
        """Weight (D,) of the rows in which each feature was seen."""
        return self.table.seen_weight

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Whether nothing was seen of each row (N,)."""
        return self.table_in_memory.empty

    @property
    def telling_weight(self) -> float:
        """Sum of the weights of the rows of which something was seen: how many rows tell."""
        return self.total_weight - self.table.empty_weight

    @property
    def typical_weight(self) -> float:
        """Median weight of a distinct row: 1, or 2 where every row is there twice."""
        return self.table.typical_weight

    def recorded_variance(self, covariance: Covariance) -> NDArray[np.float64]:
        """Variance of each feature (D,) from recording alone, on the standardised scale.

        One for all features where one scale has to serve them: the largest.
        """
        scale = self.scale_for(covariance)
        if not np.all(scale > 0):
            name = self.names[int(np.argmin(scale > 0))]
            raise DataError(
                f"Column {name!r} is constant, so that it has no standardised scale; drop it.",
                column=name,
            )
        variance = self.resolution**2 / (12 * scale**2)
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
        return self.views.noise_box(self.table.extremes, self.resolution)

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
        weights = None if isinstance(self.table, Stored) else self.table.row_weights
        self.views.refuse_empty(n_components, TRUTH("noise", noise), weights)
        self.views.refuse_unknown_probability(STRUCTURES[covariance].matrices, self.names)
        refuse_unfittable(
            self.table,
            self.names,
            n_components,
            covariance,
            likelihood_only=likelihood_only,
        )

    def part(self, rows: Any) -> Observations:
        """Some of the rows, by number: what holds of all is not checked again of some."""
        return self._with(self.table_in_memory.part(rows), self.sample_of)

    def select(self, names: Sequence[str]) -> Observations:
        """The same rows with some features, in the order given."""
        own = list(self.names)
        try:
            if isinstance(names, str):
                raise TypeError
            names = list(names)
        except TypeError:
            raise DataError(f"names must be a sequence of features, got {shown(names)}.") from None
        for name in names:
            if not isinstance(name, str) or name not in own:
                raise DataError(
                    f"There is no feature {shown(name)}; the features are {', '.join(own)}."
                )
        at = [own.index(name) for name in names]
        views, resolution = self.views.select(at, self.names), self.resolution[at]
        if isinstance(self.table, Stored):
            some = object.__new__(Observations)
            table = self.table.select(at, tuple(names), views)
            some._put(table, tuple(names), True, resolution, self.missing, self.sample_of)
            return some
        chosen = Observations(
            self.values[:, at],
            row_weights=self.row_weights,
            names=names,
            resolution=resolution,
            missing=self.missing,
            **vars(views),
        )
        return chosen._with(replace(chosen.table_in_memory, index=self.index), self.sample_of)

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:6]) + (", …" if self.n_features > 6 else "")
        weighted = ", weighted" if self.table.weighted else ""
        steps = "" if not self.resolution.any() else f"; recorded to {self.recorded()}"
        holes = ""
        if self.has_holes:
            holes = f"; {self.n_unseen:,} values not seen"
        seen = self.how_seen()
        seen = f"; {seen}" if seen else ""
        rows = f"{self.n_rows} rows"
        if self.sample_of is not None:
            rows = f"a sample of {self.n_rows:,} of {self.sample_of:,} rows"
        if isinstance(self.table, Stored):
            rows = f"{self.n_rows:,} rows of {self.table.source.description}"
        return f"Observations({rows}{weighted}; features {shown}{steps}{holes}{seen})"

    def how_seen(self) -> str:
        """How rows were seen, beside their values, for people; empty where there is nothing."""
        stored = self.stored
        n_labelled = None if stored is None else stored.summary.n_labelled
        return self.views.words(self.names, n_labelled)

    def recorded(self) -> str:
        """The steps to which values were recorded, for people; empty where there are none."""
        return steps_in_words(self.resolution, self.names)
