"""Named tuples of arrays handed to compiled code as one pointer.

A C callback gets one pointer of what is the caller's own.  It points at a header: the numbers of
a tuple in their order, and of each array its address and shape, tuples within it in their place.
The type of the tuple says how it is read again, so that nothing has to be numbered by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numpy.typing import NDArray


def header_of(given: tuple[Any, ...]) -> NDArray[np.int64]:
    """The header of a tuple, whose arrays must outlive it."""
    return np.array(list(_entries(given)), dtype=np.int64)


def _entries(given: Any) -> Any:
    if isinstance(given, tuple):
        for part in given:
            yield from _entries(part)
    elif isinstance(given, np.ndarray):
        as_typed = given.dtype in (np.float64, np.int64) and given.flags.c_contiguous
        assert as_typed, "not as its type says"
        yield given.ctypes.data
        yield from given.shape
    elif isinstance(given, float):
        yield np.float64(given).view(np.int64)
    else:
        yield int(given)


def reader(tuple_type: Any) -> Any:
    """A function for compiled code: the tuple of a type behind a ``voidptr`` to its header."""

    @intrinsic
    def read(typingctx, pointer):  # type: ignore[no-untyped-def]  # pragma: no cover
        """The tuple behind a pointer."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            header = builder.bitcast(args[0], cgutils.intp_t.as_pointer())
            return _read(context, builder, tuple_type, header, 0)[0]

        return tuple_type(types.voidptr), generate

    return read


def _read(context, builder, wanted, header, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The value of a type at entry ``at`` of the header, and the entry after it."""

    def entry(i):  # type: ignore[no-untyped-def]
        return builder.load(cgutils.gep(builder, header, i))

    if isinstance(wanted, types.BaseTuple):
        parts = []
        for one in wanted.types:
            part, at = _read(context, builder, one, header, at)
            parts.append(part)
        return context.make_tuple(builder, wanted, parts), at
    if isinstance(wanted, types.Array):
        itemsize = context.get_abi_sizeof(context.get_data_type(wanted.dtype))
        shape = [entry(at + 1 + i) for i in range(wanted.ndim)]
        strides = [context.get_constant(types.intp, itemsize)]
        for length in shape[:0:-1]:
            strides.insert(0, builder.mul(strides[0], length))
        array = make_array(wanted)(context, builder)
        data = builder.inttoptr(entry(at), context.get_data_type(wanted.dtype).as_pointer())
        populate_array(
            array,
            data=data,
            shape=shape,
            strides=strides,
            itemsize=context.get_constant(types.intp, itemsize),
            meminfo=None,
        )
        return array._getvalue(), at + 1 + wanted.ndim
    if isinstance(wanted, types.Float):
        return builder.bitcast(entry(at), context.get_value_type(wanted)), at + 1
    return context.cast(builder, entry(at), types.int64, wanted), at + 1
