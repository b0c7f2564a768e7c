"""Rows that are read when they are needed: what a table in memory knows at once, by a first pass.

A stored table is a :class:`Source`, the :class:`Recipe` that makes small tables in memory of its
blocks, and the :class:`Summary` that the first pass left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores
from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.lattice import lattice_step, off_lattice
from bayesgmm.data.parts import Done, active_client, over_parts
from bayesgmm.data.reading import Place
from bayesgmm.data.recipe import Recipe
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.scaling import without_errors
from bayesgmm.data.sources.source import Part, Source
from bayesgmm.data.summary import Summary, below
from bayesgmm.errors import DataError
from bayesgmm.progress import watched

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stored:
    """Rows of a source, with what is known of them."""

    source: Source
    recipe: Recipe
    summary: Summary
    firsts: tuple[int, ...]  # number of the first row of each part
    client: Any = None  # of the cluster that goes over them

    @classmethod
    def of(cls, source: Source, recipe: Recipe) -> Stored:
        """By a first pass, which checks every value."""
        client, cores = active_client(), available_cores(None)
        firsts, n_rows = _firsts(source, cores, client)
        with watched(None) as report:

            def done(parts: int) -> None:
                if report is not None:
                    rows = firsts[parts] if parts < len(firsts) else n_rows
                    report("first pass", rows or 0, n_rows or 0)

            summary = over_parts(
                partial(_summary_of, recipe, below(n_rows)),
                zip(source.parts, firsts, strict=False),
                cores=cores,
                client=client,
                done=done,
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
    def parts(self) -> Iterator[tuple[Part, int]]:
        """The parts, each with the number of its first row."""
        number = 0
        for number, part in enumerate(self.source.parts, start=1):
            if number <= len(self.firsts):
                yield part, self.firsts[number - 1]
        if number != len(self.firsts):
            raise DataError(
                f"{self.source.description} has {number} parts now, and had {len(self.firsts)} in "
                "the first pass; fit data that do not change."
            )

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

    @cached_property
    def sample(self) -> InMemory:
        """The random sample that the first pass kept, in a random order."""
        return self.recipe.table(self.summary.sample, 0)

    def steps(self, given: list[float | None], cores: int) -> Array:
        """The step to which each feature was recorded; None in ``given`` is to be found.

        Found of the sample, and then held against every row.
        """
        values = self.sample.matrix
        wanted = [j for j, step in enumerate(given) if step is None]
        seen = {j: values[~np.isnan(values[:, j]), j] for j in wanted}
        found = {j: lattice_step(seen[j]) for j in wanted}
        while any(found.values()):
            on = tuple((j, found[j], float(seen[j][0])) for j in wanted if found[j])
            off = self.reduced(partial(_off, on), cores=cores).values
            # One that was seen is known to be on it, if not as seen from the first.
            off = {j: np.setdiff1d(column, seen[j]) for j, column in off.items()}
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

    @cached_property
    def empty_weight(self) -> float:
        """Weight of the rows of which nothing was seen; it may take a pass."""
        if self.seen_weight.max() == self.total_weight:
            return 0.0
        return sum(block.empty_weight for block in self.tables())

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.recipe.weights_at is not None

    @cached_property
    def typical_weight(self) -> float:
        """Median weight of a row, of the sample."""
        weights = self.sample.row_weights
        return 1.0 if weights is None else float(np.median(weights[weights > 0]))

    @property
    def counted(self) -> Array:
        """The rows of the sample that count."""
        return self.sample.counted

    @cached_property
    def views(self) -> RowViews:
        """What holds of all rows, and the known labels of the sample."""
        recipe = self.recipe
        return replace(self.sample.views, errors=recipe.errors)

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
