"""A mixture against K-means on stretched clusters: hard assignments, and how sure they are.

``python examples/stretched_clusters.py --out pictures`` writes a picture there; ``--quick``
draws less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

import bayesgmm as bg
from bayesgmm.interface.plots.palette import component_colors, membership_colors


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    # Three long, thin clusters side by side: rows that are close need not belong together.
    stretch = np.array([[1.6, 0.0], [1.35, 0.35]])
    truth = bg.MixtureParameters(
        [0.4, 0.35, 0.25], [[-0.3, 0.8], [0.1, -0.2], [0.5, -1.3]], [stretch] * 3
    )
    x, true = truth.simulate(450, seed=4)

    spec = bg.MixtureSpec(3, covariance="tied")  # ellipses of one shape, whatever it is
    fit = bg.fit(spec, x, method="nuts", draws=200 if options.quick else 1000, tune=300, seed=1)
    means = KMeans(n_clusters=3, n_init=10, random_state=1).fit(x)

    print("Hard assignments against the truth\n")
    labels = {"K-means": means.labels_, "mixture": fit.predict().values}
    for name in labels:
        order = matching(labels[name], true)
        labels[name] = np.argsort(order)[labels[name]]  # numbers are names: take the truth's
        against = bg.compare_partitions(
            pd.Series(true, name="truth"), pd.Series(labels[name], name=name)
        )
        print(
            f"{against.table.to_string()}\nadjusted Rand index {against.adjusted_rand:.2f}, "
            f"{np.mean(labels[name] == true):.0%} right\n"
        )

    # K-means gives a label; the mixture also says with what probability its label is right.
    sure, right = fit.memberships()["correct"].values, labels["mixture"] == true
    print("Soft assignments: how probable the mixture calls its labels, and how many are right")
    for low, high in ((1 / 3, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.0)):
        rows = (sure > low) & (sure <= high)
        print(
            f"  {low:3.0%} to {high:4.0%}: {rows.sum():3} rows, {sure[rows].mean():.0%} in the "
            f"mean, {right[rows].mean():.0%} right"
        )

    shares = fit.predict_proba().values[:, order]
    colours = component_colors(3)
    options.out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 4), sharex=True, sharey=True, layout="constrained"
    )
    shown = {
        "the truth": colours[true],
        "K-means": colours[labels["K-means"]],
        "mixture (grey where it is in doubt)": membership_colors(shares, shares.shape[1]),
    }
    for ax, (title, rows) in zip(axes, shown.items(), strict=True):
        ax.scatter(*x.T, s=12, c=rows)
        ax.set(title=title, xlabel="$x_0$", aspect="equal")
    axes[0].set_ylabel("$x_1$")
    figure.savefig(options.out / "stretched_clusters.png", dpi=110)
    plt.close(figure)
    print(f"\npictures are in {options.out}")


def matching(labels: np.ndarray, true: np.ndarray) -> np.ndarray:
    """For each true cluster the label that goes with it, one each."""
    both = np.bincount(3 * true + labels, minlength=9).reshape(3, 3)
    return linear_sum_assignment(both, maximize=True)[1]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="draw less")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
