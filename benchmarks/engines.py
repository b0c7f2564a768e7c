"""The two engines on the same posteriors: 20 simulated data sets, all structures.

    python benchmarks/engines.py [--data-sets 20]

For each data set the posterior means of weights, means, scales and correlations by
``engine="bayesgmm"`` and ``engine="pymc"`` are compared in units of the Monte Carlo
error of their difference (ArviZ's ``mcse`` of both).  PyMC compiles for each.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np

import bayesgmm as bg
from bayesgmm.result.tree import free_parameters

STRUCTURES = ("full", "tied", "diag", "spherical")


def simulated(seed: int, n: int, d: int, k: int) -> np.ndarray:
    """Rows of a mixture whose means are about six sds apart along a line."""
    rng = np.random.default_rng(seed)
    means = 6.0 * np.arange(k)[:, None] + rng.normal(size=(k, d))
    tril = np.tril(rng.normal(size=(k, d, d)) * 0.4, -1) + np.eye(d)
    weights = rng.dirichlet(np.full(k, 10.0))
    return bg.MixtureParameters(weights, means, tril).simulate(n, seed=seed)[0]


def worst(first: bg.MixtureFit, second: bg.MixtureFit) -> tuple[float, int]:
    """Largest difference of posterior means in Monte Carlo errors, and of how many."""
    import arviz as az

    sets = [
        free_parameters(fit.tree["posterior"].to_dataset(), fit.spec) for fit in (first, second)
    ]
    errors = [az.mcse(values) for values in sets]
    scores = []
    for name in sets[0]:
        a, b = (values[name].mean(("chain", "draw")).values for values in sets)
        error = np.hypot(*(each[name].values for each in errors))
        scores.append((np.abs(a - b) / error).ravel())
    found = np.concatenate(scores)
    return float(found.max()), len(found)


def table(data_sets: int = 20) -> list[str]:
    """Rows of a Markdown table, and a sentence."""
    lines = ["| data set | parameters | largest difference, Monte Carlo errors |", "|---|---|---|"]
    largest, total = 0.0, 0
    for i in range(data_sets):
        covariance = STRUCTURES[i % 4]
        k, d = 1 + (i // 4) % 3, 1 + (i // 2) % 3
        x = simulated(i, 150 + 20 * i, d, k)
        spec = bg.MixtureSpec(k, covariance=covariance)
        fits = [
            bg.fit(spec, x, method="nuts", engine=engine, chains=2, draws=2000, seed=i)
            for engine in ("bayesgmm", "pymc")
        ]
        score, count = worst(*fits)
        largest, total = max(largest, score), total + count
        lines.append(f"| {i + 1}: {len(x)} x {d}, K = {k}, {covariance} | {count} | {score:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    lines += [
        "",
        f"Largest of {total} differences of posterior means: {largest:.2f} Monte Carlo errors.",
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-sets", type=int, default=20)
    warnings.simplefilter("ignore", FutureWarning)
    print("\n".join(table(parser.parse_args().data_sets)))


if __name__ == "__main__":
    main()
