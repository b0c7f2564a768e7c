"""What is given beside the rows goes by its labels where these and the data's are labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import bayesgmm as bg

FRAME = pd.DataFrame(
    {"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 7.0], "c": [0.0, 5.0, 2.0]}, index=["r", "s", "t"]
)
ERRORS = pd.DataFrame(
    {"a": [0.1, 0.2, 0.3], "b": [1.0, 2.0, 3.0], "c": [10.0, 20.0, 30.0]}, index=FRAME.index
)
SHUFFLED = ["t", "r", "s"]


def test_features_and_rows_in_another_order_are_put_right():
    rows = bg.Observations(FRAME, errors=ERRORS.loc[SHUFFLED, ["c", "a", "b"]])
    np.testing.assert_array_equal(rows.views.errors, ERRORS)
    box = pd.DataFrame({"c": [-1.0, 9.0], "a": [0.0, 5.0], "b": [-2.0, 8.0]})
    for given in (box, pl.from_pandas(box)):
        rows = bg.Observations(FRAME, background=given)
        np.testing.assert_array_equal(rows.views.background, box[["a", "b", "c"]])
    labels = pd.Series([0, 1, -1], index=FRAME.index)
    weights = pd.Series([1.0, 2.0, 3.0], index=FRAME.index)
    allowed = pd.DataFrame([[1, 0], [1, 1], [0, 1]], index=FRAME.index)
    rows = bg.Observations(FRAME, labels=labels[SHUFFLED], row_weights=weights[SHUFFLED])
    assert rows.views.labels.tolist() == [0, 1, -1] and rows.row_weights.tolist() == [1, 2, 3]
    rows = bg.Observations(FRAME, allowed=allowed.loc[SHUFFLED])
    np.testing.assert_array_equal(rows.views.allowed, allowed.astype(bool))


def test_labels_that_count_are_labels_where_the_datas_are_the_same():
    """As after ``frame.sort_values``; elsewhere a count says nothing of the data's order."""
    frame = FRAME.reset_index(drop=True)
    weights = pd.Series([1.0, 2.0, 3.0])
    rows = bg.Observations(frame.loc[[2, 0, 1]], row_weights=weights)
    assert rows.index.tolist() == [2, 0, 1] and rows.row_weights.tolist() == [3, 1, 2]
    rows = bg.Observations(frame.set_axis([2, 0, 5]), row_weights=weights)
    assert rows.row_weights.tolist() == [1, 2, 3]


def test_errors_of_features_go_by_name():
    rows = bg.Observations(FRAME, errors=pd.Series({"c": 3.0, "a": 1.0, "b": 2.0}))
    assert rows.views.errors[0].tolist() == [1, 2, 3]
    numbered = FRAME.set_axis([2, 0, 1], axis=1)
    rows = bg.Observations(numbered, errors=ERRORS.set_axis([0, 1, 2], axis=1))
    np.testing.assert_array_equal(rows.views.errors, ERRORS[["c", "a", "b"]])


def test_what_has_no_labels_goes_by_position():
    plain = FRAME.to_numpy()
    shuffled = ERRORS.loc[SHUFFLED]
    for data, given in ((plain, shuffled), (FRAME, ERRORS.reset_index(drop=True)),
                        (FRAME, shuffled.to_numpy())):  # fmt: skip
        rows = bg.Observations(data, errors=given)
        np.testing.assert_array_equal(rows.views.errors, np.asarray(given))
    labels = pd.Series([0, 1, 0], index=[7, 8, 9])
    assert bg.Observations(plain, labels=labels).views.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"errors": ERRORS.rename(columns={"a": "z"})}, r"errors has the columns z, b, c for"),
        ({"errors": ERRORS.set_axis(["r", "s", "u"])}, "errors has other row labels"),
        ({"labels": pd.Series([0, 1, 1], index=[3, 4, 5])}, "labels has other row labels"),
        ({"row_weights": pd.Series(1.0, index=["r", "r", "s"])}, "row_weights has other row"),
        ({"labels": pd.Series([0, 1], index=["r", "s"])}, r"labels has shape \(2,\)"),
    ],
)
def test_other_labels_are_refused(given, message):
    with pytest.raises(bg.DataError, match=message):
        bg.Observations(FRAME, **given)


def test_what_is_masked_is_not_known():
    x = FRAME.to_numpy()
    masked = np.ma.masked_array([0, 1, 5], mask=[False, False, True])
    assert bg.Observations(x, labels=masked).views.labels.tolist() == [0, 1, -1]
    holed = x.copy()
    holed[1, 2] = np.nan
    errors = np.ma.masked_array(ERRORS.to_numpy(), mask=np.isnan(holed))
    rows = bg.Observations(holed, errors=errors, missing="marginal")
    assert rows.views.errors[1, 2] == 0 and rows.views.errors[0, 2] == 10
    with pytest.raises(bg.DataError, match="The error of 'x2' in row 1 is nan"):
        bg.Observations(x, errors=errors)
