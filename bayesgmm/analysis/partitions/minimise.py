"""The search for the partition of least expected loss, after SALSO.

Many runs, from random partitions and from the best draws, each to where no move helps;
the best of them all is the answer.  Runs are side by side on threads, and what is
found depends on the seed alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesgmm.analysis.partitions.allocations import Labels
from bayesgmm.analysis.partitions.loss import Loss, canonical, distances, expected_losses
from bayesgmm.analysis.partitions.moves import Descent, Tables
from bayesgmm.compiled.threads import thread_map
from bayesgmm.errors import warn
from bayesgmm.options import Progress, generator, seed_sequence

#: Draws to start from, best first, beside the random starts.
_BEST_DRAWS = 4
#: Bytes for the cross tables of all runs at once; fewer run side by side where they are large.
_MEMORY = 2**31


@dataclass(frozen=True)
class Found:
    """The best partition of a search."""

    labels: Labels  # numbered by first appearance
    expected_loss: float
    n_runs: int  # that were finished


def minimise(
    draws: Labels,
    loss: Loss,
    *,
    runs: int,
    max_clusters: int | None,
    seed: np.random.SeedSequence,
    cores: int,
    progress: Progress | None = None,
) -> Found:
    """A partition whose expected loss is least, as far as the runs can tell.

    Parameters
    ----------
    draws : array of shape (S, N)
    loss : {"vi", "binder"}
    runs : int
        Random starts; the best few draws are further starts.
    max_clusters : int, optional
        Clusters that a partition may have; as many as lower the loss where left out.
    seed : SeedSequence
        Decides the result, whatever the number of threads.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Found
        Never worse than the best draw of at most ``max_clusters`` clusters.

    Warns
    -----
    FitWarning
        If the search was interrupted; the best so far is returned.

    References
    ----------
    Dahl, Johnson and Müller (2022), Search algorithms and loss functions for Bayesian
    clustering, J. Computational and Graphical Statistics 31.  Theirs are the sequential
    starts, the sweetening scans and the zealous updates; that clusters are merged as
    well, by exact differences, is ours.  Rastelli and Friel (2018), Optimal Bayesian
    estimators for latent variable cluster models, Statistics and Computing 28, for the
    greedy moves of rows.
    """
    draws, widths = canonical(draws)
    expected = expected_losses(draws, widths, loss, cores, progress)
    n_rows, largest = draws.shape[1], int(widths.max())
    allowed = np.flatnonzero(widths <= (max_clusters or n_rows))
    order = allowed[np.argsort(expected[allowed], kind="stable")]
    starts = _distinct(draws, order)
    best = Found(np.zeros(n_rows, dtype=np.int16), np.inf, 0)
    if starts:
        best = Found(starts[0], float(expected[order[0]]), 0)
    if max_clusters is not None:
        tables = Tables.of(draws, widths, loss, min(max_clusters, n_rows))
        return _runs(tables, starts, best, runs, seed, cores, progress)[0]
    # No limit is asked for, but memory needs one: one run tells how many clusters lower the
    # loss, then all have room for twice as many, and for more if that was reached.
    limit, probing = min(2 * largest + 8, n_rows), True
    while True:
        tables = Tables.of(draws, widths, loss, limit)
        if probing:
            best, whole = _runs(tables, [best.labels], best, 0, seed, cores, None)
        else:
            best, whole = _runs(tables, starts, best, runs, seed, cores, progress)
        used = int(best.labels.max()) + 1
        roomy = limit == n_rows or (2 * used <= limit if probing else used < limit)
        if not whole or (roomy and not probing):
            return best
        probing = probing and not roomy
        limit = limit if roomy else min(2 * limit, n_rows)


def _distinct(draws: Labels, order: NDArray[np.int64]) -> list[Labels]:
    """The first few different partitions, in that order."""
    found: list[Labels] = []
    for s in order:
        if not any(np.array_equal(draws[s], other) for other in found):
            found.append(draws[s])
        if len(found) == _BEST_DRAWS:
            break
    return found


def _runs(
    tables: Tables,
    starts: list[Labels],
    best: Found,
    runs: int,
    seed: np.random.SeedSequence,
    cores: int,
    progress: Progress | None,
) -> tuple[Found, bool]:
    """The best of all runs, and whether none was cut off."""
    stop = threading.Event()
    total = len(starts) + runs
    # A sequence of its own each time, so that a second round does not depend on the first.
    seeds = seed_sequence(seed).spawn(total)
    finished: dict[int, tuple[float, Labels]] = {}

    def one(i: int) -> None:
        run = Descent(tables, generator(seeds[i]), stop)
        finished[i] = run.best_from(starts[i] if i < len(starts) else None, i)
        if progress is not None:
            progress("searching partitions", len(finished), total)

    side_by_side = max(1, min(cores, _MEMORY // tables.n_bytes))
    try:
        thread_map(one, range(total), side_by_side)
    except KeyboardInterrupt:
        stop.set()  # runs on other threads end at their next sweep
        warn(
            f"The search was interrupted after {len(finished)} of {total} runs; this is the best "
            "partition so far."
        )
    done = dict(finished)
    for i in sorted(done):  # in order of the starts: threads cannot decide between equals
        labels = canonical(done[i][1][None])[0][0]
        expected = float(distances(labels, tables.draws, tables.widths, tables.loss).mean())
        if expected < best.expected_loss - 1e-12:
            best = Found(labels, expected, 0)
    return Found(best.labels, best.expected_loss, len(done)), len(done) == total
