"""The step to which values were recorded: 0.1 cm, one minute, whole counts.

Equal values in a column are a fact about how it was written down.  Left unsaid, they
are an infinite likelihood to a component that shrinks onto them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Values recorded to less than this share of their range are as good as continuous.
_FINEST = 1e-5
_OFF = 0.01  # of a step, by which a value may be off the lattice


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
    distinct = np.unique(values)
    if len(distinct) in (1, len(values)):
        return 0.0
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
