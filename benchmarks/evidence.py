"""The evidence against PyMC's SMC, its error, and how often it finds the true K.

    python benchmarks/evidence.py [--data-sets 40] [--skip-smc]

For K = 1 to 4 on both data sets that ship: bridge sampling with five seeds, importance
sampling, and PyMC's sequential Monte Carlo on the PyMC model of the same spec (4 x 4,000
particles).  Then simulations of one to five well-separated components, N = 500, for
each of which K = 1 to 6 is fitted.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np

import bayesgmm as bg

SEEDS = range(5)


def against_smc(smc: bool) -> list[str]:
    lines = [
        "| model | bridge sampling, mean of 5 seeds | spread over seeds / reported error | "
        "importance sampling | SMC | difference / combined error |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("galaxies", "faithful"):
        data = bg.datasets.load(name)
        if name == "galaxies":  # PyMC's SMC needs features of moderate size
            data = data / 1000
        for k in range(1, 5):
            spec = bg.MixtureSpec(k)
            fits = [bg.fit(spec, data, method="nuts", seed=seed) for seed in SEEDS]
            found = [bg.log_evidence(fit, seed=seed) for seed, fit in zip(SEEDS, fits, strict=True)]
            values = np.array([each.value for each in found])
            error = float(np.sqrt(np.mean([each.se**2 for each in found])))
            second = bg.log_evidence(fits[0], method="importance", seed=1)
            cells = ["", ""]
            if smc:
                third = bg.log_evidence(fits[0], method="smc", seed=1)
                apart = abs(values.mean() - third.value) / np.hypot(error, third.se)
                cells = [f"{third.value:.3f} ± {third.se:.3f}", f"{apart:.1f}"]
            lines.append(
                f"| {name}, K = {k} | {values.mean():.3f} ± {error:.3f} | "
                f"{values.std(ddof=1) / error:.2f} | {second.value:.3f} ± {second.se:.3f} | "
                f"{cells[0]} | {cells[1]} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def separated(k: int, seed: int) -> np.ndarray:
    """500 rows of k components whose means are six sds or more apart."""
    rng = np.random.default_rng(seed)
    while True:
        means = rng.uniform(-4 * k, 4 * k, size=(k, 2))
        gaps = np.linalg.norm(means[:, None] - means, axis=-1) + 100 * np.eye(k)
        if gaps.min() > 6:
            break
    tril = np.tril(rng.normal(size=(k, 2, 2)) * 0.3, -1) + np.eye(2)
    weights = rng.dirichlet(np.full(k, 8.0))
    return bg.MixtureParameters(weights, means, tril).simulate(500, seed=seed)[0]


def true_k(data_sets: int) -> list[str]:
    right = dict.fromkeys(range(1, 6), 0)
    for i in range(data_sets):
        k = 1 + i % 5
        found = bg.select(
            separated(k, i),
            range(1, 7),
            ["full"],
            by="evidence",
            posteriors=6,
            unsampled=0.0,
            seed=i,
            sampling=bg.NUTS(draws=500, tune=400),
        )
        chosen = int(found.n_components_probability.idxmax())
        right[k] += chosen == k
        print(i, k, chosen, found.verdict, file=sys.stderr, flush=True)
    lines = ["| true K | data sets | true K most probable |", "|---|---|---|"]
    for k, count in right.items():
        lines.append(f"| {k} | {len(range(k - 1, data_sets, 5))} | {count} |")
    return [*lines, f"| all | {data_sets} | {sum(right.values())} |"]


def selection_time() -> str:
    began = time.perf_counter()
    bg.select(
        bg.datasets.faithful(), range(1, 7), by="evidence", posteriors=6, unsampled=0.0, seed=1
    )
    return (
        f"`select` on faithful, K = 1 to 6, all four structures, NUTS and evidence for the best "
        f"six: {time.perf_counter() - began:.0f} s."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-sets", type=int, default=40)
    parser.add_argument("--skip-smc", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    parts = [against_smc(not options.skip_smc), true_k(options.data_sets), [selection_time()]]
    print("\n\n".join("\n".join(lines) for lines in parts))


if __name__ == "__main__":
    main()
