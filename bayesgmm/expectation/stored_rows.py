"""Rows that are not in memory, as the pass takes them: blocks that are read, seen and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.parts import Done
from bayesgmm.data.scaling import Scaling
from bayesgmm.data.stored import Stored
from bayesgmm.errors import DataError
from bayesgmm.expectation.rows import Rows


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A stored table with the scale on which the pass sees its rows."""

    table: Stored
    scaling: Scaling
    n_components: int
    noise_box: NDArray[np.float64] | None  # over which noise is uniform, where there is any
    noise: bool

    @property
    def n_rows(self) -> int:
        """N."""
        return self.table.n_rows

    @property
    def total_weight(self) -> float:
        """Sum of the row weights; N where there are none."""
        return self.table.total_weight

    def refuse_changed(self, counts: Sequence[NDArray[np.float64]]) -> None:
        """Raise where expected numbers of rows add up to others than the first pass saw."""
        if self.table.recipe.selection is not None:  # which adds rows that were not recorded
            return
        for one in counts:
            if not abs(one.sum() - self.total_weight) <= 1e-6 * self.total_weight:
                raise DataError(
                    f"{self.table.source.description} has other rows now than in the first pass; "
                    "fit data that do not change."
                )

    def reduced[Result](
        self, function: Callable[[Rows], Result], *, cores: int, done: Done | None = None
    ) -> Result:
        """The sum of ``function(rows)`` over blocks of the rows."""
        seen = partial(_seen, function, self.scaling, self.n_components, self.noise_box, self.noise)
        return self.table.reduced(seen, cores=cores, done=done)


def _seen[Result](
    function: Callable[[Rows], Result],
    scaling: Scaling,
    n_components: int,
    noise_box: NDArray[np.float64] | None,
    noise: bool,
    table: InMemory,
) -> Result:
    return function(Rows.seen(table, scaling, n_components, noise_box, noise=noise))
