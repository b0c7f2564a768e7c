"""Mixtures as classifiers: errors on iris, and whether probabilities are what they say.

    python benchmarks/classification.py [--seeds 10] [--tests 20000] [--small 10]

Iris: the error of 10-fold stratified cross-validation, over seeds of the folds, of each way for
classes to share their covariances, beside scikit-learn's linear and quadratic
discriminant analysis.  The error to reach is .0267, four flowers of 150.

Calibration: two classes of six correlated features, each a mixture of two normals (a stand-in for
measurements of genuine and counterfeit banknotes), learnt from many rows by a
mixture of two for each class.  Of rows never seen the predicted probability is cut into ten bins,
and z is the share of the second class in a bin less the mean of what was predicted, in its
standard errors.

Few rows: the same truth, learnt from a few rows only and again and again; log loss and calibration
of probabilities at a point and of those averaged over the posterior.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

import bayesgmm as bg

BINS = 10


def error(model, X: np.ndarray, y: np.ndarray, seeds: int) -> list[float]:
    """Cross-validated errors, one for each seed of the folds."""
    found = []
    for seed in range(seeds):
        folds = StratifiedKFold(10, shuffle=True, random_state=seed).split(X, y)
        wrong = [
            clone(model).fit(X[train], y[train]).predict(X[test]) != y[test]
            for train, test in folds
        ]
        found.append(float(np.concatenate(wrong).mean()))
    return found


def iris_models() -> Iterator[tuple[str, object]]:
    """Each way to share, by its name in mclust."""
    models = {
        "VVV": False, "EEE": True, "VEV": "shape", "EVV": "volume", "VVE": "orientation",
        "EEV": ("volume", "shape"), "EVE": ("volume", "orientation"),
        "VEE": ("shape", "orientation"),
    }  # fmt: skip
    for name, shared in models.items():
        classifier = bg.GaussianMixtureClassifier(shared=shared, method="em", random_state=0)
        yield f"{name}, shared={shared!r}", classifier
    yield "two components a class, map", bg.GaussianMixtureClassifier(2, random_state=0)
    yield "scikit-learn, linear", LinearDiscriminantAnalysis()
    yield "scikit-learn, quadratic", QuadraticDiscriminantAnalysis()


def truth(seed: int) -> list[bg.MixtureParameters]:
    """Two classes of six correlated features, each a mixture of two normals."""
    rng = np.random.default_rng(seed)
    common = np.linalg.cholesky(0.5 * np.eye(6) + 0.5)
    classes = []
    for c in range(2):
        factors = [common @ np.tril(np.eye(6) + 0.25 * rng.normal(size=(6, 6))) for _ in range(2)]
        center = 0.7 * c
        means = center + common @ rng.normal(scale=1.0, size=(6, 2))
        covariances = [factor @ factor.T for factor in factors]
        classes.append(bg.MixtureParameters.from_covariances([0.6, 0.4], means.T, covariances))
    return classes


def drawn(classes: list[bg.MixtureParameters], n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both classes, n each."""
    rows = [mixture.simulate(n, seed=rng)[0] for mixture in classes]
    return np.concatenate(rows), np.repeat([0, 1], n)


def reliability(p: np.ndarray, y: np.ndarray) -> list[tuple[float, float, int, float]]:
    """For each bin: mean prediction, share, rows, and their difference in standard errors."""
    which = np.minimum((p * BINS).astype(int), BINS - 1)
    found = []
    for b in range(BINS):
        own = which == b
        if own.sum() < 5:
            continue
        said, seen = p[own].mean(), y[own].mean()
        se = np.sqrt((p[own] * (1 - p[own])).sum()) / own.sum()
        found.append((said, seen, int(own.sum()), (seen - said) / se))
    return found


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """Mean absolute gap of the bins, weighted by their rows."""
    bins = reliability(p, y)
    return sum(n * abs(said - seen) for said, seen, n, _ in bins) / sum(b[2] for b in bins)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tests", type=int, default=20_000)
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=10, help="repetitions with few rows")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    X, y = load_iris(return_X_y=True)
    print(f"iris: error of 10-fold cross-validation, mean of {given.seeds} seeds (least, largest)")
    for name, model in iris_models():
        found = error(model, X, y, given.seeds)
        print(f"  {np.mean(found):.4f} ({min(found):.4f}, {max(found):.4f})  {name}", flush=True)

    classes, rng = truth(1), np.random.default_rng(2)
    X, y = drawn(classes, given.train // 2, rng)
    new, answer = drawn(classes, given.tests // 2, rng)
    logs = np.stack([each.log_density(new) for each in classes], axis=1)
    best = 1 / (1 + np.exp(logs[:, 0] - logs[:, 1]))
    begin = time.perf_counter()
    model = bg.GaussianMixtureClassifier(2, random_state=0).fit(X, y)
    p = model.predict_proba(new)[:, 1]
    took = time.perf_counter() - begin
    print(
        f"\ntwo classes of two normals in six features: {len(X):,} rows to learn from, {took:.1f} s"
    )
    print("said    seen    rows     z")
    for said, seen, n, z in reliability(p, answer):
        print(f"{said:.3f}   {seen:.3f}  {n:6,}  {z:+.1f}")
    wrong, least = (np.mean((each > 0.5) != answer) for each in (p, best))
    print(f"error {wrong:.4f}, of the truth {least:.4f}", end="; ")
    print(f"log loss {log_loss(answer, p):.4f}, of the truth {log_loss(answer, best):.4f}")

    print(f"\nfew rows to learn from, {given.small} times: log loss, mean gap of the bins, error")
    new, answer = new[::4], answer[::4]
    for n in (15, 30, 60):
        scores: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(given.small):
            X, y = drawn(classes, n, np.random.default_rng([3, n, seed]))
            for name, method in (
                ("em", "em"), ("map", "map"), ("laplace", bg.Laplace(draws=500)),
                ("nuts", bg.NUTS(draws=250, tune=300, chains=2)),
            ):  # fmt: skip
                model = bg.GaussianMixtureClassifier(1, method=method, random_state=seed)
                p = model.fit(X, y).predict_proba(new)[:, 1].clip(1e-12, 1 - 1e-12)
                scores.setdefault(name, []).append(
                    (
                        log_loss(answer, p),
                        calibration_error(p, answer),
                        ((p > 0.5) != answer).mean(),
                    )
                )
        for name, each in scores.items():
            loss, gap, wrong = np.mean(each, axis=0)
            se = np.std([one[0] for one in each], ddof=1) / np.sqrt(len(each))
            print(
                f"  {n} a class, {name:8s} {loss:.3f} ± {se:.3f}  {gap:.3f}  {wrong:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
