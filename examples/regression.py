"""Regression where the answer has several branches: the density of y given x.

``python examples/regression.py --out pictures`` writes two pictures there; ``--quick`` draws less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import bayesgmm as bg


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    # How long is the next wait?  One curve, which bends, and is not equally sure everywhere.
    X = bg.datasets.faithful()
    draws = 200 if options.quick else 500
    fit = bg.fit(bg.MixtureSpec(2), X, method="nuts", draws=draws, tune=300, seed=1)
    print("After an eruption of so many minutes, the wait in minutes (mean; 89 % of waits):")
    for row in table(fit.regress("waiting", at={"eruptions": [2.0, 3.0, 4.5]})):
        print("  " + row)
    at = np.linspace(1.4, 5.3, 120)
    curve = fit.regress("waiting", at={"eruptions": at})
    ax = draw(at, curve, X.values)
    ax.set(
        title="The wait after an eruption",
        xlabel="eruption, minutes",
        ylabel="wait to the next, minutes",
    )
    save(ax, options.out / "regression_faithful.png")

    # Asked the other way round, a question can have several answers.  An arm's end lies at
    # x = y + 0.3 sin(2 pi y): which y led to x?  (After Bishop 1994, Mixture density networks.)
    rng = np.random.default_rng(1)
    y = rng.uniform(size=600)
    arm = pd.DataFrame({"x": y + 0.3 * np.sin(2 * np.pi * y) + rng.normal(0, 0.05, 600), "y": y})
    counts = range(3, 7) if options.quick else range(2, 10)
    fit = bg.select(arm, counts, ["full"], posteriors=0, seed=1).best
    print(f"\nWhich y leads to x?  ({fit.spec.label}: its peaks, with the probability of each)")
    for x in (0.15, 0.5, 0.85):
        answer = fit.regress("y", at={"x": x}).isel(obs=0)
        found = [
            f"{mode:.2f} ({p:.0%})"
            for mode, p in zip(
                answer["mode"].values, answer["mode_probability"].values, strict=True
            )
            if p > 0.02
        ]
        print(f"  x = {x}: {', '.join(found)}; the mean would be {float(answer['mean']):.2f}")

    at = np.linspace(-0.05, 1.1, 140)
    curve = fit.regress("y", at={"x": at})
    ax = draw(at, curve, arm.values, peaks=True)
    ax.set(title="Which y leads to x?  Peaks of the conditional density", xlabel="x", ylabel="y")
    save(ax, options.out / "regression_inverse.png")
    print(f"\npictures are in {options.out}")


def table(curve: xr.Dataset) -> list[str]:
    """A line for each place."""
    return [
        f"{float(at):.1f} min: {float(mean):.0f} min; {low:.0f} to {high:.0f} min"
        for at, mean, (low, high) in zip(
            curve["at"][:, 0], curve["mean"], curve["predictive"].values, strict=True
        )
    ]


def draw(at: np.ndarray, curve: xr.Dataset, rows: np.ndarray, *, peaks: bool = False) -> plt.Axes:
    """Rows, the mean and both bands; or the peaks, larger the more probable."""
    figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    ax.fill_between(
        at,
        *curve["predictive"].values.T,
        color="#56B4E9",
        alpha=0.3,
        lw=0,
        label="89 % of new values",
    )
    ax.plot(*rows.T, ".", ms=4, color="0.45", label="data")
    if not peaks:
        ax.fill_between(
            at,
            *curve["credible"].values.T,
            color="#0072B2",
            alpha=0.5,
            lw=0,
            label="89 % for the mean",
        )
    ax.plot(at, curve["mean"], color="#0072B2", ls="--" if peaks else "-", label="mean")
    if peaks:
        # A row has as many peaks as it has, and NaN for the rest; those of next to no
        # probability are left out.
        row, number = np.nonzero(curve["mode_probability"].values > 0.02)
        ax.scatter(
            at[row],
            curve["mode"].values[row, number],
            color="#D55E00",
            zorder=3,
            s=40 * curve["mode_probability"].values[row, number],
            label="peaks, larger the\nmore probable",
        )
    figure.legend(loc="outside right upper", frameon=False)
    return ax


def save(ax: plt.Axes, path: Path) -> None:
    ax.figure.savefig(path, dpi=110)
    plt.close(ax.figure)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="draw less")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
