"""The posterior's modes in unconstrained coordinates, and the curvature there.

At a mode theta* of the density over theta, with Hessian -H, the map
theta = theta* + C z, C C' = H^-1, makes the posterior of z close to a standard
normal.  Laplace draws z from one; NUTS runs in z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import available_cores, one_blas_thread
from bayesgmm.data.collinear import refuse_collinear
from bayesgmm.data.observations import Observations
from bayesgmm.data.summary import KEPT
from bayesgmm.density.coordinates import unconstrain_many
from bayesgmm.density.exchangeable import by_means
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.errors import FitError
from bayesgmm.expectation.point import Point
from bayesgmm.inference.maximum.curvature import whitening, whitening_by_sample
from bayesgmm.inference.maximum.em import EMRun
from bayesgmm.inference.maximum.lbfgs import ascend
from bayesgmm.inference.maximum.search import search, without_mode
from bayesgmm.inference.sampling.students import match
from bayesgmm.methods import MAP, Run
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.model.priors import Priors
from bayesgmm.model.spec import MixtureSpec
from bayesgmm.options import seed_sequence

Array = NDArray[np.float64]

#: Work, in rows x coordinates x K D^2, above which curvature is taken from a sample of the
#: rows: some tens of seconds on one core.
_LARGEST_HESSIAN = 4e11
#: Log density that an exchange of labels may cost and still lead to a mode with mass.
_COSTLY = 20.0
#: Exchanges of labels are followed as long as there are fewer modes.
_MOST_MODES = 24
#: Two tops as high as each other are one where the density does not fall by so much between them.
_FALL = 0.1
#: A mode with less than this share of the Laplace mass is left aside.
_SMALLEST_SHARE = 0.002


@dataclass(frozen=True)
class Mode:
    """A mode of the density over theta, and the map that whitens it."""

    theta: Array  # (P,)
    whitening_matrix: Array  # C, (P, P)
    value: float  # log density at the mode

    @property
    def log_mass(self) -> float:
        """Laplace's approximation to the log of the integral of the density here."""
        p = len(self.theta)
        return (
            self.value + 0.5 * p * np.log(2 * np.pi) + np.linalg.slogdet(self.whitening_matrix)[1]
        )

    def at(self, z: Array) -> Array:
        """theta (..., P) of whitened z (..., P)."""
        return self.theta + z @ self.whitening_matrix.T

    def relabelled(self, density: LogPosterior, permutation: NDArray[np.int64]) -> Mode:
        """The same mode with its components in another order."""
        # Relabelling is linear in theta, so that it moves the columns of C as it does theta.
        return Mode(
            density.relabelled(self.theta, permutation),
            density.relabelled(self.whitening_matrix.T, permutation).T,
            self.value,
        )


def prepare(
    spec: MixtureSpec, observations: Observations, run: Run
) -> tuple[LogPosterior, list[Mode], np.random.SeedSequence]:
    """What drawing by any method begins with: the density, its modes, a seed to draw with."""
    for_modes, for_draws = seed_sequence(run.seed).spawn(2)
    cores = available_cores(run.cores)
    density = LogPosterior(spec, observations, cores=cores).watched(run.passes)
    refuse_collinear(observations, spec.covariance)
    with one_blas_thread():
        runs = search_for_modes(spec, observations, run._replace(seed=for_modes, cores=cores))
        density = density.framed(runs[0].parameters(density))
        modes = modes_from(density, runs)
        density.refuse_not_finite(modes[0].theta)
    return density, modes, for_draws


def search_for_modes(
    spec: MixtureSpec, observations: Observations, run: Run, n_modes: int = 8
) -> Sequence[EMRun]:
    """The best solutions of MAP-EM, each a representative of its relabellings."""
    priors, d = spec.priors, observations.n_features
    if without_mode(spec):  # no MAP; but theta has a mode all the same
        priors = replace(
            priors, weights=np.maximum(priors.weights, 1.0).tolist(), noise=max(priors.noise, 1.0)
        )
    if priors.eta(d) < Priors().eta(d):  # a MAP without bound, on few rows that hold no mass
        priors = replace(priors, correlations=None)
    result = search(spec.replace(priors=priors), observations, MAP(), run)
    return result.modes[:n_modes]


def modes_from(density: LogPosterior, runs: Sequence[EMRun]) -> list[Mode]:
    """The modes that hold the posterior's mass, largest first, sought from these."""
    modes: list[Mode] = []
    n = density.observations.n_rows
    part = density.on(density.observations.sample(min(n, KEPT), seed=0)) if n > KEPT else None

    def add(start: Point) -> Point | None:
        root = None
        if part is not None:  # a climb of few steps, from the top of nearly the same density
            with suppress(FitError):
                root = whitening_by_sample(part, density, start)
        point, value, _ = ascend(density, start, max_iter=1000, root=root)
        theta = unconstrain_many(point, density.spec.structure, density.prior.frame)
        if any(_repeats(density, mode, theta, value) for mode in modes):
            return None
        modes.append(_mode_at(density, point, value, part))
        return point

    for run in runs:
        add(run.point)
    exchanged = [*_exchanged(density, modes[0], modes[0].value)]
    while exchanged and len(modes) < _MOST_MODES:
        if add(exchanged.pop(0)) is not None:
            exchanged += _exchanged(density, modes[-1], modes[0].value)
    share = shares_of(modes)
    order = np.argsort(-share)
    return [modes[i] for i in order if share[i] >= _SMALLEST_SHARE]


def _repeats(density: LogPosterior, mode: Mode, theta: Array, value: float) -> bool:
    """Whether a top is a mode that is known, in any order of what may be exchanged."""
    if not abs(value - mode.value) < 1e-5 * (1 + abs(value)):
        return False
    precision = 1 / np.linalg.norm(mode.whitening_matrix, axis=1)
    d, there = density.observations.n_features, np.empty_like(theta)
    each = density.spec.structure.own_entries(d)
    match(theta, mode.theta, precision, density.groups, density.basis, d, each, there)
    return density.value(0.5 * (there + mode.theta)) > value - _FALL


def _exchanged(density: LogPosterior, mode: Mode, best: float) -> Iterator[Point]:
    """The mode with two components exchanged that something tells apart, where that costs little.

    A search finds the best labelling; another, which labels of few rows or priors that differ
    little hardly exclude, is a mode of its own.
    """
    groups = density.groups
    for a, b in zip(*np.triu_indices(len(groups), 1), strict=True):
        if groups[a] == groups[b]:
            continue
        order = np.arange(len(groups))
        order[[a, b]] = b, a
        theta = density.relabelled(mode.theta, order)
        if density.value(theta) > best - _COSTLY:
            yield density.standardise(density.constrain(theta))


def shares_of(modes: list[Mode]) -> Array:
    """The share of each mode in the mass of all, as Laplace's approximation has it."""
    masses = np.array([mode.log_mass for mode in modes])
    return np.asarray(np.exp(masses - np.logaddexp.reduce(masses)))


def _mode_at(density: LogPosterior, point: Point, value: float, part: LogPosterior | None) -> Mode:
    theta = unconstrain_many(point, density.spec.structure, density.prior.frame)
    k, d = point.means.shape
    work = density.observations.n_rows * density.size * k * d * d
    if part is not None and work > _LARGEST_HESSIAN:
        return Mode(theta, whitening_by_sample(part, density, point), value)
    return Mode(theta, whitening(density, point), value)


def pivot_of(density: LogPosterior, mode: Mode) -> MixtureParameters:
    """The mixture at a mode, exchangeable components ordered by the mean of the first feature."""
    mixture = density.constrain(mode.theta)
    return mixture.permute(by_means(mixture.means, density.groups))
