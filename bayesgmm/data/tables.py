"""What was opened made into a table, checked: in memory, or stored after a first pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores
from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.lattice import given_steps, recorded_steps, refuse_wider
from bayesgmm.data.opened import Opened
from bayesgmm.data.reading import checked_weights, refuse_unusable
from bayesgmm.data.recipe import recipe_of
from bayesgmm.data.row_views import RowViews, refuse_bounds_on_holes
from bayesgmm.data.stored import Stored

Array = NDArray[np.float64]


def table_of(
    found: Opened, names: tuple[str, ...], resolution: Any, holes: bool, known: dict[str, Any]
) -> tuple[InMemory | Stored, Array]:
    """The rows, and the steps (D,) to which they were recorded.

    ``known`` are ``row_weights``, ``errors``, ``labels``, ``allowed``, ``background`` and
    ``selection``, None where there is nothing to know.
    """
    if found.values is None:
        return _stored(found, names, resolution, holes, known)
    refuse_unusable(found.values, list(names), holes=holes)
    matrix = np.require(found.values, requirements=["C", "W"])  # a copy if read-only
    known = known | found.beside
    weights = known.pop("row_weights")
    if weights is not None:
        weights = checked_weights(weights, len(matrix))
    steps = recorded_steps(resolution, matrix, names)
    views = RowViews.of(matrix, names, **known)
    index = np.arange(len(matrix)) if found.index is None else found.index
    return InMemory(matrix, index, weights, views, holes), steps


def _stored(
    found: Opened, names: tuple[str, ...], resolution: Any, holes: bool, known: dict[str, Any]
) -> tuple[Stored, Array]:
    assert found.source is not None
    given = given_steps(resolution, names)
    recipe = recipe_of(found, names, holes, known)
    table = Stored.of(found.source, recipe)
    if recipe.selection is not None:
        unseen = table.seen_weight < table.total_weight
        refuse_bounds_on_holes(recipe.selection, unseen, names)
    low, high = table.extremes
    steps = table.steps(given, available_cores(None))
    refuse_wider(steps.tolist(), high - low, names)
    return table, steps
