"""Old Faithful from start to end: look, choose, sample, check, ask, generate, keep.

``python examples/old_faithful.py --out pictures`` writes its pictures and the fit there;
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
    options.out.mkdir(parents=True, exist_ok=True)

    say("1. Look")
    X = bg.datasets.faithful()  # 272 eruptions: how long, and the wait to the next, in minutes
    print(X.to_pandas().describe().loc[["min", "50%", "max"]])

    say("2. A first fit, by EM")
    em = bg.fit(bg.MixtureSpec(n_components=2, covariance="full"), X, method="em", seed=1)
    print(em)
    save(bg.plot_fit(em), options.out / "faithful_em.png")

    say("3. How many components?")
    sel = bg.select(X, range(1, 5), ["full", "tied"], posteriors=0, seed=1)
    print(sel.table[["log_likelihood", "n_parameters", "bic", "icl"]].round(1))
    print(
        f"BIC, which counts normals, is least for {sel.table['bic'].idxmin()}; "
        f"ICL, which counts clusters, for {sel.table['icl'].idxmin()}."
    )

    say("4. The posterior of two components")
    spec = bg.MixtureSpec(n_components=2, covariance="full")
    draws = 200 if options.quick else 1000
    post = bg.fit(spec, X, method="nuts", draws=draws, tune=300, chains=4, seed=1)
    print(post)
    save(bg.plot_fit(post), options.out / "faithful_nuts.png")

    say("5. Can it be relied on?")
    print(bg.diagnose(post).verdict)
    table = bg.agreement(em, post)
    worst = table["z"].abs().idxmax()
    print(
        f"EM is farthest from the posterior mean in {worst}, by {abs(table.loc[worst, 'z']):.2f} "
        "posterior standard deviations."
    )

    say("6. Which eruptions belong together?")
    print(bg.partition(post, seed=1))
    found = post.memberships()
    for row in found["correct"].argsort()[:3].values:
        x = X.values[row]
        print(
            f"eruption of {x[0]:.2f} min, wait {x[1]:.0f} min: short with probability "
            f"{found['probability'].values[row, 0]:.2f} "
            f"({found['lower'].values[row, 0]:.2f} to {found['upper'].values[row, 0]:.2f})"
        )

    say("7. How long is the next wait?")
    for minutes in (2.0, 3.0, 4.5):
        wait = post.condition({"eruptions": minutes})
        low, high = wait.quantile([0.05, 0.95]).values
        print(
            f"after {minutes} min of eruption: {float(wait.mean[0]):.0f} min in the mean, 90 % "
            f"between {low:.0f} and {high:.0f}"
        )

    say("8. Does it make data like these?")
    # Data sets as long as the real one, each from a single draw; the distance
    # of the clusters makes the correlation, their tails make the share between them.
    chosen = np.linspace(0, post.parameters.flat().weights.shape[0] - 1, 300).astype(int)
    sets = [post.generate(len(X), draw=int(s), seed=int(s))["x"].values for s in chosen]
    checks = {"correlation": correlation, "share from 2.5 to 3.5 min": between}
    for name, statistic in checks.items():
        real, made = statistic(X.values), np.array([statistic(x) for x in sets])
        print(
            f"{name}: {real:.3f}; generated {made.mean():.3f} ± {made.std():.3f}, "
            f"{np.mean(made < real):.0%} of them below"
        )
    by_eye(X.values, sets[:3], options.out / "faithful_generated.png")

    say("9. Keep it")
    again = bg.load(post.save(options.out / "faithful.nc"))
    print(
        f"{again.spec.label}, {again.method}: the same densities again:",
        bool(np.allclose(again.score_samples(X), post.score_samples(X))),
    )
    print(f"pictures and the fit are in {options.out}")


def say(title: str) -> None:
    print(f"\n{title}\n{'-' * len(title)}")


def between(x: np.ndarray) -> float:
    """Share of eruptions that are neither short nor long."""
    return float(np.mean((x[:, 0] > 2.5) & (x[:, 0] < 3.5)))


def correlation(x: np.ndarray) -> float:
    return float(np.corrcoef(x.T)[0, 1])


def by_eye(real: np.ndarray, made: list[np.ndarray], path: Path) -> None:
    """The data among three that are not: can you tell which without the titles?"""
    figure, axes = plt.subplots(
        2, 2, figsize=(7.5, 6), sharex=True, sharey=True, layout="constrained"
    )
    panels = {"data": real} | {f"generated, {i + 1}": x for i, x in enumerate(made)}
    for ax, (title, x) in zip(axes.flat, panels.items(), strict=True):
        ax.plot(*x.T, ".", ms=4, color="#D55E00" if title == "data" else "#0072B2")
        ax.set_title(title)
    figure.supxlabel("eruption, minutes")
    figure.supylabel("wait to the next, minutes")
    save(axes[0, 0], path)


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
