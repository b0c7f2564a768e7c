"""Whether the search ends at the same optimum whatever the seed, and at the best there is.

    python benchmarks/same_optimum.py                 # 20 seeds, half an hour
    python benchmarks/same_optimum.py --seeds 4       # fewer
    python benchmarks/same_optimum.py --map           # posterior modes

Old Faithful, iris, galaxies / 1000 and 155 simulated rows like the acidity of lakes, all
structures that differ, K = 2 to 6.  A fit *misses* if it ends more than 0.05 below the best
sound optimum that any seed found.  Sound by two rules: the search's own (``ours``), and the
plain one (``plain``): nothing collapsed, no component of fewer than 2 D + 2 rows.  Then the same
data in other units, far from zero, and with every row twice.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_iris

import bayesgmm as bg
from bayesgmm.analysis.selection.select import CANDIDATES

GAP = 0.05


def acidity_like() -> np.ndarray:
    """Rows like the log acidity index of 155 lakes (Crawford and others 1992), to 0.01."""
    rng = np.random.default_rng(20)
    low = rng.random(155) < 0.6
    rows = np.where(low, rng.normal(4.33, 0.37, 155), rng.normal(6.25, 0.52, 155))
    return rows.round(2)[:, None]


DATA = {
    "faithful": bg.datasets.faithful().values,
    "iris": load_iris().data,
    "galaxies": bg.datasets.galaxies().values / 1000,
    "acidity-like": acidity_like(),
}


def plain(fit: bg.MixtureFit, n_rows: int) -> bool:
    """Sound by the number of rows alone."""
    rows = fit.parameters.weights.min() * n_rows
    return str(fit.status) != "degenerate" and rows >= 2 * len(fit.feature_names) + 2


def case(
    x: np.ndarray, k: int, covariance: str, seeds: range, method: str
) -> tuple[np.ndarray, ...]:
    spec = bg.MixtureSpec(k, covariance)
    fits = [bg.fit(spec, x, method=method, seed=seed) for seed in seeds]
    values = np.array([fit.tree["sample_stats/lp"].item() for fit in fits])
    ours = np.array([fit.status.ok for fit in fits])
    return values, ours, np.array([plain(fit, len(x)) for fit in fits])


def misses(values: np.ndarray, sound: np.ndarray, counted: np.ndarray) -> int:
    best = values[sound].max(initial=-np.inf)
    return int(((values < best - GAP) | ~counted).sum())


def other_data(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"x 1e-6": x * 1e-6, "+ 1e9": x + 1e9, "doubled": np.vstack([x, x])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--map", action="store_true", help="posterior modes, not likelihood")
    asked = parser.parse_args()
    seeds, method = range(1, asked.seeds + 1), "map" if asked.map else "em"
    warnings.simplefilter("ignore", bg.FitWarning)
    total = by_ours = by_plain = 0
    began = time.perf_counter()
    for name, x in DATA.items():
        for covariance in CANDIDATES if x.shape[1] > 1 else ("full", "tied"):
            for k in range(2, 7):
                values, ours, sound = case(x, k, covariance, seeds, method)
                missed = misses(values, ours, ours)
                below = misses(values, sound, np.ones_like(ours))
                total, by_ours, by_plain = total + len(seeds), by_ours + missed, by_plain + below
                if missed or below:
                    ends, times = np.unique(-values.round(2), return_counts=True)
                    told = ", ".join(f"{-end} x {n}" for end, n in zip(ends, times, strict=True))
                    print(
                        f"{name}, {covariance}, K={k}: {missed} ours, {below} plain of "
                        f"{len(seeds)}; ends {told}",
                        flush=True,
                    )
    seconds = (time.perf_counter() - began) / total
    print(
        f"missed: {by_ours} of {total} ({by_ours / total:.1%}) by our rule, {by_plain} "
        f"({by_plain / total:.1%}) by the plain one; {seconds:.2f} s a fit"
    )
    for name, x in DATA.items():
        spec = bg.MixtureSpec(3)
        here = bg.fit(spec, x, seed=1).log_likelihood
        for how, other in other_data(x).items():
            there = bg.fit(spec, other, seed=1).log_likelihood
            expected = 2 * here if how == "doubled" else here
            if how == "x 1e-6":
                expected -= x.size * np.log(1e-6)
            print(f"{name}, K=3, full, {how}: {there - expected:+.4f}")


if __name__ == "__main__":
    main()
