"""Averaging over models against a single one: log density of rows that none has seen.

    python benchmarks/averaging.py [--simulations 12] [--rows 100] [--seed 1]

Each simulation draws a mixture of 1 to 5 components of two features from the priors that
the fits suppose, a few rows to learn from and many to be tested on.  K = 1 to 5 are sampled and
weighed by their evidence.  Then the new rows are predicted by the average of all five
posteriors; by the posterior of the one K of most evidence; and by what most people use, the
maximum of the likelihood at the K of least BIC.  Prints a Markdown table and the counts.

Where one of the models is true, as here, the average is better than the most probable model in
expectation and not every time: if that model has probability 0.8, then in 8 cases of 10
it is true, and mixing others in costs a little; in the other 2 the average gains more.
"""

from __future__ import annotations

import argparse
import warnings
from typing import NamedTuple

import numpy as np

import bayesgmm as bg

SAMPLING = bg.NUTS(draws=500, tune=300, progressbar=False)
COUNTS = range(1, 6)
TEST_ROWS = 5000


class Outcome(NamedTuple):
    """Log densities are means over the test rows, by each way to predict them."""

    true_k: int
    bic_k: int
    best_k: int
    probability: float
    truth: float
    em: float
    best: float
    average: float
    stacking: float


def true_mixture(rng: np.random.Generator) -> bg.MixtureParameters:
    """Two features, 1 to 5 components, drawn from the default priors in the data's units."""
    k = int(rng.choice(COUNTS))
    weights = rng.dirichlet(np.full(k, 2.0))
    means = rng.normal(scale=2.0, size=(k, 2))
    scales = np.exp(rng.normal(np.log(0.5), 1.0, size=(k, 2)))
    r = 2 * rng.beta(2.0, 2.0, size=k) - 1  # LKJ of two features is a beta
    correlation = np.array([[[1.0, ri], [ri, 1.0]] for ri in r])
    covariances = scales[:, :, None] * correlation * scales[:, None, :]
    return bg.MixtureParameters.from_covariances(weights, means, covariances)


def simulate(seed: int, rows: int = 100) -> Outcome:
    """Learn from ``rows`` rows, test on many more."""
    rng = np.random.default_rng(seed)
    truth = true_mixture(rng)
    train, test = truth.simulate(rows, seed=rng)[0], truth.simulate(TEST_ROWS, seed=rng)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bg.FitWarning)  # too many components seldom mix well
        chosen = bg.select(
            train,
            COUNTS,
            ["full"],
            by="evidence",
            posteriors=len(COUNTS),
            unsampled=0.0,
            seed=seed,
            priors=bg.Priors(units="data"),
            sampling=SAMPLING,
        )
    table = chosen.table
    bic, best = table["bic"].idxmin(), table["log_evidence"].idxmax()
    return Outcome(
        truth.n_components,
        int(table.loc[bic, "n_components"]),
        int(table.loc[best, "n_components"]),
        float(table.loc[best, "probability"]),
        float(np.mean(truth.log_density(test))),
        float(chosen.fits[bic].score_samples(test).mean()),
        float(chosen.posteriors[best].score_samples(test).mean()),
        float(chosen.average().log_density(test).mean()),
        float(chosen.average("stacking").log_density(test).mean()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=12)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        "| simulation | K: true | by BIC | by evidence | its probability | truth | EM, by BIC "
        "| posterior, by evidence | average | stacking |"
    )
    print("|---:" * 10 + "|")
    outcomes = []
    for i in range(options.simulations):
        o = simulate(options.seed + i, options.rows)
        outcomes.append(o)
        print(
            f"| {i + 1} | {o.true_k} | {o.bic_k} | {o.best_k} | {o.probability:.2f} | "
            f"{o.truth:.4f} | {o.em:.4f} | {o.best:.4f} | {o.average:.4f} | {o.stacking:.4f} |",
            flush=True,
        )
    print(f"\nMean log density of {TEST_ROWS:,} new rows, after {options.rows} rows.\n")
    ways = {"average": "The average by evidence", "stacking": "The average by stacking"}
    rivals = {
        "em": "maximum likelihood at the K of least BIC",
        "best": "the posterior at the K of most evidence",
    }
    for rival, its_name in rivals.items():
        for way, name in ways.items():
            gains = np.array([getattr(o, way) - getattr(o, rival) for o in outcomes])
            error = gains.std(ddof=1) / np.sqrt(len(gains))
            print(
                f"* {name} is at least as good as {its_name} in {np.sum(gains >= 0)} of "
                f"{len(gains)}; mean gain {gains.mean():+.4f} ± {error:.4f} a row, from "
                f"{gains.min():+.4f} to {gains.max():+.4f}."
            )


if __name__ == "__main__":
    main()
