"""Rows that are read when they are needed: what a table in memory knows at once, by a first pass.

A stored table is a :class:`Source`, the recipe that makes small tables in memory of its blocks,
and the :class:`Summary` that the first pass left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores
from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.lattice import given_steps, lattice_step, off_lattice, refuse_wider
from bayesgmm.data.opened import Opened
from bayesgmm.data.parts import Done, active_client, over_parts
from bayesgmm.data.reading import Place, refuse_unusable, usable
from bayesgmm.data.reading_views import read_errors
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.scaling import without_errors
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.data.summary import Summary, below
from bayesgmm.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the columns of blocks are read: features, and what else is known of rows."""

    at: tuple[int, ...]  # of the features
    names: tuple[str, ...]
    holes: bool
    weights_at: int | None = None
    labels_at: int | None = None
    errors: Array | None = None  # (D,)
    background: Array | None = None  # (2, D)
    selection: Array | None = None  # (2, D)
    n_columns: int = 0
    as_it_is: bool = True  # whether the features are all the columns

    def table(self, block: Array, first: int) -> InMemory:
        """Taken apart, without a check."""
        values = block if self.as_it_is else np.ascontiguousarray(block[:, self.at])
        weights = (
            None if self.weights_at is None else np.ascontiguousarray(block[:, self.weights_at])
        )
        labels = None
        if self.labels_at is not None:
            column = block[:, self.labels_at]
            labels = np.where(np.isnan(column), -1, column).astype(np.int64)
        errors = None
        if self.errors is not None:
            errors = np.where(np.isnan(values), 0.0, self.errors)
        views = RowViews(errors, labels, None, self.background, self.selection)
        index = np.arange(first, first + len(values))
        return InMemory(values, index, weights, views, self.holes)

    def checked(self, block: Array, first: int, place: Place) -> InMemory:
        """Taken apart, or refused with where the fault is."""
        table = self.table(block, first)
        if not usable(table.matrix, holes=self.holes):
            refuse_unusable(table.matrix, list(self.names), holes=self.holes, place=place)
        if table.row_weights is not None:
            weights = table.row_weights
            bad = ~(np.isfinite(weights) & (weights >= 0))
            if bad.any():
                row = int(np.argmax(bad))
                raise DataError(
                    f"The weight in {place.of(row)} is {weights[row]:g}; give a finite weight of 0 "
                    "or more.",
                    row=row + place.first,
                )
        if self.labels_at is not None:
            column = block[:, self.labels_at]
            bad = ~np.isnan(column) & ((column != np.rint(column)) | (column < -1))
            if bad.any():
                row = int(np.argmax(bad))
                raise DataError(
                    f"The label in {place.of(row)} is {column[row]:g}; give numbers of "
                    "components from 0 on, and -1 where a label is not known.",
                    row=row + place.first,
                )
        for what, box in (("selection", self.selection), ("background", self.background)):
            if box is None:
                continue
            outside = (table.matrix < box[0]) | (table.matrix > box[1])
            if outside.any():
                row, j = (int(at[0]) for at in np.nonzero(outside))
                raise DataError(
                    f"{self.names[j]!r} is {table.matrix[row, j]:g} in {place.of(row)}, outside of "
                    f"the {what}; widen it, or leave the row out.",
                    row=row + place.first,
                    column=self.names[j],
                )
        return table


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows of a source, with what is known of them."""

    source: Source
    recipe: Recipe
    summary: Summary
    firsts: tuple[int, ...]  # number of the first row of each part
    client: Any = None  # of the cluster that goes over them

    @classmethod
    def of(
        cls, source: Source, recipe: Recipe, *, client: Any = None, done: Done | None = None
    ) -> Stored:
        """By a first pass, which checks every value."""
        client = client if client is not None else active_client()
        cores = available_cores(None)
        firsts, n_rows = _firsts(source, cores, client)
        look = partial(_summary_of, recipe, below(n_rows))
        summary = over_parts(
            look, zip(source.parts, firsts, strict=False), cores=cores, client=client, done=done
        )
        if not summary.n_rows:
            raise DataError(f"There are no rows in {source.description}.")
        if not summary.weight > 0:
            raise DataError("row_weights are all zero; at least one row must count.")
        starts = tuple(np.cumsum([0, *summary.counts[:-1]]).tolist())
        return cls(source, recipe, summary, starts, client)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "client": None}

    @property
    def parts(self) -> Iterable[tuple[Part, int]]:
        """The parts, each with the number of its first row."""
        return zip(self.source.parts, self.firsts, strict=True)

    def reduced[Result](
        self,
        function: Callable[[InMemory], Result],
        *,
        cores: int,
        done: Done | None = None,
    ) -> Result:
        """The sum of ``function(table)`` over blocks, on threads or on the cluster."""
        return over_parts(
            partial(_over_blocks, self.recipe, function),
            self.parts,
            cores=cores,
            client=self.client,
            done=done,
        )

    def tables(self) -> Iterator[InMemory]:
        """The blocks one after the other."""
        for part, first in self.parts:
            yield from _tables(self.recipe, part, first)

    def sample(self) -> InMemory:
        """The random sample that the first pass kept, in a random order."""
        return self.recipe.table(self.summary.sample, 0)

    def steps(self, given: list[float | None], cores: int) -> Array:
        """The step to which each feature was recorded; None in ``given`` is to be found.

        Found of the sample, and then held against every row.
        """
        values = self.sample().matrix
        wanted = [j for j, step in enumerate(given) if step is None]
        seen = {j: values[~np.isnan(values[:, j]), j] for j in wanted}
        found = {j: lattice_step(seen[j]) for j in wanted}
        while any(found.values()):
            on = tuple((j, found[j], float(seen[j][0])) for j in wanted if found[j])
            off = self.reduced(partial(_off, on), cores=cores).values
            if not any(len(column) for column in off.values()):
                break
            for j, column in off.items():
                if len(column):
                    seen[j] = np.concatenate([seen[j], column])
                    found[j] = lattice_step(seen[j])
        return np.array([found.get(j, step) for j, step in enumerate(given)], dtype=float)

    # What is known of the rows ---------------------------------------------

    @property
    def n_rows(self) -> int:
        """N."""
        return self.summary.n_rows

    @property
    def n_counted(self) -> int:
        """How many rows may count."""
        return self.summary.n_rows

    @property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return self.summary.weight

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation (D,) of each feature, errors of measurement taken out."""
        variance = self.summary.square / self.summary.seen
        if self.recipe.errors is not None:
            variance = without_errors(variance, self.recipe.errors**2)
        return self.summary.mean, np.sqrt(variance)

    @property
    def extremes(self) -> tuple[Array, Array]:
        """Smallest and largest value (D,) of each feature."""
        return self.summary.low, self.summary.high

    @property
    def largest(self) -> Array:
        """Largest magnitude (D,) of each feature."""
        return np.fmax(np.abs(self.summary.low), np.abs(self.summary.high))

    @property
    def n_unseen(self) -> int:
        """How many values were not seen."""
        return self.summary.n_unseen

    @property
    def seen_weight(self) -> Array:
        """Weight (D,) of the rows in which each feature was seen."""
        return self.summary.seen

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.recipe.weights_at is not None

    @cached_property
    def typical_weight(self) -> float:
        """Median weight of a row, of the sample."""
        weights = self.sample().row_weights
        return 1.0 if weights is None else float(np.median(weights[weights > 0]))

    @property
    def counted(self) -> Array:
        """The rows of the sample that count."""
        table = self.sample()
        weights = table.row_weights
        return table.matrix if weights is None else table.matrix[weights > 0]

    @cached_property
    def views(self) -> RowViews:
        """What holds of all rows, and the known labels of the sample."""
        recipe = self.recipe
        return replace(self.sample().views, errors=recipe.errors)

    def select(self, at: list[int], names: tuple[str, ...], views: RowViews) -> Stored:
        """Some of the features."""
        recipe = replace(
            self.recipe,
            at=tuple(self.recipe.at[j] for j in at),
            names=names,
            errors=None if self.recipe.errors is None else self.recipe.errors[at],
            background=views.background,
            selection=views.selection,
            as_it_is=False,
        )
        return replace(self, recipe=recipe, summary=self.summary.of_features(at))


def stored(
    found: Opened, names: tuple[str, ...], resolution: Any, holes: bool, given: dict[str, Any]
) -> tuple[Stored, Array]:
    """Rows of an opened source, and the steps to which they were recorded.

    ``given`` is what is known of them, each part None where there is nothing to know.
    """
    assert found.source is not None
    d, beside = len(names), found.beside_at
    for what in ("row_weights", "labels"):
        if given[what] is not None and what not in beside:
            raise DataError(f"{what} of rows that are not in memory are a column; give its name.")
    if given["allowed"] is not None:
        raise DataError("allowed is for rows in memory; give labels, by the name of a column.")
    steps = given_steps(resolution, names)
    errors = given["errors"]
    if errors is not None:
        if np.shape(errors) not in ((), (d,)):
            raise DataError(
                f"errors has shape {np.shape(errors)}; of rows that are not in memory give one "
                "number, or one per feature."
            )
        errors = read_errors(errors, np.zeros((1, d)), names)[0]
    boxes = RowViews.of(
        np.empty((0, d)),
        names,
        errors=None,
        labels=None,
        allowed=None,
        background=given["background"],
        selection=given["selection"],
    )
    recipe = Recipe(
        found.at,
        names,
        holes,
        beside.get("row_weights"),
        beside.get("labels"),
        errors,
        boxes.background,
        boxes.selection,
        len(found.source.columns),
        not beside,
    )
    table = Stored.of(found.source, recipe)
    if boxes.selection is not None:
        bounded = np.isfinite(boxes.selection).any(axis=0) & (
            table.seen_weight < table.total_weight
        )
        if bounded.any():
            name = names[int(np.argmax(bounded))]
            raise DataError(
                f"The selection bounds {name!r}, of which values are missing; bound features that "
                "were seen of every row.",
                column=name,
            )
    low, high = table.extremes
    filled = table.steps(steps, available_cores(None))
    refuse_wider(filled.tolist(), high - low, names)
    return table, filled


def _firsts(source: Source, cores: int, client: Any) -> tuple[list[int], int | None]:
    """The number of the first row of each part, and of how many; where nobody knows, by counting,
    but for a single part."""
    counts = [part.n_rows for part in source.parts]
    if counts == [None]:
        return [0], None
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        parts = ((part, 0) for part in source.parts)
        known = list(over_parts(_count, parts, cores=cores, client=client).of)
    *firsts, n_rows = [0, *np.cumsum(known).tolist()]
    return firsts, n_rows


class _Counts(NamedTuple):
    of: tuple[int, ...]

    def __add__(self, other: Any) -> _Counts:
        return _Counts(self.of + other.of)


def _count(part: Part, first: int) -> _Counts:
    return _Counts((sum(len(block) for block in part.blocks()),))


def _tables(recipe: Recipe, part: Part, first: int) -> Iterator[InMemory]:
    for block in part.blocks():
        yield recipe.table(block, first)
        first += len(block)


def _over_blocks[Result](
    recipe: Recipe, function: Callable[[InMemory], Result], part: Part, first: int
) -> Result:
    total: Any = None
    for table in _tables(recipe, part, first):
        result = function(table)
        total = result if total is None else total + result
    if total is None:  # a part without rows
        total = function(recipe.table(np.empty((0, recipe.n_columns)), first))
    return total


def _summary_of(recipe: Recipe, most: np.uint64, part: Part, first: int) -> Summary:
    """Of a part whose first row has this number, every value checked."""
    total, row = Summary.none(len(recipe.at), recipe.n_columns), part.first
    for block in part.blocks():
        if not len(block):
            continue
        table = recipe.checked(block, first, Place(part.name, row))
        labels = table.views.labels
        total += Summary.of(
            block,
            table.matrix,
            table.row_weights,
            0 if labels is None else int((labels >= 0).sum()),
            first,
            most,
        )
        first, row = first + len(block), row + len(block)
    return total.within_part()


class _OffLattice(NamedTuple):
    values: dict[int, Array]

    def __add__(self, other: Any) -> _OffLattice:
        return _OffLattice(
            {j: np.concatenate([own, other.values[j]])[:1000] for j, own in self.values.items()}
        )


def _off(on: tuple[tuple[int, float, float], ...], table: InMemory) -> _OffLattice:
    return _OffLattice({j: off_lattice(table.matrix[:, j], step, origin) for j, step, origin in on})
