"""What every sampler of the fused density returns: draws of theta, before any relabelling.

They are made in blocks, between which one can look at the clock and Ctrl-C can come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.result.status import Status

_BLOCK = 100  # draws


class Drawn(NamedTuple):
    """Chains of one length."""

    theta: NDArray[np.float64]  # (chain, draw, P)
    statistics: dict[str, NDArray[Any]]  # each (chain, draw)
    status: Status  # whether all was drawn; no verdict on the draws
    facts: dict[str, Any]  # how they were drawn


def in_blocks[Block](
    draws: int, make: Callable[[int], Block], report: Callable[[int], None]
) -> tuple[list[Block], Status]:
    """``make(n)`` until ``draws`` are made, ``report(done)`` after each block; after an
    interrupt, what there is by then."""
    blocks: list[Block] = []
    done = 0
    try:
        while done < draws:
            n = min(_BLOCK, draws - done)
            blocks.append(make(n))
            done += n
            report(done)
    except KeyboardInterrupt:
        if not blocks:
            raise
        return blocks, Status.INTERRUPTED
    return blocks, Status.CONVERGED
