"""Ten million rows from a thousand draws: time and memory, whole and in chunks.

    python benchmarks/generate.py [--rows 10000000]

The peer is scikit-learn's `GaussianMixture.sample`, which knows one mixture only: it is
given the first draw and as many rows.  Each line is a process of its own, so that its
memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

import bayesgmm as bg

FEATURES, K, DRAWS = 5, 4, 1000
WAYS = {
    "in chunks of 1,000,000": "chunks",
    "at once": "whole",
    "at once, as a polars frame": "polars",
    "scikit-learn's sample, of one draw": "sklearn",
}


def posterior() -> bg.MixtureParameters:
    """A thousand draws about one mixture of full covariances."""
    rng = np.random.default_rng(1)
    means = 3 * rng.normal(size=(K, FEATURES)) + 0.1 * rng.normal(size=(DRAWS, K, FEATURES))
    tril = np.tril(rng.normal(size=(K, FEATURES, FEATURES)) * 0.3, -1) + np.eye(FEATURES)
    weights = rng.dirichlet(np.full(K, 50.0), size=DRAWS)
    return bg.MixtureParameters(
        weights, means, np.broadcast_to(tril, (DRAWS, K, FEATURES, FEATURES))
    )


def peak() -> float:
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way: str, n: int) -> tuple[float, float, float]:
    """Seconds, peak memory, and that of the process before anything was generated."""
    draws = posterior()
    if way == "sklearn":
        from sklearn.mixture import GaussianMixture

        peer = GaussianMixture(K, random_state=1)
        peer.weights_, peer.means_, peer.covariances_ = (
            draws.weights[0],
            draws.means[0],
            draws.covariances[0],
        )
        before, began = peak(), time.perf_counter()
        peer.sample(n)
        return time.perf_counter() - began, peak(), before
    from bayesgmm.predictive.distribution import PredictiveDistribution

    distribution = PredictiveDistribution.of(draws)
    distribution.generate(10, seed=1)  # compile, or load what was compiled
    before, began = peak(), time.perf_counter()
    if way == "chunks":
        for chunk in distribution.generate_chunks(n, seed=1):
            chunk["x"].values.sum()
    else:
        distribution.generate(n, seed=1, frame="polars" if way == "polars" else None)
    return time.perf_counter() - began, peak(), before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way is not None:
        print(*measure(arguments.way, arguments.rows))
        return
    print("| way | seconds | peak memory | of that before generating |\n|---|---|---|---|")
    for title, way in WAYS.items():
        found = subprocess.run(
            [sys.executable, __file__, "--rows", str(arguments.rows), "--way", way],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, most, before = map(float, found.stdout.split())
        print(f"| {title} | {seconds:.1f} | {most:,.0f} MB | {before:,.0f} MB |", flush=True)
    print(f"\n{arguments.rows:,} x {FEATURES} rows, K = {K}, {DRAWS:,} draws, two threads.")


if __name__ == "__main__":
    main()
