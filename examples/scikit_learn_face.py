"""bayesgmm in scikit-learn's clothes: a drop-in mixture, a grid search, and a posterior.

``python examples/scikit_learn_face.py``; ``--quick`` draws less.  ``--out`` is the folder
for the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture as TheirGaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesgmm as bg


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    X = bg.datasets.faithful().to_pandas()

    # Drop-in: same arguments, same attributes, and from the same random state the same answer.
    settings = {"n_components": 2, "random_state": 0}
    ours = bg.GaussianMixture(**settings).fit(X)
    theirs = TheirGaussianMixture(**settings).fit(X)
    print("means\n", ours.means_.round(3))
    print(f"mean log-likelihood of a row: ours {ours.score(X):.9f}, theirs {theirs.score(X):.9f}")
    print("same labels:", bool(np.all(ours.predict(X) == theirs.predict(X))), end="\n\n")

    # It lives in pipelines and grid searches; the score is the log-likelihood of held-out rows.
    pipeline = make_pipeline(StandardScaler(), bg.GaussianMixture(n_init=5, random_state=0))
    grid = {
        "gaussianmixture__n_components": [1, 2, 3, 4],
        "gaussianmixture__covariance_type": ["full", "tied", "diag", "spherical"],
    }
    search = GridSearchCV(pipeline, grid, cv=5).fit(X)
    best = {name.partition("__")[2]: value for name, value in search.best_params_.items()}
    print(f"cross-validation prefers {best}, {search.best_score_:.3f} a row", end="\n\n")

    # The same methods with a posterior behind them: predictions averaged over the draws.
    draws = 200 if options.quick else 1000
    model = bg.MCMCGaussianMixture(n_components=2, draws=draws, random_state=1).fit(X)
    between = X.iloc[:1].assign(eruptions=3.0, waiting=66.0)
    print("an eruption of 3 minutes and a wait of 66:")
    print("  memberships by EM       ", ours.predict_proba(between).round(3)[0])
    print("  averaged over the draws ", model.predict_proba(between).round(3)[0])
    print(model.fit_)  # the whole fit: compare, plot, save

    options.out.mkdir(parents=True, exist_ok=True)
    bg.plot_fit(model.fit_).figure.savefig(options.out / "scikit_learn_face.png", dpi=110)
    plt.close("all")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for pictures")
    parser.add_argument("--quick", action="store_true", help="draw less")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
