"""Values missing at random, against the usual remedies, and what they cost.

    python benchmarks/missing.py                  # twenty simulations, some minutes
    python benchmarks/missing.py --simulations 3

Three well-separated components in five dimensions, 5,000 rows, 30 % of the values taken away
completely at random.  Errors are of the parameters of a maximum-likelihood fit, in standard errors
of their mean over simulations.  Log densities are of 5,000 new complete rows, per row, less that
of the truth.  Then a pass over 200,000 x 10 rows of ten patterns of holes against a pass over
complete ones.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

import bayesgmm as bg
from bayesgmm.expectation.statistics import expected_statistics

K, D, N = 3, 5, 5_000
SHARE = 0.3
SPEC = bg.MixtureSpec(K)


def truth(rng: np.random.Generator) -> bg.MixtureParameters:
    """Components about six standard deviations apart, correlated."""
    means = 6 * np.linalg.qr(rng.normal(size=(D, D)))[0][:K]
    roots = rng.normal(size=(K, D, 2 * D)) / np.sqrt(2 * D)
    return bg.MixtureParameters.from_covariances(
        rng.dirichlet(np.full(K, 10.0)), means, roots @ np.swapaxes(roots, 1, 2)
    )


def fits(holed: np.ndarray, seed: int) -> dict[str, bg.MixtureParameters]:
    """By what was seen, and by the usual remedies."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  - makes the next there
    from sklearn.impute import IterativeImputer

    gone = np.isnan(holed)
    means = np.where(gone, np.nanmean(holed, axis=0), holed)
    data = {
        "what was seen": bg.Observations(holed, missing="marginal"),
        "complete rows": holed[~gone.any(axis=1)],
        "means filled in": means,
        "IterativeImputer": IterativeImputer(random_state=seed).fit_transform(holed),
    }
    return {
        name: bg.fit(SPEC, x, method="em", seed=seed, n_starts=8, rounds=1).parameters[0, 0]
        for name, x in data.items()
    }


def matched(found: bg.MixtureParameters, true: bg.MixtureParameters) -> bg.MixtureParameters:
    distance = ((found.means[None] - true.means[:, None]) ** 2).sum(axis=-1)
    return found.permute(linear_sum_assignment(distance)[1])


def simulate(seed: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    rng = np.random.default_rng(seed)
    true = truth(rng)
    x = true.simulate(N, seed=rng)[0]
    new = true.simulate(N, seed=rng)[0]
    holed = np.where(rng.random(x.shape) < SHARE, np.nan, x)
    best = true.log_density(new).mean()
    errors, losses = {}, {}
    for name, found in fits(holed, seed).items():
        own = matched(found, true)
        rows, columns = np.tril_indices(D)
        outer = true.scales[:, :, None] * true.scales[:, None]
        errors[name] = np.concatenate([
            own.weights - true.weights,
            ((own.means - true.means) / true.scales).ravel(),
            ((own.covariances - true.covariances) / outer)[:, rows, columns].ravel(),
            (np.log(own.scales) - np.log(true.scales)).ravel(),
        ])  # fmt: skip
        losses[name] = float(found.log_density(new).mean() - best)
    return errors, losses


def cost() -> tuple[float, float]:
    """Seconds of a pass over complete rows, and over ten patterns of holes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200_000, 10))
    patterns = rng.random((10, 10)) < SHARE
    patterns[0] = False
    holed = np.where(patterns[rng.integers(10, size=len(x))], np.nan, x)
    spec = bg.MixtureSpec(10)
    start = bg.MixtureParameters.from_covariances(
        np.full(10, 0.1), rng.normal(size=(10, 10)), np.tile(np.eye(10), (10, 1, 1))
    )
    made = []
    for data in (x, holed):
        density = bg.LogPosterior(spec, bg.Observations(data, resolution=0, missing="marginal"))
        form = density.precision(density.standardise(start))
        made.append((density.rows, form))
        expected_statistics(*made[-1])
    times: list[list[float]] = [[], []]
    for _ in range(9):
        for each, (rows, form) in zip(times, made, strict=True):
            began = time.perf_counter()
            expected_statistics(rows, form)
            each.append(time.perf_counter() - began)
    return float(np.median(times[0])), float(np.median(times[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=20)
    n = parser.parse_args().simulations
    found = [simulate(seed) for seed in range(1, n + 1)]
    print("| fitted to | mean error of log scales | largest bias, standard errors | "
          "log density of new rows, less the truth's |\n|---|---|---|---|")  # fmt: skip
    for name in found[0][0]:
        errors = np.stack([one[0][name] for one in found])
        bias = np.abs(errors.mean(axis=0)) / (errors.std(axis=0, ddof=1) / np.sqrt(n))
        scales = errors[:, -K * D :].mean()
        loss = np.mean([one[1][name] for one in found])
        print(f"| {name} | {scales:+.4f} | {bias.max():.1f} of {errors.shape[1]} | {loss:+.4f} |")
    wins = [max(one[1], key=one[1].get) == "what was seen" for one in found]  # type: ignore[arg-type]
    print(f"\nWhat was seen is best in {sum(wins)} of {n}.")
    complete, holes = cost()
    print(f"\nA pass over 200,000 x 10 rows, K = 10: complete {complete:.3f} s, ten patterns of "
          f"holes {holes:.3f} s, {holes / complete:.2f} times.")  # fmt: skip


if __name__ == "__main__":
    main()
