"""How functions are compiled, and called by address so that each is compiled once.

Numba compiles a function anew into everything that calls it; for the pass over the
data, three calls deep under the samplers, that is most of the wait of a first fit.
A call through an address links nothing in, is cached like any other code, and costs
no more than a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from bayesgmm.errors import warn


def _can_be_kept() -> bool:
    """Whether compiled code has a folder: Numba refuses to compile at all where it has none."""
    try:
        FunctionCache(_can_be_kept)
    except RuntimeError:
        warn(
            "No folder can be written to in which compiled code is kept, so that every process "
            "compiles anew, which takes a minute; name one that can as NUMBA_CACHE_DIR."
        )
        return False
    return True


#: Of every compiled function: cached, without the lock of the interpreter or a check of every
#: division, and without an entry for C callers, of which there are none.
COMPILED: dict[str, Any] = {
    "nogil": True, "cache": _can_be_kept(), "error_model": "numpy", "no_cfunc_wrapper": True
}  # fmt: skip
#: As well, where a long sum is the work: added in any order, so that it is vectorised.
SUMMING = COMPILED | {"fastmath": {"contract", "reassoc"}}
#: The arrays that compiled functions here take.
VECTOR, MATRIX, CUBE = (types.Array(types.float64, n, "C") for n in (1, 2, 3))


def by_address(function: Any, arguments: tuple[Any, ...]) -> tuple[Callable[[], int], Any]:
    """How to call a compiled function, which returns a float, without linking it in.

    Parameters
    ----------
    function : numba dispatcher
    arguments : tuple of numba types
        With which it is compiled; compiled callers' arguments are cast to them.

    Returns
    -------
    address : callable
        Compiles, or loads from the cache, and returns the address in this process.
    call : numba intrinsic
        ``call(address, (argument, ...))``, for compiled code.
    """

    @cache
    def address() -> int:
        function.compile(arguments)
        compiled = function.overloads[arguments]
        return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))

    @intrinsic
    def call(typingctx, address, given):  # type: ignore[no-untyped-def]  # pragma: no cover
        """``function(*given)``, at its address."""
        able = zip(given.types, arguments, strict=True)
        if not all(typingctx.can_convert(has, wants) is not None for has, wants in able):
            return None  # numba then says which types it was given

        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            callee = builder.inttoptr(
                values[0],
                context.call_conv.get_function_type(types.float64, arguments).as_pointer(),
            )
            cast = [
                context.cast(builder, value, has, wants)
                for value, has, wants in zip(
                    cgutils.unpack_tuple(builder, values[1]), given.types, arguments, strict=True
                )
            ]
            status, result = context.call_conv.call_function(
                builder, callee, types.float64, arguments, cast
            )
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return result

        return types.float64(address, given), generate

    return address, call
