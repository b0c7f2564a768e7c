"""Tuples of arrays behind one pointer, against the tuples themselves."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import carray, cfunc, types

from bayesgmm.compiled.calls import CUBE, MATRIX, VECTOR
from bayesgmm.compiled.pointers import header_of, reader


class Inner(NamedTuple):
    flag: bool
    cube: Any
    number: float


class Outer(NamedTuple):
    count: int
    vector: Any
    inner: Inner
    matrix: Any


INNER = types.NamedTuple([types.boolean, CUBE, types.float64], Inner)
read = reader(types.NamedTuple([types.int64, VECTOR, INNER, MATRIX], Outer))


def told(pointer, out):
    given, to = read(pointer), carray(out, (5,))
    to[0] = given.count
    to[1] = given.vector.sum() + given.matrix[1, 2] + given.matrix.shape[0]
    to[2] = given.inner.number
    to[3] = given.inner.cube[1, 2, 3] + 10.0 * given.inner.cube.shape[2]
    to[4] = 1.0 if given.inner.flag else 0.0


@pytest.mark.parametrize("flag", [True, False])
def test_what_is_read_is_what_was_given(flag):
    rng = np.random.default_rng(0)
    vector, matrix, cube = rng.normal(size=4), rng.normal(size=(2, 3)), rng.normal(size=(2, 3, 4))
    given = Outer(-7, vector, Inner(flag, cube, -0.1), matrix)
    callback = cfunc(types.void(types.voidptr, types.CPointer(types.float64)))(told)
    header, out = header_of(given), np.empty(5)
    callback.ctypes(header.ctypes.data, out.ctypes.data_as(callback.ctypes.argtypes[1]))
    expected = [-7, vector.sum() + matrix[1, 2] + 2, -0.1, cube[1, 2, 3] + 40, flag]
    np.testing.assert_allclose(out, expected, rtol=1e-15)


def test_an_array_that_lies_otherwise_is_refused():
    with pytest.raises(AssertionError):
        header_of((np.ones((3, 2)).T,))
