"""Reading what a classifier is told of classes: labels, some unknown, and what each is to have.

scikit-learn's label of a row of unknown class is -1, and so is its first of two classes.  Both
are understood: which one is meant is told by the other labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from bayesgmm.errors import DataError, SpecError
from bayesgmm.options import COUNT, Kind, real, shown

Array = NDArray[np.float64]

_PRIOR = real("a number above 0 for each class", lambda number: number > 0)


def read_classes(
    y: Any, unlabelled: Any, n_rows: int, counted: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The classes, sorted, and each row's number among them (N,), -1 where it is not known.

    Parameters
    ----------
    y : array of shape (N,)
        Labels.  None, NaN and pandas' NA are not known, and neither are those equal to
        ``unlabelled``, unless fewer than two others are left: -1 and 1 are two classes.
    unlabelled : label or None
    n_rows : int
    counted : array of bool of shape (N,)
        Rows with weight; a class without any is none.
    """
    if y is None:
        raise DataError(
            "A classifier requires y to be passed, but the target y is None; give a label per row."
        )
    labels = column_or_1d(y, warn=True)
    if len(labels) != n_rows:
        raise DataError(f"y has {len(labels)} labels for {n_rows} rows; give one per row.")
    known = counted & ~_unknown(labels)
    if labels.dtype.kind == "f" and np.isinf(labels[known]).any():
        row = int(np.argmax(np.isinf(labels)))
        raise DataError(f"y[{row}] is infinite; give a label, or NaN where it is not known.")
    classes, codes = _numbered(labels[known])
    if unlabelled is not None:
        said = np.array([_equal(label, unlabelled) for label in classes.tolist()], dtype=bool)
        if said.any() and (~said).sum() > 1:
            known[known] = ~said[codes]
            classes, codes = _numbered(labels[known])
    if not len(classes):
        raise DataError("No row has a label in y; a class needs one at least.")
    check_classification_targets(_plain(labels[known]))
    out = np.full(n_rows, -1)
    out[known] = codes
    return classes, out


def _unknown(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Labels that are None, NaN or NA (which is not equal to itself, nor says that it is)."""
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    if labels.dtype.kind != "O":
        return np.zeros(len(labels), dtype=bool)
    missing = [
        label is None or type(label).__name__ in ("NAType", "NaTType") or _is_nan(label)
        for label in labels
    ]
    return np.array(missing, dtype=bool)


def _is_nan(label: Any) -> bool:
    return isinstance(label, (float, np.floating)) and bool(np.isnan(label))


def _equal(label: Any, unlabelled: Any) -> bool:
    return isinstance(label, str) == isinstance(unlabelled, str) and bool(label == unlabelled)


def _plain(known: NDArray[Any]) -> NDArray[Any]:
    """Labels among which there were None, in their own type again; texts as they are."""
    if known.dtype.kind != "O" or any(isinstance(label, str) for label in known):
        return known
    return np.array(known.tolist())


def _numbered(known: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        classes, codes = np.unique(_plain(known), return_inverse=True)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in known})
        raise DataError(f"Labels in y are {' and '.join(kinds)}; use one type.") from None
    return classes, codes.ravel()


def of_each_class[Value](
    name: str, given: Any, classes: NDArray[Any], kind: Kind[Value]
) -> list[Value]:
    """One value for each class: of a mapping by label, or a sequence in the order of the labels."""
    labels = classes.tolist()
    if isinstance(given, Mapping):
        wrong = [label for label in (*labels, *given) if label not in given or label not in labels]
        if wrong:
            raise SpecError(
                f"{name} must have the {len(labels)} classes as keys, and {shown(wrong[0])} is "
                f"{'not one of them' if wrong[0] in given else 'missing'}."
            )
        return [kind(f"{name}[{label!r}]", given[label]) for label in labels]
    if not _is_sequence(given):
        return [kind(name, given)] * len(labels)
    if len(given) != len(labels):
        raise SpecError(
            f"{name} has {len(given)} entries for {len(labels)} classes; give one each."
        )
    return [kind(f"{name}[{i}]", value) for i, value in enumerate(given)]


def _is_sequence(given: Any) -> bool:
    return isinstance(given, (list, tuple)) or getattr(given, "ndim", 0) == 1


def read_components(given: Any, classes: NDArray[Any]) -> list[int]:
    """How many components each class has."""
    return of_each_class("n_components", given, classes, COUNT)


def read_priors(given: Any, classes: NDArray[Any]) -> Array | None:
    """Probabilities (C,) of the classes, or None where they are to be learnt."""
    if given is None:
        return None
    if not isinstance(given, Mapping) and not _is_sequence(given):
        raise SpecError(f"priors must be {_PRIOR.words}, got {shown(given)}.", name="priors")
    priors: Array = np.array(of_each_class("priors", given, classes, _PRIOR))
    if abs(priors.sum() - 1) > 1e-6:
        raise SpecError(f"priors must sum to one over the classes, got a sum of {priors.sum():g}.")
    return priors / priors.sum()
