"""How a block of stored rows is taken apart, and refused with where the fault is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.opened import Opened
from bayesgmm.data.reading import Place, refuse_unusable
from bayesgmm.data.reading_views import read_errors
from bayesgmm.data.row_views import RowViews
from bayesgmm.data.summary import usable
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
        index = range(first, first + len(values))
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


def recipe_of(found: Opened, names: tuple[str, ...], holes: bool, given: dict[str, Any]) -> Recipe:
    """How the blocks of an opened source are read; each part of ``given`` None where there is
    nothing to know.
    """
    assert found.source is not None
    d, beside = len(names), found.beside_at
    for what in ("row_weights", "labels"):
        if given[what] is not None and what not in beside:
            raise DataError(f"{what} of rows that are not in memory are a column; give its name.")
    if given["allowed"] is not None:
        raise DataError("allowed is for rows in memory; give labels, by the name of a column.")
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
    return Recipe(
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
