"""Priors of correlations: what each makes of strong correlations among few and many features.

    python benchmarks/correlation_priors.py [--simulations 4]

Two components of 50 rows each, eight standard deviations apart in the first feature, so that
every row's component is known and correlations are all there is to learn.  All pairs of
features of both have one true correlation, 0.8 or none.  Under each prior the posterior is
sampled (NUTS); the table has the posterior mean of a correlation, over all pairs, components and
simulations, and the mean error without its sign.  The same data under each prior.
"""

from __future__ import annotations

import argparse
import sys
from typing import Literal

import numpy as np

import bayesgmm as bg

ROWS = 50
FEATURES = (2, 4, 10)
PRIORS: dict[str, float | Literal["uniform"] | None] = {
    "LKJ(2)": 2.0, "LKJ(1 + D / 2), the default": None, "uniform marginals": "uniform",
}  # fmt: skip
SAMPLING = {"draws": 250, "tune": 300, "chains": 2, "progressbar": False}


def simulated(d: int, r: float, seed: int) -> np.ndarray:
    """Rows of both components, which differ in the mean of the first feature alone."""
    covariance = np.full((d, d), r) + (1 - r) * np.eye(d)
    x = np.random.default_rng(seed).multivariate_normal(np.zeros(d), covariance, size=2 * ROWS)
    x[ROWS:, 0] += 8.0
    return x


def learned(x: np.ndarray, correlations: float | Literal["uniform"] | None) -> np.ndarray:
    """Posterior means of all correlations of both components."""
    spec = bg.MixtureSpec(2, priors=bg.Priors(correlations=correlations))
    fit = bg.fit(spec, x, method="nuts", seed=1, **SAMPLING)
    above = np.triu_indices(x.shape[1], 1)
    return fit.parameters.correlations.mean(axis=(0, 1))[:, *above].ravel()


def table(simulations: int) -> list[str]:
    lines = [
        "| features | prior | mean of r = 0.8 | error of r = 0.8 | error of r = 0 |",
        "|---|---|---|---|---|",
    ]
    for d in FEATURES:
        data = {r: [simulated(d, r, seed) for seed in range(simulations)] for r in (0.8, 0.0)}
        for name, prior in PRIORS.items():
            found = {r: np.stack([learned(x, prior) for x in data[r]]) for r in data}
            errors = {r: np.abs(found[r] - r).mean() for r in data}
            lines.append(
                f"| {d} | {name} | {found[0.8].mean():.2f} | {errors[0.8]:.3f} "
                f"| {errors[0.0]:.3f} |"
            )
            print(lines[-1], flush=True, file=sys.stderr)
        above = np.triu_indices(d, 1)
        plain = {
            r: np.stack(
                [np.corrcoef(part.T)[above] for x in data[r] for part in (x[:ROWS], x[ROWS:])]
            )
            for r in data
        }
        errors = {r: np.abs(plain[r] - r).mean() for r in plain}
        lines.append(
            f"| {d} | (correlations of the rows) | {plain[0.8].mean():.2f} | {errors[0.8]:.3f} "
            f"| {errors[0.0]:.3f} |"
        )
        print(lines[-1], flush=True, file=sys.stderr)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=4)
    print("\n".join(table(parser.parse_args().simulations)))


if __name__ == "__main__":
    main()
