"""Laplace's intervals: how often the central 90 % hold the truth, where the verdict is good.

    python benchmarks/laplace_calibration.py [--simulations 120]

Parameters are drawn from the prior, data of 60 to 300 rows from them, and Laplace fits those
under the same prior.  Then the truth is one more draw from the posterior (Cook, Gelman and
Rubin 2006), and a central interval holds it as often as it says, also among the fits whose
verdict is good, for the verdict knows the data only.  What is looked at does not depend on
labels.  Errors are binomial; those of the last column are over simulations, since the
quantities of one simulation are not independent.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from partitions import mixture_from_prior

import bayesgmm as bg

MODELS = [("full", 1), ("full", 2), ("diag", 2)]
QUANTITIES = ("log density at -1", "at 1", "mean", "log variance", "largest weight")
TAIL = 0.05  # what a central 90 % interval leaves out on each side


def quantities(p: bg.MixtureParameters) -> np.ndarray:
    """Quantities (S, 5) of a batch of S mixtures, mean and variance of their first feature."""
    points = np.array([-1.0, 1.0])[:, None] * np.ones(p.n_features)
    mean = (p.weights * p.means[..., 0]).sum(axis=-1)
    second = (p.weights * (p.scales[..., 0] ** 2 + p.means[..., 0] ** 2)).sum(axis=-1)
    return np.column_stack(
        [p.log_density(points, cores=1), mean, np.log(second - mean**2), p.weights.max(axis=-1)]
    )


def simulation(seed: int, covariance: str, d: int) -> tuple[bool, np.ndarray]:
    """Whether the verdict is good, and which of the quantities' intervals hold the truth."""
    rng = np.random.default_rng([seed, MODELS.index((covariance, d))])
    truth = mixture_from_prior(2, rng, d, covariance)
    x, _ = truth.simulate(int(rng.integers(60, 301)), seed=rng)
    spec = bg.MixtureSpec(2, covariance, bg.Priors(units="data"))
    fit = bg.fit(spec, bg.Observations(x), method="laplace", seed=seed)
    below = (quantities(fit.parameters.flat()) < quantities(truth[None])).mean(axis=0)
    return fit.status.ok, (below >= TAIL) & (below <= 1 - TAIL)


def shares(held: np.ndarray) -> list[str]:
    """Percentages of each quantity with binomial errors, and of all with that over rows."""
    n = len(held)
    share = held.mean(axis=0)
    cells = [
        f"{100 * s:.1f} ± {100 * e:.1f}"
        for s, e in zip(share, np.sqrt(share * (1 - share) / n), strict=True)
    ]
    error = held.mean(axis=1).std(ddof=1) / np.sqrt(n)
    return [*cells, f"{100 * held.mean():.1f} ± {100 * error:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=120)
    n = parser.parse_args().simulations
    warnings.simplefilter("ignore", bg.FitWarning)
    began = time.perf_counter()
    print(f"| K = 2, 60 to 300 rows | good verdict | {' | '.join(QUANTITIES)} | all |")
    print("|---" * (len(QUANTITIES) + 3) + "|")
    parts = []
    for covariance, d in MODELS:
        done = [simulation(seed, covariance, d) for seed in range(n)]
        good = np.array([ok for ok, _ in done])
        held = np.array([each for _, each in done])[good]
        parts.append(held)
        row = [f"{covariance}, D = {d}", f"{good.sum()} of {n}", *shares(held)]
        print(f"| {' | '.join(row)} |", flush=True)
    held = np.concatenate(parts)
    print(f"| {' | '.join(['all', f'{len(held)} of {n * len(MODELS)}', *shares(held)])} |")
    print(f"\nPercent that the central 90 % hold; {time.perf_counter() - began:.0f} s.")


if __name__ == "__main__":
    main()
