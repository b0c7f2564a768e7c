"""How rows were seen, beside their values: errors, known labels, noise, what was not recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading_views import (
    read_allowed,
    read_background,
    read_box,
    read_errors,
    read_labels,
)
from bayesgmm.data.scaling import Scaling
from bayesgmm.errors import DataError

Array = NDArray[np.float64]

_SHOWN = 3  # features that a printed selection names


@dataclass(frozen=True, eq=False)
class RowViews:
    """What is known of how rows were seen; each part None where there is nothing to know.

    Attributes
    ----------
    errors : array of shape (N, D) or (N, D, D), optional
        Standard deviations, or covariances, of the errors of measurement.
    labels : array of shape (N,), optional
        The component that a row is known to be of, -1 where it is not known.
    allowed : array of shape (N, K), optional
        Which components a row may be of.
    background : array of shape (2, D) or (N,), optional
        The box over which noise is uniform, or its log density at each row.
    selection : array of shape (2, D), optional
        The box outside of which no row was recorded.
    """

    errors: Array | None = None
    labels: NDArray[np.int64] | None = None
    allowed: NDArray[np.bool_] | None = None
    background: Array | None = None
    selection: Array | None = None

    @classmethod
    def of(
        cls,
        values: Array,
        names: tuple[str, ...],
        *,
        errors: Any,
        labels: Any,
        allowed: Any,
        background: Any,
        selection: Any,
    ) -> RowViews:
        """Read and checked against the rows."""
        n = len(values)
        if labels is not None and allowed is not None:
            raise DataError("Both labels and allowed are given; give one of them.")
        found = cls(
            None if errors is None else read_errors(errors, values, names),
            None if labels is None else read_labels(labels, n),
            None if allowed is None else read_allowed(allowed, n),
            None if background is None else read_background(background, values, names),
            None if selection is None else read_box("selection", selection, values, names),
        )
        box = found.selection
        if box is not None:
            if not np.isfinite(box).any():
                return replace(found, selection=None)
            refuse_bounds_on_holes(box, np.isnan(values).any(axis=0), names)
            if background is not None and found.background is not None:
                noise = found.background
                if noise.ndim == 2 and not (
                    np.all(noise[0] >= box[0]) and np.all(noise[1] <= box[1])
                ):
                    raise DataError(
                        "The background reaches out of the selection; give the part of its box "
                        "that lies inside."
                    )
        return found

    def part(self, rows: Any) -> RowViews:
        """Those of some of the rows."""

        def some(values: Any) -> Any:
            return None if values is None else values[rows]

        background = self.background
        if background is not None and background.ndim == 1:
            background = background[rows]
        return RowViews(
            some(self.errors), some(self.labels), some(self.allowed), background, self.selection
        )

    def select(self, at: list[int], names: tuple[str, ...]) -> RowViews:
        """Those of some of the features, or a refusal where the others cannot be left out."""
        errors, background, box = self.errors, self.background, self.selection
        if box is not None:
            for j in np.flatnonzero(np.isfinite(box).any(axis=0)).tolist():
                if j not in at:
                    raise DataError(
                        f"The selection bounds {names[j]!r}, which cannot be left out.",
                        column=names[j],
                    )
            box = box[:, at]
        if background is not None:
            if background.ndim == 1:
                raise DataError(
                    "The background is a density of all features; none of them can be left out."
                )
            background = background[:, at]
        if errors is not None:
            errors = errors[:, at] if errors.ndim == 2 else errors[:, at][:, :, at]
        return replace(self, errors=errors, background=background, selection=box)

    def allowed_of(self, n_components: int, noise: bool) -> NDArray[np.bool_] | None:
        """Which of the classes (N, M) each row may be of: the components, and noise if it is there.

        Raises
        ------
        DataError
            For a label beyond them.
        """
        classes = n_components + noise
        if self.labels is not None:
            known = self.labels >= 0
            if self.labels.max(initial=-1) >= classes:
                row = int(np.argmax(self.labels >= classes))
                last = f"{n_components - 1}" + (f", or {n_components} for noise" if noise else "")
                raise DataError(
                    f"labels[{row}] is {self.labels[row]}, but components are numbered from 0 to "
                    f"{last}; raise n_components, or give -1 where a label is not known.",
                    row=row,
                )
            out = np.repeat(~known[:, None], classes, axis=1)
            out[np.flatnonzero(known), self.labels[known]] = True
        elif self.allowed is not None:
            out = self.allowed
            if out.shape[1] == n_components and noise:
                out = np.column_stack([out, np.ones(len(out), dtype=bool)])
            if out.shape[1] != classes:
                raise DataError(
                    f"allowed has {self.allowed.shape[1]} columns for {n_components} components; "
                    "give one for each" + (", or one more for noise." if noise else ".")
                )
        else:
            return None
        return out

    def noise_box(self, extremes: tuple[Array, Array], resolution: Array) -> Array | None:
        """The box (2, D) over which noise is uniform: as given, or the least that holds the rows,
        of which ``extremes`` are the smallest and the largest values (D,).

        None where a density is given row by row.
        """
        if self.background is not None:
            return self.background if self.background.ndim == 2 else None
        half = 0.5 * resolution
        found = np.stack([extremes[0] - half, extremes[1] + half])
        return found if self.selection is None else np.clip(found, *self.selection)

    @property
    def error_variances(self) -> Array | None:
        """Variances (N, D) of the errors, where there are any."""
        if self.errors is None or self.errors.ndim == 2:
            return None if self.errors is None else self.errors**2
        return np.diagonal(self.errors, axis1=1, axis2=2)

    @property
    def correlated(self) -> bool:
        """Whether errors are covariances of more than one feature."""
        return self.errors is not None and self.errors.ndim == 3 and self.errors.shape[1] > 1

    @property
    def as_they_are(self) -> bool:
        """Whether simulated rows are like these: no errors, known labels or selection."""
        known = (self.errors, self.labels, self.allowed, self.selection)
        return all(part is None for part in known)

    def scaled(self, scaling: Scaling, values: Array) -> RowViews:
        """Those of the rows ``values`` on another scale."""
        errors, background, box, unit = self.errors, self.background, self.selection, scaling.unit
        if errors is not None:
            errors = errors / (unit if errors.ndim == 2 else np.outer(unit, unit))
        if background is not None:
            if background.ndim == 2:
                background = scaling.there(background)
            else:
                background = background + ~np.isnan(values) @ np.log(unit)
        box = None if box is None else scaling.there(box)
        return replace(self, errors=errors, background=background, selection=box)

    def refuse_empty(self, n_components: int, noise: bool, weights: Array | None = None) -> None:
        """Refuse a component that no row with a weight may be of."""
        allowed = self.allowed_of(n_components, noise)
        if allowed is None:
            return
        if weights is not None:
            allowed = allowed[weights > 0]
        empty = np.flatnonzero(~allowed[:, :n_components].any(axis=0))
        if len(empty):
            raise DataError(
                f"No row may be of component {empty[0]}: every row is known to be of others; use "
                "fewer components, or leave some rows without a label."
            )

    def refuse_unknown_probability(self, matrices: bool, names: tuple[str, ...]) -> None:
        """Refuse a selection whose probability is not known in closed form."""
        if self.selection is None or not (matrices or self.correlated):
            return
        bounded = np.flatnonzero(np.isfinite(self.selection).any(axis=0))
        if len(bounded) > 2:
            told = ", ".join(names[j] for j in bounded)
            raise DataError(
                f"The selection bounds {len(bounded)} features ({told}), which is known for "
                "uncorrelated ones only; bound two at most, or use covariance='diag' without "
                "correlated errors."
            )

    def words(self, names: tuple[str, ...], n_labelled: int | None = None) -> str:
        """For people, empty where there is nothing to say.

        ``n_labelled`` rows have a label where these are the views of a sample of them.
        """
        told = []
        if self.errors is not None:
            told.append("with errors of measurement")
        if self.labels is not None:
            n_labelled = int((self.labels >= 0).sum()) if n_labelled is None else n_labelled
            told.append(f"{n_labelled:,} with a label")
        if self.allowed is not None:
            told.append(f"{int((~self.allowed.all(axis=1)).sum()):,} not of every component")
        if self.selection is not None:
            bounded = [names[j] for j in np.flatnonzero(np.isfinite(self.selection).any(axis=0))]
            more = ", …" if len(bounded) > _SHOWN else ""
            told.append(f"recorded inside of a box in {', '.join(bounded[:_SHOWN])}{more}")
        return "; ".join(told)


def refuse_bounds_on_holes(
    selection: Array, holes: NDArray[np.bool_], names: tuple[str, ...]
) -> None:
    """Refuse a selection that bounds a feature with ``holes`` (D,)."""
    wrong = np.isfinite(selection).any(axis=0) & holes
    if wrong.any():
        name = names[int(np.argmax(wrong))]
        raise DataError(
            f"The selection bounds {name!r}, of which values are missing; bound features that "
            "were seen of every row.",
            column=name,
        )
