"""Chains that jump between the modes found: each mode in its share of the posterior.

First every mode is sampled by itself, and normals are fitted to what it drew; then chains
jump between Student t's of their centres and covariances.  How often a jump is accepted says
how good these are, and how many to try for each draw.  Where that is too many, the way from
the t's to the posterior is taken in steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled.threads import thread_map
from bayesgmm.density.log_posterior import LogPosterior
from bayesgmm.inference.sampling.drawn import Drawn, in_blocks
from bayesgmm.inference.sampling.jumping import MEAN_LENGTH, Jumper, run_jumper
from bayesgmm.inference.sampling.modes import Mode, shares_of
from bayesgmm.inference.sampling.normals import fitted_normals
from bayesgmm.inference.sampling.reference_ladder import ReferenceLadder, Scans
from bayesgmm.inference.sampling.students import Students, nearest_modes
from bayesgmm.inference.sampling.temperatures import spread
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.options import Progress
from bayesgmm.result.status import Status

Array = NDArray[np.float64]

_LOCAL = 4  # draws of each mode, in lengths of the warm-up
_JUMPS = 10  # proposals of modes between two trajectories, at first and at most
_EVEN = 0.3  # share of the proposals that is divided evenly
_PROPOSALS = 200  # from each t, to see what it holds
_LEAST = 5  # draws for each coordinate, to fit a t

_FIRST_RUNGS, _FEWEST_RUNGS = 8, 4
#: Rounds of a ladder's adaptation: scans in lengths of the warm-up, and whether t's are fitted
#: anew to what they drew.
_ROUNDS = ((0.1, False), (0.2, False), (0.4, True), (0.4, True), (0.8, True), (0.8, False))
_FEWEST_SCANS = 10
_DENSITIES, _MOST_SCANS = 100, 5  # for each draw that is kept, at most


def jump(
    density: LogPosterior,
    modes: list[Mode],
    *,
    draws: int,
    tune: int,
    chains: int,
    cores: int,
    seed: np.random.SeedSequence,
    progress: Progress | None,
) -> Drawn:
    """Draw from a posterior whose modes are known."""
    one = density.with_cores(1)
    rng = np.random.default_rng(seed)
    report = progress or _silent
    report(f"sampling each of {len(modes)} modes", 0, draws)
    students, log_steps = _students(one, modes, _LOCAL * tune, rng, cores)
    begin = students.centers[rng.choice(len(students.shares), chains, p=students.shares)]
    rngs = [np.random.default_rng(child) for child in seed.spawn(chains)]
    steps = [log_steps.copy() for _ in range(chains)]

    def run(states: Array, n: int, jumps: int, *, adapting: bool) -> list[Jumper]:
        def one_chain(i: int) -> Jumper:
            return run_jumper(
                one,
                students,
                steps[i],
                states[i],
                n,
                jumps=jumps,
                adapting=adapting,
                rng=rngs[i],
            )

        return thread_map(one_chain, range(chains), cores)

    warm = run(begin, tune, _JUMPS, adapting=True)
    # Where chains have been that no t covers, they would stay for long: one fit more, to all.
    students = _refitted(one, students, np.stack([part.draws for part in warm]), rng)
    typical = float(np.median(log_steps))
    steps = [np.full(len(students.shares), typical) for _ in range(chains)]
    warm = run(_last(warm), tune, _JUMPS, adapting=True)
    accepted = float(np.mean([part.jumped for part in warm]))
    if accepted * _JUMPS < 1:
        last = np.stack([part.draws for part in warm])
        return _climb(one, students, last, typical, draws, tune, cores, rngs, report)
    jumps = max(2, int(np.ceil(1 / accepted)))
    at = warm

    def jumped(n: int) -> list[Jumper]:
        nonlocal at
        at = run(_last(at), n, jumps, adapting=False)
        return at

    stage = f"jumping between {len(modes)} modes"
    blocks, status = in_blocks(draws, jumped, lambda done: report(stage, done, draws))
    return _drawn(
        blocks,
        1,
        status,
        {
            "jumps_accepted": float(np.mean([part.jumped for block in blocks for part in block])),
            "jumps_per_draw": jumps,
        },
    )


def _climb(
    density: LogPosterior,
    students: Students,
    warm: Array,
    log_step: float,
    draws: int,
    tune: int,
    cores: int,
    rngs: list[np.random.Generator],
    report: Progress,
) -> Drawn:
    """Draw by ladders from the t's, which are fitted anew to what the first scans draw."""
    betas = np.linspace(0.0, 1.0, _FIRST_RUNGS)
    log_steps = np.full((_FIRST_RUNGS, len(students.shares)), log_step)
    places = np.linspace(0, warm.shape[1] - 1, _FIRST_RUNGS).astype(int)
    ladders = [
        ReferenceLadder(density, students, betas, own[places], log_steps, rng)
        for own, rng in zip(warm, rngs, strict=True)
    ]

    def scanned(n: int, *, adapting: bool) -> list[Scans]:
        return thread_map(lambda ladder: ladder.scan(n, adapting=adapting), ladders, cores)

    for share, refit in _ROUNDS:
        scans = scanned(max(_FEWEST_SCANS, int(share * tune)), adapting=True)
        rejected = np.mean([each.rejected for each in scans], axis=0)
        betas, places = spread(betas, rejected, _FEWEST_RUNGS if refit else None)
        log_steps = np.mean([ladder.log_steps for ladder in ladders], axis=0)
        log_steps[0] = log_steps[1]  # the foot makes no trajectories
        nearest = np.rint(places).astype(int)
        log_steps = log_steps[nearest]
        if refit:
            drawn = np.stack([each.draws for each in scans])
            students = _refitted(density, students, drawn, rngs[0])
            typical = np.median(log_steps, axis=1, keepdims=True)
            log_steps = np.repeat(typical, len(students.shares), axis=1)
        ladders = [ladder.climbed(students, betas, nearest, log_steps) for ladder in ladders]
    thin = int(np.clip(_DENSITIES / ((len(betas) - 1) * MEAN_LENGTH), 1, _MOST_SCANS))
    stage = f"jumping by {len(betas)} temperatures"
    blocks, status = in_blocks(
        draws, lambda n: scanned(thin * n, adapting=False), lambda done: report(stage, done, draws)
    )
    rejected = np.mean([[each.rejected for each in block] for block in blocks], axis=(0, 1))
    return _drawn(
        blocks,
        thin,
        status,
        {
            "temperatures": betas,
            "swap_rejection": rejected,
            "round_trips": int(sum(each.trips for block in blocks for each in block)),
        },
    )


def _drawn(
    blocks: Sequence[Sequence[Jumper | Scans]], thin: int, status: Status, facts: dict[str, Any]
) -> Drawn:
    """Every ``thin``-th draw of the blocks of chains."""

    def joined(name: str) -> NDArray[Any]:
        chains = zip(*blocks, strict=True)
        return np.stack(
            [
                np.concatenate([getattr(part, name) for part in own])[thin - 1 :: thin]
                for own in chains
            ]
        )

    statistics = {"lp": joined("values"), "diverging": joined("diverging")}
    return Drawn(joined("draws"), statistics, status, {"sampler": "jumps", **facts})


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody asked for progress."""


def _last(runs: list[Jumper]) -> Array:
    return np.stack([run.draws[-1] for run in runs])


def _refitted(
    density: LogPosterior, students: Students, theta: Array, rng: np.random.Generator
) -> Students:
    """The t's anew, each from the draws (chain, draw, P) nearest to it, in their proportion."""
    nearest, moved = nearest_modes(density, students, theta)
    weights, centers, covariances = [], [], []
    for m in range(len(students.shares)):
        own = moved[nearest == m]
        if not _enough(own):  # as it was
            weights.append(np.array([len(own) + 1.0]))
            centers.append(students.centers[m : m + 1])
            covariances.append(students.covariance(m)[None])
            continue
        normals = fitted_normals(own, int(rng.integers(2**31)))
        weights.append(normals.weights * len(own))
        centers.append(normals.means)
        covariances.append(_leaning(normals, len(own), students.covariance(m)))
    held = np.concatenate(weights)
    held /= held.sum()
    return Students.of(
        np.concatenate(centers),
        np.concatenate(covariances),
        (1 - _EVEN) * held + _EVEN / len(held),
        students.groups,
    )


def _enough(draws: Array) -> bool:
    """Whether draws (n, P) can say how they are spread: some in a row may be the same."""
    return len(np.unique(draws[:, -1])) > _LEAST * draws.shape[1]


def _leaning(normals: MixtureParameters, n: int, before: Array) -> Array:
    """Covariances of normals fitted to ``n`` draws; where these are few, they lean on the one
    known before."""
    counts, p = (normals.weights * n)[:, None, None], len(before)
    return np.asarray((counts * normals.covariances + p * before) / (counts + p))


def _students(
    density: LogPosterior, modes: list[Mode], n: int, rng: np.random.Generator, cores: int
) -> tuple[Students, Array]:
    """Student t's about what ``n`` draws of each mode show, and steps of trajectories there."""
    start = about(modes, density.groups)
    seeds = rng.integers(2**31, size=len(modes)).tolist()

    def local(m: int) -> tuple[Array, Array, Array]:
        steps = np.log(np.full(1, 0.5))
        drawn = run_jumper(
            density,
            start.only(m),
            steps,
            start.centers[m],
            n,
            jumps=0,
            adapting=True,
            rng=np.random.default_rng(seeds[m]),
        ).draws[n // 4 :]
        # A chain may have left its mode for a better one, so the mode itself stays as well.
        centers = start.centers[m : m + 1]
        covariances = start.covariance(m)[None]
        if _enough(drawn):
            normals = fitted_normals(drawn, seeds[m])
            centers = np.concatenate([centers, normals.means])
            leaning = _leaning(normals, len(drawn), start.covariance(m))
            covariances = np.concatenate([covariances, leaning])
        return centers, covariances, np.repeat(steps, len(centers))

    found = thread_map(local, range(len(modes)), cores)
    centers, covariances, steps = (np.concatenate([part[i] for part in found]) for i in range(3))
    even = np.full(len(centers), 1.0 / len(centers))
    fitted = Students.of(centers, covariances, even, density.groups)
    masses = np.array(
        [
            _log_mass(density, fitted.only(m), np.random.default_rng(rng.integers(2**31)))
            for m in range(len(centers))
        ]
    )
    held = np.exp(masses - np.logaddexp.reduce(masses))
    return fitted.shared((1 - _EVEN) * held + _EVEN * even), steps


def about(modes: list[Mode], groups: NDArray[np.int64]) -> Students:
    """Student t's of the modes' places and curvatures."""
    return Students.of(
        np.stack([mode.theta for mode in modes]),
        np.stack([mode.whitening_matrix @ mode.whitening_matrix.T for mode in modes]),
        shares_of(modes),
        groups,
    )


def _log_mass(density: LogPosterior, student: Students, rng: np.random.Generator) -> float:
    """Log of the integral about one t, by importance sampling from it."""
    theta, log_t = student.simulate(_PROPOSALS, rng)
    weights = density.values(theta) - log_t
    return float(np.logaddexp.reduce(weights[np.isfinite(weights)], initial=-1e300))
