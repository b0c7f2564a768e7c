"""What a fit answers: memberships, densities, new rows, and itself again from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from bayesgmm.data.observations import Observations
from bayesgmm.predictive.distribution import PredictiveDistribution
from bayesgmm.result.fit import MixtureFit, load
from bayesgmm.testing.expectations import close, holds, identical, same, same_fit
from bayesgmm.testing.monte_carlo import worst
from bayesgmm.testing.subject import Subject


def _sum_to_one(fit: MixtureFit, rows: object) -> None:
    shares = fit.predict_proba(rows)
    same("dimensions of predict_proba", shares.dims, ("obs", "component"))
    same("classes", shares.sizes["component"], fit.spec.n_classes)
    values = shares.values
    holds((values >= 0).all() and (values <= 1).all(), "a membership outside of 0 to 1.")
    close("the sum of memberships", values.sum(axis=1), 1.0, atol=1e-9)
    each = fit.parameters.memberships(fit.observations if rows is None else rows)
    close("the sum of memberships of a draw", each.sum(axis=-1), 1.0, atol=1e-9)
    close("predict_proba", values, each.mean(axis=(0, 1)), atol=1e-9)


def memberships(subject: Subject) -> None:
    """Memberships of a row sum to one, and are the mean of those of the draws."""
    fit = subject.fit
    _sum_to_one(fit, None)
    asked = fit.predict_proba(subject.rows).values
    identical("predict_proba(of the same rows)", asked, fit.predict_proba().values)
    far = subject.rows.values[:5] + 3 * np.nanstd(subject.rows.values, axis=0)
    _sum_to_one(fit, Observations(far, missing=subject.rows.missing, resolution=0))
    found, shares = fit.memberships(), fit.predict_proba().values
    close("memberships()['probability']", found["probability"].values, shares, atol=1e-12)
    half = fit.memberships(mass=0.5)
    each = fit.parameters.memberships(subject.rows)
    for name, at in (("lower", 0.25), ("upper", 0.75)):
        wanted = np.quantile(each, at, axis=(0, 1))
        close(f"memberships(mass=0.5)[{name!r}]", half[name].values, wanted, atol=1e-12)
    best = shares.argmax(axis=1)
    wanted = np.where(best == fit.spec.n_components, -1, best)
    identical("predict()", fit.predict().values, wanted)
    identical("memberships()['assigned']", found["assigned"].values, wanted)
    close("memberships()['correct']", found["correct"].values, shares.max(axis=1), atol=1e-12)


def memberships_with_noise(subject: Subject) -> None:
    """Memberships sum to one with noise as the last class."""
    fit = subject.tried(spec=subject.spec.replace(noise=True))
    _sum_to_one(fit, None)
    weight = fit.tree["posterior"].to_dataset()["noise_weight"].values + fit.parameters.weights.sum(
        axis=-1
    )
    close("the sum of weights", weight, 1.0, atol=1e-9)
    same("the last class", str(fit.predict_proba()["component"].values[-1]), "noise")


def predictive_density(subject: Subject) -> None:
    """The density of a row is the mean over draws of its densities."""
    fit = subject.fit
    log = fit.parameters.log_density(subject.rows).reshape(-1, subject.rows.n_rows)
    wanted = logsumexp(log, axis=0) - np.log(len(log))
    close("score_samples()", fit.score_samples().values, wanted, rtol=1e-9, atol=1e-9)


def order_of_components(subject: Subject) -> None:
    """What no label changes is the same with components in another order."""
    fit = subject.fit
    order = np.roll(np.arange(fit.spec.n_components), 1)
    permuted = fit.parameters.permute(order)
    before = fit.score_samples().values
    other = PredictiveDistribution.of(permuted, fit.feature_names)
    close("score_samples()", other.log_density(subject.rows).values, before, rtol=1e-9, atol=1e-9)
    if "permutation" in fit.statistics:
        old = fit.statistics["permutation"].values
        again = fit.relabelled(old, {})
        close("a relabelling by its own labels", again.parameters.means, fit.parameters.means)
        moved = fit.relabelled(np.take_along_axis(old, order + 0 * old, axis=-1), {})
        close("relabelled means", moved.parameters.means, permuted.means, rtol=1e-9)
        after = moved.score_samples().values
        close("score_samples()", after, before, rtol=1e-9, atol=1e-9)


def save_and_load(subject: Subject) -> None:
    """NetCDF and Zarr give the fit back to the last bit."""
    fit = subject.fit
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".nc", ".zarr"):
            again = load(fit.save(Path(folder) / f"fit{suffix}"))
            same_fit(suffix, again, fit)
            same(f"{suffix}: attributes", dict(again.tree.attrs), dict(fit.tree.attrs))
            same(f"{suffix}: status", again.status, fit.status)
            identical(f"{suffix}: predict_proba()", again.predict_proba(), fit.predict_proba())
            same(f"{suffix}: as printed", repr(again), repr(fit))


def generate(subject: Subject) -> str:
    """New rows are laid out as promised, the same by the same seed, and of the fitted mixture."""
    fit, n = subject.fit, 4000
    made, again, other = (fit.generate(n, seed=seed) for seed in (1, 1, 2))
    same("dimensions of x", made["x"].dims, ("sample", "feature"))
    same("features", tuple(map(str, made["feature"].values)), fit.feature_names)
    for name in ("x", "component", "draw"):
        identical(f"{name} by the same seed", again[name].values, made[name].values)
    holds((made["x"].values != other["x"].values).any(), "the same rows by another seed.")
    first = 0 - fit.spec.noise
    inside = (made["component"] >= first) & (made["component"] < fit.spec.n_components)
    holds(inside.all(), f"component {made['component'].values.max()}.")
    holds((made["draw"] >= 0).all(), "a draw below 0.")
    flat = fit.parameters.flat()
    holds((made["draw"] < len(flat.weights)).all(), f"draw {made['draw'].values.max()}.")
    if fit.spec.noise:
        return ""
    mean = (flat.weights[..., None] * flat.means).sum(axis=1).mean(axis=0)
    x = made["x"].values
    score = worst("generated rows", x.mean(axis=0) - mean, x.std(axis=0) / np.sqrt(n))
    return f"within {score:.1f} standard errors"
