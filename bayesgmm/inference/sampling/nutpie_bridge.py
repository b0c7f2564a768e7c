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
from typing import Any, NamedTuple

import numpy as np
from numba import carray, cfunc, njit, types
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED, MATRIX, SUMMING, VECTOR
from bayesgmm.compiled.pointers import header_of, reader
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.density.target import TARGET, Target, evaluate
from bayesgmm.expectation.rows import cores_of_one_pass
from bayesgmm.inference.sampling.modes import Mode

Array = NDArray[np.float64]

_NOT_FINITE = 3  # nutpie's code for a point to be rejected, not an error


class Whitened(NamedTuple):
    """A density, and the map from z that whitens it at a mode."""

    target: Target
    mode: Array  # (P,)
    whitening_matrix: Array  # (P, P)
    log_jacobian: float

    @classmethod
    def of(cls, density: LogPosterior, mode: Mode) -> Whitened:
        """For compiled code."""
        return cls(
            density.target,
            mode.theta,
            np.ascontiguousarray(mode.whitening_matrix),
            density.log_jacobian,
        )


_read = reader(types.NamedTuple([TARGET, VECTOR, MATRIX, types.float64], Whitened))


@njit(**SUMMING)
def evaluate_whitened(whitened, z, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Log density of z, gradient in z."""
    root, p = whitened.whitening_matrix, z.size
    theta, slope = np.empty(p), np.empty(p)
    for i in range(p):
        t = whitened.mode[i]
        for j in range(p):
            t += root[i, j] * z[j]
        theta[i] = t
    value = evaluate(whitened.target, theta, slope, np.empty(1))
    for j in range(p):
        gradient[j] = 0.0
    for i in range(p):
        for j in range(p):
            gradient[j] += root[i, j] * slope[i]
    return value - whitened.log_jacobian


@functools.cache
def _callbacks() -> tuple[Any, Any]:
    """The C callbacks: log density, and the storage of z as it is."""
    double = types.CPointer(types.double)
    density_type = types.int64(types.uint64, double, double, double, types.voidptr)
    expand_type = types.int64(types.uint64, types.uint64, double, double, types.voidptr)
    return (
        cfunc(density_type, cache=COMPILED["cache"])(_density_callback),
        cfunc(expand_type, cache=COMPILED["cache"])(_expand_callback),
    )


def _density_callback(size, z_, gradient_, value_, user):  # type: ignore[no-untyped-def]  # pragma: no cover
    z = carray(z_, (size,))
    gradient = carray(gradient_, (size,))
    value = evaluate_whitened(_read(user), z, gradient)
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


def whitened_model(density: LogPosterior, mode: Mode, initial_point: Callable[[int], Array]) -> Any:
    """A nutpie model of the whitened density; its variable is ``z`` (P,).

    ``initial_point`` gives z from a seed, and decides where a chain starts.  A
    density with cores of its own and rows for them is called through Python, so that
    it runs its chunks on threads; there the calls' cost does not count.
    """
    stored = density.observations.stored is not None
    if stored or cores_of_one_pass(density.observations.n_rows, density.cores) > 1:

        def threaded(z: Array) -> tuple[float, Array]:
            value, gradient = density.value_and_grad(mode.at(z))
            return value, mode.whitening_matrix.T @ gradient

        return _public_model(density.size, threaded, initial_point)

    whitened = Whitened.of(density, mode)

    def direct(z: Array) -> tuple[float, Array]:
        gradient = np.empty(density.size)
        return evaluate_whitened(whitened, np.ascontiguousarray(z), gradient), gradient

    direct(np.zeros(density.size))  # compile, and load BLAS, while the lock is held
    try:
        model = _internal_model(density.size, header_of(whitened), initial_point)
        model._make_model(None)  # what a changed nutpie would refuse
    except (ImportError, TypeError, AttributeError):
        return _public_model(density.size, direct, initial_point)
    object.__setattr__(model, "_whitened", whitened)  # alive as long as the model
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
