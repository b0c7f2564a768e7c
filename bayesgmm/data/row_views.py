"""How rows were seen, beside their values: errors, known labels, noise, what was not recorded.

The third part of the one door: what is given is read, checked against the rows, and refused in one
sentence that names the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import number_or_nan
from bayesgmm.data.scaling import Scaling
from bayesgmm.errors import DataError
from bayesgmm.options import shown

Array = NDArray[np.float64]

_LARGEST = 1e150
#: A covariance of errors may be less than positive semidefinite by its own rounding.
_ROUNDING = 1e-12
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
            None if errors is None else _errors(errors, values, names),
            None if labels is None else _labels(labels, n),
            None if allowed is None else _allowed(allowed, n),
            None if background is None else _background(background, values, names),
            None if selection is None else _box("selection", selection, values, names),
        )
        box = found.selection
        if box is not None:
            if not np.isfinite(box).any():
                return replace(found, selection=None)
            bounded = np.isfinite(box).any(axis=0)
            holes = np.isnan(values[:, bounded]).any(axis=0)
            if holes.any():
                name = np.array(names)[bounded][holes][0]
                raise DataError(
                    f"The selection bounds {str(name)!r}, of which values are missing; bound "
                    "features that were seen of every row.",
                    column=str(name),
                )
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
            For a label beyond them, and a component that no row may be of.
        """
        classes = n_components + noise
        if self.labels is not None:
            known = self.labels >= 0
            if self.labels.max() >= classes:
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
        empty = np.flatnonzero(~out[:, :n_components].any(axis=0))
        if len(empty):
            raise DataError(
                f"No row may be of component {empty[0]}: every row is known to be of others; use "
                "fewer components, or leave some rows without a label."
            )
        return out

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

    def require(self, matrices: bool, names: tuple[str, ...]) -> None:
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

    def words(self, names: tuple[str, ...]) -> str:
        """For people, empty where there is nothing to say."""
        told = []
        if self.errors is not None:
            told.append("with errors of measurement")
        if self.labels is not None:
            told.append(f"{int((self.labels >= 0).sum()):,} with a label")
        if self.allowed is not None:
            told.append(f"{int((~self.allowed.all(axis=1)).sum()):,} not of every component")
        if self.selection is not None:
            bounded = [names[j] for j in np.flatnonzero(np.isfinite(self.selection).any(axis=0))]
            more = ", …" if len(bounded) > _SHOWN else ""
            told.append(f"recorded inside of a box in {', '.join(bounded[:_SHOWN])}{more}")
        return "; ".join(told)


def _numbers(name: str, given: Any, kinds: str = "iuf") -> Array:
    """An array of doubles in which None and NA are NaN, or a refusal by name."""
    if hasattr(given, "to_numpy"):
        given = given.to_numpy()
    if isinstance(given, np.ma.MaskedArray):
        given = np.ma.filled(given.astype(object), None)
    try:
        array = np.asarray(given)
        if array.dtype.kind == "O":
            flat = [number_or_nan(entry) for entry in array.ravel()]
            return np.array(flat, dtype=np.float64).reshape(array.shape)
        if array.dtype.kind not in kinds:
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{name} must be numbers, got {shown(given)}.") from None


def _errors(given: Any, values: Array, names: tuple[str, ...]) -> Array:
    n, d = values.shape
    errors = _numbers("errors", given)
    if errors.ndim < 2:
        if errors.shape not in ((), (d,)):
            raise DataError(
                f"errors has shape {errors.shape}; give one number, one per feature, ({d},), or "
                f"standard deviations ({n}, {d}) or covariances ({n}, {d}, {d}) of each row."
            )
        errors = np.broadcast_to(errors, (n, d))
    if errors.shape not in ((n, d), (n, d, d)):
        raise DataError(
            f"errors has shape {errors.shape}; give standard deviations ({n}, {d}) or covariances "
            f"({n}, {d}, {d}) of each row."
        )
    gone = np.isnan(values)
    if errors.ndim == 3:
        gone = gone[:, :, None] | gone[:, None, :]
    errors = np.where(gone, 0.0, errors)  # of what was not seen
    if errors.ndim == 2:
        bad = ~(errors >= 0) | (errors >= _LARGEST)
        if bad.any():
            row, j = (int(at[0]) for at in np.nonzero(bad))
            raise DataError(
                f"The error of {names[j]!r} in row {row} is {errors[row, j]:g}; give a finite "
                "standard deviation of 0 or more.",
                row=row,
                column=names[j],
            )
        return errors
    if not np.all(np.isfinite(errors)):
        row = int(np.argmax(~np.isfinite(errors).all(axis=(1, 2))))
        raise DataError(f"The covariance of errors of row {row} is not finite.", row=row)
    size = np.abs(errors).max(axis=(1, 2))
    bad = np.abs(errors - np.swapaxes(errors, 1, 2)).max(axis=(1, 2)) > 1e-8 * size
    bad |= np.linalg.eigvalsh(errors)[:, 0] < -_ROUNDING * d * size
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"The covariance of errors of row {row} is not symmetric and positive semidefinite; "
            "correct it.",
            row=row,
        )
    return np.ascontiguousarray(0.5 * (errors + np.swapaxes(errors, 1, 2)))


def _labels(given: Any, n: int) -> NDArray[np.int64]:
    try:
        numbers = _numbers("labels", given)
    except DataError:
        raise DataError(
            "labels must be whole numbers, the components of rows, with -1 or NaN where they are "
            "not known; pandas.factorize makes them of names."
        ) from None
    if numbers.shape != (n,):
        raise DataError(f"labels has shape {numbers.shape}; give one per row, ({n},).")
    numbers = np.where(np.isnan(numbers), -1.0, numbers)
    bad = (numbers != np.rint(numbers)) | (numbers < -1) | ~(numbers < 1e9)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"labels[{row}] is {numbers[row]:g}; give a component from 0 on, or -1 where it is not "
            "known.",
            row=row,
        )
    return numbers.astype(np.int64)


def _allowed(given: Any, n: int) -> NDArray[np.bool_]:
    numbers = _numbers("allowed", given, "iufb")
    if numbers.ndim != 2 or len(numbers) != n:
        raise DataError(
            f"allowed has shape {numbers.shape}; give a truth value for each row and component, "
            f"({n}, K)."
        )
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise DataError("allowed must be truth values: whether a row may be of a component.")
    allowed = numbers == 1.0
    if not allowed.any(axis=1).all():
        row = int(np.argmin(allowed.any(axis=1)))
        raise DataError(f"Row {row} may be of no component; allow one at least.", row=row)
    return allowed


def _background(given: Any, values: Array, names: tuple[str, ...]) -> Array:
    if not isinstance(given, Mapping) and np.ndim(given) == 1:
        logs = _numbers("background", given)
        if logs.shape != (len(values),):
            raise DataError(
                f"background has shape {logs.shape}; give a box (2, {len(names)}), or a log "
                f"density for each row, ({len(values)},)."
            )
        bad = np.isnan(logs) | (logs == np.inf)
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(f"background[{row}] is {logs[row]}; give a log density.", row=row)
        return logs
    box = _box("background", given, values, names)
    open_ended = ~np.isfinite(box).all(axis=0)
    if open_ended.any():
        raise DataError(
            f"The background has no bounds in {names[int(np.argmax(open_ended))]!r}; noise is "
            "uniform over a box, so give a lower and an upper bound of every feature."
        )
    return box


def _box(what: str, given: Any, values: Array, names: tuple[str, ...]) -> Array:
    """Bounds (2, D), infinite where there are none, that hold all the rows."""
    d = len(names)
    box = np.array([[-np.inf] * d, [np.inf] * d])
    if isinstance(given, Mapping):
        for name, bounds in given.items():
            if name not in names:
                raise DataError(
                    f"{what} names {shown(name)}, which is not among the features "
                    f"({', '.join(names)})."
                )
            pair = _numbers(f"{what} of {name!r}", bounds)
            if pair.shape != (2,):
                raise DataError(f"{what} of {name!r} must be a lower and an upper bound.")
            box[:, names.index(name)] = np.where(np.isnan(pair), [-np.inf, np.inf], pair)
    else:
        array = _numbers(what, given)
        if array.shape != (2, d):
            raise DataError(
                f"{what} has shape {array.shape}; give lower and upper bounds, (2, {d}), or a "
                "mapping from features to such pairs."
            )
        box = np.where(np.isnan(array), box, array)
    flat = ~(box[1] > box[0])
    if flat.any():
        name = names[int(np.argmax(flat))]
        raise DataError(
            f"{what} leaves no room in {name!r}, from {box[0, flat][0]:g} to {box[1, flat][0]:g}; "
            "give a lower bound and a larger upper one.",
            column=name,
        )
    outside = (values < box[0]) | (values > box[1])  # never what was not seen
    if outside.any():
        row, j = (int(at[0]) for at in np.nonzero(outside))
        raise DataError(
            f"Row {row} has {names[j]!r} = {values[row, j]:g}, outside of the {what} from "
            f"{box[0, j]:g} to {box[1, j]:g}; widen it, or leave the row out.",
            row=row,
            column=names[j],
        )
    return box
