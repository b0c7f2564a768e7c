"""Noise beside the components of a mixture: rows that belong to none of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.in_memory import InMemory
from bayesgmm.data.row_views import RowViews
from bayesgmm.errors import DataError
from bayesgmm.expectation.rows import uniform_log_density

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Noise:
    """A share of rows that come from no component.

    Attributes
    ----------
    weight : array of shape (...)
        Their share, with the batch shape of the mixture.
    box : array of shape (2, D) or None
        Over which they are uniform; None where their density is given row by row.
    """

    weight: Array
    box: Array | None

    @property
    def required_box(self) -> Array:
        """The box, or a refusal where there is none."""
        if self.box is None:
            raise DataError(
                "The noise of this mixture has a density that was given row by row, of which "
                "nothing else is known; fit with a box, Observations(..., background=[low, high])."
            )
        return self.box

    def require_batch(self, shape: tuple[int, ...]) -> None:
        """Refuse a weight for other mixtures."""
        if np.shape(self.weight) != shape:
            raise DataError(
                f"The weight of noise has shape {np.shape(self.weight)} for mixtures of batch "
                f"shape {shape}."
            )

    def box_for(self, views: RowViews) -> Array | None:
        """The box over which noise has a density at rows; None where theirs is given row by row."""
        given = views.background
        if given is not None and given.ndim == 1:
            return None
        if self.box is None:
            raise DataError(
                "The noise of this mixture has a density that was given row by row; give that of "
                "these rows, Observations(..., background=...)."
            )
        return self.box

    def log_density(self, rows: InMemory) -> Array:
        """Log density (N,) of rows, of what was seen of them; -inf outside of the box."""
        box = self.box_for(rows.views)
        if box is not None:
            return uniform_log_density(box, rows.matrix)
        assert rows.views.background is not None
        return rows.views.background

    def density_on(self, points: Array) -> Array:
        """Weighted density (..., N) at points (N,) of the one feature of a box."""
        return self.weight[..., None] * np.exp(
            uniform_log_density(self.required_box, points[:, None])
        )

    def marginal(self, index: NDArray[np.int64]) -> Noise:
        """Of some features."""
        return Noise(self.weight, None if self.box is None else self.box[:, index])

    def simulate(self, n: int, rng: np.random.Generator) -> Array:
        """Rows (n, D)."""
        return rng.uniform(
            self.required_box[0], self.required_box[1], (n, self.required_box.shape[1])
        )
