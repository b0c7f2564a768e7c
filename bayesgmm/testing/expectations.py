"""Small assertions that say in a sentence what was found, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.result.fit import MixtureFit


class Broken(AssertionError):
    """A promise is not kept: what was found in its place."""


class Skipped(Exception):
    """A check does not apply: why."""


def holds(condition: Any, found: str) -> None:
    """A condition, with what is found where it does not hold."""
    if not condition:
        raise Broken(f"Found {found}")


def same(what: str, found: Any, wanted: Any) -> None:
    """Equal objects."""
    holds(found == wanted, f"{what} {found!r} in place of {wanted!r}.")


def _pair(what: str, found: Any, wanted: Any) -> tuple[np.ndarray[Any, Any], Any]:
    one, other = np.asarray(found), np.asarray(wanted)
    if one.shape != other.shape:
        if other.ndim:
            raise Broken(f"Found {what} of shape {one.shape} in place of {other.shape}.")
        other = np.broadcast_to(other, one.shape)
    return one, other


def identical(what: str, found: Any, wanted: Any) -> None:
    """Equal arrays, to the last bit; NaN is NaN."""
    one, other = _pair(what, found, wanted)
    both = one.dtype.kind in "fc" and other.dtype.kind in "fc"
    wrong = ~((one == other) | (both and np.isnan(one) & np.isnan(other)))
    _refuse(what, one, other, np.asarray(wrong))


def close(what: str, found: Any, wanted: Any, *, rtol: float = 0.0, atol: float = 0.0) -> float:
    """Arrays equal to a tolerance; returns the largest difference.  NaN is close to nothing."""
    one, other = _pair(what, found, wanted)
    gap = np.abs(one - other)
    wrong = ~(gap <= atol + rtol * np.abs(other))
    _refuse(what, one, other, wrong, f" (to {max(rtol, atol):g})")
    return float(gap.max(initial=0.0))


def finite(what: str, found: Any) -> None:
    """An array without NaN and infinities."""
    values = np.asarray(found)
    _refuse(what, values, np.full(values.shape, "a finite number"), ~np.isfinite(values))


def _refuse(what: str, one: Any, other: Any, wrong: Any, how: str = "") -> None:
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        at = f" at {list(where)}" if where else ""
        rest = f", and in {int(wrong.sum()) - 1} more places" if wrong.sum() > 1 else ""
        raise Broken(f"Found {what} {one[where]!s}{at} in place of {other[where]!s}{how}{rest}.")


def same_fit(what: str, found: MixtureFit, wanted: MixtureFit) -> None:
    """Every variable, coordinate and attribute of two fits, to the last bit."""
    same(f"{what}: spec", found.spec, wanted.spec)
    same(f"{what}: groups", sorted(found.tree.children), sorted(wanted.tree.children))
    for group, tree in wanted.tree.children.items():
        same_group(f"{what}: {group}", found.tree[group].to_dataset(), tree.to_dataset())


def same_group(what: str, found: xr.Dataset, wanted: xr.Dataset) -> None:
    """Every variable of two groups, to the last bit."""
    same(f"{what} has", sorted(map(str, found.variables)), sorted(map(str, wanted.variables)))
    for name, variable in wanted.variables.items():
        own = found.variables[name]
        same(f"{what}/{name} dims", own.dims, variable.dims)
        identical(f"{what}/{name}", own.values, variable.values)
