"""Posteriors found in another way: what ``bayesgmm.fit`` is compared to in tests/reference.

    python benchmarks/reference_posteriors.py [--runs 12] [--only NAME] [--report]

A sequential Monte Carlo sampler (Del Moral, Doucet and Jasra 2006) in NumPy alone.  Its particles
start as draws of the prior and are tempered from there to the posterior; before each step they
are resampled, after it each block of coordinates (weights, one component, a covariance that all
share) walks at random.  Nothing of it is the package's: the density is written here, in other
coordinates (log-ratios to the last weight, logarithms of scales, partial correlations of a vine,
in which LKJ is a product of betas), without statistics, gradients, modes or chains.  What the two
share is what defines the model: the step to which values were recorded, found by ``Observations``,
and the mean and standard deviation by which the priors are scaled.

Components are ordered by their mean of one feature, and a step that would break the order is
refused: the posterior is the same in any order, so that of one order says all.  (To put them in
order after such a step would be wrong: the walks of components differ, so there and back are not
equally likely.)

Runs are independent, each from draws of its own, so that they say themselves how far their
average may be from the truth, weights of separate modes included: by the jackknife.  They count
in proportion to their estimates of the evidence, which makes their average unbiased for any number
of particles; alike where less than half of them would be effective, as where these estimates vary
by more than a nat: that is right of a posterior of one mode, up to labels.  A run is a line in
``build/reference``, and the same call goes on from there; ``--report`` writes what is there to
tests/reference/posteriors.json.

What it does not reach: iris with three full covariances, 44 coordinates.  With as few particles
as these its runs end in modes of lower evidence, so that it has no answer here.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import betaln, gammaln

import bayesgmm as bg

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "reference"
ANSWERS = ROOT / "tests" / "reference" / "posteriors.json"

#: Particles of a run, walks after each step of the temperature, and at the end.
PARTICLES, WALKS, LAST = 128, 12, 200
#: Effective share of particles that a step of the temperature may leave.
SHARE = 0.7
#: Quantities are read at the end of every one of so many of the last walks.
EVERY = 10

Array = np.ndarray


def iris() -> Array:
    """Anderson's irises, from scikit-learn."""
    from sklearn.datasets import load_iris

    return np.asarray(load_iris().data)


@dataclass(frozen=True)
class Model:
    """A mixture with the package's default priors, and its data."""

    name: str
    data: Callable[[], Array]
    covariance: str
    k: int
    by: int = 0  # the feature by whose mean components are ordered

    @cached_property
    def x(self) -> Array:
        """Rows (N, D) in the data's units."""
        return np.asarray(self.data(), dtype=float).reshape(len(self.data()), -1)

    @property
    def spec(self) -> bg.MixtureSpec:
        """As the package takes it."""
        return bg.MixtureSpec(self.k, self.covariance)


MODELS = [
    Model("faithful full 2", bg.datasets.faithful, "full", 2),
    Model("iris tied 3", iris, "tied", 3, by=2),
    Model("galaxies 3", lambda: bg.datasets.galaxies() / 1000, "full", 3),
    Model("galaxies 6", lambda: bg.datasets.galaxies() / 1000, "full", 6),
    Model("iris petals full 3", lambda: iris()[:, 2:], "full", 3),
    Model("iris spherical 3", iris, "spherical", 3, by=2),
]


class Density:
    """Prior and likelihood at many theta (n, P), theta = (log-ratios, means, scales, partials)."""

    def __init__(self, model: Model) -> None:
        x, k = model.x, model.k
        self.model, self.k, self.d = model, k, x.shape[1]
        step = bg.Observations(x).resolution
        unit = x.std(axis=0)
        if model.covariance == "spherical":  # one unit and one step serve all features
            unit, step = np.full(self.d, np.sqrt(np.mean(unit**2))), np.full(self.d, step.max())
        self.center, self.unit = x.mean(axis=0), unit
        self.x = (x - self.center) / unit
        self.recorded = step**2 / (12 * unit**2)
        self.owners = 1 if model.covariance == "tied" else k
        self.scales = 1 if model.covariance == "spherical" else self.d
        matrices = model.covariance in ("full", "tied")
        self.pairs = [(i, j) for j in range(self.d) for i in range(j + 1, self.d)] * matrices
        eta = 1 + self.d / 2
        # Lewandowski, Kurowicka and Joe (2009): on level j + 1 of a C-vine.
        self.beta = np.array([eta + (self.d - j - 2) / 2 for _, j in self.pairs])
        sizes = [k - 1, k * self.d, self.owners * self.scales, self.owners * len(self.pairs)]
        self.ends = np.cumsum(sizes)
        self.size = int(self.ends[-1])

    def split(self, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Log-ratios, means (n, K, D), log scales (n, G, S), atanh of partials (n, G, pairs)."""
        u, m, s, z = np.split(theta, self.ends[:-1], axis=1)
        n = len(theta)
        return (
            u, m.reshape(n, self.k, self.d), s.reshape(n, self.owners, self.scales),
            z.reshape(n, self.owners, len(self.pairs)),
        )  # fmt: skip

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Theta (n, P) of the prior."""
        w = np.log(rng.gamma(2.0, size=(n, self.k)))
        means = 2.0 * rng.standard_normal((n, self.k * self.d))
        scales = np.log(0.5) + rng.standard_normal((n, self.owners * self.scales))
        b = np.tile(self.beta, self.owners)
        partial = 2 * rng.beta(b, b, size=(n, len(b))) - 1
        return np.hstack([w[:, :-1] - w[:, -1:], means, scales, np.arctanh(partial)])

    def log_prior(self, theta: Array) -> Array:
        """Log density of theta with every constant."""
        u, m, s, z = self.split(theta)
        w = self.log_weights(u)
        # Dirichlet(2) times the Jacobian of the log-ratios, which is the product of the weights.
        total = gammaln(2 * self.k) + 2 * w.sum(1)
        total = total - 0.125 * (m**2).sum((1, 2)) - m[0].size * (np.log(2) + HALF_LOG_TWO_PI)
        total -= 0.5 * ((s - np.log(0.5)) ** 2).sum((1, 2)) + s[0].size * HALF_LOG_TWO_PI
        # Of 2 b - 1, b beta, at tanh z: (1 - tanh^2)^beta with the Jacobian.
        each = -2 * self.beta * np.logaddexp(z, -z) + np.log(2) - betaln(self.beta, self.beta)
        return total + each.sum((1, 2))

    @staticmethod
    def log_weights(u: Array) -> Array:
        """(n, K)."""
        whole = np.pad(u, ((0, 0), (0, 1)))
        largest = whole.max(1, keepdims=True)
        return whole - largest - np.log(np.exp(whole - largest).sum(1, keepdims=True))

    def covariances(self, theta: Array) -> Array:
        """Those of what is recorded (n, G, D, D), on the standardised scale."""
        _, _, s, z = self.split(theta)
        partial, factor = np.tanh(z), np.zeros((*s.shape[:2], self.d, self.d))
        left = np.ones((*s.shape[:2], self.d))  # of the squared length of each row
        for p, (i, j) in enumerate(self.pairs):
            factor[..., i, j] = partial[..., p] * np.sqrt(left[..., i])
            left[..., i] -= factor[..., i, j] ** 2
        at = np.arange(self.d)
        factor[..., at, at] = np.sqrt(np.maximum(left, 0))
        factor *= np.exp(s)[..., None]
        found = factor @ np.swapaxes(factor, -1, -2)
        found[..., at, at] += self.recorded
        return found

    def log_normal(self, theta: Array, components: list[int]) -> Array:
        """Log densities (n, components, N) of rows, on the standardised scale."""
        _, means, s, _ = self.split(theta)
        owner = [0] if self.owners == 1 else components
        out = np.empty((len(theta), len(components), len(self.x)))
        if not self.pairs:
            variances = np.broadcast_to(np.exp(2 * s), (*s.shape[:2], self.d)) + self.recorded
            precision, log_volume = 1 / variances[:, owner], 0.5 * np.log(variances[:, owner])
            for c, j in enumerate(components):
                p, g = precision[:, c % len(owner)], log_volume[:, c % len(owner)]
                gap = self.x - means[:, j, None]
                square = np.einsum("ind,id->in", gap * gap, p)
                out[:, c] = -0.5 * square - g.sum(1)[:, None]
            return out - self.d * HALF_LOG_TWO_PI
        whiten = np.linalg.inv(np.linalg.cholesky(self.covariances(theta)[:, owner]))
        volume = np.log(np.diagonal(whiten, axis1=-2, axis2=-1)).sum(-1)
        for c, j in enumerate(components):
            w = whiten[:, c % len(owner)]
            gap = w @ self.x.T - np.einsum("iab,ib->ia", w, means[:, j])[..., None]
            out[:, c] = volume[:, c % len(owner), None] - 0.5 * (gap * gap).sum(1)
        return out - self.d * HALF_LOG_TWO_PI

    def log_likelihood(self, theta: Array, parts: Array) -> Array:
        """Of all rows (n,), on the standardised scale."""
        return row_log_density(self.log_weights(self.split(theta)[0]), parts).sum(-1)

    def blocks(self) -> list[tuple[Array, list[int]]]:
        """Coordinates that walk together, and the components whose densities they change."""
        a, b, c, end = self.ends
        every, found = list(range(self.k)), []
        if self.k > 1:
            found.append((np.arange(a), []))
        for j in every:
            mean = np.arange(a + j * self.d, a + (j + 1) * self.d)
            if self.owners == 1:
                found.append((mean, [j]))
                continue
            scale = np.arange(b + j * self.scales, b + (j + 1) * self.scales)
            partial = np.arange(c + j * len(self.pairs), c + (j + 1) * len(self.pairs))
            found.append((np.concatenate([mean, scale, partial]), [j]))
        if self.owners == 1:
            found.append((np.arange(b, end), every))
        return found

    def ordered(self, theta: Array, parts: Array) -> tuple[Array, Array]:
        """The same with components in order of their mean of one feature."""
        u, m, s, z = self.split(theta)
        order = np.argsort(m[:, :, self.model.by], axis=1)
        n = np.arange(len(theta))[:, None]
        w = self.log_weights(u)[n, order]
        own = order if self.owners > 1 else np.zeros((len(theta), 1), int)
        flat = [w[:, :-1] - w[:, -1:], m[n, order], s[n, own], z[n, own]]
        return np.hstack([each.reshape(len(theta), -1) for each in flat]), parts[n, order]

    def in_order(self, theta: Array) -> Array:
        """Whether the components are (n,)."""
        by = self.split(theta)[1][:, :, self.model.by]
        return np.asarray((np.diff(by, axis=1) > 0).all(axis=1))

    def quantities(self, theta: Array, parts: Array) -> dict[str, Array]:
        """What no order of components changes, in the data's units."""
        w = self.log_weights(self.split(theta)[0])
        means = self.split(theta)[1] * self.unit + self.center
        volume = np.log(self.unit).sum()
        rows = row_log_density(w, parts) - volume
        found = {"log-likelihood": rows.sum(1)}
        found |= {f"log density of row {i}": rows[:, i] for i in rows_asked(len(self.x))}
        volumes = 0.5 * np.linalg.slogdet(self.covariances(theta))[1] + volume
        if not self.pairs:
            s = np.broadcast_to(self.split(theta)[2], (len(theta), self.owners, self.d))
            volumes = 0.5 * np.log(np.exp(2 * s) + self.recorded).sum(-1) + volume
        return found | of_components(np.exp(w), means, volumes, self.model.by)


HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


def rows_asked(n: int) -> list[int]:
    """Rows whose densities are looked at: of all the data, early to late."""
    return [n // 7, n // 2, n - 2]


def of_components(weights: Array, means: Array, volumes: Array, by: int) -> dict[str, Array]:
    """Of weights (n, K), means (n, K, D) and log volumes (n, K) or (n, 1)."""
    found = {
        "largest weight": weights.max(-1),
        "smallest weight": weights.min(-1),
        "smallest mean": means[..., by].min(-1),
        "largest mean": means[..., by].max(-1),
        "smallest log volume": volumes.min(-1),
    }
    if volumes.shape[-1] > 1:
        found["largest log volume"] = volumes.max(-1)
    return found


def row_log_density(log_weights: Array, parts: Array) -> Array:
    """(n, N) of log densities (n, K, N)."""
    joint = log_weights[..., None] + parts
    largest = joint.max(1)
    return np.asarray(largest + np.log(np.exp(joint - largest[:, None]).sum(1)))


class Walk:
    """Particles at one temperature, and how far each block of coordinates steps."""

    def __init__(self, density: Density, theta: Array, rng: np.random.Generator) -> None:
        self.density, self.rng = density, rng
        self.theta = theta
        self.parts = density.log_normal(theta, list(range(density.k)))
        self.theta, self.parts = density.ordered(self.theta, self.parts)
        self.log_prior = density.log_prior(self.theta)
        self.log_likelihood = density.log_likelihood(self.theta, self.parts)
        self.blocks = density.blocks()
        self.steps = np.ones(len(self.blocks))

    def resample(self, weights: Array) -> None:
        """Systematically."""
        at = (self.rng.random() + np.arange(len(weights))) / len(weights)
        kept = np.searchsorted(np.cumsum(weights) / weights.sum(), at)
        for name in ("theta", "parts", "log_prior", "log_likelihood"):
            setattr(self, name, getattr(self, name)[np.minimum(kept, len(weights) - 1)])

    def factors(self) -> list[Array]:
        """Of the particles' covariances of each block."""
        found = []
        for block, _ in self.blocks:
            c = np.atleast_2d(np.cov(self.theta[:, block], rowvar=False))
            found.append(np.linalg.cholesky(c + 1e-9 * np.diag(np.diag(c) + 1e-12)))
        return found

    def sweep(self, temperature: float, factors: list[Array], *, adapt: bool) -> None:
        """Each block once, by Metropolis's rule."""
        n = len(self.theta)
        for b, (block, changed) in enumerate(self.blocks):
            # Far and near in turn: the covariance may be that of several modes.
            reach = self.steps[b] * 10.0 ** -self.rng.uniform(0, 1, n)
            step = self.rng.standard_normal((n, len(block))) @ factors[b].T
            step *= (2.38 / np.sqrt(len(block)) * reach)[:, None]
            theta, parts = self.theta.copy(), self.parts
            theta[:, block] += step
            if changed:
                parts = self.parts.copy()
                parts[:, changed] = self.density.log_normal(theta, changed)
            prior = self.density.log_prior(theta)
            likelihood = self.density.log_likelihood(theta, parts)
            gain = prior - self.log_prior + temperature * (likelihood - self.log_likelihood)
            taken = (np.log(self.rng.random(n)) < gain) & self.density.in_order(theta)
            self.theta[taken], self.parts[taken] = theta[taken], parts[taken]
            self.log_prior[taken], self.log_likelihood[taken] = prior[taken], likelihood[taken]
            if adapt:
                self.steps[b] = np.clip(self.steps[b] * np.exp(taken.mean() - 0.35), 1e-3, 3.0)


def next_temperature(log_likelihood: Array, now: float) -> float:
    """The highest that leaves the effective share of particles, by bisection."""

    def share(to: float) -> float:
        w = np.exp((to - now) * (log_likelihood - log_likelihood.max()))
        return float(w.sum() ** 2 / (w**2).sum() / len(w))

    if share(1.0) >= SHARE:
        return 1.0
    low, high = now, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) >= SHARE else (low, middle)
    return high


def run(model: Model, seed: int) -> dict[str, Any]:
    """One run: its log evidence, and means and mean squares of the quantities."""
    began, rng, density = time.process_time(), np.random.default_rng([seed, 7]), Density(model)
    walk = Walk(density, density.draw(PARTICLES, rng), rng)
    temperature, log_evidence, levels = 0.0, -len(model.x) * float(np.log(density.unit).sum()), 0
    while temperature < 1.0:
        to = next_temperature(walk.log_likelihood, temperature)
        w = (to - temperature) * walk.log_likelihood
        log_evidence += float(w.max() + np.log(np.mean(np.exp(w - w.max()))))
        walk.resample(np.exp(w - w.max()))
        temperature, levels = to, levels + 1
        factors = walk.factors()
        for _ in range(WALKS):
            walk.sweep(temperature, factors, adapt=True)
    factors, found = walk.factors(), []
    for i in range(LAST):
        walk.sweep(1.0, factors, adapt=False)
        if (i + 1) % EVERY == 0:
            found.append(density.quantities(walk.theta, walk.parts))
    every = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    return {
        "seed": seed,
        "log evidence": log_evidence,
        "levels": levels,
        "seconds": time.process_time() - began,
        "moments": {name: [float(v.mean()), float((v**2).mean())] for name, v in every.items()},
    }


# What is kept, and what it says --------------------------------------------------------


def kept(model: Model) -> list[dict[str, Any]]:
    """The runs that are there."""
    path = KEPT / f"{model.name.replace(' ', '-')}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def jackknifed(estimate: Callable[[Array], float], n: int) -> tuple[float, float]:
    """An estimate from runs, and its standard error from leaving each out in turn."""
    every = np.arange(n)
    without = np.array([estimate(every[every != i]) for i in range(n)])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    return estimate(every), float(error)


def summary(model: Model) -> dict[str, Any]:
    """Posterior means, standard deviations and log evidence, each with its standard error."""
    runs = kept(model)
    logs = np.array([each["log evidence"] for each in runs])
    w = np.exp(logs - logs.max())
    effective = float(w.sum() ** 2 / (w**2).sum())
    share = w if effective > len(runs) / 2 else np.ones(len(runs))

    def moments(name: str, of: Array) -> Array:
        values = np.array([each["moments"][name] for each in runs])
        return np.asarray(share[of] @ values[of] / share[of].sum())

    def mean(name: str) -> Callable[[Array], float]:
        return lambda of: float(moments(name, of)[0])

    def sd(name: str) -> Callable[[Array], float]:
        return lambda of: float(np.sqrt(moments(name, of)[1] - moments(name, of)[0] ** 2))

    def rounded(pair: tuple[float, float]) -> list[float]:
        digits = 2 - int(np.floor(np.log10(pair[1])))
        return [round(value, digits) for value in pair]

    n = len(runs)
    found: dict[str, Any] = {
        "covariance": model.covariance,
        "k": model.k,
        "runs": n,
        "effective runs": round(effective, 1),
        "temperatures": round(float(np.mean([each["levels"] for each in runs])), 1),
        "seconds": round(sum(each["seconds"] for each in runs)),
        "log evidence": rounded(jackknifed(lambda of: float(logs.max() + np.log(w[of].mean())), n)),
        "quantities": {},
    }
    for name in runs[0]["moments"]:
        found["quantities"][name] = {
            "mean": rounded(jackknifed(mean(name), n)),
            "sd": rounded(jackknifed(sd(name), n)),
        }
    return found


def report() -> None:
    """Write the answers, and how they were found."""
    import scipy

    how = {
        "script": "benchmarks/reference_posteriors.py",
        "particles": PARTICLES,
        "walks at each temperature": WALKS,
        "walks at the end": LAST,
        "seeds": "1 to the number of runs",
        "pairs": "[value, standard error by the jackknife over runs]",
        "versions": {
            "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__
        },
    }  # fmt: skip
    models = {model.name: summary(model) for model in MODELS if len(kept(model)) > 1}
    ANSWERS.write_text(json.dumps({"how": how, "models": models}, indent=1) + "\n")
    print(f"{ANSWERS.name}: {len(models)} models, {ANSWERS.stat().st_size:,} bytes")


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=None, help="models, by their names")
    parser.add_argument("--report", action="store_true", help="write the answers")
    asked = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    for seed in range(1, asked.runs + 1):
        for model in MODELS:
            if asked.only is not None and model.name not in asked.only:
                continue
            if asked.report or any(each["seed"] == seed for each in kept(model)):
                continue
            found = run(model, seed)
            with (KEPT / f"{model.name.replace(' ', '-')}.jsonl").open("a") as file:
                file.write(json.dumps(found) + "\n")
            print(
                f"{model.name} {seed}: log evidence {found['log evidence']:.2f}, "
                f"{found['levels']} temperatures, {found['seconds']:.1f} s",
                flush=True,
            )
    if asked.report:
        report()


if __name__ == "__main__":
    main()
