"""Rows that were not seen as they are: whether intervals hold, errors come out, noise is found.

    python benchmarks/as_seen.py                  # all, half an hour on two cores
    python benchmarks/as_seen.py --only noise

*coverage*: 20 data sets of 200 rows, three features, three components, 30 % of the values taken
away completely at random; how many of NUTS' 89 % intervals hold the truth.
*errors*: 20,000 rows of two features with errors as large as the components are; the true
covariances in standard errors of a Laplace fit, beside those of a fit that is not told of errors.
*noise*: twenty data sets of 1,000 rows, 5 % of them uniform over a box; what is found of these, and
how far the means are from those of the clean rows' fit.
*labels*: ten data sets of overlapping components, a tenth of their rows of known class; adjusted
Rand with and without.
*selection*: ten data sets of 2,000 rows of which those below a limit were not recorded.
*speed*: a pass over 100,000 x 3 rows, each with a covariance of error of its own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

import bayesgmm as bg
from bayesgmm.compiled.threads import available_cores
from bayesgmm.expectation.statistics import expected_statistics


def random_mixture(rng, k, d, apart):
    """Components ``apart`` standard deviations from each other, about, and correlated."""
    means = apart * np.linalg.qr(rng.normal(size=(max(k, d), max(k, d))))[0][:k, :d]
    roots = rng.normal(size=(k, d, 3 * d)) / np.sqrt(3 * d)
    return bg.MixtureParameters.from_covariances(
        rng.dirichlet(np.full(k, 20.0)), means, roots @ np.swapaxes(roots, 1, 2)
    )


def in_order_of(true, found):
    """The components of ``found``, any batch, in the order of the true ones."""
    means = found.means.reshape(-1, *true.means.shape).mean(axis=0)
    distance = ((means[None] - true.means[:, None]) ** 2).sum(axis=-1)
    return found.permute(linear_sum_assignment(distance)[1])


def numbers(p):
    """Weights, means, scales and correlations (..., P)."""
    d = p.n_features
    rows, columns = np.tril_indices(d, -1)
    batch = p.batch_shape
    return np.concatenate(
        [
            p.weights,
            p.means.reshape(*batch, -1),
            p.scales.reshape(*batch, -1),
            p.correlations[..., rows, columns].reshape(*batch, -1),
        ],
        axis=-1,
    )


def coverage() -> str:
    held = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = random_mixture(rng, 3, 3, 7.0)
        x = true.simulate(200, seed=rng)[0]
        x[rng.random(x.shape) < 0.3] = np.nan
        rows = bg.Observations(x, missing="marginal")
        fit = bg.fit(bg.MixtureSpec(3), rows, method="nuts", draws=500, seed=seed)
        draws = numbers(in_order_of(true, fit.parameters))
        low, high = np.quantile(draws, [0.055, 0.945], axis=(0, 1))
        truth = numbers(true)
        held.append((truth >= low) & (truth <= high))
    each = np.mean(held, axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each))
    return f"{np.mean(held):.1%} ± {error:.1%} of {np.size(held):,} 89 % intervals hold the truth"


def errors() -> str:
    rng = np.random.default_rng(1)
    true = random_mixture(rng, 2, 2, 6.0)
    y = true.simulate(20_000, seed=rng)[0]
    sds = np.sqrt(true.covariances[:, 0, 0].mean()) * rng.uniform(0.5, 1.5, y.shape)
    x = y + sds * rng.normal(size=y.shape)
    rows, columns = np.tril_indices(2)

    def off(data):
        fit = bg.fit(bg.MixtureSpec(2), data, method="laplace", seed=1)
        c = in_order_of(true, fit.parameters).covariances[..., rows, columns]
        gap = c.mean(axis=(0, 1)) - true.covariances[..., rows, columns]
        return np.abs(gap / c.std(axis=(0, 1))).max()

    told, untold = off(bg.Observations(x, errors=sds, resolution=0)), off(x)
    return (
        f"true covariances are {told:.1f} standard errors away at most ({untold:.0f} where the fit "
        "is not told of errors)"
    )


def noise() -> str:
    recall, precision, off = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        true = random_mixture(rng, 3, 2, 8.0)
        clean = true.simulate(950, seed=rng)[0]
        low, high = clean.min(axis=0) - 8, clean.max(axis=0) + 8
        x = np.concatenate([clean, rng.uniform(low, high, (50, 2))])
        stray = np.arange(1000) >= 950
        rows = bg.Observations(x, background=[low, high])
        fit = bg.fit(bg.MixtureSpec(3, noise=True), rows, seed=seed)
        found = fit.predict().values == -1
        recall.append(found[stray].mean())
        precision.append(stray[found].mean())
        free = in_order_of(true, bg.fit(bg.MixtureSpec(3), clean, seed=seed).parameters[0, 0])
        own = in_order_of(true, fit.parameters[0, 0])
        se = free.scales / np.sqrt(950 * free.weights[:, None])
        off.append(np.abs((own.means - free.means) / se).max())
    return (
        f"recall {np.mean(recall):.2f} (least {min(recall):.2f}), precision "
        f"{np.mean(precision):.2f} (least {min(precision):.2f}); means at most {max(off):.1f} "
        "standard errors from the clean fit's"
    )


def labels() -> str:
    from sklearn.metrics import adjusted_rand_score

    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        true = random_mixture(rng, 3, 2, 2.5)
        x, component = true.simulate(400, seed=rng)
        known = np.where(rng.random(400) < 0.1, component, -1)
        rest, each = known < 0, []
        for data in (x, bg.Observations(x, labels=known)):
            found = bg.fit(bg.MixtureSpec(3), data, method="laplace", seed=seed).predict().values
            each += [
                adjusted_rand_score(component, found),
                adjusted_rand_score(component[rest], found[rest]),
            ]
        scores.append(each)
    plain, plain_rest, told, told_rest = np.transpose(scores)
    return (
        f"adjusted Rand {told.mean():.2f} with labels, {plain.mean():.2f} without, not below in "
        f"{(told >= plain).sum()} of 10; of the rows whose label is not known "
        f"{told_rest.mean():.2f} and {plain_rest.mean():.2f}, not below in "
        f"{(told_rest >= plain_rest).sum()} of 10"
    )


def selection() -> str:
    off, naive = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        true = bg.MixtureParameters.from_covariances(
            [0.5, 0.5], [[0.0, 0.0], [5.0, 3.0]], [[[1, 0.5], [0.5, 1]], [[1, -0.4], [-0.4, 1]]]
        )
        x = true.simulate(3_000, seed=rng)[0]
        x = x[(x[:, 0] > -0.3)][:2_000]
        told = bg.Observations(x, selection={"x0": (-0.3, None)}, resolution=0)
        for errors, data in ((off, told), (naive, x)):
            fit = bg.fit(bg.MixtureSpec(2), data, method="map", seed=seed)
            errors.append(numbers(in_order_of(true, fit.parameters[0, 0])) - numbers(true))

    def worst(errors):
        se = np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
        return np.abs(np.mean(errors, axis=0) / se).max()

    return (
        f"largest bias {worst(off):.1f} standard errors of {np.shape(off)[1]} parameters "
        f"({worst(naive):.0f} where the fit is not told)"
    )


def speed() -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100_000, 3))
    roots = 0.3 * rng.normal(size=(len(x), 3, 3))
    spec, told = bg.MixtureSpec(5), []
    for name, given in (
        ("standard deviations", rng.uniform(0, 1, x.shape)),
        ("covariances", roots @ np.swapaxes(roots, 1, 2)),
        ("no errors", None),
    ):
        density = bg.LogPosterior(spec, bg.Observations(x, errors=given, resolution=0))
        point = density.standardise(
            bg.MixtureParameters.from_covariances(
                np.full(5, 0.2), rng.normal(size=(5, 3)), np.tile(np.eye(3), (5, 1, 1))
            )
        )
        form = density.precision(point)
        for cores in (1, available_cores(None)):
            times = []
            for _ in range(6):
                began = time.perf_counter()
                expected_statistics(density.rows, form, cores=cores)
                times.append(time.perf_counter() - began)
            told.append(f"{name}, {cores} thread{'s' * (cores > 1)}: {np.median(times[1:]):.3f} s")
    return "; ".join(told)


PARTS = {f.__name__: f for f in (coverage, errors, noise, labels, selection, speed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    for name in parser.parse_args().only or PARTS:
        print(f"{name}: {PARTS[name]()}", flush=True)


if __name__ == "__main__":
    main()
