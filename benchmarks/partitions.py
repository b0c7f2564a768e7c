"""Partitions: time of the search, its loss against a plain search, coverage of the credible ball.

    python benchmarks/partitions.py [--simulations 100]

The credible ball is tried on data drawn from the model, with a truth that is one more
draw from the posterior, so that a ball of 95 % should hold it 95 times in 100: once where
the mixture is known, which makes the allocation draws exact, and once by NUTS, with the
parameters drawn from the prior.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import bayesgmm as bg
from bayesgmm.analysis.partitions.allocations import draw_allocations
from bayesgmm.analysis.partitions.partition import partition
from bayesgmm.analysis.partitions.similarity import similarity
from bayesgmm.compiled.threads import available_cores

Simulation = tuple[np.ndarray, Any]  # the true allocations, and a fit or allocation draws


def mixture_from_prior(
    k: int, rng: np.random.Generator, d: int = 2, covariance: str = "full"
) -> bg.MixtureParameters:
    """One or two features, the default priors in the data's units."""
    weights = rng.dirichlet(np.full(k, 2.0))
    means = rng.normal(scale=2.0, size=(k, d))
    scales = np.exp(rng.normal(np.log(0.5), 1.0, size=(k, d)))
    correlations = np.broadcast_to(np.eye(d), (k, d, d)).copy()
    if covariance == "full" and d == 2:
        r = 2 * rng.beta(2.0, 2.0, size=k) - 1  # LKJ of two features is a beta
        correlations[:, 0, 1] = correlations[:, 1, 0] = r
    covariances = scales[:, :, None] * correlations * scales[:, None, :]
    return bg.MixtureParameters.from_covariances(weights, means, covariances)


def known_mixture(seed: int, n: int = 100, k: int = 4, draws: int = 1000) -> Simulation:
    """Exact allocation draws: rows of a known mixture, allocated by their memberships."""
    rng = np.random.default_rng(seed)
    mixture = mixture_from_prior(k, rng)
    x, truth = mixture.simulate(n, seed=rng)
    edges = np.cumsum(mixture.memberships(x), axis=1)[:, :-1]
    return truth, (rng.random((draws, n, 1)) > edges).sum(axis=2)


def by_nuts(seed: int, n: int = 150, k: int = 3) -> Simulation:
    """The posterior of a mixture drawn from its prior."""
    rng = np.random.default_rng(seed)
    x, truth = mixture_from_prior(k, rng).simulate(n, seed=rng)
    spec = bg.MixtureSpec(k, priors=bg.Priors(units="data"))
    return truth, bg.fit(spec, x, method="nuts", chains=2, draws=500, seed=seed)


def coverage(simulate: Callable[[int], Simulation], n: int, **options: Any) -> int:
    """In how many of ``n`` simulations the 95 % ball holds the truth."""
    held = 0
    for seed in range(n):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bg.FitWarning)  # what NUTS finds hard counts as well
            truth, posterior = simulate(seed)
        held += truth in partition(posterior, seed=seed, **options).credible_ball
    return held


def overlapping(n: int, k: int) -> np.ndarray:
    """Rows of k round components in the plane, some of which overlap."""
    rng = np.random.default_rng(1)
    tril = np.broadcast_to(np.eye(2), (k, 2, 2))
    means = 3 * rng.normal(size=(k, 2))
    return bg.MixtureParameters(np.full(k, 1 / k), means, tril).simulate(n, seed=1)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=100)
    n = parser.parse_args().simulations
    partition([[0, 1], [0, 0]])  # compile, or load what was compiled
    similarity(np.zeros((2, 2), dtype=np.int16))

    print("| what | figure |\n|---|---|")
    x = overlapping(2000, 5)
    fit = bg.fit(bg.MixtureSpec(5), x, method="nuts", chains=2, draws=500, seed=1)
    for loss in ("vi", "binder"):
        began = time.perf_counter()
        found = partition(fit, loss=loss, seed=1)
        took = time.perf_counter() - began
        print(f"| 2,000 rows, 1,000 draws, {loss}: seconds | {took:.1f} |")
        print(f"| its expected loss | {found.expected_loss:.4f} ({found.n_clusters} clusters) |")
    large = overlapping(20_000, 5)
    em = bg.fit(bg.MixtureSpec(5), large, method="em", seed=1)
    draws = draw_allocations(em, seed=1)
    began = time.perf_counter()
    similarity(draws, cores=available_cores(None))
    took = time.perf_counter() - began
    print(f"| similarity matrix of 20,000 rows, 1,000 draws: seconds | {took:.1f} |")
    for name, simulate in (("known mixture", known_mixture), ("NUTS", by_nuts)):
        for loss in ("vi", "binder"):
            held = coverage(simulate, n, loss=loss, runs=4)
            print(f"| 95 % ball holds the truth, {name}, {loss} | {held} of {n} |", flush=True)


if __name__ == "__main__":
    main()
