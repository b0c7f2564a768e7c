"""Strange rows: a score that is a probability, a threshold that is a false-alarm rate.

``python examples/anomalies.py --out pictures`` writes a picture there; ``--quick`` draws less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import bayesgmm as bg

#: Eruptions that never were.  Each duration and each wait is common; together they are not.
PLANTED = np.array([
    [1.9, 80.0], [2.3, 88.0], [2.0, 70.0], [4.6, 55.0], [4.2, 60.0], [3.1, 52.0], [3.2, 90.0],
    [4.9, 66.0],
])  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    X = bg.datasets.faithful()
    order = np.random.default_rng(1).permutation(len(X))
    known, watched = X[order[:180]], X[order[180:]]  # learn from some, watch for the others
    fit = bg.fit(
        bg.MixtureSpec(2),
        known,
        method="nuts",
        draws=200 if options.quick else 1000,
        tune=300,
        seed=1,
    )

    # The rule of three standard deviations looks at one feature at a time and sees nothing.
    z = np.abs(PLANTED - known.values.mean(axis=0)) / known.values.std(axis=0)
    print(
        f"planted rows more than 3 standard deviations out in any feature: "
        f"{np.sum(z.max(axis=1) > 3)} of {len(PLANTED)}\n"
    )

    # The score of a row is the probability of one that is no more likely.
    rows = {"real": fit.anomaly_score(watched).values, "planted": fit.anomaly_score(PLANTED).values}
    print("  rate   real rows flagged   planted rows flagged")
    for rate in (0.1, 0.05, 0.01, 0.001):
        real, planted = (np.sum(scores <= rate) for scores in rows.values())
        print(
            f"{rate:6}   {real:3} of {len(watched)} ({rate * len(watched):4.1f} expected)"
            f"   {planted} of {len(PLANTED)}"
        )
    print("\nplanted rows, strangest first:")
    for i in np.argsort(rows["planted"]):
        print(
            f"  {PLANTED[i, 0]:.1f} min, then a wait of {PLANTED[i, 1]:.0f} min: "
            f"score {rows['planted'][i]:.5f}"
        )

    options.out.mkdir(parents=True, exist_ok=True)
    draw(fit, watched.values, options.out / "anomalies.png")
    print(f"\npictures are in {options.out}")


def draw(fit: bg.MixtureFit, watched: np.ndarray, path: Path) -> None:
    """Levels of the score, with the rows that were watched."""
    a, b = np.meshgrid(np.linspace(1.0, 6.0, 160), np.linspace(35, 105, 160))
    score = fit.anomaly_score(np.column_stack([a.ravel(), b.ravel()])).values.reshape(a.shape)
    figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    rates = (0.001, 0.01, 0.1)
    ax.contourf(a, b, score, levels=(0, *rates, 1), colors=("0.80", "0.87", "0.94", "1.0"))
    lines = ax.contour(a, b, score, levels=rates, colors="0.35", linewidths=0.8)
    ax.clabel(lines, fmt=lambda rate: f"{100 * rate:g} %", fontsize="small")
    found = fit.outliers(PLANTED, rate=0.01).values
    flagged = fit.outliers(watched, rate=0.01).values
    groups = {
        "real, passed": (watched[~flagged], {"marker": "o", "s": 12, "c": "#0072B2"}),
        "real, flagged": (watched[flagged], {"marker": "s", "s": 30, "c": "#009E73"}),
        "planted, flagged": (PLANTED[found], {"marker": "X", "s": 70, "c": "#D55E00"}),
        "planted, missed": (PLANTED[~found], {"marker": "X", "s": 70, "c": "#E69F00"}),
    }
    for label, (rows, style) in groups.items():
        if len(rows):
            ax.scatter(*rows.T, label=label, linewidths=0, zorder=3, **style)
    ax.set(
        title="Old Faithful watched at a false-alarm rate of 1 %",
        xlabel="eruption, minutes",
        ylabel="wait to the next, minutes",
    )
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="draw less")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
