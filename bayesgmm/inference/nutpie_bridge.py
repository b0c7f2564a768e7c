"""The fused density handed to nutpie as one cached C callback.

Nothing is compiled per model: data, hyperparameters, mode and whitening matrix are
reached through pointers, so one compiled function serves every K, D, structure and
data set.  nutpie's class for this is internal to it (checked against 0.16); all
contact with it is in this module, and where it has changed, the public
``from_pyfunc`` takes over, slower but the same draws.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from bayesgmm.inference.whitening import Mode
from bayesgmm.model.calls import COMPILED
from bayesgmm.model.density import (
    LogPosterior,
    call_log_posterior,
    log_posterior_address,
    log_prior_address,
)
from bayesgmm.model.prior_density import PriorTerms
from bayesgmm.model.statistics import CHUNK, accumulate_address

Array = NDArray[np.float64]

_INTEGERS = 8  # numbers before the addresses in the header
_NOT_FINITE = 3  # nutpie's code for a point to be rejected, not an error


@intrinsic
def _pointer(typingctx, address):  # type: ignore[no-untyped-def]  # pragma: no cover
    """An integer as an address."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit(**COMPILED, fastmath={"contract", "reassoc"})
def _whitened(z, gradient, header):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density of z, gradient in z, from what the header points at."""
    n, d, k = header[0], header[1], header[2]
    structure, family, n_weights, p = header[3], header[4], header[5], header[6]
    at = _INTEGERS
    x = carray(_pointer(header[at]), (n, d), np.float64)
    center = carray(_pointer(header[at + 1]), (d,), np.float64)
    inverse_scale = carray(_pointer(header[at + 2]), (d,), np.float64)
    row_weights = carray(_pointer(header[at + 3]), (n_weights,), np.float64)
    basis = carray(_pointer(header[at + 4]), (k, k - 1), np.float64)
    alpha = carray(_pointer(header[at + 5]), (k,), np.float64)
    location = carray(_pointer(header[at + 6]), (d,), np.float64)
    spread = carray(_pointer(header[at + 7]), (d,), np.float64)
    scale_a = carray(_pointer(header[at + 8]), (d,), np.float64)
    scale_b = carray(_pointer(header[at + 9]), (d,), np.float64)
    recorded = carray(_pointer(header[at + 10]), (d,), np.float64)
    frame = carray(_pointer(header[at + 11]), (d, d), np.float64)
    reals = carray(_pointer(header[at + 12]), (4,), np.float64)
    mode = carray(_pointer(header[at + 13]), (p,), np.float64)
    root = carray(_pointer(header[at + 14]), (p, p), np.float64)
    prior = PriorTerms(
        True, True, alpha, location, spread, family, scale_a, scale_b, header[7] == 1, reals[0],
        reals[1], recorded, reals[3], frame,
    )  # fmt: skip
    theta, slope = np.empty(p), np.empty(p)
    for i in range(p):
        t = mode[i]
        for j in range(p):
            t += root[i, j] * z[j]
        theta[i] = t
    value = call_log_posterior(
        header[at + 15],
        (
            header[at + 16], header[at + 17], theta, x, center, inverse_scale, row_weights, basis,
            structure, k, prior, slope, np.empty(1),
        ),
    )  # fmt: skip
    for j in range(p):
        gradient[j] = 0.0
    for i in range(p):
        for j in range(p):
            gradient[j] += root[i, j] * slope[i]
    return value - reals[2]


@functools.cache
def _callbacks() -> tuple[Any, Any]:
    """The C callbacks: log density, and the storage of z as it is."""
    double = types.CPointer(types.double)
    density_type = types.int64(types.uint64, double, double, double, types.voidptr)
    expand_type = types.int64(types.uint64, types.uint64, double, double, types.voidptr)
    return (
        cfunc(density_type, cache=True)(_density_callback),
        cfunc(expand_type, cache=True)(_expand_callback),
    )


def _density_callback(size, z_, gradient_, value_, user):  # type: ignore[no-untyped-def]  # pragma: no cover
    z = carray(z_, (size,))
    gradient = carray(gradient_, (size,))
    header = carray(user, (_HEADER,), np.int64)
    value = _whitened(z, gradient, header)
    value_[0] = value
    if not np.isfinite(value):
        return _NOT_FINITE
    for i in range(size):
        if not np.isfinite(gradient[i]):
            return _NOT_FINITE
    return 0


def _expand_callback(size, expanded, z_, out_, user):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(size):
        out_[i] = z_[i]
    return 0


_HEADER = _INTEGERS + 18


def _header(density: LogPosterior, mode: Mode) -> tuple[NDArray[np.int64], list[Array]]:
    """The header of numbers and addresses, and the arrays that must outlive it."""
    prior, rows = density.prior, density.rows
    n, d = rows.values.shape
    k = density.spec.n_components
    log_unit = prior.temperature * density.log_unit
    reals = np.array([prior.eta, prior.constant, log_unit, prior.temperature])
    arrays = [
        np.ascontiguousarray(array, dtype=np.float64)
        for array in (
            rows.values, rows.center, rows.inverse_scale, rows.row_weights, density.basis,
            prior.weights, prior.mean_location, prior.mean_scale, prior.scale_a, prior.scale_b,
            prior.recorded, prior.frame, reals, mode.theta, mode.spread,
        )
    ]  # fmt: skip
    numbers = [
        n, d, k, density.structure, prior.family, len(rows.row_weights), density.size,
        int(prior.marginals),
    ]  # fmt: skip
    functions = [log_posterior_address(), accumulate_address(), log_prior_address()]
    header = np.array(
        numbers + [array.ctypes.data for array in arrays] + functions, dtype=np.int64
    )
    return header, arrays


def whitened_model(
    density: LogPosterior, mode: Mode, initial_point: Callable[[int], Array]
) -> Any:
    """A nutpie model of the whitened density; its variable is ``z`` (P,).

    ``initial_point`` gives z from a seed, and decides where a chain starts.  A
    density with cores of its own and rows for them is called through Python, so that
    it runs its chunks on threads; there the calls' cost does not count.
    """
    if density.cores > 1 and density.observations.n_rows > CHUNK:

        def threaded(z: Array) -> tuple[float, Array]:
            value, gradient = density.value_and_grad(mode.at(z))
            return value, mode.spread.T @ gradient

        return _public_model(density.size, threaded, initial_point)

    header, arrays = _header(density, mode)

    def direct(z: Array) -> tuple[float, Array]:
        assert arrays  # alive as long as this function
        gradient = np.empty(density.size)
        return _whitened(np.ascontiguousarray(z), gradient, header), gradient

    direct(np.zeros(density.size))  # compile, and load BLAS, while the lock is held
    try:
        model = _internal_model(density.size, header, initial_point)
        model._make_model(None)  # what a changed nutpie would refuse
    except (ImportError, TypeError, AttributeError):
        return _public_model(density.size, direct, initial_point)
    object.__setattr__(model, "_arrays", arrays)  # alive as long as the model
    return model


def _internal_model(size: int, header: NDArray[np.int64], initial_point: Any) -> Any:
    from nutpie.compile_pymc import CompiledPyMCModel

    density_callback, expand_callback = _callbacks()
    return CompiledPyMCModel(
        dims={"z": ("z_dim",)},
        reparameterized_names=None,
        compiled_logp_func=SimpleNamespace(address=density_callback.address),
        compiled_expand_func=SimpleNamespace(address=expand_callback.address),
        initial_point_func=initial_point,
        shared_data={},
        shared_var_keys={},
        user_data=header,
        n_expanded=size,
        shape_info=(["z"], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={"z": (size,)},
        _coords={"z_dim": np.arange(size)},
    )


def _public_model(
    size: int, value_and_grad: Callable[[Array], tuple[float, Array]], initial_point: Any
) -> Any:
    import nutpie

    return nutpie.compiled_pyfunc.from_pyfunc(
        size,
        lambda: value_and_grad,
        lambda seed1, seed2, chain: lambda z: {"z": np.asarray(z)},
        [np.dtype("float64")],
        [(size,)],
        ["z"],
        dims={"z": ("z_dim",)},
        coords={"z_dim": np.arange(size)},
        make_initial_point_fn=initial_point,
    )
