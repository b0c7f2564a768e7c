"""What every sampler of the fused density returns: draws of theta, before any relabelling."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.status import Status


class Drawn(NamedTuple):
    """Chains of one length."""

    theta: NDArray[np.float64]  # (chain, draw, P)
    statistics: dict[str, NDArray[Any]]  # each (chain, draw)
    status: Status  # whether all was drawn; no verdict on the draws
    facts: dict[str, Any]  # how they were drawn
