"""What is given beside the rows, brought into their order by its labels.

Arrays say what they are by position.  A frame's columns have names and pandas' rows have labels,
and where the data have such too, position would be the wrong key: another order is put right,
and other labels are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data.reading import row_labels
from bayesgmm.errors import DataError

#: What has a value for each feature, and what for each row.
BY_FEATURE, BY_ROW = ("errors", "background"), ("row_weights", "errors", "labels", "allowed")


def aligned(what: str, given: Any, names: tuple[str, ...] | None, labels: Any) -> Any:
    """``given`` in the order of the features' ``names`` and the rows' ``labels``.

    Both are None where the data have none of their own.

    Raises
    ------
    DataError
        For labels that are not those of the data.
    """
    origin = type(given).__module__.partition(".")[0]
    if origin not in ("pandas", "polars"):
        return given
    columns = [str(name) for name in getattr(given, "columns", ())]
    if names is not None and columns and what in BY_FEATURE:
        if sorted(columns) != sorted(names):
            raise DataError(
                f"{what} has the columns {', '.join(columns)} for the features "
                f"{', '.join(names)}; name them alike, or give {what}.to_numpy() to go by position."
            )
        order = [columns.index(name) for name in names]
        given = given.iloc[:, order] if origin == "pandas" else given[:, order]
    if names is not None and what == "errors" and origin == "pandas" and not columns:
        own = [str(name) for name in given.index]
        if sorted(own) == sorted(names):  # an error for each feature, by its name
            return given.iloc[[own.index(name) for name in names]]
    if labels is not None and origin == "pandas" and what in BY_ROW:
        return _by_row(what, given, np.asarray(labels))
    return given


def _by_row(what: str, given: Any, labels: NDArray[Any]) -> Any:
    own = row_labels(given.index)
    if len(own) != len(labels) or np.array_equal(own, labels):
        return given  # another length is refused where its shape is
    counted = labels.dtype.kind in "iu" and np.array_equal(np.sort(labels), own)
    if np.array_equal(own, np.arange(len(own))) and not counted:
        return given  # which has no labels of its own
    order, wanted = np.argsort(own, kind="stable"), np.argsort(labels, kind="stable")
    alike = own.dtype.kind == labels.dtype.kind and np.array_equal(own[order], labels[wanted])
    if not alike or (own[order][1:] == own[order][:-1]).any():
        raise DataError(
            f"{what} has other row labels than the data; give those of the data's rows, or "
            f"{what}.to_numpy() to go by position."
        )
    place = np.empty(len(own), dtype=np.intp)
    place[wanted] = order
    return given.iloc[place]
