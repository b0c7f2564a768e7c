"""One run of the search for a partition: moves of rows, mergers, and clusters broken up.

Every move is judged by the exact change of the expected loss.  For that the cross tables
of the candidate and all draws are kept, so that moving a row costs the number of draws
times that of clusters; and since both losses are sums of one function f over those tables
(see partition_loss), both are searched by the same code.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import Labels
from bayesgmm.analysis.partitions.loss import Floats, Loss, loss_table
from bayesgmm.compiled.calls import COMPILED

#: Clusters broken up in vain before a run ends, and sweeps that no run needs.
ZEALOUS = 10
SWEEPS = 1000


@dataclass(frozen=True)
class Tables:
    """What all runs read: the draws by row, and the tables of f and of its increments."""

    draws: Labels
    widths: NDArray[np.int64]
    loss: Loss
    by_row: Labels  # (N, S)
    offsets: NDArray[np.int64]  # first cluster of each draw among those of all draws
    n_cells: int  # clusters of all draws
    limit: int  # clusters that a candidate may have
    f: Floats
    gain: Floats  # f(n + 1) - f(n)

    @classmethod
    def of(cls, draws: Labels, widths: NDArray[np.int64], loss: Loss, limit: int) -> Tables:
        f = loss_table(loss, draws.shape[1])[0]
        ends = np.cumsum(widths)
        by_row = np.ascontiguousarray(draws.T)
        return cls(draws, widths, loss, by_row, ends - widths, int(ends[-1]), limit, f, np.diff(f))

    @property
    def n_bytes(self) -> int:
        """Of one run's cross tables."""
        return self.n_cells * self.limit * (4 + 8)


class Descent:
    """One run: a candidate, its cross tables with all draws, and the moves on them."""

    def __init__(self, tables: Tables, rng: np.random.Generator, stop: threading.Event) -> None:
        self.tables, self.rng, self.stop = tables, rng, stop
        shape = (tables.n_cells, tables.limit)
        self.counts = np.empty(shape, dtype=np.int32)
        self.gains = np.empty(shape)
        self.sizes = np.empty(tables.limit, dtype=np.int64)
        self.labels = np.empty(len(tables.by_row), dtype=np.int16)
        self.scratch = np.empty(tables.limit)

    def best_from(self, start: Labels | None, number: int) -> tuple[float, Labels]:
        """The lowest objective reached from a start, and its labels."""
        n = len(self.labels)
        if start is None:
            start = np.full(n, -1, dtype=np.int16)  # rows come in one at a time, each to its best
            if number % 2:
                clusters = self.rng.integers(2, self.tables.widths.max() + 2)
                start = self.rng.integers(min(clusters, self.tables.limit), size=n).astype(np.int16)
        self._set(start)
        self._sweeten()
        objective, labels = self._objective(), self.labels.copy()
        failures = 0
        queue: list[int] = []
        while failures < ZEALOUS and not self.stop.is_set():
            if not queue:  # single rows have been tried everywhere
                queue = self._one_of_each()
            if not queue:
                break
            if not self._break_up(self.labels[queue.pop()]):
                failures += 1
                continue
            self._sweeten()
            reached = self._objective()
            if reached < objective - self._tolerance:
                objective, labels = reached, self.labels.copy()
                failures, queue = 0, []  # its clusters are others now
            else:
                self._set(labels)
                failures += 1
        return objective, labels

    @property
    def _tolerance(self) -> float:
        """A change of the objective that is more than rounding."""
        return 1e-11 * float(self.tables.f[-1] + 1)

    def _arrays(self) -> tuple[Any, ...]:
        t = self.tables
        return (
            self.labels,
            self.sizes,
            self.counts,
            self.gains,
            t.by_row,
            t.offsets,
            t.gain,
        )

    def _set(self, labels: Labels) -> None:
        self.counts.fill(0)
        self.gains.fill(self.tables.gain[0])
        self.sizes.fill(0)
        self.labels.fill(-1)
        _allocate(labels, *self._arrays())

    def _sweep(self, rows: NDArray[np.int64]) -> int:
        return int(
            _sweep(self.rng.permutation(rows), self._tolerance, self.scratch, *self._arrays())
        )

    def _sweeten(self) -> None:
        """Sweeps over all rows until none moves, then the best merger, until there is none."""
        rows = np.arange(len(self.labels))
        for _ in range(SWEEPS):
            if self.stop.is_set() or (not self._sweep(rows) and not self._merge()):
                return

    def _merge(self) -> bool:
        """Merge the two clusters whose merger lowers the loss most, if one does."""
        used = np.flatnonzero(self.sizes)
        f = self.tables.f
        cross = np.zeros((len(used), len(used)))
        _mergers(self.counts, used, f, np.empty(len(used), dtype=np.int64), cross)
        sizes = self.sizes[used]
        together = np.minimum(np.add.outer(sizes, sizes), len(self.labels))  # for the diagonal
        own = f[together] - np.add.outer(f[sizes], f[sizes])
        change = own - 2 * (cross + cross.T) / len(self.tables.draws)
        np.fill_diagonal(change, np.inf)
        a, b = np.unravel_index(np.argmin(change), change.shape)
        if not change[a, b] < -self._tolerance:
            return False
        merged = self.labels.copy()
        merged[merged == used[b]] = used[a]
        self._set(merged)
        return True

    def _one_of_each(self) -> list[int]:
        """A row of each cluster of two or more, in random order: slots may change hands."""
        clusters, rows = np.unique(self.labels, return_index=True)
        return list(self.rng.permutation(rows[self.sizes[clusters] > 1]))

    def _break_up(self, cluster: int) -> bool:
        """Take all rows out of a cluster and put them back one by one, each where it is best.

        False where they came together again, and nothing has changed but a number.
        """
        rows = np.flatnonzero(self.labels == cluster)
        _release(rows, *self._arrays())
        self._sweep(rows)
        slot = self.labels[rows[0]]
        return bool(self.sizes[slot] != len(rows) or (self.labels[rows] != slot).any())

    def _objective(self) -> float:
        """The expected loss in the units of f, less what all candidates share."""
        t = self.tables
        return float(t.f[self.sizes].sum() - 2 * _total(self.counts, t.f) / len(t.draws))


@njit(**COMPILED)
def _move(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    row, to, labels, sizes, counts, gains, by_row, offsets, gain
):
    """Put a row into a cluster, or in none where ``to`` is -1."""
    own = labels[row]
    for s in range(offsets.size):
        cell = offsets[s] + by_row[row, s]
        if own >= 0:
            count = counts[cell, own] - 1
            counts[cell, own] = count
            gains[cell, own] = gain[count]
        if to >= 0:
            count = counts[cell, to] + 1
            counts[cell, to] = count
            if count < gain.size:  # a cell that holds every row gains no other
                gains[cell, to] = gain[count]
    if own >= 0:
        sizes[own] -= 1
    if to >= 0:
        sizes[to] += 1
    labels[row] = to


@njit(**COMPILED)
def _allocate(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    wanted, labels, sizes, counts, gains, by_row, offsets, gain
):
    for row in range(wanted.size):
        if wanted[row] >= 0:
            _move(row, wanted[row], labels, sizes, counts, gains, by_row, offsets, gain)


@njit(**COMPILED)
def _release(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    rows, labels, sizes, counts, gains, by_row, offsets, gain
):
    for i in range(rows.size):
        _move(rows[i], -1, labels, sizes, counts, gains, by_row, offsets, gain)


@njit(**COMPILED)
def _sweep(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    order, tolerance, cost, labels, sizes, counts, gains, by_row, offsets, gain
):
    """Move each row, in this order, to its best cluster or a new one; how many moved.

    What a row adds to the objective in cluster k is gain(n_k) - 2 mean_s gain(n_kj), with
    j its cluster in draw s.  The gains are kept beside the counts, so that the sum over draws
    reads neighbours in memory for all clusters at once.
    """
    draws = offsets.size
    moved = 0
    for i in range(order.size):
        row = order[i]
        own = labels[row]
        free = -1
        last = 0  # clusters to look at: all up to the last used one, and a free one
        for k in range(sizes.size):
            if sizes[k] > 0:
                last = k + 1
            elif free < 0:
                free = k
        last = max(last, free + 1)
        for k in range(last):
            cost[k] = 0.0
        staying = 0.0
        for s in range(draws):
            cell = offsets[s] + by_row[row, s]
            for k in range(last):
                cost[k] += gains[cell, k]
            if own >= 0:
                staying += gain[counts[cell, own] - 1]
        best = own
        least = np.inf
        if own >= 0:
            least = gain[sizes[own] - 1] - 2.0 * staying / draws
        for k in range(last):
            if k != own and (sizes[k] > 0 or k == free):
                value = gain[sizes[k]] - 2.0 * cost[k] / draws
                if value < least - tolerance:
                    best, least = k, value
        if best != own:
            _move(row, best, labels, sizes, counts, gains, by_row, offsets, gain)
            moved += 1
    return moved


@njit(**COMPILED)
def _mergers(counts, used, f, present, cross):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add up what merging clusters a > b adds to the sum of f over all cells."""
    for cell in range(counts.shape[0]):
        n = 0
        for a in range(used.size):
            if counts[cell, used[a]] > 0:
                present[n] = a
                n += 1
        for i in range(n):
            a = counts[cell, used[present[i]]]
            for j in range(i):
                b = counts[cell, used[present[j]]]
                cross[present[i], present[j]] += f[a + b] - f[a] - f[b]


@njit(**COMPILED)
def _total(counts, f):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    total = 0.0
    for cell in range(counts.shape[0]):
        for k in range(counts.shape[1]):
            total += f[counts[cell, k]]
    return total
