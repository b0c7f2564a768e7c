"""How many components do the galaxies have?  Several answers, and why they differ.

``python examples/how_many_components.py --out pictures`` writes two pictures there;
``--quick`` tries fewer models and draws less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import bayesgmm as bg


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    X = bg.datasets.galaxies() / 1000  # in 1000 km/s
    sel = bg.select(
        X,
        n_components=range(1, 5 if options.quick else 9),
        # With one feature the structures are two: own standard deviations, or a common one.
        covariances=["full", "tied"],
        by="bic",
        posteriors=2 if options.quick else 4,
        seed=1,
        sampling={"draws": 200 if options.quick else 1000, "tune": 300},
    )
    columns = ["log_likelihood", "n_parameters", "aic", "bic", "icl", "elpd_loo", "dse", "sampling"]
    print(sel.table[columns].round(1).to_string(), end="\n\n")
    print(sel.verdict, end="\n\n")

    # Each criterion answers a question of its own.
    for criterion in ("aic", "bic", "icl"):
        print(f"{criterion.upper():4} is smallest for {sel.table[criterion].idxmin()}")
    print(f"elpd_loo is largest for {sel.table['elpd_loo'].idxmax()}, of those sampled", end="\n\n")
    print(sel.best)

    options.out.mkdir(parents=True, exist_ok=True)
    axes = bg.plot_criteria(sel, criterion=["bic", "icl", "elpd_loo"])
    axes[0].figure.savefig(options.out / "galaxies_criteria.png", dpi=110)
    ax = bg.plot_fit(sel.posteriors[sel.table.index[0]])
    ax.set_xlabel("velocity, 1000 km/s")
    ax.figure.savefig(options.out / "galaxies_posterior.png", dpi=110)
    plt.close("all")
    print(f"\npictures are in {options.out}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="fewer models, fewer draws")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
