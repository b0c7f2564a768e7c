"""Mixtures and rows on which logarithms of densities are hard, and what each may cost.

    python -m tests.reference.hard_cases        # the table of docs/trust.md

The bound is that of a computation that is backward stable: what rounding each number that goes
in (entries of x and of the means about the mixture's centre c, of the factor L, logarithms) by
one unit may do to the result.  With W = L^-1 and z = W (x - mu), entries in absolute value:

    |z|' (|W| (|x - c| + |mu - c|) + |W| |L| |z|) + sum |log L_ii| + |log w| + D log(2 pi) / 2

times the unit, 2^-53, is what a component may lose, and a row as much as those it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import bayesgmm as bg
from bayesgmm.mixture.noise import Noise
from tests.reference.by_mpmath import Normal, covariances_of, exact, log_sum, mp

UNIT = 2.0**-53
#: Units, for each of D + 2 operations that follow each other, that the package may lose.
UNITS = 1.0


class Case(NamedTuple):
    """Mixtures of no batch, and rows."""

    mixture: bg.MixtureParameters
    x: Any  # an array, or Observations of it
    errors: Any = None  # standard deviations (N, D), where there are some


class Measured(NamedTuple):
    """What is right, how far from it the package is, and how far it may be; of each row."""

    right: np.ndarray
    error: np.ndarray
    cost: np.ndarray  # the bound above, in units
    memberships: np.ndarray  # the right ones (N, M)
    memberships_error: np.ndarray
    memberships_cost: np.ndarray  # of their logarithms
    d: int

    @property
    def relative(self) -> np.ndarray:
        """Errors beside the log density; where that is below 1, as they are: a logarithm near
        zero has no digits of its own."""
        return self.error / np.maximum(np.abs(self.right), 1.0)

    @property
    def allowed(self) -> np.ndarray:
        """The bound of the errors."""
        return UNITS * (self.d + 2) * UNIT * self.cost

    @property
    def memberships_allowed(self) -> np.ndarray:
        """That of memberships, which are at most 1 and have no digits below 1e-300."""
        each = UNITS * (self.d + 2) * UNIT * self.memberships_cost
        return np.minimum(np.expm1(np.minimum(each, 1.0)) * self.memberships + 1e-300, 1.0)


def measured(case: Case) -> Measured:
    """Of log densities and memberships."""
    p, x = case.mixture, case.x
    logs_found, shares = p.log_density(x, cores=1), p.memberships(x)
    values = x.table_in_memory.matrix if isinstance(x, bg.Observations) else np.asarray(x)
    covariances = covariances_of(p.scale_tril)
    center = p.weights @ p.means / p.weights.sum()
    right, error, cost, members, members_error, members_cost = [], [], [], [], [], []
    with np.errstate(divide="ignore"):
        log_weights = np.log(p.class_weights)
    normals = {}
    for n, row in enumerate(values):
        seen = ~np.isnan(row)
        both, pattern = np.ix_(seen, seen), (tuple(seen), 0 if case.errors is None else n)
        if pattern not in normals:
            added = (
                0 * covariances[0] if case.errors is None else np.diag(exact(case.errors[n]) ** 2)
            )
            normals[pattern] = [
                Normal(exact(m)[seen], (c + added)[both])
                for m, c in zip(p.means, covariances, strict=True)
            ]
        at = exact(row[seen])
        logs, costs = [], []
        for j, normal in enumerate(normals[pattern]):
            if p.weights[j] == 0:
                continue
            logs.append(mp.log(mp.mpf(p.weights[j])) + normal.log_density(at))
            own = np.abs(p.means[j] - center)[seen]
            costs.append(
                cost_of(normal, at, own + np.abs(row - center)[seen]) + abs(log_weights[j])
            )
        if p.noise is not None:
            sides = (exact(p.noise.box[1]) - exact(p.noise.box[0]))[seen]
            logs.append(mp.log(mp.mpf(float(p.noise.weight))) - mp.fsum(map(mp.log, sides)))
            costs.append(float(mp.fsum(abs(mp.log(s)) for s in sides)) + abs(log_weights[-1]))
        whole = log_sum(logs)
        share = [mp.exp(v - whole) for v in logs]
        right.append(float(whole))
        error.append(float(abs(mp.mpf(float(logs_found[n])) - whole)))
        terms = np.array(costs)
        cost.append(1.0 + abs(float(whole)) + np.array(share, dtype=float) @ terms)
        members_cost.append(cost[-1] + terms)
        members.append([float(s) for s in share])
        kept = shares[n][p.class_weights > 0]
        members_error.append(
            [float(abs(mp.mpf(float(v)) - s)) for v, s in zip(kept, share, strict=True)]
        )
    found = (right, error, cost, members, members_error, members_cost)
    return Measured(*map(np.array, found), d=values.shape[1])


def cost_of(normal: Normal, x: Any, about: Any) -> float:
    """The first and the second term of the bound, of one component."""
    if normal.d == 0:
        return 0.0
    tril, whiten = normal.factors
    z = np.abs(whiten @ (x - normal.mean)).astype(float)
    w, factor = np.abs(whiten.astype(float)), np.abs(tril.astype(float))
    square = z @ (w @ about + w @ (factor @ z))
    return float(square + np.abs(np.log(np.diag(factor))).sum() + normal.d * 0.919)


# The cases -------------------------------------------------------------------


def random(k: int, d: int, seed: int = 0) -> bg.MixtureParameters:
    """Components that overlap, of every correlation."""
    rng = np.random.default_rng([seed, k, d])
    tril = np.tril(rng.normal(size=(k, d, d)) * 0.5)
    at = np.arange(d)
    tril[:, at, at] = rng.uniform(0.5, 1.5, size=(k, d))
    return bg.MixtureParameters(rng.dirichlet(np.full(k, 2.0)), 2 * rng.normal(size=(k, d)), tril)


def around(p: bg.MixtureParameters, n: int, *, sds: float = 1.0, seed: int = 1) -> np.ndarray:
    """Rows so many standard deviations from the components' means, in turn."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        j = i % p.n_components
        rows.append(p.means[j] + sds * p.scale_tril[j] @ rng.normal(size=p.n_features))
    return np.array(rows)


def simple(k: int, d: int) -> Case:
    """Of no special hardness."""
    p = random(k, d)
    return Case(p, around(p, 6 if d < 20 else 2))


def conditioned(condition: float, d: int) -> Case:
    """Two covariances of a condition number, each turned at random."""
    rng = np.random.default_rng(d)
    tril = []
    for _ in range(2):
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        half = turn * np.logspace(0, -0.5 * np.log10(condition), d)
        upper = np.linalg.qr(half.T, mode="r")
        tril.append(upper.T * np.sign(np.diag(upper)))
    p = bg.MixtureParameters([0.4, 0.6], rng.normal(size=(2, d)), np.array(tril))
    return Case(p, around(p, 6))


def far(sds: float) -> Case:
    """Rows so many standard deviations away."""
    p = random(3, 2)
    return Case(p, around(p, 6, sds=sds))


def light(weight: float) -> Case:
    """A component of nearly no weight, at rows that are its own and at others."""
    p = random(2, 2)
    p = bg.MixtureParameters([1.0 - weight, weight], [[0.0, 0.0], [30.0, -30.0]], p.scale_tril)
    return Case(p, around(p, 6))


def alike(gap: float) -> Case:
    """Components that are nearly one."""
    p = random(1, 3)
    means = p.means + gap * np.arange(4.0)[:, None]
    tril = p.scale_tril * (1 + gap * np.arange(4.0))[:, None, None]
    p = bg.MixtureParameters(np.full(4, 0.25), means, tril)
    return Case(p, around(p, 6))


def moved(shift: float) -> Case:
    """A mixture far from zero."""
    p = random(3, 2)
    p = bg.MixtureParameters(p.weights, p.means + shift, p.scale_tril)
    return Case(p, around(p, 6))


def apart(gap: float) -> Case:
    """Components of unit scale far from each other, rows near each."""
    p = random(3, 2)
    p = bg.MixtureParameters(p.weights, gap * np.array([[0, 1], [1, 0], [-1, 2.0]]), p.scale_tril)
    return Case(p, around(p, 6))


def unit(size: float, k: int = 2, d: int = 2) -> Case:
    """In a unit."""
    p = random(k, d)
    p = bg.MixtureParameters(p.weights, p.means * size, p.scale_tril * size)
    return Case(p, around(p, 6))


def correlated(r: float, d: int) -> Case:
    """Each correlation is r."""
    tril = np.linalg.cholesky(np.full((d, d), r) + (1 - r) * np.eye(d))
    p = bg.MixtureParameters([0.5, 0.5], [np.zeros(d), np.ones(d)], [tril, 2 * tril])
    return Case(p, around(p, 6))


def kahan(d: int) -> Case:
    """Factors after Kahan (1966), whose inverses have far larger entries than their condition."""
    s, c = np.sin(1.2), np.cos(1.2)
    tril = (np.eye(d) - c * np.tril(np.ones((d, d)), -1)) * s ** np.arange(d)
    p = bg.MixtureParameters([0.5, 0.5], np.zeros((2, d)), [tril, 3 * tril])
    return Case(p, around(p, 4 if d < 20 else 2))


def graded(d: int) -> Case:
    """Scales from 1e-8 to 1e8 side by side."""
    p, scales = random(2, d), np.logspace(-8, 8, d)
    p = bg.MixtureParameters(p.weights, p.means * scales, p.scale_tril * scales[:, None])
    return Case(p, around(p, 6))


def diagonal(shared: bool, round_: bool) -> Case:
    """Factors without correlations."""
    rng = np.random.default_rng(3)
    scales = rng.uniform(0.1, 3.0, size=(1 if shared else 3, 1 if round_ else 4))
    tril = np.broadcast_to(scales, (3, 4))[:, :, None] * np.eye(4)
    p = bg.MixtureParameters([0.2, 0.3, 0.5], rng.normal(size=(3, 4)), tril)
    return Case(p, around(p, 6))


def seen(case: Case, *, holes: bool = False, errors: float = 0.0) -> Case:
    """With values missing, or measured with errors."""
    rng, x = np.random.default_rng(4), np.array(case.x)
    if holes:
        for n in range(len(x) - 1):
            x[n, rng.permutation(x.shape[1])[: 1 + n % (x.shape[1] - 1)]] = np.nan
    spread = errors * rng.uniform(0.5, 2.0, size=x.shape) if errors else None
    rows = bg.Observations(x, missing="marginal" if holes else None, errors=spread, resolution=0)
    return Case(case.mixture, rows, spread)


def noisy(case: Case, weight: float) -> Case:
    """With noise over a box around the rows."""
    p, x = case.mixture, np.asarray(case.x)
    box = np.array([x.min(0) - 1.0, x.max(0) + 1.0])
    noise = Noise(np.array(weight), box)
    return Case(bg.MixtureParameters(p.weights * (1 - weight), p.means, p.scale_tril, noise), x)


CASES: dict[str, Callable[[], Case]] = {
    **{f"K = {k}, D = {d}": lambda k=k, d=d: simple(k, d)
       for k, d in [(1, 1), (3, 1), (50, 2), (2, 10), (2, 30)]},
    **{f"condition 1e{e}, D = {d}": lambda e=e, d=d: conditioned(10.0**e, d)
       for e in (2, 6, 10, 14) for d in (2, 10)},
    **{f"rows 1e{e} sds away": lambda e=e: far(10.0**e) for e in (-8, 0, 4, 8)},
    **{f"a weight of 1e-{e}": lambda e=e: light(10.0**-e) for e in (20, 300)},
    "components 1e-9 from each other": lambda: alike(1e-9),
    **{f"all moved by 1e{e} sds": lambda e=e: moved(10.0**e) for e in (4, 8)},
    **{f"components 1e{e} sds from each other": lambda e=e: apart(10.0**e) for e in (2, 4, 6, 8)},
    **{f"a unit of 1e{e}": lambda e=e: unit(10.0**e) for e in (-150, -12, 12, 149)},
    **{f"correlations of {r}, D = {d}": lambda r=r, d=d: correlated(r, d)
       for r in (0.999, 0.9999999) for d in (2, 5)},
    "correlations of 1 - 1e-13, D = 2": lambda: correlated(1 - 1e-13, 2),
    **{f"Kahan's factors, D = {d}": lambda d=d: kahan(d) for d in (10, 30)},
    "scales from 1e-8 to 1e8": lambda: graded(5),
    **{f"diagonal factors, {'one' if a else 'own'}, {'round' if b else 'any'}":
       lambda a=a, b=b: diagonal(a, b) for a in (True, False) for b in (True, False)},
    "holes": lambda: seen(simple(3, 4), holes=True),
    **{f"holes, condition 1e{e}": lambda e=e: seen(conditioned(10.0**e, 4), holes=True)
       for e in (6, 10, 14)},
    "errors": lambda: seen(simple(3, 4), errors=0.3),
    **{f"errors of 1e-{s}, condition 1e{e}":
       lambda e=e, s=s: seen(conditioned(10.0**e, 4), errors=10.0**-s)
       for e, s in ((6, 2), (10, 5), (14, 6))},
    "holes and errors": lambda: seen(simple(3, 4), holes=True, errors=0.3),
    "noise": lambda: noisy(simple(3, 2), 0.1),
    "noise of 1e-12, rows 1e4 sds away": lambda: noisy(far(1e4), 1e-12),
}  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| case | largest relative error | largest share of the bound | bound, relative |")
    print("|---|---|---|---|")
    for name, make in CASES.items():
        m = measured(make())
        bound = (m.allowed / np.maximum(np.abs(m.right), 1.0)).max()
        print(
            f"| {name} | {m.relative.max():.1e} | {(m.error / m.allowed).max():.2g} | {bound:.1e} |"
        )


if __name__ == "__main__":
    main()
