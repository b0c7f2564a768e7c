"""The step to which values were recorded: 0.1 cm, one minute, whole counts.

Equal values in a column are a fact about how it was written down.  Left unsaid, they
are an infinite likelihood to a component that shrinks onto them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.errors import DataError
from bayesgmm.options import Kind, real, shown

#: Values recorded to less than this share of their range are as good as continuous.
_FINEST = 1e-5
_OFF = 0.01  # of a step, by which a value may be off the lattice
_SHOWN = 4  # features by name
_FEW = 1000  # values, about, that show whether a long column can be on a lattice
_STEP: Kind[float] = real("'auto' or a number from 0 to 1e150", lambda number: 0 <= number <= 1e150)


def recorded_steps(
    given: Any, values: NDArray[np.float64], names: tuple[str, ...]
) -> NDArray[np.float64]:
    """The step to which each feature (D,) was recorded: as given, or found.

    ``given`` is ``"auto"``, a number, one for each feature, or a mapping from names.
    """
    steps = [
        lattice_step(column[~np.isnan(column)]) if step is None else step
        for step, column in zip(given_steps(given, names), values.T, strict=True)
    ]
    refuse_wider(steps, np.fmax.reduce(values) - np.fmin.reduce(values), names)
    return np.array(steps)


def given_steps(given: Any, names: tuple[str, ...]) -> list[float | None]:
    """The step given for each feature; None where it is to be found."""
    d = len(names)
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise DataError(
                f"resolution names {shown(unknown[0])}, which is not among the features "
                f"({', '.join(names)})."
            )
        each = [given.get(name, "auto") for name in names]
    elif isinstance(given, (list, tuple)) or (isinstance(given, np.ndarray) and given.ndim):
        each = list(given)
        if len(each) != d:
            raise DataError(
                f"resolution has {len(each)} entries for {d} features; give one number, or one "
                "per feature."
            )
    else:
        each = [given] * d
    return [
        None if isinstance(step, str) and step == "auto" else _STEP(f"resolution of {name!r}", step)
        for step, name in zip(each, names, strict=True)
    ]


def refuse_wider(
    steps: Sequence[float], ranges: NDArray[np.float64], names: tuple[str, ...]
) -> None:
    """Refuse a step beyond the range of its feature, which is NaN where nothing was seen."""
    wide = [j for j in range(len(names)) if steps[j] > ranges[j] > 0]
    if wide:
        name = names[wide[0]]
        raise DataError(
            f"The resolution of {name!r}, {steps[wide[0]]:g}, is more than its values differ by; "
            "give the step between neighbouring values.",
            column=name,
        )


def steps_in_words(steps: NDArray[np.float64], names: tuple[str, ...]) -> str:
    """Steps for people: ``0.1``, or ``0.5 (length) and 1 (age)``; empty where there are none.

    >>> steps_in_words(np.array([0.1, 0.1]), ("a", "b"))
    '0.1'
    >>> steps_in_words(np.array([0.1, 0.0, 2.0]), ("a", "b", "c"))
    '0.1 (a) and 2 (c)'
    """
    words = [f"{step:.6g}" if step else "" for step in steps]
    if len(set(words)) == 1:
        return words[0]
    told = [f"{word} ({name})" for word, name in zip(words, names, strict=True) if word]
    if len(told) > _SHOWN:
        return ", ".join([*told[:_SHOWN], "…"])
    return " and ".join([", ".join(told[:-1]), told[-1]] if told[1:] else told)


def lattice_step(values: NDArray[np.float64]) -> float:
    """The largest r such that all values are whole steps of r apart; 0 without ties.

    A continuous column has no ties, and one whose rows are repeated has no such step.

    Examples
    --------
    >>> import numpy as np
    >>> lattice_step(np.array([79.0, 54.0, 74.0, 62.0, 54.0]))
    1.0
    >>> lattice_step(np.array([0.1, 0.25, np.pi, 0.1]))
    0.0
    """
    if len(values) > 10 * _FEW:  # what is no lattice is seen of few already
        few = np.unique(values[:: len(values) // _FEW])
        if len(few) > 1 and not _step_of(few):
            return 0.0
    distinct = np.unique(values)
    return 0.0 if len(distinct) in (0, 1, len(values)) else _step_of(distinct)


def off_lattice(values: NDArray[np.float64], step: float, origin: float) -> NDArray[np.float64]:
    """Values, a thousand at most and each once, that are not whole steps from ``origin``."""
    off = (values - origin) / step
    noise = 8 * np.finfo(float).eps * np.abs(values) / step
    return np.unique(values[np.abs(off - np.rint(off)) > _OFF + noise])[:_FEW]


def _step_of(distinct: NDArray[np.float64]) -> float:
    """The largest step of sorted values, by Euclid's algorithm; 0 where there is none."""
    offsets = distinct[1:] - distinct[0]
    # Each value is rounded, by half this, and so each difference of two by this.
    noise = np.finfo(float).eps * max(abs(distinct[0]), abs(distinct[-1]))
    step, error = float(np.diff(distinct).min()), noise
    while step > _FINEST * offsets[-1]:  # Euclid's algorithm, on all offsets at once
        whole = np.rint(offsets / step)
        sure = whole * error < 0.1 * step  # of how many steps these are
        rest = np.abs(offsets - whole * step)
        off = sure & (rest > _OFF * step + whole * error)
        if off.any():
            smallest = np.flatnonzero(off)[np.argmin(rest[off])]
            step, error = float(rest[smallest]), float(noise + whole[smallest] * error)
        elif sure.all():
            return float(offsets @ whole / (whole @ whole))
        elif not sure.any():
            return 0.0
        else:  # more steps have less rounding each: with these, further ones can be told
            step = float(offsets[sure] @ whole[sure] / (whole[sure] @ whole[sure]))
            reached = noise / whole[sure].max()
            if not reached < error:
                return 0.0
            error = reached
    return 0.0
