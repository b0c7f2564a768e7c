"""Old Faithful from start to end: EM, MAP, NUTS, how they agree, and new data.

``python examples/old_faithful.py --out pictures`` writes three pictures there;
``--quick`` draws less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import bayesgmm as bg


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    X = bg.datasets.faithful()
    spec = bg.MixtureSpec(n_components=2, covariance="full")

    em = bg.fit(spec, X, method="em", seed=1)
    mode = bg.fit(spec, X, method="map", seed=1)
    draws = 200 if options.quick else 1000
    post = bg.fit(spec, X, method="nuts", draws=draws, tune=300, chains=4, seed=1)
    for fit in (em, mode, post):
        print(fit, end="\n\n")

    # EM and MAP against the posterior: below 1 sd everywhere is close agreement.
    for name, point in {"EM": em, "MAP": mode}.items():
        table = bg.agreement(point, post)
        worst = table["z"].abs().idxmax()
        print(f"{name} is farthest from the posterior mean in {worst}, "
              f"by {abs(table.loc[worst, 'z']):.2f} sd")  # fmt: skip
    print()
    print(bg.compare({"EM": em, "MAP": mode, "NUTS": post}).round(2).T, end="\n\n")

    # Rows that the posterior is least sure of, and what knowing the parameters would change.
    found = post.memberships()
    doubtful = found["correct"].argsort()[:3].values
    for row in doubtful:
        x = X.values[row]
        print(f"eruption of {x[0]:.2f} min, wait {x[1]:.0f} min: short with probability "
              f"{found['probability'].values[row, 0]:.2f} "
              f"({found['lower'].values[row, 0]:.2f} to {found['upper'].values[row, 0]:.2f})")

    # Posterior predictive check: a data set as long as the real one from each of some draws.
    flat = post.parameters.flat()
    some = flat[np.linspace(0, len(flat.weights) - 1, 500).astype(int)]
    replicas = np.array([correlation(x) for x in some.simulate(len(X), seed=2)[0]])
    real = correlation(X.values)
    print(f"\ncorrelation of duration and wait: {real:.3f}; replicas {replicas.mean():.3f} ± "
          f"{replicas.std():.3f}, {np.mean(replicas < real):.0%} of them below")  # fmt: skip

    options.out.mkdir(parents=True, exist_ok=True)
    for name, fit in {"em": em, "nuts": post}.items():
        save(bg.plot_fit(fit), options.out / f"faithful_{name}.png")
    made = post.generate(len(X), seed=2)["x"]
    figure = plt.figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, values, title in zip(axes, (X, made), ("data", "from the posterior"), strict=True):
        ax.plot(*np.asarray(values).T, ".", ms=5, color="#0072B2")
        ax.set(title=title, xlabel="eruption, minutes")
    axes[0].set_ylabel("wait, minutes")
    save(axes[0], options.out / "faithful_generated.png")
    print(f"pictures are in {options.out}")


def correlation(x: np.ndarray) -> float:
    return float(np.corrcoef(x.T)[0, 1])


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
