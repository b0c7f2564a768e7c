"""Relabelling at its largest: K = 50, 4,000 draws, 10,000 rows of five features.

    python benchmarks/labels.py

Draws scatter about one mixture and their labels are shuffled; for each method the
seconds, by how much it raised the peak memory of the
process, and the draws brought back.
"""

from __future__ import annotations

import resource
import time

import numpy as np

import bayesgmm as bg
from bayesgmm.inference.labels.matching import by_ecr, by_stephens, to_pivot

K, DRAWS, ROWS, FEATURES = 50, 4_000, 10_000, 5


def held() -> float:
    """The most memory that this process has held, in MB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    rng = np.random.default_rng(0)
    means = 3.0 * rng.normal(size=(K, FEATURES))
    tril = np.broadcast_to(np.eye(FEATURES), (K, FEATURES, FEATURES))
    pivot = bg.MixtureParameters(np.full(K, 1 / K), means, tril)
    x = pivot.simulate(ROWS, seed=1)[0]
    noise = rng.normal(size=(DRAWS, K, FEATURES))
    draws = bg.MixtureParameters(
        rng.dirichlet(np.full(K, 200.0), size=DRAWS),
        means + 0.1 * noise,
        np.broadcast_to(tril, (DRAWS, K, FEATURES, FEATURES)),
    )
    orders = np.stack([rng.permutation(K) for _ in range(DRAWS)])
    draws, back = draws.permute(orders), np.argsort(orders, axis=-1)
    start = to_pivot(draws, pivot).permutation
    calls = {
        "pivot": lambda: to_pivot(draws, pivot).permutation,
        "ecr": lambda: by_ecr(draws, pivot, x, 2),
        "stephens": lambda: by_stephens(draws, start, x, 2),
    }
    print("| method | seconds | memory beyond the peak before | draws brought back |")
    print("|---|---|---|---|")
    for name, call in calls.items():
        before, began = held(), time.perf_counter()
        found = call()
        took = time.perf_counter() - began
        share = (np.asarray(found) == back).all(axis=-1).mean()
        print(f"| {name} | {took:.1f} | {held() - before:,.0f} MB | {share:.1%} |", flush=True)
    print(f"\nK = {K}, {DRAWS:,} draws, {ROWS:,} x {FEATURES} rows, two threads.")


if __name__ == "__main__":
    main()
