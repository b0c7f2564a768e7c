"""What becomes of the default posterior fit: real data, every structure, K = 1 to 5.

    python benchmarks/default_fits.py                   # 180 fits
    python benchmarks/default_fits.py iris faithful     # of some data

Iris, wine (4 and 13 columns), breast cancer (6 columns), digits (5 principal components), Old
Faithful, galaxies, and two simulated sets of overlapping clusters.  One line for each fit: how
it ended, how it was sampled, R-hat, the smallest effective sample size, seconds.  A fit that
did not converge has to say so: components that cannot be told apart are said of fits whose
density is sampled well, which counts as converged here.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA

import bayesgmm as bg
from bayesgmm.analysis.selection.select import CANDIDATES

SLOW = 30.0  # seconds, for up to 600 rows


def overlapping(d: int, seed: int) -> np.ndarray:
    """300 rows of three clusters two standard deviations apart, one of them stretched."""
    rng = np.random.default_rng(seed)
    sizes, rows = (140, 100, 60), []
    for j, n in enumerate(sizes):
        tril = np.tril(rng.normal(0, 0.3, (d, d)), -1) + np.diag(rng.uniform(0.6, 1.4, d))
        rows.append(rng.standard_normal((n, d)) @ tril.T + 2.0 * j * (np.arange(d) % 2 == j % 2))
    return np.concatenate(rows)


def wine(columns: int) -> np.ndarray:
    """All columns, or alcohol, flavanoids, colour and proline."""
    data = load_wine()
    return data.data[:, [0, 6, 9, 12]] if columns == 4 else data.data


DATA: dict[str, Callable[[], np.ndarray]] = {
    "iris": lambda: load_iris().data,
    "wine-4": lambda: wine(4),
    "wine-13": lambda: wine(13),
    "cancer-6": lambda: load_breast_cancer().data[:, :6],
    "digits-5": lambda: PCA(5, random_state=0).fit_transform(load_digits().data),
    "faithful": lambda: bg.datasets.faithful().values,
    "galaxies": lambda: bg.datasets.galaxies().values / 1000,
    "overlap-2": lambda: overlapping(2, 1),
    "overlap-4": lambda: overlapping(4, 2),
}
SAMPLED = (bg.Status.CONVERGED, bg.Status.AMBIGUOUS_LABELS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", choices=[*DATA, []])
    parser.add_argument("--components", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    asked = parser.parse_args()
    warnings.simplefilter("ignore", bg.FitWarning)
    total = sampled = slow = 0
    for name in asked.data or DATA:
        x = DATA[name]()
        for covariance in CANDIDATES:
            for k in asked.components:
                began = time.perf_counter()
                fit = bg.fit(bg.MixtureSpec(k, covariance), x, method="nuts", seed=1)
                took = time.perf_counter() - began
                facts = fit.tree["fit"].to_dataset()
                good = fit.status in SAMPLED
                total, sampled = total + 1, sampled + good
                slow += len(x) <= 600 and took > SLOW
                print(
                    f"{name:10} {covariance:9} {k}  {fit.status.value:16} "
                    f"{facts['sampler'].item():9}  R-hat {facts['r_hat'].item():.3f}  "
                    f"ESS {facts['ess'].item():6.0f}  {took:5.1f} s{'' if good else '  <-'}",
                    flush=True,
                )
    print(f"{sampled} of {total} sampled well ({sampled / total:.1%}); {slow} over {SLOW:g} s")


if __name__ == "__main__":
    main()
