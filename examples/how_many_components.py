"""How many components do the galaxies have?  What is known, and what is not.

``python examples/how_many_components.py --out pictures`` writes two pictures there;
``--quick`` tries fewer models and draws less.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayesgmm as bg


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    warnings.simplefilter("ignore", bg.FitWarning)  # K too many seldom mixes by component
    X = bg.datasets.galaxies() / 1000  # velocities in 1000 km/s
    counts = range(1, 5) if options.quick else range(1, 11)
    sel = bg.select(
        X,
        counts,
        covariances=["full"],  # of one feature: each component its own standard deviation
        by="all",  # evidence, elpd_loo and the point criteria
        posteriors=len(counts),
        unsampled=0.0,  # all of them, however improbable
        seed=1,
        sampling=bg.NUTS(draws=200, chains=2) if options.quick else bg.NUTS(),
    )
    table = sel.table.sort_values("n_components")
    columns = [
        "aic",
        "bic",
        "icl",
        "elpd_loo",
        "log_evidence",
        "log_evidence_se",
        "probability",
        "weight",
    ]
    print(table[columns].rename(columns={"weight": "stacking"}).round(2).to_string(), end="\n\n")
    print(sel.verdict, end="\n\n")

    # Each criterion answers a question of its own.
    for criterion in ("aic", "bic", "icl"):
        print(f"{criterion.upper():4} is smallest for {table[criterion].idxmin()}")
    print(
        f"elpd_loo is largest for {table['elpd_loo'].idxmax()}, and the simplest within one "
        f"standard error of it is {sel.simplest}"
    )
    by_k = sel.n_components_probability
    likely = by_k.sort_values(ascending=False).cumsum()
    several = sorted(int(k) for k in likely.index[: int((likely < 0.89).sum()) + 1])
    print(
        f"K = {by_k.idxmax()} is the most probable, with {by_k.max():.2f}; it takes K in "
        f"{several} to make up 89 %",
        end="\n\n",
    )

    # Is the next component needed?  Data from the smaller mixture, both fitted again.
    for k in (2, 3):
        print(
            bg.bootstrap_test(
                sel.fits[f"K={k}, full"],
                sel.fits[f"K={k + 1}, full"],
                seed=1,
                max_replicates=19 if options.quick else 199,
            )
        )

    # One need not choose: the average keeps what is uncertain about K.
    average = sel.average()
    print(f"\naverage over the models: {average}")
    models = {str(label): fit.predictive for label, fit in sel.posteriors.items()}
    models["average"] = average
    for label in (str(sel.table.index[0]), str(table["bic"].idxmin()), "average"):
        far = 1 - float(models[label].cdf([[35.0]])[0])
        print(f"a galaxy faster than 35,000 km/s, by {label}: probability {far:.4f}")

    options.out.mkdir(parents=True, exist_ok=True)
    axes = bg.plot_criteria(sel, criterion=["bic", "icl", "elpd_loo", "log_evidence"])
    axes[0].figure.savefig(options.out / "galaxies_criteria.png", dpi=110)
    draw(X.values[:, 0], by_k, models, options.out / "galaxies_average.png")
    plt.close("all")
    print(f"\npictures are in {options.out}")


def draw(
    velocities: np.ndarray,
    by_k: pd.Series,
    models: dict[str, bg.PredictiveDistribution],
    path: Path,
) -> None:
    """How probable each K is, and what each says about the galaxies."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4), width_ratios=(1, 2.2), layout="constrained"
    )
    left.bar(by_k.index, by_k, color="#0072B2")
    left.set(title="How many components?", xlabel="K", ylabel="posterior probability")
    left.set_xticks(by_k.index)
    right.hist(velocities, bins=30, density=True, color="0.85", label="82 galaxies")
    at = np.linspace(5, 40, 600)
    for label, model in models.items():
        density = np.exp(model.log_density(at[:, None]))
        if label == "average":
            right.plot(at, density, color="#D55E00", lw=2, label="average")
        elif by_k[int(label.split("=")[1].split(",")[0])] > 0.02:
            right.plot(at, density, color="#0072B2", lw=0.8, alpha=0.7)
    right.plot([], [], color="#0072B2", lw=0.8, label="each K above 2 %")
    right.set(title="What is their density?", xlabel="velocity, 1000 km/s", ylabel="density")
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="fewer models, fewer draws")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
