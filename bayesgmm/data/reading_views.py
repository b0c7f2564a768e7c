"""Reading what is known of how rows were seen: errors, labels, noise, a selection.

The third part of the one door: what is given is read, checked against the rows, and refused in one
sentence that names the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import LARGEST, number_or_nan
from bayesgmm.errors import DataError
from bayesgmm.options import shown

Array = NDArray[np.float64]

#: A covariance of errors may be less than positive semidefinite by its own rounding.
_ROUNDING = 1e-12


def _numbers(name: str, given: Any, kinds: str = "iuf") -> Array:
    """An array of doubles in which None and NA are NaN, or a refusal by name."""
    if hasattr(given, "to_numpy"):
        given = given.to_numpy()
    if isinstance(given, np.ma.MaskedArray):
        masked, given = np.ma.getmaskarray(given), given.data.astype(object)
        given[masked] = None
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


def read_errors(given: Any, values: Array, names: tuple[str, ...]) -> Array:
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
        bad = ~(errors >= 0) | (errors >= LARGEST)
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
        raise DataError(
            f"The covariance of errors of row {row} is not finite; correct it, or leave it out.",
            row=row,
        )
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


def read_labels(given: Any, n: int) -> NDArray[np.int64]:
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


def read_allowed(given: Any, n: int) -> NDArray[np.bool_]:
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


def read_background(given: Any, values: Array, names: tuple[str, ...]) -> Array:
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
    box = read_box("background", given, values, names)
    open_ended = ~np.isfinite(box).all(axis=0)
    if open_ended.any():
        raise DataError(
            f"The background has no bounds in {names[int(np.argmax(open_ended))]!r}; noise is "
            "uniform over a box, so give a lower and an upper bound of every feature."
        )
    return box


def read_box(what: str, given: Any, values: Array, names: tuple[str, ...]) -> Array:
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
    far = np.isfinite(box) & (np.abs(box) >= LARGEST)
    if far.any():
        name = names[int(np.argmax(far.any(axis=0)))]
        raise DataError(
            f"{what} bounds {name!r} by a number whose square overflows; give one below "
            f"{LARGEST:g}, or infinity where there is no bound.",
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
