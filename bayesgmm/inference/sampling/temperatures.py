"""Temperatures of a ladder: where they lie, how draws pass between them, and the ratio of
constants along them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.compiled.calls import COMPILED
from bayesgmm.errors import FitError
from bayesgmm.inference.bridge import bridge_ratio

Array = NDArray[np.float64]

_LEAST = 1e-3  # rejection of a pair, so that no two temperatures are the same
_BATCHES, _SHORTEST = 8, 20  # of scans, for the evidence's error: how many, how short at least


@njit(**COMPILED)
def swap_neighbours(scan, betas, scores, states, replicas, lately, rejected, trips, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Swap states of neighbouring rungs, even pairs and odd pairs in turn, and count.

    ``scores`` (number, rung) go with the states; the first is the slope of a state's log
    density in beta.  ``replicas`` says who is on a rung, ``lately`` the end where each was
    last: 1 the top, -1 the foot.
    """
    rungs, size = states.shape
    for r in range(scan % 2, rungs - 1, 2):
        gain = (betas[r + 1] - betas[r]) * (scores[0, r] - scores[0, r + 1])
        chance = np.exp(min(0.0, gain))
        rejected[r] += 2.0 * (1.0 - chance)  # each pair is tried in every second scan
        if rng.random() < chance:
            for i in range(size):
                states[r, i], states[r + 1, i] = states[r + 1, i], states[r, i]
            for i in range(len(scores)):
                scores[i, r], scores[i, r + 1] = scores[i, r + 1], scores[i, r]
            replicas[r], replicas[r + 1] = replicas[r + 1], replicas[r]
    if lately[replicas[0]] == 1:
        trips[0] += 1
    lately[replicas[0]] = -1
    if lately[replicas[rungs - 1]] == -1:
        lately[replicas[rungs - 1]] = 1


def spread(betas: Array, rejected: Array, fewest: int | None) -> tuple[Array, Array]:
    """Temperatures between which swaps are rejected equally often, and their place among ``betas``.

    Twice as many steps as the sum of rejections is what Syed and others (2022) find best, and
    ``fewest`` at least; as many as there were where that is None.
    """
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejected, _LEAST))])
    n = len(betas) if fewest is None else max(fewest, int(np.ceil(2 * barrier[-1])) + 1)
    other = np.interp(np.linspace(0.0, barrier[-1], n), barrier, betas)
    other[0], other[-1] = 0.0, 1.0
    return other, np.interp(other, betas, np.arange(len(betas)))


def stepping_stones(traces: Array, betas: Array) -> dict[str, float]:
    """Log evidence by a bridge between all neighbours, and its error from batches."""

    def total(part: Array) -> float:  # (chain, scan, rung)
        try:
            with np.errstate(all="ignore"):  # a rung that stands still has no variance
                return sum(
                    bridge_ratio(step * part[..., r + 1], step * part[..., r].ravel())[0]
                    for r, step in enumerate(np.diff(betas))
                )
        except FitError:  # no overlap at all
            return np.nan

    chains, scans = traces.shape[:2]
    parts = max(2, -(-_BATCHES // chains))  # of each chain
    if scans < parts * _SHORTEST:
        return {}
    batches = np.array_split(traces, parts, axis=1)
    each = np.array([total(part[i : i + 1]) for part in batches for i in range(chains)])
    return {
        "log_evidence_stepping_stone": total(traces),
        "log_evidence_stepping_stone_se": float(each.std(ddof=1) / np.sqrt(len(each))),
    }
